//! `client key`: API keys, for partners who can show nothing better.

use super::Target;
use clap::{Args, Subcommand};
use countersign_base::{AddressBlock, Audience, Bounded, ClientId, GrantId, Scope};

/// `client key`
#[derive(Debug, Subcommand)]
pub enum ClientKeyVerb {
    /// Make a key; it is shown once
    #[command(
        after_help = "Examples:\n  countersign client key add partner --name \"night batch\" --audience https://orders.example.com --scope orders.read --network 192.0.2.0/24 --days 30\n  countersign client key add partner --name \"night batch\" --audience https://orders.example.com --scope orders.read --replaces 00c0ffee00c0ffee --overlap-hours 48"
    )]
    Add(ClientKeyAdd),
    /// Show the keys of a client, with the day of their last use
    #[command(after_help = "Example:\n  countersign client key list partner --json")]
    List {
        /// The client's identifier.
        client: ClientId,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
    /// Revoke a key: it counts nowhere from now on
    #[command(after_help = "Example:\n  countersign client key revoke 00c0ffee00c0ffee")]
    Revoke {
        /// The key's id: the 16 digits behind `csk_`.
        id: GrantId,
        /// The process to talk to.
        #[command(flatten)]
        target: Target,
    },
}

/// `client key add`
#[derive(Debug, Args)]
pub struct ClientKeyAdd {
    /// The client whose key it is.
    pub client: ClientId,
    /// What people call it.
    #[arg(long, value_parser = name)]
    pub name: Bounded<64>,
    /// The one audience that it is for.
    #[arg(long)]
    pub audience: Audience,
    /// A scope that it has; repeat for more.
    #[arg(long = "scope", required = true)]
    pub scopes: Vec<Scope>,
    /// A network that it may come from, such as 192.0.2.0/24; repeat for more. Without any, it may come from anywhere.
    #[arg(long = "network")]
    pub networks: Vec<AddressBlock>,
    /// Days that it lives; without it, as long as the tenant lets keys live.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=366))]
    pub days: Option<u64>,
    /// The key whose place it takes.
    #[arg(long)]
    pub replaces: Option<GrantId>,
    /// Hours for which that one lives on, 24 unless you say otherwise.
    #[arg(long, requires = "replaces", value_parser = clap::value_parser!(u64).range(0..=720))]
    pub overlap_hours: Option<u64>,
    /// The process to talk to.
    #[command(flatten)]
    pub target: Target,
}

fn name(text: &str) -> Result<Bounded<64>, String> {
    Bounded::parse(text).map_err(|error| error.to_string())
}
