//! What each verb does, and how it ends: 0 done, 1 a check or operation failed, 2 usage or configuration.

mod agent;
mod audit;
mod backup;
mod check;
mod client;
mod client_key;
mod control;
mod data;
mod demo;
mod grant;
mod init;
mod key;
mod message;
mod policy;
mod serve;
mod session;
mod shell;
mod subject;
mod up;
mod user;
mod webhook;
mod webhook_admin;

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
        Verb::Agent(args) => agent::agent(&args, output),
        Verb::Audit(verb) => audit::audit(&verb, output),
        Verb::Backup(args) => backup::backup(&args, output),
        Verb::Check { dir } => check::check(&dir, output),
        Verb::Client(verb) => client::client(&verb, output),
        Verb::Completions { shell } => shell::completions(shell),
        Verb::Data(verb) => data::data(&verb, output),
        Verb::Demo(args) => demo::demo(&args, output),
        Verb::Grant(verb) => grant::grant(&verb, output),
        Verb::Init { dir } => init::init(&dir, output),
        Verb::Key(verb) => key::key(&verb, output),
        Verb::Man => shell::man(),
        Verb::Message(verb) => message::message(&verb, output),
        Verb::Policy(verb) => policy::policy(&verb, output),
        Verb::Restore(args) => backup::restore(&args, output),
        Verb::Serve(verb) => serve::serve(&verb, output),
        Verb::Session(verb) => session::session(&verb, output),
        Verb::Subject(verb) => subject::subject(&verb, output),
        Verb::Up(args) => up::up(&args, output),
        Verb::User(verb) => user::user(&verb, output),
        Verb::Webhook(verb) => webhook::webhook(&verb, output),
    };
    ended.into()
}

/// Prints to standard output, unless nobody reads it any more: a pager that was closed early is no failure of ours.
pub(crate) fn print(text: impl std::fmt::Display) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    write!(out, "{text}")?;
    out.flush()
}

/// As [`print`], with a line break, where there is nothing to do about a reader that went away.
pub(crate) fn print_line(text: impl std::fmt::Display) {
    let _ = print(format_args!("{text}\n"));
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
