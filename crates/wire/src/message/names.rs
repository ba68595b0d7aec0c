//! What a message names: its two parties, itself, and the kind of its content. Each is short and of characters that stand in a header field unchanged.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A text that is none of the names of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct NotAName(&'static str);

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $is:ident, $expected:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<Self, NotAName> {
                if $is(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NotAName($expected))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAName;

            fn try_from(text: String) -> Result<Self, NotAName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    /// One of the two parties of a message (`iss`, `aud`): a URI or another name that both agreed on. Compared as it stands.
    Party: is_party, "1 to 200 visible ASCII characters without quotes and backslash";
    /// The name of a message (`jti`). No two messages of one writer have the same.
    MessageId: is_message_id, "1 to 128 letters, digits, `-`, `_`, `.`, `:` or `~`";
    /// What a content is (`cty`): a media type with its parameters (RFC 9110 §8.3.1).
    MediaType: is_media_type, "a media type of at most 127 characters, such as `application/json`";
}

impl MediaType {
    /// The media type that `cty` stands for: without a slash, `application/` is meant (RFC 7515 §4.1.10).
    ///
    /// # Errors
    /// When it is none.
    pub fn from_cty(cty: &str) -> Result<Self, NotAName> {
        if cty.contains('/') {
            cty.parse()
        } else {
            format!("application/{cty}").parse()
        }
    }
}

fn is_party(text: &str) -> bool {
    let visible = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    (1..=200).contains(&text.len()) && text.bytes().all(visible)
}

fn is_message_id(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'~');
    (1..=128).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
    text.len() <= 127
        && kind
            .trim_end_matches(' ')
            .split_once('/')
            .is_some_and(|(kind, subtype)| token(kind) && token(subtype))
        && parameters
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic())
}
