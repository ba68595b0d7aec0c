//! `/userinfo` (OpenID Connect Core §5.3): a protected resource of this server, with its issuer identifier as audience.

use super::Identity;
use super::answer::{Failure, json, with_type};
use super::call::Call;
use super::record;
use axum::response::Response;
use countersign_audit::event::{Decision, Verdict};
use countersign_audit::{Code, Text};
use countersign_authn::{
    Anonymous, Binding, Demand, Found, KeyAnswer, Reason, Refusal, ResourceRequest, ResourceRules,
    Subject, TrustedIssuer, demand, prove,
};
use countersign_base::{Scope, Scopes};
use countersign_control::{opaque, sign_userinfo};
use countersign_oauth::ClientRecord;
use countersign_oauth::subject_identifier::SubjectOrder;
use countersign_oauth::userinfo::{SIGNED_MEDIA_TYPE, UserInfo};
use countersign_store::tables::{grants, users};
use http::StatusCode;
use std::sync::Arc;

const SURFACE: Code = Code::of("userinfo");

pub(super) async fn userinfo(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let subject = match prove_caller(&identity, &call).await {
        Ok(subject) => subject,
        Err(refusal) => {
            record::refused(
                &identity,
                &call,
                Decision::new(
                    SURFACE,
                    Verdict::Denied,
                    Code::of(refusal.reason().as_str()),
                ),
            )?;
            return Err(refusal.into());
        }
    };
    let Some((told, client)) = told(&identity, &call, &subject).await? else {
        record::refused(
            &identity,
            &call,
            Decision::new(SURFACE, Verdict::Denied, Code::of("no_such_person")),
        )?;
        return Err(Refusal::from(Reason::Revoked).into());
    };
    let mut event = Decision::new(SURFACE, Verdict::Allowed, Code::of("own_claims"));
    event.action = Text::of("userinfo");
    event.client = Some(subject.client().clone());
    event.grant = subject.grant();
    event.user = subject.user();
    record::noted(&identity, &call, event).await?;
    respond(&identity, &call, &told, &client)
}

/// As JSON, or as the signed or encrypted JWT that the client is registered for.
fn respond(
    identity: &Identity,
    call: &Call,
    told: &UserInfo,
    client: &ClientRecord,
) -> Result<Response, Failure> {
    let Some(envelope) = client.userinfo_envelope() else {
        return Ok(json(StatusCode::OK, told));
    };
    let keys = identity.fabric.keys();
    let signed = sign_userinfo(told, (client, &envelope), &call.tenant.issuer, keys);
    let signed = signed.map_err(|error| {
        tracing::error!(event = "sign_failed", %error);
        Failure::Unavailable
    })?;
    Ok(with_type(
        StatusCode::OK,
        SIGNED_MEDIA_TYPE,
        signed.expose().clone(),
    ))
}

/// What the caller is told, and the client that asks; nothing if there is no such person, or the client that got the token is gone.
async fn told(
    identity: &Identity,
    call: &Call,
    subject: &Subject,
) -> Result<Option<(UserInfo, Arc<ClientRecord>)>, Failure> {
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    let Some(client) = fabric
        .directory()
        .client(tenant, subject.client())
        .await?
        .filter(|client| client.enabled)
    else {
        return Ok(None);
    };
    let Some(user) = subject.user() else {
        return Ok(None);
    };
    let mut connection = fabric.store().read().await?;
    let user = users::find(&mut connection, tenant, user)
        .await?
        .filter(|user| user.enabled);
    let Some(user) = user else {
        return Ok(None);
    };
    let grant = match subject.grant() {
        Some(grant) => grants::find(&mut connection, tenant, grant).await?,
        None => None,
    };
    let sub = SubjectOrder::of(user.id, &client).derive(&fabric.keys().pairwise_key(tenant));
    let told = UserInfo::of(
        &user,
        sub,
        subject.scopes(),
        grant.as_ref(),
        subject.client(),
    );
    Ok(Some((told, client)))
}

async fn prove_caller(identity: &Identity, call: &Call) -> Result<Subject, Refusal> {
    let fabric = &identity.fabric;
    let audience = call.tenant.own_audience().ok_or(Reason::AudienceMismatch)?;
    let issuer = TrustedIssuer {
        issuer: call.tenant.issuer.clone(),
        tenant: call.tenant.name.clone(),
        algorithms: fabric.keys().algorithms().to_vec(),
    };
    let rules = ResourceRules::new(audience, vec![issuer], Binding::Any, Anonymous::Refused);
    let target_uri = call.target_uri(identity);
    let request = ResourceRequest {
        method: &call.parts.method,
        target_uri: &target_uri,
        query: call.parts.uri.query(),
        headers: call.headers(),
        peer: call.peer(),
        remote: None,
    };
    let token = match demand(&request, &rules)? {
        Demand::Token(token) => token,
        Demand::Anonymous(_) => return Err(Reason::NoCredential.into()),
    };
    let found = match token.opaque() {
        Some(opaque) => Found::Stored(opaque::find(fabric, opaque, token.issuers()).await),
        None => {
            let needed = token.key()?;
            let published = fabric.keys().jwks(&call.tenant.name);
            let key = published
                .as_ref()
                .zip(needed.kid())
                .and_then(|(keys, kid)| keys.set.find(kid, needed.algorithm()));
            let answer = key.map_or(KeyAnswer::Unknown, |key| KeyAnswer::Key(key.clone()));
            Found::Key(needed, answer)
        }
    };
    let now = fabric.now();
    let proven = prove(
        token,
        found,
        fabric.revocations(),
        fabric.nonces().policy(now),
        now,
    )?;
    let subject = fabric
        .store()
        .spend_proof(fabric.replay(), &call.tenant.name, proven.subject, now)
        .await
        .map_err(|error| {
            tracing::warn!(event = "store_failed", %error);
            Reason::SpentUnknown
        })??;
    let _held = subject.require_scopes(&openid())?;
    Ok(subject)
}

fn openid() -> Scopes {
    "openid".parse::<Scope>().into_iter().collect()
}
