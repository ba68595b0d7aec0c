//! JSON pointers: RFC 6901.

use crate::ParseError;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Bytes of a pointer.
const BYTES_MAX: usize = 512;
/// Steps of a pointer.
const STEPS_MAX: usize = 32;

/// A pointer to a value inside a JSON document (RFC 6901 §3): `` for the whole, `/customer/id` for a member of a member. At most 512 bytes and 32 steps.
///
/// Where a place asks for many values, a step `*` stands for every element of an array; what such a step means stands with whoever takes the pointer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JsonPointer(String);

impl JsonPointer {
    /// The pointer as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its steps, unescaped.
    pub fn steps(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.split('/').skip(1).map(|step| {
            if step.contains('~') {
                // In this order, so that `~01` is `~1` (RFC 6901 §4).
                Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
            } else {
                Cow::Borrowed(step)
            }
        })
    }
}

/// A step as it stands in a pointer: `~` and `/` escaped (RFC 6901 §3).
#[must_use]
pub fn escape_step(step: &str) -> Cow<'_, str> {
    if step.contains(['~', '/']) {
        Cow::Owned(step.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(step)
    }
}

impl FromStr for JsonPointer {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let whole = text.is_empty() || text.starts_with('/');
        let escapes = text
            .split('~')
            .skip(1)
            .all(|rest| rest.starts_with(['0', '1']));
        let short = text.len() <= BYTES_MAX && text.matches('/').count() <= STEPS_MAX;
        if whole && escapes && short && !text.chars().any(char::is_control) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::expected(
            "a JSON pointer, as in `/customer/id` (RFC 6901): at most 512 bytes and 32 steps",
        ))
    }
}

impl TryFrom<String> for JsonPointer {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<JsonPointer> for String {
    fn from(pointer: JsonPointer) -> Self {
        pointer.0
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{JsonPointer, escape_step};

    #[test]
    fn pointers_of_rfc_6901_section_5_are_read_step_by_step() {
        for (text, steps) in [
            ("", &[][..]),
            ("/foo", &["foo"]),
            ("/foo/0", &["foo", "0"]),
            ("/", &[""]),
            ("/a~1b", &["a/b"]),
            ("/c%d", &["c%d"]),
            ("/m~0n", &["m~n"]),
            ("/~01", &["~1"]),
            ("/ ", &[" "]),
        ] {
            let pointer: JsonPointer = text.parse().unwrap();
            assert_eq!(pointer.steps().collect::<Vec<_>>(), steps, "{text}");
            let again: String = steps
                .iter()
                .map(|step| format!("/{}", escape_step(step)))
                .collect();
            assert_eq!(again, text);
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        let long = format!("/{}", "a".repeat(512));
        let deep = "/a".repeat(33);
        for text in ["foo", "#/foo", "/a~", "/a~2", "/a\n", &long, &deep] {
            assert!(text.parse::<JsonPointer>().is_err(), "{text}");
        }
        assert!("/a".repeat(32).parse::<JsonPointer>().is_ok());
    }
}
