//! `data`: which data are classified, and what becomes of them.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `data`
#[derive(Debug, Subcommand)]
pub enum DataVerb {
    /// Show every classified column: our own store's, and those of services whose dictionaries are at hand
    #[command(
        after_help = "Examples:\n  countersign data list\n  countersign data list --config my-config --json\n  countersign data list --from billing.json --from orders.json"
    )]
    List(DataList),
}

/// `data list`
#[derive(Debug, Args)]
pub struct DataList {
    /// The configuration directory, whose `[data]` names the dictionaries of services.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// A dictionary that a service wrote; repeat for more.
    #[arg(long = "from", value_name = "FILE")]
    pub from: Vec<PathBuf>,
}
