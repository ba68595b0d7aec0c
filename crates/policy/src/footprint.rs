//! What policies read of a question, found in their text: the rest cannot change what they answer.
//!
//! A policy reaches the context and what is known of principal and resource only by naming it. `context.time` and `resource has region` read one attribute,
//! `principal.getTag("level")` one tag; the variable in any other place (compared, passed on) reads the whole context, or which entity it is. Which one it is matters also
//! to a head that names entities, and then only as far as it is one of those. Types and parents always count.
//!
//! A policy that reads an attribute of an attribute may reach any entity of the question by another way, so that principal and resource then count whole; so they do in questions
//! that bring other entities, or where one of the two is named as a parent. Whatever is not understood here reads everything.

use crate::query::{Counts, Entity, EntityId, Query};
use crate::schema::{Members, Shape, Shapes};
use cedar_policy::Policy;
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;

/// What the policies of an action read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Footprint {
    context: Names,
    principal: EntityFootprint,
    resource: EntityFootprint,
}

/// What is read of an entity beside its type and its parents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct EntityFootprint {
    identity: Identity,
    attributes: Names,
    tags: Names,
}

/// Names that are read: of attributes or of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Names {
    /// All of them.
    All,
    /// These.
    These(BTreeSet<String>),
}

/// How far it matters which entity it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Identity {
    /// Each is another.
    Each,
    /// Whether it is one of these.
    Among(BTreeSet<EntityId>),
}

/// What counts of one question.
pub(crate) struct Counted<'a> {
    pub(crate) context: &'a Names,
    pub(crate) principal: &'a EntityFootprint,
    pub(crate) resource: &'a EntityFootprint,
}

impl Default for Names {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self::Among(BTreeSet::new())
    }
}

impl Names {
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.contains(name),
        }
    }

    fn add(&mut self, name: &str) {
        if let Self::These(names) = self {
            names.insert(name.to_owned());
        }
    }
}

impl EntityFootprint {
    /// All of it.
    pub(crate) const WHOLE: Self = Self {
        identity: Identity::Each,
        attributes: Names::All,
        tags: Names::All,
    };

    fn name(&mut self, id: EntityId) {
        if let Identity::Among(named) = &mut self.identity {
            named.insert(id);
        }
    }
}

impl Counts for EntityFootprint {
    fn id(&self, id: &EntityId) -> bool {
        match &self.identity {
            Identity::Each => true,
            Identity::Among(named) => named.contains(id),
        }
    }

    fn attribute(&self, name: &str) -> bool {
        self.attributes.has(name)
    }

    fn tag(&self, name: &str) -> bool {
        self.tags.has(name)
    }
}

/// The functions and methods of Cedar's extensions: they take values and look no entity up.
const FUNCTIONS: &[&str] = &[
    "datetime",
    "decimal",
    "duration",
    "durationSince",
    "greaterThan",
    "greaterThanOrEqual",
    "ip",
    "isInRange",
    "isIpv4",
    "isIpv6",
    "isLoopback",
    "isMulticast",
    "lessThan",
    "lessThanOrEqual",
    "offset",
    "toDate",
    "toDays",
    "toHours",
    "toMilliseconds",
    "toMinutes",
    "toSeconds",
    "toTime",
];

/// A variable of which something is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    Context,
    Principal,
    Resource,
}

impl Footprint {
    /// All of it.
    const EVERYTHING: Self = Self {
        context: Names::All,
        principal: EntityFootprint::WHOLE,
        resource: EntityFootprint::WHOLE,
    };

    /// Adds what one more policy about `action` reads.
    pub(crate) fn add(&mut self, policy: &Policy, action: &str, shapes: &Shapes) {
        let mut reader = Reader {
            read: std::mem::take(self),
            action,
            shapes,
        };
        let understood = policy
            .to_json()
            .ok()
            .and_then(|policy| reader.policy(&policy));
        *self = match understood {
            Some(()) => reader.read,
            None => Self::EVERYTHING,
        };
    }

    /// What counts of this question.
    pub(crate) fn of(&self, query: &Query) -> Counted<'_> {
        let (principal, resource) = if query.others.is_empty() && !are_tied(query) {
            (&self.principal, &self.resource)
        } else {
            (&EntityFootprint::WHOLE, &EntityFootprint::WHOLE)
        };
        Counted {
            context: &self.context,
            principal,
            resource,
        }
    }
}

/// Whether principal or resource can be reached as one another, or as a parent.
fn are_tied(query: &Query) -> bool {
    let ids = [query.principal.id(), query.resource.id()];
    let mut parents = [&query.principal, &query.resource]
        .into_iter()
        .flat_map(Entity::parents);
    ids[0] == ids[1] || parents.any(|parent| ids.contains(&parent))
}

