//! Parameters of an operation: in path, query, header fields and cookies (OpenAPI 3.1 §4.8.12).
//!
//! Read are the styles `simple` (path, fields) and `form` (query, cookies), of single values and of lists, and JSON in `content`. A document that has others is refused: what nobody reads
//! nobody checks. A value that may be a number is read as one, and as text; it fits if one reading does.

use super::document::{Document, DocumentError, Side, Spot, join};
use super::{Fault, Place};
use crate::json::{self, Integers};
use http::header::HeaderMap;
use jsonschema::Validator;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Parameters of a query that are looked at.
const QUERY_PARAMETERS_MAX: usize = 256;
/// The elements of one list.
const ELEMENTS_MAX: usize = 1_000;

/// One parameter.
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) place: Place,
    required: bool,
    form: Form,
    validator: Validator,
}

/// How its value is written.
enum Form {
    /// Values of a list come one by one.
    Each(Kinds),
    /// A JSON document.
    Json,
    /// A list in one value, with this between its elements.
    List(char, Kinds),
    /// One value.
    One(Kinds),
}

/// What a text may be read as, beside text.
#[derive(Debug, Clone, Copy, Default)]
struct Kinds {
    boolean: bool,
    null: bool,
    number: bool,
}

impl Parameter {
    /// Reads a parameter; absent for header fields that OpenAPI leaves to others.
    pub(crate) fn compile(
        document: &Document,
        pointer: &str,
    ) -> Result<Option<Self>, DocumentError> {
        let (at, value) = document.at(pointer)?;
        let spot = Spot::new(value, &at);
        let wrong = |name: &str, what: &str| Err(document.error(&spot.under(name), what));
        let Some(name) = spot.text("name").filter(|name| !name.is_empty()) else {
            return wrong("name", "expected a name");
        };
        let place = match spot.text("in") {
            Some("cookie") => Place::Cookie,
            Some("header") => Place::Header,
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some(_) | None => return wrong("in", "expected `path`, `query`, `header` or `cookie`"),
        };
        let lower = name.to_ascii_lowercase();
        if place == Place::Header
            && ["accept", "authorization", "content-type"].contains(&lower.as_str())
        {
            return Ok(None);
        }
        if spot.is_true("allowReserved") || spot.is_true("allowEmptyValue") {
            return wrong(
                "name",
                "`allowReserved` and `allowEmptyValue` are not supported",
            );
        }
        let (schema, json) = schema_of(document, &spot)?;
        let form = if json {
            Form::Json
        } else {
            form(document, &spot, &schema, place)?
        };
        super::shape::bounded(document, Side::Request, &schema)?;
        Ok(Some(Self {
            name: if place == Place::Header {
                lower
            } else {
                name.to_owned()
            },
            place,
            required: spot.is_true("required"),
            form,
            validator: document.validator(Side::Request, &schema)?,
        }))
    }

    fn fault(&self, keyword: &str, schema: &str) -> Fault {
        Fault::at_parameter(self.place, &self.name, keyword, schema)
    }

    /// Judges all values that came under its name.
    pub(crate) fn judge(&self, values: &[Cow<'_, str>]) -> Result<(), Fault> {
        let one = match values {
            [] if self.required => return Err(self.fault("required", "")),
            [] => return Ok(()),
            [one] => Some(one.as_ref()),
            // The first, the last, all: who knows which of them the upstream reads.
            [_, _, ..] => None,
        };
        match (&self.form, one) {
            (Form::Each(kinds), _) => self.list(values.iter().map(|value| value.as_ref()), *kinds),
            (Form::Json | Form::List(..) | Form::One(_), None) => Err(self.fault("repeated", "")),
            (Form::Json, Some(text)) => {
                let read = json::value(text.as_bytes(), Integers::Exact);
                let value = read.map_err(|error| self.fault(error.fault().as_str(), ""))?;
                self.fits(&value)
            }
            (Form::List(separator, kinds), Some(text)) => self.list(text.split(*separator), *kinds),
            (Form::One(kinds), Some(text)) => {
                let mut first = None;
                for reading in kinds.readings(text) {
                    match self.fits(&reading) {
                        Ok(()) => return Ok(()),
                        Err(fault) => first = first.or(Some(fault)),
                    }
                }
                first.map_or(Ok(()), Err)
            }
        }
    }

    /// A list fits with its elements read as what they may be, or all as text.
    fn list<'t>(
        &self,
        elements: impl Iterator<Item = &'t str> + Clone,
        kinds: Kinds,
    ) -> Result<(), Fault> {
        if elements.clone().nth(ELEMENTS_MAX).is_some() {
            return Err(self.fault("maxItems", ""));
        }
        let read: Value = elements
            .clone()
            .map(|text| kinds.readings(text).into_iter().next().unwrap_or_default())
            .collect();
        self.fits(&read).or_else(|fault| {
            self.fits(&elements.map(Value::from).collect())
                .map_err(|_| fault)
        })
    }

