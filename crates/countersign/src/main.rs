//! The program `countersign`.

use clap::Parser;
use countersign::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    countersign::verb::run(Cli::parse())
}
