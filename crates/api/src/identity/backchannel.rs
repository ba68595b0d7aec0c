//! `/bc-authorize` (CIBA Core §7): a client asks for somebody's answer, and gets an id to poll with.
//!
//! The person finds the request at `/requests`; nobody else tells them. A client that registered a notification endpoint is told when there is an answer (§10.2).

use super::Identity;
use super::answer::{Failure, json};
use super::body;
use super::call::Call;
use super::client;
use super::decoupled::{self, Asking};
use super::id_token_hint;
use axum::response::Response;
use countersign_authn::client::{RequestSigner, signed_request};
use countersign_authn::{Form, Unspent};
use countersign_base::{Bounded, GrantId, Secret, Username};
use countersign_control::CibaNotice;
use countersign_crypto::Verified;
use countersign_crypto::jose::Claims;
use countersign_oauth::client::{BackchannelSigning, SignedRequestRule};
use countersign_oauth::decoupled::{
    BackchannelRequest, Flow, Hint, POLL_INTERVAL, SEALED_BYTES_MAX, signed_parameters,
};
use countersign_oauth::{Binding, ClientRecord, OAuthError, SecurityProfile, UserRecord};
use countersign_store::tables::{decoupled_requests, users};
use countersign_store::{AuthReqId, NewDecoupled, StoreError};
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;

/// Requests that may wait for one person at once, so that nobody is asked until they give in.
const WAITING_MAX: i64 = 20;

/// What may stand beside a request object: the client's authentication, and nothing of the request (CIBA Core §7.1.1).
const BESIDE_OBJECT: [&str; 5] = [
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "request",
];

/// CIBA Core §7.3.
#[derive(Serialize)]
struct Acknowledged<'a> {
    auth_req_id: &'a str,
    expires_in: u64,
    interval: u64,
}

pub(super) async fn authenticate(
    identity: Arc<Identity>,
    mut call: Call,
) -> Result<Response, Failure> {
    let form = body::form(&mut call).await?;
    let (client, registered) = client::authenticate_and_spend(&identity, &call, &form).await?;
    let refuse = |error: OAuthError, failure| {
        decoupled::refuse(&identity, &call, &registered.id, error, failure)
    };
    if !client.is_confidential() {
        return refuse(OAuthError::PublicClient, OAuthError::PublicClient.into());
    }
    let binding = match client::binding(&identity, &call).await {
        Ok(binding) => binding,
        Err(failure) => return refuse(OAuthError::DpopProofRefused, failure),
    };
    let asked = match read(&identity, &call, &form, &registered).await? {
        Ok(asked) => asked,
        Err(error) => return refuse(error, error.into()),
    };
    let user = match hinted(&identity, &call, &asked.hint, &registered).await? {
        Ok(user) => user,
        Err(error) => return refuse(error, error.into()),
    };
    if let Err(error) = check_waiting(&identity, &call, &user).await? {
        return refuse(error, error.into());
    }
    acknowledge(&identity, &call, &registered, asked, &user, &binding).await
}

/// The request, plain or out of its request object.
async fn read(
    identity: &Identity,
    call: &Call,
    form: &Form,
    client: &ClientRecord,
) -> Result<Result<BackchannelRequest, OAuthError>, StoreError> {
    let Some(text) = form.get("request") else {
        return Ok(if must_be_signed(client, call) {
            Err(OAuthError::SignedRequestRequired)
        } else {
            BackchannelRequest::parse(form, client, &call.tenant)
        });
    };
    let unspent = match verified(identity, call, form, text, client) {
        Ok(unspent) => unspent,
        Err(error) => return Ok(Err(error)),
    };
    let spent = identity
        .fabric
        .store()
        .spend_signed_request(&call.tenant.name, unspent)
        .await?;
    Ok(spent
        .map_err(|_| OAuthError::SignedRequest("signed_request_replayed"))
        .and_then(|claims| signed_parameters(&claims))
        .and_then(|form| BackchannelRequest::parse(&form, client, &call.tenant)))
}

/// The claims of a request object whose signature and times hold.
fn verified(
    identity: &Identity,
    call: &Call,
    form: &Form,
    text: &str,
    client: &ClientRecord,
) -> Result<Unspent<Verified<Claims>>, OAuthError> {
    if form.names().any(|name| !BESIDE_OBJECT.contains(&name)) {
        return Err(OAuthError::ParameterMalformed(
            "with a request object everything else stands inside it",
        ));
    }
    let keys = client.request_keys();
    let signer = RequestSigner {
        tenant: &call.tenant.name,
        client: &client.id,
        keys: &keys,
        issuer: &call.tenant.issuer,
    };
    signed_request(text, &signer, identity.fabric.now())
        .map_err(|flaw| OAuthError::SignedRequest(flaw.reason()))
}

