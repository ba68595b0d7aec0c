//! What a route's OpenAPI 3.1 document says of its requests, compiled when the route is loaded and held against each of them before policy is asked.
//!
//! A request that does not fit is refused with the place of the fault and the keyword that it broke, never with a value; in report mode it goes on and the fault is recorded with its
//! outcome. Not here: what policies may do with a request that fits, and answers, which `projection` cuts down.

mod answers;
mod document;
mod parameters;
mod shape;

pub use document::{DOCUMENT_BYTES_MAX, Document, DocumentError, PATTERN_BYTES_MAX, PATTERNS_MAX};
pub use shape::{ALTERNATIVES_MAX, STEPS_MAX};

pub(crate) use answers::Said;

use crate::canonical::CanonicalTarget;
use crate::content::{Content, ContentError, ContentNeed, is_json};
use crate::routes::Matched;
use answers::{Answers, Ranged, best};
use document::{Side, join};
use http::header::HeaderMap;
use http::{Method, StatusCode};
use jsonschema::{ValidationError, Validator};
use parameters::{Parameter, Unknown, judge_fields, judge_query};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// Bytes of the place that a fault names; names in it may be a caller's.
const PLACE_BYTES_MAX: usize = 256;

/// What becomes of what does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is refused, and answers are cut down.
    Enforce,
    /// It goes on, and is recorded.
    Report,
}

/// The document of a route.
#[derive(Debug, Clone)]
pub struct ContractSpec {
    /// The document.
    pub document: Arc<Document>,
    /// What becomes of what does not fit.
    pub mode: Mode,
}

/// Where a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The body.
    Body,
    /// A cookie.
    Cookie,
    /// A header field.
    Header,
    /// The path.
    Path,
    /// The query.
    Query,
}

impl Place {
    /// As answers and records name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Cookie => "cookie",
            Self::Header => "header",
            Self::Path => "path",
            Self::Query => "query",
        }
    }
}

/// What does not fit, and where. It holds no value; names in its pointer may be a caller's, those in `schema` are the document's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {keyword}", .place.as_str())]
pub struct Fault {
    place: Place,
    pointer: String,
    keyword: String,
    schema: String,
    status: StatusCode,
}

impl Fault {
    fn new(place: Place, pointer: &str, keyword: &str, schema: &str) -> Self {
        let pointer = match pointer.char_indices().nth(PLACE_BYTES_MAX) {
            None => pointer,
            Some((end, _)) => pointer.get(..end).unwrap_or_default(),
        };
        Self {
            place,
            pointer: pointer.to_owned(),
            keyword: keyword.to_owned(),
            schema: schema.to_owned(),
            status: match (place, keyword) {
                (Place::Body, "encoding" | "mediaType") => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                (Place::Body | Place::Cookie | Place::Header | Place::Path | Place::Query, _) => {
                    StatusCode::BAD_REQUEST
                }
            },
        }
    }

    fn at_parameter(place: Place, name: &str, keyword: &str, schema: &str) -> Self {
        Self::new(place, &join("", name), keyword, schema)
    }

    fn of(place: Place, error: &ValidationError<'_>) -> Self {
        use jsonschema::error::ValidationErrorKind as Kind;
        let pointer = error.instance_path().as_str();
        let pointer = match error.kind() {
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => match unexpected.first() {
                Some(name) => Cow::Owned(join(pointer, name)),
                None => Cow::Borrowed(pointer),
            },
            _ => Cow::Borrowed(pointer),
        };
        Self::new(
            place,
            &pointer,
            error.kind().keyword(),
            error.schema_path().as_str(),
        )
    }

    /// Where in the request.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// A JSON pointer; for a parameter its name.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The keyword that it broke.
    #[must_use]
    pub fn keyword(&self) -> &str {
        &self.keyword
    }

    /// For the record: the place, the keyword and where in the document it stands. Nothing that a caller wrote.
    #[must_use]
    pub fn detail(&self) -> String {
        let (place, keyword) = (self.place.as_str(), &self.keyword);
        if self.schema.is_empty() {
            format!("{place}: {keyword}")
        } else {
            format!("{place}: {keyword} at {}", self.schema)
        }
    }

    /// What the caller is told.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason as records name it.
    pub(crate) const fn code(&self) -> &'static str {
        match self.place {
            Place::Body => "schema_body",
            Place::Cookie => "schema_cookie",
            Place::Header => "schema_header",
            Place::Path => "schema_path",
            Place::Query => "schema_query",
        }
    }
}

/// What a document says of one operation.
pub(crate) struct Contract {
    pub(crate) mode: Mode,
    parameters: Vec<Parameter>,
    /// Position of the path's parameters in the route, in the order of `parameters`.
    path: Vec<usize>,
    unknown_query: Unknown,
    body: Option<Body>,
    pub(crate) answers: Answers,
}

