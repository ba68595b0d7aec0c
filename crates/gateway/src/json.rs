//! JSON that two readers read alike: RFC 8259 with what I-JSON (RFC 7493 §2) adds. A member that stands twice, what is not UTF-8, half of a surrogate pair, and a
//! number that a common reader cannot hold are refused, and depth and number of values have limits.
//!
//! What was read keeps the very text of its numbers and strings, so that what is written again says what it said. Not here: what a document has to look like.

use countersign_base::escape_step;
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// Arrays and objects within each other.
pub const DEPTH_MAX: usize = 64;
/// Values of a document, of any kind.
pub const VALUES_MAX: usize = 100_000;
/// Bytes of a number.
const NUMBER_BYTES_MAX: usize = 64;
/// Bytes of the place that an error names; names in it may be those of a caller.
const PLACE_BYTES_MAX: usize = 256;

/// What is wrong with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonFault {
    /// More than [`DEPTH_MAX`] levels.
    Depth,
    /// A member stands twice.
    Duplicate,
    /// A number that common readers cannot hold: an integer of more than 64 bits, or beyond the range of a double.
    Number,
    /// It is no JSON.
    Syntax,
    /// More than [`VALUES_MAX`] values.
    TooMany,
    /// It is not UTF-8.
    Utf8,
}

impl JsonFault {
    /// As answers and records name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Depth => "depth",
            Self::Duplicate => "duplicate",
            Self::Number => "number",
            Self::Syntax => "syntax",
            Self::TooMany => "values",
            Self::Utf8 => "utf8",
        }
    }
}

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    fault: JsonFault,
    /// Steps from the innermost outwards.
    steps: Vec<String>,
}

impl JsonError {
    const fn new(fault: JsonFault) -> Self {
        Self {
            fault,
            steps: Vec::new(),
        }
    }

    fn under(mut self, step: impl fmt::Display) -> Self {
        self.steps.push(step.to_string());
        self
    }

    /// What.
    #[must_use]
    pub const fn fault(&self) -> JsonFault {
        self.fault
    }

    /// Where: a JSON pointer, cut off after 256 bytes.
    #[must_use]
    pub fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in self.steps.iter().rev() {
            let step = escape_step(step);
            if pointer.len() + 1 + step.len() > PLACE_BYTES_MAX {
                break;
            }
            pointer.push('/');
            pointer.push_str(&step);
        }
        pointer
    }
}

/// What is made of integers of more than 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integers {
    /// They are refused: readers round them differently.
    Exact,
    /// They pass. Whoever compares them sees the nearest double.
    Rounded,
}

/// A value with the text it was read from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Array(Vec<Node<'a>>),
    Bool(bool),
    Null,
    Number(&'a str),
    Object(Vec<Member<'a>>),
    /// As written between the quotes, and as read.
    String(&'a str, Cow<'a, str>),
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member<'a> {
    /// As written between the quotes.
    raw: &'a str,
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: Node<'a>,
}

/// Reads a document.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn read(bytes: &[u8], integers: Integers) -> Result<Node<'_>, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::new(JsonFault::Utf8))?;
    let mut reader = Reader {
        text,
        at: 0,
        left: VALUES_MAX,
        integers,
    };
    let node = reader.value(0)?;
    reader.space();
    if reader.at == text.len() {
        Ok(node)
    } else {
        Err(JsonError::new(JsonFault::Syntax))
    }
}

