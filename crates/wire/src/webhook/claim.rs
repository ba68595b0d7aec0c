//! What a head claims, in the one form that every scheme is brought into: what is covered, by which signatures, when, and of which event.
//!
//! Nothing of it is believed before [`super::Source::verify`] compared.

use super::WebhookRefusal;
use crate::content_digest::ContentDigest;
use crate::head::{HeadView, OneValue};
use crate::signature_key::{SignatureAlgorithm, VerificationKey};
use countersign_base::UnixTime;

/// Signatures that one head may carry. A sender in rotation sends two.
pub const SIGNATURES_MAX: usize = 10;
/// Bytes of the id of an event.
pub const ID_BYTES_MAX: usize = 255;
/// Digits of a timestamp: seconds until the year 33658, and the arithmetic cannot overflow.
const TIMESTAMP_DIGITS_MAX: usize = 12;

/// What a head claims.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) covered: Covered,
    pub(super) signatures: Vec<ClaimedSignature>,
    /// When the attempt was made; covered by the signature.
    pub(super) timestamp: Option<UnixTime>,
    /// When the signature ends; covered by it.
    pub(super) expires: Option<UnixTime>,
    /// The id of the event, if the scheme has one that the signature covers.
    pub(super) id: Option<String>,
}

/// The bytes that a signature covers.
#[derive(Debug)]
pub(super) enum Covered {
    /// These bytes, and then the body.
    Body {
        /// What stands before it.
        before: Vec<u8>,
    },
    /// These bytes, and then the body in base64url (RFC 7515 §5.1).
    EncodedBody {
        /// What stands before it.
        before: Vec<u8>,
    },
    /// Parts of the head, a digest of the body among them (RFC 9421); each signature has its own base.
    Head {
        /// What all of the signatures say.
        statement: Vec<u8>,
        /// The digest.
        digest: ContentDigest,
    },
}

impl Covered {
    /// What is covered beside the body: with the body's digest it tells one attempt from another.
    pub(super) fn beside_body(&self) -> &[u8] {
        match self {
            Self::Body { before } | Self::EncodedBody { before } => before,
            Self::Head { statement, .. } => statement,
        }
    }
}

/// One signature of the head.
#[derive(Debug)]
pub(super) struct ClaimedSignature {
    /// By which algorithm it says to be made; nothing where that is the key's alone to say.
    pub(super) algorithm: Option<SignatureAlgorithm>,
    pub(super) key_id: Option<String>,
    pub(super) bytes: Vec<u8>,
    /// What it covers, where signatures of one head do not all cover the same bytes.
    pub(super) base: Option<Vec<u8>>,
}

impl ClaimedSignature {
    /// Whether the key can be the one that it was made with.
    pub(super) fn is_for(&self, key: &VerificationKey) -> bool {
        self.is_of_algorithm_of(key) && key.answers_to(self.key_id.as_deref())
    }

    pub(super) fn is_of_algorithm_of(&self, key: &VerificationKey) -> bool {
        self.algorithm
            .is_none_or(|algorithm| algorithm == key.algorithm())
    }

    /// A tag of HMAC with SHA-256; anything but 32 bytes is none.
    pub(super) fn hmac_sha256(bytes: Vec<u8>) -> Result<Self, WebhookRefusal> {
        Self::of_length(SignatureAlgorithm::HmacSha256, bytes, 32)
    }

    /// A signature of an algorithm whose signatures all have one length.
    pub(super) fn of_length(
        algorithm: SignatureAlgorithm,
        bytes: Vec<u8>,
        length: usize,
    ) -> Result<Self, WebhookRefusal> {
        if bytes.len() != length {
            return Err(WebhookRefusal::SignatureMalformed);
        }
        Ok(Self {
            algorithm: Some(algorithm),
            key_id: None,
            bytes,
            base: None,
        })
    }
}

/// The value of the field that holds the scheme's signature.
pub(super) fn signature_field<'a>(
    head: &HeadView<'a>,
    name: &str,
) -> Result<&'a str, WebhookRefusal> {
    match head.one(name) {
        OneValue::Missing => Err(WebhookRefusal::SignatureMissing),
        OneValue::NotText | OneValue::Text("") => Err(WebhookRefusal::SignatureMalformed),
        OneValue::Several => Err(WebhookRefusal::SignatureSeveral),
        OneValue::Text(text) => Ok(text),
    }
}

/// The value of the field that holds the time of the attempt, as it was written and as a time.
pub(super) fn timestamp_field<'a>(
    head: &HeadView<'a>,
    name: &str,
) -> Result<(&'a str, UnixTime), WebhookRefusal> {
    match head.one(name) {
        OneValue::Missing => Err(WebhookRefusal::TimestampMissing),
        OneValue::NotText | OneValue::Several => Err(WebhookRefusal::TimestampMalformed),
        OneValue::Text(text) => timestamp(text).map(|time| (text, time)),
    }
}

/// Seconds since the epoch in digits, without sign or leading zeros, so that one time has one form.
pub(super) fn timestamp(text: &str) -> Result<UnixTime, WebhookRefusal> {
    let canonical = (1..=TIMESTAMP_DIGITS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    if !canonical {
        return Err(WebhookRefusal::TimestampMalformed);
    }
    text.parse()
        .map(UnixTime)
        .map_err(|_| WebhookRefusal::TimestampMalformed)
}

/// The value of the field that holds the id of the event.
pub(super) fn id_field<'a>(head: &HeadView<'a>, name: &str) -> Result<&'a str, WebhookRefusal> {
    match head.one(name) {
        OneValue::Missing => Err(WebhookRefusal::IdMissing),
        OneValue::NotText | OneValue::Several => Err(WebhookRefusal::IdMalformed),
        OneValue::Text(text) => id(text),
    }
}

/// The id of an event: 1 to 255 visible ASCII characters.
pub(super) fn id(text: &str) -> Result<&str, WebhookRefusal> {
    let plain = (1..=ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    if plain {
        Ok(text)
    } else {
        Err(WebhookRefusal::IdMalformed)
    }
}

/// Bytes written as pairs of hexadecimal digits of either case.
pub(super) fn hex(text: &str) -> Result<Vec<u8>, WebhookRefusal> {
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect::<Option<Vec<u8>>>()
        .ok_or(WebhookRefusal::SignatureMalformed)
}

/// Bytes in base64 with padding.
pub(super) fn base64(text: &str) -> Result<Vec<u8>, WebhookRefusal> {
    countersign_crypto::base64::decode(text).map_err(|_| WebhookRefusal::SignatureMalformed)
}

#[cfg(test)]
mod tests;
