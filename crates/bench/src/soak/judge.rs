//! What a soak must show: which failures a kill explains, whether memory is flat, whether every change took effect.

use super::load::{Failure, Served, Suspect};
use super::{Done, Kill};
use crate::load::at;
use std::time::{Duration, Instant};

/// How long after an upstream is back a failure may still be its own: the longest that its address is ejected after so many kills, and a request's time.
const GRACE: Duration = Duration::from_secs(3);
/// Failures that kills explain, of a million requests: retries must have spared nearly all.
const EXPLAINED_MAX_PER_MILLION: u64 = 1_000;
/// How fast memory may grow, fitted over the second half of a run of ten minutes or more.
const SLOPE_MAX_MIB_PER_HOUR: f64 = 64.0;
/// How much it may grow over the second half of a shorter run, of which a slope says nothing.
const GROWTH_MAX_MIB: f64 = 32.0;
/// From how long on a slope says something.
const SLOPE_FROM_MINUTES: f64 = 10.0;

/// Resident memory at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) mib: f64,
}

/// What was measured beside the answers.
pub(super) struct Measured {
    pub(super) machine: String,
    pub(super) minutes: f64,
    pub(super) capacity: f64,
    pub(super) rate: f64,
    pub(super) began: Instant,
    pub(super) samples: Vec<Sample>,
}

/// A failure and the kill that explains it.
#[derive(Debug, Clone)]
pub(super) struct Classified {
    /// Since the beginning.
    pub(super) at: Duration,
    pub(super) what: String,
    /// The number of the kill; absent if none explains it.
    pub(super) kill: Option<usize>,
}

/// One thing that must hold, with its numbers.
#[derive(Debug, Clone)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) evidence: String,
    pub(super) holds: bool,
}

/// Everything.
pub(super) struct Judgement {
    pub(super) measured: Measured,
    pub(super) good: u64,
    pub(super) seconds: Vec<u32>,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) failures: Vec<Classified>,
    pub(super) slope: f64,
    pub(super) growth: f64,
    pub(super) done: Done,
    pub(super) checks: Vec<Check>,
}

impl Judgement {
    pub(super) fn of(measured: Measured, mut served: Served, done: Done) -> Self {
        served.latencies.sort_unstable();
        let failures: Vec<Classified> = served
            .failures
            .iter()
            .map(|failure| classified(failure, &done.kills, measured.began))
            .collect();
        let half = second_half(&measured.samples);
        let (slope, growth) = (slope_per_hour(half), growth(half));
        let mut judgement = Self {
            good: served.good,
            p50_us: at(&served.latencies, 0.5),
            p99_us: at(&served.latencies, 0.99),
            seconds: served.seconds,
            measured,
            failures,
            slope,
            growth,
            done,
            checks: Vec::new(),
        };
        judgement.checks = judgement.judged();
        judgement
    }

    pub(super) fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    pub(super) fn unexplained(&self) -> usize {
        let all = self.failures.iter();
        all.filter(|failure| failure.kill.is_none()).count()
    }

    fn judged(&self) -> Vec<Check> {
        let unexplained = self.unexplained();
        let explained = self.failures.len() - unexplained;
        let all = self.good + self.failures.len() as u64;
        let memory = if self.measured.minutes >= SLOPE_FROM_MINUTES {
            Check {
                name: "memory is flat",
                evidence: format!(
                    "{:+.1} MiB an hour, fitted over the second half; {SLOPE_MAX_MIB_PER_HOUR} at most",
                    self.slope
                ),
                holds: self.slope <= SLOPE_MAX_MIB_PER_HOUR,
            }
        } else {
            Check {
                name: "memory is flat",
                evidence: format!(
                    "{:+.1} MiB over the second half; {GROWTH_MAX_MIB} at most (a slope is judged from {SLOPE_FROM_MINUTES} minutes on; here it is {:+.1} MiB an hour)",
                    self.growth, self.slope
                ),
                holds: self.growth <= GROWTH_MAX_MIB,
            }
        };
        let done = &self.done;
        vec![
            Check {
                name: "no failure that no kill explains",
                evidence: format!("{unexplained} of {all} requests"),
                holds: unexplained == 0 && self.good > 0,
            },
            Check {
                name: "retries spare nearly all that a kill could fail",
                evidence: format!(
                    "{explained} of {all} requests; {EXPLAINED_MAX_PER_MILLION} of a million at most"
                ),
                holds: explained as u64 * 1_000_000 <= all * EXPLAINED_MAX_PER_MILLION,
            },
            memory,
            Check {
                name: "every change took effect",
                evidence: format!(
                    "{} reloads, {} rotations, {} kills, {} tokens renewed; {} problems",
                    done.reloads,
                    done.rotations,
                    done.kills.len(),
                    done.renewals,
                    done.problems.len()
                ),
                holds: done.problems.is_empty()
                    && done.reloads > 0
                    && done.rotations > 0
                    && !done.kills.is_empty()
                    && done.renewals > 0,
            },
        ]
    }

