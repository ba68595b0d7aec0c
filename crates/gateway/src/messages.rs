//! Messages between partners at a route (`countersign-wire`, module `message`): what is asked of a request on the way in, and what becomes of the answer on the way out.
//!
//! In: the body is a signed or a sealed message, or a content whose signature stands in the field [`SIGNATURE`]. It is verified before anything else looks at the body; the rest of the
//! pipeline and the upstream see the content, with its media type, and what was verified in fields of the gateway's own. It is spent after the decision and before it goes on: at
//! once, once, in the memory that all processes share. Out: the upstream's answer is signed or sealed for the partner, by the name of the message that it answers, and a receipt of the message
//! stands in the field [`RECEIPT`].
//!
//! Not here: who may call the route, which is asked as of every route.

mod keys;

pub use keys::{PartnerKeySet, PartnerKeys};

use crate::planes::Seen;
use bytes::Bytes;
use countersign_base::{RouteId, Tenant, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::jose::{ContentForm, DecryptionKey, JoseError};
use countersign_crypto::random::Random;
use countersign_crypto::signing::{MessageReceipt, PartnerMessage, SigningKey};
use countersign_wire::message::{
    self, AnswerMark, Draft, LIFETIME, Made, MediaType, Message, MessageRefusal, Occasion, Party,
    Receiving, Unspent, seal, sign, verify, verify_detached,
};
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The media type of a signed or a sealed message (RFC 7515 §9.2.1).
pub const MEDIA_TYPE: &str = "application/jose";
/// The signature of a content that is the body itself.
pub const SIGNATURE: HeaderName = HeaderName::from_static("message-signature");
/// The receipt of the message that the request was.
pub const RECEIPT: HeaderName = HeaderName::from_static("message-receipt");

/// For the upstream: the partner, as the configuration names them.
pub const PARTNER: HeaderName = HeaderName::from_static("countersign-message-partner");
/// For the upstream: who wrote (`iss`).
pub const ISSUER: HeaderName = HeaderName::from_static("countersign-message-issuer");
/// For the upstream: the message's name (`jti`).
pub const ID: HeaderName = HeaderName::from_static("countersign-message-id");
/// For the upstream: the partner's key.
pub const KEY: HeaderName = HeaderName::from_static("countersign-message-key");
/// For the upstream: SHA-256 of the content in base64url.
pub const DIGEST: HeaderName = HeaderName::from_static("countersign-message-sha256");

/// What a partner and a route agreed on.
pub struct MessageRules {
    /// The partner, as the configuration names them.
    pub partner: RouteId,
    /// Whose partner it is.
    pub tenant: Tenant,
    /// What the partner calls itself.
    pub party: Party,
    /// What we call ourselves to them.
    pub own: Party,
    /// The partner's keys.
    pub keys: PartnerKeys,
    /// What requests are.
    pub taken: Taken,
    /// What answers are.
    pub answered: Answered,
    /// What becomes of our answers at a partner who does not know that they say what they answer.
    pub mark: AnswerMark,
    /// The key of receipts, where they are given.
    pub receipts: Option<SigningKey<MessageReceipt>>,
}

/// What the requests of a route are.
pub enum Taken {
    /// Contents, each with its signature in a field.
    Detached,
    /// No messages.
    Plain,
    /// Sealed messages, for one of these keys.
    Sealed(Vec<DecryptionKey>),
    /// Signed messages.
    Signed,
}

/// What the answers of a route are.
pub enum Answered {
    /// The upstream's, with its signature in a field.
    Detached(SigningKey<PartnerMessage>),
    /// The upstream's.
    Plain,
    /// Sealed messages, to the key that the partner has for that.
    Sealed(SigningKey<PartnerMessage>),
    /// Signed messages.
    Signed(SigningKey<PartnerMessage>),
}

/// Why a message was not spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSpent {
    /// It came before.
    Replayed,
    /// The memory of messages cannot be asked.
    Unavailable,
}

/// Why there is no message, or no answer to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageDenial {
    /// The answer cannot be made a message: too long, in a content coding, or without a media type.
    Answer,
    /// The partner's keys cannot be had at the moment.
    KeysAway,
    /// The body is of another type than messages are, or in a content coding.
    MediaType,
    /// No signature, or more than one, beside a content.
    NoSignature,
    /// It was not spent.
    NotSpent(NotSpent),
    /// It does not hold.
    Refused(MessageRefusal),
}

