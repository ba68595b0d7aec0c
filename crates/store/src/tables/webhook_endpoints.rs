//! Where webhooks go: receivers of partners, and the services that take what comes in.
//!
//! An endpoint that is removed is gone for whoever looks; its row stays, in a state of its own, until a sweep has taken what waited for it.

use super::{bytes, decode, encode, page, parsed};
use crate::catalogue::webhooks::{webhook_endpoints as sql, webhook_subscriptions as wants};
use crate::engine::{Row, args};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{
    Bounded, EndpointId, EventPattern, PartnerName, ReceiverUrl, SourceName, Tenant, UnixTime,
};
use countersign_crypto::digest::sha256_parts;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

const TABLE: &str = "webhook_endpoints";

/// Endpoints that a tenant may have.
pub const ENDPOINTS_MAX: u32 = 10_000;
/// Patterns that an endpoint may have.
pub const PATTERNS_MAX: usize = 100;

/// How a receiver tells that a webhook is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebhookSigning {
    /// HTTP Message Signatures (RFC 9421) with a `Content-Digest` (RFC 9530), by the endpoint's Ed25519 key.
    #[serde(rename = "http-signature")]
    HttpSignature,
    /// Standard Webhooks with HMAC-SHA256.
    #[serde(rename = "v1")]
    V1,
    /// Standard Webhooks with Ed25519.
    #[serde(rename = "v1a")]
    V1a,
}

/// What a webhook says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookPayload {
    /// What was published.
    #[default]
    Full,
    /// Ids alone: whoever wants to know more asks.
    Thin,
}

/// In which order webhooks arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookOrder {
    /// As they come.
    #[default]
    Any,
    /// Those of one order key one after another, in the order they were accepted in.
    PerKey,
    /// All one after another.
    Strict,
}

impl WebhookOrder {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::PerKey => "per_key",
            Self::Strict => "strict",
        }
    }
}

/// What a receiver is, as its partner set it up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointRecord {
    /// Its address.
    pub url: ReceiverUrl,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Bounded<256>>,
    /// How it is signed for.
    pub signing: WebhookSigning,
    /// What it is told.
    #[serde(default)]
    pub payload: WebhookPayload,
    /// The public key (JWK) that payloads are encrypted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Value>,
    /// In which order it is told.
    #[serde(default)]
    pub order: WebhookOrder,
    /// Attempts a second, if they are limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// Attempts at a time.
    pub concurrency: u16,
    /// Which schedule of retries, by its name in the configuration.
    pub retries: Bounded<32>,
    /// Whether this installation shows its certificate.
    #[serde(default)]
    pub client_certificate: bool,
    /// The certificates (PEM) that the receiver's may descend from, instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Why nothing goes there: written with its state, and never by whoever describes the receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<DisabledBecause>,
}

/// Why an endpoint is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisabledBecause {
    /// Somebody wanted it so.
    Asked,
    /// For days it took nothing.
    Failing,
    /// It answered 410.
    Gone,
}

impl DisabledBecause {
    /// Its name, as records have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }
}

/// What a receiver is switched to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointSwitch {
    /// Nothing goes there any more.
    Disabled(DisabledBecause),
    /// It is told again, and what waited goes out.
    Enabled,
}

impl EndpointSwitch {
    /// The state that it is in then.
    #[must_use]
    pub const fn state(self) -> EndpointState {
        match self {
            Self::Disabled(_) => EndpointState::Disabled,
            Self::Enabled => EndpointState::Enabled,
        }
    }

    const fn because(self) -> Option<DisabledBecause> {
        match self {
            Self::Disabled(because) => Some(because),
            Self::Enabled => None,
        }
    }
}

/// Whether an endpoint is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// Nothing goes there: what waits waits on, and nothing new is put there.
    Disabled,
    /// It is told.
    Enabled,
    /// It is a service of this installation, which takes what a source sends.
    Service,
}

impl EndpointState {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::Service => "service",
        }
    }

    /// The state of that name; an endpoint that is removed has none.
    pub(crate) fn of(name: &str) -> Option<Self> {
        [Self::Disabled, Self::Enabled, Self::Service]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// What is at an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum EndpointTarget {
    /// A receiver elsewhere.
    Receiver(Box<EndpointRecord>),
    /// The service that takes what this source sends: the configuration says where it is.
    Service(SourceName),
}

/// An endpoint as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointRow {
    /// Which.
    pub id: EndpointId,
    /// Whose it is; absent where it is the tenant's own.
    pub partner: Option<PartnerName>,
    /// Whether it is served.
    pub state: EndpointState,
    /// What is there.
    pub target: EndpointTarget,
    /// When it was added.
    pub created: UnixTime,
    /// When it was changed last.
    pub changed: UnixTime,
}

