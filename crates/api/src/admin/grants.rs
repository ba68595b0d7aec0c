//! Grants.

use super::Admin;
use super::answer::{AdminError, Answer};
use super::request::Called;
use axum::extract::State;
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

pub(crate) async fn revoke(State(admin): State<Admin>, called: Called) -> Answer<Revoked> {
    let request = called.request();
    Answer {
        request,
        result: revoked(&admin, called).await,
    }
}

async fn revoked(admin: &Admin, called: Called) -> Result<Revoked, AdminError> {
    let named = called.named::<GrantId>("grant");
    let (permit, _body) = called.permit(admin, "grant", "revoke").await?;
    let id = named.ok_or(AdminError::Unknown("grant"))?;
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
