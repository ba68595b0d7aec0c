//! Answers of the decision point: one exhaustive match from a failure to its status. A decision is never a status: it is in the body of a 200.

use super::Access;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use countersign_authn::{Binding, Challenge, Refusal};
use countersign_base::{Duration, RequestId};
use countersign_policy::authzen::RequestError;
use countersign_store::{RecordError, StoreError};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes of a request id that is sent back.
const REQUEST_ID_BYTES_MAX: usize = 256;

/// Why a call is not answered.
#[derive(Debug)]
pub(super) enum Failure {
    /// The body is larger than any.
    BodyTooLarge,
    /// The caller's token, its proof or its scopes.
    Caller(Box<Refusal>),
    /// The body is not said to be JSON.
    ContentType,
    /// Policy denies that this caller asks.
    Denied,
    /// What is sought is of a type whose members nobody has a list of.
    NotListed,
    /// Another method; which one is taken.
    Method(&'static str),
    /// There is no such page.
    PageUnknown,
    /// The form of the request.
    Request(RequestError),
    /// The client asks too much. After how long it may ask this.
    RateLimited(Duration),
    /// Its network showed too many tokens that nobody knows. After how long it may try again.
    TooManyRequests(Duration),
    /// The store or the log can't serve now.
    Unavailable,
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Caller(refusal) => refusal.status(),
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotListed | Self::PageUnknown | Self::Request(_) => StatusCode::BAD_REQUEST,
            Self::RateLimited(_) | Self::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::BodyTooLarge => "body_too_large",
            Self::Caller(refusal) => refusal.error().unwrap_or("unauthenticated"),
            Self::ContentType => "content_type",
            Self::Denied => "denied",
            Self::Method(_) => "method",
            Self::NotListed => "not_listed",
            Self::PageUnknown => "page_unknown",
            Self::Request(_) => "invalid_request",
            Self::RateLimited(_) => "rate_limited",
            Self::TooManyRequests(_) => "too_many_requests",
            Self::Unavailable => "unavailable",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::BodyTooLarge => "a body has at most 256 KiB".to_owned(),
            Self::Caller(_) => "an access token for `urn:countersign:access` is needed".to_owned(),
            Self::ContentType => "expected `application/json`".to_owned(),
            Self::Denied => "this client may not ask this".to_owned(),
            Self::Method(taken) => format!("expected {taken}"),
            Self::NotListed => {
                "there is no list of what is sought: the directory knows people, clients and accounts"
                    .to_owned()
            }
            Self::PageUnknown => "`page.token` names no page".to_owned(),
            Self::Request(error) => error.to_string(),
            Self::RateLimited(_) => "too many questions of this client".to_owned(),
            Self::TooManyRequests(_) => "too many tokens that are not known".to_owned(),
            Self::Unavailable => "try again in a moment".to_owned(),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Caller(Box::new(refusal))
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<RecordError> for Failure {
    fn from(_: RecordError) -> Self {
        Self::Unavailable
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::warn!(event = "store_failed", %error);
        Self::Unavailable
    }
}

/// What every answer to one request says, whatever the answer: its id here, and the caller's own id for it.
pub(super) struct Reply {
    id: RequestId,
    echoed: Option<HeaderValue>,
}

impl Reply {
    pub(super) fn to(access: &Access, request: &Request) -> Self {
        let mut values = request.headers().get_all(REQUEST_ID).iter();
        let one = values.next().filter(|_| values.next().is_none());
        Self {
            id: access.fabric.random().request_id(),
            echoed: one
                .filter(|value| value.len() <= REQUEST_ID_BYTES_MAX)
                .cloned(),
        }
    }

    pub(super) const fn id(&self) -> RequestId {
        self.id
    }

    pub(super) fn with(self, result: Result<Value, Failure>) -> Response {
        let body = match &result {
            Ok(value) => value.to_string(),
            Err(failure) => json!({
                "error": failure.code(),
                "message": failure.message(),
                "request_id": self.id,
            })
            .to_string(),
        };
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(echoed) = self.echoed {
            headers.insert(REQUEST_ID, echoed);
        }
        if let Err(failure) = &result {
            match failure {
                Failure::Caller(refusal) => refusal.write_headers(
                    Challenge {
                        binding: Binding::Any,
                    },
                    headers,
                ),
                Failure::Method(taken) => {
                    _ = headers.insert(header::ALLOW, HeaderValue::from_static(taken));
                }
                Failure::RateLimited(after) | Failure::TooManyRequests(after) => {
                    _ = headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
                }
                Failure::BodyTooLarge
                | Failure::ContentType
                | Failure::Denied
                | Failure::NotListed
                | Failure::PageUnknown
                | Failure::Request(_)
                | Failure::Unavailable => {}
            }
            *response.status_mut() = failure.status();
        }
        response
    }
}
