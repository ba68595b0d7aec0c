//! `/introspect` (RFC 7662).

use super::Identity;
use super::answer::{Failure, json};
use super::body;
use super::call::Call;
use super::client;
use super::presented;
use super::record;
use axum::response::Response;
use countersign_audit::Code;
use countersign_audit::event::{Activity, Introspected};
use countersign_base::GrantId;
use countersign_oauth::introspection::{Introspection, check_asker};
use countersign_oauth::{ClientRecord, OAuthError, RefreshHandle};
use countersign_store::tables::{grants, refresh_families};
use http::StatusCode;
use std::sync::Arc;

pub(super) async fn introspect(
    identity: Arc<Identity>,
    mut call: Call,
) -> Result<Response, Failure> {
    let form = body::form(&mut call).await?;
    let (_client, asker) = client::authenticate_and_spend(&identity, &call, &form).await?;
    if let Err(error) = check_asker(&asker) {
        record::client_refused(
            &identity,
            &call,
            Some(asker.id.clone()),
            "none",
            error.reason(),
        )?;
        return Err(error.into());
    }
    let token = form
        .get("token")
        .ok_or(OAuthError::ParameterMissing("token"))?;
    let (answer, grant, reason) = inspect(&identity, &call, &asker, token).await?;
    let activity = if answer.is_active() {
        Activity::Active
    } else {
        Activity::Inactive
    };
    let reason = match activity {
        Activity::Active => None,
        Activity::Inactive => Some(Code::of(reason)),
    };
    record::noted(
        &identity,
        &call,
        Introspected {
            activity,
            client: asker.id.clone(),
            grant,
            reason,
        },
    )
    .await?;
    Ok(json(StatusCode::OK, &answer))
}

/// The answer, the grant for the log, and why the token is not active if it is not.
async fn inspect(
    identity: &Identity,
    call: &Call,
    asker: &ClientRecord,
    token: &str,
) -> Result<(Introspection, Option<GrantId>, &'static str), Failure> {
    let fabric = &identity.fabric;
    let now = fabric.now();
    if let Ok(handle) = RefreshHandle::parse(token, &fabric.keys().refresh_key(&call.tenant.name)) {
        let mut connection = fabric.store().read().await?;
        let Some(family) =
            refresh_families::find(&mut connection, &call.tenant.name, handle.family()).await?
        else {
            return Ok((Introspection::inactive(), None, "family_unknown"));
        };
        let grant = grants::find(&mut connection, &call.tenant.name, family.grant).await?;
        if grant.is_none_or(|grant| grant.revoked.is_some()) {
            return Ok((
                Introspection::inactive(),
                Some(family.grant),
                "grant_revoked",
            ));
        }
        let answer =
            Introspection::of_refresh_token(handle, &family, &call.tenant.issuer, asker, now);
        return Ok((answer, Some(family.grant), "not_live_or_not_theirs"));
    }
    match presented::access_token(identity, call, token) {
        Ok(presented) => {
            let answer =
                Introspection::of_access_token(&presented, &call.tenant.issuer, asker, now);
            Ok((answer, Some(presented.grant), "not_live_or_not_theirs"))
        }
        Err(reason) => Ok((Introspection::inactive(), None, reason)),
    }
}
