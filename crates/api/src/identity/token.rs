//! `/token` (RFC 6749 §3.2): parse, authenticate, spend and judge in one transaction, mint after its commit.

use super::Identity;
use super::answer::{Failure, json};
use super::asserted;
use super::body;
use super::call::Call;
use super::client::{self, Caller};
use super::decoupled;
use super::exchange::ShownTokens;
use super::record::{self, CallFacts};
use axum::response::Response;
use countersign_audit::event::{self, GrantRevoked, RefreshReused};
use countersign_audit::{Code, Record};
use countersign_authn::Unspent;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_authn::assertion::GrantAssertion;
use countersign_authn::client::AuthenticatedClient;
use countersign_base::{ClientId, UnixTime};
use countersign_control::{Fabric, TokenSet, mint, opaque};
use countersign_oauth::token::TokenType;
use countersign_oauth::{
    Binding, Change, Fresh, Issuance, OAuthError, Redeemed, RefreshHandle, Refused, Requester,
    RevocationReason, TenantRecord, TokenRequest,
};
use countersign_policy::{Permitted, PolicySet, decide};
use countersign_store::{
    AssertionReplayed, AuthReqId, AuthorizationCode, DeviceCode, Judged, Loaded, Loot, Presented,
    Recorder, Settled, StoreError,
};
use http::StatusCode;
use http::header::{self, HeaderValue};
use serde::Serialize;
use std::sync::Arc;

pub(super) async fn token(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let form = match body::form(&mut call).await {
        Ok(form) => form,
        Err(failure) => return refuse(&identity, &call, None, "unknown", failure),
    };
    let Caller { unspent, record } = client::authenticate(&identity, &call, &form).await?;
    let who = Some(record.id.clone());
    let request = match TokenRequest::parse(&form) {
        Ok(request) => request,
        Err(error) => return refuse(&identity, &call, who, "unknown", error.into()),
    };
    let grant_type = request.grant_type().as_str();
    let binding = match client::binding(&identity, &call).await {
        Ok(binding) => binding,
        Err(failure) => return refuse(&identity, &call, who, grant_type, failure),
    };
    if let Some(error) = decoupled::still_waits(&identity, &call, &request, &record).await? {
        if identity
            .fabric
            .store()
            .spend_assertion(unspent)
            .await?
            .is_err()
        {
            return replayed(&identity, &call, who);
        }
        // A poll that finds nothing new is no event; the request and its answer are.
        call.was_recorded();
        return Err(error.into());
    }
    let shown = match Shown::of(&identity, &call, &request, &record.id).await {
        Ok(shown) => shown,
        Err(error) => return refuse(&identity, &call, who, grant_type, error.into()),
    };
    let fabric = &identity.fabric;
    let now = fabric.now();
    let (shown, presented) = shown.presented(&identity, &call, &request);
    let judge = Judge {
        identity: Arc::clone(&identity),
        request,
        shown,
        binding,
        tenant: Arc::clone(&call.tenant),
        policies: fabric.policies(),
        recorder: fabric.recorder().clone(),
        facts: CallFacts::from(&call),
        fresh: Fresh::draw(fabric.random()),
        now,
    };
    let settled = settle(fabric, unspent, presented, judge).await?;
    match settled {
        Err(_replayed) => replayed(&identity, &call, who),
        Ok(Settled::Permitted(permit)) => {
            let tokens = mint(permit, fabric.keys(), now).map_err(|error| {
                tracing::error!(event = "mint_failed", %error);
                Failure::Unavailable
            })?;
            fabric.metrics().minted(grant_type);
            fabric.metrics().sized(&tokens);
            Ok(answer(&tokens))
        }
        Ok(Settled::Refused(error)) => {
            call.was_recorded();
            fabric.revocations().refresh(fabric.store(), now).await?;
            Err(error.into_decision().into())
        }
        Ok(Settled::RefusedUnrecorded(error)) => {
            refuse(&identity, &call, who, grant_type, error.into())
        }
    }
}

