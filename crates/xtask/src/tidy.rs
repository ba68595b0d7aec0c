//! `cargo xtask tidy`: the invariants of the tree, each a check in one file and one line in [`CHECKS`].
//!
//! It is also a test of this crate, so `cargo test` alone holds the tree to its rules.

mod architecture;
mod callers;
mod comparisons;
mod layering;
mod purity;
mod registries;
mod sources;
#[cfg(test)]
mod tests;

use crate::verb::{Outcome, Problem, Verb};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "tidy",
    about: "layering, purity, module docs, limits, callers of dangerous functions, comparisons of secrets, names in the documentation",
    run,
};

/// A rule that the tree keeps.
pub(crate) struct Check {
    /// Short, for the report.
    pub(crate) name: &'static str,
    /// One finding a line, each with the file it is about; empty when the rule holds.
    pub(crate) findings: fn() -> Result<Vec<String>, Problem>,
}

/// Every rule.
pub(crate) const CHECKS: &[Check] = &[
    architecture::CHECK,
    callers::CHECK,
    comparisons::CHECK,
    layering::CHECK,
    purity::CHECK,
    registries::CHECK,
    sources::CHECK,
];

fn run(_arguments: &[String]) -> Result<Outcome, Problem> {
    let mut total = 0;
    for check in CHECKS {
        let findings = (check.findings)()?;
        println!(
            "{:<14}{}",
            check.name,
            if findings.is_empty() {
                "holds".to_owned()
            } else {
                format!("{} findings", findings.len())
            }
        );
        for finding in &findings {
            println!("    {finding}");
        }
        total += findings.len();
    }
    Ok(Outcome::of(total))
}
