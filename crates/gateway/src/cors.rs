//! Which pages of other origins may call a route, and what browsers are told about it (Fetch, "CORS protocol"; RFC 6454).
//!
//! The gateway alone decides: it answers preflights itself, and what an upstream says of other origins is removed. Origins are compared whole. There
//! is no `*`: an answer names the one origin that asked, or none. `Vary` says so to caches.
//!
//! A route without rules tells browsers nothing, so that no page of another origin reads its answers. That keeps pages from reading, not callers
//! from calling: whoever a request is from, its token and policy decide.

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Longest time that a browser may keep the answer to a preflight; browsers keep it two hours at most anyway.
pub const MAX_AGE_MAX: Duration = Duration::from_secs(86_400);

/// Fields that a page may send without asking (Fetch, "CORS-safelisted request-header"); `Content-Type` is asked for when its value is not simple.
const SAFE_FIELDS: [&str; 3] = ["accept", "accept-language", "content-language"];
/// What upstreams may not say: the gateway does.
const ANSWER_FIELDS: [HeaderName; 6] = [
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
];
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
const VARY_PREFLIGHT: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
);

/// An origin as browsers write it: scheme, host, and a port that is not the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(String);

/// A text that is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected one origin as browsers write it, such as `https://app.example` or `https://app.example:8443`: no path, no default port, no `*`, no `null`; plain `http` for loopback alone"
)]
pub struct NotAnOrigin;

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let url = url::Url::parse(text).map_err(|_| NotAnOrigin)?;
        let safe = match (url.scheme(), url.host()) {
            ("https", Some(_)) => true,
            ("http", Some(url::Host::Domain(name))) => name == "localhost",
            ("http", Some(url::Host::Ipv4(address))) => address.is_loopback(),
            ("http", Some(url::Host::Ipv6(address))) => address.is_loopback(),
            _ => false,
        };
        // A URL that is an origin and nothing else is written back as it was, without the slash of its path.
        if safe && url.origin().ascii_serialization() == text && !text.contains('*') {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnOrigin)
        }
    }
}

impl Origin {
    /// Whether its pages come over plain `http`, which only loopback's may.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.starts_with("http:")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether pages of other origins may send cookies and certificates along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// They may.
    Allowed,
    /// They may not; tokens that a page puts into `Authorization` itself are no credentials in this sense.
    Refused,
}

/// What a route tells browsers, as configuration says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsSpec {
    /// The origins, each exactly.
    pub origins: BTreeSet<Origin>,
    /// Fields that their pages may send.
    pub headers: BTreeSet<String>,
    /// Fields of answers that their pages may read.
    pub expose: BTreeSet<String>,
    /// Whether cookies may come along.
    pub credentials: Credentials,
    /// How long browsers may keep the answer to a preflight.
    pub max_age: Duration,
}

/// Why rules for other origins can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorsError {
    /// A name that is no field's, or `*`.
    #[error("`{0}` is not the name of a field: expected one such as `authorization`")]
    Field(String),
    /// No time, or more than [`MAX_AGE_MAX`].
    #[error("browsers keep the answer to a preflight between one second and one day")]
    MaxAge,
    /// No origin.
    #[error("at least one origin is needed")]
    NoOrigin,
    /// The route has an action for `OPTIONS`, which no page could ever call.
    #[error("preflights are answered by the gateway, so there is no action for `OPTIONS`")]
    Options,
}

/// Checked rules of a route.
#[derive(Debug)]
pub struct Cors {
    origins: BTreeSet<String>,
    /// In lower case.
    headers: BTreeSet<String>,
    allow_headers: Option<HeaderValue>,
    allow_methods: HeaderValue,
    expose_headers: Option<HeaderValue>,
    credentials: Credentials,
    max_age: HeaderValue,
}

