//! The process of the receivers, as the crash test starts and kills it.

use super::journal::{self, Taken};
use super::receiver::{JOURNAL, SECRETS};
use crate::{Failed, tls_receiver};
use serde_json::{Value as Json, json};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The longest that a start may take.
const READY_MAX: Duration = Duration::from_secs(30);

/// Where the receivers live: their directory and their address, over all their lives.
#[derive(Debug, Clone)]
pub(super) struct Receivers {
    directory: PathBuf,
    address: SocketAddr,
}

impl Receivers {
    /// A new directory with certificate and secrets below `home`, and a free address.
    pub(super) fn prepare(home: &Path) -> Result<(Self, PathBuf), Failed> {
        let directory = home.join("receivers");
        std::fs::create_dir_all(&directory)?;
        let authority = tls_receiver::certified(&directory)?;
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        Ok((Self { directory, address }, authority))
    }

    /// The address of a place.
    pub(super) fn url(&self, place: &str) -> String {
        format!("https://localhost:{}{place}", self.address.port())
    }

    /// Tells the receivers the secret of a place.
    pub(super) fn knows(&self, place: &str, secret: &str) -> Result<(), Failed> {
        let path = self.directory.join(SECRETS);
        let mut secrets: Json = match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)?,
            Err(_) => json!({}),
        };
        if let Some(secrets) = secrets.as_object_mut() {
            secrets.insert(place.to_owned(), json!(secret));
        }
        let next = path.with_extension("next");
        std::fs::write(&next, secrets.to_string())?;
        Ok(std::fs::rename(next, path)?)
    }

    /// All that was taken in so far.
    pub(super) fn taken(&self) -> Result<Vec<Taken>, Failed> {
        journal::read(&self.directory.join(JOURNAL))
    }

    /// Starts the process. It ends with this one.
    pub(super) async fn start(&self) -> Result<Child, Failed> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("webhook-receivers")
            .arg(self.address.to_string())
            .arg(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = tokio::time::timeout(READY_MAX, lines.next_line()).await??;
        first.ok_or("the receivers ended before they were ready")?;
        Ok(child)
    }

    /// Kills it and starts it again, after a while.
    pub(super) async fn fall(&self, mut child: Child, away: Duration) -> Result<Child, Failed> {
        child.kill().await?;
        tokio::time::sleep(away).await;
        self.start().await
    }
}
