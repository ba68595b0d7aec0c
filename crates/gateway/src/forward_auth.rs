//! Requests that somebody else's proxy has before it: Caddy's and Traefik's `forward_auth`, nginx's `auth_request`.
//!
//! The proxy asks [`PATH`] and describes the request it holds in `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`, with the caller's own header fields
//! beside them. Those five are believed from a [`TrustedProxy`] alone, which shows its secret or its certificate; whoever else sends them here is refused. Each
//! stands there once, or nobody knows which one the proxy means (G21). A caller that sends identity fields of ours, or fields that name another method or target, is
//! refused: what the proxy does with them is not ours to know. What is described then takes the way of every request: one canonical target, route,
//! credential, limit, policy, record. Only the upstream is missing: the answer is 200 with the identity fields, all of them.
//!
//! Not here: the request's body (a route that has to see it refuses the question), and certificates of callers, which end at the proxy: a token that is bound to one is refused. Tokens for upstreams are not
//! exchanged.

use crate::ext_authz;
use crate::forward::set_identity;
use crate::headers;
use crate::request::GatewayRequest;
use countersign_base::{Conditional, NoTls, Secret};
use countersign_crypto::digest::sha256;
use countersign_crypto::x509::CertificateThumbprint;
use countersign_net::{Connection, FramingWatch};
use countersign_policy::Permitted;
use countersign_store::Recorded;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri, request};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Where proxies ask.
pub const PATH: &str = "/.countersign/forward-auth";
/// What a proxy shows its secret in.
pub const PROXY_SECRET: HeaderName = HeaderName::from_static("countersign-proxy-secret");
/// Bytes of a proxy's secret, at least.
pub const SECRET_BYTES_MIN: usize = 32;

const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The identity fields of an answer: each is always there.
const IDENTITY: [HeaderName; 6] = [
    headers::SUBJECT,
    headers::CLIENT,
    headers::TENANT,
    headers::SCOPES,
    headers::REQUEST_ID,
    headers::DECISION,
];

/// How a proxy takes refusals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Answers {
    /// With their own status, which its caller then sees (Caddy, Traefik).
    #[default]
    Exact,
    /// As 401 or 403 alone; anything else is an error to it (nginx).
    Subrequest,
}

impl Answers {
    /// The status that the proxy is told.
    #[must_use]
    pub fn status(self, status: StatusCode) -> StatusCode {
        match self {
            Self::Subrequest if status.is_client_error() && status != StatusCode::UNAUTHORIZED => {
                StatusCode::FORBIDDEN
            }
            Self::Exact | Self::Subrequest => status,
        }
    }
}

/// How a proxy proves that it is the one.
#[derive(Clone)]
pub struct TrustedProxy {
    secret: Option<[u8; 32]>,
    certificate: Option<CertificateThumbprint>,
    answers: Answers,
}

impl TrustedProxy {
    /// A proxy with a secret, a certificate, or both, which then both have to be shown; nothing if it has neither, or its secret is too short.
    #[must_use]
    pub fn new(
        secret: Option<&Secret<String>>,
        certificate: Option<CertificateThumbprint>,
        answers: Answers,
    ) -> Option<Self> {
        let short = secret.is_some_and(|secret| secret.expose().len() < SECRET_BYTES_MIN);
        if short || (secret.is_none() && certificate.is_none()) {
            return None;
        }
        Some(Self {
            secret: secret.map(|secret| sha256(secret.expose().as_bytes())),
            certificate,
            answers,
        })
    }

    fn is_shown(&self, connection: &Connection, headers: &HeaderMap) -> bool {
        let secret = match (&self.secret, one(headers, &PROXY_SECRET)) {
            (None, _) => true,
            // Two digests: how many of their bytes agree says nothing of the secret.
            (Some(expected), Ok(shown)) => *expected == sha256(shown.as_bytes()),
            (Some(_), Err(_)) => false,
        };
        let certificate = match (&self.certificate, &connection.peer) {
            (None, _) => true,
            (Some(expected), Conditional::Present(peer)) => *expected == peer.thumbprint(),
            (Some(_), Conditional::Absent(_)) => false,
        };
        secret && certificate
    }
}

/// Why a description is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// The route looks at the body, which the proxy keeps.
    #[error("the body would have to be seen")]
    Body,
    /// A field is missing, stands there twice or has another form.
    #[error("the proxy does not describe one request")]
    Description,
    /// The caller sends a field that it may not, and that the proxy would pass on.
    #[error("the request has a field that only a gateway may set, or that names another request")]
    Field,
    /// The caller spoke plain HTTP with the proxy.
    #[error("the request did not come over TLS")]
    Plaintext,
    /// It is nobody's proxy.
    #[error("no trusted proxy")]
    Untrusted,
}

/// A request as its proxy describes it, in the place of the one that asks.
pub(crate) struct Described {
    pub(crate) connection: Arc<Connection>,
    pub(crate) head: request::Parts,
}

/// In which language a proxy asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// See [`crate::ext_authz`].
    Grpc,
    /// See the module.
    Http,
}

