//! Grants: their end, and what was exchanged under them.

use super::Admin;
use super::answer::{AdminError, Answer, is_cut};
use super::described::Described;
use super::request::{Called, Permit};
use axum::extract::State;
use countersign_audit::Code;
use countersign_audit::event::{Actor, GrantRevoked};
use countersign_base::{Audience, ClientId, GrantId, Scopes, SessionId, Tenant, UnixTime, UserId};
use countersign_oauth::{Change, ExchangeRecord, GrantRecord, RevocationReason};
use countersign_store::Write;
use countersign_store::tables::{PAGE_MAX, exchanges, grants, revocations};
use serde::{Deserialize, Serialize};

/// The grant that ended.
#[derive(Serialize)]
pub(crate) struct Revoked {
    grant_id: GrantId,
}

pub(crate) async fn revoke(State(admin): State<Admin>, called: Called) -> Answer<Revoked> {
    called.answered(|called| revoked(&admin, called)).await
}

async fn revoked(admin: &Admin, called: Called) -> Result<Revoked, AdminError> {
    let named = called.named::<GrantId>("grant");
    let (permit, body) = called.permit(admin, "grant", "revoke").await?;
    let id = named.ok_or(AdminError::Unknown("grant"))?;
    let said = body.json_or_nothing::<Revoke>().await?;
    if said.is_some_and(|body| body.of == Of::Client) {
        return of_a_client(permit, id).await;
    }
    kept(admin, permit.tenant(), id).await?;
    let change = Change::GrantRevoked {
        grant: id,
        reason: RevocationReason::AdministratorRevoked,
        at: permit.now(),
    };
    permit
        .change(vec![change.into()], by_administrator(id))
        .await?;
    Ok(Revoked { grant_id: id })
}

/// The body of `POST .../grants/{grant}/revoke`, which may be left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    of: Of,
}

impl Described for Revoke {
    const SCHEMA: &'static str = "GrantRevoke";
}

/// Whose grant it is.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Of {
    /// A client's own (RFC 6749 §4.4). It has no row, so whether there is one cannot be told: what is known of it from now on is that it is over.
    Client,
    /// A person's.
    User,
}

async fn of_a_client(permit: Permit<'_>, id: GrantId) -> Result<Revoked, AdminError> {
    let revoke = Write::Revoke(revocations::Revoked::Grant(id));
    permit.change(vec![revoke], by_administrator(id)).await?;
    Ok(Revoked { grant_id: id })
}

fn by_administrator(grant: GrantId) -> GrantRevoked {
    GrantRevoked {
        by: Actor::LocalAdministrator,
        grant,
        reason: Code::of("administrator"),
    }
}

/// A grant, and everything that was exchanged under it.
#[derive(Serialize)]
pub(crate) struct Shown {
    grant_id: GrantId,
    /// Absent for the grant of a client's own token, which has no row.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<Known>,
    /// The oldest first.
    exchanges: Vec<ExchangeRecord>,
    /// Whether there are more than are shown.
    more: bool,
}

/// What a grant's row tells.
#[derive(Serialize)]
pub(crate) struct Known {
    client: ClientId,
    user_id: UserId,
    session_id: SessionId,
    scopes: Scopes,
    audiences: Vec<Audience>,
    created: UnixTime,
    expires: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<UnixTime>,
}

impl From<GrantRecord> for Known {
    fn from(grant: GrantRecord) -> Self {
        Self {
            client: grant.client,
            user_id: grant.user,
            session_id: grant.session,
            scopes: grant.scopes,
            audiences: grant.audiences,
            created: grant.created,
            expires: grant.expires,
            revoked: grant.revoked,
        }
    }
}

pub(crate) async fn show(State(admin): State<Admin>, called: Called) -> Answer<Shown> {
    called.answered(|called| shown(&admin, called)).await
}

async fn shown(admin: &Admin, called: Called) -> Result<Shown, AdminError> {
    let named = called.named::<GrantId>("grant");
    let (permit, _body) = called.permit(admin, "grant", "show").await?;
    let id = named.ok_or(AdminError::Unknown("grant"))?;
    let (grant, exchanges) = kept(admin, permit.tenant(), id).await?;
    Ok(Shown {
        grant_id: id,
        grant: grant.map(Known::from),
        more: is_cut(&exchanges),
        exchanges,
    })
}

/// What is kept of a grant: its row, which a client's own has none of, and what was exchanged under it.
async fn kept(
    admin: &Admin,
    tenant: &Tenant,
    id: GrantId,
) -> Result<(Option<GrantRecord>, Vec<ExchangeRecord>), AdminError> {
    let mut connection = admin.read().await?;
    let grant = grants::find(&mut connection, tenant, id).await?;
    let exchanges = exchanges::of_grant(&mut connection, tenant, id, PAGE_MAX).await?;
    if grant.is_none() && exchanges.is_empty() {
        return Err(AdminError::Unknown("grant"));
    }
    Ok((grant, exchanges))
}
