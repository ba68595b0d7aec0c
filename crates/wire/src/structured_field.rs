//! Structured field values (RFC 8941): read strictly, within limits, and written in the one form that there is.
//!
//! Stricter than the RFC in one thing: a key that stands twice in a dictionary or among parameters is refused, where the RFC lets the last one win. What is
//! signed must not mean one thing to one reader and another to the next. Dates and display strings (RFC 9651) are not known.

mod parse;

pub use parse::{dictionary, item, list};

use countersign_crypto::base64;
use std::fmt::{self, Write as _};

/// Bytes of one field's value.
pub const FIELD_BYTES_MAX: usize = 16 * 1024;
/// Members of a list, of an inner list and of a dictionary.
pub const MEMBERS_MAX: usize = 128;
/// Parameters of one item or inner list.
pub const PARAMETERS_MAX: usize = 32;
/// The largest integer, and with a minus the smallest (RFC 8941 §3.3.1).
const INTEGER_MAX: i64 = 999_999_999_999_999;

/// A value without parameters (RFC 8941 §3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BareItem {
    /// `?0` and `?1`.
    Boolean(bool),
    /// `:base64:`.
    ByteSequence(Vec<u8>),
    /// A number with up to three digits behind its point, in thousandths.
    Decimal(i64),
    /// A whole number of up to 15 digits.
    Integer(i64),
    /// A quoted string of visible ASCII and spaces.
    String(String),
    /// A word.
    Token(String),
}

/// Parameters in their order (RFC 8941 §3.1.2). No key stands twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters(Vec<(String, BareItem)>);

impl Parameters {
    /// The value under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&BareItem> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// Keys and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BareItem)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These and one more behind them, or in the place of the one with the same key. The key is written by us: lower case.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: BareItem) -> Self {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
        self
    }

    /// These without some.
    #[must_use]
    pub fn without(&self, keys: &[&str]) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(name, _)| !keys.contains(&name.as_str()))
                .cloned()
                .collect(),
        )
    }
}

/// A value with its parameters (RFC 8941 §3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The value.
    pub value: BareItem,
    /// Its parameters.
    pub parameters: Parameters,
}

/// A list in parentheses with its parameters (RFC 8941 §3.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InnerList {
    /// What it holds.
    pub items: Vec<Item>,
    /// Its parameters.
    pub parameters: Parameters,
}

/// A member of a list or a dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// A list in parentheses.
    InnerList(InnerList),
    /// One value.
    Item(Item),
}

/// A list (RFC 8941 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List(pub Vec<Member>);

/// A dictionary in its order (RFC 8941 §3.2). No key stands twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dictionary(Vec<(String, Member)>);

impl Dictionary {
    /// The member under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Member> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, member)| member)
    }

    /// Keys and members in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.0.iter().map(|(key, member)| (key.as_str(), member))
    }
}

/// A text as it stands between the quotes of a string, if it is one (RFC 8941 §3.3.3).
#[must_use]
pub fn is_string(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Whether a text is a key of a dictionary or a parameter (RFC 8941 §3.1.2).
#[must_use]
pub fn is_key(text: &str) -> bool {
    let begins = |byte: u8| byte.is_ascii_lowercase() || byte == b'*';
    text.bytes().next().is_some_and(begins)
        && text.bytes().all(parse::is_key_byte)
        && text.len() <= parse::KEY_BYTES_MAX
}

/// Why a value was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A key stands twice.
    #[error("a key stands twice")]
    Duplicate,
    /// More bytes, members or parameters than are looked at.
    #[error("longer than is accepted")]
    TooLong,
    /// Not of the grammar.
    #[error("not a structured field value (RFC 8941)")]
    Syntax,
}

impl fmt::Display for BareItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(true) => f.write_str("?1"),
            Self::Boolean(false) => f.write_str("?0"),
            Self::ByteSequence(bytes) => write!(f, ":{}:", base64::encode(bytes)),
            Self::Decimal(thousandths) => decimal(f, *thousandths),
            Self::Integer(number) => fmt::Display::fmt(number, f),
            Self::String(text) => {
                f.write_char('"')?;
                for character in text.chars() {
                    if matches!(character, '"' | '\\') {
                        f.write_char('\\')?;
                    }
                    f.write_char(character)?;
                }
                f.write_char('"')
            }
            Self::Token(word) => f.write_str(word),
        }
    }
}

fn decimal(f: &mut fmt::Formatter<'_>, thousandths: i64) -> fmt::Result {
    let size = thousandths.unsigned_abs();
    if thousandths < 0 {
        f.write_char('-')?;
    }
    let fraction = format!("{:03}", size % 1000);
    let short = fraction.trim_end_matches('0');
    write!(
        f,
        "{}.{}",
        size / 1000,
        if short.is_empty() { "0" } else { short }
    )
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.0 {
            match value {
                BareItem::Boolean(true) => write!(f, ";{key}")?,
                other => write!(f, ";{key}={other}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.value, self.parameters)
    }
}

impl fmt::Display for InnerList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('(')?;
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                f.write_char(' ')?;
            }
            fmt::Display::fmt(item, f)?;
        }
        write!(f, "){}", self.parameters)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InnerList(list) => fmt::Display::fmt(list, f),
            Self::Item(item) => fmt::Display::fmt(item, f),
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, member) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            fmt::Display::fmt(member, f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, member)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(key)?;
            match member {
                Member::Item(Item {
                    value: BareItem::Boolean(true),
                    parameters,
                }) => fmt::Display::fmt(parameters, f)?,
                other => write!(f, "={other}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
