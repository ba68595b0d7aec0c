//! `docs/benchmarks/SUITE.md` with its plot: the same rows for people.

use crate::Failed;
use crate::report::{Report, Row};
use std::fmt::Write;
use std::path::Path;

/// Where bars begin, and how long the longest of a case is.
const LEFT: f64 = 214.0;
const BAR: f64 = 450.0;
const WIDTH: f64 = 884.0;
const LINE: f64 = 24.0;
/// Letters of a reason that the plot has room for; the table has all of it.
const REASON_MAX: usize = 84;

/// Light by default, dark where the reader's system is. Text keeps a contrast of at least 4.5 to its background in both.
const STYLE: &str = "
    text { font: 13px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328; }
    .paper { fill: #ffffff; } .case { font-weight: 600; } .quiet { fill: #59636e; }
    .countersign { fill: #1f6feb; } .peer { fill: #8c959f; } .limit { fill: none; stroke: #59636e; stroke-dasharray: 4 3; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; } .paper { fill: #0d1117; } .quiet { fill: #9198a1; }
      .countersign { fill: #4493f8; } .peer { fill: #656c76; } .limit { stroke: #9198a1; }
    }
  ";

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
        "# Benchmark `{suite}`\n\n{about}\n\nMeasured on {}: {}. Values are medians of the runs, the range is that of all runs. Written by `cargo xtask bench {suite}`.\n\n",
        report.measured, report.machine
    );
    writeln!(
        text,
        "![{suite}, drawn; the table below says the same]({suite}.svg)\n"
    )?;
    text.push_str("| case | subject | value | unit | range | p50 | p99 | at | memory | runs |\n|---|---|---:|---|---:|---:|---:|---:|---:|---:|\n");
    for row in &report.rows {
        let value = row
            .error
            .clone()
            .unwrap_or_else(|| number(row.value, plain));
        let range = match (row.low, row.high) {
            (Some(low), Some(high)) => format!("{} – {}", plain(low), plain(high)),
            _ => "–".to_owned(),
        };
        let (p50, p99) = (number(row.p50_us, time), number(row.p99_us, time));
        let rate = number(row.rate, |rate| format!("{}/s", plain(rate)));
        let memory = number(row.rss_mib, |value| format!("{value:.0} MiB"));
        writeln!(
            text,
            "| `{}` | {} | {value} | {} | {range} | {p50} | {p99} | {rate} | {memory} | {} |",
            row.case, row.subject, row.unit, row.runs
        )?;
    }
    text.push_str(&ratios(report)?);
    Ok(text)
}

/// What each value of ours is beside every other of its case.
fn ratios(report: &Report) -> Result<String, Failed> {
    let mut text = String::new();
    for ours in report.rows.iter().filter(|row| row.is_ours()) {
        for other in report
            .rows
            .iter()
            .filter(|row| row.case == ours.case && !row.is_ours())
        {
            if let (Some(value), Some(beside)) = (ours.value, other.value)
                && beside > 0.0
            {
                writeln!(
                    text,
                    "| `{}` | {} | {:.2} |",
                    ours.case,
                    other.subject,
                    value / beside
                )?;
            }
        }
    }
    if !text.is_empty() {
        text.insert_str(
            0,
            "\n| case | countersign beside | times |\n|---|---|---:|\n",
        );
    }
    Ok(text)
}

