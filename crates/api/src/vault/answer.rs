//! Answers as clients of Vault read them: `Content-Type` is exactly `application/json`, errors are a list of texts.

use axum::body::Body;
use axum::response::Response;
use countersign_base::RequestId;
use countersign_vault::answer::{Form, Raw, envelope};
use countersign_vault::{Answer, VaultError};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Refused {
    /// Something failed here; the log says what.
    Failed,
    /// It cannot be answered now.
    Unavailable,
    /// The vault refuses it, or nobody knows who asks.
    Vault(VaultError),
}

impl From<VaultError> for Refused {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

/// An answer.
pub(super) fn said(answer: Answer, id: RequestId) -> Response {
    match answer.form {
        Form::Bare(status) => {
            let body = answer.data.unwrap_or(Value::Null);
            bare(status_of(status), &body)
        }
        Form::Envelope if answer.is_empty() => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            kept_nowhere(&mut response);
            response
        }
        Form::Envelope => bare(StatusCode::OK, &envelope(&answer, id)),
        Form::EnvelopeWith(status) => bare(status_of(status), &envelope(&answer, id)),
        Form::Raw(raw) => as_it_is(*raw),
        Form::Written => bare(StatusCode::OK, &answer.data.unwrap_or(Value::Null)),
    }
}

/// A refusal.
pub(super) fn refused(refused: &Refused, id: RequestId) -> Response {
    let error = match refused {
        Refused::Failed => {
            let text = format!("internal error; the log says more of request {id}");
            return errors(StatusCode::INTERNAL_SERVER_ERROR, Some(text));
        }
        Refused::Unavailable => {
            let text = "the vault cannot answer now; try again in a moment".to_owned();
            return errors(StatusCode::SERVICE_UNAVAILABLE, Some(text));
        }
        Refused::Vault(error) => error,
    };
    let status = status_of(error.status());
    match error {
        VaultError::InvalidWith(data) | VaultError::NotFoundWith(data) => {
            bare(status, &envelope(&Answer::data(data.clone()), id))
        }
        // A listing of nothing, and a secret that is not there: clients expect the empty list.
        VaultError::NotFound => errors(status, None),
        VaultError::Corrupt
        | VaultError::Denied
        | VaultError::Invalid(_)
        | VaultError::Outside(_)
        | VaultError::Sealed
        | VaultError::TooLarge
        | VaultError::Unsupported => errors(status, Some(error.to_string())),
    }
}

fn errors(status: StatusCode, text: Option<String>) -> Response {
    let texts: Vec<String> = text.into_iter().collect();
    bare(status, &json!({ "errors": texts }))
}

/// A response that is not JSON of the API.
fn as_it_is(raw: Raw) -> Response {
    let mut response = Response::new(Body::from(raw.body));
    *response.status_mut() = status_of(raw.status);
    let fields = raw.headers.into_iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(&value).ok()?))
    });
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(raw.content_type),
    );
    headers.extend(fields);
    kept_nowhere(&mut response);
    response
}

/// A body as it is.
pub(super) fn bare(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    kept_nowhere(&mut response);
    response
}

fn kept_nowhere(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
