//! An OpenAPI 3.1 document as it is loaded: read strictly, within limits, complete in itself.
//!
//! A reference leads to another place of the same document and nowhere else: nothing is ever fetched. What this gateway would not enforce is refused when it is loaded, so that no
//! document promises what nobody checks. Not here: what its parts mean for requests (`parameters`, `body`) and answers (`answers`).

use crate::json::{self, Integers};
use jsonschema::{Draft, PatternOptions, Validator};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of a document.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Patterns of a document.
pub const PATTERNS_MAX: usize = 1_000;
/// Bytes of a pattern.
pub const PATTERN_BYTES_MAX: usize = 1_024;
/// Bytes of a compiled pattern.
const PATTERN_SIZE_MAX: usize = 1024 * 1024;
/// References that lead to references.
const REFERENCES_MAX: usize = 16;

/// What stays as it is in the fragment of a reference.
const FRAGMENT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a document cannot be used, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{document}`, at `{at}`: {what}")]
pub struct DocumentError {
    document: String,
    at: String,
    what: String,
}

/// A place in a document.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'d> {
    pub(crate) value: &'d Value,
    at: &'d str,
}

/// Whose values a schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// A caller's: what is `readOnly` is not theirs to say.
    Request,
    /// An upstream's: what is `writeOnly` is not told.
    Answer,
}

/// A document.
pub struct Document {
    name: String,
    root: Value,
    request: Value,
    answer: Value,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Document").field(&self.name).finish()
    }
}

impl Document {
    /// Reads a document; `name` is what errors call it.
    ///
    /// # Errors
    /// It is too large, no strict JSON, not OpenAPI 3.1, or refers to somewhere else.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Arc<Self>, DocumentError> {
        let wrong = |at: &str, what: String| DocumentError {
            document: name.to_owned(),
            at: at.to_owned(),
            what,
        };
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(wrong(
                "",
                format!("expected at most {DOCUMENT_BYTES_MAX} bytes"),
            ));
        }
        let root = json::value(bytes, Integers::Exact).map_err(|error| {
            let what = format!("expected JSON ({})", error.fault().as_str());
            wrong(&error.pointer(), what)
        })?;
        let version = root.get("openapi").and_then(Value::as_str);
        if !version.is_some_and(|version| version.starts_with("3.1.")) {
            return Err(wrong("/openapi", "expected `3.1.x`".to_owned()));
        }
        let dialect = root.get("jsonSchemaDialect").and_then(Value::as_str);
        let known = [
            "https://spec.openapis.org/oas/3.1/dialect/base",
            "https://json-schema.org/draft/2020-12/schema",
        ];
        if dialect.is_some_and(|dialect| !known.contains(&dialect)) {
            return Err(wrong(
                "/jsonSchemaDialect",
                format!("expected `{}`", known[0]),
            ));
        }
        let mut seen = Seen::default();
        seen.look(&root, &mut String::new())
            .map_err(|(at, what)| wrong(&at, what))?;
        let request = sided(&root, Side::Request);
        let answer = sided(&root, Side::Answer);
        Ok(Arc::new(Self {
            name: name.to_owned(),
            root,
            request,
            answer,
        }))
    }

    pub(crate) fn error(&self, at: &str, what: impl Into<String>) -> DocumentError {
        DocumentError {
            document: self.name.clone(),
            at: at.to_owned(),
            what: what.into(),
        }
    }

    /// Its paths with what they hold, in their order.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&str, String)> {
        let paths = self.root.get("paths").and_then(Value::as_object);
        paths
            .into_iter()
            .flatten()
            .map(|(path, _)| (path.as_str(), join("/paths", path)))
    }

    /// The path of the first server, which stands before all paths.
    pub(crate) fn base(&self) -> &str {
        let url = self.root.pointer("/servers/0/url").and_then(Value::as_str);
        let path = url.map_or("", |url| match url.split_once("://") {
            Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or(""),
            None => url,
        });
        path.trim_end_matches('/')
    }

    /// What stands at a place, behind its references, and where that is.
    pub(crate) fn at(&self, pointer: &str) -> Result<(String, &Value), DocumentError> {
        self.follow(&self.root, pointer)
    }

    /// The same in the form for one side.
    pub(crate) fn schema_at(
        &self,
        side: Side,
        pointer: &str,
    ) -> Result<(String, &Value), DocumentError> {
        self.follow(self.side(side), pointer)
    }

    pub(crate) const fn side(&self, side: Side) -> &Value {
        match side {
            Side::Request => &self.request,
            Side::Answer => &self.answer,
        }
    }

    fn follow<'d>(
        &self,
        root: &'d Value,
        pointer: &str,
    ) -> Result<(String, &'d Value), DocumentError> {
        let mut at = pointer.to_owned();
        for _ in 0..REFERENCES_MAX {
            let value = root
                .pointer(&at)
                .ok_or_else(|| self.error(pointer, format!("there is nothing at `{at}`")))?;
            match value.get("$ref").and_then(Value::as_str) {
                None => return Ok((at, value)),
                Some(reference) => at = target(reference),
            }
        }
        Err(self.error(
            pointer,
            "references lead in a circle, or through too many places",
        ))
    }

    /// The schema at a place, compiled.
    pub(crate) fn validator(&self, side: Side, pointer: &str) -> Result<Validator, DocumentError> {
        let schema = self
            .side(side)
            .pointer(pointer)
            .ok_or_else(|| self.error(pointer, "there is no schema"))?;
        if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
            let at = format!("{pointer}{}", error.instance_path().as_str());
            return Err(self.error(&at, format!("no JSON schema: {}", error.kind().keyword())));
        }
        let mut root = match self.side(side) {
            Value::Object(members) => members.clone(),
            Value::Array(_)
            | Value::Bool(_)
            | Value::Null
            | Value::Number(_)
            | Value::String(_) => Map::new(),
        };
        root.insert("$ref".to_owned(), Value::from(reference(pointer)));
        self.compiled(pointer, &Value::Object(root))
    }

    /// A pattern for names.
    pub(crate) fn pattern(&self, at: &str, pattern: &str) -> Result<Validator, DocumentError> {
        self.compiled(at, &serde_json::json!({ "pattern": pattern }))
    }

    fn compiled(&self, at: &str, schema: &Value) -> Result<Validator, DocumentError> {
        // The engine without backtracking: a pattern costs linear time, whatever it is shown.
        let patterns = PatternOptions::regex()
            .size_limit(PATTERN_SIZE_MAX)
            .dfa_size_limit(PATTERN_SIZE_MAX);
        jsonschema::options()
            .offline()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(patterns)
            .should_validate_formats(true)
            .should_ignore_unknown_formats(true)
            .build(schema)
            .map_err(|error| {
                let path = error.schema_path().as_str().to_owned();
                self.error(
                    at,
                    format!(
                        "the schema cannot be used, {path}: {}",
                        first_line(&error.to_string())
                    ),
                )
            })
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// A pointer with one more step.
pub(crate) fn join(pointer: &str, step: &str) -> String {
    format!("{pointer}/{}", countersign_base::escape_step(step))
}

/// The place that a reference within the document names.
fn target(reference: &str) -> String {
    let fragment = reference.strip_prefix('#').unwrap_or(reference);
    percent_encoding::percent_decode_str(fragment)
        .decode_utf8_lossy()
        .into_owned()
}

/// Where a `$ref` leads, of those that this document may have.
pub(crate) fn referred(schema: &Value) -> Option<String> {
    schema.get("$ref").and_then(Value::as_str).map(target)
}

fn reference(pointer: &str) -> String {
    format!("#{}", utf8_percent_encode(pointer, &FRAGMENT))
}

/// What is counted over a whole document.
#[derive(Default)]
struct Seen {
    patterns: usize,
}

impl Seen {
    fn look(&mut self, value: &Value, at: &mut String) -> Result<(), (String, String)> {
        match value {
            Value::Array(items) => {
                for (position, item) in items.iter().enumerate() {
                    self.step(&position.to_string(), item, at)?;
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    self.member(name, member, at)?;
                    self.step(name, member, at)?;
                }
            }
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
        }
        Ok(())
    }

    fn step(&mut self, step: &str, value: &Value, at: &mut String) -> Result<(), (String, String)> {
        let length = at.len();
        at.push('/');
        at.push_str(&countersign_base::escape_step(step));
        self.look(value, at)?;
        at.truncate(length);
        Ok(())
    }

    fn member(&mut self, name: &str, member: &Value, at: &str) -> Result<(), (String, String)> {
        let wrong = |what: &str| Err((join(at, name), what.to_owned()));
        match (name, member) {
            ("$ref", Value::String(to)) if to != "#" && !to.starts_with("#/") => {
                wrong("a reference leads within the document: `#/components/schemas/NAME`")
            }
            (
                "$anchor" | "$dynamicAnchor" | "$dynamicRef" | "$id" | "$recursiveRef" | "$schema",
                Value::String(_),
            ) => wrong(
                "schemas have no names and dialects of their own here: refer to them by `#/components/schemas/NAME`",
            ),
            ("pattern", Value::String(pattern)) => self.pattern(pattern, name, at),
            ("patternProperties", Value::Object(patterns)) => patterns
                .keys()
                .try_for_each(|pattern| self.pattern(pattern, name, at)),
            _ => Ok(()),
        }
    }

    fn pattern(&mut self, pattern: &str, name: &str, at: &str) -> Result<(), (String, String)> {
        self.patterns += 1;
        if pattern.len() > PATTERN_BYTES_MAX || self.patterns > PATTERNS_MAX {
            let what = format!(
                "expected at most {PATTERNS_MAX} patterns of at most {PATTERN_BYTES_MAX} bytes"
            );
            return Err((join(at, name), what));
        }
        Ok(())
    }
}

