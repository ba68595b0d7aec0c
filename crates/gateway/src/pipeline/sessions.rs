//! Sessions of browsers in the way of a request: the token that a session keeps, and the gateway's own addresses at which it begins and ends.

use super::{Flow, Holder, Step, target_of};
use crate::answer::{Denial, GatewayBody, redirect, short};
use crate::canonical::CanonicalTarget;
use crate::limiter::{Caller as Counted, Verdict};
use crate::planes::Planes;
use crate::request::Caller;
use crate::routes::Matched;
use crate::sessions::{Asked, Cookie, SessionDoor, SessionDoors, is_navigation};
use bytes::Bytes;
use countersign_audit::Code;
use countersign_authn::{Anonymous, Demand, Reason, ResourceRequest, api_key, demand_kept};
use countersign_base::Secret;
use countersign_control::browser_sessions::{
    BrowserSessions, ReturnPath, SessionError, SessionName,
};
use countersign_net::Connection;
use http::request::Parts;
use http::{Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use url::form_urlencoded;

/// Bytes of a back-channel logout request.
const LOGOUT_BYTES_MAX: usize = 16 * 1024;
/// The time that it may take.
const LOGOUT_TIME_MAX: Duration = Duration::from_secs(10);

/// Why a request that has to do with a session is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionDenial {
    /// A page of another origin sent it.
    Foreign,
    /// Two cookies of one name.
    CookieRepeated,
    /// An address of the gateway's own, in a way that it is not used.
    Method,
    /// Where somebody wants to go after the sign-in is not a path of this origin.
    ReturnPath,
    /// Somebody opens a page and has to sign in first.
    SignIn {
        /// Where.
        location: String,
    },
    /// The sign-in, its end, or the store.
    Sessions(SessionError),
}

