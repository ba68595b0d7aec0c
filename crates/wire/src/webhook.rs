//! Signatures of webhooks: what a sender writes and a receiver checks, one file a scheme.
//!
//! A receiver first has a [`Source`] look at the head alone, so that what cannot be right costs no body: which signatures there are, of which scheme, when the
//! attempt was made. Then [`Source::verify`] compares every signature with every key in rotation and gives the [`Receipt`], which nothing else can make.
//!
//! In this order: signature missing, another scheme's, twice, malformed, or not over what it has to cover; timestamp missing or malformed; id missing or
//! malformed; timestamp old or future; a version, an algorithm or a key that is not the source's; then, with the body, its digest, its signature, and an id
//! inside it.
//!
//! Not here: what was received before (`store`), and who may send (`policy`).

mod claim;
mod event_id;
mod field_signature;
mod github;
mod hmac;
pub mod http_signature;
mod jws_detached;
mod key_set;
mod key_text;
mod public_key;
mod receipt;
mod refusal;
mod scheme;
mod shopify;
mod slack;
pub mod standard;
mod stripe;

pub use claim::{ID_BYTES_MAX, SIGNATURES_MAX};
pub use event_id::EventIdRule;
pub use field_signature::{Content, Encoding, FieldRules, Separator, TimePlace};
pub use hmac::{HmacHash, HmacRules};
pub use http_signature::HttpSignatureRules;
pub use jws_detached::{JwsRules, JwsTime};
pub use key_text::{KeyError, KeyText};
pub use public_key::{EcdsaEncoding, PublicKeyRules};
pub use receipt::Receipt;
pub use refusal::WebhookRefusal;
pub use scheme::Scheme;
pub use slack::UrlChallenge;

use crate::head::HeadView;
use crate::signature_key::{SignatureHolds, VerificationKey};
use claim::{Claim, ClaimedSignature, Covered};
use countersign_base::{Duration, UnixTime};
use countersign_crypto::base64url;
use std::fmt;

/// Keys of one source in rotation.
pub const KEYS_MAX: usize = 10;
/// How far the time of an attempt may be from ours, either way, where nothing else is said: what the libraries of Standard Webhooks and Stripe take.
pub const TOLERANCE_DEFAULT: Duration = Duration::from_secs(300);
/// The most that may be said: what is remembered against replays lasts at least twice as long.
pub const TOLERANCE_MAX: Duration = Duration::from_secs(3600);

/// Who sends webhooks to us, and how we know that they did: built once from configuration.
pub struct Source {
    scheme: Scheme,
    keys: Vec<VerificationKey>,
    tolerance: Duration,
    event_id: EventIdRule,
    others: OtherSchemes,
}

/// What a source is built from.
#[derive(Debug)]
pub struct SourceRules {
    /// How it signs.
    pub scheme: Scheme,
    /// Its keys in rotation, 1 to [`KEYS_MAX`], as texts in the scheme's own form.
    pub keys: Vec<KeyText>,
    /// How far the time of an attempt may be from ours, either way. Without meaning for schemes without times.
    pub tolerance: Duration,
    /// What the id of an event is.
    pub event_id: EventIdRule,
    /// What the signatures of other schemes beside its own are.
    pub others: OtherSchemes,
}

/// What the signature of another scheme beside the source's own is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherSchemes {
    /// Nothing: for senders that pass on what somebody else signed.
    Ignored,
    /// A reason to refuse: nobody signs twice, and what lies behind us could believe the other one.
    #[default]
    Refused,
}