/// Judges: in a transaction where something is taken or spent, without one where there is nothing to hold together.
async fn settle(
    fabric: &Fabric,
    unspent: Unspent<AuthenticatedClient>,
    presented: Presented,
    judge: Judge,
) -> Result<Result<Settled<Permitted<Issuance>, OAuthError>, AssertionReplayed>, StoreError> {
    let (store, now) = (fabric.store(), judge.now);
    let judge = move |client: AuthenticatedClient, loaded| judge.judge(&client, loaded);
    let unspent = if let Presented::Nothing = presented {
        match unspent.without_entries() {
            Ok(client) => {
                let log = fabric.recorder().log();
                return store.issue_to_client(client, log, now, judge).await.map(Ok);
            }
            Err(unspent) => unspent,
        }
    } else {
        unspent
    };
    store.issue(unspent, presented, now, judge).await
}

/// The client's assertion came a second time.
fn replayed(
    identity: &Identity,
    call: &Call,
    client: Option<ClientId>,
) -> Result<Response, Failure> {
    record::client_refused(
        identity,
        call,
        client,
        "private_key_jwt",
        "assertion_replayed",
    )?;
    Err(OAuthError::ClientUnauthenticated.into())
}

/// Records a refusal that no transaction recorded, then answers it.
fn refuse(
    identity: &Identity,
    call: &Call,
    client: Option<ClientId>,
    grant_type: &'static str,
    failure: Failure,
) -> Result<Response, Failure> {
    let error = match &failure {
        Failure::OAuth(error) => *error,
        Failure::Dpop(_) => OAuthError::DpopProofRefused,
        _ => OAuthError::ParameterMalformed("body"),
    };
    record::refused(
        identity,
        call,
        record::token_refused(client, grant_type, error),
    )?;
    Err(failure)
}

/// What a request shows besides its parameters, verified before the transaction.
enum Shown {
    Assertion(Box<Unspent<GrantAssertion>>),
    Nothing,
    Refresh(RefreshHandle),
    Exchange(Box<ShownTokens>),
}

impl Shown {
    async fn of(
        identity: &Identity,
        call: &Call,
        request: &TokenRequest,
        client: &ClientId,
    ) -> Result<Self, OAuthError> {
        match request {
            TokenRequest::AuthorizationCode(_)
            | TokenRequest::Ciba(_)
            | TokenRequest::ClientCredentials(_)
            | TokenRequest::DeviceCode(_) => Ok(Self::Nothing),
            TokenRequest::JwtBearer(request) => {
                let assertion = Box::pin(asserted::verify(identity, call, client, request)).await?;
                Ok(Self::Assertion(Box::new(assertion)))
            }
            TokenRequest::RefreshToken(request) => {
                let key = identity.fabric.keys().refresh_key(&call.tenant.name);
                RefreshHandle::parse(request.token.expose(), &key)
                    .map(Self::Refresh)
                    .map_err(|_| OAuthError::RefreshUnknown)
            }
            TokenRequest::TokenExchange(request) => {
                Box::pin(ShownTokens::of(identity, call, request))
                    .await
                    .map(|shown| Self::Exchange(Box::new(shown)))
            }
        }
    }

    /// What the transaction takes or reads again for it, and what is left to judge by.
    fn presented(
        self,
        identity: &Identity,
        call: &Call,
        request: &TokenRequest,
    ) -> (Self, Presented) {
        let presented = match (&self, request) {
            (Self::Nothing, TokenRequest::AuthorizationCode(request)) => Presented::Code(
                identity
                    .fabric
                    .secrets()
                    .handle::<AuthorizationCode>(&call.tenant.name, request.code.expose()),
            ),
            (Self::Nothing, TokenRequest::Ciba(request)) => Presented::AuthReqId(
                identity
                    .fabric
                    .secrets()
                    .handle::<AuthReqId>(&call.tenant.name, request.auth_req_id.expose()),
            ),
            (Self::Nothing, TokenRequest::DeviceCode(request)) => Presented::DeviceCode(
                identity
                    .fabric
                    .secrets()
                    .handle::<DeviceCode>(&call.tenant.name, request.device_code.expose()),
            ),
            (Self::Refresh(handle), _) => Presented::RefreshFamily(handle.family()),
            (Self::Exchange(shown), _) => shown.presented(),
            (Self::Assertion(_) | Self::Nothing, _) => Presented::Nothing,
        };
        match self {
            // The transaction spends it, and gives it to the judge.
            Self::Assertion(assertion) => (Self::Nothing, Presented::Assertion(assertion)),
            Self::Exchange(_) | Self::Nothing | Self::Refresh(_) => (self, presented),
        }
    }
}

