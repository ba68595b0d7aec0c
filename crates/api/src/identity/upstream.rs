//! Signing in by another identity provider: `/sign-in/upstream` sends the browser there, `/federation/callback/NAME` takes it back (RFC 9700 §4.4, R60).
//!
//! Every provider answers at an address of its own. What comes back is judged inside the transaction that spends its `state`; only then is the provider called,
//! and only a verified ID token opens or makes an account.
//!
//! Not here: the judgements (`federation`), fetching (`control::upstream`). What an identity may do here: [`arrival`].

mod arrival;

use super::Identity;
use super::answer::{Failure, see_other};
use super::authorize::{self, Purpose};
use super::body;
use super::call::Call;
use super::cookies;
use super::own_page::OwnPage;
use super::record;
use super::ticket::{self, Step, Ticket};
use crate::pages::{self, OnwardPage, ProviderLink};
use arrival::Arrived;
use axum::response::Response;
use countersign_audit::event::{UpstreamReturned, UpstreamSignIn, Verdict};
use countersign_audit::{Code, Text};
use countersign_base::{Secret, UserId};
use countersign_control::{Upstream, UpstreamError};
use countersign_crypto::mac::{MacKey, Tag};
use countersign_federation::id_token::Expected;
use countersign_federation::jarm::SignedResponse;
use countersign_federation::login::{Freshness, authorization_url, browser_tag};
use countersign_federation::provider::{Offer, UpstreamResponseMode};
use countersign_federation::token::TokenRequest;
use countersign_federation::{
    AuthorizationResponse, CheckedCode, IdToken, IdTokenRefusal, LoginPurpose, LoginSecrets,
    PendingLogin, ProviderName, ProviderRecord, ResponseRefusal, UpstreamIdentity,
};
use countersign_oauth::authorization_request::Prompt;
use countersign_oauth::authorize::PageError;
use countersign_oauth::{Session, Taken};
use countersign_store::tables::one_time;
use countersign_store::{Judged, NewOneTime, Settled, UpstreamState};
use std::sync::Arc;
use url::Url;

/// Why somebody who comes back is not signed in: what the page says, and what the log keeps.
pub(super) struct Refused {
    page: PageError,
    reason: &'static str,
    user: Option<UserId>,
}

impl Refused {
    pub(super) const fn new(page: PageError, reason: &'static str) -> Self {
        Self {
            page,
            reason,
            user: None,
        }
    }

    pub(super) const fn about(self, user: UserId) -> Self {
        Self {
            user: Some(user),
            ..self
        }
    }
}

impl From<ResponseRefusal> for Refused {
    fn from(refusal: ResponseRefusal) -> Self {
        Self::new(PageError::UpstreamFailed, refusal.as_str())
    }
}

impl From<IdTokenRefusal> for Refused {
    fn from(refusal: IdTokenRefusal) -> Self {
        Self::new(PageError::UpstreamFailed, refusal.as_str())
    }
}

impl From<UpstreamError> for Refused {
    fn from(error: UpstreamError) -> Self {
        let page = match error {
            UpstreamError::Unreachable => PageError::UpstreamUnavailable,
            UpstreamError::Answer(_)
            | UpstreamError::Metadata(_)
            | UpstreamError::Refused(_)
            | UpstreamError::Request => PageError::UpstreamFailed,
        };
        Self::new(page, error.as_str())
    }
}

impl From<countersign_store::StoreError> for Refused {
    fn from(error: countersign_store::StoreError) -> Self {
        tracing::warn!(event = "store_failed", %error);
        Self::new(PageError::Unavailable, "unavailable")
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let reason = failure.reason();
        match failure {
            Failure::Page(page) => Self::new(page, reason),
            Failure::BodyUnreadable
            | Failure::Client(_)
            | Failure::Dpop(_)
            | Failure::MethodNotAllowed(_)
            | Failure::NotFound
            | Failure::OAuth(_)
            | Failure::Registration(_)
            | Failure::Resource(_)
            | Failure::Throttled(_)
            | Failure::TooManyRequests(_)
            | Failure::Unavailable => Self::new(PageError::Unavailable, reason),
        }
    }
}

