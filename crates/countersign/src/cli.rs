//! The command line: what can be typed, with an example for every verb. What a verb does stands in [`crate::verb`].

mod agent;
mod client;
mod client_key;
mod data;
mod message;
mod policy;
mod webhook;
mod webhook_admin;

pub use agent::AgentArgs;
pub use client::{ClientAdd, ClientEncryption, ClientMethod, ClientSwitches, TlsSubjectText};
pub use client_key::{ClientKeyAdd, ClientKeyVerb};
pub use data::{DataList, DataVerb};
pub use message::{
    AnswerDraft, Answering, MessageAlgorithm, MessageDraft, MessageKey, MessageOpen,
    MessageReceiptCheck, MessageSeal, MessageSign, MessageVerb, MessageVerify, Reading,
    SealAlgorithm,
};
pub use policy::{BundleVerb, PolicyReplay, PolicyTest, PolicyVerb};
pub use webhook::{WebhookListen, WebhookVerb};
pub use webhook_admin::{
    WebhookAdminVerb, WebhookDeliveries, WebhookEndpointAdd, WebhookEndpointChange,
    WebhookEndpointOf, WebhookEndpointPart, WebhookEndpointVerb, WebhookEventTypeVerb,
    WebhookMessages, WebhookOrderName, WebhookPayloadName, WebhookReplay, WebhookSend,
    WebhookSigningName,
};

use clap::{Args, Parser, Subcommand};
use countersign_base::{ClientId, EventId, GrantId, Role, SessionId, Tenant, Username};
use std::path::PathBuf;

/// One program that secures how systems sign in to each other, what they may do, and the data that passes between them.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Begin with:  countersign demo\nThen:        countersign init my-config && countersign up --config my-config"
)]
pub struct Cli {
    /// Print JSON alone on standard output; everything else goes to standard error.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Sign a workload in to the vault and keep its secrets in files fresh
    #[command(after_help = agent::EXAMPLES)]
    Agent(AgentArgs),
    /// Work on the audit log
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Put a data directory into one encrypted file, while the server runs
    #[command(
        after_help = "Examples:\n  countersign backup monday.backup --data /var/lib/countersign\n  countersign backup monday.backup --passphrase-stdin < passphrase.txt"
    )]
    Backup(BackupArgs),
    /// Judge a configuration without starting it
    #[command(after_help = "Example:\n  countersign check my-config")]
    Check {
        /// The configuration directory.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Administer clients
    #[command(subcommand)]
    Client(ClientVerb),
    /// Print shell completions
    #[command(
        after_help = "Example:\n  countersign completions bash > /etc/bash_completion.d/countersign"
    )]
    Completions {
        /// The shell to complete for.
        shell: clap_complete::Shell,
    },
    /// Show which data are classified, where they are and how they go
    #[command(subcommand)]
    Data(DataVerb),
    /// Run the practice exercise over real TLS sockets and print the checklist
    #[command(after_help = "Examples:\n  countersign demo\n  countersign demo --exit --json")]
    Demo(DemoArgs),
    /// Administer grants
    #[command(subcommand)]
    Grant(GrantVerb),
    /// Write a commented starter configuration
    #[command(
        after_help = "Example:\n  countersign init my-config && countersign up --config my-config"
    )]
    Init {
        /// The directory to make; it must not hold a configuration yet.
        dir: PathBuf,
    },
    /// Administer keys
    #[command(subcommand)]
    Key(KeyVerb),
    /// Print the manual page
    #[command(after_help = "Example:\n  countersign man | man -l -")]
    Man,
    /// Sign, seal, verify and open messages between partners, and check receipts of them
    #[command(subcommand)]
    Message(MessageVerb),
    /// Test policies and look for mistakes in them
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// Make a data directory of a backup
    #[command(
        after_help = "Example:\n  countersign restore monday.backup --data /var/lib/countersign --keys /media/keys"
    )]
    Restore(RestoreArgs),
    /// Run one role of the fabric in a process of its own
    #[command(subcommand)]
    Serve(ServeVerb),
    /// Administer sign-ins
    #[command(subcommand)]
    Session(SessionVerb),
    /// Administer what is kept about people
    #[command(subcommand)]
    Subject(SubjectVerb),
    /// Run the whole fabric in one process
    #[command(
        after_help = "Examples:\n  countersign up\n  countersign up --config my-config --data /var/lib/countersign\n  countersign up --ephemeral --json"
    )]
    Up(UpArgs),
    /// Administer people
    #[command(subcommand)]
    User(UserVerb),
    /// Administer webhooks, publish them, and see what became of them
    #[command(subcommand)]
    Webhook(WebhookVerb),
}

