//! What a request carries, read before anybody decides about it, where somebody needs it: a schema, the body phase of a firewall, attributes for policy.
//!
//! The bytes that were looked at are the bytes that go on. A body with a content coding is refused: who validates what is wrapped validates nothing. Not here: reading
//! from the connection, which is `pipeline::content`, and what a body has to look like, which is `schema`.

use crate::json::{self, Integers, JsonError, JsonFault};
use crate::routes::{AttributeSource, ResourceSpec};
use crate::upstream::PassError;
use bytes::Bytes;
use countersign_base::JsonPointer;
use countersign_policy::{EntityId, Value};
use http::header::{self, HeaderMap};
use serde_json::Value as Json;
use std::sync::OnceLock;

/// Whether an operation needs to see a request's body before it is decided about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContentNeed {
    /// It goes on as it comes.
    #[default]
    Unread,
    /// There may be none.
    Absent,
    /// All of it.
    Whole,
}

/// Why content is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// What policy needs is not in it, or is neither text, truth value nor integer.
    #[error("an attribute is not in the body")]
    Attribute,
    /// The caller broke off, or stopped sending for too long.
    #[error("the body ended early")]
    Broken,
    /// A content coding, or a media type with parameters that change what it says.
    #[error("the body is encoded")]
    Encoded,
    /// It is not JSON as it has to be.
    #[error("the body is not JSON: {}", .0.fault().as_str())]
    Json(JsonError),
    /// It is of another media type.
    #[error("the body has another media type")]
    MediaType,
    /// All bodies in memory take all the room there is.
    #[error("no room for the body")]
    NoRoom,
    /// Larger than the route allows.
    #[error("the body is too large")]
    TooLarge,
    /// There is a body where none may be.
    #[error("there is a body where none may be")]
    Unexpected,
}

impl ContentError {
    /// The reason as records name it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Attribute => "content_attribute",
            Self::Broken => "body_broken",
            Self::Encoded => "content_encoded",
            Self::Json(error) => match error.fault() {
                JsonFault::Depth => "content_json_depth",
                JsonFault::Duplicate => "content_json_duplicate",
                JsonFault::Number => "content_json_number",
                JsonFault::Syntax => "content_json_syntax",
                JsonFault::TooMany => "content_json_values",
                JsonFault::Utf8 => "content_json_utf8",
            },
            Self::MediaType => "content_media_type",
            Self::NoRoom => "body_no_room",
            Self::TooLarge => "body_too_large",
            Self::Unexpected => "content_unexpected",
        }
    }
}

impl From<PassError> for ContentError {
    fn from(error: PassError) -> Self {
        match error {
            PassError::BodyTooLarge => Self::TooLarge,
            PassError::NoRoom | PassError::Busy => Self::NoRoom,
            PassError::Body
            | PassError::Connect(_)
            | PassError::CutShort(_)
            | PassError::Ejected { .. }
            | PassError::Handshake(_)
            | PassError::Http(_)
            | PassError::Projection(_)
            | PassError::RefusedStream
            | PassError::Switch
            | PassError::Timeout => Self::Broken,
        }
    }
}

/// All of a request's body, and what it says it is.
pub struct Content {
    bytes: Bytes,
    media_type: Option<String>,
    json: OnceLock<Result<Json, JsonError>>,
}

impl Content {
    /// A body with its fields. There is one `Content-Type` at most: two are refused with every request.
    ///
    /// # Errors
    /// [`ContentError::Encoded`]: it has a content coding.
    pub fn of(bytes: Bytes, headers: &HeaderMap) -> Result<Self, ContentError> {
        let coded = headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .any(|value| {
                !value
                    .as_bytes()
                    .trim_ascii()
                    .eq_ignore_ascii_case(b"identity")
            });
        if coded {
            return Err(ContentError::Encoded);
        }
        Ok(Self {
            bytes,
            media_type: media_type(headers)?,
            json: OnceLock::new(),
        })
    }

    /// The body.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its media type in lower case, without parameters.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }

