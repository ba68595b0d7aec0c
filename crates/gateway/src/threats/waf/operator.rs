//! What a rule asks of a value.
//!
//! Expressions run in the `regex` crate, in time linear in the value, on bytes as ModSecurity's do. The few that look around or refer back run in
//! `fancy-regex`, which counts its steps and gives up at [`STEPS_MAX`], on values up to [`LOOKED_AROUND_BYTES_MAX`]: beyond that the engine has failed, and a mismatch is not
//! claimed. What opens files (the
//! lists of phrases beside the rules) does so when rules are loaded; what would ask the network or run programs is refused there.

use super::rule::{Captures, Names};
use super::state::{State, leading_number};
use super::template::Template;
use super::values::Values;
use super::{Failure, Limit};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use zentinel_modsec::operators::{Operator as Engine, compile_operator};
use zentinel_modsec::parser::{OperatorName, OperatorSpec};

/// Steps of an expression that looks around or refers back, on one value.
const STEPS_MAX: usize = 50_000;
/// Bytes of a value that such an expression looks at: it may begin anew at each.
const LOOKED_AROUND_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a compiled expression.
const PROGRAM_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Expressions that are made of variables and kept.
const MADE_MAX: usize = 64;
/// Groups that rules may read.
const GROUPS_MAX: usize = 10;

/// A test of one value.
pub(super) enum Operator {
    Always,
    Backtracking(Box<fancy_regex::Regex>),
    Bytes([bool; 256]),
    Compare(Comparison, Template),
    Engine(Arc<dyn Engine>),
    Expression(regex::bytes::Regex),
    MadeExpression(Template, Mutex<BTreeMap<Arc<str>, regex::bytes::Regex>>),
    Never,
    Text(TextTest, Template),
}

/// Of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
}

/// Of texts: the value against the argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextTest {
    BeginsWith,
    Contains,
    EndsWith,
    Equals,
    Within,
}

/// What a test found: the groups, if they are kept.
pub(super) type Found = Option<Vec<String>>;

impl Operator {
    /// Compiles a test. Files of phrases must stand below one of `dirs`.
    ///
    /// # Errors
    /// Why it cannot be used, as a sentence for whoever wrote the rule.
    pub(super) fn compile(
        spec: &OperatorSpec,
        names: &mut Names,
        files: &dyn Fn(&Path) -> Result<(), String>,
    ) -> Result<Self, String> {
        use OperatorName as Name;
        let mut template = || {
            Template::parse(&spec.argument, names)
                .map_err(|name| format!("`{name}` is not known here"))
        };
        let comparison = |kind, template| Ok(Self::Compare(kind, template));
        let text = |kind, template| Ok(Self::Text(kind, template));
        match spec.name {
            Name::Rx => Self::expression(template()?),
            Name::PmFromFile | Name::IpMatchFromFile | Name::IpMatchF => {
                files(Path::new(&spec.argument))?;
                Self::engine(spec)
            }
            Name::Pm
            | Name::IpMatch
            | Name::DetectSqli
            | Name::DetectXss
            | Name::ValidateUrlEncoding
            | Name::ValidateUtf8Encoding => Self::engine(spec),
            Name::ValidateByteRange => bytes_outside(&spec.argument).map(Self::Bytes),
            Name::Eq => comparison(Comparison::Equal, template()?),
            Name::Ne => comparison(Comparison::NotEqual, template()?),
            Name::Gt => comparison(Comparison::Greater, template()?),
            Name::Ge => comparison(Comparison::GreaterOrEqual, template()?),
            Name::Lt => comparison(Comparison::Less, template()?),
            Name::Le => comparison(Comparison::LessOrEqual, template()?),
            Name::StreQ => text(TextTest::Equals, template()?),
            Name::Contains | Name::StrMatch => text(TextTest::Contains, template()?),
            Name::BeginsWith => text(TextTest::BeginsWith, template()?),
            Name::EndsWith => text(TextTest::EndsWith, template()?),
            Name::Within => text(TextTest::Within, template()?),
            Name::NoMatch => Ok(Self::Never),
            Name::UnconditionalMatch => Ok(Self::Always),
            Name::InspectFile | Name::FuzzyHash => {
                Err("an operator that runs programs or opens files is not run".to_owned())
            }
            Name::Rbl | Name::GsbLookup => {
                Err("an operator that asks the network is not run".to_owned())
            }
            Name::ContainsWord
            | Name::GeoLookup
            | Name::Pmf
            | Name::Rsub
            | Name::ValidateDtd
            | Name::ValidateHash
            | Name::ValidateSchema
            | Name::VerifyCc
            | Name::VerifyCpf
            | Name::VerifySsn => Err("the engine does not have this operator".to_owned()),
        }
    }

