//! Sessions of browsers, as the gateway's own addresses and as credentials: cookies, the origin that a request comes from, and where a browser is sent.
//!
//! Two cookies, both with `__Host-`, so that no other host and no plain connection can set them: one names the browser while it signs in, the other the session. Both are
//! 256 random bits; what they stand for is the control plane's to know ([`countersign_control::browser_sessions`]).
//!
//! A cookie comes along whoever wrote the page, so a request that has a session must also show that a page of this very origin sent it ([`is_foreign`]).
//!
//! Not here: the sign-in itself, tokens, and what they are worth.

use crate::canonical::CanonicalTarget;
use crate::limiter::{Dimension, LimitSpec, RouteLimits, Strangers};
use countersign_base::{Duration, Secret};
use countersign_control::browser_sessions::{ReturnPath, SessionName};
use countersign_oauth::session::{BROWSER_COOKIE, SESSION_COOKIE};
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Uri};
use std::sync::Arc;
use tokio::sync::Semaphore;
use url::form_urlencoded;

const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Seconds that a browser keeps its name while it signs in.
const BROWSER_SECONDS: u64 = 600;
/// What tells the gateway's cookies from those of a tenant's own pages, whose names have no dot.
const GATEWAY: &str = "gw.";
/// Characters of a cookie's value.
const VALUE_CHARACTERS: usize = 43;

/// One kind of session at the gateway: its addresses, and the origin that it is for.
#[derive(Debug, Clone)]
pub struct SessionDoor {
    name: SessionName,
    origin: String,
    login: String,
    callback: String,
    logout: String,
    backchannel: String,
}

/// Where the addresses of a kind of session are: paths of its origin.
#[derive(Debug, Clone)]
pub struct SessionPaths {
    /// Where a sign-in begins.
    pub login: String,
    /// Where the issuer's answer comes.
    pub callback: String,
    /// Where a page posts to sign out.
    pub logout: String,
    /// Where the issuer says that a sign-in is over.
    pub backchannel: String,
}

/// What is asked at an address of the gateway's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    BackChannel,
    Callback,
    Login,
    Logout,
}

/// What a request shows of a cookie.
pub(crate) enum Cookie {
    /// No cookie of this name.
    Absent,
    /// Two of one name: somebody planted one, and which is right nobody knows.
    Repeated,
    /// One that was never given out.
    Malformed,
    /// One.
    Value(Secret<String>),
}

impl SessionDoor {
    /// The sessions of this name for the pages of `origin` (`https://host` or `https://host:port`).
    #[must_use]
    pub fn new(name: SessionName, origin: String, paths: SessionPaths) -> Self {
        Self {
            name,
            origin,
            login: paths.login,
            callback: paths.callback,
            logout: paths.logout,
            backchannel: paths.backchannel,
        }
    }

    /// What the configuration calls it.
    #[must_use]
    pub const fn name(&self) -> &SessionName {
        &self.name
    }

    /// Whether a target is of its origin: the same sessions mean nothing at another host or port.
    pub(crate) fn is_at(&self, target: &CanonicalTarget) -> bool {
        self.origin.strip_prefix("https://") == Some(target.authority().as_str())
    }

    fn asked(&self, path: &str) -> Option<Asked> {
        [
            (&self.backchannel, Asked::BackChannel),
            (&self.callback, Asked::Callback),
            (&self.login, Asked::Login),
            (&self.logout, Asked::Logout),
        ]
        .into_iter()
        .find_map(|(own, asked)| (own == path).then_some(asked))
    }

    pub(crate) fn session(&self, headers: &HeaderMap) -> Cookie {
        read(headers, &self.cookie_name(SESSION_COOKIE))
    }

    pub(crate) fn browser(&self, headers: &HeaderMap) -> Cookie {
        read(headers, &self.cookie_name(BROWSER_COOKIE))
    }

    fn cookie_name(&self, prefix: &str) -> String {
        format!("{prefix}{GATEWAY}{}", self.name)
    }

    pub(crate) fn set_session(&self, value: &Secret<String>, seconds: u64) -> String {
        self.cookie(SESSION_COOKIE, value.expose(), seconds)
    }

    pub(crate) fn clear_session(&self) -> String {
        self.cookie(SESSION_COOKIE, "", 0)
    }

    pub(crate) fn set_browser(&self, value: &Secret<String>) -> String {
        self.cookie(BROWSER_COOKIE, value.expose(), BROWSER_SECONDS)
    }

    pub(crate) fn clear_browser(&self) -> String {
        self.cookie(BROWSER_COOKIE, "", 0)
    }

    /// `Lax` and not `Strict`: a browser that comes back from its issuer, or follows a link of somebody else's page, is signed in. What that lets through is
    /// refused by [`is_foreign`].
    fn cookie(&self, prefix: &str, value: &str, seconds: u64) -> String {
        let name = self.cookie_name(prefix);
        format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}")
    }

    /// Where a navigation without a session is sent.
    pub(crate) fn sign_in_at(&self, target: &CanonicalTarget) -> String {
        let wanted = match target.query() {
            Some(query) => format!("{}?{query}", target.path()),
            None => target.path().to_owned(),
        };
        let return_to = wanted
            .parse::<ReturnPath>()
            .unwrap_or_else(|_| ReturnPath::root());
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", return_to.as_str())
            .finish();
        format!("{}?{query}", self.login)
    }

    /// Whether a request with a session was sent by somebody else's page.
    pub(crate) fn is_foreign(&self, method: &Method, headers: &HeaderMap) -> bool {
        is_foreign(method, headers, &self.origin)
    }
}