/// Whether the client has to sign: it registered so, or it is held to FAPI (FAPI-CIBA §5.2.2).
fn must_be_signed(client: &ClientRecord, call: &Call) -> bool {
    client.ciba.signing == BackchannelSigning::Required
        || client.request_rules.signed_requests == SignedRequestRule::Required
        || SecurityProfile::of(client, &call.tenant) != SecurityProfile::Standard
}

/// Whom the client means: somebody who is here and may sign in.
async fn hinted(
    identity: &Identity,
    call: &Call,
    hint: &Hint,
    client: &ClientRecord,
) -> Result<Result<UserRecord, OAuthError>, Failure> {
    let tenant = &call.tenant.name;
    let found = match hint {
        Hint::LoginToken => {
            return Ok(Err(OAuthError::ParameterMalformed(
                "login_hint_token is not supported",
            )));
        }
        Hint::Login(name) => match name.parse::<Username>() {
            Ok(name) => {
                let mut connection = identity.fabric.store().read().await?;
                users::find_by_name(&mut connection, tenant, &name).await?
            }
            Err(_) => None,
        },
        Hint::IdToken(token) => {
            match id_token_hint::user(identity, call, token.expose(), client).await? {
                Some(user) => {
                    let mut connection = identity.fabric.store().read().await?;
                    users::find(&mut connection, tenant, user).await?
                }
                None => None,
            }
        }
    };
    Ok(found
        .filter(|user| user.enabled)
        .ok_or(OAuthError::UserUnknown))
}

async fn check_waiting(
    identity: &Identity,
    call: &Call,
    user: &UserRecord,
) -> Result<Result<(), OAuthError>, Failure> {
    let mut connection = identity.fabric.store().read().await?;
    let waiting = decoupled_requests::count_waiting_for(
        &mut connection,
        &call.tenant.name,
        user.id,
        identity.fabric.now(),
    )
    .await?;
    Ok(if waiting < WAITING_MAX {
        Ok(())
    } else {
        Err(OAuthError::RequestsWaiting)
    })
}

async fn acknowledge(
    identity: &Identity,
    call: &Call,
    client: &ClientRecord,
    asked: BackchannelRequest,
    user: &UserRecord,
    binding: &Binding,
) -> Result<Response, Failure> {
    let (lifetime, fabric) = (asked.lifetime, &identity.fabric);
    let dpop_jkt = match binding {
        Binding::Dpop(key) => Some(*key),
        Binding::Bearer | Binding::Certificate(_) => None,
    };
    let mut request = decoupled::waiting(
        identity,
        call,
        Asking {
            flow: Flow::Ciba,
            client: client.id.clone(),
            scopes: asked.scopes,
            audiences: asked.audiences,
            details: asked.details,
            dpop_jkt,
            user: Some(user.id),
            binding_message: asked.binding_message,
            lifetime,
        },
    );
    let id = fabric.random().token();
    request.notification = match &asked.notification_token {
        Some(token) => Some(sealed(identity, call, request.grant, &id, token)?),
        None => None,
    };
    let handle = fabric
        .secrets()
        .handle::<AuthReqId>(&call.tenant.name, id.expose());
    let new = NewDecoupled::new(&handle, None, request.clone());
    decoupled::store(identity, call, new, &request).await?;
    Ok(json(
        StatusCode::OK,
        &Acknowledged {
            auth_req_id: id.expose(),
            expires_in: lifetime.as_secs(),
            interval: POLL_INTERVAL.as_secs(),
        },
    ))
}

/// What a notification says, sealed: the store keeps neither the id nor the client's token in clear.
fn sealed(
    identity: &Identity,
    call: &Call,
    grant: GrantId,
    id: &Secret<String>,
    token: &Secret<String>,
) -> Result<Bounded<SEALED_BYTES_MAX>, Failure> {
    let notice = CibaNotice {
        auth_req_id: Secret::new(id.expose().clone()),
        token: Secret::new(token.expose().clone()),
    };
    let secrets = identity.fabric.secrets();
    let sealed = notice
        .seal(secrets, &call.tenant.name, grant)
        .map_err(|_| Failure::Unavailable)?;
    Bounded::parse(&sealed).map_err(|_| Failure::Unavailable)
}
