//! Which clauses of a set's policies a run of questions has seen true, and which false: for tests of policies.
//!
//! A policy that decided a case says little of its second `when`. So each `when` and `unless` is asked alone, of every question that the head of its policy lets through and every clause before it
//! held for: what stands behind a clause that does not hold is not evaluated then, and a question says nothing of it. A clause that cannot be evaluated is seen as neither.
//!
//! Not here: what a set decides ([`crate::decide()`]), and conditions inside of a clause.

use crate::query::Query;
use crate::set::{PolicyError, PolicyId, PolicySet, parsed};
use cedar_policy::{Authorizer, Decision, Entities, Policy, Request};
use serde_json::{Value as Json, json};

/// The clauses of a set, and what was seen of them.
pub struct Clauses {
    authorizer: Authorizer,
    policies: Vec<Parts>,
}

/// A policy in parts.
struct Parts {
    /// Its head alone.
    head: cedar_policy::PolicySet,
    clauses: Vec<Part>,
}

struct Part {
    alone: cedar_policy::PolicySet,
    clause: Clause,
}

/// The kind of a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClauseKind {
    /// The policy counts unless it is true.
    Unless,
    /// The policy counts when it is true.
    When,
}

impl ClauseKind {
    /// As policies write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unless => "unless",
            Self::When => "when",
        }
    }
}

/// One clause, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// The policy.
    pub policy: PolicyId,
    /// Its place among the policy's clauses, from 1.
    pub number: usize,
    /// What it is.
    pub kind: ClauseKind,
    /// It, in one line.
    pub text: String,
    /// Whether what stands in it was true of some question.
    pub seen_true: bool,
    /// Whether it was false of some question.
    pub seen_false: bool,
}

/// What one question says of one clause, or of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// It cannot be evaluated.
    Failed,
    /// The policy does not count for it.
    Stops,
    /// The policy goes on.
    Goes,
}

impl Clauses {
    /// The clauses of a set, of which nothing was seen yet.
    ///
    /// # Errors
    /// When the set cannot be read, or a policy cannot be taken apart.
    pub fn of(
        schema: &str,
        sources: &[(impl AsRef<str>, impl AsRef<str>)],
    ) -> Result<Self, PolicyError> {
        let (_, policies) = parsed(schema, sources)?;
        let policies = policies.iter().map(Parts::of);
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: policies.collect::<Result<_, _>>()?,
        })
    }

    /// Notes what a question says of every clause. One that does not fit the schema of `set`, which these clauses are of, says nothing.
    pub fn see(&mut self, set: &PolicySet, query: &Query) {
        let Ok((request, entities)) = set.built(query) else {
            return;
        };
        for parts in &mut self.policies {
            if ask(&self.authorizer, &parts.head, &request, &entities) != Said::Goes {
                continue;
            }
            for part in &mut parts.clauses {
                let said = ask(&self.authorizer, &part.alone, &request, &entities);
                match (said, part.clause.kind) {
                    (Said::Failed, _) => {}
                    (Said::Goes, ClauseKind::When) | (Said::Stops, ClauseKind::Unless) => {
                        part.clause.seen_true = true;
                    }
                    (Said::Stops, ClauseKind::When) | (Said::Goes, ClauseKind::Unless) => {
                        part.clause.seen_false = true;
                    }
                }
                if said != Said::Goes {
                    break;
                }
            }
        }
    }

    /// Every clause with what was seen of it, in the order of the files.
    pub fn iter(&self) -> impl Iterator<Item = &Clause> {
        let parts = self.policies.iter().flat_map(|parts| &parts.clauses);
        parts.map(|part| &part.clause)
    }
}

impl Parts {
    fn of(policy: &Policy) -> Result<Self, PolicyError> {
        let id = PolicyId::new(AsRef::<str>::as_ref(policy.id()));
        let apart = |message: String| PolicyError::Invalid {
            policy: id.clone(),
            message: format!("its clauses cannot be told apart: {message}"),
        };
        let mut head = policy.to_json().map_err(|error| apart(error.to_string()))?;
        let object = head
            .as_object_mut()
            .ok_or_else(|| apart("it is no object".to_owned()))?;
        object.insert("effect".to_owned(), "permit".into());
        object.remove("annotations");
        let conditions = match object.insert("conditions".to_owned(), json!([])) {
            Some(Json::Array(conditions)) => conditions,
            Some(_) | None => Vec::new(),
        };
        let texts = written(&policy.to_cedar().unwrap_or_default());
        let clauses = conditions.iter().zip(1..).map(|(condition, number)| {
            let alone = one(condition).map_err(apart)?;
            let kind = match condition.get("kind").and_then(Json::as_str) {
                Some("unless") => ClauseKind::Unless,
                Some("when") => ClauseKind::When,
                Some(_) | None => return Err(apart("it has no kind".to_owned())),
            };
            let clause = Clause {
                policy: id.clone(),
                number,
                kind,
                text: texts.get(number - 1).cloned().unwrap_or_default(),
                seen_true: false,
                seen_false: false,
            };
            Ok(Part { alone, clause })
        });
        Ok(Self {
            clauses: clauses.collect::<Result<_, _>>()?,
            head: set_of(head).map_err(apart)?,
        })
    }
}

/// A set in which a clause stands alone.
fn one(condition: &Json) -> Result<cedar_policy::PolicySet, String> {
    let any = json!({ "op": "All" });
    set_of(json!({
        "effect": "permit",
        "principal": any,
        "action": any,
        "resource": any,
        "conditions": [condition],
    }))
}

fn set_of(policy: Json) -> Result<cedar_policy::PolicySet, String> {
    let policy = Policy::from_json(None, policy).map_err(|error| error.to_string())?;
    cedar_policy::PolicySet::from_policies([policy]).map_err(|error| error.to_string())
}

/// The clauses of a policy as they are written, each in one line without its comments.
fn written(policy: &str) -> Vec<String> {
    let mut clauses = Vec::new();
    let (mut clause, mut depth, mut rest) = (String::new(), 0_usize, policy.chars().peekable());
    while let Some(letter) = rest.next() {
        match letter {
            '/' if rest.peek() == Some(&'/') => {
                while rest.next_if(|letter| *letter != '\n').is_some() {}
                continue;
            }
            '"' => {
                clause.push(letter);
                let mut escaped = false;
                for letter in rest.by_ref() {
                    clause.push(letter);
                    if letter == '"' && !escaped {
                        break;
                    }
                    escaped = letter == '\\' && !escaped;
                }
                continue;
            }
            // The head is not a clause, and neither is an annotation before it.
            '(' if depth == 0 => {
                depth += 1;
                continue;
            }
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        clause.push(letter);
        if depth == 0 && letter == ')' {
            clause.clear();
        } else if depth == 0 && letter == '}' {
            let words: Vec<&str> = clause.split_whitespace().collect();
            clauses.push(words.join(" "));
            clause.clear();
        }
    }
    clauses
}

fn ask(
    authorizer: &Authorizer,
    set: &cedar_policy::PolicySet,
    request: &Request,
    entities: &Entities,
) -> Said {
    let response = authorizer.is_authorized(request, set, entities);
    if response.diagnostics().errors().next().is_some() {
        return Said::Failed;
    }
    match response.decision() {
        Decision::Allow => Said::Goes,
        Decision::Deny => Said::Stops,
    }
}

#[cfg(test)]
mod tests;