/// The kinds of sessions of a set of routes.
#[derive(Debug, Clone)]
pub struct SessionDoors {
    doors: Vec<SessionDoor>,
    /// How often one network may ask at the addresses of their own.
    limits: Option<RouteLimits>,
    /// How many of what they ask is under way at once: each may write and ask the issuer.
    pub(crate) under_way: Arc<Semaphore>,
}

/// So many requests a minute may come from one network to the addresses at which browsers sign in and out. People behind one address share it.
const ASKED_PER_MINUTE: u32 = 120;
/// So many requests to them are under way at once, from everybody.
const UNDER_WAY_MAX: usize = 64;

impl Default for SessionDoors {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl SessionDoors {
    /// These kinds.
    #[must_use]
    pub fn new(doors: Vec<SessionDoor>) -> Self {
        let limit = LimitSpec {
            by: [Dimension::Network].into(),
            ..LimitSpec::per_client(
                ASKED_PER_MINUTE,
                Duration::from_secs(60),
                Strangers::ByNetwork,
            )
        };
        Self {
            doors,
            limits: RouteLimits::new(vec![limit]).ok().flatten(),
            under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.doors.is_empty()
    }

    /// How often they may be asked. Without limits nobody may.
    pub(crate) const fn limits(&self) -> Option<&RouteLimits> {
        self.limits.as_ref()
    }

    /// Whether a kind has an address of this path, whatever the host.
    pub(crate) fn are_asked(&self, uri: &Uri) -> bool {
        self.doors
            .iter()
            .any(|door| door.asked(uri.path()).is_some())
    }

    /// The kinds that have an address of this path, whatever the host.
    pub(crate) fn asked<'a>(
        &'a self,
        uri: &'a Uri,
    ) -> impl Iterator<Item = (&'a SessionDoor, Asked)> {
        self.doors
            .iter()
            .filter_map(|door| Some((door, door.asked(uri.path())?)))
    }

    pub(crate) fn of(&self, name: &SessionName) -> Option<&SessionDoor> {
        self.doors.iter().find(|door| door.name == *name)
    }

    /// Whether there is one of this name.
    #[must_use]
    pub fn knows(&self, name: &SessionName) -> bool {
        self.of(name).is_some()
    }
}

/// The one cookie of this name.
fn read(headers: &HeaderMap, name: &str) -> Cookie {
    let mut values = headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|cookie| {
            let cookie = cookie.trim_ascii();
            cookie.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
        });
    let Some(value) = values.next() else {
        return Cookie::Absent;
    };
    if values.next().is_some() {
        return Cookie::Repeated;
    }
    let given_out = value.len() == VALUE_CHARACTERS
        && value
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    match std::str::from_utf8(value) {
        Ok(value) if given_out => Cookie::Value(Secret::new(value.to_owned())),
        Ok(_) | Err(_) => Cookie::Malformed,
    }
}

/// What a browser says of a request in a field that stands there once.
enum Said<'a> {
    Nothing,
    Once(&'a str),
    Unclear,
}

fn said<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Said<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Said::Nothing,
        (Some(value), None) => value.to_str().map_or(Said::Unclear, Said::Once),
        (Some(_), Some(_)) => Said::Unclear,
    }
}

/// Whether a request with cookies was sent by a page that is not of `origin`.
///
/// `Origin`, where it is, is exactly ours. `Sec-Fetch-Site`, which no page can write, is `same-origin`; a browser that is only led here, by an address somebody typed or
/// a link on another page, may read with `GET` and do nothing else. A browser so old that it says neither may read as well; to do anything it must send `Origin`, which
/// every browser has sent with `POST` since 2020. Other programs have no cookies.
fn is_foreign(method: &Method, headers: &HeaderMap, origin: &str) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let from = said(headers, &header::ORIGIN);
    match from {
        Said::Once(from) if from != origin => return true,
        Said::Unclear => return true,
        Said::Once(_) | Said::Nothing => {}
    }
    let navigates = || {
        matches!(said(headers, &FETCH_MODE), Said::Once("navigate"))
            && matches!(said(headers, &FETCH_DEST), Said::Once("document"))
    };
    match said(headers, &FETCH_SITE) {
        Said::Once("same-origin") => false,
        Said::Once("none") => !reads,
        Said::Once(_) => !(reads && navigates()),
        Said::Nothing => !reads && matches!(from, Said::Nothing),
        Said::Unclear => true,
    }
}

/// Whether somebody opens a page: then a sign-in is of use. A program is told 401.
pub(crate) fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    if *method != Method::GET {
        return false;
    }
    match said(headers, &FETCH_MODE) {
        Said::Once(mode) => mode == "navigate",
        Said::Nothing => {
            matches!(said(headers, &header::ACCEPT), Said::Once(accept) if accept.contains("text/html"))
        }
        Said::Unclear => false,
    }
}

#[cfg(test)]
mod tests;