/// Whom the gateway answers about requests that it does not pass on.
#[derive(Clone, Default)]
pub struct ForwardAuth(Vec<TrustedProxy>);

impl ForwardAuth {
    /// These proxies.
    #[must_use]
    pub const fn new(proxies: Vec<TrustedProxy>) -> Self {
        Self(proxies)
    }

    /// Whether a request is such a question, and in which language. Without a proxy the paths are paths like any other.
    pub(crate) fn asked(&self, uri: &Uri) -> Option<Asked> {
        if self.0.is_empty() {
            return None;
        }
        match uri.path() {
            PATH => Some(Asked::Http),
            ext_authz::PATH => Some(Asked::Grpc),
            _ => None,
        }
    }

    /// Whether one of them asks.
    pub(crate) fn knows(&self, connection: &Connection, headers: &HeaderMap) -> bool {
        self.0
            .iter()
            .any(|proxy| proxy.is_shown(connection, headers))
    }

    /// The request that is asked about, and how its refusal is told; a stranger is told like anybody.
    pub(crate) fn described(
        &self,
        connection: &Connection,
        head: request::Parts,
    ) -> (Answers, Result<Described, ForwardError>) {
        let proxy = self
            .0
            .iter()
            .find(|proxy| proxy.is_shown(connection, &head.headers));
        match proxy {
            None => (Answers::Exact, Err(ForwardError::Untrusted)),
            Some(proxy) => (proxy.answers, describe(connection, head)),
        }
    }
}

fn describe(connection: &Connection, mut head: request::Parts) -> Result<Described, ForwardError> {
    let fields = &head.headers;
    if fields.keys().any(is_refused) {
        return Err(ForwardError::Field);
    }
    if one(fields, &PROTO)? != "https" {
        return Err(ForwardError::Plaintext);
    }
    let method = Method::from_bytes(one(fields, &METHOD)?.as_bytes())
        .map_err(|_| ForwardError::Description)?;
    let target = one(fields, &URI)?;
    // A path, so that the host comes from one place alone.
    let uri: Uri = target.parse().map_err(|_| ForwardError::Description)?;
    if !target.starts_with('/') || target.contains('#') || uri.authority().is_some() {
        return Err(ForwardError::Description);
    }
    let host = HeaderValue::from_str(one(fields, &HOST)?).map_err(|_| ForwardError::Description)?;
    let remote = caller(one(fields, &FOR)?)?;
    let headers = &mut head.headers;
    for name in [METHOD, PROTO, HOST, URI, FOR, PROXY_SECRET] {
        headers.remove(name);
    }
    headers.insert(header::HOST, host);
    head.method = method;
    head.uri = uri;
    let connection = Connection {
        // The certificate of the connection is the proxy's and speaks for no caller.
        peer: Conditional::Absent(NoTls::NoCertificate),
        remote: SocketAddr::new(remote, 0),
        scheme: connection.scheme,
        ja4: None,
        framing: FramingWatch::default(),
    };
    Ok(Described {
        connection: Arc::new(connection),
        head,
    })
}

/// Whether a field of the caller would say to the upstream what the answer does not: who calls, or that another request is meant. The front door removes such
/// fields; here the proxy has them in its hands and may keep them, where it skips empty values of an answer or is not told to copy every field. Other spellings of
/// them are refused with every request.
fn is_refused(name: &HeaderName) -> bool {
    let text = name.as_str();
    let identity = text.starts_with("countersign-") && *name != PROXY_SECRET;
    let other_request = ["x-original-", "x-rewrite-"]
        .iter()
        .any(|prefix| text.starts_with(prefix))
        || matches!(
            text,
            "x-http-method" | "x-http-method-override" | "x-method-override"
        );
    identity || other_request
}

/// The one value of a field.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, ForwardError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none());
    value
        .and_then(|value| value.to_str().ok())
        .filter(|value| !value.is_empty())
        .ok_or(ForwardError::Description)
}

/// The last address is what the proxy itself saw; those before it are what it was told.
fn caller(list: &str) -> Result<IpAddr, ForwardError> {
    let last = list.rsplit(',').next().unwrap_or_default().trim();
    last.parse().map_err(|_| ForwardError::Description)
}

/// What the proxy is told of a request that was permitted and recorded.
pub(crate) fn identity(recorded: &Recorded<Permitted<GatewayRequest>>) -> HeaderMap {
    let request = recorded.decision().target();
    let mut fields = HeaderMap::new();
    headers::set(&mut fields, headers::REQUEST_ID, &request.id().to_string());
    let tenant = &request.matched().route.tenant;
    headers::set(&mut fields, headers::TENANT, tenant.as_str());
    headers::set(
        &mut fields,
        headers::DECISION,
        &recorded.receipt().to_string(),
    );
    set_identity(&mut fields, request.caller());
    for name in IDENTITY {
        fields
            .entry(name)
            .or_insert_with(|| HeaderValue::from_static(""));
    }
    fields
}
