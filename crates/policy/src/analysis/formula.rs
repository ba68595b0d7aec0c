//! Conditions as a small logic: `and`, `or`, and literals, which are tests that are compared by how they are written, or bounds on a whole number.
//!
//! Negations stand at the literals alone. What a literal means nobody here knows; two that are written the same are the same.

use serde_json::{Value as Json, json};

/// How deep alternatives are followed.
const DEPTH_MAX: usize = 2;

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Formula {
    All(Vec<Formula>),
    Any(Vec<Formula>),
    /// A value of text, a whole number, truth or an entity, against one: the same, or not.
    Equal {
        of: String,
        value: Json,
        holds: bool,
    },
    /// A whole number from `low` to `high`.
    Range {
        of: String,
        low: i64,
        high: i64,
    },
    /// Any other test.
    Test {
        text: String,
        holds: bool,
        type_test: Option<(String, String)>,
    },
}

impl Formula {
    /// Reads an expression of Cedar's JSON form, or its negation.
    pub(super) fn read(expression: &Json, holds: bool) -> Self {
        if let Some(value) = expression.get("Value").and_then(Json::as_bool) {
            return if value == holds {
                Self::All(Vec::new())
            } else {
                Self::Any(Vec::new())
            };
        }
        let Some((operator, operands)) = only(expression) else {
            return Self::test(expression, holds);
        };
        let both = || {
            let (left, right) = (operands.get("left")?, operands.get("right")?);
            Some((left, right))
        };
        match (operator, both()) {
            ("!", _) => match operands.get("arg") {
                Some(argument) => Self::read(argument, !holds),
                None => Self::test(expression, holds),
            },
            ("&&", Some((left, right))) => {
                Self::joined(holds, [Self::read(left, holds), Self::read(right, holds)])
            }
            ("||", Some((left, right))) => {
                Self::joined(!holds, [Self::read(left, holds), Self::read(right, holds)])
            }
            ("==", Some((left, right))) => {
                Self::equal(left, right, holds).unwrap_or_else(|| Self::test(expression, holds))
            }
            ("!=", Some((left, right))) => Self::equal(left, right, !holds)
                .unwrap_or_else(|| Self::test(&json!({ "==": operands }), !holds)),
            ("<" | "<=" | ">" | ">=", Some((left, right))) => {
                Self::range(operator, left, right, holds)
                    .unwrap_or_else(|| Self::test(expression, holds))
            }
            _ => Self::test(expression, holds),
        }
    }

    /// Its parts, all of which hold where it does.
    pub(super) fn conjuncts(self) -> Vec<Self> {
        match self {
            Self::All(parts) => parts.into_iter().flat_map(Self::conjuncts).collect(),
            Self::Any(_) | Self::Equal { .. } | Self::Range { .. } | Self::Test { .. } => {
                vec![self]
            }
        }
    }

    /// The variable and the type, if this is `principal is User` or its like.
    pub(super) fn type_test(&self) -> Option<(&str, &str)> {
        match self {
            Self::Test {
                holds: true,
                type_test: Some((variable, kind)),
                ..
            } => Some((variable, kind)),
            Self::All(_)
            | Self::Any(_)
            | Self::Equal { .. }
            | Self::Range { .. }
            | Self::Test { .. } => None,
        }
    }

    fn joined(all: bool, parts: [Self; 2]) -> Self {
        if all {
            Self::All(parts.into())
        } else {
            Self::Any(parts.into())
        }
    }

    fn test(expression: &Json, holds: bool) -> Self {
        Self::Test {
            text: expression.to_string(),
            holds,
            type_test: type_test(expression),
        }
    }

    fn equal(left: &Json, right: &Json, holds: bool) -> Option<Self> {
        let (of, value) = match (constant(left), constant(right)) {
            (None, Some(value)) => (left, value),
            (Some(value), None) => (right, value),
            (None, None) | (Some(_), Some(_)) => return None,
        };
        let of = of.to_string();
        Some(match (value.as_i64(), holds) {
            (Some(number), true) => Self::Range {
                of,
                low: number,
                high: number,
            },
            (Some(_), false) | (None, _) => Self::Equal {
                of,
                value: value.clone(),
                holds,
            },
        })
    }

    fn range(operator: &str, left: &Json, right: &Json, holds: bool) -> Option<Self> {
        let number = |side: &Json| constant(side).and_then(Json::as_i64);
        // The value on the left, the number on the right.
        let (of, operator, number) = match (number(left), number(right)) {
            (None, Some(number)) => (left, operator, number),
            (Some(number), None) => (right, turned(operator), number),
            (None, None) | (Some(_), Some(_)) => return None,
        };
        let (low, high) = match (operator, holds) {
            ("<", true) | (">=", false) => (i64::MIN, number.checked_sub(1)?),
            ("<=", true) | (">", false) => (i64::MIN, number),
            (">", true) | ("<=", false) => (number.checked_add(1)?, i64::MAX),
            (">=", true) | ("<", false) => (number, i64::MAX),
            _ => return None,
        };
        Some(Self::Range {
            of: of.to_string(),
            low,
            high,
        })
    }
}

fn turned(operator: &str) -> &str {
    match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        other => other,
    }
}

fn only(expression: &Json) -> Option<(&str, &Json)> {
    let mut members = expression.as_object()?.iter();
    let (name, value) = members.next()?;
    members.next().is_none().then_some((name.as_str(), value))
}

