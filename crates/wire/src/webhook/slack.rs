//! Slack: `X-Slack-Signature: v0=<hex>`, HMAC with SHA-256 over `v0:<X-Slack-Request-Timestamp>:<body>`.
//!
//! Events carry their id as `event_id` in the body; commands and interactions are forms without one ([`super::EventIdRule::Signed`] then).
//! <https://api.slack.com/authentication/verifying-requests-from-slack>

use super::WebhookRefusal;
use super::claim::{Claim, ClaimedSignature, Covered, hex, signature_field, timestamp_field};
use crate::head::HeadView;

/// Where the signature stands.
pub(super) const SIGNATURE: &str = "x-slack-signature";
const TIMESTAMP: &str = "x-slack-request-timestamp";

pub(super) fn look(head: &HeadView<'_>) -> Result<Claim, WebhookRefusal> {
    let (version, digits) = signature_field(head, SIGNATURE)?
        .split_once('=')
        .ok_or(WebhookRefusal::SignatureMalformed)?;
    if version != "v0" {
        return Err(WebhookRefusal::AlgorithmUnknown);
    }
    let signature = ClaimedSignature::hmac_sha256(hex(digits)?)?;
    let (written, timestamp) = timestamp_field(head, TIMESTAMP)?;
    Ok(Claim {
        covered: Covered::Body {
            before: format!("v0:{written}:").into_bytes(),
        },
        signatures: vec![signature],
        timestamp: Some(timestamp),
        expires: None,
        id: None,
    })
}

#[cfg(test)]
mod tests;
