//! HMAC (RFC 2104) with a hash that the caller names, over bytes as they are.
//!
//! For tags that others compute too. What is ours alone uses [`crate::mac`], which separates parts and domains.

use crate::digest::HashAlgorithm;
use aws_lc_rs::hmac;
use countersign_base::Secret;
use subtle::ConstantTimeEq as _;

/// A key of any length, bound to one hash.
pub struct HmacKey(Inner);

enum Inner {
    /// aws-lc's own.
    Sha2(Box<hmac::Key>),
    /// The two padded keys; aws-lc-rs has the hashes of SHA-3 and no HMAC with them.
    Sha3 {
        hash: HashAlgorithm,
        inner: Secret<Vec<u8>>,
        outer: Secret<Vec<u8>>,
    },
}

impl HmacKey {
    /// Makes the key.
    #[must_use]
    pub fn new(hash: HashAlgorithm, key: &[u8]) -> Self {
        let sha2 = |algorithm| Self(Inner::Sha2(Box::new(hmac::Key::new(algorithm, key))));
        match hash {
            HashAlgorithm::Sha2_224 => sha2(hmac::HMAC_SHA224),
            HashAlgorithm::Sha2_256 => sha2(hmac::HMAC_SHA256),
            HashAlgorithm::Sha2_384 => sha2(hmac::HMAC_SHA384),
            HashAlgorithm::Sha2_512 => sha2(hmac::HMAC_SHA512),
            HashAlgorithm::Sha3_256 | HashAlgorithm::Sha3_384 | HashAlgorithm::Sha3_512 => {
                let block = hash.algorithm().block_len();
                let mut padded = if key.len() > block {
                    hash.hash(&[key])
                } else {
                    key.to_vec()
                };
                padded.resize(block, 0);
                let padded = Secret::new(padded);
                let pad = |with: u8| {
                    Secret::new(padded.expose().iter().map(|byte| byte ^ with).collect())
                };
                Self(Inner::Sha3 {
                    hash,
                    inner: pad(0x36),
                    outer: pad(0x5c),
                })
            }
        }
    }

    /// The tag of the parts one after the other. Lengths are not separated.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> Vec<u8> {
        match &self.0 {
            Inner::Sha2(key) => {
                let mut context = hmac::Context::with_key(key);
                for part in parts {
                    context.update(part);
                }
                context.sign().as_ref().to_vec()
            }
            Inner::Sha3 { hash, inner, outer } => {
                let inner: Vec<&[u8]> = std::iter::once(inner.expose().as_slice())
                    .chain(parts.iter().copied())
                    .collect();
                hash.hash(&[outer.expose(), &hash.hash(&inner)])
            }
        }
    }

    /// Whether `tag` is the whole tag of the parts, compared in constant time. A shortened tag is none.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> TagJudged {
        if self.tag(parts).as_slice().ct_eq(tag).into() {
            TagJudged::Holds
        } else {
            TagJudged::Differs
        }
    }
}

impl std::fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HmacKey")
    }
}

/// What a comparison of tags found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum TagJudged {
    /// It is another one.
    Differs,
    /// It is the tag.
    Holds,
}

#[cfg(test)]
mod tests;