/// `serve`
#[derive(Debug, Subcommand)]
pub enum ServeVerb {
    /// The proxy through which workloads reach anything outside
    #[command(
        after_help = "Examples:\n  countersign serve egress --config my-config --data /var/lib/countersign-egress\n  countersign serve egress --config my-config --store postgres://db/countersign"
    )]
    Egress(UpArgs),
}

/// `up`
#[derive(Debug, Args)]
pub struct UpArgs {
    /// The configuration directory; without it, the starter configuration.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// The data directory.
    #[arg(long, default_value = "countersign-data")]
    pub data: PathBuf,
    /// The database: `sqlite:PATH` or `postgres://...`. Prefer a reference in the configuration for a URL with a password.
    #[arg(long)]
    pub store: Option<String>,
    /// Take a free port for every listener.
    #[arg(long)]
    pub ephemeral: bool,
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Leave after the checklist instead of staying up.
    #[arg(long)]
    pub exit: bool,
    /// Keep the data here instead of in a temporary directory; it must be empty or absent.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Keep billing's cards in this PostgreSQL instead of the exercise's own database, by the URL of a superuser: a role and a schema are made there, and taken away at the end.
    #[arg(long, value_name = "URL")]
    pub postgres: Option<url::Url>,
}

/// Which running process to talk to.
#[derive(Debug, Args)]
pub struct Target {
    /// The data directory of the running process, which holds the administrator's credential.
    #[arg(long, default_value = "countersign-data")]
    pub data: PathBuf,
    /// The tenant to administer.
    #[arg(long, default_value = "default")]
    pub tenant: Tenant,
}

/// `audit`
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Print one event's inclusion proof; works on the files alone
    #[command(after_help = "Example:\n  countersign audit prove 6f1c0c0de1f0b3a7a2c1d4e5f6a7b8c9")]
    Prove {
        /// The event.
        event: EventId,
        /// The data directory.
        #[arg(long, default_value = "countersign-data")]
        data: PathBuf,
    },
    /// Follow the log of a running process
    #[command(after_help = "Example:\n  countersign audit tail --data /var/lib/countersign")]
    Tail(TailArgs),
    /// Verify every record, tile, checkpoint and journal; works on the files alone
    #[command(after_help = "Example:\n  countersign audit verify --data /var/lib/countersign")]
    Verify {
        /// The data directory.
        #[arg(long, default_value = "countersign-data")]
        data: PathBuf,
    },
}

/// `audit tail`
#[derive(Debug, Args)]
pub struct TailArgs {
    /// The data directory.
    #[arg(long, default_value = "countersign-data")]
    pub data: PathBuf,
    /// Begin with this many of the records that are there already.
    #[arg(long, default_value_t = 10)]
    pub lines: u64,
    /// End after the records that are there.
    #[arg(long)]
    pub no_follow: bool,
}

/// `client`
#[derive(Debug, Subcommand)]
pub enum ClientVerb {
    /// Register a client
    #[command(after_help = client::EXAMPLES)]
    Add(Box<ClientAdd>),
    /// Administer API keys, for partners who can show nothing better
    #[command(subcommand)]
    Key(ClientKeyVerb),
    /// Make a token with which somebody registers one client themselves (RFC 7591)
    #[command(
        after_help = "Example:\n  countersign client registration-token --expires-in 3600 --tenant demo"
    )]
    RegistrationToken {
        /// Seconds that it is good, a day unless you say otherwise.
        #[arg(long)]
        expires_in: Option<u64>,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
    /// Disable a client: its tokens, and those in which it acts, end at once
    #[command(after_help = "Example:\n  countersign client disable reports")]
    Disable {
        /// The client's identifier.
        id: ClientId,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
}

/// `grant`
#[derive(Debug, Subcommand)]
pub enum GrantVerb {
    /// Show a grant and the tree of what was exchanged under it
    #[command(after_help = "Example:\n  countersign grant show 00c0ffee00c0ffee --json")]
    Show {
        /// The grant, as tokens name it in `grant_id`.
        id: GrantId,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
    /// Revoke a grant with every token that came of it
    #[command(
        after_help = "Examples:\n  countersign grant revoke 00c0ffee00c0ffee\n  countersign grant revoke 00c0ffee00c0ffee --of-client"
    )]
    Revoke {
        /// The grant, as tokens name it in `grant_id`.
        id: GrantId,
        /// It is a client's own (client_credentials). Such a grant is not kept, so one that never was is revoked like any other.
        #[arg(long)]
        of_client: bool,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
}

/// `key`
#[derive(Debug, Subcommand)]
pub enum KeyVerb {
    /// Make the next signing key the current one, now, or another kind of key a version more
    #[command(
        after_help = "Example:\n  countersign key rotate --tenant demo\n  countersign key rotate --kind key-encryption"
    )]
    Rotate {
        /// Which key.
        #[arg(long, value_enum, default_value_t = KeyKind::Signing)]
        kind: KeyKind,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
    /// Show the versions of keys that encrypt, and how far a rotation is
    #[command(after_help = "Example:\n  countersign key status --json")]
    Status {
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
}

/// A kind of key that rotates on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyKind {
    /// The tenant's: it seals the vault.
    Data,
    /// The installation's: it wraps all others.
    KeyEncryption,
    /// The installation's: it wraps the one that wraps all others.
    Root,
    /// The tenant's: they sign tokens.
    Signing,
}

