//! The invariants of the tree, each check one test.

use super::{Count, Report, Suite};
use crate::tidy::CHECKS;
use crate::verb::Problem;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "tidy",
    about: "layering, purity, limits of the sources",
    run,
};

fn run() -> Result<Report, Problem> {
    let mut total = Count::default();
    for check in CHECKS {
        let findings = (check.findings)()?;
        for finding in &findings {
            println!("{}: {finding}", check.name);
        }
        total = total.and(Count::single(findings.is_empty()));
    }
    Ok(Report::Ran(total))
}
