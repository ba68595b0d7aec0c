//! Developer commands: `cargo xtask VERB`.
//!
//! One file a verb, one line a verb in [`VERBS`]. Nothing here is part of the program that users run.

mod bench;
mod chaos;
mod fuzz;
mod install;
mod process;
mod requirements;
mod screenshots;
mod soak;
mod suites;
mod tidy;
mod tree;
mod verb;

use std::process::ExitCode;
use verb::Verb;

/// Every verb, in the order that the help shows.
const VERBS: &[Verb] = &[
    suites::VERB,
    tidy::VERB,
    requirements::VERB,
    fuzz::VERB,
    chaos::VERB,
    chaos::KEYS_VERB,
    chaos::WEBHOOKS_VERB,
    soak::VERB,
    bench::VERB,
    screenshots::VERB,
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        return usage("name a verb");
    };
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        return usage(&format!("`{name}` is not a verb"));
    };
    let arguments: Vec<String> = arguments.collect();
    match (verb.run)(&arguments) {
        Ok(verb::Outcome::Clean) => ExitCode::SUCCESS,
        Ok(verb::Outcome::Findings) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("cargo xtask {name}: {problem}");
            ExitCode::from(2)
        }
    }
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("cargo xtask: {problem}\n\nusage: cargo xtask VERB [ARGUMENT ...]\n");
    for verb in VERBS {
        eprintln!("  {:<14}{}", verb.name, verb.about);
    }
    ExitCode::from(2)
}
