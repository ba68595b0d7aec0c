//! base64url without padding, read strictly (RFC 4648 §5, RFC 7515 §2).
//!
//! Padding, white space, the other alphabet and stray trailing bits are refused, so that one value has one form.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The text is not base64url without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected base64url without padding")]
pub struct NotBase64Url;

/// Writes `bytes` as base64url without padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url without padding.
///
/// # Errors
/// When `text` holds anything else, padding and non-zero trailing bits included.
pub fn decode(text: &str) -> Result<Vec<u8>, NotBase64Url> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| NotBase64Url)
}

/// Reads base64url without padding of exactly `N` bytes.
///
/// # Errors
/// When `text` holds anything else or another number of bytes.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], NotBase64Url> {
    decode(text)?.try_into().map_err(|_| NotBase64Url)
}

pub(crate) fn append(bytes: &[u8], to: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, to);
}

/// Implements text conversions, `serde`, `Display` and `Debug` for a public digest of 32 bytes.
macro_rules! digest_text {
    ($name:ident) => {
        impl $name {
            /// Takes the 32 bytes of a digest, as they were stored.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes of the digest.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&crate::base64url::encode(&self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::base64url::NotBase64Url;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                crate::base64url::decode_array(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::base64url::NotBase64Url;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(digest: $name) -> Self {
                digest.to_string()
            }
        }
    };
}
pub(crate) use digest_text;

#[cfg(test)]
mod tests;
