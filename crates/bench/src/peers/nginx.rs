//! nginx (Debian): the upstream of all gateways, a plain proxy, and the one that ModSecurity runs in. One worker each.

use super::process::{Place, kill_family, unpacked, version_of};
use super::{Foreign, Installed, free_port, installed};
use crate::Failed;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// Its name in the results.
pub const NGINX: &str = "nginx";
/// nginx with ModSecurity and the OWASP Core Rule Set.
pub const MODSECURITY: &str = "modsecurity";
/// Bytes of every answer of the upstream.
pub const ANSWER_BYTES: usize = 1024;
/// The longest that the upstream's start may take.
const READY_MAX: Duration = Duration::from_secs(20);
/// Settings of ModSecurity's recommended configuration that are written otherwise: it blocks, looks at requests alone, and reports to nobody.
const REPLACED: [&str; 4] = [
    "SecAuditLog",
    "SecResponseBodyAccess",
    "SecRuleEngine",
    "SecStatusEngine",
];
/// What stands before the version in the rule set's set-up.
const RULE_SET_VERSION: &str = "OWASP ModSecurity Core Rule Set ver.";

impl Foreign {
    /// nginx as a plain proxy before `upstream`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn nginx(peers: &Installed, upstream: SocketAddr) -> Result<Self, Failed> {
        let root = std::fs::canonicalize(installed(peers, NGINX)?)?;
        let place = Place::new()?;
        let text = proxy(&place, upstream, "", "")?;
        let subject = format!("{NGINX} {}", version(&root).await?);
        let command = command(&root, &place, &text)?;
        Self::start(command, place, subject).await
    }

    /// nginx with ModSecurity, the recommended configuration in blocking mode and the whole Core Rule Set, before `upstream`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn modsecurity(peers: &Installed, upstream: SocketAddr) -> Result<Self, Failed> {
        let root = std::fs::canonicalize(installed(peers, MODSECURITY)?)?;
        let place = Place::new()?;
        let rules = place.write("rules.conf", &rules(&root, &place.path()?)?)?;
        place.write(
            "unicode.mapping",
            &std::fs::read_to_string(root.join("etc/nginx/unicode.mapping"))?,
        )?;
        let module = root.join("usr/lib/nginx/modules/ngx_http_modsecurity_module.so");
        let text = proxy(
            &place,
            upstream,
            &format!("load_module {};\n", module.display()),
            &format!(
                "    modsecurity on;\n    modsecurity_rules_file {};\n",
                rules.display()
            ),
        )?;
        let subject = format!(
            "{MODSECURITY} {}, CRS {}",
            library_version(&root)?,
            rule_set_version(&root)?
        );
        let command = command(&root, &place, &text)?;
        Self::start(command, place, subject).await
    }
}

/// What stands behind every gateway: answers each request with the same kibibyte, over plain HTTP. A process of its own; dropping it kills it.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it is, for the page.
    pub about: String,
    child: Child,
    _home: tempfile::TempDir,
}

