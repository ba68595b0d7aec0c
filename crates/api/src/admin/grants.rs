//! Grants.

use super::Admin;
use super::answer::{AdminError, Answer};
use super::request::Called;
use axum::extract::{Path, State};
use countersign_audit::Code;
use countersign_audit::event::{Actor, GrantRevoked};
use countersign_base::GrantId;
use countersign_oauth::{Change, RevocationReason};
use countersign_store::tables::grants;
use serde::Serialize;

/// The grant that ended.
#[derive(Serialize)]
pub(crate) struct Revoked {
    grant_id: GrantId,
}

pub(crate) async fn revoke(
    State(admin): State<Admin>,
    Path((tenant, grant)): Path<(String, String)>,
    called: Called,
) -> Answer<Revoked> {
    let request = called.request();
    Answer {
        request,
        result: revoked(&admin, &tenant, &grant, called).await,
    }
}

async fn revoked(
    admin: &Admin,
    tenant: &str,
    grant: &str,
    called: Called,
) -> Result<Revoked, AdminError> {
    let (permit, _body) = called.permit(admin, tenant, "grant", "revoke").await?;
    let id: GrantId = grant.parse().map_err(|_| AdminError::Unknown("grant"))?;
    let found = {
        let mut connection = admin
            .fabric
            .store()
            .read()
            .await
            .map_err(|_| AdminError::Unavailable)?;
        grants::find(&mut connection, permit.tenant(), id)
            .await
            .map_err(|_| AdminError::Unavailable)?
    };
    if found.is_none() {
        return Err(AdminError::Unknown("grant"));
    }
    let change = Change::GrantRevoked {
        grant: id,
        reason: RevocationReason::AdministratorRevoked,
        at: permit.now(),
    };
    let event = GrantRevoked {
        by: Actor::LocalAdministrator,
        grant: id,
        reason: Code::of("administrator"),
    };
    permit.change(vec![change.into()], event).await?;
    Ok(Revoked { grant_id: id })
}
