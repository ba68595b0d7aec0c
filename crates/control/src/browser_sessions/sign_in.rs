//! The sign-in of a browser: what it carries to the issuer, and from what it brings back to a session.

use super::tokens::Kept;
use super::{BrowserSessions, Kind, SessionError, Shared};
use countersign_audit::Text;
use countersign_audit::event::{BrowserSessionBegan, UpstreamReturned};
use countersign_authn::Form;
use countersign_base::{ClientId, Duration, RequestId, Secret};
use countersign_federation::browser::{
    PushedAnswer, ReturnPath, SignInRequest, TokenSet, pushed_url,
};
use countersign_federation::id_token::Expected;
use countersign_federation::login::{Freshness, browser_tag};
use countersign_federation::token::TokenRequest;
use countersign_federation::{
    AuthorizationResponse, CheckedCode, IdToken, IdTokenRefusal, LoginPurpose, LoginSecrets,
    PendingLogin, ProviderName, ResponseRefusal, UpstreamIdentity,
};
use countersign_oauth::Taken;
use countersign_store::tables::browser_sessions::NewBrowserSession;
use countersign_store::tables::one_time;
use countersign_store::{BrowserLogin, Judged, NewOneTime, Settled, Write};
use http::StatusCode;
use std::sync::Arc;
use url::Url;

/// A browser that came back and is signed in.
pub struct Arrival {
    /// Its new cookie. Nobody has seen it before (A61).
    pub cookie: Secret<String>,
    /// How long the session lives at most.
    pub lives: Duration,
    /// Where it wanted to go.
    pub return_to: ReturnPath,
}

impl From<ResponseRefusal> for SessionError {
    fn from(refusal: ResponseRefusal) -> Self {
        Self::Refused(refusal.as_str())
    }
}

impl From<IdTokenRefusal> for SessionError {
    fn from(refusal: IdTokenRefusal) -> Self {
        Self::Refused(refusal.as_str())
    }
}

impl BrowserSessions {
    /// Begins a sign-in of the browser that has this cookie: where it is sent.
    ///
    /// # Errors
    /// When there is no such kind, or the issuer or the store cannot be asked.
    pub async fn begin(
        &self,
        name: &ProviderName,
        browser: Secret<String>,
        return_to: ReturnPath,
    ) -> Result<Url, SessionError> {
        let (kind, shared) = (self.kind(name)?, Arc::clone(&self.0));
        self.carry_out(async move { shared.begin(&kind, &browser, &return_to).await })
            .await
    }

    /// Judges what a browser brings back, redeems its code and begins a session, in the place of the one that the browser had.
    ///
    /// # Errors
    /// When anything of it is not what was begun in this very browser, or it cannot be told.
    pub async fn arrive(
        &self,
        name: &ProviderName,
        browser: Secret<String>,
        query: String,
        before: Option<Secret<String>>,
        request: RequestId,
    ) -> Result<Arrival, SessionError> {
        let (kind, shared) = (self.kind(name)?, Arc::clone(&self.0));
        let work = async move {
            let (pending, tokens, identity) =
                shared.prove(&kind, &browser, &query, request).await?;
            shared
                .establish(&kind, &pending, tokens, &identity, before, request)
                .await
        };
        self.carry_out(work).await
    }
}

impl Shared {
    async fn begin(
        &self,
        kind: &Kind,
        browser: &Secret<String>,
        return_to: &ReturnPath,
    ) -> Result<Url, SessionError> {
        let record = kind.record();
        let metadata = kind.upstream.metadata().await?;
        let key = self.mac(kind, "browser-login");
        let secrets = LoginSecrets::derive(&key, self.random.token(), browser);
        let pending = PendingLogin {
            provider: record.name.clone(),
            issuer: record.issuer.clone(),
            browser: browser_tag(&key, browser),
            purpose: LoginPurpose::SignIn {
                ticket: return_to.as_str().to_owned(),
            },
            freshness: Freshness::Any,
            begun: self.clock.now(),
        };
        let handle = self
            .secrets
            .handle::<BrowserLogin>(kind.tenant(), secrets.state());
        let new = NewOneTime::new::<BrowserLogin>(&handle, &pending, pending.expires())?;
        let tenant = kind.tenant().clone();
        self.store
            .write(move |tx| Box::pin(async move { one_time::add(tx, &tenant, &new).await }))
            .await?;
        let redirect_uri = kind.redirect_uri();
        let request = SignInRequest {
            provider: record,
            redirect_uri: &redirect_uri,
            scopes: &kind.scopes,
            resource: &kind.resource,
            secrets: &secrets,
        };
        let Some(endpoint) = metadata.pushed_authorization_request_endpoint() else {
            return Ok(request.url(&metadata));
        };
        let parameters = request.parameters().into_iter();
        let parameters = parameters
            .filter(|(name, _)| *name != "client_id")
            .map(|(name, value)| (name, Secret::new(value)));
        let pushed = TokenRequest::of(parameters.collect());
        let answer = kind.upstream.ask(endpoint, pushed).await?;
        if answer.status != StatusCode::CREATED {
            return Err(SessionError::Refused("push_refused"));
        }
        let pushed = PushedAnswer::parse(&answer.body);
        let pushed = pushed.ok_or(SessionError::Refused("push_malformed"))?;
        Ok(pushed_url(&metadata, record, &pushed))
    }

