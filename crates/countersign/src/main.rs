//! The program `countersign`.

use clap::Parser;
use countersign::cli::Cli;
use std::process::ExitCode;

/// A request makes some hundreds of small allocations, on whichever thread it is at: mimalloc keeps a heap a thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    countersign::verb::run(Cli::parse())
}