/// What the row of a service says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    source: SourceName,
}

/// The endpoint that stands for the service of a source.
#[must_use]
pub fn service_of(tenant: &Tenant, source: &SourceName) -> EndpointId {
    let parts = [
        b"webhook service".as_slice(),
        tenant.as_str().as_bytes(),
        b"\0",
        source.as_str().as_bytes(),
    ];
    let mut id = [0; 16];
    let digest = sha256_parts(&parts);
    id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    EndpointId::from_bytes(id)
}

fn of_partner(partner: Option<&PartnerName>) -> &str {
    partner.map_or("", PartnerName::as_str)
}

/// Adds a receiver, which is served from now on.
///
/// # Errors
/// [`StoreError::Full`] when the tenant has as many as it may have.
pub(crate) async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    (id, partner): (EndpointId, Option<&PartnerName>),
    record: &EndpointRecord,
    patterns: &BTreeSet<EventPattern>,
    now: UnixTime,
) -> Result<(), StoreError> {
    let max = i64::from(ENDPOINTS_MAX);
    let known = tx
        .fetch_optional(&sql::COUNT, args![tenant.as_str(), max])
        .await?;
    if known.map_or(Ok(0), |row| row.get::<i64>(0))? >= max {
        return Err(StoreError::Full(TABLE));
    }
    let values = args![
        tenant.as_str(),
        id.as_bytes(),
        of_partner(partner),
        EndpointState::Enabled.as_str(),
        record.order.as_str(),
        encode(TABLE, record)?,
        now.0
    ];
    tx.execute(&sql::ADD, values).await?;
    subscribe(tx, tenant, (id, partner), patterns).await
}

async fn subscribe(
    tx: &mut Transaction,
    tenant: &Tenant,
    (id, partner): (EndpointId, Option<&PartnerName>),
    patterns: &BTreeSet<EventPattern>,
) -> Result<(), StoreError> {
    if patterns.len() > PATTERNS_MAX {
        return Err(StoreError::Full("webhook_subscriptions"));
    }
    let values = args![
        tenant.as_str(),
        encode("webhook_subscriptions", patterns)?,
        of_partner(partner),
        id.as_bytes()
    ];
    tx.execute(&wants::ADD_ALL, values).await.map(drop)
}

/// Replaces what a receiver is and which event types it wants.
///
/// # Errors
/// [`StoreError::Superseded`] when there is no such receiver.
pub(crate) async fn put(
    tx: &mut Transaction,
    tenant: &Tenant,
    id: EndpointId,
    record: &EndpointRecord,
    patterns: &BTreeSet<EventPattern>,
    now: UnixTime,
) -> Result<(), StoreError> {
    let found = receiver(tx, tenant, id).await?;
    let disabled = match &found.target {
        EndpointTarget::Receiver(present) => present.disabled,
        EndpointTarget::Service(_) => None,
    };
    let record = &EndpointRecord {
        disabled,
        ..record.clone()
    };
    write(tx, tenant, id, (found.state.as_str(), record), now).await?;
    clear(tx, tenant, id).await?;
    subscribe(tx, tenant, (id, found.partner.as_ref()), patterns).await
}

/// Enables or disables a receiver.
///
/// # Errors
/// [`StoreError::Superseded`] when there is no such receiver, or it is in this state.
pub(crate) async fn switch(
    tx: &mut Transaction,
    tenant: &Tenant,
    id: EndpointId,
    to: EndpointSwitch,
    now: UnixTime,
) -> Result<(), StoreError> {
    let found = receiver(tx, tenant, id).await?;
    let state = to.state();
    match found.target {
        EndpointTarget::Receiver(mut record) if found.state != state => {
            record.disabled = to.because();
            write(tx, tenant, id, (state.as_str(), &record), now).await
        }
        EndpointTarget::Receiver(_) | EndpointTarget::Service(_) => {
            Err(StoreError::Superseded(TABLE))
        }
    }
}

/// Removes a receiver with what it wants. What waited for it goes in a sweep.
///
/// # Errors
/// [`StoreError::Superseded`] when there is no such receiver.
pub(crate) async fn remove(
    tx: &mut Transaction,
    tenant: &Tenant,
    id: EndpointId,
    now: UnixTime,
) -> Result<(), StoreError> {
    match receiver(tx, tenant, id).await?.target {
        EndpointTarget::Receiver(record) => {
            write(tx, tenant, id, ("removed", &record), now).await?;
            clear(tx, tenant, id).await
        }
        EndpointTarget::Service(_) => Err(StoreError::Superseded(TABLE)),
    }
}

