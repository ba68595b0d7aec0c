//! A JWS in a field of the head with the body as its payload (RFC 7515 appendix F): `<protected header>..<signature>`.
//!
//! `b64: false` (RFC 7797), where the body is signed as it is, is read if `crit` names it, and only then. Whatever else is in `crit` is not understood, so the
//! message is refused. So is a header that says by `typ` that it is of something else than a webhook: a token, whose claims could come as the body, or a message
//! between partners. Algorithms are `EdDSA` (`Ed25519`), `ES256` and `PS256`; keys are the source's own, and what a header brings along is never used.

use super::WebhookRefusal;
use super::claim::{Claim, ClaimedSignature, Covered, signature_field};
use crate::head::{FieldName, HeadView};
use crate::message::SIGNED_TYP;
use crate::signature_key::SignatureAlgorithm;
use countersign_base::UnixTime;
use countersign_crypto::base64url;
use countersign_crypto::jose::strict_object;
use serde_json::{Map, Value};

/// Bytes of the field's value.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// How a sender signs with a detached JWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwsRules {
    /// The field.
    pub field: FieldName,
    /// Where the time of the attempt stands.
    pub time: JwsTime,
}

/// Where the time of an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwsTime {
    /// In `iat` of the protected header, in seconds; it has to be there.
    IssuedAt,
    /// Nowhere.
    Nowhere,
}

pub(super) fn look(rules: &JwsRules, head: &HeadView<'_>) -> Result<Claim, WebhookRefusal> {
    let malformed = WebhookRefusal::SignatureMalformed;
    let value = signature_field(head, rules.field.as_str())?;
    let (encoded, signature) = value
        .split_once("..")
        .filter(|(_, signature)| value.len() <= VALUE_BYTES_MAX && !signature.contains('.'))
        .ok_or(malformed)?;
    let header = base64url::decode(encoded).map_err(|_| malformed)?;
    let header = strict_object(&header).map_err(|_| malformed)?;
    let payload = payload(&header)?;
    of_webhooks(&header)?;
    let signature = ClaimedSignature {
        algorithm: Some(algorithm(&header)?),
        key_id: text(&header, "kid")?.map(str::to_owned),
        bytes: base64url::decode(signature).map_err(|_| malformed)?,
        base: None,
    };
    let before = format!("{encoded}.").into_bytes();
    Ok(Claim {
        covered: match payload {
            Payload::Encoded => Covered::EncodedBody { before },
            Payload::Plain => Covered::Body { before },
        },
        signatures: vec![signature],
        timestamp: match rules.time {
            JwsTime::IssuedAt => Some(issued_at(&header)?),
            JwsTime::Nowhere => None,
        },
        expires: None,
        id: None,
    })
}

enum Payload {
    Encoded,
    Plain,
}

/// `crit` and `b64` together (RFC 7515 §4.1.11, RFC 7797 §3, §6).
fn payload(header: &Map<String, Value>) -> Result<Payload, WebhookRefusal> {
    let malformed = WebhookRefusal::SignatureMalformed;
    let critical = match header.get("crit") {
        None => false,
        Some(Value::Array(names)) if *names == [Value::from("b64")] => true,
        Some(_) => return Err(malformed),
    };
    match (header.get("b64"), critical) {
        (None, false) | (Some(Value::Bool(true)), true) => Ok(Payload::Encoded),
        (Some(Value::Bool(false)), true) => Ok(Payload::Plain),
        (Some(_) | None, _) => Err(malformed),
    }
}

fn algorithm(header: &Map<String, Value>) -> Result<SignatureAlgorithm, WebhookRefusal> {
    match text(header, "alg")? {
        Some("Ed25519" | "EdDSA") => Ok(SignatureAlgorithm::Ed25519),
        Some("ES256") => Ok(SignatureAlgorithm::EcdsaP256Sha256),
        Some("PS256") => Ok(SignatureAlgorithm::RsaPssSha256),
        Some(_) | None => Err(WebhookRefusal::AlgorithmUnknown),
    }
}

/// Whether the header is of no token (RFC 8725 §3.11) and of no message between partners, which are for other readers, and can be by the same key.
fn of_webhooks(header: &Map<String, Value>) -> Result<(), WebhookRefusal> {
    let typ = text(header, "typ")?
        .unwrap_or_default()
        .to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    if typ == "jwt" || typ.ends_with("+jwt") || typ == SIGNED_TYP {
        return Err(WebhookRefusal::SignatureMalformed);
    }
    Ok(())
}

fn issued_at(header: &Map<String, Value>) -> Result<UnixTime, WebhookRefusal> {
    match header.get("iat") {
        None => Err(WebhookRefusal::TimestampMissing),
        Some(value) => value
            .as_i64()
            .filter(|seconds| *seconds >= 0)
            .map(UnixTime)
            .ok_or(WebhookRefusal::TimestampMalformed),
    }
}

fn text<'a>(header: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, WebhookRefusal> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(WebhookRefusal::SignatureMalformed),
    }
}

#[cfg(test)]
mod tests;
