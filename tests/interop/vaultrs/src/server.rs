//! A server process, clients of its vault, and the PostgreSQL that is looked into with `psql`.

use crate::checks::{Failure, must};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use vaultrs::api::token::requests::CreateTokenRequest;
use vaultrs::client::{Client as _, VaultClient, VaultClientSettingsBuilder};

/// A running `countersign up --ephemeral`.
pub struct Server {
    child: Child,
    home: PathBuf,
    control: String,
    ca: String,
    token: String,
}

impl Server {
    pub fn start() -> Result<Self, Failure> {
        let program = std::env::var("COUNTERSIGN_BIN")?;
        let home = std::env::temp_dir().join(format!("countersign-vaultrs-{}", std::process::id()));
        std::fs::create_dir_all(&home)?;
        let mut child = Command::new(program)
            .args(["up", "--ephemeral", "--json", "--data"])
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
            control: String::new(),
            ca: String::new(),
            token: String::new(),
        };
        let addresses: serde_json::Value = serde_json::from_str(&first)?;
        let text = |name: &str| addresses[name].as_str().unwrap_or_default().to_owned();
        server.control = text("control");
        server.ca = text("ca");
        server.token = text("vault_token");
        Ok(server)
    }

    /// A client with a token; the empty one is none.
    pub fn client(&self, token: &str) -> Result<VaultClient, Failure> {
        let settings = VaultClientSettingsBuilder::default()
            .address(&self.control)
            .ca_certs(vec![self.ca.clone()])
            .token(token)
            .verify(true)
            .build()?;
        Ok(VaultClient::new(settings)?)
    }

    pub fn root(&self) -> Result<VaultClient, Failure> {
        self.client(&self.token)
    }

    /// A client whose token has one policy.
    pub async fn limited(&self, name: &str, rules: &str) -> Result<VaultClient, Failure> {
        let root = self.root()?;
        vaultrs::sys::policy::set(&root, name, rules).await?;
        let mut request = CreateTokenRequest::builder();
        request.policies(vec![name.to_owned()]);
        let made = vaultrs::token::new(&root, Some(&mut request)).await?;
        self.client(&made.client_token)
    }

    /// Whether a token is good.
    pub async fn lives(&self, token: &str) -> Result<bool, Failure> {
        let found = self.client(token)?.lookup().await;
        match found {
            Ok(_) => Ok(true),
            Err(error) if crate::checks::status(&error) == Some(403) => Ok(false),
            Err(error) => Err(error.into()),
        }
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

/// A real PostgreSQL, by its address with a superuser's name and password.
pub struct Database {
    url: String,
    place: String,
}

impl Database {
    pub fn new(url: String) -> Result<Self, Failure> {
        let (_, place) = url.rsplit_once('@').ok_or("POSTGRES_URL names nobody")?;
        let place = place.to_owned();
        Ok(Self { url, place })
    }

    /// The address for somebody else; nothing in it is escaped, so that it may be a template.
    pub fn url_for(&self, user: &str, password: &str) -> String {
        format!("postgresql://{user}:{password}@{}", self.place)
    }

    fn psql(url: &str, statement: &str) -> Result<Output, Failure> {
        let program = std::env::var("PSQL_BIN").unwrap_or_else(|_| "psql".to_owned());
        let words = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"];
        let mut command = Command::new(program);
        command.args(words).args([url, "-c", statement]);
        Ok(command.stdin(Stdio::null()).output()?)
    }

    pub fn run(&self, statement: &str) -> Result<String, Failure> {
        let done = Self::psql(&self.url, statement)?;
        must(
            done.status.success(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )?;
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    pub fn has_role(&self, name: &str) -> Result<bool, Failure> {
        let count = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{name}'");
        Ok(self.run(&count)? == "1")
    }

    pub fn signs_in(&self, user: &str, password: &str) -> Result<bool, Failure> {
        let done = Self::psql(&self.url_for(user, password), "SELECT 1")?;
        Ok(done.status.success())
    }
}
