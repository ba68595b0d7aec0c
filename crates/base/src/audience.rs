//! Who a token is for (`aud`) and who made it (`iss`).

use crate::ParseError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use url::Url;

/// The audience of a token: an absolute URI without fragment (RFC 8707 §2), compared as an exact string, at most 512 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Audience(String);

impl Audience {
    /// The URI as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Audience {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = ParseError::expected(
            "an audience: an absolute URI without fragment, at most 512 bytes",
        );
        if text.len() > 512 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(error);
        }
        match Url::parse(text) {
            Ok(url) if url.fragment().is_none() => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => Err(error),
        }
    }
}

/// The issuer identifier of an authorization server (RFC 8414 §2): an `https` URL without query and fragment, compared as an exact string.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Issuer(String);

impl Issuer {
    /// The URL as it was written, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Issuer {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = ParseError::expected(
            "an issuer: an https URL without query, fragment and trailing slash, at most 512 bytes",
        );
        if text.len() > 512
            || text.ends_with('/')
            || !text.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(error);
        }
        match Url::parse(text) {
            Ok(url) if is_issuer(&url) => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => Err(error),
        }
    }
}

fn is_issuer(url: &Url) -> bool {
    url.scheme() == "https"
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

macro_rules! text_conversions {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = ParseError;

            fn try_from(text: String) -> Result<Self, ParseError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

text_conversions!(Audience);
text_conversions!(Issuer);
