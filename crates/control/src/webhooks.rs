//! Webhooks that go out, but for sending them: what an endpoint may be, the secrets that its webhooks are signed with, event types with their schemas, how a publication becomes
//! a message, and when one that was not taken is tried again.
//!
//! Secrets and bodies lie in the store under the installation's key, each bound to its row. Not here: what is durable (`store`), who sends (`channels`), and who may ask for what
//! (`policy`, `api`).

mod event_types;
mod publication;
mod rules;
mod schedule;
mod trial;

pub use event_types::{CheckedEventType, EventTypes, NotFitting, SchemaRefused};
pub use publication::{Fitting, IdempotencyKey, Publication, Publisher};
pub use rules::{PublishingRate, WebhookRules};
pub use schedule::{
    PAUSE_MAX, RETRIES_MAX, RETRY_AFTER_MAX, SCHEDULES_MAX, Schedule, ScheduleError, Schedules,
};
pub use trial::{TEST_EVENT, is_built_in, test_publication};

use crate::Fabric;
use countersign_base::{
    Duration, EndpointId, EventPattern, MessageId, Secret, Tenant, UnixTime, WebhookSecretId,
};
use countersign_crypto::jose::EncryptionKey;
use countersign_keys::{Aad, OpenError, Sealed, envelope};
use countersign_store::tables::webhook_endpoints::{EndpointRecord, PATTERNS_MAX, WebhookSigning};
use countersign_store::tables::webhook_secrets::{NewWebhookSecret, SecretKind};
use countersign_store::webhooks::WebhookMessage;
use countersign_wire::webhook::standard::{self, SigningSecret};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use url::{Host, Url};

/// How long an old secret signs beside a new one, unless whoever rotates says otherwise.
pub const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// And at most.
pub const OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Attempts at a time that an endpoint has unless its partner says otherwise.
pub const CONCURRENCY: u16 = 10;
/// And at most.
pub const CONCURRENCY_MAX: u16 = 64;
/// Attempts a second that may be asked for.
pub const RATE_MAX: u32 = 10_000;
/// Bytes of the certificates that a receiver's may descend from.
const CA_BYTES_MAX: usize = 32 * 1024;

/// Why a receiver cannot be as it was described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiverRefused {
    /// The certificates.
    #[error("`ca` is no certificate in PEM, or longer than 32 KiB")]
    Ca,
    /// The number of attempts at a time.
    #[error("`concurrency` is a number from 1 to {CONCURRENCY_MAX}")]
    Concurrency,
    /// The key that payloads are encrypted to.
    #[error(
        "`encryption` is no public key (JWK) with `use` `enc` that payloads can be encrypted to"
    )]
    Encryption,
    /// What it wants.
    #[error("an endpoint wants 1 to {PATTERNS_MAX} event types")]
    Patterns,
    /// Plain HTTP elsewhere.
    #[error("plain HTTP is for a receiver on this machine alone: use https")]
    Plain,
    /// The rate.
    #[error("`rate` is a number from 1 to {RATE_MAX}")]
    Rate,
    /// The schedule of retries; those that there are.
    #[error("`retries` names no schedule of this installation: there are {0}")]
    Retries(String),
}

/// A receiver that may be stored: only [`Receiver::check`] makes one.
#[derive(Debug, Clone)]
pub struct Receiver {
    record: EndpointRecord,
    patterns: BTreeSet<EventPattern>,
}

impl Receiver {
    /// Checks what a partner or an administrator says of a receiver, where these schedules of retries are.
    ///
    /// Plain HTTP is taken to an address of the loopback only; whether the egress guard lets it pass is another question.
    ///
    /// # Errors
    /// [`ReceiverRefused`].
    pub fn check(
        record: EndpointRecord,
        patterns: BTreeSet<EventPattern>,
        schedules: &Schedules,
    ) -> Result<Self, ReceiverRefused> {
        if !schedules.knows(record.retries.as_str()) {
            return Err(ReceiverRefused::Retries(schedules.listed()));
        }
        Self::fits(record, patterns)
    }

    /// As [`Self::check`], for one that is there: it may keep a schedule that was taken out of the configuration since.
    ///
    /// # Errors
    /// [`ReceiverRefused`].
    pub fn check_change(
        present: &EndpointRecord,
        record: EndpointRecord,
        patterns: BTreeSet<EventPattern>,
        schedules: &Schedules,
    ) -> Result<Self, ReceiverRefused> {
        if record.retries == present.retries {
            Self::fits(record, patterns)
        } else {
            Self::check(record, patterns, schedules)
        }
    }

    fn fits(
        record: EndpointRecord,
        patterns: BTreeSet<EventPattern>,
    ) -> Result<Self, ReceiverRefused> {
        if record.url.is_plain() && !is_loopback(record.url.as_str()) {
            return Err(ReceiverRefused::Plain);
        }
        if patterns.is_empty() || patterns.len() > PATTERNS_MAX {
            return Err(ReceiverRefused::Patterns);
        }
        if !(1..=CONCURRENCY_MAX).contains(&record.concurrency) {
            return Err(ReceiverRefused::Concurrency);
        }
        if record
            .rate
            .is_some_and(|rate| !(1..=RATE_MAX).contains(&rate))
        {
            return Err(ReceiverRefused::Rate);
        }
        let encryption = record.encryption.as_ref().map(EncryptionKey::parse);
        encryption
            .transpose()
            .map_err(|_| ReceiverRefused::Encryption)?;
        let is_pem =
            |ca: &String| ca.len() <= CA_BYTES_MAX && ca.contains("-----BEGIN CERTIFICATE-----");
        if !record.ca.as_ref().is_none_or(is_pem) {
            return Err(ReceiverRefused::Ca);
        }
        Ok(Self { record, patterns })
    }

