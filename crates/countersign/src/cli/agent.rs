//! `agent`: which configuration, and whether it stays.

use clap::Args;
use std::path::PathBuf;

/// Shown below the help.
pub(super) const EXAMPLES: &str = "Examples:
  countersign agent --config /etc/billing/agent
  countersign agent --config /etc/billing/agent --once && exec /usr/bin/billing
  countersign --json agent --config /etc/billing/agent

The configuration is a `countersign.toml` with `[agent]`:

  [agent]
  address = \"https://vault.example:8446\"
  ca = \"ca.pem\"
  [agent.login.jwt]
  role = \"billing\"
  file = \"/var/run/secrets/tokens/vault\"
  [[agent.templates]]
  name = \"database\"
  text = 'PASSWORD={{ secret \"secret/data/billing\" \"password\" | env }}'
  destination = \"/run/billing/database.env\"
  command = [\"/usr/bin/systemctl\", \"reload\", \"billing\"]

SIGHUP takes the configuration up again; SIGTERM takes the agent's token back and ends it.";

/// `agent`
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// The configuration directory.
    #[arg(long, default_value = ".")]
    pub config: PathBuf,
    /// Render everything once and end: 0 if all of it is there, 1 otherwise.
    #[arg(long)]
    pub once: bool,
}
