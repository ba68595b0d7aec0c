//! Proof key for code exchange, S256 only (RFC 7636; R7, R25).

use countersign_base::ParseError;
use countersign_crypto::digest::sha256_base64url;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// A `code_challenge` of method S256: the base64url form of 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// Whether `verifier` hashes to this challenge.
    ///
    /// # Errors
    /// It does not.
    pub fn verify(&self, verifier: &CodeVerifier) -> Result<VerifierMatched, VerifierDiffers> {
        let matched: bool = sha256_base64url(verifier.0.as_bytes())
            .as_bytes()
            .ct_eq(self.0.as_bytes())
            .into();
        if matched {
            Ok(VerifierMatched(()))
        } else {
            Err(VerifierDiffers)
        }
    }
}

/// Evidence that a verifier matched its challenge.
#[must_use]
#[derive(Debug)]
pub struct VerifierMatched(());

/// The verifier belongs to another challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the code verifier does not match the code challenge")]
pub struct VerifierDiffers;

impl FromStr for CodeChallenge {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() == 43 && text.bytes().all(is_base64url) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::expected(
            "an S256 code challenge: 43 base64url characters",
        ))
    }
}

impl TryFrom<String> for CodeChallenge {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<CodeChallenge> for String {
    fn from(challenge: CodeChallenge) -> Self {
        challenge.0
    }
}

/// A `code_verifier` (RFC 7636 §4.1): 43 to 128 unreserved characters. No `Debug`: it is a secret until it is used.
#[derive(Clone)]
pub struct CodeVerifier(String);

impl FromStr for CodeVerifier {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if (43..=128).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::expected(
            "a code verifier: 43 to 128 unreserved characters",
        ))
    }
}

const fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

#[cfg(test)]
mod tests;
