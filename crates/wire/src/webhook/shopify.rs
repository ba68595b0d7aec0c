//! Shopify: `X-Shopify-Hmac-Sha256: <base64>`, HMAC with SHA-256 over the body.
//!
//! There is no timestamp, and `X-Shopify-Webhook-Id` is not covered: see [`super::EventIdRule::Field`].
//! <https://shopify.dev/docs/apps/build/webhooks/subscribe/https>

use super::WebhookRefusal;
use super::claim::{Claim, ClaimedSignature, Covered, base64, signature_field};
use crate::head::HeadView;

/// Where the signature stands.
pub(super) const SIGNATURE: &str = "x-shopify-hmac-sha256";
/// Where the id of the delivery stands.
pub(super) const WEBHOOK_ID: &str = "x-shopify-webhook-id";

pub(super) fn look(head: &HeadView<'_>) -> Result<Claim, WebhookRefusal> {
    let tag = base64(signature_field(head, SIGNATURE)?)?;
    Ok(Claim {
        covered: Covered::Body { before: Vec::new() },
        signatures: vec![ClaimedSignature::hmac_sha256(tag)?],
        timestamp: None,
        expires: None,
        id: None,
    })
}

#[cfg(test)]
mod tests;