/// Reads policies. A function that answers with nothing has met what it does not understand.
struct Reader<'a> {
    read: Footprint,
    action: &'a str,
    shapes: &'a Shapes,
}

impl Reader<'_> {
    fn policy(&mut self, policy: &Json) -> Option<()> {
        for (variable, name) in [
            (Variable::Principal, "principal"),
            (Variable::Resource, "resource"),
        ] {
            let head = policy.get(name)?.as_object()?;
            let within = head.get("in").and_then(Json::as_object);
            let named = [Some(head), within].into_iter().flatten();
            for id in named.filter_map(|head| head.get("entity")) {
                self.entity(variable)?.name(entity_of(id)?);
            }
        }
        for condition in policy.get("conditions")?.as_array()? {
            self.expression(condition.get("body")?)?;
        }
        Some(())
    }

    fn expression(&mut self, expression: &Json) -> Option<()> {
        let members = expression.as_object()?;
        members
            .iter()
            .try_for_each(|(operator, operand)| self.operation(operator, operand))
    }

    fn operation(&mut self, operator: &str, operand: &Json) -> Option<()> {
        match operator {
            // A literal is a value and no expression: what looks like one in it reads nothing.
            "Value" => Some(()),
            "Var" => self.bare(operand.as_str()?),
            "." | "has" => self.attribute(operand.as_object()?),
            "hasTag" | "getTag" => self.tag(operand.as_object()?),
            "in" => self.membership(operand.get("left")?, operand.get("right")?),
            "is" => match operand.get("in") {
                None => self.kind(operand.get("left")?),
                Some(within) => self.membership(operand.get("left")?, within),
            },
            "==" | "!=" => self.comparison(operand.get("left")?, operand.get("right")?),
            "!" | "neg" | "isEmpty" => self.expression(operand.get("arg")?),
            "<" | "<=" | ">" | ">=" | "&&" | "||" | "+" | "-" | "*" | "contains"
            | "containsAll" | "containsAny" => {
                self.expression(operand.get("left")?)?;
                self.expression(operand.get("right")?)
            }
            "like" => self.expression(operand.get("left")?),
            "if-then-else" => ["if", "then", "else"]
                .into_iter()
                .try_for_each(|branch| self.expression(operand.get(branch)?)),
            // The names of a record's members are the policy's own, so that none is taken for an operator.
            "Record" => operand
                .as_object()?
                .values()
                .try_for_each(|member| self.expression(member)),
            "Set" => self.all(operand),
            function if FUNCTIONS.contains(&function) => self.all(operand),
            _ => None,
        }
    }

    fn all(&mut self, operands: &Json) -> Option<()> {
        let mut operands = operands.as_array()?.iter();
        operands.try_for_each(|operand| self.expression(operand))
    }

    /// A variable as a value: of an entity that is which one it is, of the context all of it.
    fn bare(&mut self, variable: &str) -> Option<()> {
        match variable_of(variable) {
            Some(Variable::Context) => self.read.context = Names::All,
            Some(entity) => self.entity(entity)?.identity = Identity::Each,
            // It is the same in every question that this footprint is for.
            None if variable == "action" => {}
            None => return None,
        }
        Some(())
    }

    /// `LEFT.attr`, `LEFT has attr` and `LEFT has a.b`, which names the way from LEFT down.
    fn attribute(&mut self, operand: &Map<String, Json>) -> Option<()> {
        let mut way: Vec<&str> = match operand.get("attr")? {
            Json::String(name) => vec![name],
            Json::Array(names) => names.iter().map(Json::as_str).collect::<Option<_>>()?,
            Json::Bool(_) | Json::Null | Json::Number(_) | Json::Object(_) => return None,
        };
        let mut left = operand.get("left")?;
        while let Some(inner) = left.get(".") {
            way.insert(0, inner.get("attr")?.as_str()?);
            left = inner.get("left")?;
        }
        let Some(variable) = variable_in(left) else {
            self.reach();
            return self.expression(left);
        };
        let first = way.first()?;
        match variable {
            Variable::Context => self.read.context.add(first),
            Variable::Principal | Variable::Resource => {
                self.entity(variable)?.attributes.add(first);
            }
        }
        if !self.stays_in_records(variable, &way) {
            self.reach();
        }
        Some(())
    }

    /// Whether the way leads through nothing but records, so that it ends in the value of its first attribute.
    fn stays_in_records(&self, variable: Variable, way: &[&str]) -> bool {
        let (Some((_, before)), Some(roots)) = (way.split_last(), self.members_of(variable)) else {
            return false;
        };
        roots.iter().all(|root| are_records(root, before))
    }

    /// What is declared of a variable in this action: of an entity by each type that it may have.
    fn members_of(&self, variable: Variable) -> Option<Vec<&Members>> {
        let action = self.shapes.actions.get(self.action)?;
        let kinds = match variable {
            Variable::Context => return Some(vec![&action.context]),
            Variable::Principal => &action.principals,
            Variable::Resource => &action.resources,
        };
        let shapes = kinds.iter().map(|kind| self.shapes.entities.get(kind));
        shapes
            .map(|shape| shape.map(|shape| &shape.attributes))
            .collect()
    }

    fn tag(&mut self, operand: &Map<String, Json>) -> Option<()> {
        let (left, right) = (operand.get("left")?, operand.get("right")?);
        let variable = variable_in(left).filter(|variable| *variable != Variable::Context);
        let Some(variable) = variable else {
            self.reach();
            self.expression(left)?;
            return self.expression(right);
        };
        match right.get("Value").and_then(Json::as_str) {
            Some(name) => self.entity(variable)?.tags.add(name),
            None => {
                self.entity(variable)?.tags = Names::All;
                self.expression(right)?;
            }
        }
        Some(())
    }

    /// `LEFT is Type`: types always count.
    fn kind(&mut self, left: &Json) -> Option<()> {
        match variable_in(left) {
            Some(_) => Some(()),
            None => self.expression(left),
        }
    }

    /// `LEFT in RIGHT`: parents always count.
    fn membership(&mut self, left: &Json, right: &Json) -> Option<()> {
        let variable = variable_in(left).filter(|variable| *variable != Variable::Context);
        match (variable, literals(right)) {
            (Some(variable), Some(named)) => {
                let entity = self.entity(variable)?;
                named.into_iter().for_each(|id| entity.name(id));
                Some(())
            }
            (Some(variable), None) => {
                self.entity(variable)?.identity = Identity::Each;
                self.expression(right)
            }
            (None, _) if is_action(left) => self.expression(right),
            (None, _) => {
                self.reach();
                self.expression(left)?;
                self.expression(right)
            }
        }
    }

    fn comparison(&mut self, left: &Json, right: &Json) -> Option<()> {
        for (one, other) in [(left, right), (right, left)] {
            let variable = variable_in(one).filter(|variable| *variable != Variable::Context);
            if let (Some(variable), Some(id)) = (variable, literal(other)) {
                self.entity(variable)?.name(id);
                return Some(());
            }
        }
        self.expression(left)?;
        self.expression(right)
    }

    /// Some entity is looked up that is neither principal nor resource by name, and may be one of them.
    fn reach(&mut self) {
        self.read.principal = EntityFootprint::WHOLE;
        self.read.resource = EntityFootprint::WHOLE;
    }

    const fn entity(&mut self, variable: Variable) -> Option<&mut EntityFootprint> {
        match variable {
            Variable::Context => None,
            Variable::Principal => Some(&mut self.read.principal),
            Variable::Resource => Some(&mut self.read.resource),
        }
    }
}

