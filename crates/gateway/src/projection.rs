//! What of an answer a caller gets: what its document declares, without the values that an obligation of policy takes out or makes unreadable.
//!
//! The answer is read whole, within limits, changed, and written again with the text of every number and string that stays. What cannot be read cannot be changed, and is not
//! passed on: an answer that is too large, encoded, partial, or no JSON. Fields that speak of the bytes (`Content-Length`, `ETag`, digests) are made true or go.

use crate::content::is_json;
use crate::json::{self, Integers, JsonError};
use crate::request::GatewayRequest;
use crate::schema::{Conforming, Contract, Fault, Mode, Said};
use bytes::Bytes;
use countersign_policy::obligation::{NotCarriedOut, Obligations};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, response};
use std::sync::Arc;

/// Bytes of an answer that is read whole.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How the answer of a request is cut down to its document.
pub(crate) struct Plan {
    method: Method,
    contract: Arc<Contract>,
}

/// What of an answer did not fit, though it goes on; in its extensions.
#[derive(Clone)]
pub(crate) struct Unfit(pub(crate) String);

/// What became of an answer.
pub(crate) enum Projected {
    /// It goes on as it came.
    AsIs,
    /// This goes on in its place.
    Body(Bytes),
}

impl Plan {
    /// What is to be done; nothing for routes without a document.
    pub(crate) fn of(request: &GatewayRequest) -> Option<Box<Self>> {
        let contract = request.conforming().map(Conforming::contract)?;
        Some(Box::new(Self {
            method: request.target().method().clone(),
            contract: Arc::clone(contract),
        }))
    }

    /// Whether the answer has to be read for it.
    pub(crate) fn reads(&self, head: &response::Parts) -> bool {
        match self
            .contract
            .answers
            .said(head.status, media_type(head).as_deref())
        {
            Said::Passes => false,
            Said::Shape(_) | Said::Undeclared => true,
        }
    }

    /// Does it. Absent is a body that is too large to be held.
    pub(crate) fn carry_out(
        &self,
        head: &mut response::Parts,
        body: Option<&Bytes>,
    ) -> Result<Projected, ProjectionError> {
        let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
        if self.method == Method::HEAD || bodiless.contains(&head.status) {
            // The fields would speak of a body that nobody gets.
            forget_bytes(&mut head.headers);
            return Ok(Projected::AsIs);
        }
        let (projected, detail) = by_document(&self.contract, head, body);
        if let Some(detail) = detail {
            head.extensions.insert(Unfit(detail));
        }
        projected
    }
}

/// An answer as its document has it. An error keeps its status and loses a body that does not fit; any other answer that does not fit is not passed on.
fn by_document(
    contract: &Contract,
    head: &mut response::Parts,
    body: Option<&Bytes>,
) -> (Result<Projected, ProjectionError>, Option<String>) {
    let cut = cut(contract, head, body);
    let detail = match &cut {
        Ok(None) => None,
        Ok(Some(_)) => Some("answer: undeclared members".to_owned()),
        Err(error) => Some(error.detail()),
    };
    let is_error = head.status.is_client_error() || head.status.is_server_error();
    let projected = match (cut, contract.mode) {
        (Ok(None), _) | (_, Mode::Report) => Ok(Projected::AsIs),
        (Ok(Some(bytes)), Mode::Enforce) => {
            forget_bytes(&mut head.headers);
            head.headers
                .insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            Ok(Projected::Body(bytes))
        }
        (Err(_), Mode::Enforce) if is_error => {
            forget_bytes(&mut head.headers);
            for name in [
                header::CONTENT_TYPE,
                header::CONTENT_ENCODING,
                header::CONTENT_LANGUAGE,
            ] {
                head.headers.remove(name);
            }
            head.headers
                .insert(header::CONTENT_LENGTH, HeaderValue::from(0));
            Ok(Projected::Body(Bytes::new()))
        }
        (Err(error), Mode::Enforce) => Err(error),
    };
    (projected, detail)
}

/// The answer without what is not declared; nothing if it has nothing else.
fn cut(
    contract: &Contract,
    head: &response::Parts,
    body: Option<&Bytes>,
) -> Result<Option<Bytes>, ProjectionError> {
    let said = contract
        .answers
        .said(head.status, media_type(head).as_deref());
    let typed = match said {
        Said::Passes => return Ok(None),
        Said::Undeclared if body.is_some_and(Bytes::is_empty) && head.status.is_success() => {
            return contract
                .answers
                .declares(head.status)
                .then_some(None)
                .ok_or(ProjectionError::Undeclared);
        }
        Said::Undeclared if body.is_some_and(Bytes::is_empty) => return Ok(None),
        Said::Undeclared => return Err(ProjectionError::Undeclared),
        Said::Shape(typed) => typed,
    };
    readable(head)?;
    let body = body.ok_or(ProjectionError::TooLarge)?;
    let bytes = typed.cut(body)?;
    // The space between does not count.
    let same = json::read(body, Integers::Rounded).is_ok_and(|node| {
        let mut out = Vec::with_capacity(body.len());
        node.write(&mut out);
        out == bytes
    });
    Ok((!same).then(|| Bytes::from(bytes)))
}

