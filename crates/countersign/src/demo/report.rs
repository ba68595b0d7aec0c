//! The checklist: what held, with its evidence, for people and for machines.

use super::http::Failure;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Every step of it came out as it must.
    Held,
    /// One did not.
    Failed,
    /// The capability is not there yet.
    NotYet,
}

/// One check with its evidence.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) status: Status,
    pub(crate) evidence: Vec<String>,
}

/// What a check collects while it runs.
#[derive(Debug, Default)]
pub(super) struct Evidence(Vec<String>);

impl Evidence {
    pub(super) fn say(&mut self, line: impl Into<String>) {
        self.0.push(line.into());
    }
}

impl Check {
    pub(super) fn of(
        id: &'static str,
        name: &'static str,
        evidence: Evidence,
        result: Result<(), Failure>,
    ) -> Self {
        let Evidence(mut evidence) = evidence;
        let status = match result {
            Ok(()) => Status::Held,
            Err(failure) => {
                evidence.push(format!("FAILED: {failure}"));
                Status::Failed
            }
        };
        Self {
            id,
            name,
            status,
            evidence,
        }
    }

    /// Puts what the log says of a request in the place of the request's id.
    pub(super) fn resolve(&mut self, decisions: &BTreeMap<String, String>) {
        for line in &mut self.evidence {
            let Some((what, rest)) = line.split_once("(request ") else {
                continue;
            };
            if let Some(decision) = rest
                .strip_suffix(')')
                .and_then(|request| decisions.get(request))
            {
                *line = format!("{what}({decision})");
            }
        }
    }

    pub(super) fn not_yet(id: &'static str, name: &'static str) -> Self {
        Self {
            id,
            name,
            status: Status::NotYet,
            evidence: Vec::new(),
        }
    }
}

/// The whole list.
#[derive(Debug, Serialize)]
pub(crate) struct Checklist {
    pub(crate) checks: Vec<Check>,
}

impl Checklist {
    pub(crate) fn failed(&self) -> usize {
        self.checks
            .iter()
            .filter(|check| check.status == Status::Failed)
            .count()
    }

    /// The form of `--json`.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For people; `colour` where a terminal reads it.
    pub(crate) fn text(&self, colour: Colour) -> String {
        let mut text = String::from("\n");
        for check in &self.checks {
            let (mark, paint) = match check.status {
                Status::Held => ("held   ", "32"),
                Status::Failed => ("FAILED ", "31"),
                Status::NotYet => ("not yet", "2"),
            };
            text.push_str(&format!(
                "  {}  {:>9}  {}\n",
                colour.paint(paint, mark),
                check.id,
                colour.paint("1", check.name)
            ));
            for line in check.evidence.iter().flat_map(|line| wrapped(line)) {
                text.push_str(&format!("{INDENT}{}\n", colour.paint("2", &line)));
            }
        }
        let count = |status| {
            self.checks
                .iter()
                .filter(|check| check.status == status)
                .count()
        };
        let (held, failed, later) = (
            count(Status::Held),
            count(Status::Failed),
            count(Status::NotYet),
        );
        text.push_str(&format!(
            "\n  {held} held, {failed} failed, {later} not yet\n"
        ));
        text
    }
}

/// Where evidence begins, and how wide it is.
const INDENT: &str = "                      ";
const WIDTH: usize = 110;

/// A line in pieces of at most [`WIDTH`] characters; the later ones stand a little to the right.
fn wrapped(line: &str) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    let pieces = characters
        .chunks(WIDTH)
        .map(|piece| piece.iter().collect::<String>());
    pieces
        .enumerate()
        .map(|(number, piece)| {
            if number == 0 {
                piece
            } else {
                format!("  {piece}")
            }
        })
        .collect()
}

/// Whether to paint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// ANSI colours.
    Ansi,
    /// None.
    Plain,
}

impl Colour {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Ansi => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

/// A token's header and claims, decoded and without the signature: it proves nothing to whoever reads it, and opens nothing.
pub(super) fn decoded(token: &str) -> Result<(Value, Value), Failure> {
    let mut parts = token.split('.').map(|part| {
        let bytes = countersign_crypto::base64url::decode(part).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    });
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(header), Some(claims)) => Ok((header, claims)),
        (None, _) | (_, None) => Err(Failure::new("the token is not a JWT")),
    }
}

/// One claim as text.
pub(super) fn claim<'a>(claims: &'a Value, name: &str) -> &'a str {
    claims.get(name).and_then(Value::as_str).unwrap_or_default()
}