    fn fits(&self, value: &Value) -> Result<(), Fault> {
        self.validator.validate(value).map_err(|error| {
            let keyword = error.kind().keyword().to_owned();
            self.fault(&keyword, error.schema_path().as_str())
        })
    }
}

/// Where the schema of a parameter is, and whether its value is JSON.
fn schema_of(document: &Document, spot: &Spot<'_>) -> Result<(String, bool), DocumentError> {
    if spot.value.get("schema").is_some() {
        return Ok((spot.under("schema"), false));
    }
    let content = spot.under("content");
    let json = join(&content, "application/json");
    match spot.value.pointer("/content/application~1json/schema") {
        Some(_) => Ok((join(&json, "schema"), true)),
        None => Err(document.error(
            &content,
            "a parameter has a `schema`, or `content` of `application/json` that has one",
        )),
    }
}

fn form(
    document: &Document,
    spot: &Spot<'_>,
    schema: &str,
    place: Place,
) -> Result<Form, DocumentError> {
    let usual = match place {
        Place::Cookie | Place::Query => "form",
        Place::Body | Place::Header | Place::Path => "simple",
    };
    let style = spot.text("style").unwrap_or(usual);
    let explode = spot.value.get("explode").and_then(Value::as_bool);
    let separator = match (style, place) {
        ("spaceDelimited", Place::Query) => ' ',
        ("pipeDelimited", Place::Query) => '|',
        _ if style == usual => ',',
        _ => {
            return Err(document.error(
                &spot.under("style"),
                format!("style `{style}` is not supported here"),
            ));
        }
    };
    let mut names = Vec::new();
    types(document, schema, &mut names, 0)?;
    let has = |name: &str| names.iter().any(|known| known == name);
    if has("object") {
        return Err(document.error(
            schema,
            "objects in parameters are not supported: write them as JSON, in `content`",
        ));
    }
    let mut kinds = Kinds {
        boolean: has("boolean"),
        null: has("null"),
        number: has("integer") || has("number"),
    };
    if !has("array") {
        return Ok(Form::One(kinds));
    }
    let mut of_items = Vec::new();
    types(document, &join(schema, "items"), &mut of_items, 0)?;
    let has = |name: &str| of_items.iter().any(|known| known == name);
    kinds.boolean |= has("boolean");
    kinds.number |= has("integer") || has("number");
    let each = style == "form" && explode.unwrap_or(true);
    Ok(if each {
        Form::Each(kinds)
    } else {
        Form::List(separator, kinds)
    })
}

/// The types that a schema names, of itself and of what holds of the same value.
fn types(
    document: &Document,
    pointer: &str,
    found: &mut Vec<String>,
    depth: usize,
) -> Result<(), DocumentError> {
    if depth > 8 {
        return Ok(());
    }
    let Ok((at, schema)) = document.schema_at(Side::Request, pointer) else {
        return Ok(());
    };
    match schema.get("type") {
        Some(Value::String(one)) => found.push(one.clone()),
        Some(Value::Array(many)) => {
            found.extend(many.iter().filter_map(Value::as_str).map(str::to_owned))
        }
        Some(_) | None => {}
    }
    for name in ["allOf", "anyOf", "oneOf"] {
        let count = schema
            .get(name)
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        for position in 0..count {
            types(
                document,
                &format!("{at}/{name}/{position}"),
                found,
                depth + 1,
            )?;
        }
    }
    Ok(())
}

