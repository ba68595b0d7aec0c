//! The head of a request or an answer, as signatures see it: borrowed, and of no HTTP library.

use countersign_base::{ParseError, is_token_byte};
use std::fmt;
use std::str::FromStr;

/// Bytes of the name of a field.
const NAME_BYTES_MAX: usize = 64;

/// The name of a field (RFC 9110 §5.1), in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldName(String);

impl FieldName {
    /// The name in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One of the names that stand in this crate.
    pub(crate) fn own(name: &'static str) -> Self {
        Self(name.to_owned())
    }
}

impl FromStr for FieldName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_token_byte) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(ParseError::expected(
                "the name of a header field, as in `X-Signature`: at most 64 bytes",
            ))
        }
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The head of a request as it came in, or as it will go out.
///
/// What a caller of ours wrote: nothing here is believed, and `authority` is the host that the caller meant, not the one that was dialled.
#[derive(Debug, Clone, Copy)]
pub struct HeadView<'a> {
    /// The method, in capitals as it is sent.
    pub method: &'a str,
    /// `https` or `http`: of the connection as the sender sees it, before anything that ends TLS.
    pub scheme: &'a str,
    /// Host, and port if one was written.
    pub authority: &'a str,
    /// Path, and query with its `?` if there is one, as they stood on the request line.
    pub path_and_query: &'a str,
    /// The fields in the order in which they came, names in lower case.
    pub fields: &'a [(&'a str, &'a [u8])],
}

impl<'a> HeadView<'a> {
    /// Every value of the field, in order. `name` is in lower case.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |(field, _)| *field == name)
            .map(|(_, value)| *value)
    }

    /// Whether the field stands there at all.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The one value of a field, without the white space around it.
    #[must_use]
    pub fn one(&self, name: &str) -> OneValue<'a> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (None, _) => OneValue::Missing,
            (Some(_), Some(_)) => OneValue::Several,
            (Some(value), None) => match std::str::from_utf8(value) {
                Ok(text) if text.bytes().all(is_field_byte) => {
                    OneValue::Text(text.trim_matches([' ', '\t']))
                }
                Ok(_) | Err(_) => OneValue::NotText,
            },
        }
    }
}

const fn is_field_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~')
}

/// What stands in a field that may stand there once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneValue<'a> {
    /// It is not there.
    Missing,
    /// It holds bytes other than visible ASCII, spaces and tabs.
    NotText,
    /// It is there more than once.
    Several,
    /// Its value.
    Text(&'a str),
}

#[cfg(test)]
mod tests;
