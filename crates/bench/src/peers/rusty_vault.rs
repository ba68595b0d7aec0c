//! RustyVault (crates.io): one process, its store files below a directory, its own defaults.
//!
//! Its KV version 1 takes part alone: version 2 and transit do not work.

use super::process::{Place, version_of};
use super::{Foreign, Installed, installed};
use crate::Failed;
use std::path::Path;
use tokio::process::Command;

/// Its name in the results.
pub const RUSTY_VAULT: &str = "rustyvault";

impl Foreign {
    /// RustyVault on a fresh directory, sealed as it begins.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn rusty_vault(peers: &Installed) -> Result<Self, Failed> {
        let program = std::fs::canonicalize(installed(peers, RUSTY_VAULT)?)?.join("bin/rvault");
        let place = Place::new()?;
        let home = place.path()?;
        let file = place.write("rvault.hcl", &configuration(place.port, &home))?;
        let mut version = Command::new(&program);
        version.arg("--version");
        let subject = format!("{RUSTY_VAULT} {}", version_of(version).await?);
        let mut command = Command::new(&program);
        command.arg("server").arg("--config").arg(file);
        Self::start(command, place, subject).await
    }
}

fn configuration(port: u16, home: &Path) -> String {
    let home = home.display();
    format!(
        r#"storage "file" {{
  path = "{home}/store"
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = false
  tls_cert_file = "{home}/certificate.pem"
  tls_key_file = "{home}/key.pem"
  tls_disable_client_certs = true
}}
work_dir = "{home}/work"
daemon = false
log_level = "error"
"#
    )
}