/// Everything that judging needs and that is not in the transaction.
struct Judge {
    /// For the keys of opaque tokens, asked only where one is due.
    identity: Arc<Identity>,
    request: TokenRequest,
    shown: Shown,
    binding: Binding,
    tenant: Arc<TenantRecord>,
    policies: Arc<PolicySet>,
    recorder: Recorder,
    facts: CallFacts,
    fresh: Fresh,
    now: UnixTime,
}

impl Judge {
    fn judge(
        self,
        client: &AuthenticatedClient,
        loaded: Loaded,
    ) -> Judged<Permitted<Issuance>, OAuthError> {
        let person = loaded.standing.user.as_ref().map(|person| person.user.id);
        match self.redeem(client, loaded) {
            Ok(Redeemed { issuance, changes }) => {
                match decide(&self.policies, issuance.asked_from(self.facts.source)) {
                    Ok(permit) => {
                        let keys = || self.identity.fabric.keys().opaque_keys(&self.tenant.name);
                        let Ok(row) = opaque::row_of(permit.target(), keys) else {
                            return Judged::Refuse {
                                error: OAuthError::Unavailable,
                            };
                        };
                        let event = record::token_decided(
                            &self.recorder,
                            &self.facts,
                            permit.target(),
                            permit.decision(),
                            permit.query(),
                            None,
                        );
                        Judged::Commit {
                            permit,
                            writes: changes.into_iter().map(Into::into).chain(row).collect(),
                            event,
                        }
                    }
                    Err(denied) => {
                        let reason = Some(denied.reason().as_str());
                        let event = record::token_decided(
                            &self.recorder,
                            &self.facts,
                            denied.target(),
                            denied.decision(),
                            denied.query(),
                            reason,
                        );
                        Judged::CommitRefusal {
                            error: OAuthError::PolicyDenied,
                            writes: Vec::new(),
                            event,
                        }
                    }
                }
            }
            Err(Refused { error, changes }) => match revocation(&changes) {
                None => Judged::Refuse { error },
                Some((grant, reason)) => {
                    let event = self.revoked(client, grant, reason, person);
                    Judged::CommitRefusal {
                        error,
                        writes: changes.into_iter().map(Into::into).collect(),
                        event,
                    }
                }
            },
        }
    }