/// A person follows the link to a provider on the sign-in page.
pub(super) async fn begin(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let form = body::query(&call).map_err(|_| PageError::Malformed)?;
    let ticket: Ticket = ticket::open(&identity, &call, Step::SignIn, form.get("ticket"))?;
    let purpose = authorize::reopen(&identity, &call, &ticket).await?;
    let upstream = form
        .get("provider")
        .and_then(|name| find(&identity, &call, name))
        .ok_or(PageError::Malformed)?;
    let url = depart_to_sign_in(&identity, &call, &upstream, &purpose, &ticket, None).await?;
    see_other(url.as_str())
}

/// The buttons of the sign-in page.
pub(super) fn offered(call: &Call, upstreams: &[Arc<Upstream>], ticket: &str) -> Vec<ProviderLink> {
    upstreams
        .iter()
        .map(|upstream| upstream.record())
        .filter(|record| record.offer == Offer::Button)
        .map(|record| ProviderLink {
            label: record.label.to_string(),
            path: format!(
                "{}?provider={}&ticket={ticket}",
                call.path_of("/sign-in/upstream"),
                record.name
            ),
        })
        .collect()
}

/// The enabled provider of this name.
pub(super) fn find(identity: &Identity, call: &Call, name: &str) -> Option<Arc<Upstream>> {
    let name: ProviderName = name.parse().ok()?;
    identity
        .fabric
        .upstreams()
        .find(&call.tenant.name, &name)
        .filter(|upstream| upstream.record().is_enabled())
}

/// Sends somebody on whose address belongs to a provider: a page that leads there, because a form's redirect may not leave this server.
pub(super) async fn send_by_address(
    identity: &Identity,
    call: &Call,
    purpose: &Purpose,
    ticket: &Ticket,
    address: &str,
) -> Result<Option<Response>, Failure> {
    let upstreams = identity.fabric.upstreams();
    let Some(upstream) = upstreams.by_address(&call.tenant.name, address) else {
        return Ok(None);
    };
    let hint = Some(address);
    let url = depart_to_sign_in(identity, call, &upstream, purpose, ticket, hint).await?;
    Ok(Some(onward(call, upstream.record(), &url)))
}

/// A page that leads to a provider without a click.
pub(super) fn onward(call: &Call, provider: &ProviderRecord, url: &Url) -> Response {
    let page = OnwardPage {
        provider: provider.label.as_str(),
        url: url.as_str(),
    };
    pages::render(&call.tenant, &page, "")
}

async fn depart_to_sign_in(
    identity: &Identity,
    call: &Call,
    upstream: &Upstream,
    purpose: &Purpose,
    ticket: &Ticket,
    hint: Option<&str>,
) -> Result<Url, Failure> {
    let browser = cookies::browser(call).ok_or(PageError::ForeignForm)?;
    let sealed = ticket::seal(identity, call, &browser, Step::Resume, ticket)?;
    let login = LoginPurpose::SignIn { ticket: sealed };
    let session = cookies::session(identity, call).await?;
    let freshness = freshness(purpose, ticket, session.as_ref());
    depart(identity, call, upstream, login, freshness, hint).await
}

/// Whether the provider has to ask the person anew, whomever it remembers: where we would ask anew ourselves, and where they change their account or a partner's secrets.
fn freshness(purpose: &Purpose, ticket: &Ticket, session: Option<&Session>) -> Freshness {
    let anew = match purpose {
        Purpose::Client(_, request) => {
            request.prompt.contains(&Prompt::Login) || request.max_age.is_some()
        }
        Purpose::Page(OwnPage::Account(_) | OwnPage::Partner(_)) => true,
        Purpose::Page(OwnPage::Device(_) | OwnPage::Requests) => false,
    };
    // Who was or is signed in and is asked again is asked again there, too.
    match anew || ticket.beginning.session.is_some() || session.is_some() {
        true => Freshness::Now,
        false => Freshness::Any,
    }
}

