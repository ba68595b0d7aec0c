//! Redirect URIs: registration and the exact comparison (RFC 9700 §2.1, RFC 8252 §7.3; R1 to R5).
//!
//! Not here: patterns, prefixes and learning from first use. They do not exist.

use crate::client::{Application, RegistrationError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use url::{Host, Url};

const REDIRECT_URI_BYTES_MAX: usize = 512;

/// A registered redirect URI, kept as it was written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

impl RedirectUri {
    /// The URI as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a client of this kind may register it.
    ///
    /// # Errors
    /// Plain `http` outside loopback (R3), a scheme that runs code (A5), a private scheme without a dot (RFC 8252 §7.1).
    pub fn check(&self, application: Application) -> Result<(), RegistrationError> {
        let url = Url::parse(&self.0).map_err(|_| RegistrationError::Unparsable)?;
        match (url.scheme(), application) {
            ("https", _) if url.has_host() => Ok(()),
            ("http", Application::Native) if is_loopback(&url) => Ok(()),
            ("http" | "https", _) => Err(RegistrationError::InsecureRedirectUri),
            (scheme, Application::Native) if scheme.contains('.') => Ok(()),
            (
                "javascript" | "data" | "vbscript" | "file" | "blob" | "about" | "ftp" | "ws"
                | "wss",
                _,
            ) => Err(RegistrationError::UnsafeScheme),
            (_, Application::Native) => Err(RegistrationError::PrivateUseScheme),
            (_, Application::Web) => Err(RegistrationError::UnsafeScheme),
        }
    }

    /// Whether `presented` is this URI: the same bytes, or, for a native client's loopback URI, the same bytes but for the port.
    fn admits(&self, presented: &str, application: Application) -> bool {
        if self.0 == presented {
            return true;
        }
        match application {
            Application::Web => false,
            Application::Native => match (loopback_parts(&self.0), loopback_parts(presented)) {
                (Some(registered), Some(presented)) => registered == presented,
                (None, _) | (_, None) => false,
            },
        }
    }
}

/// Finds where an answer goes: `presented` if it is registered, or the only registered one if none was sent (RFC 6749 §3.1.2.3).
///
/// With one registered URI an absent parameter is unambiguous; with several it is refused (AR-4).
#[must_use]
pub fn find(
    registered: &std::collections::BTreeSet<RedirectUri>,
    application: Application,
    presented: Option<&str>,
) -> Option<RedirectTarget> {
    match presented {
        Some(uri) => registered
            .iter()
            .any(|candidate| candidate.admits(uri, application))
            .then(|| RedirectTarget(uri.to_owned())),
        None if registered.len() == 1 => registered
            .iter()
            .next()
            .map(|only| RedirectTarget(only.0.clone())),
        None => None,
    }
}

/// A redirect URI that was found in a client's registration: the only thing that a redirect can be made of.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectTarget(String);

impl RedirectTarget {
    /// The URI, byte for byte as the client sent it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URI with response parameters added to its query (RFC 6749 §4.1.2); what it had stays.
    #[must_use]
    pub fn with_parameters(&self, parameters: &[(&str, &str)]) -> String {
        let mut location = self.0.clone();
        let mut separator = if self.0.contains('?') { '&' } else { '?' };
        for (name, value) in parameters {
            location.push(separator);
            separator = '&';
            location.push_str(name);
            location.push('=');
            location.extend(percent_encoding::utf8_percent_encode(
                value,
                percent_encoding::NON_ALPHANUMERIC,
            ));
        }
        location
    }
}

impl fmt::Debug for RedirectTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for RedirectUri {
    type Err = RegistrationError;

    fn from_str(text: &str) -> Result<Self, RegistrationError> {
        if text.len() > REDIRECT_URI_BYTES_MAX
            || !text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        {
            return Err(RegistrationError::Unparsable);
        }
        let url = Url::parse(text).map_err(|_| RegistrationError::Unparsable)?;
        // Whoever compares the text and whoever compares the URL have to see the same scheme.
        if !text.starts_with(url.scheme()) {
            return Err(RegistrationError::Unparsable);
        }
        if text.contains('#') {
            return Err(RegistrationError::Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RegistrationError::Userinfo);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = RegistrationError;

    fn try_from(text: String) -> Result<Self, RegistrationError> {
        text.parse()
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.0
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The bytes before and after the port of a loopback URI, by the letter: no parser normalises what is compared.
fn loopback_parts(text: &str) -> Option<(&'static str, &str)> {
    for host in ["http://127.0.0.1", "http://[::1]", "http://localhost"] {
        let Some(rest) = text.strip_prefix(host) else {
            continue;
        };
        let after_port = match rest.strip_prefix(':') {
            None => rest,
            Some(with_port) => {
                let tail = with_port.trim_start_matches(|c: char| c.is_ascii_digit());
                let digits = with_port.len() - tail.len();
                if !(1..=5).contains(&digits) {
                    return None;
                }
                tail
            }
        };
        if after_port.is_empty() || after_port.starts_with('/') || after_port.starts_with('?') {
            return Some((host, after_port));
        }
        return None;
    }
    None
}

#[cfg(test)]
mod tests;