fn number(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

/// Whole, with a thin gap between thousands.
fn plain(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// Microseconds, as milliseconds where they are many.
fn time(micros: f64) -> String {
    if micros >= 1000.0 {
        format!("{:.1} ms", micros / 1000.0)
    } else {
        format!("{micros:.0} µs")
    }
}

/// Horizontal bars, case by case, each scaled to the largest of its case.
fn plot(report: &Report) -> Result<String, Failed> {
    let mut bars = String::new();
    let mut y = 8.0;
    let mut cases: Vec<&str> = Vec::new();
    for row in &report.rows {
        if !cases.contains(&row.case.as_str()) {
            cases.push(&row.case);
        }
    }
    for case in cases {
        let rows: Vec<&Row> = report.rows.iter().filter(|row| row.case == case).collect();
        let unit = rows.first().map_or("", |row| row.unit.as_str());
        y += LINE;
        writeln!(
            bars,
            "  <text x=\"12\" y=\"{y:.0}\" class=\"case\">{case} <tspan class=\"quiet\" font-weight=\"400\">({unit})</tspan></text>"
        )?;
        y += 8.0;
        let largest = rows.iter().filter_map(|row| row.value).fold(1.0, f64::max);
        for row in rows {
            bar(&mut bars, row, largest, y)?;
            y += LINE;
        }
    }
    y += LINE;
    let (measured, machine) = (&report.measured, escaped(&report.machine));
    writeln!(
        bars,
        "  <text x=\"12\" y=\"{y:.0}\" class=\"quiet\">{measured} · {machine}</text>"
    )?;
    let (suite, height) = (&report.suite, y + 14.0);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\" aria-label=\"Results of the benchmark {suite}\">\n  <style>{STYLE}</style>\n  <rect width=\"100%\" height=\"100%\" class=\"paper\"/>\n{bars}</svg>\n"
    ))
}

fn bar(bars: &mut String, row: &Row, largest: f64, y: f64) -> Result<(), Failed> {
    let class = match row.subject.as_str() {
        "countersign" | "limit" => row.subject.as_str(),
        _ => "peer",
    };
    let (middle, subject) = (y + 14.0, escaped(&row.subject));
    writeln!(
        bars,
        "  <text x=\"{:.0}\" y=\"{middle:.0}\" text-anchor=\"end\">{subject}</text>",
        LEFT - 8.0
    )?;
    let Some(value) = row.value else {
        let reason = row.error.clone().unwrap_or_default();
        let reason: String = match reason.char_indices().nth(REASON_MAX) {
            Some((end, _)) => format!("{}…", reason.get(..end).unwrap_or_default()),
            None => reason,
        };
        writeln!(
            bars,
            "  <text x=\"{LEFT:.0}\" y=\"{middle:.0}\" class=\"quiet\">{}</text>",
            escaped(&reason)
        )?;
        return Ok(());
    };
    let width = (value / largest * BAR).max(2.0);
    writeln!(
        bars,
        "  <rect x=\"{LEFT:.0}\" y=\"{y:.0}\" width=\"{width:.0}\" height=\"18\" rx=\"2\" class=\"{class}\"/>\n  <text x=\"{:.0}\" y=\"{middle:.0}\">{} {}</text>",
        LEFT + width + 8.0,
        plain(value),
        row.unit
    )?;
    Ok(())
}

/// What XML does not take as it is.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{page, plain, plot, time};
    use crate::report::{Report, Row};

    fn report() -> Report {
        let ours = Row {
            value: Some(3000.0),
            low: Some(2900.0),
            high: Some(3100.0),
            ..Row::of("refresh", "countersign", "req/cpu-s", &Ok(Vec::new()))
        };
        let theirs = Row {
            value: Some(1000.0),
            ..Row::of("refresh", "other 1", "req/cpu-s", &Ok(Vec::new()))
        };
        let absent = Err("not run: <no> & \"never\"".to_owned());
        let absent = Row::of("exchange", "other 1", "req/cpu-s", &absent);
        Report::new(
            "identity",
            "a machine".to_owned(),
            vec![ours, theirs, absent],
        )
    }

    #[test]
    fn a_page_says_value_range_and_ratio() {
        let page = page(&report(), "About.").unwrap();
        assert!(page.contains(
            "| `refresh` | countersign | 3\u{202f}000 | req/cpu-s | 2\u{202f}900 – 3\u{202f}100 |"
        ));
        assert!(page.contains("| `refresh` | other 1 | 3.00 |"));
        assert!(page.contains("not run: <no>"));
    }

    #[test]
    fn a_plot_keeps_what_it_shows_out_of_its_markup() {
        let plot = plot(&report()).unwrap();
        assert!(plot.contains("not run: &lt;no&gt; &amp; &quot;never&quot;"));
        assert_eq!(
            plot.matches("<rect x=").count(),
            2,
            "no bar without a value"
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(plain(1_234_567.4), "1\u{202f}234\u{202f}567");
        assert_eq!(
            (time(999.0), time(1500.0)),
            ("999 µs".into(), "1.5 ms".into())
        );
    }
}
