//! The tokens of a session: sealed, opened, refreshed once however many ask, and ended.

use super::{BrowserSessions, Kind, SessionError, Shared};
use countersign_audit::event::BrowserSessionEnded;
use countersign_audit::{Code, Text};
use countersign_base::{Duration, RequestId, Secret, UnixTime};
use countersign_crypto::mac::Tag;
use countersign_federation::ProviderName;
use countersign_federation::browser::{
    LogoutToken, TokenSet, logout_token_of, logout_url, refresh_parameters,
};
use countersign_federation::token::TokenRequest;
use countersign_keys::envelope::{self, Aad, Sealed};
use countersign_store::Write;
use countersign_store::tables::browser_sessions::{self, BrowserSession, Replaced, Whose};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use url::Url;

/// How long before its end an access token is replaced.
const REFRESH_AHEAD: Duration = Duration::from_secs(30);
/// How often at most it is written down that a session was used.
const TOUCH_MIN: Duration = Duration::from_secs(30);

/// What is sealed of a session.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    access: String,
    expires: UnixTime,
    /// From when on the next one is asked for.
    refresh_from: UnixTime,
    refresh: Option<String>,
    id: Option<String>,
}

impl Kept {
    pub(super) fn of(tokens: TokenSet, now: UnixTime) -> Self {
        let text = |secret: Secret<String>| secret.expose().clone();
        // Of a token that lives shortly, the last quarter.
        let ahead = REFRESH_AHEAD.min(tokens.expires_in / 4);
        let expires = now.plus(tokens.expires_in);
        Self {
            access: text(tokens.access),
            expires,
            refresh_from: expires.minus(ahead),
            refresh: tokens.refresh.map(text),
            id: tokens.id.map(text),
        }
    }

    fn token(&self) -> Secret<String> {
        Secret::new(self.access.clone())
    }
}

/// A session that has ended here.
pub struct Ended {
    /// Where the browser goes so that it ends at the issuer too; a path of its own origin where the issuer has no such address.
    pub onward: String,
}

impl BrowserSessions {
    /// The access token of the session that has this cookie.
    ///
    /// # Errors
    /// When there is none, it is over, or it cannot be told.
    pub async fn open(
        &self,
        name: &ProviderName,
        cookie: &Secret<String>,
    ) -> Result<Secret<String>, SessionError> {
        let (kind, shared) = (self.kind(name)?, &self.0);
        let handle = shared.session_tag(&kind, cookie);
        let (session, kept) = shared.live(&kind, &handle).await?;
        let now = shared.clock.now();
        let touch = (kind.idle / 16).max(TOUCH_MIN).min(kind.idle / 2);
        if now >= session.used.plus(touch) {
            // Before the answer: what was used now is not taken for idle by the next request.
            shared
                .store
                .browser_session_used(kind.tenant(), &handle, now)
                .await?;
        }
        if now >= kept.refresh_from {
            let shared = Arc::clone(shared);
            return self
                .carry_out(async move { shared.refreshed(&kind, &handle).await })
                .await;
        }
        Ok(kept.token())
    }

    /// Whether the session of this cookie goes on. To ask does not count as using it.
    ///
    /// # Errors
    /// When there is none, it is over, or it cannot be told.
    pub async fn goes_on(
        &self,
        name: &ProviderName,
        cookie: &Secret<String>,
    ) -> Result<(), SessionError> {
        let (kind, shared) = (self.kind(name)?, &self.0);
        let handle = shared.session_tag(&kind, cookie);
        shared.alive(&kind, &handle).await.map(|_session| ())
    }

    /// Ends the session of this cookie, and its grant at the issuer; nothing if there is none.
    ///
    /// # Errors
    /// When the end cannot be stored: then the session goes on.
    pub async fn end(
        &self,
        name: &ProviderName,
        cookie: Option<Secret<String>>,
        reason: Code,
        request: RequestId,
    ) -> Result<Ended, SessionError> {
        let (kind, shared) = (self.kind(name)?, Arc::clone(&self.0));
        let work = async move {
            let ended = match cookie {
                Some(cookie) => shared.end(&kind, &cookie, reason, request).await?,
                None => None,
            };
            let post_logout = format!("{}{}", kind.origin, kind.post_logout.as_str());
            let onward = match ended {
                Some(kept) => shared.leave(&kind, kept, &post_logout).await,
                None => None,
            };
            Ok(Ended {
                onward: onward.map_or_else(
                    || kind.post_logout.as_str().to_owned(),
                    |url| url.to_string(),
                ),
            })
        };
        self.carry_out(work).await
    }