impl MessageDenial {
    /// As records name it.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Answer => "message_answer",
            Self::KeysAway => "message_keys_away",
            Self::MediaType => "message_media_type",
            Self::NoSignature => "message_no_signature",
            Self::NotSpent(NotSpent::Replayed) => "message_replayed",
            Self::NotSpent(NotSpent::Unavailable) => "message_memory_away",
            Self::Refused(reason) => match reason {
                MessageRefusal::AlgorithmOther => "message_algorithm_other",
                MessageRefusal::AnswerMissing => "message_answer_missing",
                MessageRefusal::AnswerOther => "message_answer_other",
                MessageRefusal::AnswerUnasked => "message_answer_unasked",
                MessageRefusal::AudienceOther => "message_audience_other",
                MessageRefusal::DigestWrong => "message_digest_wrong",
                MessageRefusal::DoesNotOpen => "message_does_not_open",
                MessageRefusal::Expired => "message_expired",
                MessageRefusal::ExtensionRefused => "message_extension_refused",
                MessageRefusal::IssuedLater => "message_issued_later",
                MessageRefusal::IssuerOther => "message_issuer_other",
                MessageRefusal::KeyUnknown => "message_key_unknown",
                MessageRefusal::LifetimeOther => "message_lifetime_other",
                MessageRefusal::Malformed => "message_malformed",
                MessageRefusal::NotSigned => "message_not_signed",
                MessageRefusal::OtherMessage => "message_other_message",
                MessageRefusal::SignatureWrong => "message_signature_wrong",
                MessageRefusal::StatementMalformed => "message_statement_malformed",
                MessageRefusal::TooLarge => "message_too_large",
                MessageRefusal::TypeOther => "message_type_other",
            },
        }
    }

    /// What the caller sees: of a message that does not hold, not why.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Answer => StatusCode::BAD_GATEWAY,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoSignature | Self::Refused(_) => StatusCode::BAD_REQUEST,
            Self::NotSpent(NotSpent::Replayed) => StatusCode::CONFLICT,
            Self::KeysAway | Self::NotSpent(NotSpent::Unavailable) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    pub(crate) const fn seen(self) -> Seen {
        match self {
            Self::Answer | Self::NotSpent(_) => Seen::Permitted,
            Self::KeysAway | Self::MediaType | Self::NoSignature | Self::Refused(_) => {
                Seen::Refused
            }
        }
    }
}

impl MessageRules {
    /// How messages come, as records name it.
    pub(crate) const fn form(&self) -> &'static str {
        match &self.taken {
            Taken::Detached => "detached",
            Taken::Plain => "plain",
            Taken::Sealed(_) => "sealed",
            Taken::Signed => "signed",
        }
    }

    /// How answers go, as records name it.
    pub(crate) const fn answer_form(&self) -> &'static str {
        match &self.answered {
            Answered::Detached(_) => "detached",
            Answered::Plain => "plain",
            Answered::Sealed(_) => "sealed",
            Answered::Signed(_) => "signed",
        }
    }

    /// The message that a request is by one of these keys; nothing where none is asked for.
    pub(crate) fn open(
        &self,
        keys: &PartnerKeySet,
        headers: &HeaderMap,
        body: &[u8],
        now: UnixTime,
    ) -> Result<Option<Unspent<Message>>, MessageDenial> {
        let receiving = Receiving {
            issuer: &self.party,
            keys: keys.signatures(),
            audience: &self.own,
            // What answers a request of ours is no request, whoever carries it here.
            occasion: &Occasion::Own,
        };
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err(MessageDenial::MediaType);
        }
        let opened = match &self.taken {
            Taken::Plain => return Ok(None),
            Taken::Detached => {
                let mut signatures = headers.get_all(SIGNATURE).iter();
                let (Some(signature), None) = (signatures.next(), signatures.next()) else {
                    return Err(MessageDenial::NoSignature);
                };
                let signature = signature.to_str();
                let signature = signature.map_err(|_| MessageDenial::NoSignature)?;
                verify_detached(signature, body, &receiving, now)
            }
            Taken::Sealed(keys) => message::open(text(headers, body)?, keys, &receiving, now),
            Taken::Signed => verify(text(headers, body)?, &receiving, now),
        };
        opened.map(Some).map_err(MessageDenial::Refused)
    }

    /// The message that an answer becomes, which says what it answers, sealed to the key for that of these; nothing where it stays as it is.
    pub(crate) fn answer(
        &self,
        occasion: Occasion,
        keys: Option<&PartnerKeySet>,
        (media_type, content): (MediaType, &[u8]),
        random: &Random,
        now: UnixTime,
    ) -> Result<Option<Made>, JoseError> {
        let draft = Draft {
            issuer: self.own.clone(),
            audience: self.party.clone(),
            occasion,
            mark: self.mark,
            content_type: media_type,
            lifetime: LIFETIME,
        };
        let made = match &self.answered {
            Answered::Plain => return Ok(None),
            Answered::Detached(key) => {
                sign(key, &draft, content, ContentForm::Detached, random, now)
            }
            Answered::Sealed(key) => {
                let receiver = keys.and_then(PartnerKeySet::receiver);
                let receiver = receiver.ok_or(JoseError::Key("there is none to seal to"))?;
                seal(key, &draft, content, receiver, random, now)
            }
            Answered::Signed(key) => sign(key, &draft, content, ContentForm::Attached, random, now),
        };
        made.map(Some)
    }
}

