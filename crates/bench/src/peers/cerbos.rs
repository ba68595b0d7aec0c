//! Cerbos (npm `@cerbos/cerbos-linux-x64`): one process in Go on one thread, its policies in a directory. It answers `AuthZEN` requests.

use super::process::{Place, version_of};
use super::{Foreign, Installed, free_port, installed};
use crate::Failed;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tokio::process::Command;

/// Its name in the results.
pub const CERBOS: &str = "cerbos";
/// Where its package keeps the program.
const PROGRAM: &str = "node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64";
/// Not the program itself: who may run a package's file is its installer's to say, and it says nobody.
const RUNNABLE: u32 = 0o755;

/// One rule for a resource: these roles may, where the resource's region is this, or the principal's own.
#[derive(Debug, Clone)]
pub struct CerbosRule {
    /// The resource's kind.
    pub resource: String,
    /// The action.
    pub action: String,
    /// Who may.
    pub role: String,
    /// In which region; without one, in their own.
    pub region: Option<String>,
}

impl Foreign {
    /// Cerbos with these rules.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn cerbos(peers: &Installed, rules: &[CerbosRule]) -> Result<Self, Failed> {
        let program = std::fs::canonicalize(installed(peers, CERBOS)?)?.join(PROGRAM);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(RUNNABLE))?;
        let place = Place::new()?;
        write_policies(&place, rules)?;
        let directory = place.path()?;
        let configuration = json!({
            "server": {
                "httpListenAddr": format!("127.0.0.1:{}", place.port),
                "grpcListenAddr": format!("127.0.0.1:{}", free_port(place.port)?),
                "tls": {"cert": directory.join("certificate.pem"), "key": directory.join("key.pem")},
            },
            "storage": {"driver": "disk", "disk": {"directory": directory.join("policies"), "watchForChanges": false}},
            "telemetry": {"disabled": true},
        });
        let file = place.write("cerbos.json", &configuration.to_string())?;
        let subject = format!(
            "{CERBOS} {}",
            version_of(asked(&program, "--version")).await?
        );
        let mut command = asked(&program, "server");
        command.arg(format!("--config={}", file.display()));
        command.arg("--log-level=error");
        Self::start(command, place, subject).await
    }
}

fn asked(program: &Path, word: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("GOMAXPROCS", "1")
        .env("CERBOS_NO_TELEMETRY", "1")
        .arg(word);
    command
}

/// One policy a kind of resource.
fn write_policies(place: &Place, rules: &[CerbosRule]) -> Result<(), Failed> {
    let mut kinds: Vec<&str> = rules.iter().map(|rule| rule.resource.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let of_kind = rules.iter().filter(|rule| rule.resource == kind);
        let of_kind = of_kind.map(|rule| {
            let region = match &rule.region {
                None => "request.principal.attr.region".to_owned(),
                Some(region) => json!(region).to_string(),
            };
            json!({
                "actions": [rule.action], "effect": "EFFECT_ALLOW", "roles": [rule.role],
                "condition": {"match": {"expr": format!("request.resource.attr.region == {region}")}},
            })
        });
        let policy = json!({
            "apiVersion": "api.cerbos.dev/v1",
            "resourcePolicy": {"version": "default", "resource": kind, "rules": of_kind.collect::<Vec<_>>()},
        });
        place.write(&format!("policies/{kind}.json"), &policy.to_string())?;
    }
    Ok(())
}