/// Reads a document into the form that schemas and policies look at.
///
/// # Errors
/// As [`read`].
pub fn value(bytes: &[u8], integers: Integers) -> Result<Value, JsonError> {
    read(bytes, integers).map(|node| node.to_value())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    left: usize,
    integers: Integers,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn syntax<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::new(JsonFault::Syntax))
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, JsonError> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or(JsonError::new(JsonFault::TooMany))?;
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(|(raw, text)| Node::String(raw, text)),
            Some(b't') => self.word("true", Node::Bool(true)),
            Some(b'f') => self.word("false", Node::Bool(false)),
            Some(b'n') => self.word("null", Node::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) | None => self.syntax(),
        }
    }

    fn word(&mut self, word: &str, node: Node<'a>) -> Result<Node<'a>, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return self.syntax();
        }
        self.at += word.len();
        Ok(node)
    }

    fn array(&mut self, depth: usize) -> Result<Node<'a>, JsonError> {
        deeper(depth)?;
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.take(b']') {
            return Ok(Node::Array(items));
        }
        loop {
            let item = self.value(depth + 1);
            items.push(item.map_err(|error| error.under(items.len()))?);
            self.space();
            if self.take(b']') {
                return Ok(Node::Array(items));
            }
            if !self.take(b',') {
                return self.syntax();
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node<'a>, JsonError> {
        deeper(depth)?;
        self.at += 1;
        let mut members = Vec::new();
        self.space();
        if self.take(b'}') {
            return Ok(Node::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return self.syntax();
            }
            let (raw, name) = self.string()?;
            self.space();
            if !self.take(b':') {
                return self.syntax();
            }
            let value = self.value(depth + 1).map_err(|error| error.under(&name))?;
            members.push(Member { raw, name, value });
            self.space();
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return self.syntax();
            }
        }
        match repeated(&members) {
            None => Ok(Node::Object(members)),
            Some(name) => Err(JsonError::new(JsonFault::Duplicate).under(name)),
        }
    }

    /// The text between the quotes, as written and as read.
    fn string(&mut self) -> Result<(&'a str, Cow<'a, str>), JsonError> {
        let begin = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            match self.peek() {
                None | Some(0..=0x1f) => return self.syntax(),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        let quoted = self.text.get(begin..self.at).unwrap_or_default();
        let raw = quoted
            .get(1..quoted.len().saturating_sub(1))
            .unwrap_or_default();
        if !escaped {
            return Ok((raw, Cow::Borrowed(raw)));
        }
        match serde_json::from_str(quoted) {
            Ok(text) => Ok((raw, Cow::Owned(text))),
            Err(_) => self.syntax(),
        }
    }

    fn number(&mut self) -> Result<Node<'a>, JsonError> {
        let begin = self.at;
        while matches!(
            self.peek(),
            Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
        ) {
            self.at += 1;
        }
        let text = self.text.get(begin..self.at).unwrap_or_default();
        let number = || JsonError::new(JsonFault::Number);
        if text.len() > NUMBER_BYTES_MAX {
            return Err(number());
        }
        // The library knows the grammar. What it refuses although it has the grammar is past the range of a double.
        let Ok(read) = serde_json::from_str::<Number>(text) else {
            let range = text.contains(['e', 'E']) && !text.ends_with(['e', 'E', '+', '-']);
            return Err(if range {
                number()
            } else {
                JsonError::new(JsonFault::Syntax)
            });
        };
        let integer = !text.contains(['.', 'e', 'E']);
        if integer && read.is_f64() && self.integers == Integers::Exact && text != "-0" {
            return Err(number());
        }
        Ok(Node::Number(text))
    }
}

const fn deeper(depth: usize) -> Result<(), JsonError> {
    if depth < DEPTH_MAX {
        Ok(())
    } else {
        Err(JsonError::new(JsonFault::Depth))
    }
}

/// A name that stands twice.
fn repeated<'m>(members: &'m [Member<'_>]) -> Option<&'m str> {
    // Most objects are small, and then looking at all pairs costs less than a set.
    if members.len() <= 8 {
        let mut seen: &[Member<'_>] = members;
        while let Some((first, rest)) = seen.split_first() {
            if rest.iter().any(|other| other.name == first.name) {
                return Some(&first.name);
            }
            seen = rest;
        }
        return None;
    }
    let mut seen = HashSet::with_capacity(members.len());
    members
        .iter()
        .map(|member| member.name.as_ref())
        .find(|name| !seen.insert(*name))
}

impl Node<'_> {
    /// The form that schemas and policies look at.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Array(items) => items.iter().map(Self::to_value).collect(),
            Self::Bool(value) => Value::Bool(*value),
            Self::Null => Value::Null,
            Self::Number(text) => serde_json::from_str(text).map_or(Value::Null, Value::Number),
            Self::Object(members) => {
                let mut map = Map::new();
                for member in members {
                    map.insert(member.name.clone().into_owned(), member.value.to_value());
                }
                Value::Object(map)
            }
            Self::String(_, text) => Value::String(text.clone().into_owned()),
        }
    }

    /// Writes it as it was read, without the space between.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Array(items) => {
                out.push(b'[');
                for (position, item) in items.iter().enumerate() {
                    separate(position, out);
                    item.write(out);
                }
                out.push(b']');
            }
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Null => out.extend_from_slice(b"null"),
            Self::Number(text) => out.extend_from_slice(text.as_bytes()),
            Self::Object(members) => {
                out.push(b'{');
                for (position, member) in members.iter().enumerate() {
                    separate(position, out);
                    quote(member.raw, out);
                    out.push(b':');
                    member.value.write(out);
                }
                out.push(b'}');
            }
            Self::String(raw, _) => quote(raw, out),
        }
    }
}

fn separate(position: usize, out: &mut Vec<u8>) {
    if position > 0 {
        out.push(b',');
    }
}

fn quote(raw: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(raw.as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests;