fn variable_of(name: &str) -> Option<Variable> {
    match name {
        "context" => Some(Variable::Context),
        "principal" => Some(Variable::Principal),
        "resource" => Some(Variable::Resource),
        _ => None,
    }
}

/// The variable that an expression is, if it is nothing else.
fn variable_in(expression: &Json) -> Option<Variable> {
    variable_of(expression.get("Var")?.as_str()?)
}

/// Whether each of the names is that of a record in the one before. What a type does not declare nobody reads of it: policies are validated.
fn are_records(root: &Members, names: &[&str]) -> bool {
    let mut members = root;
    for name in names {
        match members.shape(name) {
            Some(Shape::Record(inner)) => members = inner,
            Some(_) => return false,
            None => return true,
        }
    }
    true
}

fn is_action(expression: &Json) -> bool {
    expression.get("Var").and_then(Json::as_str) == Some("action")
}

/// The entity that an expression names.
fn literal(expression: &Json) -> Option<EntityId> {
    entity_of(expression.get("Value")?.get("__entity")?)
}

/// The entities that an expression names: one, or a set of them.
fn literals(expression: &Json) -> Option<Vec<EntityId>> {
    match expression.get("Set") {
        None => literal(expression).map(|id| vec![id]),
        Some(items) => items.as_array()?.iter().map(literal).collect(),
    }
}

/// `{"type": .., "id": ..}`.
fn entity_of(named: &Json) -> Option<EntityId> {
    let text = |name: &str| named.get(name).and_then(Json::as_str);
    Some(EntityId::new(text("type")?, text("id")?))
}

#[cfg(test)]
mod tests;
