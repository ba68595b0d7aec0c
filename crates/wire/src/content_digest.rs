//! Digests of a body in the field `Content-Digest` (RFC 9530 §2): SHA-256 and SHA-512.
//!
//! A digest alone is nobody's word: it protects a body where a signature covers the field (RFC 9421 §7.2.8). `Repr-Digest` and the older algorithms are not
//! known; where a field has several digests, every one that is known has to be the body's.

use crate::structured_field::{self, BareItem, Member};
use countersign_crypto::base64;
use countersign_crypto::digest::HashAlgorithm;

/// The name of the field.
pub const FIELD: &str = "content-digest";

/// An algorithm of the registry that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DigestAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl DigestAlgorithm {
    /// The name in the registry "Hash Algorithms for HTTP Digest Fields".
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    const fn hash(self) -> HashAlgorithm {
        match self {
            Self::Sha256 => HashAlgorithm::Sha2_256,
            Self::Sha512 => HashAlgorithm::Sha2_512,
        }
    }
}

/// The value of the field for a body.
#[must_use]
pub fn value(algorithm: DigestAlgorithm, body: &[u8]) -> String {
    let digest = algorithm.hash().hash(&[body]);
    format!("{}=:{}:", algorithm.name(), base64::encode(&digest))
}

/// The digests of a field, read and not yet compared with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ContentDigest(Vec<(DigestAlgorithm, Vec<u8>)>);

impl ContentDigest {
    /// Reads the field, its lines joined with commas.
    ///
    /// # Errors
    /// [`DigestError`].
    pub fn parse(value: &str) -> Result<Self, DigestError> {
        let dictionary = structured_field::dictionary(value).map_err(|_| DigestError::Malformed)?;
        let mut digests = Vec::new();
        for (name, member) in dictionary.iter() {
            let Member::Item(item) = member else {
                return Err(DigestError::Malformed);
            };
            let BareItem::ByteSequence(bytes) = &item.value else {
                return Err(DigestError::Malformed);
            };
            if let Some(algorithm) = DigestAlgorithm::from_name(name) {
                digests.push((algorithm, bytes.clone()));
            }
        }
        if digests.is_empty() {
            return Err(DigestError::AlgorithmUnknown);
        }
        Ok(Self(digests))
    }

    /// Checks that every digest is the body's. None of it is secret.
    ///
    /// # Errors
    /// [`DigestError::Differs`].
    pub fn check(&self, body: &[u8]) -> Result<DigestMatches, DigestError> {
        let all = self
            .0
            .iter()
            .all(|(algorithm, digest)| algorithm.hash().hash(&[body]) == *digest);
        if all {
            Ok(DigestMatches(()))
        } else {
            Err(DigestError::Differs)
        }
    }
}

/// Evidence that a body is the one that a digest was made of.
#[derive(Debug)]
#[must_use]
pub struct DigestMatches(());

/// Why a digest was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// None of its algorithms is known here.
    #[error("the digest is of none of the algorithms sha-256 and sha-512")]
    AlgorithmUnknown,
    /// It is another body's.
    #[error("the digest is not the body's")]
    Differs,
    /// The field is no dictionary of byte sequences.
    #[error("the digest is not written as RFC 9530 says")]
    Malformed,
}

#[cfg(test)]
mod tests;
