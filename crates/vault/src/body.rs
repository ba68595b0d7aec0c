//! The members of a request's body, read as weakly as clients write them: numbers as strings, lists as `a,b`, `null` as absent.

use crate::duration;
use crate::error::VaultError;
use countersign_base::Duration;
use serde_json::{Map, Value as Json};

/// The body of a request: a JSON object, or nothing. It may hold secrets: no `Debug`.
#[derive(Default, Clone)]
pub struct Body(Map<String, Json>);

/// The deepest that bodies nest.
const DEPTH_MAX: usize = 32;
/// Strings in one body.
const STRINGS_MAX: usize = 100_000;
/// Commas in one body, those inside of strings among them: what is read is many times as large as how it was written, and there is one value more than commas.
const COMMAS_MAX: usize = 250_000;

impl Body {
    /// Reads a body. An empty one, `null` and `{}` are nothing.
    ///
    /// # Errors
    /// When it is no JSON object, nests too deep, or holds too many strings. The text never repeats it.
    pub fn parse(bytes: &[u8]) -> Result<Self, VaultError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        if bytes.iter().filter(|byte| **byte == b',').count() > COMMAS_MAX {
            return Err(VaultError::invalid("the body holds too many values"));
        }
        let value: Json = serde_json::from_slice(bytes).map_err(|error| {
            VaultError::invalid(format!(
                "failed to parse JSON input (line {}, column {})",
                error.line(),
                error.column()
            ))
        })?;
        Self::of(value)
    }

    /// Takes a value that was parsed.
    ///
    /// # Errors
    /// As [`Body::parse`].
    pub fn of(value: Json) -> Result<Self, VaultError> {
        let mut strings = 0;
        if !bounded(&value, 0, &mut strings) {
            return Err(VaultError::invalid(
                "the body nests too deep or holds too many strings",
            ));
        }
        match value {
            Json::Null => Ok(Self::default()),
            Json::Object(members) => Ok(Self(members)),
            _ => Err(VaultError::invalid(
                "failed to parse JSON input: expected an object",
            )),
        }
    }

    /// The member as it was sent; `null` is absent.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Json> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether a member is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// All members.
    #[must_use]
    pub const fn members(&self) -> &Map<String, Json> {
        &self.0
    }

    /// A text; a number or truth value is taken as its text.
    ///
    /// # Errors
    /// When it is a list or an object.
    pub fn text(&self, name: &str) -> Result<Option<String>, VaultError> {
        match self.value(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(Json::Number(number)) => Ok(Some(number.to_string())),
            Some(Json::Bool(value)) => Ok(Some(value.to_string())),
            Some(_) => Err(expected(name, "a string")),
        }
    }

    /// A text that has to be there.
    ///
    /// # Errors
    /// When it is missing, or as [`Body::text`].
    pub fn required_text(&self, name: &str) -> Result<String, VaultError> {
        self.text(name)?
            .ok_or_else(|| VaultError::invalid(format!("missing {name}")))
    }

    /// An integer, or a string of its digits.
    ///
    /// # Errors
    /// When it is neither.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, VaultError> {
        match self.value(name) {
            None => Ok(None),
            Some(Json::Number(number)) => number
                .as_i64()
                .map(Some)
                .ok_or_else(|| expected(name, "an integer")),
            Some(Json::String(text)) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| expected(name, "an integer")),
            Some(_) => Err(expected(name, "an integer")),
        }
    }

    /// An integer from 0 to 4294967295.
    ///
    /// # Errors
    /// When it is none.
    pub fn count(&self, name: &str) -> Result<Option<u32>, VaultError> {
        self.integer(name)?
            .map(|number| u32::try_from(number).map_err(|_| expected(name, "a count")))
            .transpose()
    }

    /// A truth value, or `"true"`, `"false"`, `"1"`, `"0"`.
    ///
    /// # Errors
    /// When it is none.
    pub fn truth(&self, name: &str) -> Result<Option<bool>, VaultError> {
        match self.value(name) {
            None => Ok(None),
            Some(Json::Bool(value)) => Ok(Some(*value)),
            Some(Json::String(text)) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "t" => Ok(Some(true)),
                "false" | "0" | "f" | "" => Ok(Some(false)),
                _ => Err(expected(name, "a boolean")),
            },
            Some(Json::Number(number)) => Ok(Some(number.as_i64() != Some(0))),
            Some(_) => Err(expected(name, "a boolean")),
        }
    }

    /// Integer seconds, or a text such as `1h30m`.
    ///
    /// # Errors
    /// When it is neither, or negative.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, VaultError> {
        self.value(name)
            .map(|value| duration::of_json(value).ok_or_else(|| expected(name, "a duration")))
            .transpose()
    }

    /// A list of texts, or one text with commas between them.
    ///
    /// # Errors
    /// When it is neither.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, VaultError> {
        match self.value(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(
                text.split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect(),
            )),
            Some(Json::Array(items)) => items
                .iter()
                .map(|item| match item {
                    Json::String(text) => Ok(text.clone()),
                    Json::Number(number) => Ok(number.to_string()),
                    _ => Err(expected(name, "a list of strings")),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(expected(name, "a list of strings")),
        }
    }

    /// A record of texts.
    ///
    /// # Errors
    /// When it is none.
    pub fn text_map(
        &self,
        name: &str,
    ) -> Result<Option<std::collections::BTreeMap<String, String>>, VaultError> {
        match self.value(name) {
            None => Ok(None),
            Some(Json::Object(members)) => members
                .iter()
                .map(|(key, value)| match value {
                    Json::String(text) => Ok((key.clone(), text.clone())),
                    _ => Err(expected(name, "a map of strings")),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(expected(name, "a map of strings")),
        }
    }

    /// A record.
    ///
    /// # Errors
    /// When it is none.
    pub fn object(&self, name: &str) -> Result<Option<&Map<String, Json>>, VaultError> {
        match self.value(name) {
            None => Ok(None),
            Some(Json::Object(members)) => Ok(Some(members)),
            Some(_) => Err(expected(name, "an object")),
        }
    }
}

fn expected(name: &str, what: &str) -> VaultError {
    VaultError::invalid(format!("`{name}` must be {what}"))
}

fn bounded(value: &Json, depth: usize, strings: &mut usize) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    let mut inner = |value: &Json| bounded(value, depth + 1, strings);
    match value {
        Json::Array(items) => items.iter().all(inner),
        Json::Object(members) => {
            members.values().all(&mut inner) && {
                *strings += members.len();
                *strings <= STRINGS_MAX
            }
        }
        Json::String(_) => {
            *strings += 1;
            *strings <= STRINGS_MAX
        }
        Json::Bool(_) | Json::Null | Json::Number(_) => true,
    }
}

#[cfg(test)]
mod tests;
