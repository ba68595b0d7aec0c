//! What of an answer a caller gets: values that an obligation of policy takes out or makes unreadable.
//!
//! The answer is read whole, within limits, changed, and written again with the text of every number and string that stays. What cannot be read cannot be changed, and is not
//! passed on: an answer that is too large, encoded, partial, or no JSON. Fields that speak of the bytes (`Content-Length`, `ETag`, digests) are made true or go.

use crate::content::is_json;
use crate::json::{self, Integers, JsonError, Member, Node};
use bytes::Bytes;
use countersign_base::JsonPointer;
use countersign_policy::obligation::{NotCarriedOut, Obligations};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, response};
use std::borrow::Cow;

/// Bytes of an answer that is read whole.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One change of an answer. A step `*` of its pointer stands for every element of an array.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The value goes, and its name with it.
    Drop(JsonPointer),
    /// The value becomes `"***"` if it is text, else `null`.
    Mask(JsonPointer),
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
    /// More than [`ANSWER_BYTES_MAX`] bytes.
    #[error("the answer is too large")]
    TooLarge,
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
            Self::TooLarge => "answer_too_large",
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

/// Changes an answer, all of which is here.
///
/// # Errors
/// It cannot be read, and so must not be passed on.
pub fn change(
    head: &mut response::Parts,
    body: &Bytes,
    changes: &[Change],
) -> Result<Bytes, ProjectionError> {
    if changes.is_empty() || body.is_empty() {
        // Of an answer without its body (`HEAD`) the fields would speak of the one before.
        forget_bytes(&mut head.headers);
        return Ok(body.clone());
    }
    readable(head)?;
    let mut node = json::read(body, Integers::Rounded).map_err(ProjectionError::Json)?;
    for change in changes {
        apply(&mut node, change);
    }
    Ok(written(head, body, &node))
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
    let mut types = head.headers.get_all(header::CONTENT_TYPE).iter();
    let one = types.next().filter(|_| types.next().is_none());
    let media_type = one
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase());
    if media_type.is_some_and(|media_type| is_json(&media_type)) {
        Ok(())
    } else {
        Err(ProjectionError::MediaType)
    }
}

/// The document as bytes, with fields that are true of them.
fn written(head: &mut response::Parts, before: &Bytes, node: &Node<'_>) -> Bytes {
    let mut out = Vec::with_capacity(before.len());
    node.write(&mut out);
    if out == **before {
        return before.clone();
    }
    forget_bytes(&mut head.headers);
    head.headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(out.len()));
    Bytes::from(out)
}

fn forget_bytes(headers: &mut HeaderMap) {
    for name in FIELDS_OF_BYTES {
        headers.remove(name);
    }
}

fn apply(node: &mut Node<'_>, change: &Change) {
    let pointer = match change {
        Change::Drop(pointer) | Change::Mask(pointer) => pointer,
    };
    let steps: Vec<Cow<'_, str>> = pointer.steps().collect();
    match steps.split_last() {
        // The whole of it; there has to be something in its place.
        None => mask(node),
        Some((last, before)) => within(node, before, last, change),
    }
}

fn within(node: &mut Node<'_>, steps: &[Cow<'_, str>], last: &str, change: &Change) {
    let Some((step, rest)) = steps.split_first() else {
        return finish(node, last, change);
    };
    match node {
        Node::Object(members) => {
            for member in members.iter_mut().filter(|member| member.name == *step) {
                within(&mut member.value, rest, last, change);
            }
        }
        Node::Array(items) => {
            for (_, item) in chosen(items, step) {
                within(item, rest, last, change);
            }
        }
        Node::Bool(_) | Node::Null | Node::Number(_) | Node::String(..) => {}
    }
}

fn finish(node: &mut Node<'_>, last: &str, change: &Change) {
    match (node, change) {
        (Node::Object(members), Change::Drop(_)) => {
            members.retain(|member: &Member<'_>| member.name != last);
        }
        (Node::Object(members), Change::Mask(_)) => {
            for member in members.iter_mut().filter(|member| member.name == last) {
                mask(&mut member.value);
            }
        }
        (Node::Array(items), Change::Drop(_)) => {
            let gone: Vec<usize> = chosen(items, last).map(|(position, _)| position).collect();
            let mut position = 0;
            items.retain(|_| {
                position += 1;
                !gone.contains(&(position - 1))
            });
        }
        (Node::Array(items), Change::Mask(_)) => {
            for (_, item) in chosen(items, last) {
                mask(item);
            }
        }
        (
            Node::Bool(_) | Node::Null | Node::Number(_) | Node::String(..),
            Change::Drop(_) | Change::Mask(_),
        ) => {}
    }
}

/// The elements that a step names.
fn chosen<'s, 'i, 'n>(
    items: &'i mut [Node<'n>],
    step: &'s str,
) -> impl Iterator<Item = (usize, &'i mut Node<'n>)> + use<'s, 'i, 'n> {
    let index = crate::content::index(step);
    items
        .iter_mut()
        .enumerate()
        .filter(move |(position, _)| step == "*" || index == Some(*position))
}

fn mask(node: &mut Node<'_>) {
    *node = match node {
        Node::String(..) => Node::String("***", Cow::Borrowed("***")),
        Node::Array(_) | Node::Bool(_) | Node::Null | Node::Number(_) | Node::Object(_) => {
            Node::Null
        }
    };
}

#[cfg(test)]
mod tests;
