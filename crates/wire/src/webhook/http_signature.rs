//! RFC 9421 as a webhook scheme: the profile that we send and take.
//!
//! Covered are `@method`, `@target-uri`, `content-digest`, `content-type` and `webhook-id`, with `created`, `expires`, `nonce`, `keyid` and
//! `tag="webhook"`. A source may demand other components, but `content-digest` always: without it the body is anybody's.
//!
//! Of several signatures with the tag (keys in rotation) all have to say the same but for key and algorithm: what is remembered against replays must not depend
//! on which of them was looked at.

use super::WebhookRefusal;
use super::claim::{self, Claim, ClaimedSignature, Covered, SIGNATURES_MAX};
use super::standard::{self, SigningSecret};
use crate::content_digest::{self, ContentDigest, DigestAlgorithm, DigestError};
use crate::head::{FieldName, HeadView, OneValue};
use crate::http_signature::{
    self, Component, HttpSignatureError, KeyAs, LabelledSignature, Message, SIGNATURE,
    SIGNATURE_INPUT, Signing,
};
use countersign_base::{Duration, UnixTime};
use countersign_crypto::{Random, base64url};

/// `tag` of the profile.
pub const TAG: &str = "webhook";
/// How long a signature of ours holds.
pub const LIFETIME: Duration = Duration::from_secs(300);
/// What the profile covers.
const COMPONENTS: [&str; 5] = [
    "@method",
    "@target-uri",
    content_digest::FIELD,
    "content-type",
    standard::ID,
];
/// Our label.
const LABEL: &str = "sig";

/// What a source demands of its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSignatureRules {
    /// What has to be covered, besides `content-digest`.
    pub components: Vec<Component>,
    /// `tag` of the signatures that are looked at. Nothing looks at all of them.
    pub tag: Option<String>,
    /// The field with the id of the event, which has to be covered. Without it the event has no id but what was signed.
    pub id: Option<FieldName>,
}

impl HttpSignatureRules {
    /// The profile.
    #[must_use]
    pub fn webhook() -> Self {
        Self {
            components: components(),
            tag: Some(TAG.to_owned()),
            id: Some(FieldName::own(standard::ID)),
        }
    }
}

fn components() -> Vec<Component> {
    COMPONENTS
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect()
}

pub(super) fn look(
    rules: &HttpSignatureRules,
    head: &HeadView<'_>,
) -> Result<Claim, WebhookRefusal> {
    let message = Message::Request(*head);
    let signatures: Vec<LabelledSignature> = http_signature::signatures(&message)
        .map_err(refusal)?
        .into_iter()
        .filter(|one| rules.tag.is_none() || one.input.tag() == rules.tag.as_deref())
        .collect();
    let Some(first) = signatures.first() else {
        return Err(WebhookRefusal::SignatureMissing);
    };
    let timestamp = first
        .input
        .created()
        .map_err(refusal)?
        .ok_or(WebhookRefusal::TimestampMissing)?;
    for one in &signatures {
        demand(rules, one)?;
    }
    let digest = digest(head)?;
    let id = match &rules.id {
        Some(name) => Some(claim::id_field(head, name.as_str())?.to_owned()),
        None => None,
    };
    let statement = first.input.statement(&message).map_err(refusal)?;
    let mut claimed = Vec::new();
    for one in &signatures {
        if one.input.statement(&message).map_err(refusal)? != statement {
            return Err(WebhookRefusal::SignatureSeveral);
        }
        claimed.push(ClaimedSignature {
            algorithm: one.input.algorithm().map_err(refusal)?,
            key_id: one.input.key_id().map(str::to_owned),
            bytes: one.bytes.clone(),
            base: Some(one.input.base(&message).map_err(refusal)?),
        });
    }
    if claimed.len() > SIGNATURES_MAX {
        return Err(WebhookRefusal::SignatureMalformed);
    }
    Ok(Claim {
        covered: Covered::Head { statement, digest },
        signatures: claimed,
        timestamp: Some(timestamp),
        expires: first.input.expires().map_err(refusal)?,
        id,
    })
}