    pub(super) fn print(&self) {
        println!(
            "soak: {} answers, p50 {:.1} ms, p99 {:.1} ms from when each was due",
            self.good,
            self.p50_us / 1000.0,
            self.p99_us / 1000.0
        );
        for failure in &self.failures {
            let of = failure.kill.map_or_else(
                || "no kill explains it".to_owned(),
                |kill| format!("kill {}", kill + 1),
            );
            println!(
                "  {:8.3} s  {}  ({of})",
                failure.at.as_secs_f64(),
                failure.what
            );
        }
        for problem in &self.done.problems {
            println!("  problem: {problem}");
        }
        for check in &self.checks {
            let word = if check.holds { "held" } else { "FAILED" };
            println!("  {word:<8}{}: {}", check.name, check.evidence);
        }
        let passed = self.checks.iter().filter(|check| check.holds).count();
        println!(
            "soak: {passed} passed, {} failed, 0 skipped",
            self.checks.len() - passed
        );
    }
}

/// Only what looks like an upstream's fault, while one was away or just back, is explained.
fn classified(failure: &Failure, kills: &[Kill], began: Instant) -> Classified {
    let covers = |kill: &Kill| {
        let until = kill.until.map(|until| until + GRACE);
        failure.at >= kill.from && until.is_none_or(|until| failure.at <= until)
    };
    let kill = match failure.of {
        Suspect::Gateway => None,
        Suspect::Upstream => kills.iter().rposition(covers),
    };
    Classified {
        at: failure.at.saturating_duration_since(began),
        what: failure.what.clone(),
        kill,
    }
}

fn second_half(samples: &[Sample]) -> &[Sample] {
    samples.get(samples.len() / 2..).unwrap_or_default()
}

/// Least squares, in MiB an hour.
fn slope_per_hour(samples: &[Sample]) -> f64 {
    let Some(first) = samples.first() else {
        return 0.0;
    };
    let points: Vec<(f64, f64)> = samples
        .iter()
        .map(|sample| ((sample.at - first.at).as_secs_f64(), sample.mib))
        .collect();
    let count = points.iter().map(|_| 1.0).sum::<f64>();
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let above: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let below: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if below > 0.0 {
        above / below * 3_600.0
    } else {
        0.0
    }
}

fn growth(samples: &[Sample]) -> f64 {
    match (samples.first(), samples.last()) {
        (Some(first), Some(last)) => last.mib - first.mib,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(at: Instant, of: Suspect) -> Failure {
        Failure {
            at,
            what: "502".to_owned(),
            of,
        }
    }

    #[test]
    fn a_failure_belongs_to_the_kill_that_it_falls_into_or_to_none() {
        let began = Instant::now();
        let second = |second| began + Duration::from_secs(second);
        let kills = [
            Kill {
                upstream: 0,
                from: second(10),
                until: Some(second(12)),
            },
            Kill {
                upstream: 1,
                from: second(40),
                until: None,
            },
        ];
        let kill = |at, of| classified(&failure(second(at), of), &kills, began).kill;
        assert_eq!(kill(9, Suspect::Upstream), None);
        assert_eq!(kill(11, Suspect::Upstream), Some(0));
        assert_eq!(kill(15, Suspect::Upstream), Some(0));
        assert_eq!(kill(16, Suspect::Upstream), None);
        assert_eq!(kill(60, Suspect::Upstream), Some(1));
        // A refusal or a broken connection is never the upstream's fault.
        assert_eq!(kill(11, Suspect::Gateway), None);
    }

    #[test]
    fn a_slope_is_what_grows_in_an_hour_and_noise_is_none() {
        let began = Instant::now();
        let samples = |mib: fn(u32) -> f64| -> Vec<Sample> {
            (0..600)
                .map(|second| Sample {
                    at: began + Duration::from_secs(u64::from(second)),
                    mib: mib(second),
                })
                .collect()
        };
        let grows = samples(|second| 100.0 + f64::from(second) / 60.0);
        assert!((slope_per_hour(&grows) - 60.0).abs() < 0.001);
        let noise = samples(|second| if second % 2 == 0 { 100.0 } else { 101.0 });
        assert!(slope_per_hour(&noise).abs() < 0.1);
        assert!((growth(second_half(&grows)) - 299.0 / 60.0).abs() < 0.001);
        assert_eq!((slope_per_hour(&[]), growth(&[])), (0.0, 0.0));
    }
}
