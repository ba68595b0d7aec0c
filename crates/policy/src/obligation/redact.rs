//! A JSON text with values masked, dropped and cut.
//!
//! The text is read once, member by member, so that a member which stands there twice is masked twice, a name is compared as it is meant and not as it is
//! escaped, and what is not touched stays as the upstream wrote it, numbers of any length included. What is no JSON, or nested too deep, is carried out by nobody: it is refused.

use super::Obligations;
use super::path::Step;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// How deep answers may be nested.
const DEPTH_MAX: usize = 128;
/// What a masked text reads.
const MASKED_TEXT: &str = "\"***\"";
/// What a masked value that is no text reads.
const MASKED_VALUE: &str = "null";

/// Why obligations cannot be carried out on an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCarriedOut {
    /// It is nested deeper than 128 levels.
    #[error("the answer is nested too deep")]
    Depth,
    /// It is no JSON text, or a name in it is no text.
    #[error("the answer is no JSON")]
    Json,
    /// What should be cut is no array.
    #[error("what has to be limited is no array")]
    NoArray,
}

impl Obligations {
    /// The JSON text `answer` with these obligations carried out.
    ///
    /// # Errors
    /// When it is no JSON, is nested too deep, or has something else where an array has to be cut. Nothing of it may be passed on then.
    pub fn carry_out(&self, answer: &[u8]) -> Result<Vec<u8>, NotCarriedOut> {
        // The whole text is valid before any of it is looked at, so that what follows can rely on its form.
        let whole: &RawValue = serde_json::from_slice(answer).map_err(|_| NotCarriedOut::Json)?;
        let rules = self.rules();
        let start: Vec<State> = (0..rules.len())
            .map(|rule| State { rule, step: 0 })
            .collect();
        let mut redactor = Redactor {
            rules,
            text: whole.get(),
            at: 0,
            out: Vec::with_capacity(answer.len()),
        };
        let states = redactor.reach(start);
        redactor.value(&states, 0)?;
        Ok(redactor.out)
    }

    fn rules(&self) -> Vec<Rule<'_>> {
        let dropped = self.drop.iter().map(|path| Rule {
            steps: path.steps(),
            act: Act::Drop,
        });
        let masked = self.mask.iter().map(|path| Rule {
            steps: path.steps(),
            act: Act::Mask,
        });
        let rows = self.rows.iter().map(|(path, most)| Rule {
            steps: path.steps(),
            act: Act::Cut(usize::try_from(*most).unwrap_or(usize::MAX)),
        });
        dropped.chain(masked).chain(rows).collect()
    }
}

/// What happens to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Cut(usize),
    Drop,
    Mask,
}

struct Rule<'o> {
    steps: &'o [Step],
    act: Act,
}

/// How far a rule has come on the way to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    rule: usize,
    step: usize,
}

/// What leads from a container to a value in it.
enum Token<'t> {
    Element(usize),
    Member(&'t str),
}

impl Token<'_> {
    fn is(&self, name: &str) -> bool {
        match self {
            // RFC 6901 §4: an index has no leading zeros.
            Self::Element(index) => {
                let plain = name == "0" || !name.starts_with('0');
                let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
                plain && digits && name.parse() == Ok(*index)
            }
            Self::Member(member) => *member == name,
        }
    }
}

struct Redactor<'o, 't> {
    rules: Vec<Rule<'o>>,
    text: &'t str,
    at: usize,
    out: Vec<u8>,
}

