//! The language of templates: text, and references to secrets in it. It is closed: nothing is run, and no file, variable or clock is read.
//!
//! ```text
//! template  = *( text / tag )
//! tag       = "{{" ( string / reference ) "}}"          spaces and line breaks between words
//! reference = verb path [ field ] *( name "=" string ) [ "|" filter ]
//! verb      = "secret" / "issue"                        path, field = string
//! filter    = "base64" / "base64_decode" / "env" / "json" / "toml"
//! string    = DQUOTE *( character / "\" DQUOTE / "\\" ) DQUOTE
//! ```
//!
//! A tag that is a string alone stands for itself: `{{ "{{" }}` writes `{{`. Without a field, a reference is the whole secret, which only `json` can write.

mod filter;
mod render;
mod scan;

pub use filter::Filter;
pub use render::RenderError;

use crate::request::{Request, RequestError, Verb};
use scan::Scanner;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a template.
const TEMPLATE_MAX: usize = 256 * 1024;
/// Tags in a template.
const TAGS_MAX: usize = 1_000;
/// Characters of a field's name.
const FIELD_MAX: usize = 256;

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Box<Reference>),
}

/// A reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reference {
    line: usize,
    request: Request,
    field: Option<String>,
    filter: Option<Filter>,
}

/// What is wrong with a template, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct TemplateError {
    line: usize,
    fault: Fault,
}

impl TemplateError {
    /// The line, counted from one.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// What is wrong, without the line.
    #[must_use]
    pub fn fault(&self) -> String {
        self.fault.to_string()
    }
}

/// What is wrong with a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("expected {expected}{}", after(found))]
    Expected {
        expected: &'static str,
        found: Option<String>,
    },
    #[error("a field's name has 1 to 256 characters and none that control")]
    Field,
    #[error("the parameter `{0}` stands there twice")]
    ParameterTwice(String),
    #[error("{0}")]
    Request(RequestError),
    #[error("a template has at most 256 KiB and 1000 tags")]
    TooLarge,
    #[error("unknown {what} `{word}`; the nearest is `{nearest}`")]
    Unknown {
        what: &'static str,
        word: String,
        nearest: &'static str,
    },
    #[error(
        "a tag that begins with `{{{{` does not end with `}}}}`; to write `{{{{`, write `{{{{ \"{{{{\" }}}}`"
    )]
    Unended,
    #[error(
        "a whole secret is written by `| json` alone; name a field: `secret \"path\" \"field\"`"
    )]
    Whole,
}

fn after(found: &Option<String>) -> String {
    found
        .as_ref()
        .map(|found| format!(", found `{found}`"))
        .unwrap_or_default()
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its line.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let at = |line, fault| TemplateError { line, fault };
        if text.len() > TEMPLATE_MAX {
            return Err(at(1, Fault::TooLarge));
        }
        let (mut pieces, mut rest, mut tags) = (Vec::new(), text, 0_usize);
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            tags += 1;
            let line = line_of(text, after);
            if tags > TAGS_MAX {
                return Err(at(line, Fault::TooLarge));
            }
            let mut scanner = Scanner::new(after);
            let piece = tag(&mut scanner, line);
            pieces.push(piece.map_err(|fault| at(line_of(text, scanner.last()), fault))?);
            rest = scanner.rest();
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }

    /// What it asks the vault for, each once.
    #[must_use]
    pub fn requests(&self) -> BTreeSet<&Request> {
        self.references()
            .map(|reference| &reference.request)
            .collect()
    }

    fn references(&self) -> impl Iterator<Item = &Reference> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Value(reference) => Some(reference.as_ref()),
        })
    }
}

/// The line in which `rest`, the end of `text`, begins.
fn line_of(text: &str, rest: &str) -> usize {
    let before = text.len().saturating_sub(rest.len());
    let breaks = text.bytes().take(before).filter(|byte| *byte == b'\n');
    breaks.count() + 1
}

/// What stands between the braces, both ends of it taken.
fn tag(scanner: &mut Scanner<'_>, line: usize) -> Result<Piece, Fault> {
    if let Some(literal) = scanner.string()? {
        scanner.end()?;
        return Ok(Piece::Text(literal));
    }
    let word = scanner.word().ok_or_else(|| Fault::Expected {
        expected: "`secret`, `issue` or a string",
        found: scanner.found(),
    })?;
    let verb = known("reference", word, &Verb::ALL)?;
    let path = scanner.string()?.ok_or_else(|| Fault::Expected {
        expected: "a path in quotes, such as `\"secret/data/billing\"`",
        found: scanner.found(),
    })?;
    let field = scanner.string()?;
    let fits = |field: &String| {
        (1..=FIELD_MAX).contains(&field.chars().count()) && !field.chars().any(char::is_control)
    };
    if !field.as_ref().is_none_or(fits) {
        return Err(Fault::Field);
    }
    let parameters = parameters(scanner)?;
    let filter = filter(scanner)?;
    scanner.end()?;
    if field.is_none() && filter != Some(Filter::Json) {
        return Err(Fault::Whole);
    }
    let request = Request::new(verb, &path, parameters).map_err(Fault::Request)?;
    Ok(Piece::Value(Box::new(Reference {
        line,
        request,
        field,
        filter,
    })))
}

fn parameters(scanner: &mut Scanner<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let mut parameters = BTreeMap::new();
    while let Some(name) = scanner.word() {
        let expected = |expected| move |found| Fault::Expected { expected, found };
        if !scanner.takes('=') {
            return Err(expected("`=` and a value in quotes after a parameter")(
                scanner.found(),
            ));
        }
        let value = scanner
            .string()?
            .ok_or_else(|| expected("the parameter's value in quotes")(scanner.found()))?;
        if parameters.insert(name.to_owned(), value).is_some() {
            return Err(Fault::ParameterTwice(name.to_owned()));
        }
    }
    Ok(parameters)
}

fn filter(scanner: &mut Scanner<'_>) -> Result<Option<Filter>, Fault> {
    if !scanner.takes('|') {
        return Ok(None);
    }
    let word = scanner.word().ok_or_else(|| Fault::Expected {
        expected: "a filter: `base64`, `base64_decode`, `env`, `json` or `toml`",
        found: scanner.found(),
    })?;
    known("filter", word, &Filter::ALL).map(Some)
}

/// What has this name.
fn known<T: Copy>(what: &'static str, word: &str, all: &[(&'static str, T)]) -> Result<T, Fault> {
    if let Some((_, found)) = all.iter().find(|(name, _)| *name == word) {
        return Ok(*found);
    }
    let nearest = all.iter().map(|(name, _)| (distance(word, name), *name));
    Err(Fault::Unknown {
        what,
        word: word.to_owned(),
        nearest: nearest.min().map_or("", |(_, name)| name),
    })
}

/// How many letters must be typed differently (Levenshtein).
pub(crate) fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (position, from) in left.chars().enumerate() {
        let (mut diagonal, mut previous) = (position, position + 1);
        for (cell, to) in row.iter_mut().skip(1).zip(right.chars()) {
            let substituted = diagonal + usize::from(from != to);
            diagonal = *cell;
            *cell = substituted.min(previous + 1).min(diagonal + 1);
            previous = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = position + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
