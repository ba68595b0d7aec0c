//! The words of a tag, one after the other.

use super::Fault;

/// Characters of a word that an error repeats.
const SHOWN_MAX: usize = 24;
/// Bytes of a string.
const STRING_MAX: usize = 8_192;

/// What is left of a template, from within a tag.
pub(super) struct Scanner<'a> {
    rest: &'a str,
    /// Where the last word began: errors are about it.
    last: &'a str,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(rest: &'a str) -> Self {
        Self { rest, last: rest }
    }

    /// What stands behind what was taken.
    pub(super) const fn rest(&self) -> &'a str {
        self.rest
    }

    /// Where the word began that was looked at last.
    pub(super) const fn last(&self) -> &'a str {
        self.last
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.last = self.rest;
    }

    /// A word of letters, digits and `_`, if one stands here.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        self.skip();
        let other = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let length = self.rest.find(other).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(length)?;
        if word.is_empty() {
            return None;
        }
        self.rest = rest;
        Some(word)
    }

    /// Takes this sign, if it stands here.
    pub(super) fn takes(&mut self, sign: char) -> bool {
        self.skip();
        let taken = self.rest.strip_prefix(sign);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    /// A string in quotes, if one begins here.
    pub(super) fn string(&mut self) -> Result<Option<String>, Fault> {
        self.skip();
        let Some(inside) = self.rest.strip_prefix('"') else {
            return Ok(None);
        };
        let (mut text, mut characters) = (String::new(), inside.chars());
        loop {
            let next = match characters.next() {
                Some('"') => break,
                Some('\\') => characters.next().filter(|c| matches!(c, '"' | '\\')),
                Some(c) if !c.is_control() => Some(c),
                Some(_) | None => None,
            };
            let wrong = || Fault::Expected {
                expected: "a string that ends in its line; inside it, `\\\"` and `\\\\` are the only escapes",
                found: None,
            };
            text.push(next.filter(|_| text.len() < STRING_MAX).ok_or_else(wrong)?);
        }
        self.rest = characters.as_str();
        Ok(Some(text))
    }

    /// The end of the tag.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.skip();
        match self.rest.strip_prefix("}}") {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None if self.rest.is_empty() => Err(Fault::Unended),
            None => Err(Fault::Expected {
                expected: "`}}`",
                found: self.found(),
            }),
        }
    }

    /// What stands here, for an error: a word at most.
    pub(super) fn found(&self) -> Option<String> {
        let word: String = self
            .rest
            .chars()
            .take_while(|c| !c.is_whitespace())
            .take(SHOWN_MAX)
            .collect();
        (!word.is_empty()).then_some(word)
    }
}
