//! `bench/results/SUITE.json`: what a suite measured, in the form that scripts rely on.

use crate::Failed;
use serde::Serialize;
use std::path::Path;

/// One measured run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// The headline, in the row's unit.
    pub value: f64,
    /// Median latency in microseconds.
    pub p50_us: Option<f64>,
    /// 99th percentile of the latency in microseconds.
    pub p99_us: Option<f64>,
    /// Resident memory of the server at the end, if there is one.
    pub rss_mib: Option<f64>,
    /// Requests a second at which the latencies were measured, if they came at a constant rate and not as fast as they were answered.
    pub rate: Option<f64>,
}

/// A row: medians over all runs of one case with one subject.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The case of the suite.
    pub case: String,
    /// `countersign`, a peer with its version, or `limit`.
    pub subject: String,
    /// How many runs the medians are over.
    pub runs: usize,
    /// The headline.
    pub value: Option<f64>,
    /// What it counts.
    pub unit: String,
    /// The smallest of the runs.
    pub low: Option<f64>,
    /// The largest.
    pub high: Option<f64>,
    /// Median latency.
    pub p50_us: Option<f64>,
    /// 99th percentile.
    pub p99_us: Option<f64>,
    /// Resident memory.
    pub rss_mib: Option<f64>,
    /// Requests a second at which the latencies were measured (open loop); without it, as fast as answers came (closed loop).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Row {
    /// The medians of `runs`, or the reason why there are none.
    #[must_use]
    pub fn of(case: &str, subject: &str, unit: &str, runs: &Result<Vec<Run>, String>) -> Self {
        let measured = runs.as_deref().unwrap_or_default();
        let median_of =
            |part: fn(&Run) -> Option<f64>| median(measured.iter().filter_map(part).collect());
        Self {
            case: case.to_owned(),
            subject: subject.to_owned(),
            runs: measured.len(),
            value: median_of(|run| Some(run.value)),
            unit: unit.to_owned(),
            low: measured.iter().map(|run| tenth(run.value)).reduce(f64::min),
            high: measured.iter().map(|run| tenth(run.value)).reduce(f64::max),
            p50_us: median_of(|run| run.p50_us),
            p99_us: median_of(|run| run.p99_us),
            rss_mib: median_of(|run| run.rss_mib),
            rate: median_of(|run| run.rate),
            error: runs.as_ref().err().cloned(),
        }
    }
}

impl Row {
    /// Whether it is about our own server.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.subject == "countersign"
    }
}

/// A suite's file.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The suite.
    pub suite: String,
    /// The day, in UTC.
    pub measured: String,
    /// The processor and how busy it was when the suite began.
    pub machine: String,
    /// Every case with every subject.
    pub rows: Vec<Row>,
}

impl Report {
    /// A report of rows measured on this machine.
    #[must_use]
    pub fn new(suite: &str, machine: String, rows: Vec<Row>) -> Self {
        Self {
            suite: suite.to_owned(),
            measured: day(crate::clients::now() / 86_400),
            machine,
            rows,
        }
    }

    /// Writes `bench/results/SUITE.json` below `root`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, root: &Path) -> Result<(), Failed> {
        let folder = root.join("bench/results");
        std::fs::create_dir_all(&folder)?;
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(folder.join(format!("{}.json", self.suite)), text)?;
        Ok(())
    }
}

/// The middle value, rounded to a tenth.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().map(tenth)
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The date so many days after 1970-01-01 in the Gregorian calendar (Hinnant, `civil_from_days`).
fn day(since_epoch: u64) -> String {
    let shifted = since_epoch + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let (month, after) = if from_march < 10 {
        (from_march + 3, 0)
    } else {
        (from_march - 9, 1)
    };
    let (year, day) = (
        year_of_era + era * 400 + after,
        of_year - (153 * from_march + 2) / 5 + 1,
    );
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::{Row, Run, day};

    #[test]
    fn a_day_is_that_of_the_calendar() {
        for (days, date) in [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_779, "2026-11-22"),
        ] {
            assert_eq!(day(days), date);
        }
    }

    #[test]
    fn a_row_is_the_median_or_the_reason() {
        let run = |value| Run {
            value,
            p50_us: Some(1.0),
            p99_us: Some(2.0),
            rss_mib: None,
            rate: None,
        };
        let row = Row::of(
            "a",
            "b",
            "req/cpu-s",
            &Ok(vec![run(3.0), run(1.0), run(2.0)]),
        );
        assert_eq!((row.value, row.runs, row.error), (Some(2.0), 3, None));
        let row = Row::of("a", "b", "req/cpu-s", &Err("not installed".into()));
        assert_eq!(
            (row.value, row.error),
            (None, Some("not installed".to_owned()))
        );
    }
}
