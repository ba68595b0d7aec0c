//! HTTP message signatures (RFC 9421): what a signature covers, its base, signing and verifying.
//!
//! A verifier names what has to be covered; a signature says what it does cover, and that alone proves nothing of the rest. `alg` never chooses: it has to
//! agree with the key, or be absent. Fields may stand on several lines; a label may not stand twice.
//!
//! Not here: trailers (`tr`), `rsa-v1_5-sha256` (no signature of that padding is made or accepted), `ecdsa-p384-sha384`, and asking for signatures
//! (`Accept-Signature`). What was signed before is the store's to remember.

mod base;
mod component;
mod sign;

pub use base::SignatureInput;
pub use component::{Component, DERIVED};
pub use sign::{KeyAs, SignatureFields, Signing, sign};

use crate::head::HeadView;
use crate::signature_key::{SignatureAlgorithm, SignatureHolds, VerificationKey};
use crate::structured_field::{self, BareItem, FieldError, Member};
use countersign_base::{Duration, UnixTime};

/// The field with what is covered, by label.
pub const SIGNATURE_INPUT: &str = "signature-input";
/// The field with the signatures, by label.
pub const SIGNATURE: &str = "signature";
/// Signatures that one message may carry.
pub const SIGNATURES_MAX: usize = 10;
/// Components that one signature may cover.
pub const COMPONENTS_MAX: usize = 32;

/// A message that is signed or verified.
#[derive(Debug, Clone, Copy)]
pub enum Message<'a> {
    /// A request.
    Request(HeadView<'a>),
    /// An answer.
    Response(ResponseView<'a>),
}

/// The head of an answer.
#[derive(Debug, Clone, Copy)]
pub struct ResponseView<'a> {
    /// The status.
    pub status: u16,
    /// The fields in the order in which they came, names in lower case.
    pub fields: &'a [(&'a str, &'a [u8])],
    /// The request that it answers, for components with `req`.
    pub request: Option<HeadView<'a>>,
}

impl<'a> Message<'a> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = match self {
            Self::Request(head) => head.fields,
            Self::Response(head) => head.fields,
        };
        fields
            .iter()
            .filter(move |(field, _)| *field == name)
            .map(|(_, value)| *value)
    }
}

/// The name of an algorithm in the registry "HTTP Signature Algorithms".
#[must_use]
pub const fn algorithm_name(algorithm: SignatureAlgorithm) -> Option<&'static str> {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => Some("ecdsa-p256-sha256"),
        SignatureAlgorithm::Ed25519 => Some("ed25519"),
        SignatureAlgorithm::HmacSha256 => Some("hmac-sha256"),
        SignatureAlgorithm::RsaPssSha512 => Some("rsa-pss-sha512"),
        SignatureAlgorithm::EcdsaP256Sha256Asn1
        | SignatureAlgorithm::HmacSha512
        | SignatureAlgorithm::RsaPssSha256 => None,
    }
}

/// One signature of a message, not believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledSignature {
    /// Its label. Anybody could have chosen it.
    pub label: String,
    /// What it says to cover.
    pub input: SignatureInput,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Reads every signature of a message.
///
/// # Errors
/// When there is none, one of the two fields is missing or malformed, a label stands in one of them only, or what is covered is not understood.
pub fn signatures(message: &Message<'_>) -> Result<Vec<LabelledSignature>, HttpSignatureError> {
    let inputs = field(message, SIGNATURE_INPUT)?;
    let bytes = field(message, SIGNATURE)?;
    let (inputs, bytes) = match (inputs, bytes) {
        (None, None) => return Err(HttpSignatureError::Missing),
        (Some(inputs), Some(bytes)) => (inputs, bytes),
        (Some(_), None) | (None, Some(_)) => return Err(HttpSignatureError::Labels),
    };
    let same_labels = inputs.iter().count() == bytes.iter().count()
        && inputs.iter().all(|(label, _)| bytes.get(label).is_some());
    if !same_labels {
        return Err(HttpSignatureError::Labels);
    }
    let mut signatures = Vec::new();
    for (label, member) in inputs.iter() {
        let (Member::InnerList(list), Some(Member::Item(item))) = (member, bytes.get(label)) else {
            return Err(HttpSignatureError::Malformed);
        };
        let BareItem::ByteSequence(bytes) = &item.value else {
            return Err(HttpSignatureError::Malformed);
        };
        signatures.push(LabelledSignature {
            label: label.to_owned(),
            input: SignatureInput::of(list)?,
            bytes: bytes.clone(),
        });
        if signatures.len() > SIGNATURES_MAX {
            return Err(HttpSignatureError::TooMany);
        }
    }
    if signatures.is_empty() {
        return Err(HttpSignatureError::Missing);
    }
    Ok(signatures)
}

