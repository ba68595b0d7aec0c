//! From an outcome to the wire: one exhaustive match from each error to its RFC's status, code and headers.
//!
//! The caller's text says what they can correct; the log's reason never leaves. Every answer carries the request's number.

use super::Identity;
use crate::pages;
use axum::body::Body;
use axum::response::Response;
use countersign_authn::client::ClientRefusal;
use countersign_authn::dpop::{DPOP_NONCE_HEADER, DpopRefusal};
use countersign_authn::{Challenge, NoncePolicy, Refusal};
use countersign_base::{Duration, RequestId};
use countersign_oauth::authorize::PageError;
use countersign_oauth::registration::RegistrationRefusal;
use countersign_oauth::{ErrorCode, OAuthError, TenantRecord};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;

/// Why a call has no good answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The body broke off, came too slowly, or is larger than a form may be.
    BodyUnreadable,
    /// Client authentication.
    Client(ClientRefusal),
    /// A proof of possession at the authorization server.
    Dpop(DpopRefusal),
    /// A method that the endpoint does not answer.
    MethodNotAllowed(&'static [Method]),
    /// No such endpoint or tenant.
    NotFound,
    /// The protocol's refusal.
    OAuth(OAuthError),
    /// A page for the person in front of the browser.
    Page(PageError),
    /// A refusal of a resource that takes access tokens.
    Resource(Box<Refusal>),
    /// A registration was refused.
    Registration(RegistrationRefusal),
    /// Too many attempts, and when to try again.
    Throttled(Duration),
    /// Too many requests of one source, and when to try again.
    TooManyRequests(Duration),
    /// The store, the log or a pool cannot serve now.
    Unavailable,
}

impl Failure {
    /// The reason as the log names it.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::BodyUnreadable => "body_unreadable",
            Self::Client(refusal) => refusal.reason().as_str(),
            Self::Dpop(refusal) => refusal.reason().as_str(),
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::NotFound => "no_such_endpoint",
            Self::OAuth(error) => error.reason(),
            Self::Page(PageError::AccountDenied) => "account_denied",
            Self::Page(PageError::ClientUnknown) => "client_unknown",
            Self::Page(PageError::ForeignForm) => "foreign_form",
            Self::Page(PageError::InteractionOver) => "interaction_over",
            Self::Page(PageError::Malformed) => "malformed",
            Self::Page(PageError::PartnerDenied) => "partner_denied",
            Self::Page(PageError::PrimaryFactorNeeded) => "primary_factor_needed",
            Self::Page(PageError::RedirectUri) => "redirect_uri",
            Self::Page(PageError::RequestObject(error) | PageError::RequestUri(error)) => {
                error.reason()
            }
            Self::Page(PageError::SecondFactorMissing) => "second_factor_missing",
            Self::Page(PageError::SignInDenied) => "sign_in_denied",
            Self::Page(PageError::Unavailable) | Self::Unavailable => "unavailable",
            Self::Page(PageError::UpstreamFailed) => "upstream_failed",
            Self::Page(PageError::UpstreamNameTaken) => "upstream_name_taken",
            Self::Page(PageError::UpstreamNobody) => "upstream_nobody",
            Self::Page(PageError::UpstreamUnavailable) => "upstream_unavailable",
            Self::Resource(refusal) => refusal.reason().as_str(),
            Self::Registration(refusal) => refusal.reason(),
            Self::Throttled(_) => "too_many_attempts",
            Self::TooManyRequests(_) => "too_many_requests",
        }
    }
}

impl From<OAuthError> for Failure {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<RegistrationRefusal> for Failure {
    fn from(refusal: RegistrationRefusal) -> Self {
        Self::Registration(refusal)
    }
}

impl From<PageError> for Failure {
    fn from(error: PageError) -> Self {
        Self::Page(error)
    }
}

impl From<ClientRefusal> for Failure {
    fn from(refusal: ClientRefusal) -> Self {
        Self::Client(refusal)
    }
}

impl From<DpopRefusal> for Failure {
    fn from(refusal: DpopRefusal) -> Self {
        Self::Dpop(refusal)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Resource(Box::new(refusal))
    }
}

impl From<countersign_store::StoreError> for Failure {
    fn from(error: countersign_store::StoreError) -> Self {
        tracing::warn!(event = "store_failed", %error);
        Self::Unavailable
    }
}

impl From<countersign_store::RecordError> for Failure {
    fn from(_: countersign_store::RecordError) -> Self {
        Self::Unavailable
    }
}

/// What a client reads of an error (RFC 6749 §5.2).
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    error_description: &'a str,
    request_id: RequestId,
}

