//! `check`: judges a configuration without starting it: what `up` would refuse, and what it accepts although somebody should look at it.

use super::{Ended, Output, print_line, say_config_errors};
use crate::config::error::ConfigError;
use crate::config::findings::{Finding, Severity, findings, page};
use crate::config::{self, Config, FILE};
use crate::run;
use countersign_gateway::threats::waf::Report;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;

/// Where the text of a finding begins.
const INDENT: &str = "          ";
/// How wide a line of it may be.
const WIDTH: usize = 100;

pub(super) fn check(dir: &Path, output: Output) -> Ended {
    let judged = judge(dir);
    match output {
        Output::Json => print_line(to_json(&judged)),
        Output::Text => {}
    }
    match judged {
        Ok((config, findings)) => {
            if output == Output::Text {
                for (name, report) in run::firewalls(&config) {
                    print_line(firewall(&name, &report));
                }
                print_line(report(&config, &findings, Ink::of_terminal()));
            }
            let bad = |finding: &Finding| {
                finding.because.is_none() && finding.mistake.severity == Severity::High
            };
            if findings.iter().any(bad) {
                Ended::Failed
            } else {
                Ended::Done
            }
        }
        Err(errors) => say_config_errors(&errors),
    }
}

fn judge(dir: &Path) -> Result<(Config, Vec<Finding>), Vec<ConfigError>> {
    let config = config::load(dir)?;
    run::check(&config)?;
    // Only lines are read from it: what it says was judged already.
    let text = std::fs::read_to_string(dir.join(FILE)).unwrap_or_default();
    let findings = findings(&config, &text);
    Ok((config, findings))
}

/// Whether severities are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    Coloured,
    Plain,
}