impl Upstream {
    /// nginx with one worker; where it is not installed, this program.
    ///
    /// # Errors
    /// When neither starts.
    pub async fn start(peers: &Installed) -> Result<Self, Failed> {
        std::fs::create_dir_all("target")?;
        let home = tempfile::tempdir_in("target")?;
        let directory = std::fs::canonicalize(home.path())?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(0)?));
        let (mut command, about) = match installed(peers, NGINX) {
            Ok(root) => {
                let root = std::fs::canonicalize(root)?;
                let text = answering(&directory, address);
                std::fs::write(directory.join("nginx.conf"), text)?;
                let about = format!("nginx {}", version(&root).await?);
                (nginx(&root, &directory), about)
            }
            Err(_) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("upstream").arg(address.to_string());
                (command, "a small server on hyper".to_owned())
            }
        };
        let log = std::fs::File::create(directory.join("log"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let started = Self {
            address,
            about,
            child,
            _home: home,
        };
        let ready = async {
            while TcpStream::connect(address).is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(READY_MAX, ready)
            .await
            .map_err(|_| "the upstream was not ready in time")?;
        Ok(started)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(pid) = self.child.id() {
            kill_family(pid);
        }
    }
}

/// The Core Rule Set of the package: its set-up, and the directory with its rules.
///
/// # Errors
/// When it is not installed.
pub fn rule_set(peers: &Installed) -> Result<[PathBuf; 2], Failed> {
    let root = std::fs::canonicalize(installed(peers, MODSECURITY)?)?;
    Ok([
        root.join("etc/modsecurity/crs/crs-setup.conf"),
        root.join("usr/share/modsecurity-crs/rules"),
    ])
}

/// What an upstream answers.
#[must_use]
pub fn answer() -> String {
    "hello "
        .repeat(ANSWER_BYTES)
        .chars()
        .take(ANSWER_BYTES)
        .collect()
}

async fn version(root: &Path) -> Result<String, Failed> {
    let mut version = unpacked(root, "usr/sbin/nginx");
    version.arg("-v");
    version_of(version).await
}

fn nginx(root: &Path, directory: &Path) -> Command {
    let mut command = unpacked(root, "usr/sbin/nginx");
    command
        .arg("-p")
        .arg(directory)
        .arg("-c")
        .arg(directory.join("nginx.conf"))
        .arg("-e")
        .arg("stderr");
    command
}

fn command(root: &Path, place: &Place, text: &str) -> Result<Command, Failed> {
    place.write("nginx.conf", text)?;
    Ok(nginx(root, &place.path()?))
}

/// What every configuration begins with. `user` is there so that a worker of the superuser's can read what the benchmark wrote; for others it means nothing.
fn head(directory: &Path, modules: &str) -> String {
    let directory = directory.display();
    format!(
        "{modules}daemon off;
user root;
worker_processes 1;
pid {directory}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 60s;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
"
    )
}

fn answering(directory: &Path, address: SocketAddr) -> String {
    format!(
        "{}  server {{
    listen {address};
    location / {{ default_type text/plain; return 200 \"{}\"; }}
  }}
}}
",
        head(directory, ""),
        answer()
    )
}

fn proxy(
    place: &Place,
    upstream: SocketAddr,
    modules: &str,
    location: &str,
) -> Result<String, Failed> {
    let (directory, port) = (place.path()?, place.port);
    let head = head(&directory, modules);
    let directory = directory.display();
    Ok(format!(
        "{head}  upstream behind {{
    server {upstream};
    keepalive 128;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {directory}/certificate.pem;
    ssl_certificate_key {directory}/key.pem;
    ssl_protocols TLSv1.3;
    location / {{
{location}      proxy_pass http://behind;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
    }}
  }}
}}
"
    ))
}

/// The recommended configuration but for [`REPLACED`], with the package's set-up of the Core Rule Set and all of its rules.
fn rules(root: &Path, directory: &Path) -> Result<String, Failed> {
    let recommended = std::fs::read_to_string(root.join("etc/nginx/modsecurity.conf"))?;
    let mut text: String = recommended
        .lines()
        .filter(|line| {
            REPLACED
                .iter()
                .all(|setting| line.split(' ').next() != Some(*setting))
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    text.push_str(&format!(
        "SecRuleEngine On\nSecResponseBodyAccess Off\nSecStatusEngine Off\nSecAuditLog {}/audit.log\nInclude {}\n",
        directory.display(),
        root.join("etc/modsecurity/crs/crs-setup.conf").display()
    ));
    let folder = root.join("usr/share/modsecurity-crs/rules");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "conf") {
            files.push(path);
        }
    }
    files.sort();
    for file in files {
        text.push_str(&format!("Include {}\n", file.display()));
    }
    Ok(text)
}

/// The library's version, from its file's name.
fn library_version(root: &Path) -> Result<String, Failed> {
    for entry in std::fs::read_dir(root.join("usr/lib/x86_64-linux-gnu"))? {
        let name = entry?.file_name();
        let version = name
            .to_str()
            .and_then(|name| name.strip_prefix("libmodsecurity.so."));
        if let Some(version) = version.filter(|version| version.contains('.')) {
            return Ok(version.to_owned());
        }
    }
    Err("libmodsecurity is not there".into())
}

/// The rule set's version, from its first line.
fn rule_set_version(root: &Path) -> Result<String, Failed> {
    let file = root.join("etc/modsecurity/crs/crs-setup.conf");
    let text = std::fs::read_to_string(file)?;
    let (_, after) = text
        .split_once(RULE_SET_VERSION)
        .ok_or("the rule set says no version")?;
    Ok(after.split_whitespace().next().unwrap_or("?").to_owned())
}
