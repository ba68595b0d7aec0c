//! Making messages: signing them, and sealing what was signed.
//!
//! What was sent is kept as [`Sent`]: with it the sender later tells whether a receipt is about this message.

use super::{
    AnswerMark, CONTENT_BYTES_MAX, CONTENT_ENCRYPTION, Digests, LIFETIME_MAX, MediaType, MessageId,
    Occasion, Party, SEALED_TYP, SIGNATURES, SIGNED_TYP, occasion,
};
use countersign_base::{Duration, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::jose::{
    ContentForm, EncryptionKey, JoseError, KeyManagement, Labels, encrypt_content, sign_content,
};
use countersign_crypto::random::Random;
use countersign_crypto::signing::{PartnerMessage, SigningKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What is stated about a content.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Who writes.
    pub issuer: Party,
    /// For whom.
    pub audience: Party,
    /// Whether it stands for itself or answers a request.
    pub occasion: Occasion,
    /// Of an answer: what becomes of it at a reader who does not know that answers say so.
    pub mark: AnswerMark,
    /// What the content is.
    pub content_type: MediaType,
    /// For how long it may be taken; at most [`LIFETIME_MAX`].
    pub lifetime: Duration,
}

/// A message that was made.
#[derive(Debug)]
pub struct Made {
    /// The message in the compact form. Detached, the content travels beside it.
    pub text: String,
    /// What to keep of it.
    pub sent: Sent,
}

/// What a sender keeps of a message, to know its receipt again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// Who wrote it.
    pub issuer: Party,
    /// For whom.
    pub audience: Party,
    /// Its name.
    pub id: MessageId,
    /// Digests of the signed message and of its content.
    #[serde(flatten)]
    pub digests: Digests,
}

/// Signs a content. The message's name is drawn.
///
/// # Errors
/// When the content is empty or longer than [`CONTENT_BYTES_MAX`], the lifetime longer than [`LIFETIME_MAX`] or nothing, the key signs with an algorithm that is
/// not for messages, or signing fails.
pub fn sign(
    key: &SigningKey<PartnerMessage>,
    draft: &Draft,
    content: &[u8],
    form: ContentForm,
    random: &Random,
    now: UnixTime,
) -> Result<Made, JoseError> {
    if content.len() > CONTENT_BYTES_MAX {
        return Err(JoseError::TooLong);
    }
    if !SIGNATURES.contains(&key.algorithm()) {
        return Err(JoseError::AlgorithmDiffers);
    }
    if draft.lifetime > LIFETIME_MAX || draft.lifetime < Duration::from_secs(1) {
        return Err(JoseError::Signing("the lifetime is not accepted"));
    }
    let id: MessageId = base64url::encode(&random.bytes::<16>())
        .parse()
        .map_err(|_| JoseError::Signing("the message could not be named"))?;
    let statements = statements(draft, &id, content, now);
    let text = sign_content(key, statements, content, form)?;
    let digests = Digests::of(&text, content).ok_or(JoseError::Parts)?;
    let sent = Sent {
        issuer: draft.issuer.clone(),
        audience: draft.audience.clone(),
        id,
        digests,
    };
    Ok(Made { text, sent })
}

/// Signs a content and encrypts the signed whole for the receiver.
///
/// # Errors
/// As [`sign`], and when the receiver's key does not fit `management`.
pub fn seal(
    key: &SigningKey<PartnerMessage>,
    draft: &Draft,
    content: &[u8],
    (receiver, management): (&EncryptionKey, KeyManagement),
    random: &Random,
    now: UnixTime,
) -> Result<Made, JoseError> {
    let signed = sign(key, draft, content, ContentForm::Attached, random, now)?;
    let labels = Labels {
        typ: Some(SEALED_TYP),
        cty: SIGNED_TYP,
    };
    let text = encrypt_content(
        signed.text.as_bytes(),
        labels,
        receiver,
        management,
        CONTENT_ENCRYPTION,
        random,
    )?;
    Ok(Made {
        text,
        sent: signed.sent,
    })
}

fn statements(draft: &Draft, id: &MessageId, content: &[u8], now: UnixTime) -> Map<String, Value> {
    let digest = countersign_crypto::digest::sha256(content);
    let statements: [(&str, Value); 7] = [
        ("iss", draft.issuer.as_str().into()),
        ("aud", draft.audience.as_str().into()),
        ("jti", id.as_str().into()),
        ("iat", json!(now.0)),
        ("exp", json!(now.plus(draft.lifetime).0)),
        ("cty", draft.content_type.as_str().into()),
        ("content_sha256", base64url::encode(&digest).into()),
    ];
    let answer = draft.occasion.stated();
    let critical = match draft.mark {
        AnswerMark::Critical => answer.map(|_| ("crit", json!([occasion::MEMBER]))),
        AnswerMark::Ignorable => None,
    };
    let answer = answer.map(|request| (occasion::MEMBER, request.into()));
    statements
        .into_iter()
        .chain(answer)
        .chain(critical)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