/// A body that is a message.
fn text<'b>(headers: &HeaderMap, body: &'b [u8]) -> Result<&'b str, MessageDenial> {
    let media_type = headers.get(header::CONTENT_TYPE);
    let is_message = media_type.is_some_and(|value| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next();
        essence.is_some_and(|essence| {
            essence
                .trim_ascii()
                .eq_ignore_ascii_case(MEDIA_TYPE.as_bytes())
        })
    });
    if !is_message {
        return Err(MessageDenial::MediaType);
    }
    let text = std::str::from_utf8(body);
    text.map_err(|_| MessageDenial::Refused(MessageRefusal::Malformed))
}

/// The partner's message that a request is, before and after it was spent.
pub(crate) struct Opened {
    unspent: Mutex<Option<Unspent<Message>>>,
    spent: OnceLock<Vec<(HeaderName, HeaderValue)>>,
}

impl Opened {
    pub(crate) const fn new(unspent: Unspent<Message>) -> Self {
        Self {
            unspent: Mutex::new(Some(unspent)),
            spent: OnceLock::new(),
        }
    }

    /// The evidence, which is there once.
    pub(crate) fn take(&self) -> Option<Unspent<Message>> {
        let mut unspent = self.unspent.lock().unwrap_or_else(PoisonError::into_inner);
        unspent.take()
    }

    /// What the upstream learns of a message that was spent.
    pub(crate) fn is_now_spent(&self, partner: &RouteId, message: &Message) {
        let digest = base64url::encode(&message.digests.content);
        let fields = [
            (PARTNER, partner.as_str()),
            (ISSUER, message.issuer.as_str()),
            (ID, message.id.as_str()),
            (KEY, message.kid.as_str()),
            (DIGEST, digest.as_str()),
        ];
        let fields = fields.into_iter().filter_map(|(name, text)| {
            // Every one of them is of characters that a field may hold.
            HeaderValue::from_str(text).ok().map(|value| (name, value))
        });
        _ = self.spent.set(fields.collect());
    }

    /// Whether it may go on.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent.get().is_some()
    }

    /// Says to the upstream what was verified.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers.remove(SIGNATURE);
        for (name, value) in self.spent.get().into_iter().flatten() {
            headers.insert(name, value.clone());
        }
    }
}

/// The fields of a request that now holds the message's content.
pub(crate) fn describe(headers: &mut HeaderMap, content_type: &MediaType, content: &Bytes) {
    for name in ["content-digest", "content-md5", "digest", "repr-digest"] {
        headers.remove(name);
    }
    headers.remove(header::TRANSFER_ENCODING);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(content.len()));
    crate::headers::set(headers, header::CONTENT_TYPE, content_type.as_str());
}

#[cfg(test)]
mod tests;
