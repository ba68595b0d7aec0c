//! HMAC by rules of the operator: for the many senders that sign the body, or time and body, in a field of their own. Convoy and Hookdeck are two.

use super::WebhookRefusal;
use super::claim::{Claim, ClaimedSignature};
use super::field_signature::FieldRules;
use crate::head::HeadView;
use crate::signature_key::SignatureAlgorithm;

/// How a sender signs with a shared secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HmacRules {
    /// Where the tag stands and what it covers.
    pub fields: FieldRules,
    /// The hash.
    pub hash: HmacHash,
}

/// The hash of an HMAC. SHA-1 is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HmacHash {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

pub(super) fn look(rules: &HmacRules, head: &HeadView<'_>) -> Result<Claim, WebhookRefusal> {
    let (algorithm, length) = match rules.hash {
        HmacHash::Sha256 => (SignatureAlgorithm::HmacSha256, 32),
        HmacHash::Sha512 => (SignatureAlgorithm::HmacSha512, 64),
    };
    rules.fields.look(head, |bytes| {
        ClaimedSignature::of_length(algorithm, bytes, length)
    })
}

#[cfg(test)]
mod tests;
