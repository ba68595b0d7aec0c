//! The token exchange before an upstream (RFC 8693), for the gateway of the same process.
//!
//! It is the token endpoint's own transaction: registration, person, grant and session are read again, policy decides about the very issuance, the event stands in
//! the outbox before a token exists. Only the client's authentication differs: the operator's configuration says that the route acts as this client.
//!
//! Not here: a gateway in another process; it asks the token endpoint like any client, with its own certificate.

use crate::opaque::{self, OpaqueKeys};
use crate::{Fabric, mint};
use countersign_audit::event::{Token, Verdict};
use countersign_audit::{Code, Names, Record, Text};
use countersign_authn::client::AuthenticatedClient;
use countersign_authn::{Subject, danger};
use countersign_base::{Audience, ClientId, RequestId, Scopes, Secret, Tenant, UnixTime};
use countersign_crypto::x509::CertificateThumbprint;
use countersign_oauth::issuance::TokenSubject;
use countersign_oauth::token::{PresentedToken, SubjectToken, TokenExchangeRequest};
use countersign_oauth::{Binding, Fresh, Issuance, Redeemed, Refused, Requester, TenantRecord};
use countersign_policy::{Decision, Permitted, PolicySet, decide};
use countersign_store::{Judged, Loaded, Presented, Recorder, Settled};
use std::sync::Arc;

/// What the gateway asks for.
pub struct Asked<'a> {
    /// Whose token is exchanged; proof and revocation were checked.
    pub subject: &'a Subject,
    /// The tenant of the route.
    pub tenant: &'a Tenant,
    /// As which client the gateway asks.
    pub client: &'a ClientId,
    /// The upstream's audience.
    pub audience: &'a Audience,
    /// The scopes of the new token.
    pub scopes: &'a Scopes,
    /// The client certificate that the gateway shows to the upstream; the new token is bound to it.
    pub certificate: Option<CertificateThumbprint>,
    /// The request that caused it.
    pub request: RequestId,
}

/// An exchanged token.
pub struct LocallyExchanged {
    /// The token.
    pub token: Secret<String>,
    /// When it expires.
    pub expires: UnixTime,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LocalError {
    /// Registration, grant or policy say no.
    #[error("the exchange was denied")]
    Denied,
    /// It can't be told at the moment.
    #[error("the exchange is not available")]
    Unavailable,
}

/// Exchanges.
///
/// # Errors
/// See [`LocalError`]; a denial is recorded.
pub async fn local(fabric: &Fabric, asked: Asked<'_>) -> Result<LocallyExchanged, LocalError> {
    let now = fabric.now();
    let tenant = fabric
        .directory()
        .tenant(asked.tenant)
        .ok_or(LocalError::Denied)?;
    let shown =
        PresentedToken::of(asked.subject.token(), asked.tenant).map_err(|_| LocalError::Denied)?;
    let client = danger::configured_client(asked.tenant.clone(), asked.client.clone());
    let presented = Presented::from(&shown);
    // The token was verified at the gateway's door; what is judged is `shown`.
    let request = TokenExchangeRequest::of_verified(asked.scopes.clone(), asked.audience.clone());
    let judge = Judge {
        request,
        shown,
        binding: asked
            .certificate
            .map_or(Binding::Bearer, Binding::Certificate),
        tenant,
        policies: fabric.policies(),
        recorder: fabric.recorder().clone(),
        fresh: Fresh::draw(fabric.random()),
        opaque: fabric.keys().opaque_keys(asked.tenant),
        caused_by: asked.request,
        now,
    };
    let settled = fabric
        .store()
        .issue(client, presented, now, move |client, loaded| {
            judge.judge(&client, &loaded)
        })
        .await;
    match settled {
        Ok(Ok(Settled::Permitted(permit))) => minted(fabric, permit, now),
        Ok(Ok(Settled::Refused(_) | Settled::RefusedUnrecorded(_))) => Err(LocalError::Denied),
        Ok(Err(_)) | Err(_) => Err(LocalError::Unavailable),
    }
}

/// What judging needs inside the transaction.
struct Judge {
    request: TokenExchangeRequest,
    shown: PresentedToken,
    binding: Binding,
    tenant: Arc<TenantRecord>,
    policies: Arc<PolicySet>,
    recorder: Recorder,
    fresh: Fresh,
    opaque: OpaqueKeys,
    caused_by: RequestId,
    now: UnixTime,
}

impl Judge {
    fn judge(
        &self,
        client: &AuthenticatedClient,
        loaded: &Loaded,
    ) -> Judged<Permitted<Issuance>, LocalError> {
        let requester = Requester {
            client,
            binding: &self.binding,
            tenant: &self.tenant,
        };
        match self.request.redeem(
            SubjectToken::AccessToken(&self.shown),
            None,
            &loaded.standing,
            &requester,
            self.fresh,
            self.now,
        ) {
            Ok(Redeemed { issuance, changes }) => match decide(&self.policies, issuance) {
                Ok(permit) => {
                    let Ok(row) = opaque::row_of(permit.target(), || self.opaque.clone()) else {
                        return Judged::Refuse {
                            error: LocalError::Unavailable,
                        };
                    };
                    let event =
                        self.record(event(permit.target(), permit.decision(), Verdict::Allowed));
                    Judged::Commit {
                        permit,
                        writes: changes.into_iter().map(Into::into).chain(row).collect(),
                        event,
                    }
                }
                Err(denied) => {
                    let mut refused = event(denied.target(), denied.decision(), Verdict::Denied);
                    refused.reason = Some(Code::of(denied.reason().as_str()));
                    Judged::CommitRefusal {
                        error: LocalError::Denied,
                        writes: Vec::new(),
                        event: self.record(refused),
                    }
                }
            },
            Err(Refused { error, changes }) => {
                let mut refused = Token::new(Verdict::Denied, Code::of("token-exchange"));
                refused.client = Some(client.id().clone());
                refused.error = Some(Code::of(error.code().as_str()));
                let writes = changes.into_iter().map(Into::into).collect();
                Judged::CommitRefusal {
                    error: LocalError::Denied,
                    writes,
                    event: self.record(refused),
                }
            }
        }
    }

    fn record(&self, event: Token) -> Record {
        self.recorder
            .about_event(&self.tenant.name, Some(self.caused_by), event)
    }
}

fn minted(
    fabric: &Fabric,
    permit: countersign_store::Recorded<Permitted<Issuance>>,
    now: UnixTime,
) -> Result<LocallyExchanged, LocalError> {
    let expires = permit.decision().target().expires();
    let tokens = mint(permit, fabric.keys(), now).map_err(|_| LocalError::Unavailable)?;
    fabric.metrics().minted("token-exchange");
    Ok(LocallyExchanged {
        token: tokens.access_token,
        expires,
    })
}

fn event(issuance: &Issuance, decision: &Decision, verdict: Verdict) -> Token {
    let policies: Vec<String> = decision
        .policies()
        .iter()
        .map(ToString::to_string)
        .collect();
    let actor = issuance
        .actor()
        .and_then(|act| act.actors().first())
        .map(|actor| Text::of(actor.sub.as_str()));
    Token {
        actor,
        aud: Some(Text::of(issuance.audience().as_str())),
        client: Some(issuance.client().clone()),
        grant: Some(issuance.grant()),
        policies: Names::of(policies.iter().map(String::as_str)),
        scopes: Text::of(&issuance.scopes().to_string()),
        user: match issuance.subject() {
            TokenSubject::User(user) => Some(user.id),
            TokenSubject::Client(_) => None,
        },
        ..Token::new(verdict, Code::of("token-exchange"))
    }
}
