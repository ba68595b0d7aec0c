//! The schema at run time: which entities, attributes and contexts a question may bring, checked in typed values.
//!
//! Cedar's own checks build tables of the whole schema at each call; this one compares with shapes that were made at load, from Cedar's own
//! resolution of the schema. A question that does not fit is never evaluated: an attribute of the wrong type would make a comparison false,
//! and a `forbid` silent.

use crate::address::Addresses;
use crate::query::{Entity, EntityId, Query, Value};
use cedar_policy::{
    EntityTypeName, RestrictedExpression, Schema, schema_str_to_json_with_resolved_types,
};
use serde_json::{Map, Value as Json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// How deep types may be nested.
const DEPTH_MAX: usize = 16;

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    Address,
    Bool,
    Entity(String),
    Long,
    Record(Members),
    Set(Box<Shape>),
    String,
    /// A type for which questions have no value yet.
    Unsupported,
}

/// The members of a record; `true` stands with those that are required.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Members(BTreeMap<String, (Shape, bool)>);

#[derive(Debug)]
pub(crate) struct EntityShape {
    name: EntityTypeName,
    pub(crate) attributes: Members,
    pub(crate) tags: Option<Shape>,
    pub(crate) parents: BTreeSet<String>,
}

#[derive(Debug)]
pub(crate) struct ActionShape {
    pub(crate) principals: BTreeSet<String>,
    pub(crate) resources: BTreeSet<String>,
    pub(crate) context: Members,
}

/// The shapes of a schema.
#[derive(Debug)]
pub(crate) struct Shapes {
    pub(crate) entities: HashMap<String, EntityShape>,
    pub(crate) actions: HashMap<String, ActionShape>,
    addresses: Addresses,
}

impl Shapes {
    /// Reads the shapes of a schema that Cedar has accepted.
    pub(crate) fn read(text: &str, schema: &Schema) -> Result<Self, String> {
        let (json, _) =
            schema_str_to_json_with_resolved_types(text).map_err(|error| error.to_string())?;
        let namespaces = json.as_object().ok_or("the schema has no namespaces")?;
        if namespaces.keys().any(|name| !name.is_empty()) {
            return Err("namespaces are not supported: declare everything without one".to_owned());
        }
        let empty = Map::new();
        let namespace = namespaces
            .get("")
            .and_then(Json::as_object)
            .unwrap_or(&empty);
        let common = object(namespace, "commonTypes").unwrap_or(&empty);
        let mut names: HashMap<String, EntityTypeName> = schema
            .entity_types()
            .map(|name| (name.to_string(), name.clone()))
            .collect();
        let mut entities = HashMap::new();
        for (name, declared) in object(namespace, "entityTypes").unwrap_or(&empty) {
            let declared = declared
                .as_object()
                .ok_or("an entity type has no declaration")?;
            let type_name = names
                .remove(name)
                .ok_or("an entity type is not in the schema")?;
            let attributes = match declared.get("shape") {
                Some(shape) => record_of(shape, common)?,
                None => Members::default(),
            };
            let tags = declared
                .get("tags")
                .map(|tags| shape_of(tags, common, 0))
                .transpose()?;
            let parents = strings(declared.get("memberOfTypes"));
            entities.insert(
                name.clone(),
                EntityShape {
                    name: type_name,
                    attributes,
                    tags,
                    parents,
                },
            );
        }
        let mut actions = HashMap::new();
        for (name, declared) in object(namespace, "actions").unwrap_or(&empty) {
            let Some(applies) = declared.get("appliesTo").and_then(Json::as_object) else {
                continue;
            };
            let context = match applies.get("context") {
                Some(context) => record_of(context, common)?,
                None => Members::default(),
            };
            let (principals, resources) = (
                strings(applies.get("principalTypes")),
                strings(applies.get("resourceTypes")),
            );
            // A group of actions applies to nothing itself.
            if principals.is_empty() || resources.is_empty() {
                continue;
            }
            actions.insert(
                name.clone(),
                ActionShape {
                    principals,
                    resources,
                    context,
                },
            );
        }
        Ok(Self::of(entities, actions))
    }