impl SessionDenial {
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Foreign => "session_foreign_page",
            Self::CookieRepeated => "session_cookie_repeated",
            Self::Method => "session_method",
            Self::ReturnPath => "session_return_path",
            Self::SignIn { .. } => "session_missing",
            Self::Sessions(error) => error.as_str(),
        }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::CookieRepeated | Self::ReturnPath | Self::Sessions(SessionError::Refused(_)) => {
                StatusCode::BAD_REQUEST
            }
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::SignIn { .. } => StatusCode::SEE_OTHER,
            Self::Sessions(SessionError::Over) => StatusCode::UNAUTHORIZED,
            Self::Sessions(SessionError::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

fn denied(denial: SessionDenial) -> Denial {
    Denial::Session(Box::new(denial))
}

impl From<SessionError> for Denial {
    fn from(error: SessionError) -> Self {
        denied(SessionDenial::Sessions(error))
    }
}

impl<P: Planes> Flow<'_, P> {
    /// Who sent a request that brings a session; nothing if it brings none, and is judged by what else it shows.
    pub(super) async fn by_session(
        &self,
        name: &SessionName,
        head: &Parts,
        target: &CanonicalTarget,
        matched: &Matched,
        request: &ResourceRequest<'_>,
    ) -> Step<Option<Caller>> {
        let doors = self.generation.routes().session_doors();
        let door = doors.and_then(|doors| doors.of(name));
        let door = door.filter(|door| self.holder == Holder::Gateway && door.is_at(target));
        let (Some(door), Some(sessions)) = (door, self.core.planes().browser_sessions()) else {
            return Ok(None);
        };
        let rules = &matched.route.rules;
        let sign_in = || SessionDenial::SignIn {
            location: door.sign_in_at(target),
        };
        let navigates = is_navigation(&head.method, &head.headers);
        let other = head.headers.contains_key(header::AUTHORIZATION)
            || (rules.api_keys().is_some() && head.headers.contains_key(api_key::FIELD));
        let cookie = match door.session(&head.headers) {
            Cookie::Absent if navigates && !other && rules.anonymous() == Anonymous::Refused => {
                return Err(denied(sign_in()).into());
            }
            Cookie::Absent => return Ok(None),
            Cookie::Repeated => return Err(denied(SessionDenial::CookieRepeated).into()),
            Cookie::Malformed | Cookie::Value(_) if other => {
                return Err(Denial::Credential(Reason::TwoCredentials.into()).into());
            }
            // Nobody was ever given it.
            Cookie::Malformed if navigates => return Err(denied(sign_in()).into()),
            Cookie::Malformed => return Err(Denial::from(SessionError::Over).into()),
            Cookie::Value(cookie) => cookie,
        };
        if door.is_foreign(&head.method, &head.headers) {
            return Err(denied(SessionDenial::Foreign).into());
        }
        let token = match sessions.open(name, &cookie).await {
            Ok(token) => token,
            Err(SessionError::Over) if navigates => return Err(denied(sign_in()).into()),
            Err(error) => return Err(Denial::from(error).into()),
        };
        match self.by_kept_token(&token, matched, request).await {
            Ok(caller) => Ok(Some(caller)),
            Err(ended) if is_over(&ended.denial) => {
                self.forget(sessions, name, cookie).await;
                if navigates {
                    return Err(denied(sign_in()).into());
                }
                Err(ended)
            }
            Err(ended) => Err(ended),
        }
    }

    /// The kept token is judged as any token is.
    async fn by_kept_token(
        &self,
        token: &Secret<String>,
        matched: &Matched,
        request: &ResourceRequest<'_>,
    ) -> Step<Caller> {
        let demanded =
            demand_kept(token, request, &matched.route.rules).map_err(Denial::Credential)?;
        let token = match demanded {
            Demand::Token(token) => token,
            Demand::Anonymous(reason) => return Ok(Caller::Anonymous(reason)),
        };
        let subject = self.prove(token).await?;
        let held = subject
            .require_scopes(&matched.operation().scopes)
            .map_err(Denial::Credential)?;
        Ok(Caller::Subject(subject, held))
    }

    /// The grant of a session was revoked, so the session is over too.
    async fn forget(&self, sessions: &BrowserSessions, name: &SessionName, cookie: Secret<String>) {
        let reason = Code::of("token_refused");
        if sessions
            .end(name, Some(cookie), reason, self.id)
            .await
            .is_err()
        {
            tracing::warn!(event = "browser_session_not_ended");
        }
    }

    /// Answers at an address of the gateway's own; nothing if the request is for another host, where the path is one like any other.
    pub(super) async fn at_session_door(
        &self,
        connection: &Connection,
        head: &Parts,
        body: &mut Option<Incoming>,
    ) -> Step<Option<Response<GatewayBody>>> {
        let Some(doors) = self.generation.routes().session_doors() else {
            return Ok(None);
        };
        let mut asked = doors.asked(&head.uri).peekable();
        if asked.peek().is_none() {
            return Ok(None);
        }
        let target = target_of(head)?;
        let Some((door, asked)) = asked.find(|(door, _)| door.is_at(&target)) else {
            return Ok(None);
        };
        let Some(sessions) = self.core.planes().browser_sessions() else {
            return Ok(None);
        };
        let expected = match asked {
            Asked::Callback | Asked::Login => Method::GET,
            Asked::BackChannel | Asked::Logout => Method::POST,
        };
        if head.method != expected {
            return Err(denied(SessionDenial::Method).into());
        }
        let _under_way = self.may_ask(doors, door, connection)?;
        let answer = match asked {
            Asked::BackChannel => self.back_channel(door, sessions, body.take()).await?,
            Asked::Callback => self.callback(door, sessions, head, &target).await?,
            Asked::Login => self.login(door, sessions, head, &target).await?,
            Asked::Logout => self.logout(door, sessions, head).await?,
        };
        Ok(Some(answer))
    }

    /// Whether this network may ask again, and there is room for what is asked: strangers come here, and each makes work for store and issuer.
    fn may_ask(
        &self,
        doors: &SessionDoors,
        door: &SessionDoor,
        connection: &Connection,
    ) -> Step<OwnedSemaphorePermit> {
        let limits = doors.limits().ok_or(Denial::LimiterFull)?;
        let counted = Counted {
            route: door.name().as_str(),
            tenant: "",
            known: None,
            certificate: None,
            address: connection.remote.ip(),
        };
        match (self.core.limiter()).take(limits, &counted, self.core.moment(self.now)) {
            Verdict::Admitted { .. } => {}
            Verdict::Exceeded {
                retry_after_seconds,
                ..
            } => {
                return Err(Denial::RateLimited {
                    retry_after_seconds,
                }
                .into());
            }
            Verdict::Full => return Err(Denial::LimiterFull.into()),
        }
        let place = Arc::clone(&doors.under_way).try_acquire_owned();
        Ok(place.map_err(|_| Denial::Overloaded)?)
    }

    async fn login(
        &self,
        door: &SessionDoor,
        sessions: &BrowserSessions,
        head: &Parts,
        target: &CanonicalTarget,
    ) -> Step<Response<GatewayBody>> {
        let mut wanted = form_urlencoded::parse(target.query().unwrap_or_default().as_bytes())
            .filter(|(name, _)| name == "return_to");
        let return_to = match (wanted.next(), wanted.next()) {
            (None, _) => ReturnPath::root(),
            (Some((_, path)), None) => path
                .parse()
                .map_err(|_| denied(SessionDenial::ReturnPath))?,
            (Some(_), Some(_)) => return Err(denied(SessionDenial::ReturnPath).into()),
        };
        let browser = match door.browser(&head.headers) {
            Cookie::Value(browser) => browser,
            Cookie::Absent | Cookie::Malformed => self.core.planes().random().token(),
            Cookie::Repeated => return Err(denied(SessionDenial::CookieRepeated).into()),
        };
        let cookie = door.set_browser(&browser);
        let url = sessions
            .begin(door.name(), browser, return_to)
            .await
            .map_err(Denial::from)?;
        Ok(redirect(url.as_str(), &[cookie]))
    }

    async fn callback(
        &self,
        door: &SessionDoor,
        sessions: &BrowserSessions,
        head: &Parts,
        target: &CanonicalTarget,
    ) -> Step<Response<GatewayBody>> {
        let browser = match door.browser(&head.headers) {
            Cookie::Value(browser) => browser,
            // Whoever brings an answer without the cookie did not ask for it.
            Cookie::Absent | Cookie::Malformed => {
                return Err(Denial::from(SessionError::Refused("upstream_browser_differs")).into());
            }
            Cookie::Repeated => return Err(denied(SessionDenial::CookieRepeated).into()),
        };
        let before = match door.session(&head.headers) {
            Cookie::Value(before) => Some(before),
            Cookie::Absent | Cookie::Malformed | Cookie::Repeated => None,
        };
        let query = target.query().unwrap_or_default().to_owned();
        let arrival = sessions
            .arrive(door.name(), browser, query, before, self.id)
            .await
            .map_err(Denial::from)?;
        let cookies = [
            door.set_session(&arrival.cookie, arrival.lives.as_secs()),
            door.clear_browser(),
        ];
        Ok(redirect(arrival.return_to.as_str(), &cookies))
    }

    async fn logout(
        &self,
        door: &SessionDoor,
        sessions: &BrowserSessions,
        head: &Parts,
    ) -> Step<Response<GatewayBody>> {
        if door.is_foreign(&head.method, &head.headers) {
            return Err(denied(SessionDenial::Foreign).into());
        }
        let cookie = match door.session(&head.headers) {
            Cookie::Value(cookie) => Some(cookie),
            Cookie::Absent | Cookie::Malformed => None,
            Cookie::Repeated => return Err(denied(SessionDenial::CookieRepeated).into()),
        };
        let reason = Code::of("sign_out");
        let ended = sessions
            .end(door.name(), cookie, reason, self.id)
            .await
            .map_err(Denial::from)?;
        Ok(redirect(&ended.onward, &[door.clear_session()]))
    }

    async fn back_channel(
        &self,
        door: &SessionDoor,
        sessions: &BrowserSessions,
        body: Option<Incoming>,
    ) -> Step<Response<GatewayBody>> {
        let refused = || Denial::from(SessionError::Refused("logout_token"));
        let body = body.ok_or_else(refused)?;
        let whole = Limited::new(body, LOGOUT_BYTES_MAX).collect();
        let whole = tokio::time::timeout(LOGOUT_TIME_MAX, whole).await;
        let body = whole
            .map_err(|_| refused())?
            .map_err(|_| refused())?
            .to_bytes();
        sessions
            .logged_out(door.name(), body.to_vec(), self.id)
            .await
            .map_err(Denial::from)?;
        Ok(short(StatusCode::OK, Bytes::new()))
    }
}

/// Whether a kept token will never be good again, so that its session is of no use.
fn is_over(denial: &Denial) -> bool {
    match denial {
        Denial::Credential(refusal) => {
            matches!(refusal.reason(), Reason::Revoked | Reason::TokenExpired)
        }
        _ => false,
    }
}
