//! `policy`: what can be done with policies before they decide, and with decisions after they were made.

use super::Target;
use clap::{Args, Subcommand};
use countersign_base::EventId;
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
    /// Sign policies as one file that a configuration demands, and look at such a file
    #[command(subcommand)]
    Bundle(BundleVerb),
    /// Find policies that are never true, make no difference or are overruled, and actions that nothing permits
    #[command(
        after_help = "Examples:\n  countersign policy analyse my-config\n  countersign policy analyse --json\n\nWithout a directory, the built-in policies. Everything that is found is so for every request; what is not found may still be there: see docs/policies.md."
    )]
    Analyse {
        /// The configuration directory.
        dir: Option<PathBuf>,
    },
    /// Say why a recorded decision came out as it did: what was asked, which policies decided, and what those of now say
    #[command(
        after_help = "Example:\n  countersign policy explain 6f1c0c0de1f0b3a7a2c1d4e5f6a7b8c9 --tenant demo\n\nThe event is the `decision_id` of an answer, the field Countersign-Decision at an upstream, or the id that `audit tail` shows. Questions are kept for thirty days unless the configuration says otherwise."
    )]
    Explain {
        /// The audit event of the decision.
        event: EventId,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
    /// Ask other policies what was decided before, and show what they would decide otherwise
    #[command(
        after_help = "Examples:\n  countersign policy replay --config my-config-next --tenant demo\n  countersign policy replay --config my-config-next --last 10000 --json\n\nExits 1 if a decision would differ. The questions stay in the running process; only answers come back."
    )]
    Replay(PolicyReplay),
    /// Ask policies the cases of a file, and say which policies no case was decided by
    #[command(after_help = TEST_EXAMPLES)]
    Test(PolicyTest),
}

/// `policy bundle`
#[derive(Debug, Subcommand)]
pub enum BundleVerb {
    /// Sign the policies and schemas of a directory, with the built-in policies that it does not replace
    #[command(
        after_help = "Example:\n  countersign policy bundle build policies --key signer.key --bundle-version 7 --out policies.bundle"
    )]
    Build {
        /// The directory of `*.cedar` and `*.cedarschema` files.
        dir: PathBuf,
        /// The private key, as `policy bundle key` wrote it.
        #[arg(long)]
        key: PathBuf,
        /// The version; a process that used a higher one refuses it.
        #[arg(long = "bundle-version", id = "bundle_version", value_name = "NUMBER")]
        version: u64,
        /// For how many days it is for use, from now on.
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
        days: u16,
        /// The file to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Make a key that signs bundles: the private half in a new file, the public half to be pinned in `policies.signers`
    #[command(after_help = "Example:\n  countersign policy bundle key signer.key")]
    Key {
        /// The file to write.
        out: PathBuf,
    },
    /// Say whether a bundle would be taken, and show its version, its time and the digest that decisions name
    #[command(
        after_help = "Example:\n  countersign policy bundle verify policies.bundle --signer PUBLIC_KEY"
    )]
    Verify {
        /// The bundle.
        file: PathBuf,
        /// A public key that is believed.
        #[arg(long = "signer", required = true)]
        signers: Vec<String>,
    },
}

/// `policy replay`
#[derive(Debug, Args)]
pub struct PolicyReplay {
    /// The configuration directory whose policies are asked; without it, those that the process runs.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// How many of the last decisions are asked again.
    #[arg(long, default_value_t = 1000)]
    pub last: usize,
    /// The process to talk to.
    #[command(flatten)]
    pub target: Target,
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
    /// Fail unless the cases show this share of the values of `when` and `unless` clauses, each of which can be true and false, in percent.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub cover_clauses: Option<u8>,
}
