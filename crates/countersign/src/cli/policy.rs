//! `policy`: what can be done with policies before they decide, and with decisions after they were made.

use clap::{Args, Subcommand};
use std::path::PathBuf;

const TEST_EXAMPLES: &str = r#"Examples:
  countersign policy test orders.toml --config my-config
  countersign policy test tests/*.toml --config my-config --cover 80 --json

A file of cases:

  [context]                                   # what every case says unless it says otherwise
  time = 0

  [entities.alice]
  type = "User"
  id = "alice"
  roles = ["customer"]
  region = "eu"                               # a tag, because people have tags

  [[cases]]
  name = "an owner reads"
  principal = "alice"                         # or { type = "User", id = "alice" }
  action = "read_order"
  resource = { type = "Order", id = "1", owner = "alice", region = "eu" }
  context = { scopes = ["orders.read"] }
  expect = "allow"                            # or "deny"
  policies = ["orders.cedar#owner-in-region"] # those that decide, exactly; may be left out
  # reason = "forbidden"                      # why it is denied; may be left out"#;

/// `policy`
#[derive(Debug, Subcommand)]
pub enum PolicyVerb {
    /// Find policies that are never true, make no difference or are overruled, and actions that nothing permits
    #[command(
        after_help = "Examples:\n  countersign policy analyse my-config\n  countersign policy analyse --json\n\nWithout a directory, the built-in policies. Everything that is found is so for every request; what is not found may still be there: see docs/policies.md."
    )]
    Analyse {
        /// The configuration directory.
        dir: Option<PathBuf>,
    },
    /// Ask policies the cases of a file, and say which policies no case was decided by
    #[command(after_help = TEST_EXAMPLES)]
    Test(PolicyTest),
}

/// `policy test`
#[derive(Debug, Args)]
pub struct PolicyTest {
    /// The files of cases.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The configuration directory whose policies are asked; without it, the built-in ones.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Fail unless the cases are decided by this share of the policies, in percent.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub cover: Option<u8>,
}