/// Remembers a sign-in at a provider and gives the address that the browser goes to.
pub(super) async fn depart(
    identity: &Identity,
    call: &Call,
    upstream: &Upstream,
    purpose: LoginPurpose,
    freshness: Freshness,
    hint: Option<&str>,
) -> Result<Url, Failure> {
    let fabric = &identity.fabric;
    let provider = upstream.record();
    let browser = cookies::browser(call).ok_or(PageError::ForeignForm)?;
    let metadata = match upstream.metadata().await {
        Ok(metadata) => metadata,
        Err(error) => return Err(refuse(identity, call, Some(&provider.name), error.into())),
    };
    let key = mac(identity, call);
    let secrets = LoginSecrets::derive(&key, fabric.random().token(), &browser);
    let pending = PendingLogin {
        provider: provider.name.clone(),
        issuer: provider.issuer.clone(),
        browser: browser_tag(&key, &browser),
        purpose,
        freshness,
        begun: fabric.now(),
    };
    let handle = fabric
        .secrets()
        .handle::<UpstreamState>(&call.tenant.name, secrets.state());
    let new = NewOneTime::new::<UpstreamState>(&handle, &pending, pending.expires())?;
    let tenant = call.tenant.name.clone();
    fabric
        .store()
        .write(move |tx| Box::pin(async move { one_time::add(tx, &tenant, &new).await }))
        .await?;
    Ok(authorization_url(
        provider,
        &metadata,
        &redirect_uri(call, &provider.name),
        &secrets,
        freshness,
        hint,
    ))
}

/// Made of the issuer and never of the `Host` header (A54, A57).
fn redirect_uri(call: &Call, provider: &ProviderName) -> String {
    format!("{}/federation/callback/{provider}", call.tenant.issuer)
}

fn mac(identity: &Identity, call: &Call) -> MacKey {
    identity
        .fabric
        .secrets()
        .tenant_mac_key(&call.tenant.name, "upstream-login")
}

/// A browser comes back from a provider.
pub(super) async fn callback(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let named = call.named.as_deref().unwrap_or_default();
    let Some(upstream) = find(&identity, &call, named) else {
        let refused = Refused::new(PageError::UpstreamFailed, "upstream_unknown");
        return Err(refuse(&identity, &call, None, refused));
    };
    let outcome = match prove(&identity, &call, &upstream).await {
        Ok(arrived) => arrival::receive(&identity, &call, upstream.record(), arrived).await,
        Err(refused) => Err(refused),
    };
    outcome.map_err(|refused| refuse(&identity, &call, Some(&upstream.record().name), refused))
}

/// From a response to an identity. The order matters: nothing is called before the response is known to be this provider's, for this browser.
async fn prove(identity: &Identity, call: &Call, upstream: &Upstream) -> Result<Arrived, Refused> {
    let browser = cookies::browser(call).ok_or(ResponseRefusal::Browser)?;
    let response = response(call, upstream).await?;
    let state = Secret::new(response.state().to_owned());
    let key = mac(identity, call);
    let (pending, code) = spend(
        identity,
        call,
        upstream.record(),
        response,
        browser_tag(&key, &browser),
    )
    .await?;
    let secrets = LoginSecrets::derive(&key, state, &browser);
    let vouched = redeem(identity, call, upstream, &pending, code, &secrets).await?;
    Ok(Arrived {
        identity: vouched,
        purpose: pending.purpose,
    })
}

