//! What is wrong with a configuration: the file, the line, what was expected, and the nearest known key.
//!
//! Not here: deciding what is wrong. Each section's file does that.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigError {
    file: PathBuf,
    line: Option<usize>,
    message: String,
    help: Option<String>,
}

impl ConfigError {
    /// A mistake in `file` as a whole.
    pub(crate) fn in_file(file: &Path, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            message: message.into(),
            help: None,
        }
    }

    /// A mistake in a line of `file`, counted from one.
    pub(crate) fn in_line(file: &Path, line: usize, message: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            ..Self::in_file(file, message)
        }
    }

    /// What the toml parser refused, with the nearest known key where it knows which keys there are.
    pub(crate) fn from_toml(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let message = error.message().to_owned();
        let line = error.span().map(|span| line_of(text, &span));
        let (message, help) = match UnknownKey::parse(&message) {
            Some(unknown) => (
                format!("unknown key `{}`", unknown.key),
                Some(unknown.help()),
            ),
            None => (first_line(&message), None),
        };
        Self {
            file: file.to_owned(),
            line,
            message,
            help,
        }
    }

    /// The same mistake with what to do about it.
    #[must_use]
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The file that holds the mistake.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The line, counted from one, where it could be told.
    #[must_use]
    pub const fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n    help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Collects mistakes of one file, so that a person sees all of them at once.
pub(crate) struct Mistakes<'a> {
    pub(crate) file: &'a Path,
    pub(crate) text: &'a str,
    pub(crate) found: Vec<ConfigError>,
}

impl Mistakes<'_> {
    /// Notes a mistake at `span`.
    pub(crate) fn at(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.found.push(ConfigError {
            file: self.file.to_owned(),
            line: Some(line_of(self.text, span)),
            message: message.into(),
            help: Some(help.into()),
        });
    }
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.bytes()
        .take(span.start)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

/// serde's "unknown field `a`, expected one of `b`, `c`", taken apart.
struct UnknownKey<'a> {
    key: &'a str,
    known: Vec<&'a str>,
}

impl<'a> UnknownKey<'a> {
    fn parse(message: &'a str) -> Option<Self> {
        let rest = message
            .strip_prefix("unknown field `")
            .or_else(|| message.strip_prefix("unknown variant `"))?;
        let (key, rest) = rest.split_once('`')?;
        let known = rest.split('`').skip(1).step_by(2).collect();
        Some(Self { key, known })
    }

    fn help(&self) -> String {
        let near = self
            .known
            .iter()
            .map(|known| (distance(self.key, known), *known))
            .min();
        match near {
            Some((distance, known)) if distance <= self.key.len().max(known.len()).div_ceil(2) => {
                format!("the nearest known key is `{known}`")
            }
            Some(_) => format!("known here: {}", self.known.join(", ")),
            None => "no key is known here".to_owned(),
        }
    }
}

/// How many letters must be typed differently (Levenshtein).
pub(crate) fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (position, from) in left.chars().enumerate() {
        let mut diagonal = position;
        let mut previous = position + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(right.chars()) {
            let substituted = diagonal + usize::from(from != to);
            diagonal = *cell;
            *cell = substituted.min(previous + 1).min(diagonal + 1);
            previous = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = position + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_edits() {
        for (left, right, edits) in [
            ("issuer", "issuer", 0),
            ("isuer", "issuer", 1),
            ("kitten", "sitting", 3),
            ("", "abc", 3),
        ] {
            assert_eq!(distance(left, right), edits, "{left} to {right}");
        }
    }
}
