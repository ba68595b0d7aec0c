//! GitHub: `X-Hub-Signature-256: sha256=<hex>`, HMAC with SHA-256 over the body.
//!
//! There is no timestamp, and `X-GitHub-Delivery` is not covered: see [`super::EventIdRule::Field`]. The older `X-Hub-Signature` with SHA-1 is never looked
//! at. <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>

use super::WebhookRefusal;
use super::claim::{Claim, ClaimedSignature, Covered, hex, signature_field};
use crate::head::HeadView;

/// Where the signature stands.
pub(super) const SIGNATURE: &str = "x-hub-signature-256";
/// Where the one with SHA-1 stands.
pub(super) const SIGNATURE_SHA1: &str = "x-hub-signature";
/// Where the id of the delivery stands.
pub(super) const DELIVERY: &str = "x-github-delivery";

pub(super) fn look(head: &HeadView<'_>) -> Result<Claim, WebhookRefusal> {
    if !head.has(SIGNATURE) && head.has(SIGNATURE_SHA1) {
        return Err(WebhookRefusal::AlgorithmUnknown);
    }
    let digits = signature_field(head, SIGNATURE)?
        .strip_prefix("sha256=")
        .ok_or(WebhookRefusal::SignatureMalformed)?;
    Ok(Claim {
        covered: Covered::Body { before: Vec::new() },
        signatures: vec![ClaimedSignature::hmac_sha256(hex(digits)?)?],
        timestamp: None,
        expires: None,
        id: None,
    })
}

#[cfg(test)]
mod tests;