/// The parameters, or the signed response that holds them.
async fn response(call: &Call, upstream: &Upstream) -> Result<AuthorizationResponse, Refused> {
    let provider = upstream.record();
    let form = body::query(call).map_err(|_| ResponseRefusal::Malformed)?;
    match provider.response_mode {
        UpstreamResponseMode::Query => Ok(AuthorizationResponse::parse(&form)?),
        UpstreamResponseMode::QueryJwt => {
            let failed = |reason| Refused::new(PageError::UpstreamFailed, reason);
            let text = form.get("response").ok_or(ResponseRefusal::Malformed)?;
            let signed =
                SignedResponse::parse(text, provider).map_err(|error| failed(error.as_str()))?;
            let metadata = upstream.metadata().await?;
            let (kid, algorithm) = signed.key();
            let key = upstream
                .key(&metadata, kid, algorithm)
                .await?
                .ok_or_else(|| failed("upstream_jarm_key"))?;
            signed
                .verify(&key, provider, upstream.now())
                .map_err(|error| failed(error.as_str()))
        }
    }
}

/// Spends the `state` and judges the response in one transaction.
async fn spend(
    identity: &Identity,
    call: &Call,
    provider: &ProviderRecord,
    response: AuthorizationResponse,
    browser: Tag,
) -> Result<(PendingLogin, CheckedCode), Refused> {
    let fabric = &identity.fabric;
    let (tenant, now) = (&call.tenant.name, fabric.now());
    let handle = fabric
        .secrets()
        .handle::<UpstreamState>(tenant, response.state());
    let event = fabric.recorder().about_event(
        tenant,
        Some(call.id),
        UpstreamReturned {
            provider: Text::of(provider.name.as_str()),
        },
    );
    let provider = provider.clone();
    let judge = move |taken: Taken<PendingLogin>| match taken {
        Taken::Fresh(pending) => match response.check(&pending, &provider, &browser, now) {
            Ok(code) => Judged::Commit {
                permit: (pending, code),
                writes: Vec::new(),
                event,
            },
            Err(error) => Judged::Refuse { error },
        },
        Taken::Spent(_) | Taken::Unknown => Judged::Refuse {
            error: ResponseRefusal::StateUnknown,
        },
    };
    let settled = fabric
        .store()
        .spend::<UpstreamState, (PendingLogin, CheckedCode), ResponseRefusal, _>(
            tenant, handle, now, judge,
        )
        .await?;
    match settled {
        Settled::Permitted(recorded) => Ok(recorded.into_decision()),
        Settled::Refused(refused) => Err(refused.into_decision().into()),
        Settled::RefusedUnrecorded(refusal) => Err(refusal.into()),
    }
}

async fn redeem(
    identity: &Identity,
    call: &Call,
    upstream: &Upstream,
    pending: &PendingLogin,
    code: CheckedCode,
    secrets: &LoginSecrets,
) -> Result<UpstreamIdentity, Refused> {
    let provider = upstream.record();
    let metadata = upstream.metadata().await?;
    let request = TokenRequest::new(code, &redirect_uri(call, &provider.name), secrets);
    let answer = upstream.redeem(&metadata, request).await?;
    let token = IdToken::parse(answer.id_token(), provider)?;
    let (kid, algorithm) = token.key();
    let key = upstream
        .key(&metadata, kid, algorithm)
        .await?
        .ok_or(IdTokenRefusal::KeyUnknown)?;
    let expected = Expected {
        provider,
        nonce: secrets.nonce(),
        freshness: pending.freshness,
        begun: pending.begun,
    };
    Ok(token.verify(&key, &expected, identity.fabric.now())?)
}

/// Records why somebody is not signed in; the page says less.
pub(super) fn refuse(
    identity: &Identity,
    call: &Call,
    provider: Option<&ProviderName>,
    refused: Refused,
) -> Failure {
    let event = UpstreamSignIn {
        decision: Verdict::Denied,
        provider: provider.map(|name| Text::of(name.as_str())),
        reason: Some(Code::of(refused.reason)),
        session: None,
        user: refused.user,
    };
    match record::refused(identity, call, event) {
        Ok(()) => refused.page.into(),
        Err(failure) => failure,
    }
}
