//! Text with a limit on its length.
//!
//! Not here: grammars. A type with a grammar of its own wraps its text itself (see [`crate::name`](crate)).

use crate::ParseError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Text of at most `N` bytes without control characters: for display names, states, nonces and reasons.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bounded<const N: usize>(String);

impl<const N: usize> Bounded<N> {
    /// Checks the length in bytes and refuses control characters.
    ///
    /// # Errors
    /// When `text` is longer than `N` bytes or holds a control character.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() > N || text.chars().any(char::is_control) {
            return Err(ParseError::expected(
                "a shorter text without control characters",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> TryFrom<String> for Bounded<N> {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        Self::parse(&text)
    }
}

impl<const N: usize> From<Bounded<N>> for String {
    fn from(bounded: Bounded<N>) -> Self {
        bounded.0
    }
}

impl<const N: usize> fmt::Debug for Bounded<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const N: usize> fmt::Display for Bounded<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
