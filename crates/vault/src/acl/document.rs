//! The part of HCL in which policies are written, and its JSON form, read into one tree.
//!
//! A document is `key "label" { ... }` and `key = value`, with comments (`#`, `//`, `/* */`), or one JSON object. Values are texts, lists, objects, numbers and truth
//! values. A name that stands there several times stays several times: nothing that was written is passed over. What HCL has beside that (heredocs, interpolation)
//! is refused. Size, depth and number of values are bounded.
//!
//! Source: HashiCorp Configuration Language, version 1 (`hashicorp/hcl` README, "Syntax").

use std::iter::Peekable;
use std::str::Chars;

/// Bytes of one document.
pub(super) const TEXT_BYTES_MAX: usize = 256 * 1024;
const DEPTH_MAX: usize = 8;
const NODES_MAX: usize = 20_000;
const LABELS_MAX: usize = 4;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// A number or truth value, which no policy needs.
    Bare,
    /// `[a, b]`.
    List(Vec<Node>),
    /// `{ ... }`, in order; names may stand there several times.
    Object(Vec<(String, Node)>),
    /// `"text"`.
    Text(String),
}

/// Why a text cannot be read. It holds nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// The line, from 1.
    pub(super) line: usize,
    /// What is wrong there.
    pub(super) what: &'static str,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Assign,
    Close,
    CloseList,
    Comma,
    End,
    Number,
    Open,
    OpenList,
    Text(String),
    Word(String),
}

/// Reads a document.
///
/// # Errors
/// When it cannot be read, or is beyond the bounds.
pub(super) fn read(text: &str) -> Result<Vec<(String, Node)>, Unreadable> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Unreadable {
            line: 1,
            what: "the text is too long",
        });
    }
    let mut reader = Reader {
        rest: text.chars().peekable(),
        line: 1,
        nodes: 0,
        ahead: None,
    };
    let whole = if *reader.peek()? == Token::Open {
        reader.next()?;
        let members = reader.members(1)?;
        reader.expect(&Token::Close, "expected `}`")?;
        members
    } else {
        reader.members(0)?
    };
    reader.expect(&Token::End, "expected the end of the text")?;
    Ok(whole)
}

struct Reader<'t> {
    rest: Peekable<Chars<'t>>,
    line: usize,
    nodes: usize,
    ahead: Option<Token>,
}

