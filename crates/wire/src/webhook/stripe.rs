//! Stripe: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]`, HMAC with SHA-256 over `<seconds>.<body>`.
//!
//! The key is the whole text of the secret, its `whsec_` included: another reading than that of Standard Webhooks. Entries of other names (`v0` of test
//! events) are passed over, as Stripe demands against downgrades. <https://docs.stripe.com/webhooks#verify-manually>

use super::WebhookRefusal;
use super::claim::{
    Claim, ClaimedSignature, Covered, SIGNATURES_MAX, hex, signature_field, timestamp,
};
use crate::head::HeadView;

/// Where time and signatures stand.
pub(super) const SIGNATURE: &str = "stripe-signature";
/// Entries of the field that are read.
const ENTRIES_MAX: usize = 2 * SIGNATURES_MAX;

pub(super) fn look(head: &HeadView<'_>) -> Result<Claim, WebhookRefusal> {
    timed(signature_field(head, SIGNATURE)?, b".", |digits| {
        ClaimedSignature::hmac_sha256(hex(digits)?)
    })
}

/// A field of the form `t=<seconds>,v1=<signature>,…`, where time, separator and body are signed. Entries of other names than `t` and `v1` are passed over.
pub(super) fn timed(
    field: &str,
    separator: &[u8],
    read: impl Fn(&str) -> Result<ClaimedSignature, WebhookRefusal>,
) -> Result<Claim, WebhookRefusal> {
    let mut times = Vec::new();
    let mut signatures = Vec::new();
    for (count, entry) in field.split(',').enumerate() {
        let (name, value) = entry
            .split_once('=')
            .filter(|_| count < ENTRIES_MAX)
            .ok_or(WebhookRefusal::SignatureMalformed)?;
        match name.trim_matches(' ') {
            "t" => times.push(value),
            "v1" => signatures.push(read(value)?),
            _ => {}
        }
    }
    if signatures.len() > SIGNATURES_MAX {
        return Err(WebhookRefusal::SignatureMalformed);
    }
    if signatures.is_empty() {
        return Err(WebhookRefusal::AlgorithmUnknown);
    }
    let [time] = times.as_slice() else {
        return Err(if times.is_empty() {
            WebhookRefusal::TimestampMissing
        } else {
            WebhookRefusal::TimestampMalformed
        });
    };
    let timestamp = timestamp(time)?;
    Ok(Claim {
        covered: Covered::Body {
            before: [time.as_bytes(), separator].concat(),
        },
        signatures,
        timestamp: Some(timestamp),
        expires: None,
        id: None,
    })
}

#[cfg(test)]
mod tests;