    fn of(entities: HashMap<String, EntityShape>, actions: HashMap<String, ActionShape>) -> Self {
        Self {
            entities,
            actions,
            addresses: Addresses::default(),
        }
    }

    pub(crate) fn has_action(&self, action: &str) -> bool {
        self.actions.contains_key(action)
    }

    /// An address as Cedar reads it.
    pub(crate) fn address(&self, address: IpAddr) -> RestrictedExpression {
        self.addresses.expression(address)
    }

    /// The entity type as Cedar names it.
    pub(crate) fn type_name(&self, kind: &str) -> Option<&EntityTypeName> {
        self.entities.get(kind).map(|shape| &shape.name)
    }

    /// Whether a question fits; if not, what does not, in words without any of its values.
    pub(crate) fn check(&self, query: &Query) -> Result<(), String> {
        let action = self.actions.get(&query.action).ok_or("unknown action")?;
        if !action.principals.contains(query.principal.id().kind()) {
            return Err(format!(
                "the action does not apply to principals of type `{}`",
                query.principal.id().kind()
            ));
        }
        if !action.resources.contains(query.resource.id().kind()) {
            return Err(format!(
                "the action does not apply to resources of type `{}`",
                query.resource.id().kind()
            ));
        }
        action
            .context
            .check(&query.context)
            .map_err(|fault| format!("context: {fault}"))?;
        [&query.principal, &query.resource]
            .into_iter()
            .chain(&query.others)
            .try_for_each(|entity| self.check_entity(entity))?;
        check_once(query)
    }

    fn check_entity(&self, entity: &Entity) -> Result<(), String> {
        let kind = entity.id().kind();
        let shape = self
            .entities
            .get(kind)
            .ok_or_else(|| format!("unknown entity type `{kind}`"))?;
        shape
            .attributes
            .check(entity.attributes())
            .map_err(|fault| format!("{kind}: {fault}"))?;
        for (name, value) in entity.tags() {
            if !shape.tags.as_ref().is_some_and(|tag| tag.fits(value)) {
                return Err(format!(
                    "{kind}: the tag `{name}` has a type that the schema does not declare"
                ));
            }
        }
        let strange = |parent: &&EntityId| !shape.parents.contains(parent.kind());
        match entity.parents().iter().find(strange) {
            Some(parent) => Err(format!(
                "{kind}: it cannot be a member of `{}`",
                parent.kind()
            )),
            None => Ok(()),
        }
    }
}

/// An entity may stand there twice, and is the same then.
fn check_once(query: &Query) -> Result<(), String> {
    let entities = || {
        [&query.principal, &query.resource]
            .into_iter()
            .chain(&query.others)
    };
    for (position, entity) in entities().enumerate() {
        let mut before = entities().take(position);
        if before.any(|known| known.id() == entity.id() && known != entity) {
            let kind = entity.id().kind();
            return Err(format!("a `{kind}` stands there twice and differs"));
        }
    }
    Ok(())
}

impl Members {
    /// Whether there is a member of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What the member of this name must be.
    pub(crate) fn shape(&self, name: &str) -> Option<&Shape> {
        self.0.get(name).map(|(shape, _)| shape)
    }

    /// Every member and what it must be.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Shape)> {
        self.0.iter().map(|(name, (shape, _))| (name, shape))
    }

    /// Both sides stand in the order of their names, so that one pass sees what is missing, what is too much and what has the wrong type.
    fn check(&self, values: &BTreeMap<String, Value>) -> Result<(), String> {
        let missing = |name: &String| Err(format!("`{name}` is missing"));
        let mut declared = self.0.iter();
        for (name, value) in values {
            loop {
                let undeclared = || format!("the schema declares no `{name}`");
                let (expected, (shape, required)) = declared.next().ok_or_else(undeclared)?;
                match expected.cmp(name) {
                    Ordering::Less if *required => return missing(expected),
                    Ordering::Less => {}
                    Ordering::Equal if shape.fits(value) => break,
                    Ordering::Equal => return Err(format!("`{name}` has the wrong type")),
                    Ordering::Greater => return Err(undeclared()),
                }
            }
        }
        match declared.find(|(_, (_, required))| *required) {
            Some((name, _)) => missing(name),
            None => Ok(()),
        }
    }
}

