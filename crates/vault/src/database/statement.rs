//! Statements that operators write, with `{{name}}`, `{{password}}` and `{{expiration}}` in them: read as PostgreSQL reads them (manual, §4.1), so that a value
//! always stays the one identifier or the one literal that it is meant to be (CVE-2026-39946, CVE-2023-0620).
//!
//! - `"{{name}}"`: the value stands in an identifier; its double quotes are doubled.
//! - `'{{name}}'`: the value is the whole literal; its quotes are doubled.
//! - `{{name}}` by itself becomes a quoted identifier, and `{{password}}` and `{{expiration}}` a literal.
//! - Anywhere else (within a longer literal, a body between dollar signs, a comment) what is quoted would be read again as something that this program cannot
//!   know, so only values without any special character may stand there.

use crate::VaultError;
use crate::body::Body;
use countersign_base::Secret;
use countersign_crypto::base64;
use serde_json::Value as Json;

/// Statements of one kind that a role may have.
const STATEMENTS_MAX: usize = 64;
/// Bytes of all of them together.
const BYTES_MAX: usize = 64 * 1024;

/// What a placeholder stands for.
pub(super) struct Values<'v> {
    /// `{{name}}` and `{{username}}`.
    pub(super) name: &'v str,
    /// `{{password}}`.
    pub(super) password: Option<&'v str>,
    /// `{{expiration}}`, as PostgreSQL reads an instant.
    pub(super) expiration: Option<&'v str>,
}

/// Placeholders.
const PLACEHOLDERS: [&str; 4] = ["{{name}}", "{{username}}", "{{password}}", "{{expiration}}"];

/// Reads a member that is a list of statements, or one text with `;` between them, also in base64.
///
/// # Errors
/// When it is neither, is too long, or a statement leaves a quote open.
pub(super) fn read(body: &Body, name: &str) -> Result<Option<Vec<String>>, VaultError> {
    let texts = match body.value(name) {
        None => return Ok(None),
        Some(Json::String(text)) => of_text(text),
        Some(Json::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>(),
        Some(_) => None,
    };
    let texts = texts
        .ok_or_else(|| VaultError::invalid(format!("`{name}` must be a list of statements")))?;
    if texts.len() > STATEMENTS_MAX || texts.iter().map(String::len).sum::<usize>() > BYTES_MAX {
        return Err(VaultError::TooLarge);
    }
    for text in &texts {
        pieces(text)?;
    }
    Ok(Some(texts))
}

fn of_text(text: &str) -> Option<Vec<String>> {
    let encoded = base64::decode(text.trim())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let text = encoded.as_deref().unwrap_or(text).trim();
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(list) => Some(list),
        Err(_) if text.is_empty() => Some(Vec::new()),
        Err(_) => Some(vec![text.to_owned()]),
    }
}

/// The statements with the values in them, one by one.
///
/// # Errors
/// When a value cannot stand where its placeholder does.
pub(super) fn render(
    texts: &[String],
    values: &Values<'_>,
) -> Result<Vec<Secret<String>>, VaultError> {
    let mut statements = Vec::new();
    for text in texts {
        let mut statement = String::new();
        for piece in pieces(text)? {
            match piece.kind {
                Kind::End => finish(&mut statement, &mut statements),
                _ => statement.push_str(&piece.filled(values)?),
            }
        }
        finish(&mut statement, &mut statements);
    }
    Ok(statements)
}

fn finish(statement: &mut String, statements: &mut Vec<Secret<String>>) {
    let text = std::mem::take(statement);
    if !text.trim().is_empty() {
        statements.push(Secret::new(text));
    }
}

/// A name as an identifier.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal, whatever `standard_conforming_strings` says.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// How PostgreSQL reads a part of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Keywords and names.
    Code,
    /// What is quoted in another way: between dollar signs, with escapes, as a comment.
    Deep,
    /// `;` between two statements.
    End,
    /// `"..."`.
    Identifier,
    /// `'...'`.
    Literal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece<'t> {
    kind: Kind,
    text: &'t str,
}

impl Piece<'_> {
    /// The part with the values in it. What a value holds is never looked at again.
    fn filled(&self, values: &Values<'_>) -> Result<String, VaultError> {
        let (mut text, mut rest) = (String::new(), self.text);
        while let Some((before, placeholder, after)) = next_placeholder(rest) {
            text.push_str(before);
            text.push_str(&self.written(placeholder, values)?);
            rest = after;
        }
        text.push_str(rest);
        Ok(text)
    }

    fn written(&self, placeholder: &str, values: &Values<'_>) -> Result<String, VaultError> {
        let (is_name, value) = match placeholder {
            "{{password}}" => (false, values.password),
            "{{expiration}}" => (false, values.expiration),
            _ => (true, Some(values.name)),
        };
        let value = value.ok_or_else(|| {
            VaultError::invalid(format!("`{placeholder}` has no value in this statement"))
        })?;
        let is_whole = self.text == format!("'{placeholder}'");
        match self.kind {
            Kind::Code | Kind::End if is_name => Ok(identifier(value)),
            Kind::Code | Kind::End => Ok(literal(value)),
            Kind::Identifier => Ok(value.replace('"', "\"\"")),
            Kind::Literal if is_whole && !value.contains('\\') => Ok(value.replace('\'', "''")),
            Kind::Deep | Kind::Literal if is_plain(value) => Ok(value.to_owned()),
            Kind::Deep | Kind::Literal => Err(VaultError::invalid(format!(
                "a value with special characters cannot stand where `{placeholder}` does: write \"{{{{name}}}}\" or '{{{{password}}}}' by itself"
            ))),
        }
    }
}