/// Adds what every answer carries, or renders why there is none.
pub(super) fn finish(
    identity: &Identity,
    tenant: Option<&TenantRecord>,
    id: RequestId,
    outcome: Result<Response, Failure>,
) -> Response {
    let mut response = outcome.unwrap_or_else(|failure| render(tenant, id, failure));
    let now = identity.fabric.now();
    let headers = response.headers_mut();
    default(headers, header::CACHE_CONTROL, "no-store");
    default(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(headers, header::REFERRER_POLICY, "no-referrer");
    default(
        headers,
        header::STRICT_TRANSPORT_SECURITY,
        "max-age=31536000",
    );
    default(
        headers,
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    );
    default(headers, header::X_FRAME_OPTIONS, "DENY");
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
    if let NoncePolicy::Required(nonces) = identity.fabric.nonces().policy(now)
        && !headers.contains_key(DPOP_NONCE_HEADER)
        && let Ok(nonce) = HeaderValue::from_str(nonces.current(now).as_str())
    {
        headers.insert(DPOP_NONCE_HEADER, nonce);
    }
    response
}

fn default(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers
        .entry(name)
        .or_insert(HeaderValue::from_static(value));
}

fn render(tenant: Option<&TenantRecord>, id: RequestId, failure: Failure) -> Response {
    match failure {
        Failure::BodyUnreadable => error(
            id,
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "the body could not be read",
        ),
        Failure::Client(refusal) => client(id, refusal),
        Failure::Dpop(refusal) => dpop(id, &refusal),
        Failure::MethodNotAllowed(methods) => method_not_allowed(id, methods),
        Failure::NotFound => pages::error(
            tenant,
            id,
            StatusCode::NOT_FOUND,
            "Not found",
            "There is nothing at this address.",
        ),
        Failure::OAuth(refused) => error(
            id,
            status(refused),
            refused.code().as_str(),
            refused.description(),
        ),
        Failure::Page(refused) => pages::error(
            tenant,
            id,
            page_status(refused),
            "This did not work",
            refused.advice(),
        ),
        Failure::Resource(refusal) => resource(id, &refusal),
        Failure::Registration(refusal) => registration(id, refusal),
        Failure::Throttled(after) => throttled(tenant, id, after),
        Failure::TooManyRequests(after) => {
            let mut response = error(
                id,
                StatusCode::TOO_MANY_REQUESTS,
                "temporarily_unavailable",
                "too many requests: try again later",
            );
            retry_after(&mut response, after);
            response
        }
        Failure::Unavailable => error(
            id,
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            "try again later",
        ),
    }
}

fn client(id: RequestId, refusal: ClientRefusal) -> Response {
    let mut response = error(
        id,
        refusal.status(),
        refusal.error(),
        "client authentication failed",
    );
    if let Some(challenge) = refusal.challenge() {
        response.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(challenge),
        );
    }
    response
}

fn dpop(id: RequestId, refusal: &DpopRefusal) -> Response {
    let mut response = error(
        id,
        StatusCode::BAD_REQUEST,
        refusal.error(),
        "the DPoP proof is not valid",
    );
    if let Some(nonce) = refusal
        .nonce()
        .and_then(|nonce| HeaderValue::from_str(nonce.as_str()).ok())
    {
        response.headers_mut().insert(DPOP_NONCE_HEADER, nonce);
    }
    response
}