impl Source {
    /// Builds it.
    ///
    /// # Errors
    /// [`SourceError`], for the one who wrote the configuration.
    pub fn new(rules: SourceRules) -> Result<Self, SourceError> {
        if rules.keys.is_empty() || rules.keys.len() > KEYS_MAX {
            return Err(SourceError::Keys);
        }
        if rules.tolerance.is_zero() || rules.tolerance > TOLERANCE_MAX {
            return Err(SourceError::Tolerance);
        }
        rules.scheme.check().map_err(SourceError::Rules)?;
        let keys = rules
            .keys
            .iter()
            .enumerate()
            .map(|(index, text)| {
                rules.scheme.key(text).map_err(|error| SourceError::Key {
                    number: index + 1,
                    error,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            scheme: rules.scheme,
            keys,
            tolerance: rules.tolerance,
            event_id: rules.event_id,
            others: rules.others,
        })
    }

    /// How it signs.
    #[must_use]
    pub const fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// How far the time of an attempt may be from ours.
    #[must_use]
    pub const fn tolerance(&self) -> Duration {
        self.tolerance
    }

    /// Looks at the head, before anything of the body is read.
    ///
    /// # Errors
    /// The first of the refusals that the head alone allows, in the order that the module tells.
    pub fn look(&self, head: &HeadView<'_>, now: UnixTime) -> Result<Looked, WebhookRefusal> {
        let other = self.scheme.other_is_there(head);
        let claim = match self.scheme.look(head) {
            Err(WebhookRefusal::SignatureMissing) if other => {
                return Err(WebhookRefusal::SchemeOther);
            }
            Ok(_) if other && self.others == OtherSchemes::Refused => {
                return Err(WebhookRefusal::SchemeOther);
            }
            looked => looked?,
        };
        self.timely(&claim, now)?;
        let id = self.event_id.of_head(head)?;
        self.keys_there(&claim)?;
        Ok(Looked { claim, id })
    }

    /// Checks the signatures over the body: each with every key in rotation, tags in constant time. A challenge ([`Source::hear`]) is no event, and has no id.
    ///
    /// `looked` is of this source and of the head that the body came with. The time is checked again, because bodies can be slow, and what is remembered
    /// against replays ends some time after the window of an attempt.
    ///
    /// # Errors
    /// The first of the refusals that the body allows, in the order that the module tells.
    pub fn verify(
        &self,
        looked: Looked,
        body: &[u8],
        now: UnixTime,
    ) -> Result<Receipt, WebhookRefusal> {
        match self.hear(looked, body, now)? {
            Verified::Challenge(_) => Err(WebhookRefusal::IdMissing),
            Verified::Receipt(receipt) => Ok(receipt),
        }
    }

    /// As [`Source::verify`], for whoever answers challenges too.
    ///
    /// # Errors
    /// As [`Source::verify`], and that a challenge is malformed.
    pub fn hear(
        &self,
        looked: Looked,
        body: &[u8],
        now: UnixTime,
    ) -> Result<Verified, WebhookRefusal> {
        let Looked { claim, id } = looked;
        self.timely(&claim, now)?;
        let holds = self.signature_holds(&claim, body)?;
        if let Some(challenge) = self.scheme.challenge(&holds, &claim, body)? {
            return Ok(Verified::Challenge(challenge));
        }
        let id = self.event_id.resolve(id, &claim, body)?;
        let receipt = Receipt::new(holds, self.scheme.name(), &claim, body, id);
        Ok(Verified::Receipt(receipt))
    }

    fn timely(&self, claim: &Claim, now: UnixTime) -> Result<(), WebhookRefusal> {
        if let Some(timestamp) = claim.timestamp {
            if timestamp < now.minus(self.tolerance) {
                return Err(WebhookRefusal::TimestampOld);
            }
            if timestamp > now.plus(self.tolerance) {
                return Err(WebhookRefusal::TimestampFuture);
            }
        }
        match claim.expires {
            Some(expires) if expires < now => Err(WebhookRefusal::Expired),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether there is a key for one signature at least.
    fn keys_there(&self, claim: &Claim) -> Result<(), WebhookRefusal> {
        let mut refusal = WebhookRefusal::AlgorithmUnknown;
        for signature in &claim.signatures {
            for key in &self.keys {
                if signature.is_for(key) {
                    return Ok(());
                }
                if signature.is_of_algorithm_of(key) {
                    refusal = WebhookRefusal::KeyUnknown;
                }
            }
        }
        Err(refusal)
    }

    fn signature_holds(
        &self,
        claim: &Claim,
        body: &[u8],
    ) -> Result<SignatureHolds, WebhookRefusal> {
        let encoded;
        let parts = match &claim.covered {
            Covered::Body { before } => [before.as_slice(), body],
            Covered::EncodedBody { before } => {
                encoded = base64url::encode(body);
                [before.as_slice(), encoded.as_bytes()]
            }
            Covered::Head { digest, .. } => {
                let _matches = digest
                    .check(body)
                    .map_err(|_| WebhookRefusal::DigestWrong)?;
                [&[][..], &[]]
            }
        };
        let mut held = None;
        for key in &self.keys {
            let (own, shared): (Vec<&ClaimedSignature>, _) = claim
                .signatures
                .iter()
                .filter(|signature| signature.is_for(key))
                .partition(|signature| signature.base.is_some());
            let shared: Vec<&[u8]> = shared
                .iter()
                .map(|signature: &&ClaimedSignature| signature.bytes.as_slice())
                .collect();
            // Every key is tried with every signature, so that the time does not tell which was right.
            let of_own = own.iter().filter_map(|signature| {
                key.judge(&[signature.base.as_deref()?], &[&signature.bytes])
            });
            if let Some(holds) = of_own.chain(key.judge(&parts, &shared)).last() {
                held = Some(holds);
            }
        }
        held.ok_or(WebhookRefusal::SignatureWrong)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("scheme", &self.scheme)
            .field("keys", &self.keys)
            .field("tolerance", &self.tolerance)
            .finish_non_exhaustive()
    }
}

/// What a source signed.
#[derive(Debug)]
#[must_use]
pub enum Verified {
    /// It wants to read its own word in the answer, before it sends anything. That is no event.
    Challenge(UrlChallenge),
    /// An event.
    Receipt(Receipt),
}

/// What a source saw in a head: to be verified with the body that belongs to it, once.
#[derive(Debug)]
#[must_use]
pub struct Looked {
    claim: Claim,
    id: Option<String>,
}

impl Looked {
    /// What the head says of the time of the attempt. Not believed yet: for the record of a refusal.
    #[must_use]
    pub const fn claimed_timestamp(&self) -> Option<UnixTime> {
        self.claim.timestamp
    }
}

/// Why a source cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// A key is not of the scheme's form.
    #[error("key {number}: {error}")]
    Key {
        /// Which of them, from one.
        number: usize,
        /// What is wrong with it.
        error: KeyError,
    },
    /// The rules of the scheme contradict each other.
    #[error("{0}")]
    Rules(&'static str),
    /// None, or too many.
    #[error("a source of webhooks has 1 to {KEYS_MAX} keys")]
    Keys,
    /// Zero, or too long.
    #[error("the tolerance is 1 to {} seconds", TOLERANCE_MAX.as_secs())]
    Tolerance,
}

#[cfg(test)]
mod tests;
