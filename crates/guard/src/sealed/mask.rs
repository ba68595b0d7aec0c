//! How a value is shown to those who may not read it.
//!
//! A mask is lossy and made of the value, so it is made where the value is known: before sealing, of an [`super::Opened`], or by
//! [`super::FieldKeys::show`]. What it keeps is public from then on: four digits, the length, and where the separators stand.

use super::field::{Field, FieldValue as _};
use serde::{Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// What a hidden character is shown as.
const DOT: char = '•';
/// What is shown where nothing of a value is: always the same, whatever its length.
const HIDDEN: &str = "••••";
/// Characters that are shown.
const SHOWN: usize = 4;
/// Characters that a value needs beside those shown: with fewer, four digits would be too much of it.
const HIDDEN_MIN: usize = 8;
/// A longer text is no number of a card or an account.
const CHARACTERS_MAX: usize = 64;

/// The kinds of masks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// Nothing is shown, the length included.
    Hidden,
    /// The last four digits; separators and length are kept. A value that is short, long, or does not end in four digits is hidden.
    #[serde(rename = "last4")]
    LastFour,
}

impl Mask {
    /// The name, as declarations and dictionaries write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::LastFour => "last4",
        }
    }

    /// `text` as it is shown.
    #[must_use]
    pub fn of(self, text: &str) -> String {
        match self {
            Self::Hidden => HIDDEN.to_owned(),
            Self::LastFour => last_four(text).unwrap_or_else(|| HIDDEN.to_owned()),
        }
    }
}

/// Separators that are kept. Every other character that is not shown becomes a dot.
const fn is_separator(character: char) -> bool {
    matches!(character, ' ' | '-' | '.' | '/')
}

fn last_four(text: &str) -> Option<String> {
    let counted = text.chars().filter(|c| !is_separator(*c)).count();
    if text.chars().count() > CHARACTERS_MAX {
        return None;
    }
    let hidden = counted
        .checked_sub(SHOWN)
        .filter(|hidden| *hidden >= HIDDEN_MIN)?;
    let mut seen = 0_usize;
    let masked = text.chars().map(|character| {
        if is_separator(character) {
            return Some(character);
        }
        seen += 1;
        if seen <= hidden {
            Some(DOT)
        } else {
            character.is_ascii_digit().then_some(character)
        }
    });
    masked.collect()
}

/// A value of the column `F` as it is shown: `•••• •••• •••• 1111`.
pub struct Masked<F> {
    text: String,
    field: PhantomData<fn() -> F>,
}

impl<F: Field> Masked<F> {
    /// The mask of a value, by the field's own kind of mask.
    #[must_use]
    pub fn of(value: &F::Value) -> Self {
        Self {
            text: F::MASK.of(value.text().unwrap_or_default()),
            field: PhantomData,
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<F> Clone for Masked<F> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            field: PhantomData,
        }
    }
}

impl<F> fmt::Display for Masked<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<F> fmt::Debug for Masked<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masked({})", self.text)
    }
}

/// The text. There is no way back: a mask is not read.
impl<F> Serialize for Masked<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
