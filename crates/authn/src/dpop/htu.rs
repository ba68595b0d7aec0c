//! The address in a proof, normalised before it is compared (RFC 9449 §4.3 check 9, RFC 3986 §6.2.2 and §6.2.3).
//!
//! Query and fragment are left out, scheme and host are lower case, the default port goes, dot segments are resolved, escapes are upper
//! case and those of unreserved characters are undone.

use crate::form::hex_digit;
use url::Url;

/// A normalised address: scheme, host, port and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Htu {
    scheme: String,
    host: String,
    port: Option<u16>,
    path: String,
}

/// The text is no address of an HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an http or https address without user information")]
pub struct HtuError;

/// Bytes of an address.
const HTU_BYTES_MAX: usize = 8 * 1024;

impl Htu {
    /// Parses and normalises.
    ///
    /// # Errors
    /// When the text is no absolute `http` or `https` URI, has user information, or holds characters that RFC 3986 does not have.
    pub fn parse(text: &str) -> Result<Self, HtuError> {
        // The URL standard forgives backslashes, tabs and spaces; RFC 3986 has none of them.
        if text.len() > HTU_BYTES_MAX
            || !text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        {
            return Err(HtuError);
        }
        let url = Url::parse(text).map_err(|_| HtuError)?;
        let is_http = matches!(url.scheme(), "http" | "https");
        let host = url.host_str().unwrap_or_default();
        if !is_http || host.is_empty() || !url.username().is_empty() || url.password().is_some() {
            return Err(HtuError);
        }
        let path = normal_path(url.path()).ok_or(HtuError)?;
        Ok(Self {
            scheme: url.scheme().to_owned(),
            host: host.to_owned(),
            port: url.port_or_known_default(),
            path,
        })
    }
}

/// Escapes in upper case, unreserved characters without escape; `None` for a `%` that begins no escape.
fn normal_path(path: &str) -> Option<String> {
    let mut normal = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            normal.push(char::from(byte));
            continue;
        }
        let value = hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?;
        if value.is_ascii_alphanumeric() || b"-._~".contains(&value) {
            normal.push(char::from(value));
        } else {
            normal.push_str(&format!("%{value:02X}"));
        }
    }
    Some(normal)
}

#[cfg(test)]
mod tests;
