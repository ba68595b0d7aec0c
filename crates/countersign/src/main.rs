//! The program `countersign`.

use clap::Parser;
use countersign::cli::Cli;
use std::process::ExitCode;

/// A request makes some hundreds of small allocations, on whichever thread it is at: mimalloc keeps a heap a thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let called_by_itself = std::env::args_os()
        .nth(1)
        .is_some_and(|verb| verb == countersign::pkcs11::VERB);
    if called_by_itself {
        return countersign::pkcs11::answer();
    }
    countersign::verb::run(Cli::parse())
}
