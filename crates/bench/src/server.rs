//! The real program as a child process, and its own command line for administering it.

use crate::{Failed, cpu};
use countersign_net::tls::TrustRoots;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// What `up --json` prints once every listener is ready.
#[derive(Clone, Deserialize)]
pub struct Addresses {
    /// The issuer of the default tenant.
    pub identity: String,
    /// The gateway.
    pub gateway: String,
    /// Administration and decisions.
    pub control: String,
    /// Metrics and health.
    pub telemetry: String,
    /// The development CA's certificate.
    pub ca: PathBuf,
    /// A root token of the default tenant's vault, where operators hold no shares.
    pub vault_token: Option<String>,
}

/// A running server. Dropping it kills it.
pub struct Server {
    program: PathBuf,
    data: PathBuf,
    child: Child,
    /// Where it listens.
    pub addresses: Addresses,
}

/// The longest that a start may take, a debug build on a busy machine included.
const READY_MAX: Duration = Duration::from_secs(120);

impl Server {
    /// Starts `countersign up` on `data` with the configuration directory `config`; `extra` are further arguments.
    ///
    /// # Errors
    /// When it ends before it is ready or is not ready in time.
    pub async fn start(
        program: &Path,
        data: &Path,
        config: Option<&Path>,
        extra: &[&str],
    ) -> Result<Self, Failed> {
        let mut command = Command::new(program);
        command
            .args(["up", "--json", "--data"])
            .arg(data)
            .args(extra);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(data.with_extension("log"))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = tokio::time::timeout(READY_MAX, lines.next_line()).await??;
        let first = first.ok_or_else(|| {
            format!(
                "the server ended before it was ready; see {}",
                data.with_extension("log").display()
            )
        })?;
        // Whatever else it prints must not fill the pipe and stop it.
        tokio::spawn(async move { while matches!(lines.next_line().await, Ok(Some(_))) {} });
        Ok(Self {
            program: program.to_path_buf(),
            data: data.to_path_buf(),
            child,
            addresses: serde_json::from_str(&first)?,
        })
    }

    /// Runs one of its administrative verbs and returns the JSON that it prints.
    ///
    /// # Errors
    /// When the verb fails.
    pub async fn administer(
        &self,
        words: &[&str],
        input: &str,
    ) -> Result<serde_json::Value, Failed> {
        let mut child = Command::new(&self.program)
            .args(words)
            .arg("--json")
            .arg("--data")
            .arg(&self.data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().ok_or("no standard input")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("countersign {}: {said}", words.join(" ")).into());
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    /// The ids of the last records with a question behind them, the newest first, but for those of asking for one.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn recent_questions(&self, count: u32) -> Result<Vec<String>, Failed> {
        let output = Command::new(&self.program)
            .args(["audit", "tail", "--no-follow", "--json", "--lines"])
            .arg(count.to_string())
            .arg("--data")
            .arg(&self.data)
            .output()
            .await?;
        let lines = String::from_utf8(output.stdout)?;
        let id = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let text = |at: &str| line.pointer(at).and_then(serde_json::Value::as_str);
            text("/record/detail/commitment")?;
            let asks = text("/record/detail/action").is_some_and(|a| a.starts_with("decision."));
            text("/record/id").filter(|_| !asks).map(str::to_owned)
        };
        Ok(lines.lines().rev().filter_map(id).collect())
    }

    /// The authorities that its certificates come from.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn roots(&self) -> Result<TrustRoots, Failed> {
        Ok(TrustRoots::from_pem(&std::fs::read(&self.addresses.ca)?)?)
    }

    /// CPU time so far.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu(&self) -> Result<Duration, Failed> {
        cpu::time_of(self.pid()?)
    }

    /// Resident memory in MiB.
    ///
    /// # Errors
    /// When it is gone.
    pub fn resident_mib(&self) -> Result<f64, Failed> {
        cpu::resident_mib(self.pid()?)
    }

    /// The process.
    ///
    /// # Errors
    /// When it is gone.
    pub fn pid(&self) -> Result<u32, Failed> {
        self.child.id().ok_or_else(|| "the server has ended".into())
    }

    /// `kill -9`, at this very moment.
    ///
    /// # Errors
    /// When it is gone already.
    pub async fn kill(mut self) -> Result<(), Failed> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn stop(mut self) -> Result<(), Failed> {
        let pid = self.pid()?.to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await?;
        let status = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await??;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the server ended with {status}").into())
        }
    }
}
