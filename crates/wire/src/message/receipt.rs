//! Receipts: the receiver's signed word that a message arrived and held (non-repudiation of receipt).
//!
//! A receipt is a JWT (RFC 7519) of the type [`RECEIPT_TYP`]: `iss` is who received, `aud` who had written, and `message` names the message by its `jti`, the
//! digest of the signed message and that of its content. It has no `exp`, because what it says stays true. It can be made of a [`Message`] alone, and so of nothing that
//! was not verified and spent.
//!
//! Not here: what the receiver then did with the content.

use super::verify::{key_of, named, required};
use super::{
    Digests, LEEWAY, Message, MessageId, MessageRefusal, Party, RECEIPT_TYP, SIGNATURES, Sent,
};
use countersign_base::{Kid, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::digest::sha256;
use countersign_crypto::jose::{Claims, JoseError, JwkSet, Jws, sign_jwt};
use countersign_crypto::random::Random;
use countersign_crypto::signing::{MessageReceipt, SigningKey};
use serde_json::json;

/// A receipt that was verified, about the message that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Who received.
    pub issuer: Party,
    /// Its own name.
    pub id: MessageId,
    /// When it was given.
    pub issued: UnixTime,
    /// The message's name.
    pub message: MessageId,
    /// The message's digests.
    pub digests: Digests,
    /// The key that it was signed with.
    pub kid: Kid,
    /// SHA-256 of the receipt itself.
    pub digest: [u8; 32],
}

/// Signs the receipt of a message.
///
/// # Errors
/// When the key signs with an algorithm that is not for messages, or signing fails.
pub fn issue_receipt(
    key: &SigningKey<MessageReceipt>,
    message: &Message,
    random: &Random,
    now: UnixTime,
) -> Result<String, JoseError> {
    if !SIGNATURES.contains(&key.algorithm()) {
        return Err(JoseError::AlgorithmDiffers);
    }
    let claims = json!({
        "iss": message.audience.as_str(),
        "aud": message.issuer.as_str(),
        "jti": base64url::encode(&random.bytes::<16>()),
        "iat": now.0,
        "message": {
            "jti": message.id.as_str(),
            "message_sha256": base64url::encode(&message.digests.message),
            "content_sha256": base64url::encode(&message.digests.content),
        },
    });
    sign_jwt(key, &claims)
}

/// Verifies a receipt of what was sent, by the keys of its receiver.
///
/// # Errors
/// The first reason against it.
pub fn verify_receipt(
    text: &str,
    keys: &JwkSet,
    sent: &Sent,
    now: UnixTime,
) -> Result<Receipt, MessageRefusal> {
    let jws = Jws::parse(text)?;
    let header = jws.header().clone();
    if !header.is_typ(RECEIPT_TYP) {
        return Err(MessageRefusal::TypeOther);
    }
    let key = key_of(&header, keys)?;
    let claims = jws.verify(key)?;
    let issuer = named(&claims, "iss", &sent.audience, MessageRefusal::IssuerOther)?;
    named(&claims, "aud", &sent.issuer, MessageRefusal::AudienceOther)?;
    let malformed = MessageRefusal::StatementMalformed;
    let id = required(&claims, "jti")?.parse().map_err(|_| malformed)?;
    let issued = claims.time("iat")?.ok_or(malformed)?;
    if issued > now.plus(LEEWAY) {
        return Err(MessageRefusal::IssuedLater);
    }
    let about = claims.object("message")?.ok_or(malformed)?.clone();
    about_sent(&Claims::from_members(about), sent)?;
    Ok(Receipt {
        issuer,
        id,
        issued,
        message: sent.id.clone(),
        digests: sent.digests,
        kid: header.kid().cloned().ok_or(MessageRefusal::KeyUnknown)?,
        digest: sha256(text.as_bytes()),
    })
}

/// Whether a receipt names the message that was sent: its name, and both digests.
fn about_sent(about: &Claims, sent: &Sent) -> Result<(), MessageRefusal> {
    let digest = |name: &'static str| -> Result<[u8; 32], MessageRefusal> {
        base64url::decode_array(required(about, name)?)
            .map_err(|_| MessageRefusal::StatementMalformed)
    };
    let digests = Digests {
        message: digest("message_sha256")?,
        content: digest("content_sha256")?,
    };
    if required(about, "jti")? == sent.id.as_str() && digests == sent.digests {
        Ok(())
    } else {
        Err(MessageRefusal::OtherMessage)
    }
}
