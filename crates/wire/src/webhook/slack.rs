//! Slack: `X-Slack-Signature: v0=<hex>`, HMAC with SHA-256 over `v0:<X-Slack-Request-Timestamp>:<body>`.
//!
//! Before Slack sends events to an address, it asks there with a `challenge`, signed like everything else, and wants to read it in the answer
//! (<https://api.slack.com/events/url_verification>).
//!
//! Events carry their id as `event_id` in the body; commands and interactions are forms without one ([`super::EventIdRule::Signed`] then).
//! <https://api.slack.com/authentication/verifying-requests-from-slack>

use super::WebhookRefusal;
use super::claim::{Claim, ClaimedSignature, Covered, hex, signature_field, timestamp_field};
use crate::head::HeadView;
use crate::signature_key::SignatureHolds;
use countersign_base::UnixTime;
use serde::Deserialize;
use std::borrow::Cow;

/// Bytes of a challenge; Slack's have 52.
const CHALLENGE_BYTES_MAX: usize = 256;

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

/// What a source wants to read in the answer, to know that whoever answers has its secret's consent: made where its signature was compared, by nothing else.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct UrlChallenge {
    text: String,
    timestamp: Option<UnixTime>,
}

impl UrlChallenge {
    /// What is answered: 1 to 256 letters, digits and `-._~+/=`, so that no reader takes it for anything else than text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// When it was signed.
    #[must_use]
    pub const fn timestamp(&self) -> Option<UnixTime> {
        self.timestamp
    }
}

/// A body, as far as it says whether it is a challenge.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    challenge: Option<Cow<'a, str>>,
}

/// The challenge, if the body is one. What is no JSON, or of another type, is not.
///
/// # Errors
/// [`WebhookRefusal::ChallengeMalformed`]: it says that it is one, and its text is missing, too long, or of other characters.
pub(super) fn challenge(
    _holds: &SignatureHolds,
    claim: &Claim,
    body: &[u8],
) -> Result<Option<UrlChallenge>, WebhookRefusal> {
    let Ok(asked) = serde_json::from_slice::<Asked<'_>>(body) else {
        return Ok(None);
    };
    if asked.kind != "url_verification" {
        return Ok(None);
    }
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
    };
    match asked.challenge {
        Some(text)
            if (1..=CHALLENGE_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain) =>
        {
            Ok(Some(UrlChallenge {
                text: text.into_owned(),
                timestamp: claim.timestamp,
            }))
        }
        Some(_) | None => Err(WebhookRefusal::ChallengeMalformed),
    }
}

#[cfg(test)]
mod tests;
