//! `/introspect` (RFC 7662), signed if the asker wants it (RFC 9701).

use super::Identity;
use super::answer::{Failure, json, with_type};
use super::body;
use super::call::Call;
use super::client;
use super::presented;
use super::record;
use axum::response::Response;
use countersign_audit::Code;
use countersign_audit::event::{Activity, Introspected};
use countersign_base::GrantId;
use countersign_control::sign_introspection;
use countersign_oauth::introspection::{
    Introspection, RefreshGround, SIGNED_MEDIA_TYPE, check_asker, wants_signed,
};
use countersign_oauth::{ClientRecord, OAuthError, RefreshHandle};
use countersign_store::tables::{grants, refresh_families, sessions, users};
use http::{StatusCode, header};
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
    respond(&identity, &call, &asker, &answer)
}

/// As JSON, or signed for this asker if the header `Accept` names that type.
fn respond(
    identity: &Identity,
    call: &Call,
    asker: &ClientRecord,
    answer: &Introspection,
) -> Result<Response, Failure> {
    let mut accepted = call.headers().get_all(header::ACCEPT).iter();
    if !accepted.any(|value| value.to_str().is_ok_and(wants_signed)) {
        return Ok(json(StatusCode::OK, answer));
    }
    let fabric = &identity.fabric;
    let signed = sign_introspection(
        answer,
        asker,
        &call.tenant.issuer,
        fabric.keys(),
        fabric.now(),
    )
    .map_err(|error| {
        tracing::error!(event = "sign_failed", %error);
        Failure::Unavailable
    })?;
    Ok(with_type(
        StatusCode::OK,
        SIGNED_MEDIA_TYPE,
        signed.expose().clone(),
    ))
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
    let pairwise = fabric.keys().pairwise_key(&call.tenant.name);
    if let Ok(handle) = RefreshHandle::parse(token, &fabric.keys().refresh_key(&call.tenant.name)) {
        let mut connection = fabric.store().read().await?;
        let Some(family) =
            refresh_families::find(&mut connection, &call.tenant.name, handle.family()).await?
        else {
            return Ok((Introspection::inactive(), None, "family_unknown"));
        };
        let tenant = &call.tenant.name;
        let ground = RefreshGround {
            grant: grants::find(&mut connection, tenant, family.grant).await?,
            session: sessions::find(&mut connection, tenant, family.session).await?,
            user: users::find(&mut connection, tenant, family.user).await?,
        };
        drop(connection);
        let answer = Introspection::of_refresh_token(
            handle,
            (&family, &ground),
            &call.tenant.issuer,
            asker,
            &pairwise,
            now,
        );
        return Ok((answer, Some(family.grant), "not_live_or_not_theirs"));
    }
    match presented::access_token(identity, call, token).await {
        Ok(presented) => {
            let answer = Introspection::of_access_token(
                &presented,
                &call.tenant.issuer,
                asker,
                &pairwise,
                now,
            );
            Ok((answer, Some(presented.grant), "not_live_or_not_theirs"))
        }
        Err(reason) => Ok((Introspection::inactive(), None, reason)),
    }
}
