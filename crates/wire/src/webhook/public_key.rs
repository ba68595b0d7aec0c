//! Signatures that a public key verifies, by rules of the operator: Ed25519 or ECDSA on P-256, over the body or time and body, in a field of the sender's own.
//! Discord signs so with Ed25519, `SendGrid` with ECDSA.

use super::WebhookRefusal;
use super::claim::{Claim, ClaimedSignature};
use super::field_signature::FieldRules;
use crate::head::HeadView;

/// Bytes of the longest signature: ECDSA on P-256 in DER.
const SIGNATURE_BYTES_MAX: usize = 72;

/// How a sender signs with a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeyRules {
    /// Where the signature stands and what it covers.
    pub fields: FieldRules,
    /// How signatures of ECDSA are written; without meaning for Ed25519.
    pub ecdsa: EcdsaEncoding,
}

/// How an ECDSA signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcdsaEncoding {
    /// A sequence in DER, as OpenSSL writes it.
    Asn1,
    /// Both integers at full length, as JOSE writes it.
    Fixed,
}

pub(super) fn look(rules: &PublicKeyRules, head: &HeadView<'_>) -> Result<Claim, WebhookRefusal> {
    rules.fields.look(head, |bytes| {
        if bytes.is_empty() || bytes.len() > SIGNATURE_BYTES_MAX {
            return Err(WebhookRefusal::SignatureMalformed);
        }
        Ok(ClaimedSignature {
            // Nothing says it but the key.
            algorithm: None,
            key_id: None,
            bytes,
            base: None,
        })
    })
}

#[cfg(test)]
mod tests;