struct Body {
    required: bool,
    media: Vec<Media>,
}

struct Media {
    range: String,
    /// Absent for what is no JSON, or has no schema.
    validator: Option<Validator>,
}

impl Ranged for Media {
    fn range(&self) -> &str {
        &self.range
    }
}

/// Evidence that a request was held against its document: it fits, or it may go on although it does not.
#[must_use]
pub(crate) struct Conforming {
    contract: Arc<Contract>,
    fault: Option<Fault>,
}

impl Conforming {
    pub(crate) const fn contract(&self) -> &Arc<Contract> {
        &self.contract
    }

    /// What does not fit, in report mode.
    pub(crate) const fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }
}

impl Contract {
    /// The operation of the document that a route's method and template name.
    pub(crate) fn compile(
        spec: &ContractSpec,
        template: &str,
        method: &Method,
    ) -> Result<Arc<Self>, DocumentError> {
        let document = &*spec.document;
        let (path, path_at) = path_of(document, template)?;
        let (item, _) = document.at(&path_at)?;
        let operation = join(&item, &method.as_str().to_ascii_lowercase());
        let (operation, value) = document.at(&operation).map_err(|_| {
            document.error(
                &path_at,
                format!(
                    "the route has an action for {method}, and the document has no such operation"
                ),
            )
        })?;
        let parameters = parameters(document, &item, &operation)?;
        let positions = positions(document, &path, &operation, &parameters)?;
        let unknown_query = match value.get("x-countersign-unknown-query").map(Value::as_str) {
            None => Unknown::Refused,
            Some(Some("pass")) => Unknown::Passed,
            Some(_) => {
                let at = join(&operation, "x-countersign-unknown-query");
                return Err(document.error(&at, "expected `pass`, or nothing"));
            }
        };
        let body = match value.get("requestBody") {
            None => None,
            Some(_) => Some(body(document, &join(&operation, "requestBody"))?),
        };
        Ok(Arc::new(Self {
            mode: spec.mode,
            parameters,
            path: positions,
            unknown_query,
            body,
            answers: Answers::compile(document, &operation)?,
        }))
    }

    /// What has to be seen of a body.
    pub(crate) const fn content(&self) -> ContentNeed {
        match (&self.body, self.mode) {
            (None, Mode::Enforce) => ContentNeed::Absent,
            (None, Mode::Report) | (Some(_), _) => ContentNeed::Whole,
        }
    }

    /// Holds a request against the document.
    ///
    /// # Errors
    /// It does not fit, and is not to go on.
    pub(crate) fn judge(
        self: &Arc<Self>,
        target: &CanonicalTarget,
        matched: &Matched,
        headers: &HeaderMap,
        content: Result<&Content, &ContentError>,
    ) -> Result<Conforming, Fault> {
        let judged = self
            .judge_parameters(target, matched, headers)
            .and_then(|()| self.judge_body(content));
        let fault = match (judged, self.mode) {
            (Err(fault), Mode::Enforce) => return Err(fault),
            (judged, Mode::Enforce | Mode::Report) => judged.err(),
        };
        Ok(Conforming {
            contract: Arc::clone(self),
            fault,
        })
    }

    fn judge_parameters(
        &self,
        target: &CanonicalTarget,
        matched: &Matched,
        headers: &HeaderMap,
    ) -> Result<(), Fault> {
        let of_path = self
            .parameters
            .iter()
            .filter(|parameter| parameter.place == Place::Path);
        for (parameter, position) in of_path.zip(&self.path) {
            let value = matched.value(*position).map(Cow::Borrowed);
            parameter.judge(value.as_slice())?;
        }
        judge_query(&self.parameters, self.unknown_query, target.query())?;
        judge_fields(&self.parameters, headers)
    }

    fn judge_body(&self, content: Result<&Content, &ContentError>) -> Result<(), Fault> {
        let fault = |keyword: &str| Err(Fault::new(Place::Body, "", keyword, ""));
        let content = match content {
            Ok(content) => content,
            Err(ContentError::Encoded) => return fault("encoding"),
            Err(ContentError::MediaType) => return fault("mediaType"),
            Err(_) => return fault("unreadable"),
        };
        let Some(body) = &self.body else {
            return if content.bytes().is_empty() {
                Ok(())
            } else {
                fault("unexpected")
            };
        };
        if content.bytes().is_empty() {
            return if body.required {
                fault("required")
            } else {
                Ok(())
            };
        }
        let media = content
            .media_type()
            .and_then(|media_type| best(&body.media, media_type));
        let Some(media) = media else {
            return fault("mediaType");
        };
        let Some(validator) = &media.validator else {
            return Ok(());
        };
        let value = match content.json() {
            Ok(value) => value,
            Err(ContentError::Json(error)) => {
                return Err(Fault::new(
                    Place::Body,
                    &error.pointer(),
                    error.fault().as_str(),
                    "",
                ));
            }
            Err(_) => return fault("mediaType"),
        };
        validator
            .validate(value)
            .map_err(|error| Fault::of(Place::Body, &error))
    }
}

