//! How often each check held and failed, and the lines that say so.

use crate::Failed;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often one check held and failed.
#[derive(Default)]
struct Tally {
    held: u64,
    failures: Vec<String>,
}

/// All checks of a run.
#[derive(Default)]
pub(crate) struct Tallies(Mutex<BTreeMap<&'static str, Tally>>);

impl Tallies {
    /// Notes one check.
    pub(crate) fn check(&self, name: &'static str, result: Result<(), Failed>) {
        self.count(name, result.map(|()| 1));
    }

    /// Notes a check that looked at many things at once, as often as it held.
    pub(crate) fn count(&self, name: &'static str, result: Result<u64, Failed>) {
        let mut checks = lock(&self.0);
        let tally = checks.entry(name).or_default();
        match result {
            Ok(held) => tally.held += held,
            Err(problem) => {
                println!("FAIL {name}: {problem}");
                tally.failures.push(problem.to_string());
            }
        }
    }

    /// Prints every check that there is to be, and gives how many of them held and did not. One that never ran proves nothing and fails.
    pub(crate) fn summary(&self, names: &[&'static str]) -> (usize, usize) {
        let checks = lock(&self.0);
        let (mut passed, mut failed) = (0, 0);
        for name in names {
            let tally = checks.get(name);
            let (held, failures) = tally.map_or((0, 0), |tally| (tally.held, tally.failures.len()));
            let holds = held > 0 && failures == 0;
            println!(
                "{} {name}: {held} times held, {failures} times not",
                if holds { "ok  " } else { "FAIL" }
            );
            if holds { passed += 1 } else { failed += 1 }
        }
        for name in checks.keys().filter(|name| !names.contains(name)) {
            println!("FAIL {name}: it is in no list of checks");
            failed += 1;
        }
        (passed, failed)
    }
}

/// The value behind a lock; a worker that panicked left it as it was.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Tallies;

    #[test]
    fn a_check_that_failed_once_or_never_ran_or_is_not_listed_fails() {
        let tallies = Tallies::default();
        tallies.check("held", Ok(()));
        tallies.count("many", Ok(7));
        tallies.check("failed", Ok(()));
        tallies.check("failed", Err("once".into()));
        tallies.count("nothing", Ok(0));
        assert_eq!(
            tallies.summary(&["held", "many", "failed", "nothing", "never"]),
            (2, 3)
        );
        assert_eq!(tallies.summary(&["held", "many", "failed"]), (2, 2));
    }
}
