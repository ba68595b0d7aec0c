//! Health checks: a small request to every address of an upstream, from time to time, whether or not callers come.
//!
//! One core of a process asks; what it finds out all cores use. Each check opens a connection of its own, so that it sees what a new caller
//! would see.

use super::UpstreamSpec;
use super::members::{Health, Members};
use super::pool::Pool;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The shortest pause between two checks.
pub const EVERY_MIN: Duration = Duration::from_secs(1);

/// How an upstream is asked whether it is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSpec {
    /// Path and query of a `GET`; any status below 400 is good.
    pub path: http::uri::PathAndQuery,
    /// The pause between two checks of an address.
    pub every: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// Bad checks in a row after which an address is passed over.
    pub sick_after: u32,
    /// Good checks in a row after which it is used again.
    pub well_after: u32,
}

/// The row of checks of one address.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Row {
    good: u32,
    bad: u32,
}

impl Row {
    /// One more check, and what is known after it; absent while the row is too short to say something new.
    const fn after(&mut self, found: Health, spec: &HealthSpec) -> Option<Health> {
        match found {
            Health::Well => {
                self.bad = 0;
                self.good = self.good.saturating_add(1);
                if self.good == spec.well_after {
                    return Some(Health::Well);
                }
            }
            Health::Sick => {
                self.good = 0;
                self.bad = self.bad.saturating_add(1);
                if self.bad == spec.sick_after {
                    return Some(Health::Sick);
                }
            }
        }
        None
    }
}

/// The checks of one set of upstreams.
pub(crate) struct Checks {
    due: Vec<Check>,
}

struct Check {
    spec: HealthSpec,
    pool: Pool,
    members: Arc<Members>,
    position: usize,
    row: Row,
    next: Instant,
}

impl Checks {
    /// The checks that `upstreams` ask for, the first of them at once.
    pub(crate) fn new(upstreams: &[(UpstreamSpec, Arc<Members>)]) -> Self {
        let now = Instant::now();
        let mut due = Vec::new();
        for (upstream, members) in upstreams {
            let Some(spec) = &upstream.health else {
                continue;
            };
            for (position, endpoint) in upstream.endpoints.iter().enumerate() {
                due.push(Check {
                    spec: spec.clone(),
                    pool: Pool::new(endpoint.clone(), upstream.timeouts),
                    members: Arc::clone(members),
                    position,
                    row: Row::default(),
                    next: now,
                });
            }
        }
        Self { due }
    }

    /// Asks those whose time has come, all at once, and returns when the next one's has; absent when there is nothing to ask.
    pub(crate) async fn run_due(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let asked = self.due.iter_mut().filter(|check| check.next <= now);
        futures_util::future::join_all(asked.map(Check::run)).await;
        self.due.iter().map(|check| check.next).min()
    }
}

impl Check {
    async fn run(&mut self) {
        let found = match timeout(self.spec.timeout, self.pool.check(&self.spec.path)).await {
            Ok(health) => health,
            Err(_elapsed) => Health::Sick,
        };
        if let Some(health) = self.row.after(found, &self.spec) {
            self.members.set_health(self.position, health);
            tracing::info!(?health, "an address of an upstream was checked");
        }
        self.next = Instant::now() + self.spec.every;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_checks_decides_and_a_single_one_does_not() {
        let spec = HealthSpec {
            path: http::uri::PathAndQuery::from_static("/"),
            every: EVERY_MIN,
            timeout: EVERY_MIN,
            sick_after: 3,
            well_after: 2,
        };
        let mut row = Row::default();
        let said: Vec<Option<Health>> = "ssgsssgsggs"
            .chars()
            .map(|found| match found {
                'g' => row.after(Health::Well, &spec),
                _ => row.after(Health::Sick, &spec),
            })
            .collect();
        let (no, sick, well) = (None, Some(Health::Sick), Some(Health::Well));
        assert_eq!(said, [no, no, no, no, no, sick, no, no, no, well, no]);
    }
}