/// `session`
#[derive(Debug, Subcommand)]
pub enum SessionVerb {
    /// End a sign-in with every grant and token that came of it
    #[command(after_help = "Example:\n  countersign session end 00c0ffee00c0ffee")]
    End {
        /// The sign-in, as `session list` and the claim `sid` name it.
        id: SessionId,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
    /// Show where a person is signed in
    #[command(after_help = "Example:\n  countersign session list alice --json")]
    List {
        /// What they type into the field "Username".
        name: Username,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
}

/// `backup`
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to make; it must not be there yet.
    pub file: PathBuf,
    /// The data directory.
    #[arg(long, default_value = "countersign-data")]
    pub data: PathBuf,
    /// Encrypt it for a passphrase, read from standard input, instead of for the root key in the data directory.
    #[arg(long)]
    pub passphrase_stdin: bool,
}

/// `restore`
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup.
    pub file: PathBuf,
    /// The data directory to make; it must be absent or empty.
    #[arg(long)]
    pub data: PathBuf,
    /// The directory with the keys that were kept apart: `root.key` and `epochs`.
    #[arg(long)]
    pub keys: Option<PathBuf>,
    /// Read the passphrase that it was made with from standard input.
    #[arg(long)]
    pub passphrase_stdin: bool,
}

/// `subject`
#[derive(Debug, Subcommand)]
pub enum SubjectVerb {
    /// Erase a person for good: their key, and with it everything sealed under it, their record, sign-ins, grants and tokens
    #[command(
        after_help = "Examples:\n  countersign subject erase alice\n  countersign subject erase 6f1c0c0de1f0b3a7a2c1d4e5f6a7b8c9 --tenant demo --json"
    )]
    Erase {
        /// What they type into the field "Username", or their id as the claim `sub` names it.
        who: String,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
}

/// `user`
#[derive(Debug, Subcommand)]
pub enum UserVerb {
    /// Add a person
    #[command(
        after_help = "Examples:\n  countersign user add alice --password-stdin --role owner --attribute region=eu < password.txt\n  countersign user add bob --password-hash-stdin < hash.txt"
    )]
    Add(UserAdd),
    /// Disable a person: sessions, grants and tokens end at once
    #[command(after_help = "Example:\n  countersign user disable alice")]
    Disable {
        /// What they type into the field "Username".
        name: Username,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
}

/// `user add`
#[derive(Debug, Args)]
pub struct UserAdd {
    /// What they type into the field "Username".
    pub name: Username,
    /// Read the password from standard input. It is never an argument.
    #[arg(
        long,
        required_unless_present = "password_hash_stdin",
        conflicts_with = "password_hash_stdin"
    )]
    pub password_stdin: bool,
    /// Read the hash of their password from standard input, as another system kept it: Argon2id, bcrypt or PBKDF2. Their next sign-in replaces a weaker one.
    #[arg(long)]
    pub password_hash_stdin: bool,
    /// A role; repeat for more.
    #[arg(long = "role")]
    pub roles: Vec<Role>,
    /// An attribute that policies may ask for; repeat for more.
    #[arg(long = "attribute", value_parser = parse_attribute)]
    pub attributes: Vec<(String, String)>,
    /// The process to talk to.
    #[command(flatten)]
    pub target: Target,
}

fn parse_attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("expected NAME=VALUE, such as region=eu".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_an_example() {
        fn leaves(command: &clap::Command, path: &str, missing: &mut Vec<String>) {
            let path = format!("{path} {}", command.get_name());
            if command.has_subcommands() {
                command
                    .get_subcommands()
                    .for_each(|sub| leaves(sub, &path, missing));
            } else if !command
                .get_after_help()
                .is_some_and(|help| help.to_string().contains("Example"))
            {
                missing.push(path);
            }
        }
        let mut missing = Vec::new();
        leaves(&Cli::command(), "", &mut missing);
        assert_eq!(missing, Vec::<String>::new());
    }
}
