//! API keys of clients: made, listed, revoked.

use super::Admin;
use super::answer::{AdminError, Answer, is_cut};
use super::described::Described;
use super::request::{Called, Permit};
use axum::extract::State;
use countersign_audit::event::{Actor, ApiKeyAdded, ApiKeyEnded};
use countersign_audit::{Code, Count};
use countersign_base::{
    AddressBlock, Audience, Bounded, ClientId, Duration, GrantId, Scope, Scopes, UnixTime,
};
use countersign_oauth::ClientRecord;
use countersign_oauth::api_key::ApiKeyRecord;
use countersign_store::Write;
use countersign_store::tables::{PAGE_MAX, api_keys, clients};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How long a key lives on beside the one that replaces it, unless the caller says otherwise: a day.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// And at most: thirty days.
const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// The body of `POST .../api-keys`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Add {
    client: ClientId,
    name: Bounded<64>,
    audience: Audience,
    scopes: BTreeSet<Scope>,
    #[serde(default)]
    networks: BTreeSet<AddressBlock>,
    /// Seconds; without it, the longest life that the tenant allows.
    expires_in: Option<u64>,
    /// The key whose place it takes.
    replaces: Option<GrantId>,
    /// Seconds for which that one lives on.
    overlap: Option<u64>,
}

impl Described for Add {
    const SCHEMA: &'static str = "ApiKeyAdd";
}

/// Its answer: the key stands here once and nowhere else.
#[derive(Serialize)]
pub(crate) struct Added {
    key_id: GrantId,
    api_key: String,
    client: ClientId,
    expires: UnixTime,
}

pub(crate) async fn add(State(admin): State<Admin>, called: Called) -> Answer<Added> {
    called.answered(|called| added(&admin, called)).await
}

async fn added(admin: &Admin, called: Called) -> Result<Added, AdminError> {
    let (permit, body) = called.permit(admin, "api_key", "add").await?;
    let body: Add = body.json().await?;
    let (fabric, now) = (&admin.fabric, permit.now());
    let tenant = fabric
        .directory()
        .tenant(permit.tenant())
        .ok_or(AdminError::Unknown("tenant"))?;
    let client = client(&permit, admin, &body.client).await?;
    let overlap = body.overlap.map_or(OVERLAP, Duration::from_secs);
    if overlap > OVERLAP_MAX || (body.overlap.is_some() && body.replaces.is_none()) {
        return Err(AdminError::Invalid(format!(
            "`overlap` goes with `replaces`, at most {} seconds",
            OVERLAP_MAX.as_secs()
        )));
    }
    let life = body
        .expires_in
        .map_or(tenant.api_keys.life_max(), Duration::from_secs);
    let record = ApiKeyRecord {
        id: fabric.random().grant_id(),
        client: body.client.clone(),
        name: body.name,
        audience: body.audience,
        scopes: body.scopes.into_iter().collect(),
        networks: body.networks,
        created: now,
        expires: now.plus(life),
        ended: None,
        used_on: None,
    };
    record
        .check(&client, &tenant)
        .map_err(|error| AdminError::Invalid(error.to_string()))?;
    let (key_id, expires) = (record.id, record.expires);
    let event = ApiKeyAdded {
        by: Actor::LocalAdministrator,
        client: body.client.clone(),
        expires: Count::of(u64::try_from(expires.0).unwrap_or(0)),
        key: key_id,
        networks: Count::of(record.networks.len() as u64),
        replaces: body.replaces,
    };
    let shorten = body
        .replaces
        .map(|earlier| Write::ShortenApiKey(body.client.clone(), earlier, now.plus(overlap)));
    let (key, write) =
        countersign_control::api_keys::make(fabric, permit.tenant(), record, fabric.random());
    let writes = shorten.into_iter().chain([write]).collect();
    permit.change(writes, event).await?;
    Ok(Added {
        key_id,
        api_key: key.expose().clone(),
        client: body.client,
        expires,
    })
}

async fn client(
    permit: &Permit<'_>,
    admin: &Admin,
    id: &ClientId,
) -> Result<ClientRecord, AdminError> {
    let mut connection = admin.read().await?;
    clients::find(&mut connection, permit.tenant(), id)
        .await?
        .ok_or(AdminError::Unknown("client"))
}

/// The body of `POST .../api-keys/list`. An id may hold a slash, so it does not stand in the path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    client: ClientId,
}

impl Described for Of {
    const SCHEMA: &'static str = "ApiKeysOf";
}

/// The keys of a client, those that end first before the others.
#[derive(Serialize)]
pub(crate) struct Listed {
    client: ClientId,
    keys: Vec<Known>,
    /// Whether there are more than are shown.
    more: bool,
}

/// What is known of a key: never the key.
#[derive(Serialize)]
pub(crate) struct Known {
    key_id: GrantId,
    name: Bounded<64>,
    audience: Audience,
    scopes: Scopes,
    networks: BTreeSet<AddressBlock>,
    created: UnixTime,
    expires: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<UnixTime>,
    /// The first second of the day of its last use.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_on: Option<UnixTime>,
}

impl From<ApiKeyRecord> for Known {
    fn from(key: ApiKeyRecord) -> Self {
        Self {
            key_id: key.id,
            name: key.name,
            audience: key.audience,
            scopes: key.scopes,
            networks: key.networks,
            created: key.created,
            expires: key.expires,
            revoked: key.ended,
            used_on: key.used_on,
        }
    }
}

pub(crate) async fn list(State(admin): State<Admin>, called: Called) -> Answer<Listed> {
    called.answered(|called| listed(&admin, called)).await
}

async fn listed(admin: &Admin, called: Called) -> Result<Listed, AdminError> {
    let (permit, body) = called.permit(admin, "api_key", "list").await?;
    let body: Of = body.json().await?;
    client(&permit, admin, &body.client).await?;
    let mut connection = admin.read().await?;
    let found =
        api_keys::of_client(&mut connection, permit.tenant(), &body.client, PAGE_MAX).await?;
    Ok(Listed {
        client: body.client,
        more: is_cut(&found),
        keys: found.into_iter().map(Known::from).collect(),
    })
}

/// The key that ended.
#[derive(Serialize)]
pub(crate) struct Revoked {
    key_id: GrantId,
}

pub(crate) async fn revoke(State(admin): State<Admin>, called: Called) -> Answer<Revoked> {
    called.answered(|called| revoked(&admin, called)).await
}

async fn revoked(admin: &Admin, called: Called) -> Result<Revoked, AdminError> {
    let named = called.named::<GrantId>("key");
    let (permit, _body) = called.permit(admin, "api_key", "revoke").await?;
    let id = named.ok_or(AdminError::Unknown("key"))?;
    let found = {
        let mut connection = admin.read().await?;
        api_keys::by_id(&mut connection, permit.tenant(), id).await?
    };
    let key = found.ok_or(AdminError::Unknown("key"))?;
    if key.ended.is_some() {
        return Ok(Revoked { key_id: id });
    }
    let event = ApiKeyEnded {
        by: Actor::LocalAdministrator,
        client: key.client,
        key: id,
        reason: Code::of("administrator"),
    };
    permit.change(vec![Write::EndApiKey(id)], event).await?;
    Ok(Revoked { key_id: id })
}