fn method_not_allowed(id: RequestId, methods: &[Method]) -> Response {
    let mut response = error(
        id,
        StatusCode::METHOD_NOT_ALLOWED,
        "invalid_request",
        "this endpoint does not answer this method",
    );
    let allowed: Vec<&str> = methods.iter().map(Method::as_str).collect();
    if let Ok(value) = HeaderValue::from_str(&allowed.join(", ")) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

/// The status of each code (RFC 6749 §5.2, RFC 9126 §2.3).
const fn status(refused: OAuthError) -> StatusCode {
    match refused.code() {
        ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
        ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::AccessDenied
        | ErrorCode::AuthorizationPending
        | ErrorCode::ConsentRequired
        | ErrorCode::ExpiredToken
        | ErrorCode::InvalidBindingMessage
        | ErrorCode::InvalidAuthorizationDetails
        | ErrorCode::InvalidDpopProof
        | ErrorCode::InvalidGrant
        | ErrorCode::InvalidRequest
        | ErrorCode::InvalidRequestObject
        | ErrorCode::InvalidRequestUri
        | ErrorCode::InvalidScope
        | ErrorCode::InvalidTarget
        | ErrorCode::LoginRequired
        | ErrorCode::RequestNotSupported
        | ErrorCode::SlowDown
        | ErrorCode::UnauthorizedClient
        | ErrorCode::UnknownUserId
        | ErrorCode::UnmetAuthenticationRequirements
        | ErrorCode::UnsupportedGrantType
        | ErrorCode::UnsupportedResponseType => StatusCode::BAD_REQUEST,
    }
}

const fn page_status(refused: PageError) -> StatusCode {
    match refused {
        PageError::Unavailable | PageError::UpstreamUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        PageError::AccountDenied
        | PageError::ForeignForm
        | PageError::PartnerDenied
        | PageError::PrimaryFactorNeeded
        | PageError::SecondFactorMissing
        | PageError::SignInDenied
        | PageError::UpstreamFailed
        | PageError::UpstreamNameTaken
        | PageError::UpstreamNobody => StatusCode::FORBIDDEN,
        PageError::ClientUnknown
        | PageError::InteractionOver
        | PageError::Malformed
        | PageError::RedirectUri
        | PageError::RequestObject(_)
        | PageError::RequestUri(_) => StatusCode::BAD_REQUEST,
    }
}

/// RFC 6750 §3: the challenge says what is wrong, the body repeats it for people.
fn resource(id: RequestId, refusal: &Refusal) -> Response {
    let code = refusal.error().unwrap_or("invalid_token");
    let mut response = error(
        id,
        refusal.status(),
        code,
        "the access token is not valid here",
    );
    refusal.write_headers(
        Challenge {
            binding: countersign_authn::Binding::Any,
        },
        response.headers_mut(),
    );
    response
}

fn throttled(tenant: Option<&TenantRecord>, id: RequestId, after: Duration) -> Response {
    let mut response = pages::error(
        tenant,
        id,
        StatusCode::TOO_MANY_REQUESTS,
        "Too many attempts",
        "There were too many attempts to sign in. Wait a little, then try again.",
    );
    retry_after(&mut response, after);
    response
}

fn retry_after(response: &mut Response, after: Duration) {
    response.headers_mut().insert(
        header::RETRY_AFTER,
        HeaderValue::from(after.as_secs().max(1)),
    );
}

/// RFC 7591 §3.2.2; a credential that is refused is challenged (RFC 6750 §3).
fn registration(id: RequestId, refusal: RegistrationRefusal) -> Response {
    let status = match refusal {
        RegistrationRefusal::Credential => StatusCode::UNAUTHORIZED,
        RegistrationRefusal::Full => StatusCode::FORBIDDEN,
        RegistrationRefusal::Document(_)
        | RegistrationRefusal::Host
        | RegistrationRefusal::Metadata(_)
        | RegistrationRefusal::Policy
        | RegistrationRefusal::RedirectUri(_)
        | RegistrationRefusal::Statement
        | RegistrationRefusal::StatementUnapproved => StatusCode::BAD_REQUEST,
    };
    let mut response = error(id, status, refusal.code(), refusal.description());
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer error=\"invalid_token\""),
        );
    }
    response
}

fn error(id: RequestId, status: StatusCode, code: &str, description: &str) -> Response {
    json(
        status,
        &ErrorBody {
            error: code,
            error_description: description,
            request_id: id,
        },
    )
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => with_type(status, "application/json", body),
        Err(_) => with_type(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Vec::new()),
    }
}

/// An answer of some media type.
pub(crate) fn with_type(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A redirect after which the browser asks with GET and without the form (R11).
pub(super) fn see_other(location: &str) -> Result<Response, Failure> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let value = HeaderValue::from_str(location).map_err(|_| Failure::Page(PageError::Malformed))?;
    response.headers_mut().insert(header::LOCATION, value);
    Ok(response)
}

#[cfg(test)]
mod tests;