/// A dictionary that can stand on several lines.
fn field(
    message: &Message<'_>,
    name: &str,
) -> Result<Option<structured_field::Dictionary>, HttpSignatureError> {
    let lines = message
        .values(name)
        .map(std::str::from_utf8)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| HttpSignatureError::Malformed)?;
    if lines.is_empty() {
        return Ok(None);
    }
    structured_field::dictionary(&lines.join(", "))
        .map(Some)
        .map_err(|error| match error {
            FieldError::Duplicate => HttpSignatureError::LabelTwice,
            FieldError::TooLong => HttpSignatureError::TooMany,
            FieldError::Syntax => HttpSignatureError::Malformed,
        })
}

/// What a verifier demands of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// What it has to cover at least.
    pub components: Vec<Component>,
    /// `tag`: only signatures with it are looked at. Nothing looks at all of them.
    pub tag: Option<String>,
    /// How far `created` may be from now, either way.
    pub tolerance: Duration,
}

/// Verifies that one of the signatures of a message is what is expected, under one of the keys.
///
/// # Errors
/// [`HttpSignatureError`]: of the last signature that was looked at, if none held.
pub fn verify(
    message: &Message<'_>,
    keys: &[VerificationKey],
    expected: &Expected,
    now: UnixTime,
) -> Result<SignatureVerified, HttpSignatureError> {
    let mut refusal = HttpSignatureError::Missing;
    for signature in signatures(message)? {
        if expected.tag.is_some() && signature.input.tag() != expected.tag.as_deref() {
            continue;
        }
        match judge(message, &signature, keys, expected, now) {
            Ok(_holds) => return Ok(SignatureVerified { signature }),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

fn judge(
    message: &Message<'_>,
    signature: &LabelledSignature,
    keys: &[VerificationKey],
    expected: &Expected,
    now: UnixTime,
) -> Result<SignatureHolds, HttpSignatureError> {
    let input = &signature.input;
    if !input.covers(&expected.components) {
        return Err(HttpSignatureError::ComponentsMissing);
    }
    let created = input.created()?.ok_or(HttpSignatureError::CreatedMissing)?;
    if created < now.minus(expected.tolerance) || created > now.plus(expected.tolerance) {
        return Err(HttpSignatureError::Created);
    }
    if input.expires()?.is_some_and(|expires| expires < now) {
        return Err(HttpSignatureError::Expired);
    }
    let algorithm = input.algorithm()?;
    let base = input.base(message)?;
    let mut refusal = HttpSignatureError::AlgorithmDiffers;
    let mut held = None;
    for key in keys {
        if algorithm_name(key.algorithm()).is_none()
            || algorithm.is_some_and(|algorithm| algorithm != key.algorithm())
        {
            continue;
        }
        if !key.answers_to(input.key_id()) {
            if refusal == HttpSignatureError::AlgorithmDiffers {
                refusal = HttpSignatureError::KeyUnknown;
            }
            continue;
        }
        refusal = HttpSignatureError::Wrong;
        if let Some(holds) = key.judge(&[&base], &[&signature.bytes]) {
            held = Some(holds);
        }
    }
    held.ok_or(refusal)
}

/// Evidence that a signature held: made by [`verify`] alone.
#[derive(Debug)]
#[must_use]
pub struct SignatureVerified {
    signature: LabelledSignature,
}

impl SignatureVerified {
    /// The signature: what it covers is what it proves.
    #[must_use]
    pub const fn signature(&self) -> &LabelledSignature {
        &self.signature
    }
}

/// Why a message was not signed, or its signature not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpSignatureError {
    /// `alg` is of another key, or no key is of an algorithm of the registry.
    #[error("the signature's algorithm is not the one of the key")]
    AlgorithmDiffers,
    /// `alg` is none that is known here.
    #[error("the signature's algorithm is unknown")]
    AlgorithmUnknown,
    /// A component that is not there, or cannot be covered.
    #[error("a component cannot be covered: {0}")]
    Component(&'static str),
    /// What has to be covered is not.
    #[error("the signature does not cover what it has to")]
    ComponentsMissing,
    /// `created` is too far from now.
    #[error("the signature was not created within the tolerated time")]
    Created,
    /// There is no `created`.
    #[error("the signature does not say when it was created")]
    CreatedMissing,
    /// `expires` is over.
    #[error("the signature has expired")]
    Expired,
    /// No key has that name.
    #[error("the signature names a key that is not known")]
    KeyUnknown,
    /// A label stands twice in a field.
    #[error("a label of a signature stands twice")]
    LabelTwice,
    /// A label stands in one of the fields alone.
    #[error("Signature-Input and Signature do not have the same labels")]
    Labels,
    /// Not of the form of RFC 9421 §4.
    #[error("the fields of the signature are malformed")]
    Malformed,
    /// There is no signature, or none with the expected tag.
    #[error("the message has no signature")]
    Missing,
    /// The cryptographic library did not sign, or there is nothing to sign with.
    #[error("the message cannot be signed: {0}")]
    Signing(&'static str),
    /// More signatures, components or bytes than are looked at.
    #[error("the message has more signatures or components than are accepted")]
    TooMany,
    /// It does not hold.
    #[error("the signature does not hold")]
    Wrong,
}

#[cfg(test)]
mod tests;
