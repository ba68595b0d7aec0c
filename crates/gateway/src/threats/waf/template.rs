//! Text with `%{...}` in it, taken apart when rules are loaded.

use super::rule::Names;
use super::rule::Part;
use super::state::State;
use super::values::Values;
use std::sync::Arc;

/// Text that may name values of the request.
pub(super) enum Template {
    Fixed(Arc<str>),
    Made(Vec<Piece>),
}

/// A piece of it.
pub(super) enum Piece {
    Capture(usize),
    Header(String),
    Literal(String),
    MatchedVar,
    MatchedVarName,
    RemoteAddr,
    RuleId,
    Tx(usize),
}

impl Template {
    /// Takes `text` apart; names in `tx` get their numbers.
    ///
    /// # Errors
    /// The macro that is not known.
    pub(super) fn parse(text: &str, names: &mut Names) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("%{") {
            let Some((name, behind)) = after.split_once('}') else {
                break;
            };
            if !before.is_empty() {
                pieces.push(Piece::Literal(before.to_owned()));
            }
            pieces.push(Piece::parse(name, names).ok_or_else(|| format!("%{{{name}}}"))?);
            rest = behind;
        }
        if pieces.is_empty() {
            return Ok(Self::Fixed(Arc::from(text)));
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Self::Made(pieces))
    }

    /// The text for this request.
    pub(super) fn text(&self, state: &State, values: &Values, rule: u32) -> Arc<str> {
        match self {
            Self::Fixed(text) => Arc::clone(text),
            Self::Made(pieces) => {
                let mut made = String::new();
                for piece in pieces {
                    piece.write(&mut made, state, values, rule);
                }
                Arc::from(made)
            }
        }
    }

    /// Whether it says what was matched.
    pub(super) fn reads_match(&self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Made(pieces) => pieces
                .iter()
                .any(|piece| matches!(piece, Piece::MatchedVar | Piece::MatchedVarName)),
        }
    }

    /// The text, if no request changes it.
    pub(super) fn fixed(&self) -> Option<&str> {
        match self {
            Self::Fixed(text) => Some(text),
            Self::Made(_) => None,
        }
    }
}

impl Piece {
    fn parse(name: &str, names: &mut Names) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        if let Some(key) = lower.strip_prefix("tx.") {
            return Some(match key.parse::<usize>() {
                Ok(group) if group <= 9 => Self::Capture(group),
                Ok(_) | Err(_) => Self::Tx(names.number(key)),
            });
        }
        if let Some(header) = lower.strip_prefix("request_headers.") {
            return Some(Self::Header(header.to_owned()));
        }
        Some(match lower.as_str() {
            "matched_var" => Self::MatchedVar,
            "matched_var_name" => Self::MatchedVarName,
            "remote_addr" => Self::RemoteAddr,
            "rule.id" => Self::RuleId,
            _ => return None,
        })
    }

    fn write(&self, made: &mut String, state: &State, values: &Values, rule: u32) {
        match self {
            Self::Capture(group) => made.push_str(state.capture(*group).unwrap_or_default()),
            Self::Header(name) => {
                let found = values.part(Part::Headers).find(|item| item.key == *name);
                made.push_str(found.map_or("", |item| &item.text));
            }
            Self::Literal(text) => made.push_str(text),
            Self::MatchedVar => made.push_str(state.matched_var().map_or("", |last| &last.value)),
            Self::MatchedVarName => {
                made.push_str(state.matched_var().map_or("", |last| &last.name));
            }
            Self::RemoteAddr => {
                let found = values.part(Part::RemoteAddr).next();
                made.push_str(found.map_or("", |item| &item.text));
            }
            Self::RuleId => made.push_str(&rule.to_string()),
            Self::Tx(number) => made.push_str(&state.tx(*number).unwrap_or_default()),
        }
    }
}