    /// Ends what the issuer says has ended (OpenID Connect Back-Channel Logout 1.0 §2.5).
    ///
    /// # Errors
    /// When the logout token is not the issuer's, for us and of now, or it cannot be told.
    pub async fn logged_out(
        &self,
        name: &ProviderName,
        body: Vec<u8>,
        request: RequestId,
    ) -> Result<(), SessionError> {
        let (kind, shared) = (self.kind(name)?, Arc::clone(&self.0));
        self.carry_out(async move { shared.logged_out(&kind, &body, request).await })
            .await
    }
}

impl Shared {
    fn aad(kind: &Kind, handle: &Tag) -> Aad {
        Aad::row(
            kind.tenant(),
            browser_sessions::NAME,
            "sealed",
            handle.as_bytes(),
        )
    }

    pub(super) fn seal(
        &self,
        kind: &Kind,
        handle: &Tag,
        kept: &Kept,
    ) -> Result<Vec<u8>, SessionError> {
        let text = serde_json::to_vec(kept).map(Secret::new);
        let text = text.map_err(|_| SessionError::Refused("session_unsealable"))?;
        let keks = self.secrets.keks();
        envelope::seal(
            &*keks,
            &Self::aad(kind, handle),
            text.expose(),
            &self.random,
        )
        .map(Sealed::into_bytes)
        .map_err(|_| SessionError::Refused("session_too_large"))
    }

    /// The session of this handle with its tokens, if it is alive.
    async fn live(
        &self,
        kind: &Kind,
        handle: &Tag,
    ) -> Result<(BrowserSession, Kept), SessionError> {
        let session = self.alive(kind, handle).await?;
        let kept = self.unsealed(kind, handle, &session)?;
        Ok((session, kept))
    }

    /// The session of this handle, if it is alive.
    async fn alive(&self, kind: &Kind, handle: &Tag) -> Result<BrowserSession, SessionError> {
        let found = self.stored(kind, handle).await?;
        let now = self.clock.now();
        let session = found.filter(|session| {
            now < session.expires
                && now < session.created.plus(kind.absolute)
                && now < session.used.plus(kind.idle)
        });
        session.ok_or(SessionError::Over)
    }

    /// The session of this kind, alive or not.
    async fn stored(
        &self,
        kind: &Kind,
        handle: &Tag,
    ) -> Result<Option<BrowserSession>, SessionError> {
        let mut connection = self.store.read().await?;
        let found = browser_sessions::find(&mut connection, kind.tenant(), handle).await?;
        Ok(found.filter(|session| session.name == kind.name().as_str()))
    }

    fn unsealed(
        &self,
        kind: &Kind,
        handle: &Tag,
        session: &BrowserSession,
    ) -> Result<Kept, SessionError> {
        let sealed = Sealed::from_bytes(session.sealed.clone());
        let keks = self.secrets.keks();
        let text = envelope::open(&*keks, &Self::aad(kind, handle), &sealed)
            .map_err(|_| SessionError::Unavailable)?;
        serde_json::from_slice(text.expose()).map_err(|_| SessionError::Unavailable)
    }

    /// A token that is good for a while: whoever comes second finds what the first one got.
    async fn refreshed(&self, kind: &Kind, handle: &Tag) -> Result<Secret<String>, SessionError> {
        let flight = self.flight(handle);
        let _alone = flight.lock().await;
        let (session, kept) = self.live(kind, handle).await?;
        let now = self.clock.now();
        if now < kept.refresh_from {
            return Ok(kept.token());
        }
        let Some(refresh) = kept.refresh.clone().map(Secret::new) else {
            return if now < kept.expires {
                Ok(kept.token())
            } else {
                self.drop_session(kind, handle, Code::of("token_expired"))
                    .await
            };
        };
        match self.ask_for_more(kind, &refresh).await {
            Ok(tokens) => {
                let mut next = Kept::of(tokens, now);
                next.refresh = next.refresh.or(kept.refresh);
                next.id = next.id.or(kept.id);
                let sealed = self.seal(kind, handle, &next)?;
                let replaced = self
                    .store
                    .replace_browser_tokens(kind.tenant(), handle, session.generation, sealed)
                    .await?;
                match replaced {
                    Replaced::Yes => Ok(next.token()),
                    // Another node was first, or the session ended meanwhile.
                    Replaced::No => Ok(self.live(kind, handle).await?.1.token()),
                }
            }
            Err(SessionError::Over) => {
                self.drop_session(kind, handle, Code::of("refresh_refused"))
                    .await
            }
            // The issuer is away: what is still good serves on.
            Err(_) if now < kept.expires => Ok(kept.token()),
            Err(error) => Err(error),
        }
    }

