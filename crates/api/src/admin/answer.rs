//! Answers of the admin API: JSON, and one exhaustive match from error to status.

use axum::response::{IntoResponse, Response};
use countersign_audit::event::Verdict;
use countersign_base::{RequestId, UnixTime};
use countersign_control::administrator::NotAdministrator;
use countersign_store::StoreError;
use countersign_store::tables::PAGE_MAX;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// Why an administrative request was not carried out, as its caller may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminError {
    /// What is declared in the configuration can't be changed by script.
    Declared,
    /// There is one of this name already.
    Exists,
    /// The request does not have its form; what was expected.
    Invalid(String),
    /// The body is of another media type.
    MediaType,
    /// The endpoint has no such method.
    Method,
    /// It is too early: the time from which on it is possible.
    NotYet(UnixTime),
    /// Policy denies it.
    Denied,
    /// The caller is not the administrator.
    Unauthenticated(NotAdministrator),
    /// No such thing.
    Unknown(&'static str),
    /// The audit log or the database can't take it now.
    Unavailable,
}

/// What could not be read is not told apart: the caller can do nothing but ask again.
impl From<StoreError> for AdminError {
    fn from(_: StoreError) -> Self {
        Self::Unavailable
    }
}

impl AdminError {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Declared | Self::Exists | Self::NotYet(_) => StatusCode::CONFLICT,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::Declared => "declared_in_configuration",
            Self::Exists => "exists",
            Self::Invalid(_) => "invalid_request",
            Self::MediaType => "media_type",
            Self::Method => "method",
            Self::NotYet(_) => "not_yet",
            Self::Denied => "denied",
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Unknown(_) => "unknown",
            Self::Unavailable => "unavailable",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Declared => {
                "it is declared in the configuration directory; change it there and reload"
                    .to_owned()
            }
            Self::Exists => "there is one of this name already".to_owned(),
            Self::Invalid(expected) => expected.clone(),
            Self::MediaType => "expected a body of `application/json`".to_owned(),
            Self::Method => "the endpoint has another method: see `Allow`".to_owned(),
            Self::NotYet(at) => format!(
                "verifiers may not know the next key yet; possible from {at} (Unix time) on"
            ),
            Self::Denied => "policy denies this".to_owned(),
            Self::Unauthenticated(_) => {
                "use the credential in admin.json of the data directory; it changes at each start"
                    .to_owned()
            }
            Self::Unknown(kind) => format!("no such {kind}"),
            Self::Unavailable => {
                "it can't be recorded or stored at the moment; try again".to_owned()
            }
        }
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    message: String,
    request_id: RequestId,
}

/// What a trace says of an answer; it goes with the answer as an extension, and no further.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) decision: Option<Verdict>,
    pub(super) error: Option<&'static str>,
}

impl Told {
    fn of<T>(result: &Result<T, AdminError>) -> Self {
        let decision = match result {
            Ok(_) => Some(Verdict::Allowed),
            Err(AdminError::Denied | AdminError::Unauthenticated(_)) => Some(Verdict::Denied),
            // Some of these are found before, some after the decision.
            Err(
                AdminError::Declared
                | AdminError::Exists
                | AdminError::Invalid(_)
                | AdminError::MediaType
                | AdminError::Method
                | AdminError::NotYet(_)
                | AdminError::Unknown(_)
                | AdminError::Unavailable,
            ) => None,
        };
        let error = result.as_ref().err().map(AdminError::code);
        Self { decision, error }
    }
}

/// Whether a list was asked for more than it shows.
pub(super) fn is_cut<T>(page: &[T]) -> bool {
    page.len() >= usize::from(PAGE_MAX)
}

/// What a handler gives back, with the request it answers.
pub(crate) struct Answer<T> {
    pub(crate) request: RequestId,
    pub(crate) result: Result<T, AdminError>,
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let (status, body) = match &self.result {
            Ok(value) => (StatusCode::OK, serde_json::to_vec(value)),
            Err(error) => {
                let body = ErrorBody {
                    error: error.code(),
                    message: error.message(),
                    request_id: self.request,
                };
                (error.status(), serde_json::to_vec(&body))
            }
        };
        let mut response = Response::new(axum::body::Body::from(body.unwrap_or_default()));
        *response.status_mut() = status;
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(Told::of(&self.result));
        if let Err(AdminError::Unauthenticated(refusal)) = &self.result {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, refusal.challenge());
        }
        response
    }
}