    fn redeem(&self, client: &AuthenticatedClient, loaded: Loaded) -> Result<Redeemed, Refused> {
        let Loaded { taken, standing } = loaded;
        let requester = Requester {
            client,
            binding: &self.binding,
            tenant: &self.tenant,
        };
        match (&self.request, &self.shown, taken) {
            (TokenRequest::AuthorizationCode(request), _, Loot::Code(taken)) => {
                request.redeem(taken, &standing, &requester, self.fresh, self.now)
            }
            (TokenRequest::Ciba(request), _, Loot::Decoupled(polled)) => {
                request.redeem(polled, &standing, &requester, self.fresh, self.now)
            }
            (TokenRequest::DeviceCode(request), _, Loot::Decoupled(polled)) => {
                request.redeem(polled, &standing, &requester, self.fresh, self.now)
            }
            (TokenRequest::ClientCredentials(request), _, _) => {
                request.redeem(&standing, &requester, self.fresh, self.now)
            }
            (TokenRequest::JwtBearer(request), _, Loot::Assertion(taken)) => {
                request.redeem(taken, &standing, &requester, self.fresh, self.now)
            }
            (
                TokenRequest::RefreshToken(request),
                Shown::Refresh(handle),
                Loot::RefreshFamily(family),
            ) => request.redeem(*handle, family, &standing, &requester, self.fresh, self.now),
            (TokenRequest::TokenExchange(request), Shown::Exchange(shown), taken) => {
                let family = match taken {
                    Loot::RefreshFamily(family) => family,
                    Loot::Assertion(_) | Loot::Code(_) | Loot::Decoupled(_) | Loot::Nothing => None,
                };
                request.redeem(
                    shown.subject(family),
                    shown.actor.as_ref(),
                    &standing,
                    &requester,
                    self.fresh,
                    self.now,
                )
            }
            // What was shown and what was taken always fit the request; if they ever did not, nothing is issued.
            (TokenRequest::AuthorizationCode(_), _, _) => Err(OAuthError::CodeUnknown.into()),
            (TokenRequest::Ciba(_) | TokenRequest::DeviceCode(_), _, _) => {
                Err(OAuthError::PolledUnknown.into())
            }
            (TokenRequest::JwtBearer(_), _, _) => {
                Err(OAuthError::AssertionRefused("assertion_unknown").into())
            }
            (TokenRequest::RefreshToken(_), _, _) => Err(OAuthError::RefreshUnknown.into()),
            (TokenRequest::TokenExchange(_), _, _) => Err(OAuthError::SubjectTokenRefused.into()),
        }
    }

    fn revoked(
        &self,
        client: &AuthenticatedClient,
        grant: countersign_base::GrantId,
        reason: RevocationReason,
        user: Option<countersign_base::UserId>,
    ) -> Record {
        let event: countersign_audit::Event = match reason {
            RevocationReason::RefreshReused => RefreshReused {
                client: client.id().clone(),
                grant,
                user,
            }
            .into(),
            RevocationReason::CodeReused => GrantRevoked {
                by: event::Actor::Client(client.id().clone()),
                grant,
                reason: Code::of("code_replayed"),
            }
            .into(),
            RevocationReason::PolledReused => GrantRevoked {
                by: event::Actor::Client(client.id().clone()),
                grant,
                reason: Code::of("polled_replayed"),
            }
            .into(),
            RevocationReason::ClientRevoked
            | RevocationReason::AdministratorRevoked
            | RevocationReason::OwnerRevoked => GrantRevoked {
                by: event::Actor::Client(client.id().clone()),
                grant,
                reason: Code::of("requested"),
            }
            .into(),
        };
        self.recorder
            .about_event(&self.facts.tenant, Some(self.facts.request), event)
    }
}

fn revocation(changes: &[Change]) -> Option<(countersign_base::GrantId, RevocationReason)> {
    changes.iter().find_map(|change| match change {
        Change::GrantRevoked {
            grant,
            reason,
            at: _,
        } => Some((*grant, *reason)),
        Change::Exchanged(_)
        | Change::FamilyRotated(_)
        | Change::FamilyStarted(_)
        | Change::GrantCreated(_) => None,
    })
}

/// RFC 6749 §5.1. The only place where minted tokens are exposed.
#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'a str>,
    #[serde(skip_serializing_if = "AuthorizationDetails::is_empty")]
    authorization_details: &'a AuthorizationDetails,
}

fn answer(tokens: &TokenSet) -> Response {
    // A transaction token speaks for itself (draft-ietf-oauth-transaction-tokens §7.4).
    let told = tokens.issued_token_type != Some(TokenType::TransactionToken.as_str());
    let mut response = json(
        StatusCode::OK,
        &TokenResponse {
            access_token: tokens.access_token.expose(),
            token_type: tokens.token_type,
            expires_in: told.then_some(tokens.expires_in),
            scope: told.then(|| tokens.scopes.to_string()),
            refresh_token: tokens
                .refresh_token
                .as_ref()
                .map(|token| token.expose().as_str()),
            id_token: tokens
                .id_token
                .as_ref()
                .map(|token| token.expose().as_str()),
            issued_token_type: tokens.issued_token_type,
            authorization_details: &tokens.authorization_details,
        },
    );
    response
        .headers_mut()
        .insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