impl Reader<'_> {
    fn members(&mut self, depth: usize) -> Result<Vec<(String, Node)>, Unreadable> {
        let mut members = Vec::new();
        while !matches!(self.peek()?, Token::Close | Token::End) {
            members.push(self.member(depth)?);
            if *self.peek()? == Token::Comma {
                self.next()?;
            }
        }
        Ok(members)
    }

    /// `key = value`, or `key "label" { ... }`: an object in an object.
    fn member(&mut self, depth: usize) -> Result<(String, Node), Unreadable> {
        let name = self.name("expected a name")?;
        let mut labels = Vec::new();
        let value = loop {
            match self.peek()? {
                Token::Assign => {
                    self.next()?;
                    break self.value(depth)?;
                }
                Token::Open => break self.value(depth)?,
                _ if labels.len() < LABELS_MAX => {
                    labels.push(self.name("expected `=`, a label or `{`")?);
                }
                _ => return Err(self.fault("too many labels")),
            }
        };
        let nested = |inner, label| Node::Object(vec![(label, inner)]);
        Ok((name, labels.into_iter().rev().fold(value, nested)))
    }

    fn name(&mut self, what: &'static str) -> Result<String, Unreadable> {
        match self.next()? {
            Token::Text(text) | Token::Word(text) => Ok(text),
            _ => Err(self.fault(what)),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Unreadable> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(self.fault("the text holds too many values"));
        }
        if depth >= DEPTH_MAX {
            return Err(self.fault("the text nests too deep"));
        }
        match self.next()? {
            Token::Text(text) => Ok(Node::Text(text)),
            Token::Number => Ok(Node::Bare),
            Token::Word(word) if matches!(word.as_str(), "true" | "false" | "null") => {
                Ok(Node::Bare)
            }
            Token::Open => {
                let members = self.members(depth + 1)?;
                self.expect(&Token::Close, "expected `}`")?;
                Ok(Node::Object(members))
            }
            Token::OpenList => self.list(depth + 1),
            _ => Err(self.fault("expected a value")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Node, Unreadable> {
        let mut items = Vec::new();
        while *self.peek()? != Token::CloseList {
            items.push(self.value(depth)?);
            if *self.peek()? == Token::Comma {
                self.next()?;
            } else if *self.peek()? != Token::CloseList {
                return Err(self.fault("expected `,` or `]`"));
            }
        }
        self.next()?;
        Ok(Node::List(items))
    }

    fn expect(&mut self, token: &Token, what: &'static str) -> Result<(), Unreadable> {
        if self.next()? == *token {
            Ok(())
        } else {
            Err(self.fault(what))
        }
    }

    const fn fault(&self, what: &'static str) -> Unreadable {
        Unreadable {
            line: self.line,
            what,
        }
    }

    fn peek(&mut self) -> Result<&Token, Unreadable> {
        let token = match self.ahead.take() {
            Some(token) => token,
            None => self.token()?,
        };
        Ok(self.ahead.insert(token))
    }

    fn next(&mut self) -> Result<Token, Unreadable> {
        match self.ahead.take() {
            Some(token) => Ok(token),
            None => self.token(),
        }
    }

    fn char(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }

    fn token(&mut self) -> Result<Token, Unreadable> {
        loop {
            let Some(first) = self.char() else {
                return Ok(Token::End);
            };
            return Ok(match first {
                ' ' | '\t' | '\r' | '\n' => continue,
                '#' => {
                    self.line_comment();
                    continue;
                }
                '/' => {
                    self.comment()?;
                    continue;
                }
                '{' => Token::Open,
                '}' => Token::Close,
                '[' => Token::OpenList,
                ']' => Token::CloseList,
                ',' => Token::Comma,
                '=' | ':' => Token::Assign,
                '"' => Token::Text(self.text()?),
                first if first.is_ascii_digit() || first == '-' => {
                    self.word(first);
                    Token::Number
                }
                first if first.is_ascii_alphabetic() || first == '_' => {
                    Token::Word(self.word(first))
                }
                _ => return Err(self.fault("unexpected character")),
            });
        }
    }

    fn line_comment(&mut self) {
        while self.char().is_some_and(|next| next != '\n') {}
    }

    fn comment(&mut self) -> Result<(), Unreadable> {
        match self.char() {
            Some('/') => {
                self.line_comment();
                Ok(())
            }
            Some('*') => {
                let mut star = false;
                while let Some(next) = self.char() {
                    if star && next == '/' {
                        return Ok(());
                    }
                    star = next == '*';
                }
                Err(self.fault("a comment has no end"))
            }
            _ => Err(self.fault("unexpected character")),
        }
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        let inside = |next: &char| next.is_ascii_alphanumeric() || "_-.+".contains(*next);
        while let Some(next) = self.rest.next_if(inside) {
            word.push(next);
        }
        word
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        let mut text = String::new();
        loop {
            match self.char() {
                None | Some('\n') => return Err(self.fault("a text has no end")),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escaped()?),
                Some('$') if self.rest.peek() == Some(&'{') => {
                    return Err(self.fault("interpolation is not supported"));
                }
                Some(next) => text.push(next),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Unreadable> {
        match self.char() {
            Some(same @ ('"' | '\\' | '/')) => Ok(same),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => self.code_point(),
            _ => Err(self.fault("unknown escape")),
        }
    }

    /// `\u1234`, or the two halves of a surrogate pair.
    fn code_point(&mut self) -> Result<char, Unreadable> {
        let first = self.code_unit()?;
        let point = if (0xD800..0xDC00).contains(&first) {
            let (slash, letter) = (self.char(), self.char());
            let second = match (slash, letter) {
                (Some('\\'), Some('u')) => self.code_unit()?,
                _ => return Err(self.fault("half of a surrogate pair")),
            };
            if !(0xDC00..0xE000).contains(&second) {
                return Err(self.fault("half of a surrogate pair"));
            }
            0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)
        } else {
            first
        };
        char::from_u32(point).ok_or(self.fault("half of a surrogate pair"))
    }

    fn code_unit(&mut self) -> Result<u32, Unreadable> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.char().and_then(|next| next.to_digit(16));
            unit = unit * 16 + digit.ok_or(self.fault("unknown escape"))?;
        }
        Ok(unit)
    }
}
