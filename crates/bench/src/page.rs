//! `docs/benchmarks/SUITE.md` with its plot: the same rows for people.

use crate::Failed;
use crate::report::{Report, Row};
use std::fmt::Write;
use std::path::Path;

const BAR: f64 = 420.0;
const LINE: f64 = 26.0;

/// Writes the page and the plot below `root`.
///
/// # Errors
/// When the files cannot be written.
pub fn write(report: &Report, about: &str, root: &Path) -> Result<(), Failed> {
    let folder = root.join("docs/benchmarks");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("{}.svg", report.suite)), plot(report)?)?;
    std::fs::write(
        folder.join(format!("{}.md", report.suite)),
        page(report, about)?,
    )?;
    Ok(())
}

fn page(report: &Report, about: &str) -> Result<String, Failed> {
    let suite = &report.suite;
    let mut text = format!(
        "# Benchmark `{suite}`\n\n{about}\n\nMeasured on: {}. Written by `cargo xtask bench {suite}`.\n\n",
        report.machine
    );
    writeln!(text, "![{suite}]({suite}.svg)\n")?;
    text.push_str("| case | subject | value | unit | p50 | p99 | memory | runs |\n|---|---|---:|---|---:|---:|---:|---:|\n");
    for row in &report.rows {
        let number = |value: Option<f64>, unit: &str| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}{unit}"))
        };
        let value = row.error.clone().unwrap_or_else(|| number(row.value, ""));
        let (p50, p99) = (number(row.p50_us, " µs"), number(row.p99_us, " µs"));
        let memory = number(row.rss_mib, " MiB");
        writeln!(
            text,
            "| `{}` | {} | {value} | {} | {p50} | {p99} | {memory} | {} |",
            row.case, row.subject, row.unit, row.runs
        )?;
    }
    Ok(text)
}

/// Horizontal bars, each scaled to the largest of its case.
fn plot(report: &Report) -> Result<String, Failed> {
    let mut bars = String::new();
    let mut y = 10.0;
    for row in &report.rows {
        let of_case = report
            .rows
            .iter()
            .filter(|other| other.case == row.case && other.unit == row.unit);
        let largest = of_case.filter_map(|other| other.value).fold(1.0, f64::max);
        let width = row.value.unwrap_or(0.0) / largest * BAR;
        let fill = if row.subject == "countersign" {
            "#2f6f9f"
        } else {
            "#b8b8b8"
        };
        let middle = y + LINE / 2.0 + 1.0;
        writeln!(
            bars,
            "  <text x=\"250\" y=\"{middle:.0}\" text-anchor=\"end\">{} · {}</text>",
            row.case, row.subject
        )?;
        writeln!(
            bars,
            "  <rect x=\"260\" y=\"{y:.0}\" width=\"{width:.0}\" height=\"18\" fill=\"{fill}\"/>"
        )?;
        writeln!(
            bars,
            "  <text x=\"{:.0}\" y=\"{middle:.0}\">{}</text>",
            266.0 + width,
            label(row)
        )?;
        y += LINE;
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"{:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n  <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{bars}</svg>\n",
        y + 10.0
    ))
}

fn label(row: &Row) -> String {
    match row.value {
        Some(value) => format!("{value:.0} {}", row.unit),
        None => "no value".to_owned(),
    }
}
