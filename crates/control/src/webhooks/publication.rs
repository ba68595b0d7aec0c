//! What somebody publishes, and the message that becomes of it.
//!
//! Receivers get `{"type", "version", "timestamp", "data"}`, as Standard Webhooks advises, with the published payload as `data`: written anew from what the schema judged, so that
//! nothing arrives that was not looked at.

use crate::Fabric;
use countersign_base::{Bounded, ClientId, EventTypeName, MessageId, Tenant, UnixTime, UserId};
use countersign_crypto::mac::{MacKey, Tag};
use countersign_keys::envelope::{self, SealError};
use countersign_store::webhooks::{Addressee, NewMessage, WebhookMessage};
use serde_json::{Map, Value, json};

/// The publisher's word for one publication: the same means the same message.
pub type IdempotencyKey = Bounded<255>;

/// What is to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// What it reports.
    pub event_type: EventTypeName,
    /// Which version of the type; without one, the newest.
    pub version: Option<u32>,
    /// To whom it goes.
    pub to: Addressee,
    /// What endpoints with an order keep in order, if anything.
    pub order_key: Option<Bounded<128>>,
    /// What it says: a JSON object.
    pub payload: Value,
}

impl Publication {
    /// A publication of a JSON object.
    #[must_use]
    pub const fn new(
        event_type: EventTypeName,
        version: Option<u32>,
        to: Addressee,
        order_key: Option<Bounded<128>>,
        payload: Map<String, Value>,
    ) -> Self {
        Self {
            event_type,
            version,
            to,
            order_key,
            payload: Value::Object(payload),
        }
    }
}

/// Who publishes: the same key of two publishers is two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publisher<'a> {
    /// The administrator of the installation.
    Administrator,
    /// A client.
    Client(&'a ClientId),
    /// Somebody on the partner's page.
    Person(UserId),
}

impl Publisher<'_> {
    fn parts(&self) -> (&[u8], Vec<u8>) {
        match self {
            Self::Administrator => (b"administrator", Vec::new()),
            Self::Client(client) => (b"client", client.as_str().as_bytes().to_vec()),
            Self::Person(user) => (b"person", user.as_bytes().to_vec()),
        }
    }
}

/// A publication that fits the schema of its event type; made by [`super::EventTypes::check`], or by [`super::test_publication`], whose type has none.
#[derive(Debug, Clone)]
pub struct Fitting {
    publication: Publication,
    version: u32,
}

impl Fitting {
    pub(super) const fn new(publication: Publication, version: u32) -> Self {
        Self {
            publication,
            version,
        }
    }

    /// What is to be published.
    #[must_use]
    pub const fn publication(&self) -> &Publication {
        &self.publication
    }

    /// The version of the event type that it fits.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// The message: its body sealed, its id random, or that of the publisher's key.
    ///
    /// # Errors
    /// When the body cannot be sealed.
    pub fn into_message(
        self,
        fabric: &Fabric,
        tenant: &Tenant,
        publisher: Publisher<'_>,
        key: Option<&IdempotencyKey>,
        now: UnixTime,
    ) -> Result<NewMessage, SealError> {
        let hashes = fabric.secrets().tenant_mac_key(tenant, "webhooks");
        let id = match key {
            None => MessageId::from_bytes(fabric.random().bytes()),
            Some(key) => keyed(&hashes, publisher, key),
        };
        let digest = self.digest(&hashes);
        let Self {
            publication,
            version,
        } = self;
        let body = json!({
            "type": publication.event_type.as_str(),
            "version": version,
            "timestamp": now.0,
            "data": publication.payload,
        });
        let sealed = envelope::seal(
            &*fabric.secrets().keks(),
            &super::body_place(tenant, id.as_bytes()),
            body.to_string().as_bytes(),
            fabric.random(),
        )?;
        let order_key = publication
            .order_key
            .map(|key| first_half(&hashes.tag("webhook order", &[key.as_str().as_bytes()])));
        Ok(NewMessage {
            message: WebhookMessage {
                tenant: tenant.clone(),
                id,
                event_type: publication.event_type,
                version,
                to: publication.to,
                digest,
                sealed: sealed.into_bytes(),
                created: now,
            },
            order_key,
        })
    }

    /// Of all that was published: what the same key with something else differs in. The version is the one that was asked for, so that a new version of the type does not make
    /// another message of what is published again. It is keyed, as whatever stands beside what is sealed: nobody who reads the database can try payloads against it.
    fn digest(&self, hashes: &MacKey) -> [u8; 32] {
        let publication = &self.publication;
        let asked = json!({
            "order_key": publication.order_key,
            "partner": match &publication.to {
                Addressee::Everyone => None,
                Addressee::Partner(partner) => Some(partner.as_str()),
            },
            "payload": publication.payload,
            "type": publication.event_type.as_str(),
            "version": publication.version,
        });
        let tag = hashes.tag("webhook publication", &[asked.to_string().as_bytes()]);
        *tag.as_bytes()
    }
}

/// The id that a publisher's key stands for. Receivers see it, and learn nothing of the key by it.
fn keyed(hashes: &MacKey, publisher: Publisher<'_>, key: &IdempotencyKey) -> MessageId {
    let (kind, who) = publisher.parts();
    let tag = hashes.tag("webhook message", &[kind, &who, key.as_str().as_bytes()]);
    MessageId::from_bytes(first_half(&tag))
}

fn first_half(tag: &Tag) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut()
        .zip(tag.as_bytes())
        .for_each(|(to, from)| *to = *from);
    half
}