impl<'t> Redactor<'_, 't> {
    fn step(&self, state: State) -> Option<&Step> {
        self.rules.get(state.rule)?.steps.get(state.step)
    }

    /// The states with those that `**` reaches by standing for nothing.
    fn reach(&self, mut states: Vec<State>) -> Vec<State> {
        let mut next = 0;
        while let Some(state) = states.get(next).copied() {
            next += 1;
            if self.step(state) == Some(&Step::Deep) {
                let over = State {
                    step: state.step + 1,
                    ..state
                };
                if !states.contains(&over) {
                    states.push(over);
                }
            }
        }
        states
    }

    fn advance(&self, states: &[State], token: &Token<'_>) -> Vec<State> {
        let mut next: Vec<State> = Vec::new();
        for state in states {
            let over = State {
                step: state.step + 1,
                ..*state
            };
            let reached = match self.step(*state) {
                Some(Step::Any) => over,
                Some(Step::Deep) => *state,
                Some(Step::Named(name)) if token.is(name) => over,
                Some(Step::Named(_)) | None => continue,
            };
            if !next.contains(&reached) {
                next.push(reached);
            }
        }
        self.reach(next)
    }

    /// What rules that end at these states say, the strictest of them.
    fn act(&self, states: &[State]) -> Option<Act> {
        let ended = states.iter().filter(|state| self.step(**state).is_none());
        let acts = ended.filter_map(|state| self.rules.get(state.rule).map(|rule| rule.act));
        acts.reduce(|one, other| match (one, other) {
            (Act::Drop, _) | (_, Act::Drop) => Act::Drop,
            (Act::Mask, _) | (_, Act::Mask) => Act::Mask,
            (Act::Cut(one), Act::Cut(other)) => Act::Cut(one.min(other)),
        })
    }

    fn value(&mut self, states: &[State], depth: usize) -> Result<(), NotCarriedOut> {
        if depth > DEPTH_MAX {
            return Err(NotCarriedOut::Depth);
        }
        self.skip_space();
        let most = match self.act(states) {
            Some(Act::Cut(most)) => Some(most),
            Some(Act::Drop | Act::Mask) | None => None,
        };
        match self.peek() {
            Some(b'[') if !states.is_empty() => self.array(states, most, depth),
            Some(b'{') if !states.is_empty() && most.is_none() => self.object(states, depth),
            _ => {
                let raw = self.skip()?;
                if most.is_some() && raw != "null" {
                    return Err(NotCarriedOut::NoArray);
                }
                self.out.extend_from_slice(raw.as_bytes());
                Ok(())
            }
        }
    }

    fn array(
        &mut self,
        states: &[State],
        most: Option<usize>,
        depth: usize,
    ) -> Result<(), NotCarriedOut> {
        self.take(b'[')?;
        self.out.push(b'[');
        let (mut index, mut written) = (0_usize, 0_usize);
        self.skip_space();
        while self.peek() != Some(b']') {
            let next = self.advance(states, &Token::Element(index));
            let act = self.act(&next);
            if act == Some(Act::Drop) || most.is_some_and(|most| written >= most) {
                self.skip()?;
            } else {
                self.comma(written);
                self.kept(act, &next, depth)?;
                written += 1;
            }
            index += 1;
            self.more(b']')?;
        }
        self.take(b']')?;
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, states: &[State], depth: usize) -> Result<(), NotCarriedOut> {
        self.take(b'{')?;
        self.out.push(b'{');
        let mut written = 0_usize;
        self.skip_space();
        while self.peek() != Some(b'}') {
            let raw = self.string()?;
            let name = name_of(raw)?;
            self.skip_space();
            self.take(b':')?;
            let next = self.advance(states, &Token::Member(&name));
            let act = self.act(&next);
            if act == Some(Act::Drop) {
                self.skip()?;
            } else {
                self.comma(written);
                self.out.extend_from_slice(raw.as_bytes());
                self.out.push(b':');
                self.kept(act, &next, depth)?;
                written += 1;
            }
            self.more(b'}')?;
        }
        self.take(b'}')?;
        self.out.push(b'}');
        Ok(())
    }

    /// A value that stays, masked or with what is in it.
    fn kept(
        &mut self,
        act: Option<Act>,
        states: &[State],
        depth: usize,
    ) -> Result<(), NotCarriedOut> {
        if act != Some(Act::Mask) {
            return self.value(states, depth + 1);
        }
        let masked = if self.skip()?.starts_with('"') {
            MASKED_TEXT
        } else {
            MASKED_VALUE
        };
        self.out.extend_from_slice(masked.as_bytes());
        Ok(())
    }

    fn comma(&mut self, written: usize) {
        if written > 0 {
            self.out.push(b',');
        }
    }

    /// To the next element or member, or to the end of them.
    fn more(&mut self, end: u8) -> Result<(), NotCarriedOut> {
        self.skip_space();
        if self.peek() != Some(end) {
            self.take(b',')?;
            self.skip_space();
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Result<(), NotCarriedOut> {
        if self.peek() != Some(byte) {
            return Err(NotCarriedOut::Json);
        }
        self.at += 1;
        Ok(())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A string with its quotes.
    fn string(&mut self) -> Result<&'t str, NotCarriedOut> {
        let start = self.at;
        self.take(b'"')?;
        loop {
            match self.peek() {
                Some(b'"') => break,
                // Whatever is escaped, a quote with it, is no end.
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(NotCarriedOut::Json),
            }
        }
        self.at += 1;
        self.text.get(start..self.at).ok_or(NotCarriedOut::Json)
    }

    /// The next value as it is written, whatever it is.
    fn skip(&mut self) -> Result<&'t str, NotCarriedOut> {
        self.skip_space();
        let start = self.at;
        let mut open = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => _ = self.string()?,
                Some(b'{' | b'[') => (open, self.at) = (open + 1, self.at + 1),
                Some(b'}' | b']') if open > 0 => (open, self.at) = (open - 1, self.at + 1),
                Some(b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') if open > 0 => self.at += 1,
                Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E') => self.plain(),
                Some(_) | None => return Err(NotCarriedOut::Json),
            }
            if open == 0 {
                break;
            }
        }
        self.text.get(start..self.at).ok_or(NotCarriedOut::Json)
    }

    /// A number, `true`, `false` or `null`.
    fn plain(&mut self) {
        while let Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E') = self.peek() {
            self.at += 1;
        }
    }
}

/// The name that a member has, whatever is escaped in it.
fn name_of(raw: &str) -> Result<Cow<'_, str>, NotCarriedOut> {
    if raw.contains('\\') {
        let name: String = serde_json::from_str(raw).map_err(|_| NotCarriedOut::Json)?;
        return Ok(Cow::Owned(name));
    }
    let inner = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
    inner.map(Cow::Borrowed).ok_or(NotCarriedOut::Json)
}