async fn write(
    tx: &mut Transaction,
    tenant: &Tenant,
    id: EndpointId,
    (state, record): (&'static str, &EndpointRecord),
    now: UnixTime,
) -> Result<(), StoreError> {
    let values = args![
        tenant.as_str(),
        id.as_bytes(),
        state,
        record.order.as_str(),
        encode(TABLE, record)?,
        now.0
    ];
    tx.execute(&sql::PUT, values).await.map(drop)
}

async fn clear(tx: &mut Transaction, tenant: &Tenant, id: EndpointId) -> Result<(), StoreError> {
    tx.execute(&wants::CLEAR, args![tenant.as_str(), id.as_bytes()])
        .await
        .map(drop)
}

/// The receiver, which nobody else changes until the transaction ends.
async fn receiver(
    tx: &mut Transaction,
    tenant: &Tenant,
    id: EndpointId,
) -> Result<EndpointRow, StoreError> {
    match lock(tx, tenant, id).await? {
        Some(row) if row.state != EndpointState::Service => Ok(row),
        Some(_) | None => Err(StoreError::Superseded(TABLE)),
    }
}

/// The endpoint, which nobody else changes until the transaction ends.
pub(crate) async fn lock(
    tx: &mut Transaction,
    tenant: &Tenant,
    id: EndpointId,
) -> Result<Option<EndpointRow>, StoreError> {
    let values = args![tenant.as_str(), id.as_bytes()];
    let row = tx.fetch_optional(&sql::LOCK, values).await?;
    row.as_ref().map(read).transpose()
}

/// Puts the endpoint that stands for the service of a source.
pub(crate) async fn put_service(
    tx: &mut Transaction,
    tenant: &Tenant,
    source: &SourceName,
    now: UnixTime,
) -> Result<(), StoreError> {
    let id = service_of(tenant, source);
    let record = Service {
        source: source.clone(),
    };
    let values = args![
        tenant.as_str(),
        id.as_bytes(),
        encode(TABLE, &record)?,
        now.0
    ];
    tx.execute(&sql::PUT_SERVICE, values).await.map(drop)
}

/// The endpoint, unless it was removed.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    id: EndpointId,
) -> Result<Option<EndpointRow>, StoreError> {
    let values = args![tenant.as_str(), id.as_bytes()];
    let row = connection.fetch_optional(&sql::FIND, values).await?;
    row.as_ref().map(read).transpose()
}

/// Which event types an endpoint wants.
pub async fn patterns(
    connection: &mut Connection,
    tenant: &Tenant,
    id: EndpointId,
) -> Result<BTreeSet<EventPattern>, StoreError> {
    let values = args![tenant.as_str(), id.as_bytes()];
    let rows = connection.fetch_all(&wants::OF_ENDPOINT, values).await?;
    rows.iter()
        .map(|row| parsed("webhook_subscriptions", &row.get::<String>(0)?))
        .collect()
}

/// A page of the tenant's receivers, all or one partner's, in the order of their ids, beginning after `after`.
pub async fn list(
    connection: &mut Connection,
    tenant: &Tenant,
    partner: Option<&PartnerName>,
    after: Option<EndpointId>,
    limit: u16,
) -> Result<Vec<EndpointRow>, StoreError> {
    let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    let rows = match partner {
        None => {
            let values = args![tenant.as_str(), after, page(limit)];
            connection.fetch_all(&sql::LIST, values).await?
        }
        Some(partner) => {
            let values = args![tenant.as_str(), partner.as_str(), after, page(limit)];
            connection.fetch_all(&sql::OF_PARTNER, values).await?
        }
    };
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<EndpointRow, StoreError> {
    let partner: String = row.get(1)?;
    let state: String = row.get(2)?;
    let state = EndpointState::of(&state)
        .ok_or_else(|| StoreError::corrupt(TABLE, "an endpoint is in no known state"))?;
    let record: String = row.get(3)?;
    let target = match state {
        EndpointState::Disabled | EndpointState::Enabled => {
            EndpointTarget::Receiver(Box::new(decode(TABLE, &record)?))
        }
        EndpointState::Service => {
            let service: Service = decode(TABLE, &record)?;
            EndpointTarget::Service(service.source)
        }
    };
    let partner = match partner.as_str() {
        "" => None,
        name => Some(parsed(TABLE, name)?),
    };
    Ok(EndpointRow {
        id: EndpointId::from_bytes(bytes(TABLE, &row.get::<Vec<u8>>(0)?)?),
        partner,
        state,
        target,
        created: UnixTime(row.get(4)?),
        changed: UnixTime(row.get(5)?),
    })
}
