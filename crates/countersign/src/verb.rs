//! What each verb does, and how it ends: 0 done, 1 a check or operation failed, 2 usage or configuration.

mod demo;
mod up;

use crate::cli::{Cli, Verb};
use crate::config::error::ConfigError;
use crate::run::RunError;
use std::process::ExitCode;

/// How a verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It did what it was asked.
    Done,
    /// A check or an operation failed.
    Failed,
    /// What was typed or configured is wrong.
    Usage,
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Done => Self::SUCCESS,
            Ended::Failed => Self::from(1),
            Ended::Usage => Self::from(2),
        }
    }
}

/// How a verb reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// JSON alone on standard output.
    Json,
    /// For people.
    Text,
}

/// Runs what was typed.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let output = if cli.json { Output::Json } else { Output::Text };
    let ended = match cli.verb {
        Verb::Demo(args) => demo::demo(&args, output),
        Verb::Up(args) => up::up(&args, output),
        Verb::Audit(_)
        | Verb::Check { .. }
        | Verb::Client(_)
        | Verb::Completions { .. }
        | Verb::Grant(_)
        | Verb::Init { .. }
        | Verb::Key(_)
        | Verb::Man
        | Verb::User(_) => {
            eprintln!("this verb is not part of this build");
            Ended::Usage
        }
    };
    ended.into()
}

/// Says what is wrong with a configuration.
pub(crate) fn say_config_errors(errors: &[ConfigError]) -> Ended {
    for error in errors {
        eprintln!("error: {error}");
    }
    Ended::Usage
}

/// Says why nothing started.
pub(crate) fn say_run_error(error: &RunError) -> Ended {
    if let RunError::Config(errors) = error {
        return say_config_errors(errors);
    }
    eprint!("error: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        eprint!(": {cause}");
        source = cause.source();
    }
    eprintln!();
    Ended::Failed
}

/// The runtime of the control plane; the gateway has its own threads.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("control")
        .enable_all()
        .build()
}
