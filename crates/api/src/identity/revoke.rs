//! `/revoke` (RFC 7009): the grant of the token ends, with every token that came of it.

use super::Identity;
use super::answer::{Failure, with_type};
use super::body;
use super::call::Call;
use super::client;
use super::presented;
use super::record;
use axum::response::Response;
use countersign_audit::Code;
use countersign_audit::event::{Actor, GrantRevoked};
use countersign_oauth::revocation::{Revocation, of_access_token, of_refresh_token};
use countersign_oauth::{Change, ClientRecord, OAuthError, RefreshHandle};
use countersign_store::Write;
use countersign_store::tables::refresh_families;
use http::StatusCode;
use std::sync::Arc;

pub(super) async fn revoke(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let form = body::form(&mut call).await?;
    let (_client, client) = client::authenticate_and_spend(&identity, &call, &form).await?;
    let token = form
        .get("token")
        .ok_or(OAuthError::ParameterMissing("token"))?;
    let fabric = &identity.fabric;
    let now = fabric.now();
    match find(&identity, &call, &client, token).await? {
        Revocation::Nothing => record::client_refused(
            &identity,
            &call,
            Some(client.id.clone()),
            "revocation",
            "nothing_to_revoke",
        )?,
        Revocation::Revoke(change) => {
            let Change::GrantRevoked { grant, .. } = &*change else {
                return Err(Failure::Unavailable);
            };
            let event = GrantRevoked {
                by: Actor::Client(client.id.clone()),
                grant: *grant,
                reason: Code::of("requested"),
            };
            let event = fabric
                .recorder()
                .about_event(&call.tenant.name, Some(call.id), event);
            let _receipt = fabric
                .store()
                .change(&call.tenant.name, vec![Write::Apply(change)], event, now)
                .await?;
            fabric.revocations().refresh(fabric.store(), now).await?;
        }
    }
    Ok(with_type(StatusCode::OK, "application/json", Vec::new()))
}

async fn find(
    identity: &Identity,
    call: &Call,
    client: &ClientRecord,
    token: &str,
) -> Result<Revocation, Failure> {
    let fabric = &identity.fabric;
    let now = fabric.now();
    if let Ok(handle) = RefreshHandle::parse(token, &fabric.keys().refresh_key(&call.tenant.name)) {
        let mut connection = fabric.store().read().await?;
        let family =
            refresh_families::find(&mut connection, &call.tenant.name, handle.family()).await?;
        return Ok(family.map_or(Revocation::Nothing, |family| {
            of_refresh_token(handle, &family, client, now)
        }));
    }
    let token = presented::access_token(identity, call, token).await;
    Ok(token.map_or(Revocation::Nothing, |token| {
        of_access_token(&token, client, now)
    }))
}