    fn engine(spec: &OperatorSpec) -> Result<Self, String> {
        compile_operator(spec)
            .map(Self::Engine)
            .map_err(|error| error.to_string())
    }

    fn expression(template: Template) -> Result<Self, String> {
        let Some(pattern) = template.fixed() else {
            return Ok(Self::MadeExpression(template, Mutex::default()));
        };
        let pattern = &plain_classes(pattern);
        if let Ok(expression) = bytes_expression(pattern) {
            return Ok(Self::Expression(expression));
        }
        fancy_regex::RegexBuilder::new(pattern)
            .dot_matches_new_line(true)
            .multi_line(true)
            .backtrack_limit(STEPS_MAX)
            .delegate_size_limit(PROGRAM_BYTES_MAX)
            .build()
            .map(|expression| Self::Backtracking(Box::new(expression)))
            .map_err(|error| format!("the expression cannot be compiled: {error}"))
    }

    /// Whether `value` passes.
    ///
    /// # Errors
    /// When the engine gave up.
    pub(super) fn test(
        &self,
        value: &str,
        captures: Captures,
        context: Context<'_>,
    ) -> Result<Found, Failure> {
        let Context {
            state,
            values,
            rule,
        } = context;
        let found = |holds: bool| holds.then(|| whole(value, captures));
        Ok(match self {
            Self::Always => found(true),
            Self::Never => None,
            Self::Bytes(outside) => {
                let is_outside = |byte: u8| outside.get(usize::from(byte)).is_none_or(|out| *out);
                found(value.bytes().any(is_outside))
            }
            Self::Compare(comparison, argument) => {
                let right = leading_number(&argument.text(state, values, rule));
                found(comparison.holds(leading_number(value), right))
            }
            Self::Text(test, argument) => {
                found(test.holds(value, &argument.text(state, values, rule)))
            }
            Self::Engine(engine) => {
                let result = engine.execute(value);
                result.matched.then(|| match captures {
                    Captures::Kept => vec![result.matched_value.unwrap_or_default()],
                    Captures::Unused => Vec::new(),
                })
            }
            Self::Expression(expression) => matches(expression, value, captures),
            Self::MadeExpression(template, made) => {
                let pattern = template.text(state, values, rule);
                matches(&made_expression(made, pattern)?, value, captures)
            }
            Self::Backtracking(_) if value.len() > LOOKED_AROUND_BYTES_MAX => {
                return Err(Failure::Limit(Limit::Steps));
            }
            Self::Backtracking(expression) => {
                let gave_up = |_| Failure::Limit(Limit::Steps);
                match captures {
                    Captures::Unused => expression.is_match(value).map_err(gave_up)?.then(Vec::new),
                    Captures::Kept => expression.captures(value).map_err(gave_up)?.map(|groups| {
                        let text = |group: usize| {
                            groups
                                .get(group)
                                .map_or_else(String::new, |found| found.as_str().to_owned())
                        };
                        (0..groups.len().min(GROUPS_MAX)).map(text).collect()
                    }),
                }
            }
        })
    }
}

/// What templates read.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) state: &'a State,
    pub(super) values: &'a Values,
    pub(super) rule: u32,
}