    /// Whether it says that it is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.media_type().is_some_and(is_json)
    }

    /// The document; it is read once.
    ///
    /// # Errors
    /// [`ContentError::MediaType`] if it does not say that it is JSON, [`ContentError::Json`] if it is not.
    pub fn json(&self) -> Result<&Json, ContentError> {
        if !self.is_json() {
            return Err(ContentError::MediaType);
        }
        self.json
            .get_or_init(|| json::value(&self.bytes, Integers::Exact))
            .as_ref()
            .map_err(|error| ContentError::Json(error.clone()))
    }

    /// What it says at this place, as policies take it.
    ///
    /// # Errors
    /// Nothing there, or something else than text, a truth value or an integer of 64 bits with sign: there are no defaults.
    pub fn attribute(&self, pointer: &JsonPointer) -> Result<Value, ContentError> {
        let mut found = self.json()?;
        for step in pointer.steps() {
            let next = match found {
                Json::Object(members) => members.get(step.as_ref()),
                Json::Array(items) => index(&step).and_then(|index| items.get(index)),
                Json::Bool(_) | Json::Null | Json::Number(_) | Json::String(_) => None,
            };
            found = next.ok_or(ContentError::Attribute)?;
        }
        match found {
            Json::Bool(value) => Ok(Value::Bool(*value)),
            Json::Number(number) => number
                .as_i64()
                .map(Value::Long)
                .ok_or(ContentError::Attribute),
            Json::String(text) => Ok(text.as_str().into()),
            Json::Array(_) | Json::Null | Json::Object(_) => Err(ContentError::Attribute),
        }
    }
}

/// An index as RFC 6901 §4 writes it: no sign, no leading zero.
fn index(step: &str) -> Option<usize> {
    let plain =
        step.bytes().all(|byte| byte.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    plain.then(|| step.parse().ok()).flatten()
}

/// Whether a media type in lower case is JSON (RFC 6839 §3.1).
#[must_use]
pub fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

/// The media type in lower case. Of its parameters only `charset=utf-8` says nothing else than what JSON is anyway; text in another charset would be read differently behind
/// us, so that it counts as encoded.
fn media_type(headers: &HeaderMap) -> Result<Option<String>, ContentError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| ContentError::MediaType)?;
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let essence = essence.trim().to_ascii_lowercase();
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let proper = essence
        .split_once('/')
        .is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    if !proper {
        return Err(ContentError::MediaType);
    }
    let other_charset = parameters.split(';').any(|parameter| {
        let parameter = parameter.trim().to_ascii_lowercase();
        parameter
            .strip_prefix("charset")
            .is_some_and(|rest| !matches!(rest, "=utf-8" | "=\"utf-8\""))
    });
    if is_json(&essence) && other_charset {
        return Err(ContentError::Encoded);
    }
    Ok(Some(essence))
}

/// The attributes of a resource that come from the body, by name.
///
/// # Errors
/// The first that is not there: policy is not asked without it.
pub(crate) fn attributes(
    resource: &ResourceSpec,
    content: &Content,
) -> Result<Vec<(String, Value)>, ContentError> {
    let ResourceSpec::Entity { attributes, .. } = resource else {
        return Ok(Vec::new());
    };
    let from_body = attributes.iter().filter_map(|(name, source)| match source {
        AttributeSource::Body { pointer, kind } => Some((name, pointer, kind)),
        AttributeSource::Entity { .. }
        | AttributeSource::Parameter(_)
        | AttributeSource::Source { .. }
        | AttributeSource::Static(_) => None,
    });
    let read = from_body.map(|(name, pointer, kind)| {
        let value = match (content.attribute(pointer)?, kind) {
            (value, None) => value,
            (Value::String(id), Some(kind)) if !id.is_empty() => {
                Value::Entity(EntityId::new(kind, &id))
            }
            (_, Some(_)) => return Err(ContentError::Attribute),
        };
        Ok((name.clone(), value))
    });
    read.collect()
}

#[cfg(test)]
mod tests;
