//! What rules remember while they run on one request: the `tx` collection, captured groups, and what the rule before matched.

use super::rule::{Names, Ruleset, Select};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names that rules make while they run, at most.
const MADE_MAX: usize = 1_000;
/// What one link remembers of its matches.
const MATCHED_MAX: usize = 256;

/// A variable.
#[derive(Debug, Clone)]
pub(super) enum Tx {
    Number(i64),
    Text(Arc<str>),
}

impl Tx {
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }

    fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            Self::Text(text) => leading_number(text),
        }
    }
}

/// The number that a text begins with, 0 without one, as `atoi` reads it.
pub(super) fn leading_number(text: &str) -> i64 {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut number: i64 = 0;
    for byte in digits.bytes().take_while(u8::is_ascii_digit) {
        number = number
            .saturating_mul(10)
            .saturating_add(i64::from(byte - b'0'));
    }
    number.saturating_mul(sign)
}

/// A value that a link matched.
#[derive(Debug, Clone)]
pub(super) struct Matched {
    pub(super) name: String,
    pub(super) value: String,
}

/// What rules remember.
pub(super) struct State {
    known: Vec<Option<Tx>>,
    made: BTreeMap<String, Tx>,
    captures: Vec<String>,
    matched: Vec<Matched>,
}

impl State {
    pub(super) fn new(rules: &Ruleset) -> Self {
        let mut known = vec![None; rules.names.len()];
        for (number, text) in &rules.initial {
            if let Some(slot) = known.get_mut(*number) {
                *slot = Some(Tx::Text(Arc::clone(text)));
            }
        }
        Self {
            known,
            made: BTreeMap::new(),
            captures: Vec::new(),
            matched: Vec::new(),
        }
    }

    pub(super) fn tx(&self, number: usize) -> Option<Cow<'_, str>> {
        self.known.get(number)?.as_ref().map(Tx::text)
    }

    pub(super) fn tx_number(&self, number: usize) -> i64 {
        let slot = self.known.get(number).and_then(Option::as_ref);
        slot.map_or(0, Tx::number)
    }

    /// Everything in `tx` that `select` takes.
    pub(super) fn select_tx(&self, names: &Names, select: &Select) -> Vec<(String, String)> {
        if let Select::Key(key) = select {
            if let Ok(group) = key.parse::<usize>() {
                let captured = self.capture(group);
                return captured
                    .map(|text| (key.clone(), text.to_owned()))
                    .into_iter()
                    .collect();
            }
            let known = names.find(key).and_then(|number| self.tx(number));
            let value = known.or_else(|| self.made.get(key).map(Tx::text));
            return value
                .map(|text| (key.clone(), text.into_owned()))
                .into_iter()
                .collect();
        }
        let known = names.iter().filter(|(name, _)| select.takes(name));
        let known = known
            .filter_map(|(name, number)| Some((name.to_owned(), self.tx(number)?.into_owned())));
        let made = self.made.iter().filter(|(name, _)| select.takes(name));
        let made = made.map(|(name, value)| (name.clone(), value.text().into_owned()));
        known.chain(made).collect()
    }

    pub(super) fn change_known(&mut self, number: usize, change: impl FnOnce(&mut Option<Tx>)) {
        if let Some(slot) = self.known.get_mut(number) {
            change(slot);
        }
    }

    pub(super) fn change_made(&mut self, name: &str, change: impl FnOnce(&mut Option<Tx>)) {
        let name = name.to_ascii_lowercase();
        let mut slot = self.made.remove(&name);
        change(&mut slot);
        if let Some(value) = slot
            && self.made.len() < MADE_MAX
        {
            self.made.insert(name, value);
        }
    }

    pub(super) fn capture(&self, group: usize) -> Option<&str> {
        self.captures.get(group).map(String::as_str)
    }

    pub(super) fn set_captures(&mut self, captures: Vec<String>) {
        self.captures = captures;
    }

    pub(super) fn matched(&self) -> &[Matched] {
        &self.matched
    }

    pub(super) fn matched_var(&self) -> Option<&Matched> {
        self.matched.last()
    }

    pub(super) fn forget_matched(&mut self) -> Vec<Matched> {
        std::mem::take(&mut self.matched)
    }

    pub(super) fn note_matched(&mut self, matched: Matched) {
        if self.matched.len() < MATCHED_MAX {
            self.matched.push(matched);
        }
    }
}

/// A number more or less.
pub(super) fn add(slot: &mut Option<Tx>, by: i64) {
    let before = slot.as_ref().map_or(0, Tx::number);
    *slot = Some(Tx::Number(before.saturating_add(by)));
}