/// The media type in lower case; nothing where there is none, or more than one.
fn media_type(head: &response::Parts) -> Option<String> {
    let mut types = head.headers.get_all(header::CONTENT_TYPE).iter();
    let one = types.next().filter(|_| types.next().is_none())?;
    let essence = one.to_str().ok()?.split(';').next()?.trim();
    Some(essence.to_ascii_lowercase())
}

/// Why an answer is not passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionError {
    /// It has a content coding.
    #[error("the answer is encoded")]
    Encoded,
    /// It says that it is JSON and is not.
    #[error("the answer is not JSON: {}", .0.fault().as_str())]
    Json(JsonError),
    /// It is something else than JSON.
    #[error("the answer has another media type")]
    MediaType,
    /// All bodies in memory take all the room there is.
    #[error("no room for the answer")]
    NoRoom,
    /// It has not the form that an obligation needs.
    #[error("{0}")]
    Obligation(NotCarriedOut),
    /// It is a part, of which nobody knows what is around it.
    #[error("the answer is a part")]
    Partial,
    /// It is not what its document says.
    #[error("the answer does not fit: {0}")]
    Schema(Box<Fault>),
    /// It would take too long to find out what of it is declared.
    #[error("the answer takes too many steps")]
    Steps,
    /// More than [`ANSWER_BYTES_MAX`] bytes.
    #[error("the answer is too large")]
    TooLarge,
    /// Its document has no such status, or no such media type.
    #[error("the document has no such answer")]
    Undeclared,
}

impl ProjectionError {
    /// The reason as records name it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Encoded => "answer_encoded",
            Self::Json(_) => "answer_json",
            Self::MediaType => "answer_media_type",
            Self::NoRoom => "answer_no_room",
            Self::Obligation(NotCarriedOut::Depth) => "answer_depth",
            Self::Obligation(NotCarriedOut::Json) => "answer_json",
            Self::Obligation(NotCarriedOut::NoArray) => "answer_no_array",
            Self::Partial => "answer_partial",
            Self::Schema(_) => "answer_schema",
            Self::Steps => "answer_steps",
            Self::TooLarge => "answer_too_large",
            Self::Undeclared => "answer_undeclared",
        }
    }

    /// For the record: nothing that an upstream wrote.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Json(error) => format!("answer: {}", error.fault().as_str()),
            Self::Schema(fault) => format!("answer {}", fault.detail()),
            Self::Encoded
            | Self::MediaType
            | Self::NoRoom
            | Self::Obligation(_)
            | Self::Partial
            | Self::Steps
            | Self::TooLarge
            | Self::Undeclared => self.code().to_owned(),
        }
    }
}

/// The fields of a body that is no longer the upstream's.
const FIELDS_OF_BYTES: [HeaderName; 9] = [
    header::ACCEPT_RANGES,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::ETAG,
    header::TRAILER,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// What an upstream may not be asked for, because the answer could not be read: codings, and parts.
pub fn ask_for_all(headers: &mut HeaderMap) {
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    headers.remove(header::RANGE);
    headers.remove(header::IF_RANGE);
    headers.remove("a-im");
}

/// Carries out on an answer, all of which is here, what the permit of its request asks for. An answer that is no success holds no rows, so that only fields are looked for
/// in it.
///
/// # Errors
/// It cannot be carried out, so that nothing of the answer may be passed on.
pub fn oblige(
    head: &mut response::Parts,
    body: &Bytes,
    obligations: &Obligations,
) -> Result<Bytes, ProjectionError> {
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ProjectionError::MediaType);
    }
    if body.is_empty() {
        forget_bytes(&mut head.headers);
        return Ok(Bytes::new());
    }
    readable(head)?;
    let carried_out = if head.status.is_success() {
        obligations.carry_out(body)
    } else {
        obligations.without_limits().carry_out(body)
    };
    let out = carried_out.map_err(ProjectionError::Obligation)?;
    forget_bytes(&mut head.headers);
    head.headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(out.len()));
    Ok(Bytes::from(out))
}

/// Whether it is a whole JSON document without a coding.
fn readable(head: &response::Parts) -> Result<(), ProjectionError> {
    if head.status == StatusCode::PARTIAL_CONTENT {
        return Err(ProjectionError::Partial);
    }
    if head.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(ProjectionError::Encoded);
    }
    if media_type(head).is_some_and(|media_type| is_json(&media_type)) {
        Ok(())
    } else {
        Err(ProjectionError::MediaType)
    }
}

pub(crate) fn forget_bytes(headers: &mut HeaderMap) {
    for name in FIELDS_OF_BYTES {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests;
