//! Why a request with a key, or without the one it needs, is not passed on; and the answer: a problem (RFC 9457) that links to the page on keys.

use super::body::AnswerBody;
use super::key::KeyError;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body;

/// Why. It travels in the answer's extensions, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRefusal {
    /// The storage of keys cannot be asked.
    Away,
    /// The body broke off.
    BodyBroken,
    /// The body is larger than what is read of one with a key.
    BodyTooLarge,
    /// Nobody is known to own the key: the request has no [`countersign_authn::Subject`].
    CallerUnknown,
    /// The handler ended without an answer.
    Failed,
    /// The first request is under way.
    InProgress,
    /// The field holds no key.
    Malformed,
    /// The key was used for something else.
    Mismatch,
    /// A key is needed.
    Missing,
    /// There is no room for another key.
    NoRoom,
    /// The answer was too large to be kept.
    NotKept,
    /// Whether the first request took effect is not known.
    OutcomeUnknown,
    /// There is more than one key.
    Several,
    /// The key is too short to be drawn once.
    Short,
    /// The body has trailers, which no fingerprint covers.
    Trailers,
}

impl KeyRefusal {
    /// The code in the problem.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Away => "idempotency_away",
            Self::BodyBroken => "body_broken",
            Self::BodyTooLarge => "body_too_large",
            Self::CallerUnknown => "idempotency_caller_unknown",
            Self::Failed => "failed",
            Self::InProgress => "idempotency_in_progress",
            Self::Malformed => "idempotency_key_malformed",
            Self::Mismatch => "idempotency_mismatch",
            Self::Missing => "idempotency_key_missing",
            Self::NoRoom => "idempotency_no_room",
            Self::NotKept => "idempotency_not_kept",
            Self::OutcomeUnknown => "idempotency_outcome_unknown",
            Self::Several => "idempotency_keys_several",
            Self::Short => "idempotency_key_short",
            Self::Trailers => "trailers",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Away | Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            Self::BodyBroken
            | Self::CallerUnknown
            | Self::Malformed
            | Self::Missing
            | Self::Several
            | Self::Short
            | Self::Trailers => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::InProgress | Self::NotKept | Self::OutcomeUnknown => StatusCode::CONFLICT,
            Self::Mismatch => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// What the caller reads.
    const fn title(self) -> &'static str {
        match self {
            Self::Away => "Idempotency keys cannot be looked up at the moment",
            Self::BodyBroken => "The body broke off",
            Self::BodyTooLarge => "The body is too large for a request with an Idempotency-Key",
            Self::CallerUnknown => "A request with an Idempotency-Key shows who sends it",
            Self::Failed => "The request ended without an answer",
            Self::InProgress => "A request with this Idempotency-Key is under way",
            Self::Malformed => "The Idempotency-Key is malformed",
            Self::Mismatch => "This Idempotency-Key was used for another request",
            Self::Missing => "An Idempotency-Key is needed",
            Self::NoRoom => "There is no room for another Idempotency-Key",
            Self::NotKept => "The request was carried out, and its answer is not kept",
            Self::OutcomeUnknown => {
                "Whether the first request with this Idempotency-Key took effect is not known"
            }
            Self::Several => "There is more than one Idempotency-Key",
            Self::Short => "The Idempotency-Key is too short",
            Self::Trailers => "A request with an Idempotency-Key has no trailers",
        }
    }

    /// Seconds after which time may have healed it.
    const fn retry_after_seconds(self) -> Option<u64> {
        match self {
            Self::Away | Self::InProgress | Self::NoRoom => Some(1),
            Self::BodyBroken
            | Self::BodyTooLarge
            | Self::CallerUnknown
            | Self::Failed
            | Self::Malformed
            | Self::Mismatch
            | Self::Missing
            | Self::NotKept
            | Self::OutcomeUnknown
            | Self::Several
            | Self::Short
            | Self::Trailers => None,
        }
    }

    /// The answer. `page` was checked to be the address of a page.
    pub(super) fn into_response<R: Body>(
        self,
        page: &str,
        kept_seconds: u64,
    ) -> Response<AnswerBody<R>> {
        let problem = serde_json::json!({
            "code": self.as_str(),
            "kept_seconds": kept_seconds,
            "status": self.status().as_u16(),
            "title": self.title(),
            "type": format!("{page}#{}", self.as_str()),
        });
        let mut response = Response::new(AnswerBody::whole(Bytes::from(problem.to_string())));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(link) = HeaderValue::from_str(&format!("<{page}>; rel=\"describedby\"")) {
            headers.insert(header::LINK, link);
        }
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<KeyError> for KeyRefusal {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Malformed => Self::Malformed,
            KeyError::Several => Self::Several,
        }
    }
}