/// Whether a signature covers what it has to.
fn demand(rules: &HttpSignatureRules, one: &LabelledSignature) -> Result<(), WebhookRefusal> {
    let has = |name: &str| {
        name.parse::<Component>()
            .is_ok_and(|component| one.input.covers(&[component]))
    };
    let id = rules.id.as_ref().is_none_or(|name| has(name.as_str()));
    if one.input.covers(&rules.components) && has(content_digest::FIELD) && id {
        Ok(())
    } else {
        Err(WebhookRefusal::ComponentsMissing)
    }
}

fn digest(head: &HeadView<'_>) -> Result<ContentDigest, WebhookRefusal> {
    match head.one(content_digest::FIELD) {
        OneValue::Missing => Err(WebhookRefusal::DigestMissing),
        OneValue::NotText | OneValue::Several => Err(WebhookRefusal::DigestWrong),
        OneValue::Text(text) => ContentDigest::parse(text).map_err(|error| match error {
            DigestError::AlgorithmUnknown | DigestError::Differs | DigestError::Malformed => {
                WebhookRefusal::DigestWrong
            }
        }),
    }
}

const fn refusal(error: HttpSignatureError) -> WebhookRefusal {
    match error {
        HttpSignatureError::AlgorithmDiffers | HttpSignatureError::AlgorithmUnknown => {
            WebhookRefusal::AlgorithmUnknown
        }
        HttpSignatureError::Component(_) | HttpSignatureError::ComponentsMissing => {
            WebhookRefusal::ComponentsMissing
        }
        HttpSignatureError::Created => WebhookRefusal::TimestampOld,
        HttpSignatureError::CreatedMissing => WebhookRefusal::TimestampMissing,
        HttpSignatureError::Expired => WebhookRefusal::Expired,
        HttpSignatureError::KeyUnknown => WebhookRefusal::KeyUnknown,
        HttpSignatureError::LabelTwice => WebhookRefusal::SignatureSeveral,
        HttpSignatureError::Labels
        | HttpSignatureError::Malformed
        | HttpSignatureError::Signing(_)
        | HttpSignatureError::TooMany => WebhookRefusal::SignatureMalformed,
        HttpSignatureError::Missing => WebhookRefusal::SignatureMissing,
        HttpSignatureError::Wrong => WebhookRefusal::SignatureWrong,
    }
}

/// A secret and the name by which the receiver knows it.
#[derive(Debug, Clone, Copy)]
pub struct SecretAs<'a> {
    /// `keyid`.
    pub id: &'a str,
    /// The secret.
    pub secret: &'a SigningSecret,
}

/// The fields of an attempt by the profile: `content-digest`, `signature-input` and `signature`, each with its value.
///
/// `head` is the request as it will be sent, `content-type` and `webhook-id` among its fields, `content-digest` not yet.
///
/// # Errors
/// [`HttpSignatureError`]: a field that is covered is not there, there is no secret, or one does not sign.
pub fn headers(
    secrets: &[SecretAs<'_>],
    head: &HeadView<'_>,
    body: &[u8],
    random: &Random,
    now: UnixTime,
) -> Result<[(&'static str, String); 3], HttpSignatureError> {
    let digest = content_digest::value(DigestAlgorithm::Sha256, body);
    let mut fields = head.fields.to_vec();
    fields.push((content_digest::FIELD, digest.as_bytes()));
    let head = HeadView {
        fields: &fields,
        ..*head
    };
    let keys: Vec<KeyAs<'_>> = secrets
        .iter()
        .map(|SecretAs { id, secret }| KeyAs {
            id,
            key: secret.key(),
        })
        .collect();
    let nonce = base64url::encode(&random.bytes::<16>());
    let signed = http_signature::sign(
        &Message::Request(head),
        &keys,
        &Signing {
            label: LABEL,
            components: &components(),
            created: now,
            expires: Some(now.plus(LIFETIME)),
            nonce: Some(&nonce),
            tag: Some(TAG),
        },
    )?;
    Ok([
        (content_digest::FIELD, digest),
        (SIGNATURE_INPUT, signed.input),
        (SIGNATURE, signed.signature),
    ])
}

#[cfg(test)]
mod tests;