    /// What is stored.
    #[must_use]
    pub fn into_parts(self) -> (EndpointRecord, BTreeSet<EventPattern>) {
        (self.record, self.patterns)
    }

    /// How its webhooks are signed.
    #[must_use]
    pub const fn signing(&self) -> WebhookSigning {
        self.record.signing
    }
}

fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A new secret: what is stored, and what the receiver verifies with, which is told once.
pub struct MadeSecret {
    /// What is stored.
    pub stored: NewWebhookSecret,
    /// `whsec_…` for HMAC, `whpk_…` for Ed25519.
    pub shown: Secret<String>,
}

/// A secret could not be made or sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret cannot be made or sealed")]
pub struct SecretFailed;

/// Makes a secret for webhooks that are signed so.
///
/// # Errors
/// When the cryptographic library or the key hierarchy fails.
pub fn make_secret(
    fabric: &Fabric,
    tenant: &Tenant,
    signing: WebhookSigning,
) -> Result<MadeSecret, SecretFailed> {
    let (kind, of) = match signing {
        WebhookSigning::HttpSignature | WebhookSigning::V1a => {
            (SecretKind::Ed25519, standard::SecretKind::Ed25519)
        }
        WebhookSigning::V1 => (SecretKind::Hmac, standard::SecretKind::Hmac),
    };
    let secret = SigningSecret::generate(of, fabric.random()).map_err(|_| SecretFailed)?;
    let id = WebhookSecretId::from_bytes(fabric.random().bytes());
    let place = Aad::row(tenant, "webhook_secrets", "sealed", id.as_bytes());
    let text = secret.to_text();
    let sealed = envelope::seal(
        &*fabric.secrets().keks(),
        &place,
        text.expose().as_bytes(),
        fabric.random(),
    );
    Ok(MadeSecret {
        stored: NewWebhookSecret {
            id,
            kind,
            sealed: sealed.map_err(|_| SecretFailed)?.into_bytes(),
        },
        shown: secret.to_verifying_text(),
    })
}

/// A new endpoint's id.
#[must_use]
pub fn new_endpoint_id(fabric: &Fabric) -> EndpointId {
    EndpointId::from_bytes(fabric.random().bytes())
}

/// How a message is named to its receivers, in the field `webhook-id`.
#[must_use]
pub fn webhook_id(message: MessageId) -> String {
    format!("msg_{message}")
}

/// When the secrets before a new one end, if they overlap for so long.
#[must_use]
pub fn others_end(overlap: Option<Duration>, now: UnixTime) -> UnixTime {
    now.plus(overlap.unwrap_or(OVERLAP).min(OVERLAP_MAX))
}

/// What a message says, opened.
///
/// # Errors
/// When it does not open: its key is gone, or the row was tampered with.
pub fn open_body(fabric: &Fabric, message: &WebhookMessage) -> Result<Secret<Vec<u8>>, OpenError> {
    let place = body_place(&message.tenant, message.id.as_bytes());
    let sealed = Sealed::from_bytes(message.sealed.clone());
    envelope::open(&*fabric.secrets().keks(), &place, &sealed)
}

fn body_place(tenant: &Tenant, message: &[u8; 16]) -> Aad {
    Aad::row(tenant, "webhook_messages", "sealed", message)
}

/// Letters of an id or a name that a log shows.
const SHOWN_MAX: usize = 128;
/// Ids of people and of what they are signed in by, in the forms of [`plain_name`]: they tell more than which thing is meant.
const TELLING: [&str; 8] = [
    "deviceid",
    "nationalid",
    "passportid",
    "personalid",
    "sessionid",
    "socialsecurityid",
    "taxid",
    "tokenid",
];

/// What a delivery log shows of a payload: its shape, and of its values only ids, types and times. An id is a short word: an address of mail, a sentence or a number of a person is
/// none, whatever it is called. Nor is a name that looks like a value shown.
#[must_use]
pub fn masked(payload: &Value) -> Value {
    match payload {
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::Object(members) => Value::Object(members.iter().map(masked_member).collect()),
        Value::Null => Value::Null,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Value::from(MASK),
    }
}

const MASK: &str = "***";

fn masked_member((name, value): (&String, &Value)) -> (String, Value) {
    let names_something = ["id", "type", "version", "timestamp"].contains(&name.as_str())
        || name.ends_with("_id")
        || name.ends_with("Id");
    let tells = names_something && !TELLING.contains(&plain_name(name).as_str());
    let shown = match value {
        Value::Number(_) if tells => value.clone(),
        Value::String(text) if tells && is_word(text) => value.clone(),
        _ => masked(value),
    };
    let name = if is_word(name) { name.as_str() } else { MASK };
    (name.to_owned(), shown)
}

/// A name without what different conventions write differently.
fn plain_name(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/$".contains(&byte);
    text.len() <= SHOWN_MAX && text.bytes().all(plain)
}

/// A payload as the delivery log shows it; what is no JSON is not shown at all.
#[must_use]
pub fn masked_body(body: &Secret<Vec<u8>>) -> Value {
    serde_json::from_slice(body.expose()).map_or(Value::Object(Map::new()), |body| masked(&body))
}
