//! What policies read of a context, found in their text: the rest cannot change what they answer.
//!
//! A policy reaches the context only by naming it. `context.time` and `context has time` read one attribute; the context in any other place (passed on, compared
//! whole) reads all of it. Principal, action, resource and the entities behind them are not looked at here: they always count.

use cedar_policy::Policy;
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// The attributes of a context that policies read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Footprint {
    /// All of them.
    Everything,
    /// These.
    Attributes(BTreeSet<String>),
}

impl Default for Footprint {
    fn default() -> Self {
        Self::Attributes(BTreeSet::new())
    }
}

impl Footprint {
    /// Adds what one more policy reads.
    pub(crate) fn add(&mut self, policy: &Policy) {
        match policy.to_json() {
            Ok(json) => {
                // Head and annotations cannot name the context.
                let Some(conditions) = json.get("conditions").and_then(Json::as_array) else {
                    *self = Self::Everything;
                    return;
                };
                for condition in conditions {
                    match condition.get("body") {
                        Some(body) => self.read(body),
                        None => *self = Self::Everything,
                    }
                }
            }
            Err(_) => *self = Self::Everything,
        }
    }

    /// Whether the attribute is read.
    pub(crate) fn has(&self, attribute: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Attributes(names) => names.contains(attribute),
        }
    }

    fn read(&mut self, expression: &Json) {
        match expression {
            Json::Object(members) => {
                for (operator, operand) in members {
                    match attribute_of_context(operator, operand) {
                        Some(name) => self.name(name),
                        None if operator == "Var" && operand == "context" => {
                            *self = Self::Everything;
                        }
                        None => self.read_operand(operator, operand),
                    }
                }
            }
            Json::Array(items) => items.iter().for_each(|item| self.read(item)),
            Json::Bool(_) | Json::Null | Json::Number(_) | Json::String(_) => {}
        }
    }

    fn read_operand(&mut self, operator: &str, operand: &Json) {
        match (operator, operand) {
            // A literal is a value and no expression: what looks like one in it reads nothing.
            ("Value", _) => {}
            // The names of a record's members are the policy's own, so that none is taken for an operator.
            ("Record", Json::Object(members)) => {
                members.values().for_each(|member| self.read(member));
            }
            (_, operand) => self.read(operand),
        }
    }

    fn name(&mut self, attribute: &str) {
        if let Self::Attributes(names) = self {
            names.insert(attribute.to_owned());
        }
    }
}

/// `{".": {"left": {"Var": "context"}, "attr": NAME}}`, and the same with `has`.
fn attribute_of_context<'j>(operator: &str, operand: &'j Json) -> Option<&'j str> {
    if !matches!(operator, "." | "has") {
        return None;
    }
    if operand.get("left")?.as_object()?.get("Var")? != "context" {
        return None;
    }
    // `context has a.b` names the way from the context down.
    match operand.get("attr")? {
        Json::String(name) => Some(name),
        Json::Array(way) => way.first()?.as_str(),
        Json::Bool(_) | Json::Null | Json::Number(_) | Json::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
