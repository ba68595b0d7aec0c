//! Answers to publications: one exhaustive match from a failure to its status.

use axum::body::Body;
use axum::response::Response;
use countersign_authn::{Binding, Challenge, Refusal};
use countersign_base::{Duration, RequestId};
use countersign_control::webhooks::NotFitting;
use countersign_store::{RecordError, StoreError};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// Why nothing was published.
#[derive(Debug)]
pub(super) enum Failure {
    /// The body is larger than any.
    BodyTooLarge,
    /// The caller's token, its proof or its scopes.
    Caller(Box<Refusal>),
    /// The body is not said to be JSON.
    ContentType,
    /// Policy denies it.
    Denied,
    /// The form of the request; what was expected.
    Invalid(&'static str),
    /// The key was used for something else.
    KeyReused,
    /// Another method.
    Method,
    /// It does not fit its event type.
    NotFitting(NotFitting),
    /// The client publishes too much. After how long it may publish again.
    RateLimited(Duration),
    /// More endpoints want it, or more waits, than may.
    TooMuch,
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
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::KeyReused | Self::NotFitting(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooMuch | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::RateLimited(_) | Self::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::BodyTooLarge => "body_too_large",
            Self::Caller(refusal) => refusal.error().unwrap_or("unauthenticated"),
            Self::ContentType => "content_type",
            Self::Denied => "denied",
            Self::Invalid(_) => "invalid_request",
            Self::KeyReused => "idempotency_key_reused",
            Self::Method => "method",
            Self::NotFitting(_) => "payload",
            Self::RateLimited(_) => "rate_limited",
            Self::TooMuch => "too_much_waits",
            Self::TooManyRequests(_) => "too_many_requests",
            Self::Unavailable => "unavailable",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::BodyTooLarge => "a payload has at most 256 KiB".to_owned(),
            Self::Caller(_) => {
                "an access token for `urn:countersign:webhooks` with the scope `webhooks.publish` is needed"
                    .to_owned()
            }
            Self::ContentType => "expected `application/json`".to_owned(),
            Self::Denied => "this client may not publish this".to_owned(),
            Self::Invalid(expected) => (*expected).to_owned(),
            Self::KeyReused => "the idempotency key was used for another publication".to_owned(),
            Self::Method => "expected POST".to_owned(),
            Self::NotFitting(why) => why.to_string(),
            Self::RateLimited(_) => "this client publishes too much at once".to_owned(),
            Self::TooMuch => {
                "more endpoints want it than one message goes to, or too much waits already"
                    .to_owned()
            }
            Self::TooManyRequests(_) => "too many tokens that are not known".to_owned(),
            Self::Unavailable => "try again in a moment".to_owned(),
        }
    }
}

impl From<RecordError> for Failure {
    fn from(_: RecordError) -> Self {
        Self::Unavailable
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(_) => Self::TooMuch,
            error => {
                tracing::warn!(event = "store_failed", %error);
                Self::Unavailable
            }
        }
    }
}

/// What every answer to one request says, whatever the answer: its id.
pub(super) struct Reply(RequestId);

impl Reply {
    pub(super) const fn new(id: RequestId) -> Self {
        Self(id)
    }

    pub(super) const fn id(&self) -> RequestId {
        self.0
    }

    pub(super) fn with(self, result: Result<Value, Failure>) -> Response {
        let body = match &result {
            Ok(value) => value.to_string(),
            Err(failure) => json!({
                "error": failure.code(),
                "message": failure.message(),
                "request_id": self.0,
            })
            .to_string(),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = match &result {
            Ok(_) => StatusCode::ACCEPTED,
            Err(failure) => failure.status(),
        };
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match &result {
            Err(Failure::Caller(refusal)) => refusal.write_headers(
                Challenge {
                    binding: Binding::Any,
                },
                headers,
            ),
            Err(Failure::Method) => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            Err(Failure::RateLimited(after) | Failure::TooManyRequests(after)) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
            }
            Err(
                Failure::BodyTooLarge
                | Failure::ContentType
                | Failure::Denied
                | Failure::Invalid(_)
                | Failure::KeyReused
                | Failure::NotFitting(_)
                | Failure::TooMuch
                | Failure::Unavailable,
            )
            | Ok(_) => {}
        }
        response
    }
}