    /// From a response to tokens and who they are about. The order matters: nothing is called before the response is known to be this issuer's, for this browser.
    async fn prove(
        &self,
        kind: &Kind,
        browser: &Secret<String>,
        query: &str,
        request: RequestId,
    ) -> Result<(PendingLogin, TokenSet, UpstreamIdentity), SessionError> {
        let form = Form::parse(query.as_bytes()).map_err(|_| ResponseRefusal::Malformed)?;
        let response = AuthorizationResponse::parse(&form)?;
        let key = self.mac(kind, "browser-login");
        let state = Secret::new(response.state().to_owned());
        let (pending, code) = self.spend(kind, response, browser, request).await?;
        let secrets = LoginSecrets::derive(&key, state, browser);
        let metadata = kind.upstream.metadata().await?;
        let redeem = TokenRequest::new(code, &kind.redirect_uri(), &secrets);
        let answer = kind.upstream.ask(metadata.token_endpoint(), redeem).await?;
        if answer.status != StatusCode::OK {
            return Err(SessionError::Refused("upstream_code_refused"));
        }
        let tokens = TokenSet::parse(&answer.body);
        let tokens = tokens.ok_or(SessionError::Refused("upstream_token_malformed"))?;
        let id = tokens.id.as_ref();
        let id = id.ok_or(SessionError::Refused("upstream_token_without_id_token"))?;
        let id = IdToken::parse(id.expose(), kind.record())?;
        let (kid, algorithm) = id.key();
        let key = kind.upstream.key(&metadata, kid, algorithm).await?;
        let expected = Expected {
            provider: kind.record(),
            nonce: secrets.nonce(),
            freshness: pending.freshness,
            begun: pending.begun,
        };
        let key = key.ok_or(IdTokenRefusal::KeyUnknown)?;
        let identity = id.verify(&key, &expected, self.clock.now())?;
        Ok((pending, tokens, identity))
    }

    /// Spends the `state` and judges the response in one transaction.
    async fn spend(
        &self,
        kind: &Kind,
        response: AuthorizationResponse,
        browser: &Secret<String>,
        request: RequestId,
    ) -> Result<(PendingLogin, CheckedCode), SessionError> {
        let (tenant, now) = (kind.tenant(), self.clock.now());
        let handle = self
            .secrets
            .handle::<BrowserLogin>(tenant, response.state());
        let tag = browser_tag(&self.mac(kind, "browser-login"), browser);
        let returned = UpstreamReturned {
            provider: Text::of(kind.name().as_str()),
        };
        let event = self.recorder.about_event(tenant, Some(request), returned);
        let record = kind.record().clone();
        let judge = move |taken: Taken<PendingLogin>| match taken {
            Taken::Fresh(pending) => match response.check(&pending, &record, &tag, now) {
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
        let settled = self
            .store
            .spend::<BrowserLogin, (PendingLogin, CheckedCode), ResponseRefusal, _>(
                tenant, handle, now, judge,
            )
            .await?;
        match settled {
            Settled::Permitted(recorded) => Ok(recorded.into_decision()),
            Settled::Refused(refused) => Err(refused.into_decision().into()),
            Settled::RefusedUnrecorded(refusal) => Err(refusal.into()),
        }
    }

    async fn establish(
        &self,
        kind: &Kind,
        pending: &PendingLogin,
        tokens: TokenSet,
        identity: &UpstreamIdentity,
        before: Option<Secret<String>>,
        request: RequestId,
    ) -> Result<Arrival, SessionError> {
        let now = self.clock.now();
        let cookie = self.random.token();
        let handle = self.session_tag(kind, &cookie);
        let kept = Kept::of(tokens, now);
        let subject = identity.subject().as_str();
        let new = NewBrowserSession {
            sealed: self.seal(kind, &handle, &kept)?,
            handle,
            replaces: before.map(|before| self.session_tag(kind, &before)),
            name: kind.name().to_string(),
            subject: self.upstream_tag(kind, "browser subject", subject),
            upstream_session: identity
                .sid()
                .map(|sid| self.upstream_tag(kind, "browser sid", sid)),
            expires: now.plus(kind.absolute),
        };
        let client: ClientId = kind
            .record()
            .client_id
            .as_str()
            .parse()
            .map_err(|_| SessionError::Refused("session_client"))?;
        let began = BrowserSessionBegan {
            client,
            session: Text::of(kind.name().as_str()),
            user: subject.parse().ok(),
        };
        let event = self
            .recorder
            .about_event(kind.tenant(), Some(request), began);
        let writes = vec![Write::AddBrowserSession(Box::new(new))];
        self.store.change(kind.tenant(), writes, event, now).await?;
        let return_to = match &pending.purpose {
            LoginPurpose::SignIn { ticket } => ticket.parse().ok(),
            LoginPurpose::Link { .. } => None,
        };
        Ok(Arrival {
            cookie,
            lives: kind.absolute,
            return_to: return_to.unwrap_or_else(ReturnPath::root),
        })
    }
}