fn next_placeholder(text: &str) -> Option<(&str, &'static str, &str)> {
    let found = PLACEHOLDERS
        .iter()
        .filter_map(|placeholder| Some((text.find(placeholder)?, *placeholder)));
    let (_, placeholder) = found.min_by_key(|(at, _)| *at)?;
    let (before, after) = text.split_once(placeholder)?;
    Some((before, placeholder, after))
}

/// Whether a text means itself however often it is read again as SQL: what this program generates does.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| {
        c.is_ascii_alphanumeric()
            || matches!(c, '_' | '.' | '-' | ':' | '+' | '/' | '=' | '$' | ' ')
    })
}

/// A statement in its parts.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, VaultError> {
    if text.contains('\0') {
        return Err(VaultError::invalid("a statement holds a character NUL"));
    }
    let open = || VaultError::invalid("a statement leaves a quote or a comment open");
    let mut found = Vec::new();
    let (mut rest, mut code) = (text, 0);
    while let Some(ahead) = rest.get(code..) {
        let Some(first) = ahead.chars().next() else {
            break;
        };
        let before = rest.get(..code).unwrap_or_default();
        let Some((kind, length)) = begins(before, ahead).ok_or_else(open)? else {
            code += first.len_utf8();
            continue;
        };
        let (quoted, after) = ahead.split_at_checked(length).ok_or_else(open)?;
        push(&mut found, Kind::Code, before);
        push(&mut found, kind, quoted);
        (rest, code) = (after, 0);
    }
    push(&mut found, Kind::Code, rest);
    Ok(found)
}

fn push<'t>(found: &mut Vec<Piece<'t>>, kind: Kind, text: &'t str) {
    if !text.is_empty() {
        found.push(Piece { kind, text });
    }
}

/// What begins here, and its bytes; the outer `None` when it does not end.
fn begins(before: &str, ahead: &str) -> Option<Option<(Kind, usize)>> {
    let found = match ahead.chars().next() {
        Some(';') => (Kind::End, 1),
        Some('"') if ends_with_prefix(before, "u&") => (Kind::Deep, quoted(ahead, '"', None)?),
        Some('"') => (Kind::Identifier, quoted(ahead, '"', None)?),
        Some('\'') if ends_with_prefix(before, "e") => {
            (Kind::Deep, quoted(ahead, '\'', Some('\\'))?)
        }
        Some('\'') if ends_with_prefix(before, "u&") => (Kind::Deep, quoted(ahead, '\'', None)?),
        Some('\'') => (Kind::Literal, quoted(ahead, '\'', None)?),
        Some('-') if ahead.starts_with("--") => {
            (Kind::Deep, ahead.find(['\n', '\r']).unwrap_or(ahead.len()))
        }
        Some('/') if ahead.starts_with("/*") => (Kind::Deep, comment(ahead)?),
        Some('$') if !before.ends_with(is_word) => match tag(ahead) {
            Some(tag) => {
                let body = ahead.get(tag.len()..)?;
                (Kind::Deep, 2 * tag.len() + body.find(tag)?)
            }
            None => return Some(None),
        },
        Some(_) | None => return Some(None),
    };
    Some(Some(found))
}

/// Whether what stands before a quote is one of the prefixes that change what the quote means.
fn ends_with_prefix(before: &str, prefix: &str) -> bool {
    let Some(start) = before.len().checked_sub(prefix.len()) else {
        return false;
    };
    before
        .split_at_checked(start)
        .is_some_and(|(ahead, end)| end.eq_ignore_ascii_case(prefix) && !ahead.ends_with(is_word))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// Bytes up to the closing quote, with it; a doubled quote closes nothing.
fn quoted(ahead: &str, quote: char, escape: Option<char>) -> Option<usize> {
    let mut characters = ahead.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if Some(character) == escape {
            characters.next()?;
        } else if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return Some(at + 1);
        }
    }
    None
}

/// Bytes of a comment, in which others may stand.
fn comment(ahead: &str) -> Option<usize> {
    let (mut depth, mut at) = (0u32, 0);
    loop {
        let rest = ahead.get(at..)?;
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += rest.chars().next()?.len_utf8();
        }
    }
}

/// `$$` or `$tag$` at the beginning.
fn tag(ahead: &str) -> Option<&str> {
    let name = ahead.strip_prefix('$')?;
    let end = name.find('$')?;
    let name = name.get(..end)?;
    let fits = name.chars().all(|c| is_word(c) && c != '$')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    fits.then(|| ahead.get(..end + 2))?
}

#[cfg(test)]
mod tests;
