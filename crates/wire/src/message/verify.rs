//! Verifying signed messages, with their content inside or beside them.
//!
//! The order: length and form; the algorithm and the type that the header says; the partner's key of that name and algorithm; the signature; and only then what
//! is stated, so that a reason in the log such as "expired" is the partner's doing and not a stranger's.

use super::{
    CONTENT_BYTES_MAX, LEEWAY, LIFETIME_MAX, MediaType, MessageId, MessageRefusal, Occasion,
    OneTime, Party, SIGNATURES, SIGNED_TYP, TEXT_BYTES_MAX, Unspent, occasion,
};
use countersign_base::{Kid, Secret, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::digest::{sha256, sha256_parts};
use countersign_crypto::jose::{
    Algorithm, Claims, Header, JoseError, JwkSet, SignedContent, VerifyingKey,
};
use countersign_crypto::verified::{Unverified, Verified};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What may be critical in a header (RFC 7515 §4.1.11).
const UNDERSTOOD: [&str; 1] = [occasion::MEMBER];

/// What a receiver expects.
#[derive(Debug, Clone, Copy)]
pub struct Receiving<'a> {
    /// The partner.
    pub issuer: &'a Party,
    /// The keys under which the partner signs; several while one follows another.
    pub keys: &'a JwkSet,
    /// Who reads.
    pub audience: &'a Party,
    /// Whether a message that stands for itself is due, or the answer to a request.
    pub occasion: &'a Occasion,
}

/// Digests by which both sides name a message: SHA-256, in base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// Of the signed message without its content (header, two dots, signature): the same whether the content is inside or beside it, and whether it was sealed.
    #[serde(
        rename = "message_sha256",
        serialize_with = "write_digest",
        deserialize_with = "read_digest"
    )]
    pub message: [u8; 32],
    /// Of the content.
    #[serde(
        rename = "content_sha256",
        serialize_with = "write_digest",
        deserialize_with = "read_digest"
    )]
    pub content: [u8; 32],
}

impl Digests {
    /// The digests of a signed message in either form. None when it has not three parts.
    pub(super) fn of(text: &str, content: &[u8]) -> Option<Self> {
        let (rest, signature) = text.rsplit_once('.')?;
        let (header, _) = rest.split_once('.')?;
        Some(Self {
            message: sha256_parts(&[header.as_bytes(), b"..", signature.as_bytes()]),
            content: sha256(content),
        })
    }
}

fn write_digest<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&base64url::encode(digest))
}

fn read_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    base64url::decode_array(&text).map_err(serde::de::Error::custom)
}

/// A message that was verified.
pub struct Message {
    /// Who wrote it.
    pub issuer: Party,
    /// For whom: who reads it.
    pub audience: Party,
    /// Its name.
    pub id: MessageId,
    /// Whether it stands for itself or answers a request.
    pub occasion: Occasion,
    /// When it was written.
    pub issued: UnixTime,
    /// Until when it may be taken.
    pub expires: UnixTime,
    /// What the content is.
    pub content_type: MediaType,
    /// Digests of the signed message and of its content.
    pub digests: Digests,
    /// The key that it was signed with.
    pub kid: Kid,
    /// The algorithm of the signature.
    pub algorithm: Algorithm,
    content: Secret<Vec<u8>>,
}

