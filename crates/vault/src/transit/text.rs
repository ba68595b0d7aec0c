//! `vault:vN:BODY`: the text form of ciphertexts, signatures and HMACs, whose version says which version of the key made them.
//!
//! The version only selects the key: it is in the clear, and what it selects authenticates the rest. One number has one form here, without sign and leading
//! zeros. The body is standard base64, or base64url without padding for signatures that were asked for as `jws`.

use crate::VaultError;
use countersign_crypto::{base64, base64url};

const PREFIX: &str = "vault:v";
/// Digits of a version: those of the largest that keys have.
const VERSION_DIGITS_MAX: usize = 10;

/// What the text is, for the error that says what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A ciphertext.
    Ciphertext,
    /// An HMAC that is to be verified.
    Hmac,
    /// A signature that is to be verified.
    Signature,
}

/// How the body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marshaling {
    /// Standard base64; ECDSA as DER.
    Asn1,
    /// base64url without padding; ECDSA at full length.
    Jws,
}

/// A text in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// The version of the key, from 1.
    pub version: u32,
    /// The bytes.
    pub body: Vec<u8>,
}

/// Reads a text.
///
/// # Errors
/// [`VaultError::Invalid`] with the text that clients know.
pub fn parse(what: What, marshaling: Marshaling, text: &str) -> Result<Tagged, VaultError> {
    let texts = texts(what);
    let refused = VaultError::invalid;
    let rest = text
        .strip_prefix(PREFIX)
        .ok_or_else(|| refused(texts.prefix))?;
    let (version, body) = rest.split_once(':').ok_or_else(|| refused(texts.fields))?;
    let version = number(version).ok_or_else(|| refused(texts.version))?;
    let body = match marshaling {
        Marshaling::Asn1 => base64::decode(body).ok(),
        Marshaling::Jws => base64url::decode(body).ok(),
    };
    let body = body.ok_or_else(|| refused(texts.body))?;
    Ok(Tagged { version, body })
}

/// Writes a text.
#[must_use]
pub fn write(version: u32, marshaling: Marshaling, body: &[u8]) -> String {
    match marshaling {
        Marshaling::Asn1 => {
            let mut text = format!("{PREFIX}{version}:");
            base64::append(body, &mut text);
            text
        }
        Marshaling::Jws => format!("{PREFIX}{version}:{}", base64url::encode(body)),
    }
}

/// The error for a version that the key does not have yet.
#[must_use]
pub fn too_new(what: What) -> VaultError {
    VaultError::invalid(texts(what).too_new)
}

fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = !text.starts_with('0') && !text.is_empty() && text.len() <= VERSION_DIGITS_MAX;
    (digits && canonical).then(|| text.parse().ok())?
}

struct Texts {
    prefix: &'static str,
    fields: &'static str,
    version: &'static str,
    body: &'static str,
    too_new: &'static str,
}

const fn texts(what: What) -> Texts {
    match what {
        What::Ciphertext => Texts {
            prefix: "invalid ciphertext: no prefix",
            fields: "invalid ciphertext: wrong number of fields",
            version: "invalid ciphertext: version number could not be decoded",
            body: "invalid ciphertext: could not decode base64",
            too_new: "invalid ciphertext: version is too new",
        },
        What::Hmac => Texts {
            prefix: "invalid HMAC to verify: no prefix",
            fields: "invalid HMAC: wrong number of fields",
            version: "invalid HMAC: version number could not be decoded",
            body: "unable to decode verification HMAC as base64",
            too_new: "invalid HMAC: version is too new",
        },
        What::Signature => Texts {
            prefix: "invalid signature: no prefix",
            fields: "invalid signature: wrong number of fields",
            version: "invalid signature: version number could not be decoded",
            body: "invalid base64 signature value",
            too_new: "invalid signature: version is too new",
        },
    }
}

#[cfg(test)]
mod tests;