/// The path of the document whose template is that of the route, and where it stands. Names of parameters may differ, their places may not.
fn path_of(document: &Document, template: &str) -> Result<(String, String), DocumentError> {
    let base = document.base();
    let form = |path: &str| -> Vec<String> {
        let part = |part: &str| {
            if part.starts_with('{') {
                "{}".to_owned()
            } else {
                part.to_owned()
            }
        };
        path.split('/').map(part).collect()
    };
    if template.contains("{*") {
        return Err(document.error(
            "/paths",
            format!("`{template}` takes any path: a route with a document names one"),
        ));
    }
    let wanted = form(template);
    document
        .paths()
        .map(|(path, at)| (format!("{base}{path}"), at))
        .find(|(path, _)| form(path) == wanted)
        .ok_or_else(|| document.error("/paths", format!("no path is `{template}`, after `{base}`")))
}

/// Parameters of the path and of the operation, which come first (OpenAPI 3.1 §4.8.9).
fn parameters(
    document: &Document,
    item: &str,
    operation: &str,
) -> Result<Vec<Parameter>, DocumentError> {
    let mut found: Vec<Parameter> = Vec::new();
    for owner in [operation, item] {
        let list = join(owner, "parameters");
        let count = document
            .at(&list)
            .ok()
            .and_then(|(_, value)| value.as_array().map(Vec::len))
            .unwrap_or(0);
        for position in 0..count {
            let Some(parameter) = Parameter::compile(document, &format!("{list}/{position}"))?
            else {
                continue;
            };
            let same =
                |known: &Parameter| known.name == parameter.name && known.place == parameter.place;
            if !found.iter().any(same) {
                found.push(parameter);
            }
        }
    }
    Ok(found)
}

/// Where the parameters of the path stand among those of the route.
fn positions(
    document: &Document,
    path: &str,
    operation: &str,
    parameters: &[Parameter],
) -> Result<Vec<usize>, DocumentError> {
    let names: Vec<&str> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .collect();
    let of_path = || {
        parameters
            .iter()
            .filter(|parameter| parameter.place == Place::Path)
    };
    let undeclared = names
        .iter()
        .find(|name| !of_path().any(|parameter| parameter.name == **name));
    if let Some(name) = undeclared {
        return Err(document.error(
            operation,
            format!("the path has `{{{name}}}`, and no parameter describes it"),
        ));
    }
    of_path()
        .map(|parameter| {
            let position = names.iter().position(|name| *name == parameter.name);
            position.ok_or_else(|| {
                document.error(
                    operation,
                    format!("the path has no `{{{}}}`", parameter.name),
                )
            })
        })
        .collect()
}

fn body(document: &Document, pointer: &str) -> Result<Body, DocumentError> {
    let (at, value) = document.at(pointer)?;
    let content = join(&at, "content");
    let declared = value.get("content").and_then(Value::as_object);
    let media = declared.into_iter().flatten().map(|(range, media)| {
        let essence = range
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let schema = join(&join(&content, range), "schema");
        let validator = match media.get("schema") {
            Some(_) if is_json(&essence) => {
                shape::bounded(document, Side::Request, &schema)?;
                Some(document.validator(Side::Request, &schema)?)
            }
            // What is no JSON is passed on as it is: a document that says more of it would promise what nobody checks.
            Some(said)
                if said.as_object().is_some_and(|said| {
                    said.keys().any(|key| {
                        key != "type"
                            && key != "format"
                            && key != "contentMediaType"
                            && key != "contentEncoding"
                            && key != "description"
                    })
                }) =>
            {
                return Err(document.error(
                    &schema,
                    format!("of a body of `{range}` nothing is checked: leave its schema out"),
                ));
            }
            Some(_) | None => None,
        };
        Ok(Media {
            range: essence,
            validator,
        })
    });
    let media: Vec<Media> = media.collect::<Result<_, DocumentError>>()?;
    if media.is_empty() {
        return Err(document.error(&content, "a body has a media type"));
    }
    Ok(Body {
        required: value.get("required") == Some(&Value::Bool(true)),
        media,
    })
}

#[cfg(test)]
mod tests;
