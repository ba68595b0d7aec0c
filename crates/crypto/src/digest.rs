//! SHA-256, and the family of hashes that a caller of the vault may choose from (FIPS 180-4, FIPS 202).
//!
//! SHA-1 and the 224-bit form of SHA-3 are not here: the one is broken, the other not in aws-lc.

use crate::base64url;
use aws_lc_rs::digest;

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha256_parts(&[bytes])
}

/// SHA-256 of the parts one after the other. Lengths are not separated: a caller that needs that writes them as parts.
#[must_use]
pub fn sha256_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut output = [0; 32];
    output.copy_from_slice(context.finish().as_ref());
    output
}

/// SHA-256 of `bytes` in base64url: `ath` (RFC 9449 §4.2), `code_challenge` (RFC 7636 §4.2), `x5t#S256` (RFC 8705 §3.1).
#[must_use]
pub fn sha256_base64url(bytes: &[u8]) -> String {
    base64url::encode(&sha256(bytes))
}

/// A hash that is chosen by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashAlgorithm {
    /// SHA-224.
    Sha2_224,
    /// SHA-256.
    Sha2_256,
    /// SHA-384.
    Sha2_384,
    /// SHA-512.
    Sha2_512,
    /// SHA3-256.
    Sha3_256,
    /// SHA3-384.
    Sha3_384,
    /// SHA3-512.
    Sha3_512,
}

impl HashAlgorithm {
    /// Every one of them.
    pub const ALL: [Self; 7] = [
        Self::Sha2_224,
        Self::Sha2_256,
        Self::Sha2_384,
        Self::Sha2_512,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
    ];

    /// The name that callers use: `sha2-256`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha2_224 => "sha2-224",
            Self::Sha2_256 => "sha2-256",
            Self::Sha2_384 => "sha2-384",
            Self::Sha2_512 => "sha2-512",
            Self::Sha3_256 => "sha3-256",
            Self::Sha3_384 => "sha3-384",
            Self::Sha3_512 => "sha3-512",
        }
    }

    /// The hash of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Bytes of its output.
    #[must_use]
    pub fn output_bytes(self) -> usize {
        self.algorithm().output_len()
    }

    /// The hash of the parts one after the other.
    #[must_use]
    pub fn hash(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut context = digest::Context::new(self.algorithm());
        for part in parts {
            context.update(part);
        }
        context.finish().as_ref().to_vec()
    }

    pub(crate) const fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha2_224 => &digest::SHA224,
            Self::Sha2_256 => &digest::SHA256,
            Self::Sha2_384 => &digest::SHA384,
            Self::Sha2_512 => &digest::SHA512,
            Self::Sha3_256 => &digest::SHA3_256,
            Self::Sha3_384 => &digest::SHA3_384,
            Self::Sha3_512 => &digest::SHA3_512,
        }
    }
}

#[cfg(test)]
mod tests;