impl Ink {
    fn of_terminal() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if wanted && std::io::stdout().is_terminal() {
            Self::Coloured
        } else {
            Self::Plain
        }
    }

    /// In a column of ten.
    fn severity(self, severity: Severity) -> String {
        let (word, code) = match severity {
            Severity::High => ("high", "1;31"),
            Severity::Low => ("low", "2"),
            Severity::Medium => ("medium", "33"),
        };
        match self {
            Self::Coloured => format!("\u{1b}[{code}m{word:<10}\u{1b}[0m"),
            Self::Plain => format!("{word:<10}"),
        }
    }

    fn strong(self, text: &str) -> String {
        match self {
            Self::Coloured => format!("\u{1b}[1m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

/// First what is to be looked at, worst first; then what was accepted; last how many, where the eye ends up.
fn report(config: &Config, findings: &[Finding], ink: Ink) -> String {
    let mut text = String::new();
    let (accepted, open): (Vec<_>, Vec<_>) = findings
        .iter()
        .partition(|finding| finding.because.is_some());
    for finding in &open {
        text.push_str(&open_entry(finding, ink));
    }
    if !accepted.is_empty() {
        text.push_str("accepted, with the reason that stands in the configuration\n\n");
    }
    for finding in &accepted {
        let because = finding.because.as_deref().unwrap_or_default();
        let name = ink.strong(finding.mistake.id);
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{INDENT}{name}  {}\n{INDENT}{}",
            finding.subject,
            place(finding)
        );
        text.push_str(&wrapped(because));
        text.push('\n');
    }
    let count = |severity| {
        let mut of = open.iter();
        of.by_ref()
            .filter(|finding| finding.mistake.severity == severity)
            .count()
    };
    let counts: Vec<String> = [Severity::High, Severity::Medium, Severity::Low]
        .into_iter()
        .map(|severity| (count(severity), severity.as_str()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let looked = match counts.as_slice() {
        [] => "nothing to look at".to_owned(),
        counts => format!("to look at: {}", counts.join(", ")),
    };
    let _ = write!(
        text,
        "{}\n{looked}; {} accepted",
        summary(config),
        accepted.len()
    );
    text
}

fn open_entry(finding: &Finding, ink: Ink) -> String {
    let mistake = finding.mistake;
    let (severity, name) = (ink.severity(mistake.severity), ink.strong(mistake.id));
    let wrong = match &finding.detail {
        Some(detail) => format!("{}: {detail}.", mistake.wrong),
        None => format!("{}.", mistake.wrong),
    };
    format!(
        "{severity}{name}  {}\n{INDENT}{}\n{}{}{}{INDENT}{}#{}\n\n",
        finding.subject,
        place(finding),
        wrapped(&wrong),
        wrapped(mistake.why),
        wrapped(&format!("Mend: {}.", mistake.mend)),
        page::PAGE,
        mistake.id,
    )
}

/// As editors and terminals open it.
fn place(finding: &Finding) -> String {
    match finding.line {
        Some(line) => format!("{}:{line}", finding.file.display()),
        None => finding.file.display().to_string(),
    }
}

/// Broken between words, below the indent.
fn wrapped(text: &str) -> String {
    let (mut lines, mut length) = (String::from(INDENT), INDENT.len());
    for (number, word) in text.split_whitespace().enumerate() {
        let wide = word.chars().count() + 1;
        if number > 0 && length + wide > WIDTH {
            lines.push('\n');
            lines.push_str(INDENT);
            length = INDENT.len();
        } else if number > 0 {
            lines.push(' ');
        }
        lines.push_str(word);
        length += wide;
    }
    lines.push('\n');
    lines
}

fn summary(config: &Config) -> String {
    let many = |count: usize, one: &str, more: &str| {
        let word = if count == 1 { one } else { more };
        format!("{count} {word}")
    };
    format!(
        "`{}` holds: {}, {}, {}, {}",
        config.dir.display(),
        many(config.tenants.len(), "tenant", "tenants"),
        many(config.clients.len(), "client", "clients"),
        many(config.users.len(), "person", "people"),
        many(config.routes.len(), "route", "routes"),
    )
}

fn firewall(name: &str, report: &Report) -> String {
    format!(
        "firewall `{name}`: {} rules run, {} about answers do not, {} are left out (`--output json` names them)",
        report.run,
        report.answers,
        report.left_out.len(),
    )
}

fn firewall_json(name: &str, report: &Report) -> Value {
    let left_out = report
        .left_out
        .iter()
        .map(|left| json!({ "rule": left.rule, "reason": left.reason }));
    json!({
        "name": name,
        "run": report.run,
        "about_answers": report.answers,
        "left_out": left_out.collect::<Vec<_>>(),
    })
}

fn to_json(judged: &Result<(Config, Vec<Finding>), Vec<ConfigError>>) -> Value {
    match judged {
        Ok((config, findings)) => {
            let of = |wanted: bool| -> Vec<Value> {
                let all = findings.iter();
                all.filter(|finding| finding.because.is_some() == wanted)
                    .map(finding_json)
                    .collect()
            };
            let firewalls: Vec<Value> = run::firewalls(config)
                .iter()
                .map(|(name, report)| firewall_json(name, report))
                .collect();
            json!({ "holds": true, "errors": [], "findings": of(false), "accepted": of(true), "firewalls": firewalls })
        }
        Err(errors) => {
            let errors: Vec<Value> = errors.iter().map(error_json).collect();
            json!({ "holds": false, "errors": errors, "findings": [], "accepted": [] })
        }
    }
}

fn finding_json(finding: &Finding) -> Value {
    let mistake = finding.mistake;
    json!({
        "mistake": mistake.id,
        "severity": mistake.severity.as_str(),
        "subject": finding.subject.to_string(),
        "detail": finding.detail,
        "file": finding.file.display().to_string(),
        "line": finding.line,
        "wrong": mistake.wrong,
        "why": mistake.why,
        "mend": mistake.mend,
        "because": finding.because,
        "page": format!("{}#{}", page::PAGE, mistake.id),
    })
}

fn error_json(error: &ConfigError) -> Value {
    json!({
        "file": error.file().display().to_string(),
        "line": error.line(),
        "message": error.message(),
        "help": error.help(),
    })
}
