//! What an operation answers, by status and media type (OpenAPI 3.1 §4.8.16), and an answer cut down to it.

use super::document::{Document, DocumentError, Side, join};
use super::shape::{Shapes, TooManySteps, bounded};
use super::{Fault, Place};
use crate::content::is_json;
use crate::json::{self, Integers};
use crate::projection::ProjectionError;
use http::StatusCode;
use jsonschema::Validator;
use serde_json::Value;
use std::collections::BTreeMap;

/// The answers of an operation.
pub(crate) struct Answers {
    /// By `200`, `2XX` or `default`.
    by_status: BTreeMap<String, Vec<Typed>>,
}

/// What an answer of one media type is.
pub(crate) struct Typed {
    /// `application/json`, `text/*` or `*/*`, in lower case.
    range: String,
    /// Absent where the document does not say what is in it.
    body: Option<Box<AnswerBody>>,
}

struct AnswerBody {
    shapes: Shapes,
    validator: Validator,
}

/// What the document says of an answer.
pub(crate) enum Said<'a> {
    /// It goes on as it is, of a media type that is declared and is no JSON, or of which nothing more is said.
    Passes,
    /// It is cut down to this.
    Shape(&'a Typed),
    /// Nothing of its body: no content, or not of this media type.
    Undeclared,
}

impl Answers {
    pub(crate) fn compile(document: &Document, operation: &str) -> Result<Self, DocumentError> {
        let responses = join(operation, "responses");
        let (_, declared) = document
            .at(&responses)
            .map_err(|_| document.error(&responses, "an operation says what it answers"))?;
        let statuses = declared
            .as_object()
            .into_iter()
            .flatten()
            .map(|(status, _)| status);
        let mut by_status = BTreeMap::new();
        for status in statuses.filter(|status| !status.starts_with("x-")) {
            let known = status == "default"
                || (status.len() == 3
                    && status.starts_with(['1', '2', '3', '4', '5'])
                    && (status.ends_with("XX")
                        || status.bytes().all(|byte| byte.is_ascii_digit())));
            if !known {
                return Err(document.error(
                    &join(&responses, status),
                    "expected a status, as `200`, `4XX` or `default`",
                ));
            }
            let (at, _) = document.at(&join(&responses, status))?;
            by_status.insert(status.clone(), typed(document, &at)?);
        }
        Ok(Self { by_status })
    }

    /// Whether the document has this status.
    pub(crate) fn declares(&self, status: StatusCode) -> bool {
        self.of_status(status).is_some()
    }

    fn of_status(&self, status: StatusCode) -> Option<&Vec<Typed>> {
        let digits = status.as_str();
        let class = format!("{}XX", digits.get(..1).unwrap_or_default());
        [digits, &class, "default"]
            .iter()
            .find_map(|key| self.by_status.get(*key))
    }

    /// What the document says of an answer with this status and media type.
    pub(crate) fn said(&self, status: StatusCode, media_type: Option<&str>) -> Said<'_> {
        // Without a word it is bytes of some kind (RFC 9110 §8.3).
        let range = media_type.unwrap_or("application/octet-stream");
        let of_type = self.of_status(status).and_then(|typed| best(typed, range));
        match (of_type, media_type) {
            (Some(typed), Some(media_type)) if typed.body.is_some() && is_json(media_type) => {
                Said::Shape(typed)
            }
            (Some(_), _) => Said::Passes,
            (None, _) => Said::Undeclared,
        }
    }
}

/// The most specific declaration that a media type falls under.
pub(crate) fn best<'t, T: Ranged>(all: &'t [T], media_type: &str) -> Option<&'t T> {
    let kind = media_type.split('/').next().unwrap_or_default();
    let of_kind = format!("{kind}/*");
    [media_type, &of_kind, "*/*"]
        .iter()
        .find_map(|range| all.iter().find(|one| one.range() == *range))
}

/// Something that a document declares for a range of media types.
pub(crate) trait Ranged {
    /// `application/json`, `text/*` or `*/*`.
    fn range(&self) -> &str;
}

impl Ranged for Typed {
    fn range(&self) -> &str {
        &self.range
    }
}

fn typed(document: &Document, response: &str) -> Result<Vec<Typed>, DocumentError> {
    let (at, value) = document.at(response)?;
    let content = join(&at, "content");
    let media = value.get("content").and_then(Value::as_object);
    let declared = media.into_iter().flatten().map(|(range, media)| {
        let essence = range.split(';').next().unwrap_or_default();
        let schema = join(&join(&content, range), "schema");
        let body = match media.get("schema") {
            None => None,
            Some(_) => {
                bounded(document, Side::Answer, &schema)?;
                Some(Box::new(AnswerBody {
                    shapes: Shapes::compile(document, &schema)?,
                    validator: document.validator(Side::Answer, &schema)?,
                }))
            }
        };
        Ok(Typed {
            range: essence.trim().to_ascii_lowercase(),
            body,
        })
    });
    declared.collect()
}

impl Typed {
    /// The bytes of an answer, cut down to what is declared.
    ///
    /// # Errors
    /// It is no JSON, or does not fit although nothing undeclared is left in it.
    pub(crate) fn cut(&self, bytes: &[u8]) -> Result<Vec<u8>, ProjectionError> {
        let mut node = json::read(bytes, Integers::Rounded).map_err(ProjectionError::Json)?;
        let Some(body) = &self.body else {
            return Ok(bytes.to_vec());
        };
        body.shapes
            .cut(&mut node)
            .map_err(|TooManySteps| ProjectionError::Steps)?;
        body.validator
            .validate(&node.to_value())
            .map_err(|error| ProjectionError::Schema(Box::new(Fault::of(Place::Body, &error))))?;
        let mut out = Vec::with_capacity(bytes.len());
        node.write(&mut out);
        Ok(out)
    }
}