/// The document as one side means it: what the other side alone may say is not required, and in requests it is refused.
fn sided(root: &Value, side: Side) -> Value {
    let mark = match side {
        Side::Request => "readOnly",
        Side::Answer => "writeOnly",
    };
    let mut memory = HashMap::new();
    rewrite(root, root, mark, side, &mut memory)
}

fn rewrite(
    value: &Value,
    root: &Value,
    mark: &str,
    side: Side,
    memory: &mut HashMap<String, bool>,
) -> Value {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| rewrite(item, root, mark, side, memory))
            .collect(),
        Value::Object(members) => {
            let others: Vec<&str> = members
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .filter(|(_, schema)| is_marked(schema, root, mark, memory))
                .map(|(name, _)| name.as_str())
                .collect();
            let rewritten = members.iter().map(|(name, member)| {
                let member = match (name.as_str(), member) {
                    ("required", Value::Array(required)) => required
                        .iter()
                        .filter(|name| !name.as_str().is_some_and(|name| others.contains(&name)))
                        .cloned()
                        .collect(),
                    ("properties", Value::Object(properties)) if !others.is_empty() => {
                        let kept = properties.iter().filter_map(|(name, schema)| {
                            let other = others.contains(&name.as_str());
                            match (other, side) {
                                // A caller who says it is refused; where an upstream says it, it is dropped as undeclared.
                                (true, Side::Request) => Some((name.clone(), Value::Bool(false))),
                                (true, Side::Answer) => None,
                                (false, _) => {
                                    Some((name.clone(), rewrite(schema, root, mark, side, memory)))
                                }
                            }
                        });
                        Value::Object(kept.collect())
                    }
                    _ => rewrite(member, root, mark, side, memory),
                };
                (name.clone(), member)
            });
            Value::Object(rewritten.collect())
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Whether a property has the mark, itself or where it refers to.
fn is_marked(schema: &Value, root: &Value, mark: &str, memory: &mut HashMap<String, bool>) -> bool {
    let marked = |schema: &Value| schema.get(mark) == Some(&Value::Bool(true));
    if marked(schema) {
        return true;
    }
    let Some(at) = referred(schema) else {
        return false;
    };
    *memory
        .entry(at)
        .or_insert_with_key(|at| root.pointer(at).is_some_and(marked))
}

impl<'d> Spot<'d> {
    pub(crate) const fn new(value: &'d Value, at: &'d str) -> Self {
        Self { value, at }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'d str> {
        self.value.get(name).and_then(Value::as_str)
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.value.get(name) == Some(&Value::Bool(true))
    }

    pub(crate) fn under(&self, name: &str) -> String {
        join(self.at, name)
    }
}