impl Comparison {
    const fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::NotEqual => left != right,
        }
    }
}

impl TextTest {
    fn holds(self, value: &str, argument: &str) -> bool {
        match self {
            Self::BeginsWith => value.starts_with(argument),
            Self::Contains => value.contains(argument),
            Self::EndsWith => value.ends_with(argument),
            Self::Equals => value == argument,
            Self::Within => argument.contains(value),
        }
    }
}

fn whole(value: &str, captures: Captures) -> Vec<String> {
    match captures {
        Captures::Kept => vec![value.to_owned()],
        Captures::Unused => Vec::new(),
    }
}

/// As ModSecurity has PCRE do it: on bytes, a dot takes line ends too, and lines have their own begin and end.
fn bytes_expression(pattern: &str) -> Result<regex::bytes::Regex, regex::Error> {
    regex::bytes::RegexBuilder::new(pattern)
        .unicode(false)
        .dot_matches_new_line(true)
        .multi_line(true)
        .size_limit(PROGRAM_BYTES_MAX)
        .build()
}

/// Classes as PCRE reads them: `[`, `&&`, `--` and `~~` in a class are characters, where the engines here know classes in classes and operations on them.
pub(super) fn plain_classes(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len() + 8);
    let mut letters = pattern.chars().peekable();
    let mut class = false;
    let mut before = None;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                plain.push(letter);
                plain.extend(letters.next());
                before = None;
                continue;
            }
            '[' if !class => {
                class = true;
                plain.push(letter);
                // What comes first is a character, `]` too.
                if letters.peek() == Some(&'^') {
                    plain.extend(letters.next());
                }
                if letters.peek() == Some(&']') {
                    letters.next();
                    plain.push_str("\\]");
                }
                before = None;
                continue;
            }
            '[' if letters.peek() == Some(&':') => {
                // A class with a name goes on to its own end.
                plain.push(letter);
                for inner in letters.by_ref() {
                    plain.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
                before = None;
                continue;
            }
            '[' => plain.push_str("\\["),
            ']' => {
                class = false;
                plain.push(letter);
            }
            '&' | '-' | '~' if class && before == Some(letter) => {
                plain.push('\\');
                plain.push(letter);
            }
            _ => plain.push(letter),
        }
        before = Some(letter);
    }
    plain
}

fn matches(expression: &regex::bytes::Regex, value: &str, captures: Captures) -> Found {
    match captures {
        Captures::Unused => expression.is_match(value.as_bytes()).then(Vec::new),
        Captures::Kept => expression.captures(value.as_bytes()).map(|groups| {
            let text = |group: usize| {
                groups.get(group).map_or_else(String::new, |found| {
                    String::from_utf8_lossy(found.as_bytes()).into_owned()
                })
            };
            (0..groups.len().min(GROUPS_MAX)).map(text).collect()
        }),
    }
}

fn made_expression(
    made: &Mutex<BTreeMap<Arc<str>, regex::bytes::Regex>>,
    pattern: Arc<str>,
) -> Result<regex::bytes::Regex, Failure> {
    let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = made.get(&pattern) {
        return Ok(known.clone());
    }
    let expression = bytes_expression(&plain_classes(&pattern)).map_err(|_| Failure::Engine)?;
    if made.len() >= MADE_MAX {
        made.clear();
    }
    made.insert(pattern, expression.clone());
    Ok(expression)
}

/// The bytes that `9,10,13,32-126` does not name.
fn bytes_outside(ranges: &str) -> Result<[bool; 256], String> {
    let mut outside = [true; 256];
    for range in ranges.split(',').map(str::trim) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| {
            text.trim()
                .parse::<u8>()
                .map_err(|_| format!("`{range}` is not a range of bytes"))
        };
        for byte in number(first)?..=number(last)? {
            if let Some(slot) = outside.get_mut(usize::from(byte)) {
                *slot = false;
            }
        }
    }
    Ok(outside)
}
