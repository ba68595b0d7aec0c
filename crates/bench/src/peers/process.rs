//! A server by others as a child process behind TLS on loopback: how it is started, watched and ended.

use super::{certificate, free_port};
use crate::clients::now;
use crate::load::Destination;
use crate::running::Running;
use crate::{Failed, cpu};
use countersign_crypto::random::Random;
use countersign_net::tls::TrustRoots;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// The longest that a start may take.
const READY_MAX: Duration = Duration::from_secs(20);
/// Bytes of what it said last, for the report.
const SAID_MAX: usize = 600;

/// A directory with `key.pem`, `certificate.pem` (P-256, for `localhost`) and `both.pem`, and a port.
pub struct Place {
    home: tempfile::TempDir,
    roots: TrustRoots,
    /// Where the server listens.
    pub port: u16,
}

impl Place {
    /// A fresh one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new() -> Result<Self, Failed> {
        std::fs::create_dir_all("target")?;
        let home = tempfile::tempdir_in("target")?;
        let roots = certificate(home.path(), &Random::system(), now())?;
        let read = |name: &str| std::fs::read_to_string(home.path().join(name));
        let both = read("certificate.pem")? + &read("key.pem")?;
        std::fs::write(home.path().join("both.pem"), both)?;
        let port = free_port(0)?;
        Ok(Self { home, roots, port })
    }

    /// Its directory, from the root.
    ///
    /// # Errors
    /// When it is gone.
    pub fn path(&self) -> Result<PathBuf, Failed> {
        Ok(std::fs::canonicalize(self.home.path())?)
    }

    /// Writes a file and gives its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf, Failed> {
        let path = self.path()?.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, content)?;
        Ok(path)
    }
}

/// A running server. Dropping it kills it with all that it started.
pub struct Foreign {
    child: Child,
    place: Place,
    origin: String,
    subject: String,
}

impl Foreign {
    /// Starts `command` and waits until it speaks TLS on the place's port.
    ///
    /// # Errors
    /// When it ends before, with what it said, or is not ready in time.
    pub async fn start(
        mut command: Command,
        place: Place,
        subject: String,
    ) -> Result<Self, Failed> {
        let log = place.path()?.join("log");
        let output = std::fs::File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()?;
        let mut started = Self {
            child,
            origin: format!("https://localhost:{}", place.port),
            place,
            subject,
        };
        let destination = started.destination()?;
        let ready = async {
            while destination.connect().await.is_err() {
                if let Some(status) = started.child.try_wait()? {
                    return Err(Failed::from(format!("it ended with {status}")));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        let ready = tokio::time::timeout(READY_MAX, ready).await;
        match ready.unwrap_or_else(|_| Err("it was not ready in time".into())) {
            Ok(()) => Ok(started),
            Err(problem) => Err(format!("{problem}: {}", last_said(&log)).into()),
        }
    }
}

/// The end of a log, as one line.
fn last_said(log: &Path) -> String {
    let said = std::fs::read(log).unwrap_or_default();
    let last = said.len().saturating_sub(SAID_MAX);
    let last = String::from_utf8_lossy(said.get(last..).unwrap_or_default());
    last.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Running for Foreign {
    fn pid(&self) -> Result<u32, Failed> {
        self.child.id().ok_or_else(|| "the peer has ended".into())
    }

    fn destination(&self) -> Result<Destination, Failed> {
        Destination::new(&self.origin, &self.place.roots)
    }

    fn subject(&self) -> String {
        self.subject.clone()
    }

    fn issuer(&self) -> String {
        self.origin.clone()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(pid) = self.child.id() {
            kill_family(pid);
        }
    }
}

/// `kill -9` for a server and its workers, which its own end does not end.
pub(super) fn kill_family(pid: u32) {
    let mut family = cpu::descendants_of(pid).unwrap_or_default();
    family.insert(0, pid);
    // Who has ended already needs no end.
    let _ended = std::process::Command::new("kill")
        .arg("-KILL")
        .args(family.iter().map(ToString::to_string))
        .stderr(Stdio::null())
        .status();
}

/// What a program says of its version: the first word, between spaces or slashes, that is numbers with a dot between; a package's revision is left out.
pub(super) fn version_in(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    said.split(|separator: char| separator.is_whitespace() || separator == '/')
        .map(|word| word.trim_start_matches('v'))
        .filter(|word| word.contains('.'))
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
        .and_then(|word| word.split('-').next())
        .unwrap_or("of unknown version")
        .to_owned()
}

/// The same of a program that is asked.
///
/// # Errors
/// When it cannot be started.
pub(super) async fn version_of(mut command: Command) -> Result<String, Failed> {
    let said = command.output().await?;
    Ok(version_in(&[said.stdout, said.stderr].concat()))
}

/// A program of packages that were unpacked below `root`, with the libraries of the same.
pub(super) fn unpacked(root: &Path, program: &str) -> Command {
    let mut command = Command::new(root.join(program));
    command.env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"));
    command
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn the_version_is_found_in_what_it_says() {
        for (said, version) in [
            ("2.7.5\n", "2.7.5"),
            ("Glewlwyd v2.7.5 (c)", "2.7.5"),
            (
                "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/",
                "2.6.12",
            ),
            ("nginx version: nginx/1.22.1", "1.22.1"),
            (
                "envoy  version: 9e5580933739/1.40.0/Clean/RELEASE/BoringSSL",
                "1.40.0",
            ),
            ("", "of unknown version"),
        ] {
            assert_eq!(version_in(said.as_bytes()), version);
        }
    }
}