impl Cors {
    /// Checks the rules of a route that has these methods.
    ///
    /// # Errors
    /// See [`CorsError`].
    pub fn new<'a>(
        spec: CorsSpec,
        methods: impl Iterator<Item = &'a Method>,
    ) -> Result<Self, CorsError> {
        let methods: Vec<&str> = methods.map(Method::as_str).collect();
        if methods.contains(&"OPTIONS") {
            return Err(CorsError::Options);
        }
        if spec.origins.is_empty() {
            return Err(CorsError::NoOrigin);
        }
        if spec.max_age < Duration::from_secs(1) || spec.max_age > MAX_AGE_MAX {
            return Err(CorsError::MaxAge);
        }
        let headers = fields(&spec.headers)?;
        let exposed = fields(&spec.expose)?;
        let list = |names: &BTreeSet<String>| -> Option<HeaderValue> {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            // Names of fields are made of characters that a value may have.
            (!names.is_empty()).then(|| HeaderValue::from_str(&names.join(", ")).ok())?
        };
        Ok(Self {
            origins: spec.origins.into_iter().map(|origin| origin.0).collect(),
            allow_headers: list(&headers),
            expose_headers: list(&exposed),
            headers,
            allow_methods: HeaderValue::from_str(&methods.join(", "))
                .map_err(|_| CorsError::Options)?,
            credentials: spec.credentials,
            max_age: HeaderValue::from(spec.max_age.as_secs()),
        })
    }

    /// The request's origin, if its pages may call the route.
    fn known<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let known = origin
            .to_str()
            .is_ok_and(|text| self.origins.contains(text));
        known.then_some(origin)
    }

    /// What the answer to a request with these fields must say.
    pub(crate) fn answer(&self, request: &HeaderMap) -> CorsAnswer {
        let told = self.known(request).map(|origin| Told {
            origin: origin.clone(),
            credentials: self.credentials,
            expose: self.expose_headers.clone(),
        });
        CorsAnswer::Ruled(told)
    }

    /// The answer to a preflight that asks for one of the route's methods.
    ///
    /// # Errors
    /// When another origin asks, or for a field that pages may not send.
    pub(crate) fn preflight(&self, request: &HeaderMap) -> Result<HeaderMap, PreflightError> {
        let origin = self.known(request).ok_or(PreflightError::Origin)?;
        for value in request.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            let names = value.to_str().map_err(|_| PreflightError::Field)?;
            if !names.split(',').all(|name| self.may_send(name.trim())) {
                return Err(PreflightError::Field);
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            self.allow_methods.clone(),
        );
        if let Some(names) = &self.allow_headers {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        if self.credentials == Credentials::Allowed {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        headers.insert(header::VARY, VARY_PREFLIGHT);
        Ok(headers)
    }

    fn may_send(&self, name: &str) -> bool {
        name.is_empty()
            || SAFE_FIELDS
                .iter()
                .any(|safe| safe.eq_ignore_ascii_case(name))
            || self.headers.contains(&name.to_ascii_lowercase())
    }
}

/// The names in lower case.
fn fields(names: &BTreeSet<String>) -> Result<BTreeSet<String>, CorsError> {
    let checked = names.iter().map(|name| {
        let wrong = || CorsError::Field(name.clone());
        if name == "*" {
            return Err(wrong());
        }
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => Ok(name.as_str().to_owned()),
            Err(_) => Err(wrong()),
        }
    });
    checked.collect()
}

/// Why a preflight was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PreflightError {
    /// It asks for a field that pages may not send.
    #[error("a page asks to send a field that it may not")]
    Field,
    /// Its origin is not one of the route's.
    #[error("a page of another origin asks")]
    Origin,
}

/// The method that a preflight asks for: `OPTIONS` with an origin and that question.
pub(crate) fn asked_method(method: &Method, headers: &HeaderMap) -> Option<Method> {
    if *method != Method::OPTIONS || !headers.contains_key(header::ORIGIN) {
        return None;
    }
    let mut asked = headers
        .get_all(header::ACCESS_CONTROL_REQUEST_METHOD)
        .iter();
    match (asked.next(), asked.next()) {
        (Some(one), None) => Method::from_bytes(one.as_bytes()).ok(),
        (None | Some(_), _) => None,
    }
}

/// What an answer says of other origins.
#[derive(Debug, Default)]
pub(crate) enum CorsAnswer {
    /// A preflight that was granted: all that is said.
    Granted(HeaderMap),
    /// There are rules: the origin that is told, or none.
    Ruled(Option<Told>),
    /// No route, or one without rules.
    #[default]
    Silent,
}

/// An origin whose pages may read the answer.
#[derive(Debug)]
pub(crate) struct Told {
    origin: HeaderValue,
    credentials: Credentials,
    expose: Option<HeaderValue>,
}

impl CorsAnswer {
    /// Writes it, in place of whatever an upstream said.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        for name in ANSWER_FIELDS {
            headers.remove(name);
        }
        let told = match self {
            Self::Granted(said) => {
                headers.extend(said);
                return;
            }
            Self::Ruled(told) => told,
            Self::Silent => return,
        };
        headers.append(header::VARY, VARY_ORIGIN);
        let Some(told) = told else {
            return;
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, told.origin);
        if told.credentials == Credentials::Allowed {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        if let Some(names) = told.expose {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, names);
        }
    }
}

#[cfg(test)]
mod tests;
