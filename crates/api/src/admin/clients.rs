//! Clients.

use super::Admin;
use super::answer::{AdminError, Answer};
use super::request::Called;
use axum::extract::State;
use countersign_audit::Code;
use countersign_audit::event::{Actor, ClientAdded, ClientChanged};
use countersign_authn::client::secret_tag;
use countersign_base::{Audience, ClientId, Scope};
use countersign_control::reconcile::method;
use countersign_crypto::jose::JwkSet;
use countersign_oauth::client::{GrantType, Origin};
use countersign_oauth::redirect::RedirectUri;
use countersign_oauth::{ClientAuthentication, ClientRecord, ResponseMode, SecurityProfile};
use countersign_store::Write;
use countersign_store::tables::clients;
use countersign_store::tables::revocations::Revoked;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The body of `POST .../clients`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Add {
    id: ClientId,
    method: Method,
    /// The public keys, with method `jwks`.
    jwks: Option<serde_json::Value>,
    grants: BTreeSet<GrantType>,
    #[serde(default)]
    redirect_uris: BTreeSet<RedirectUri>,
    #[serde(default)]
    scopes: BTreeSet<Scope>,
    #[serde(default)]
    audiences: BTreeSet<Audience>,
    profile: Option<SecurityProfile>,
    response_modes: Option<BTreeSet<ResponseMode>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    Jwks,
    Public,
    Secret,
}

/// Its answer: the secret stands here once and nowhere else.
#[derive(Serialize)]
pub(crate) struct Added {
    client_id: ClientId,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

pub(crate) async fn add(State(admin): State<Admin>, called: Called) -> Answer<Added> {
    let request = called.request();
    Answer {
        request,
        result: added(&admin, called).await,
    }
}

async fn added(admin: &Admin, called: Called) -> Result<Added, AdminError> {
    let (permit, body) = called.permit(admin, "client", "add").await?;
    let body: Add = body.json().await?;
    let tenant = permit.tenant().clone();
    let (authentication, secret) = match (body.method, body.jwks) {
        (Method::Public, None) => (ClientAuthentication::Public, None),
        (Method::Jwks, Some(jwks)) => {
            let text = serde_json::to_vec(&jwks).unwrap_or_default();
            match JwkSet::parse(&text) {
                Ok((set, skipped)) if !set.is_empty() && skipped.is_empty() => {}
                Ok(_) | Err(_) => {
                    return Err(AdminError::Invalid(
                        "expected a JWK set of public signing keys, each with `kid` and `alg`"
                            .to_owned(),
                    ));
                }
            }
            (ClientAuthentication::Keys { jwks }, None)
        }
        (Method::Secret, None) => {
            let secret = admin.fabric.random().token();
            let key = admin.fabric.secrets().client_secret_key(&tenant);
            let tag = secret_tag(&key, &tenant, &body.id, &secret);
            (
                ClientAuthentication::Secret {
                    tag: tag.as_bytes().to_vec(),
                },
                Some(secret),
            )
        }
        (Method::Jwks, None) | (Method::Public | Method::Secret, Some(_)) => {
            return Err(AdminError::Invalid(
                "expected `jwks` with method `jwks`, and only there".to_owned(),
            ));
        }
    };
    let mut record = ClientRecord::new(
        body.id.clone(),
        tenant.clone(),
        authentication,
        permit.now(),
    );
    record.grants = body.grants;
    record.redirect_uris = body.redirect_uris;
    record.scopes = body.scopes.into_iter().collect();
    record.audiences = body.audiences;
    record.request_rules.profile = body.profile.unwrap_or_default();
    if let Some(modes) = body.response_modes {
        record.request_rules.response_modes = modes;
    }
    let of_tenant = admin.fabric.directory().tenant(&tenant);
    record
        .check()
        .and_then(|()| of_tenant.map_or(Ok(()), |tenant| tenant.profile.check(&record)))
        .map_err(|error| AdminError::Invalid(error.to_string()))?;
    let event = ClientAdded {
        by: Actor::LocalAdministrator,
        client: body.id.clone(),
        method: method(&record.authentication),
    };
    permit
        .change(vec![Write::AddClient(Box::new(record))], event)
        .await?;
    admin.fabric.directory().client_changed(&tenant, &body.id);
    Ok(Added {
        client_id: body.id,
        client_secret: secret.map(|secret| secret.expose().clone()),
    })
}

/// The body of `POST .../clients/disable`. An id may hold a slash, so it does not stand in the path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disable {
    id: ClientId,
}

/// The client that may do nothing from now on.
#[derive(Serialize)]
pub(crate) struct Disabled {
    client_id: ClientId,
}

pub(crate) async fn disable(State(admin): State<Admin>, called: Called) -> Answer<Disabled> {
    let request = called.request();
    Answer {
        request,
        result: disabled(&admin, called).await,
    }
}

async fn disabled(admin: &Admin, called: Called) -> Result<Disabled, AdminError> {
    let (permit, body) = called.permit(admin, "client", "disable").await?;
    let body: Disable = body.json().await?;
    let found = {
        let mut connection = admin
            .fabric
            .store()
            .read()
            .await
            .map_err(|_| AdminError::Unavailable)?;
        clients::find(&mut connection, permit.tenant(), &body.id)
            .await
            .map_err(|_| AdminError::Unavailable)?
    };
    let mut record = found.ok_or(AdminError::Unknown("client"))?;
    if record.origin == Origin::Configuration {
        return Err(AdminError::Declared);
    }
    record.enabled = false;
    let tenant = permit.tenant().clone();
    let event = ClientChanged {
        by: Actor::LocalAdministrator,
        change: Code::of("disabled"),
        client: body.id.clone(),
    };
    let writes = vec![
        Write::PutClient(Box::new(record)),
        Write::Revoke(Revoked::Client(body.id.clone())),
    ];
    permit.change(writes, event).await?;
    admin.fabric.directory().client_changed(&tenant, &body.id);
    Ok(Disabled { client_id: body.id })
}
