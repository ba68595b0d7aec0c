//! The path of a request below `/v1/`, in the one form in which it is routed, decided on, recorded and named.

use crate::error::VaultError;
use std::fmt;

/// Bytes of one path.
const PATH_BYTES_MAX: usize = 768;

/// A path without its leading slash: `secret/data/app`. A slash at its end is kept: it asks for a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestPath(String);

impl RequestPath {
    /// Reads the part of a URL's path that follows `/v1/`, still percent-encoded. Several slashes in a row are one.
    ///
    /// # Errors
    /// When a segment is `.` or `..`, in any encoding or encoded twice; when it is no UTF-8, holds control characters, or is too long.
    pub fn parse(raw: &str) -> Result<Self, VaultError> {
        let decoded = decode(raw).ok_or_else(malformed)?;
        let twice = decode(&decoded).unwrap_or_default();
        let relative = |path: &str| {
            path.split(['/', '\\'])
                .any(|segment| matches!(segment.trim(), "." | ".."))
        };
        if relative(&decoded) || relative(&twice) {
            return Err(VaultError::invalid("relative paths not supported"));
        }
        if decoded.len() > PATH_BYTES_MAX || decoded.chars().any(char::is_control) {
            return Err(malformed());
        }
        let folder = decoded.ends_with('/');
        let segments: Vec<_> = decoded.split('/').filter(|part| !part.is_empty()).collect();
        let mut path = segments.join("/");
        if path.is_empty() {
            return Err(VaultError::NotFound);
        }
        if folder {
            path.push('/');
        }
        if path.ends_with('.') {
            return Err(VaultError::NotFound);
        }
        Ok(Self(path))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows `prefix`, if the path begins with it.
    #[must_use]
    pub fn below(&self, prefix: &str) -> Option<&str> {
        self.0.strip_prefix(prefix)
    }
}

impl fmt::Display for RequestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn malformed() -> VaultError {
    VaultError::invalid("the path cannot be read")
}

/// Percent-decoding; a `%` that begins no escape is refused by the first reading and stands for itself in the second.
fn decode(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (rest.next()?, rest.next()?);
            let digit = |byte: u8| char::from(byte).to_digit(16);
            bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cve_2026_3605_relative_segments_are_refused_in_every_encoding() {
        for raw in [
            "secret/data/../sys",
            "secret/data/./x",
            "secret/%2e%2e/sys",
            "secret/%2E./sys",
            "secret%2f..%2fsys",
            "secret/%252e%252e/sys",
            "secret/..%5csys",
            "..",
            "secret/data/..",
        ] {
            let refused = RequestPath::parse(raw).unwrap_err();
            assert_eq!(
                refused,
                VaultError::invalid("relative paths not supported"),
                "{raw}"
            );
        }
        for (raw, path) in [
            ("secret/data/a..b", "secret/data/a..b"),
            ("secret//data///a", "secret/data/a"),
            ("/secret/metadata/", "secret/metadata/"),
            ("secret/data/%C3%BC", "secret/data/ü"),
        ] {
            assert_eq!(RequestPath::parse(raw).unwrap().as_str(), path);
        }
        assert_eq!(
            RequestPath::parse("secret/data/a."),
            Err(VaultError::NotFound)
        );
        assert!(RequestPath::parse("secret/%00").is_err());
        assert!(RequestPath::parse("secret/%zz").is_err());
    }
}