impl Shape {
    fn fits(&self, value: &Value) -> bool {
        match (self, value) {
            // Cedar reads no other.
            (Self::Address, Value::Address(address)) => *address == address.to_canonical(),
            (Self::Bool, Value::Bool(_))
            | (Self::Long, Value::Long(_))
            | (Self::String, Value::String(_)) => true,
            (Self::Entity(kind), Value::Entity(id)) => kind == id.kind(),
            (Self::Record(members), Value::Record(record)) => members.check(record).is_ok(),
            (Self::Set(element), Value::Set(values)) => {
                values.iter().all(|value| element.fits(value))
            }
            (
                Self::Address
                | Self::Bool
                | Self::Entity(_)
                | Self::Long
                | Self::Record(_)
                | Self::Set(_)
                | Self::String
                | Self::Unsupported,
                _,
            ) => false,
        }
    }
}

fn object<'a>(map: &'a Map<String, Json>, name: &str) -> Option<&'a Map<String, Json>> {
    map.get(name).and_then(Json::as_object)
}

fn strings(list: Option<&Json>) -> BTreeSet<String> {
    let members = list.and_then(Json::as_array).into_iter().flatten();
    members
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect()
}

fn record_of(json: &Json, common: &Map<String, Json>) -> Result<Members, String> {
    match shape_of(json, common, 0)? {
        Shape::Record(members) => Ok(members),
        _ => Err("expected a record type".to_owned()),
    }
}

fn shape_of(json: &Json, common: &Map<String, Json>, depth: usize) -> Result<Shape, String> {
    if depth > DEPTH_MAX {
        return Err("types are nested too deep".to_owned());
    }
    let declared = json.as_object().ok_or("expected a type")?;
    let kind = declared
        .get("type")
        .and_then(Json::as_str)
        .ok_or("expected a type")?;
    let name = declared.get("name").and_then(Json::as_str);
    match (kind.strip_prefix("__cedar::").unwrap_or(kind), name) {
        ("Boolean" | "Bool", _) => Ok(Shape::Bool),
        ("Long", _) => Ok(Shape::Long),
        ("String", _) => Ok(Shape::String),
        // A question has no value for it: actions are the schema's own.
        ("Entity", Some("Action")) => Ok(Shape::Unsupported),
        ("Entity", Some(name)) => Ok(Shape::Entity(name.to_owned())),
        ("Extension", Some("ipaddr")) | ("ipaddr", _) => Ok(Shape::Address),
        ("Extension", Some(_)) | ("decimal" | "datetime" | "duration", _) => Ok(Shape::Unsupported),
        ("Set", _) => {
            let element = declared.get("element").ok_or("a set has no element type")?;
            Ok(Shape::Set(Box::new(shape_of(element, common, depth + 1)?)))
        }
        ("Record", _) => {
            let mut members = BTreeMap::new();
            for (name, member) in object(declared, "attributes").into_iter().flatten() {
                let required = member
                    .get("required")
                    .and_then(Json::as_bool)
                    .unwrap_or(true);
                members.insert(
                    name.clone(),
                    (shape_of(member, common, depth + 1)?, required),
                );
            }
            Ok(Shape::Record(Members(members)))
        }
        (alias, _) => {
            let target = common
                .get(alias)
                .ok_or_else(|| format!("unknown type `{alias}`"))?;
            shape_of(target, common, depth + 1)
        }
    }
}

#[cfg(test)]
mod tests;
