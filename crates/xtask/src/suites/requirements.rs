//! Which requirements have a test. It fails when a part of the product is built and one of its requirements has none; what is not built yet is only counted.

use super::{Count, Report, Suite};
use crate::requirements;
use crate::verb::Problem;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "requirements",
    about: "which requirements are held by a test",
    run,
};

fn run() -> Result<Report, Problem> {
    let mut count = Count::default();
    for area in requirements::areas()? {
        let report = requirements::report(&area)?;
        println!("{}", report.summary());
        let missing = report.missing();
        if !missing.is_empty() {
            println!("no test names {}", missing.join(", "));
        }
        count = count.and(Count::single(missing.is_empty()));
    }
    Ok(Report::Ran(count))
}