    async fn ask_for_more(
        &self,
        kind: &Kind,
        refresh: &Secret<String>,
    ) -> Result<TokenSet, SessionError> {
        let metadata = kind.upstream.metadata().await?;
        let request = TokenRequest::of(refresh_parameters(refresh, &kind.resource));
        let answer = kind
            .upstream
            .ask(metadata.token_endpoint(), request)
            .await?;
        match answer.status {
            StatusCode::OK => TokenSet::parse(&answer.body).ok_or(SessionError::Unavailable),
            // `invalid_grant` is for good; whatever is wrong with us is not the session's fault.
            StatusCode::BAD_REQUEST if says_invalid_grant(&answer.body) => Err(SessionError::Over),
            _ => Err(SessionError::Unavailable),
        }
    }

    fn flight(&self, handle: &Tag) -> Arc<tokio::sync::Mutex<()>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights
            .get(handle.as_bytes())
            .and_then(std::sync::Weak::upgrade)
        {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::new(tokio::sync::Mutex::new(()));
        flights.insert(*handle.as_bytes(), Arc::downgrade(&flight));
        flight
    }

    async fn drop_session<T>(
        &self,
        kind: &Kind,
        handle: &Tag,
        reason: Code,
    ) -> Result<T, SessionError> {
        self.forget(kind, handle, reason, None).await?;
        Err(SessionError::Over)
    }

    async fn forget(
        &self,
        kind: &Kind,
        handle: &Tag,
        reason: Code,
        request: Option<RequestId>,
    ) -> Result<(), SessionError> {
        let writes = vec![Write::EndBrowserSession(handle.clone())];
        self.ended(kind, writes, reason, request).await
    }

    async fn ended(
        &self,
        kind: &Kind,
        writes: Vec<Write>,
        reason: Code,
        request: Option<RequestId>,
    ) -> Result<(), SessionError> {
        let ended = BrowserSessionEnded {
            reason,
            session: Text::of(kind.name().as_str()),
        };
        let event = self.recorder.about_event(kind.tenant(), request, ended);
        let now = self.clock.now();
        self.store.change(kind.tenant(), writes, event, now).await?;
        self.ended.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    async fn end(
        &self,
        kind: &Kind,
        cookie: &Secret<String>,
        reason: Code,
        request: RequestId,
    ) -> Result<Option<Kept>, SessionError> {
        let handle = self.session_tag(kind, cookie);
        // However long nobody used it: its grant and the sign-in at the issuer may live on.
        let Some(session) = self.stored(kind, &handle).await? else {
            return Ok(None);
        };
        let kept = self.unsealed(kind, &handle, &session)?;
        self.forget(kind, &handle, reason, Some(request)).await?;
        Ok(Some(kept))
    }

    /// Ends the grant at the issuer (RFC 7009), and says where the browser goes to end its sign-in there. Here the session has ended already.
    async fn leave(&self, kind: &Kind, kept: Kept, post_logout: &str) -> Option<Url> {
        let metadata = kind.upstream.metadata().await.ok()?;
        if let (Some(endpoint), Some(refresh)) = (metadata.revocation_endpoint(), kept.refresh) {
            let revoke = TokenRequest::of(vec![("token", Secret::new(refresh))]);
            let revoked = kind.upstream.ask(endpoint, revoke).await;
            if !revoked.is_ok_and(|answer| answer.status.is_success()) {
                tracing::warn!(event = "browser_session_grant_not_revoked");
            }
        }
        let id = kept.id.map(Secret::new);
        logout_url(&metadata, kind.record(), id.as_ref(), Some(post_logout))
    }

    async fn logged_out(
        &self,
        kind: &Kind,
        body: &[u8],
        request: RequestId,
    ) -> Result<(), SessionError> {
        let refused = SessionError::Refused("logout_token");
        let token = logout_token_of(body).ok_or(refused)?;
        let token = LogoutToken::parse(&token, kind.record()).ok_or(refused)?;
        let metadata = kind.upstream.metadata().await?;
        let (kid, algorithm) = token.key();
        let key = kind.upstream.key(&metadata, kid, algorithm).await?;
        let said = token
            .verify(&key.ok_or(refused)?, kind.record(), self.clock.now())
            .ok_or(refused)?;
        let whose = match (&said.sid, &said.sub) {
            (Some(sid), _) => Whose::Session(self.upstream_tag(kind, "browser sid", sid)),
            (None, Some(sub)) => Whose::Subject(self.upstream_tag(kind, "browser subject", sub)),
            (None, None) => return Err(refused),
        };
        let end = Write::EndBrowserSessions {
            name: kind.name().to_string(),
            whose,
            said: said.said,
        };
        let reason = Code::of("back_channel_logout");
        self.ended(kind, vec![end], reason, Some(request)).await
    }
}

fn says_invalid_grant(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    serde_json::from_slice::<Refusal>(body).is_ok_and(|refusal| refusal.error == "invalid_grant")
}
