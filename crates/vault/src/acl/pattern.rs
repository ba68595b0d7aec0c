//! Patterns of paths and the order in which one beats another.
//!
//! A pattern is a path; a segment `+` stands for any one segment, and a `*` at the very end for anything. Source: HashiCorp Vault, "Policies", sections "Policy syntax"
//! and "Priority matching".

use crate::error::VaultError;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Bytes of one pattern.
const PATTERN_BYTES_MAX: usize = 768;

/// A pattern, without slashes that it may begin with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it is too long, holds control characters, `+*` or a template.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        // No path begins with a slash, so no pattern does.
        let text = text.trim_start_matches('/');
        let refused = |why: &'static str| Err(VaultError::invalid(why));
        if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
            return refused("failed to parse policy: a path is empty or too long");
        }
        if text.chars().any(char::is_control) {
            return refused("failed to parse policy: a path holds control characters");
        }
        if text.contains("+*") {
            return refused(
                "failed to parse policy: invalid use of wildcards in a path ('+*' is forbidden)",
            );
        }
        if text.contains("{{") || text.contains("}}") {
            return refused("failed to parse policy: templates in paths are not supported");
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it holds before a `*` at its end, and whether there is one.
    fn parts(&self) -> (&str, End) {
        match self.0.strip_suffix('*') {
            Some(prefix) => (prefix, End::Open),
            None => (&self.0, End::Closed),
        }
    }

    fn has_wildcard_segment(&self) -> bool {
        self.parts().0.split('/').any(|segment| segment == "+")
    }

    /// Whether it is one path and no other.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.is_open() && !self.has_wildcard_segment()
    }

    /// Whether it ends in `*`.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.parts().1 == End::Open
    }

    /// Whether a path fits.
    #[must_use]
    pub fn fits(&self, path: &str) -> bool {
        let (body, end) = self.parts();
        let mut segments = body.split('/').peekable();
        let mut rest = Some(path);
        while let Some(segment) = segments.next() {
            let Some(here) = rest else {
                return false;
            };
            if end == End::Open && segments.peek().is_none() && segment != "+" {
                return here.starts_with(segment);
            }
            let (found, after) = match here.split_once('/') {
                Some((found, after)) => (found, Some(after)),
                None => (here, None),
            };
            if segment != "+" && segment != found {
                return false;
            }
            rest = after;
        }
        rest.is_none()
    }

    /// Whether some path that fits begins with `prefix`.
    #[must_use]
    pub fn reaches_below(&self, prefix: &str) -> bool {
        let (body, end) = self.parts();
        let mut segments = body.split('/').peekable();
        let mut wanted = prefix.split('/').peekable();
        loop {
            match (segments.next(), wanted.next()) {
                (_, None) => return true,
                (None, Some(_)) => return false,
                (Some(segment), Some(want)) => {
                    let last_wanted = wanted.peek().is_none();
                    if segments.peek().is_none() && end == End::Open {
                        // Whatever follows fits.
                        return want.starts_with(segment)
                            || (last_wanted && segment.starts_with(want));
                    }
                    let fits = segment == "+"
                        || segment == want
                        || (last_wanted && segment.starts_with(want));
                    if !fits {
                        return false;
                    }
                }
            }
        }
    }

    /// Where the first wildcard is: a segment `+` or the `*` at the end.
    fn first_wildcard(&self) -> usize {
        let (body, end) = self.parts();
        let mut at = 0;
        for segment in body.split('/') {
            if segment == "+" {
                return at;
            }
            at += segment.len() + 1;
        }
        match end {
            End::Open => body.len(),
            End::Closed => usize::MAX,
        }
    }

    fn wildcard_segments(&self) -> usize {
        let (body, _) = self.parts();
        body.split('/').filter(|segment| *segment == "+").count()
    }

    /// The order of priority of patterns that fit one path: the greater one decides. A later first wildcard wins, then no `*` at the end, then fewer `+`, then
    /// the longer, then the one that is greater as a text.
    #[must_use]
    pub fn priority(&self, other: &Self) -> Ordering {
        self.first_wildcard()
            .cmp(&other.first_wildcard())
            .then_with(|| other.is_open().cmp(&self.is_open()))
            .then_with(|| other.wildcard_segments().cmp(&self.wildcard_segments()))
            .then_with(|| self.0.len().cmp(&other.0.len()))
            .then_with(|| self.0.cmp(&other.0))
    }
}

/// How a pattern ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Open,
}
