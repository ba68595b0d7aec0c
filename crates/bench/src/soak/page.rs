//! `bench/results/soak.json`, and `docs/benchmarks/soak.md` with its plot: memory and answers a second over the whole run, and when upstreams were away.

use super::judge::{Judgement, Sample};
use crate::Failed;
use crate::report::{Report, Row};
use std::fmt::Write;
use std::path::Path;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 20.0;
const HEIGHT: f64 = 150.0;
const GAP: f64 = 52.0;

/// Light by default, dark where the reader's system is. Text keeps a contrast of at least 4.5 to its background in both.
const STYLE: &str = "
    text { font: 13px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328; }
    .paper { fill: #ffffff; } .title { font-weight: 600; } .quiet { fill: #59636e; }
    .line { fill: none; stroke: #1f6feb; stroke-width: 1.5; } .axis { stroke: #d1d9e0; } .away { fill: #fff1e5; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; } .paper { fill: #0d1117; } .quiet { fill: #9198a1; }
      .line { stroke: #4493f8; } .axis { stroke: #3d444d; } .away { fill: #3d2a12; }
    }
  ";

/// Writes all three below `root`.
///
/// # Errors
/// When they cannot be written.
pub(super) fn write(judgement: &Judgement, root: &Path) -> Result<(), Failed> {
    let report = report(judgement);
    report.write(root)?;
    let folder = root.join("docs/benchmarks");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("soak.svg"), plot(judgement)?)?;
    std::fs::write(folder.join("soak.md"), page(judgement, &report)?)?;
    Ok(())
}

fn report(judgement: &Judgement) -> Report {
    let row = |case: &str, value: f64, unit: &str| Row {
        runs: 1,
        value: Some((value * 10.0).round() / 10.0),
        ..Row::of(case, "countersign", unit, &Ok(Vec::new()))
    };
    let measured = &judgement.measured;
    let unexplained = whole(judgement.unexplained());
    let rows = vec![
        Row {
            p50_us: Some(judgement.p50_us),
            p99_us: Some(judgement.p99_us),
            rss_mib: measured
                .samples
                .last()
                .map(|sample| (sample.mib * 10.0).round() / 10.0),
            ..row("soak", measured.rate, "req/s")
        },
        row("capacity", measured.capacity, "req/s"),
        row("minutes", measured.minutes, "min"),
        row("unexplained-failures", unexplained, "requests"),
        row(
            "explained-failures",
            whole(judgement.failures.len()) - unexplained,
            "requests",
        ),
        row("rss-slope", judgement.slope, "MiB/h"),
        row("reloads", f64::from(judgement.done.reloads), "times"),
        row(
            "key-rotations",
            f64::from(judgement.done.rotations),
            "times",
        ),
        row("upstream-kills", whole(judgement.done.kills.len()), "times"),
        row(
            "token-renewals",
            f64::from(judgement.done.renewals),
            "times",
        ),
    ];
    let build = if cfg!(debug_assertions) {
        ", an unoptimized build"
    } else {
        ""
    };
    Report::new("soak", format!("{}{build}", measured.machine), rows)
}

fn whole(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn page(judgement: &Judgement, report: &Report) -> Result<String, Failed> {
    let measured = &judgement.measured;
    let mut text = format!(
        "# Soak\n\nThe gateway for {} minutes at 70 % of its capacity: {:.0} of {:.0} requests a second, each with a token that is verified, a limit, policy and a queued record, over 32 connections with TLS to three upstream \
         processes. Meanwhile routes, policies and limits are rewritten and reloaded every 5 seconds, signing keys rotated every 7, tokens renewed every 2, and one of the upstreams is killed (`kill -9`) every 6 and started again two seconds \
         later. Requests are due at a constant rate, whatever became of the ones before, and latency counts from when one was due. Load generator, upstreams and gateway share the machine.\n\nMeasured on {}: {}. Written by `cargo xtask soak`.\n\n",
        measured.minutes, measured.rate, measured.capacity, report.measured, report.machine,
    );
    text.push_str("![Memory and answers a second over the run; the tables below say what matters of it](soak.svg)\n\n");
    text.push_str("| must hold | it did | with these numbers |\n|---|---|---|\n");
    for check in &judgement.checks {
        let word = if check.holds { "yes" } else { "**no**" };
        writeln!(text, "| {} | {word} | {} |", check.name, check.evidence)?;
    }
    writeln!(
        text,
        "\n| answers | p50 | p99 |\n|---:|---:|---:|\n| {} | {:.1} ms | {:.1} ms |",
        judgement.good,
        judgement.p50_us / 1000.0,
        judgement.p99_us / 1000.0
    )?;
    if !judgement.failures.is_empty() {
        text.push_str("\n| failed after | answer | explained by |\n|---:|---|---|\n");
    }
    for failure in judgement.failures.iter().take(50) {
        let by = failure.kill.map_or_else(
            || "**nothing**".to_owned(),
            |kill| format!("kill {}", kill + 1),
        );
        writeln!(
            text,
            "| {:.3} s | {} | {by} |",
            failure.at.as_secs_f64(),
            failure.what
        )?;
    }
    for problem in &judgement.done.problems {
        writeln!(text, "\n- {problem}")?;
    }
    Ok(text)
}

fn plot(judgement: &Judgement) -> Result<String, Failed> {
    let measured = &judgement.measured;
    let seconds = (measured.minutes * 60.0).max(1.0);
    let across = |second: f64| LEFT + (second / seconds).min(1.0) * (WIDTH - LEFT - RIGHT);
    let memory: Vec<(f64, f64)> = measured
        .samples
        .iter()
        .map(|Sample { at, mib }| {
            let at = at.saturating_duration_since(measured.began);
            (across(at.as_secs_f64()), *mib)
        })
        .collect();
    // The last second is cut off in the middle.
    let whole_seconds = judgement.seconds.len().saturating_sub(1);
    let answers: Vec<(f64, f64)> = judgement
        .seconds
        .iter()
        .take(whole_seconds)
        .zip(0_u32..)
        .map(|(count, second)| (across(f64::from(second)), f64::from(*count)))
        .collect();
    let mut away = String::new();
    for kill in &judgement.done.kills {
        let from = kill
            .from
            .saturating_duration_since(measured.began)
            .as_secs_f64();
        let until = kill.until.map_or(seconds, |until| {
            until
                .saturating_duration_since(measured.began)
                .as_secs_f64()
        });
        let (x, width) = (across(from), (across(until) - across(from)).max(0.5));
        writeln!(
            away,
            "  <rect x=\"{x:.1}\" y=\"28\" width=\"{width:.1}\" height=\"{:.0}\" class=\"away\"/>",
            2.0 * HEIGHT + GAP
        )?;
    }
    let bottom = 28.0 + 2.0 * HEIGHT + GAP;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH:.0}\" height=\"{0:.0}\" viewBox=\"0 0 {WIDTH:.0} {0:.0}\" role=\"img\" aria-label=\"Memory and answers a second during the soak\">\n  <style>{STYLE}</style>\n  <rect width=\"100%\" height=\"100%\" class=\"paper\"/>\n{away}",
        bottom + 48.0
    );
    text.push_str(&panel("resident memory, MiB", &memory, 28.0)?);
    text.push_str(&panel("answers a second", &answers, 28.0 + HEIGHT + GAP)?);
    writeln!(
        text,
        "  <text x=\"{LEFT:.0}\" y=\"{0:.0}\" class=\"quiet\">0</text>\n  <text x=\"{1:.0}\" y=\"{0:.0}\" text-anchor=\"end\" class=\"quiet\">{2} minutes</text>\n  <text x=\"{3:.0}\" y=\"{0:.0}\" text-anchor=\"middle\" class=\"quiet\">shaded: one of three upstreams was away</text>\n</svg>",
        bottom + 24.0,
        WIDTH - RIGHT,
        measured.minutes,
        WIDTH / 2.0
    )?;
    Ok(text)
}

/// One line over time, from zero.
fn panel(title: &str, points: &[(f64, f64)], top: f64) -> Result<String, Failed> {
    let largest = points.iter().map(|(_, value)| *value).fold(1.0, f64::max);
    let bottom = top + HEIGHT;
    let mut text = format!(
        "  <text x=\"{LEFT:.0}\" y=\"{:.0}\" class=\"title\">{title}</text>\n",
        top - 8.0
    );
    for share in [0.0, 0.5, 1.0] {
        let y = bottom - share * HEIGHT;
        writeln!(
            text,
            "  <line x1=\"{LEFT:.0}\" y1=\"{y:.0}\" x2=\"{:.0}\" y2=\"{y:.0}\" class=\"axis\"/>\n  <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\" class=\"quiet\">{:.0}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            largest * share
        )?;
    }
    let mut line = String::new();
    for (x, value) in points {
        write!(line, "{x:.1},{:.1} ", bottom - value / largest * HEIGHT)?;
    }
    writeln!(
        text,
        "  <polyline points=\"{}\" class=\"line\"/>",
        line.trim_end()
    )?;
    Ok(text)
}
