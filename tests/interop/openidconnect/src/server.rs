//! A server process with a configuration of its own, and connections to it.

use openidconnect::{HttpRequest, HttpResponse};
use std::cell::RefCell;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

pub const PASSWORD: &str = "correct horse battery staple";
pub const SECRET: &str = "a secret of the portal with enough length";
pub const CALLBACK: &str = "https://portal.example/callback";
pub const AUDIENCE: &str = "https://orders.example";

const CONFIGURATION: &str = r#"
[[users]]
name = "alice"
password = { file = "alice.password" }
profile = { given_name = "Alice" }

[[clients]]
id = "portal"
secret = { file = "portal.secret" }
grants = ["authorization_code", "refresh_token"]
redirect_uris = ["https://portal.example/callback"]
scopes = ["openid", "profile", "orders:read"]
audiences = ["https://orders.example"]
consent = "implied"

[[clients]]
id = "phone"
grants = ["authorization_code", "refresh_token"]
redirect_uris = ["https://portal.example/callback"]
scopes = ["openid", "orders:read"]
audiences = ["https://orders.example"]
"#;

pub type Failure = Box<dyn std::error::Error>;

/// A running `countersign up --ephemeral`.
pub struct Server {
    child: Child,
    home: PathBuf,
    pub issuer: String,
    ca: Vec<u8>,
}

impl Server {
    pub fn start() -> Result<Self, Failure> {
        let program = std::env::var("COUNTERSIGN_BIN")?;
        let home = std::env::temp_dir().join(format!("countersign-interop-{}", std::process::id()));
        let config = home.join("config");
        std::fs::create_dir_all(&config)?;
        std::fs::write(config.join("countersign.toml"), CONFIGURATION)?;
        std::fs::write(config.join("alice.password"), PASSWORD)?;
        std::fs::write(config.join("portal.secret"), SECRET)?;
        let mut child = Command::new(program)
            .args(["up", "--ephemeral", "--json", "--config"])
            .arg(&config)
            .arg("--data")
            .arg(home.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut first = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut first)?;
        }
        let mut server = Self {
            child,
            home,
            issuer: String::new(),
            ca: Vec::new(),
        };
        let addresses: serde_json::Value = serde_json::from_str(&first)?;
        let text = |name: &str| addresses[name].as_str().unwrap_or_default().to_owned();
        server.issuer = text("identity");
        server.ca = std::fs::read(text("ca"))?;
        Ok(server)
    }

    pub fn connect(&self) -> Result<Http, Failure> {
        let roots = RootCerts::Specific(Arc::new(vec![Certificate::from_pem(&self.ca)?]));
        let agent = ureq::Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build()
            .new_agent();
        Ok(Http {
            agent,
            tamper: RefCell::new(None),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked first, as an operator does; what does not listen is killed.
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _killed = self.child.kill();
        }
        let _ended = self.child.wait();
        let _removed = std::fs::remove_dir_all(&self.home);
    }
}

type Tamper = Box<dyn Fn(&str, String) -> String>;

/// Connections that follow no redirect; answers can be changed on their way.
pub struct Http {
    agent: ureq::Agent,
    tamper: RefCell<Option<Tamper>>,
}

impl Http {
    pub fn send(&self, request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
        let path = request.uri().path().to_owned();
        let (parts, mut body) = self.agent.run(request)?.into_parts();
        let mut text = body.read_to_string()?;
        if let Some(tamper) = self.tamper.borrow().as_ref() {
            text = tamper(&path, text);
        }
        Ok(HttpResponse::from_parts(parts, text.into_bytes()))
    }

    /// Changes what comes from addresses that end with `path`, for the time of `body`.
    pub fn tampering<T>(
        &self,
        path: &'static str,
        change: impl Fn(String) -> String + 'static,
        body: impl FnOnce() -> T,
    ) -> T {
        *self.tamper.borrow_mut() = Some(Box::new(move |at, text| {
            if at.ends_with(path) {
                change(text)
            } else {
                text
            }
        }));
        let result = body();
        *self.tamper.borrow_mut() = None;
        result
    }
}
