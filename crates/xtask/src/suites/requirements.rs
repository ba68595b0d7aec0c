//! Which requirements have a test. Informational until every one is held: it fails only when the lists themselves are broken.

use super::{Count, Report, Suite};
use crate::requirements;
use crate::verb::Problem;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "requirements",
    about: "which requirements are held by a test (informational)",
    run,
};

fn run() -> Result<Report, Problem> {
    for area in requirements::areas()? {
        let report = requirements::report(&area)?;
        println!("{}", report.summary());
    }
    Ok(Report::Ran(Count::single(true)))
}