impl Message {
    /// The content.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.content.expose()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Verifies a message that holds its content.
///
/// # Errors
/// The first reason against it.
pub fn verify(
    text: &str,
    receiving: &Receiving<'_>,
    now: UnixTime,
) -> Result<Unspent<Message>, MessageRefusal> {
    let unverified = SignedContent::parse(text, &UNDERSTOOD, TEXT_BYTES_MAX)?;
    judge(text, unverified, receiving, now)
}

/// Verifies a message whose content travelled beside it.
///
/// # Errors
/// The first reason against it.
pub fn verify_detached(
    text: &str,
    content: &[u8],
    receiving: &Receiving<'_>,
    now: UnixTime,
) -> Result<Unspent<Message>, MessageRefusal> {
    let unverified = SignedContent::parse_detached(text, content, &UNDERSTOOD, TEXT_BYTES_MAX)?;
    judge(text, unverified, receiving, now)
}

fn judge(
    text: &str,
    unverified: Unverified<SignedContent>,
    receiving: &Receiving<'_>,
    now: UnixTime,
) -> Result<Unspent<Message>, MessageRefusal> {
    let header = unverified.header().clone();
    if !header.is_typ(SIGNED_TYP) {
        return Err(MessageRefusal::TypeOther);
    }
    let key = key_of(&header, receiving.keys)?;
    let verified = unverified.verify(key)?;
    let message = read(text, verified, &header, receiving)?;
    in_time(message.issued, message.expires, now)?;
    let one_time = OneTime::new(&message.issuer, &message.id, message.expires);
    Ok(Unspent::new(message, one_time))
}

/// The partner's key that the header names. A message that names none is not tried with all of them: a partner who rotates keys names them.
pub(super) fn key_of<'k>(
    header: &Header,
    keys: &'k JwkSet,
) -> Result<&'k VerifyingKey, MessageRefusal> {
    if !SIGNATURES.contains(&header.algorithm()) {
        return Err(MessageRefusal::AlgorithmOther);
    }
    let kid = header.kid().ok_or(MessageRefusal::KeyUnknown)?;
    match keys.find(kid, header.algorithm()) {
        Some(key) => Ok(key),
        None if keys.iter().any(|key| key.kid() == Some(kid)) => {
            Err(MessageRefusal::AlgorithmOther)
        }
        None => Err(MessageRefusal::KeyUnknown),
    }
}

fn read(
    text: &str,
    verified: Verified<SignedContent>,
    header: &Header,
    receiving: &Receiving<'_>,
) -> Result<Message, MessageRefusal> {
    use MessageRefusal::StatementMalformed as Malformed;
    let statements = verified.statements();
    let issuer = named(
        statements,
        "iss",
        receiving.issuer,
        MessageRefusal::IssuerOther,
    )?;
    let audience = named(
        statements,
        "aud",
        receiving.audience,
        MessageRefusal::AudienceOther,
    )?;
    let occasion = Occasion::expected(statements, receiving.occasion)?;
    let id = required(statements, "jti")?
        .parse()
        .map_err(|_| Malformed)?;
    let issued = statements.time("iat")?.ok_or(Malformed)?;
    let expires = statements.time("exp")?.ok_or(Malformed)?;
    let content_type = MediaType::from_cty(required(statements, "cty")?).map_err(|_| Malformed)?;
    let stated: [u8; 32] =
        base64url::decode_array(required(statements, "content_sha256")?).map_err(|_| Malformed)?;
    if verified.content().len() > CONTENT_BYTES_MAX {
        return Err(MessageRefusal::TooLarge);
    }
    let digests = Digests::of(text, verified.content()).ok_or(MessageRefusal::Malformed)?;
    if stated != digests.content {
        return Err(MessageRefusal::DigestWrong);
    }
    Ok(Message {
        issuer,
        audience,
        id,
        occasion,
        issued,
        expires,
        content_type,
        digests,
        kid: header.kid().cloned().ok_or(MessageRefusal::KeyUnknown)?,
        algorithm: header.algorithm(),
        content: Secret::new(verified.into_inner().into_content()),
    })
}

/// A party that is the one that is expected. An array is refused: a message is for one receiver.
pub(super) fn named(
    statements: &Claims,
    name: &'static str,
    expected: &Party,
    other: MessageRefusal,
) -> Result<Party, MessageRefusal> {
    if required(statements, name)? == expected.as_str() {
        Ok(expected.clone())
    } else {
        Err(other)
    }
}

pub(super) fn required<'a>(
    statements: &'a Claims,
    name: &'static str,
) -> Result<&'a str, MessageRefusal> {
    statements
        .text(name)
        .map_err(JoseError::from)?
        .ok_or(MessageRefusal::StatementMalformed)
}

fn in_time(issued: UnixTime, expires: UnixTime, now: UnixTime) -> Result<(), MessageRefusal> {
    if issued > now.plus(LEEWAY) {
        return Err(MessageRefusal::IssuedLater);
    }
    if expires <= issued || expires.since(issued) > LIFETIME_MAX {
        return Err(MessageRefusal::LifetimeOther);
    }
    if now >= expires.plus(LEEWAY) {
        return Err(MessageRefusal::Expired);
    }
    Ok(())
}
