//! Standard Webhooks 1.0.0: `webhook-id`, `webhook-timestamp` and `webhook-signature`, over `<id>.<timestamp>.<body>`; what we send, and what we take.
//!
//! `v1` is HMAC with SHA-256, `v1a` Ed25519; a list separated by spaces carries several while keys rotate. Entries of other versions are passed over. Svix
//! writes the same under `svix-`. <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

mod secret;

pub use secret::{Ed25519Secret, HmacSecret, SecretError, SecretKind, SigningSecret};

pub(super) use secret::verification_key;

use super::WebhookRefusal;
use super::claim::{
    self, Claim, ClaimedSignature, Covered, SIGNATURES_MAX, base64, id_field, signature_field,
    timestamp_field,
};
use crate::head::HeadView;
use crate::signature_key::{SignatureAlgorithm, SigningFailed};
use countersign_base::UnixTime;
use countersign_crypto::base64;

/// Where the id of the message stands: the same over all attempts.
pub const ID: &str = "webhook-id";
/// Where the time of the attempt stands.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// Where the signatures stand.
pub const SIGNATURE: &str = "webhook-signature";

/// Under which names the three fields stand.
pub(super) struct Names {
    pub(super) id: &'static str,
    pub(super) timestamp: &'static str,
    pub(super) signature: &'static str,
}

/// The names of the specification.
pub(super) const STANDARD: Names = Names {
    id: ID,
    timestamp: TIMESTAMP,
    signature: SIGNATURE,
};

/// The names that Svix writes.
pub(super) const SVIX: Names = Names {
    id: "svix-id",
    timestamp: "svix-timestamp",
    signature: "svix-signature",
};

pub(super) fn look(names: &Names, head: &HeadView<'_>) -> Result<Claim, WebhookRefusal> {
    let signatures = signatures(signature_field(head, names.signature)?)?;
    let (written, timestamp) = timestamp_field(head, names.timestamp)?;
    let id = without_dot(id_field(head, names.id)?)?;
    Ok(Claim {
        covered: Covered::Body {
            before: format!("{id}.{written}.").into_bytes(),
        },
        signatures,
        timestamp: Some(timestamp),
        expires: None,
        id: Some(id.to_owned()),
    })
}

fn signatures(list: &str) -> Result<Vec<ClaimedSignature>, WebhookRefusal> {
    let mut signatures = Vec::new();
    for (count, entry) in list.split(' ').enumerate() {
        let (version, signature) = entry
            .split_once(',')
            .filter(|_| count < SIGNATURES_MAX)
            .ok_or(WebhookRefusal::SignatureMalformed)?;
        match version {
            "v1" => signatures.push(ClaimedSignature::hmac_sha256(base64(signature)?)?),
            "v1a" => signatures.push(ClaimedSignature::of_length(
                SignatureAlgorithm::Ed25519,
                base64(signature)?,
                64,
            )?),
            _ => {}
        }
    }
    if signatures.is_empty() {
        return Err(WebhookRefusal::AlgorithmUnknown);
    }
    Ok(signatures)
}

/// The dot separates id, time and body in what is signed, so an id with one could pass for another message.
fn without_dot(id: &str) -> Result<&str, WebhookRefusal> {
    if id.contains('.') {
        Err(WebhookRefusal::IdMalformed)
    } else {
        Ok(id)
    }
}

/// The value of [`SIGNATURE`]: one entry a secret, in their order. While secrets rotate, old and new sign.
///
/// # Errors
/// [`SignError`].
pub fn sign(
    secrets: &[SigningSecret],
    id: &str,
    timestamp: UnixTime,
    body: &[u8],
) -> Result<String, SignError> {
    claim::id(id)
        .and_then(without_dot)
        .map_err(|_| SignError::Id)?;
    if secrets.is_empty() || secrets.len() > SIGNATURES_MAX {
        return Err(SignError::Secrets);
    }
    let before = format!("{id}.{timestamp}.");
    let mut list = String::new();
    for secret in secrets {
        if !list.is_empty() {
            list.push(' ');
        }
        list.push_str(secret.kind().version());
        list.push(',');
        let signature = secret.key().signature(&[before.as_bytes(), body])?;
        base64::append(&signature, &mut list);
    }
    Ok(list)
}

/// The three fields of an attempt, names and values.
///
/// # Errors
/// [`SignError`].
pub fn headers(
    secrets: &[SigningSecret],
    id: &str,
    timestamp: UnixTime,
    body: &[u8],
) -> Result<[(&'static str, String); 3], SignError> {
    let signature = sign(secrets, id, timestamp, body)?;
    Ok([
        (ID, id.to_owned()),
        (TIMESTAMP, timestamp.to_string()),
        (SIGNATURE, signature),
    ])
}

/// Why nothing was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The id is empty, longer than 255 bytes, holds a dot or something else than visible ASCII.
    #[error("the id of a message is 1 to 255 visible ASCII characters without a dot")]
    Id,
    /// There is no secret, or more than a list of signatures carries.
    #[error("a message is signed with 1 to {SIGNATURES_MAX} secrets")]
    Secrets,
    /// The cryptographic library did not sign.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
}

#[cfg(test)]
mod tests;