impl Kinds {
    /// What a text can be read as, the narrowest first.
    fn readings(self, text: &str) -> Vec<Value> {
        let mut readings = Vec::with_capacity(2);
        if self.number {
            // As JSON writes numbers: no sign before, no hexadecimal, nothing around.
            let read = json::value(text.as_bytes(), Integers::Exact).ok();
            readings.extend(
                read.filter(|value| value.is_number() && !text.contains(char::is_whitespace)),
            );
        }
        match text {
            "true" | "false" if self.boolean => readings.push(Value::Bool(text == "true")),
            "" | "null" if self.null => readings.push(Value::Null),
            _ => {}
        }
        readings.push(Value::from(text));
        readings
    }
}

/// What becomes of parameters in a query that the document does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// They are refused.
    Refused,
    /// The operation says `x-countersign-unknown-query: "pass"`.
    Passed,
}

/// Judges the query.
pub(crate) fn judge_query(
    parameters: &[Parameter],
    unknown: Unknown,
    query: Option<&str>,
) -> Result<(), Fault> {
    let mut values: BTreeMap<Cow<'_, str>, Vec<Cow<'_, str>>> = BTreeMap::new();
    let query = query.unwrap_or_default();
    for (count, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if count >= QUERY_PARAMETERS_MAX {
            return Err(Fault::new(Place::Query, "", "maxProperties", ""));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (form_decoded(name), form_decoded(value)) else {
            return Err(Fault::new(Place::Query, "", "utf8", ""));
        };
        values.entry(name).or_default().push(value);
    }
    let of_query = || {
        parameters
            .iter()
            .filter(|parameter| parameter.place == Place::Query)
    };
    if unknown == Unknown::Refused {
        let known = |name: &str| of_query().any(|parameter| parameter.name == name);
        if let Some(other) = values.keys().find(|name| !known(name)) {
            return Err(Fault::at_parameter(Place::Query, other, "unknown", ""));
        }
    }
    for parameter in of_query() {
        let none = Vec::new();
        let found = values.get(parameter.name.as_str()).unwrap_or(&none);
        parameter.judge(found)?;
    }
    Ok(())
}

/// As forms write it: `+` is a space.
fn form_decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['+', '%']) {
        return Some(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced)
        .decode_utf8()
        .ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}

/// Judges header fields and cookies. Others than those the document names are not its business.
pub(crate) fn judge_fields(parameters: &[Parameter], headers: &HeaderMap) -> Result<(), Fault> {
    for parameter in parameters {
        let values = match parameter.place {
            Place::Header => fields(headers, parameter)?,
            Place::Cookie => cookies(headers, parameter)?,
            Place::Body | Place::Path | Place::Query => continue,
        };
        parameter.judge(&values)?;
    }
    Ok(())
}

fn fields<'h>(headers: &'h HeaderMap, parameter: &Parameter) -> Result<Vec<Cow<'h, str>>, Fault> {
    let values = headers
        .get_all(parameter.name.as_str())
        .iter()
        .map(|value| {
            let text = value.to_str().map_err(|_| parameter.fault("utf8", ""))?;
            Ok(Cow::Borrowed(text.trim()))
        });
    values.collect()
}

fn cookies<'h>(headers: &'h HeaderMap, parameter: &Parameter) -> Result<Vec<Cow<'h, str>>, Fault> {
    let mut found = Vec::new();
    for line in headers.get_all(http::header::COOKIE) {
        let line = line.to_str().map_err(|_| parameter.fault("utf8", ""))?;
        let pairs = line
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='));
        let named = pairs.filter(|(name, _)| *name == parameter.name);
        found.extend(named.map(|(_, value)| Cow::Borrowed(value)));
    }
    Ok(found)
}
