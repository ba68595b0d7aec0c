//! `application/x-www-form-urlencoded`, as bodies and query strings carry it (RFC 6749 appendix B, WHATWG URL §5), read strictly.
//!
//! A repeated parameter, a broken escape, text that is not UTF-8, a control character or a form past a limit is an error and never a
//! parameter less (RFC 6749 §3.1). A parameter without a value counts as omitted, as §3.1 says.
//!
//! The only parameter that may stand there several times is `resource` (RFC 8707 §2); whoever wants one of them asks for one.
//!
//! Not here: what the parameters mean.

use countersign_base::{Secret, limits};
use std::fmt;

/// Parameters in one form.
const FIELDS_MAX: usize = 64;
/// Bytes of a parameter's name.
const NAME_BYTES_MAX: usize = 128;

/// Parameters that a request may repeat, because their RFC says so.
const REPEATABLE: [&str; 1] = ["resource"];

/// A parsed form. Values are wiped when it is dropped, because they may be passwords and secrets, and it has no `Debug` of them.
pub struct Form {
    fields: Vec<(String, Secret<String>)>,
}

impl Form {
    /// Parses a body or a query string.
    ///
    /// # Errors
    /// When the text breaks the format or a limit, or when a parameter that must not stands there twice.
    pub fn parse(text: &[u8]) -> Result<Self, FormError> {
        if text.len() > limits::FORM_BYTES_MAX {
            return Err(FormError::TooLong);
        }
        let mut fields: Vec<(String, Secret<String>)> = Vec::new();
        for field in text
            .split(|byte| *byte == b'&')
            .filter(|field| !field.is_empty())
        {
            if fields.len() == FIELDS_MAX {
                return Err(FormError::TooManyParameters);
            }
            let (name, value) = match field.iter().position(|byte| *byte == b'=') {
                Some(at) => (
                    field.get(..at).unwrap_or_default(),
                    field.get(at + 1..).unwrap_or_default(),
                ),
                None => (field, [].as_slice()),
            };
            let name = decode(name)?;
            if name.len() > NAME_BYTES_MAX {
                return Err(FormError::TooLong);
            }
            if !REPEATABLE.contains(&name.as_str())
                && fields.iter().any(|(known, _)| *known == name)
            {
                return Err(FormError::Repeated);
            }
            fields.push((name, Secret::new(decode(value)?)));
        }
        Ok(Self { fields })
    }

    /// The form of parameters that came in another way: as the claims of a request object (RFC 9101 §4). The same rules hold for them.
    ///
    /// # Errors
    /// As [`Form::parse`].
    pub fn from_pairs(
        pairs: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, FormError> {
        let mut fields: Vec<(String, Secret<String>)> = Vec::new();
        let mut length = 0;
        for (name, value) in pairs {
            let value = Secret::new(value);
            length += name.len() + value.expose().len();
            if fields.len() == FIELDS_MAX {
                return Err(FormError::TooManyParameters);
            }
            if name.len() > NAME_BYTES_MAX || length > limits::FORM_BYTES_MAX {
                return Err(FormError::TooLong);
            }
            if name
                .chars()
                .chain(value.expose().chars())
                .any(char::is_control)
            {
                return Err(FormError::ControlCharacter);
            }
            if !REPEATABLE.contains(&name.as_str())
                && fields.iter().any(|(known, _)| *known == name)
            {
                return Err(FormError::Repeated);
            }
            fields.push((name, value));
        }
        Ok(Self { fields })
    }

    /// A form without parameters.
    #[must_use]
    pub const fn empty() -> Self {
        Self { fields: Vec::new() }
    }

    /// Every value of a parameter that may be repeated, empty ones left out.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.expose().as_str())
            .filter(|value| !value.is_empty())
    }

    /// The value of the parameter, if it is there and not empty. Of a repeated one it is the first: use [`Form::all`] for those that may be.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(known, _)| known == name)?;
        Some(value.expose().as_str()).filter(|value| !value.is_empty())
    }

    /// Whether the parameter is there and not empty.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The names of the parameters in the order in which they stand, empty ones included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Why a text is not a form. To the caller it is always `invalid_request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A `%` without two hexadecimal digits.
    #[error("a parameter holds a broken percent escape")]
    BrokenEscape,
    /// A control character, also as an escape.
    #[error("a parameter holds a control character")]
    ControlCharacter,
    /// Bytes that are not UTF-8.
    #[error("a parameter is not UTF-8")]
    NotUtf8,
    /// RFC 6749 §3.1: parameters must not be included more than once.
    #[error("a parameter is repeated: send each one once")]
    Repeated,
    /// More bytes than are read.
    #[error("the form is too long")]
    TooLong,
    /// More parameters than are read.
    #[error("the form has too many parameters")]
    TooManyParameters,
}

fn decode(text: &[u8]) -> Result<String, FormError> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    let decoded = String::from_utf8(percent_decode(&spaced)?).map_err(|_| FormError::NotUtf8)?;
    if decoded.chars().any(char::is_control) {
        return Err(FormError::ControlCharacter);
    }
    Ok(decoded)
}

/// Resolves `%XX` and refuses a `%` that begins no escape.
pub(crate) fn percent_decode(text: &[u8]) -> Result<Vec<u8>, FormError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let digits = (
            bytes.next().copied().and_then(hex_digit),
            bytes.next().copied().and_then(hex_digit),
        );
        let (Some(high), Some(low)) = digits else {
            return Err(FormError::BrokenEscape);
        };
        decoded.push(high << 4 | low);
    }
    Ok(decoded)
}

pub(crate) const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