/// A constant that is the same as another one exactly if it is written the same: no set, record or extension.
fn constant(expression: &Json) -> Option<&Json> {
    let value = expression.get("Value")?;
    match value {
        Json::Bool(_) | Json::Number(_) | Json::String(_) => Some(value),
        Json::Object(object) => {
            (object.len() == 1 && object.contains_key("__entity")).then_some(value)
        }
        Json::Array(_) | Json::Null => None,
    }
}

fn type_test(expression: &Json) -> Option<(String, String)> {
    let test = expression.get("is")?;
    if test.get("in").is_some() {
        return None;
    }
    let variable = test.get("left")?.get("Var")?.as_str()?;
    let kind = test.get("entity_type")?.as_str()?;
    Some((variable.to_owned(), kind.to_owned()))
}

/// What holds where a policy is true, all of it.
#[derive(Debug)]
pub(super) struct Facts(Vec<Formula>);

impl Facts {
    pub(super) fn of(formulas: Vec<Formula>) -> Self {
        Self(formulas.into_iter().flat_map(Formula::conjuncts).collect())
    }

    /// The type that a variable has to have.
    pub(super) fn type_of(&self, variable: &str) -> Option<String> {
        let mut tests = self.0.iter().filter_map(Formula::type_test);
        let test = tests.find(|(of, _)| *of == variable)?;
        Some(test.1.to_owned())
    }

    /// Whether they cannot hold together.
    pub(super) fn contradict(&self) -> bool {
        contradict(&self.0, DEPTH_MAX)
    }

    /// Whether `goal` holds wherever they do.
    pub(super) fn imply(&self, goal: &Formula) -> bool {
        imply(&self.0, goal, DEPTH_MAX)
    }
}

/// The facts with one more in place of the alternatives at `position`.
fn with(facts: &[Formula], position: usize, one: &Formula) -> Vec<Formula> {
    let rest = facts.iter().enumerate().filter(|(at, _)| *at != position);
    rest.map(|(_, fact)| fact.clone())
        .chain(one.clone().conjuncts())
        .collect()
}

/// Whether something is so whichever of some alternatives among the facts is the case.
fn whichever(facts: &[Formula], depth: usize, is_so: impl Fn(&[Formula], usize) -> bool) -> bool {
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    facts.iter().enumerate().any(|(position, fact)| match fact {
        Formula::Any(alternatives) => alternatives
            .iter()
            .all(|one| is_so(&with(facts, position, one), depth)),
        Formula::All(_) | Formula::Equal { .. } | Formula::Range { .. } | Formula::Test { .. } => {
            false
        }
    })
}

fn imply(facts: &[Formula], goal: &Formula, depth: usize) -> bool {
    let met = match goal {
        Formula::All(parts) => return parts.iter().all(|part| imply(facts, part, depth)),
        Formula::Any(parts) => parts.iter().any(|part| imply(facts, part, depth)),
        Formula::Equal { of, value, holds } => {
            facts.iter().any(|fact| says(fact, of, value, *holds))
        }
        Formula::Range { of, low, high } => {
            bounds(facts, of).is_some_and(|(from, to)| *low <= from && to <= *high)
        }
        Formula::Test { .. } => facts.contains(goal),
    };
    met || whichever(facts, depth, |facts, depth| {
        contradict(facts, depth) || imply(facts, goal, depth)
    })
}

/// Whether a fact says that a value is, or is not, this one.
fn says(fact: &Formula, of: &str, value: &Json, holds: bool) -> bool {
    match fact {
        Formula::Equal {
            of: known,
            value: other,
            holds: true,
        } => known == of && (other == value) == holds,
        Formula::Equal {
            of: known,
            value: other,
            holds: false,
        } => known == of && other == value && !holds,
        Formula::Range {
            of: known,
            low,
            high,
        } => {
            let outside = |number: i64| number < *low || *high < number;
            known == of && !holds && value.as_i64().is_some_and(outside)
        }
        Formula::All(_) | Formula::Any(_) | Formula::Test { .. } => false,
    }
}

/// What the facts bound a whole number to, if they speak of it.
fn bounds(facts: &[Formula], of: &str) -> Option<(i64, i64)> {
    let ranges = facts.iter().filter_map(|fact| match fact {
        Formula::Range {
            of: known,
            low,
            high,
        } if known == of => Some((*low, *high)),
        Formula::All(_)
        | Formula::Any(_)
        | Formula::Equal { .. }
        | Formula::Range { .. }
        | Formula::Test { .. } => None,
    });
    ranges.reduce(|(low, high), (from, to)| (low.max(from), high.min(to)))
}

fn contradict(facts: &[Formula], depth: usize) -> bool {
    let at_once = facts.iter().any(|fact| match fact {
        Formula::All(_) => false,
        Formula::Any(alternatives) => alternatives.is_empty(),
        Formula::Equal { of, value, holds } => {
            facts.iter().any(|other| says(other, of, value, !*holds))
        }
        Formula::Range { of, .. } => bounds(facts, of).is_some_and(|(low, high)| low > high),
        Formula::Test { text, holds, .. } => facts.iter().any(|other| match other {
            Formula::Test {
                text: known,
                holds: other,
                ..
            } => known == text && other != holds,
            Formula::All(_) | Formula::Any(_) | Formula::Equal { .. } | Formula::Range { .. } => {
                false
            }
        }),
    });
    at_once || whichever(facts, depth, contradict)
}
