//! What somebody else says of an entity or a request, read as the schema says: each value in the type that policies expect.
//!
//! A value of another type is refused rather than turned around, and what the schema does not declare is left out: no policy can read it. The tenant is never
//! taken from here; it is the caller's own.

use crate::authzen::Described;
use crate::query::{Entity, EntityId, Value};
use crate::schema::{EntityShape, Members, Shape, Shapes};
use countersign_base::Tenant;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The names of the types that hold what people and clients have.
const MEMBERSHIPS: [(&str, &str); 2] = [("roles", "Role"), ("groups", "Group")];

impl Shapes {
    /// The schema's spelling of a type: itself, or `sales_order` for `SalesOrder`.
    pub(crate) fn kind(&self, written: &str) -> Option<&str> {
        if let Some((name, _)) = self.entities.get_key_value(written) {
            return Some(name);
        }
        if !written.starts_with(|first: char| first.is_ascii_lowercase()) {
            return None;
        }
        let mut joined = String::with_capacity(written.len());
        for word in written.split(['_', '-']) {
            let mut letters = word.chars();
            let first = letters.next()?;
            joined.push(first.to_ascii_uppercase());
            joined.push_str(letters.as_str());
        }
        self.entities
            .get_key_value(joined.as_str())
            .map(|(name, _)| name.as_str())
    }

    pub(crate) fn describe(
        &self,
        kind: &str,
        described: &Described,
        tenant: &Tenant,
    ) -> Result<Entity, String> {
        let shape = self
            .entities
            .get(kind)
            .ok_or_else(|| format!("unknown entity type `{kind}`"))?;
        let mut entity = Entity::new(EntityId::new(kind, described.id.as_str()));
        if shape.attributes.has("tenant") {
            entity = entity.attribute("tenant", EntityId::new("Tenant", tenant.as_str()));
        }
        for (name, given) in &described.properties {
            entity = match shape.attributes.shape(name) {
                _ if name == "tenant" => entity,
                Some(shape) => {
                    let value = shape
                        .read(given)
                        .ok_or_else(|| format!("`{name}` has the wrong type"))?;
                    entity.attribute(name, value)
                }
                None => shape.undeclared(entity, name, given)?,
            };
        }
        Ok(entity)
    }

    pub(crate) fn context(
        &self,
        action: &str,
        given: &Map<String, Json>,
        own: &BTreeMap<String, Value>,
    ) -> Result<BTreeMap<String, Value>, String> {
        let Some(action) = self.actions.get(action) else {
            return Ok(BTreeMap::new());
        };
        let mut context = BTreeMap::new();
        for (name, shape) in action.context.iter() {
            let value = match (own.get(name), given.get(name)) {
                (Some(own), _) => own.clone(),
                (None, Some(given)) => shape
                    .read(given)
                    .ok_or_else(|| format!("context: `{name}` has the wrong type"))?,
                (None, None) => continue,
            };
            context.insert(name.clone(), value);
        }
        Ok(context)
    }

    /// The actions that apply to such a principal and resource, in the order of their names.
    pub(crate) fn actions_between(&self, principal: &str, resource: &str) -> Vec<String> {
        let between = self.actions.iter().filter(|(_, action)| {
            action.principals.contains(principal) && action.resources.contains(resource)
        });
        let mut names: Vec<String> = between.map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }
}

impl EntityShape {
    /// A property that is no attribute: roles and groups become memberships where the type may have them, and anything simple a tag where it may have tags.
    fn undeclared(&self, entity: Entity, name: &str, given: &Json) -> Result<Entity, String> {
        let membership = MEMBERSHIPS
            .iter()
            .find(|(property, kind)| *property == name && self.parents.contains(*kind));
        if let Some((_, kind)) = membership {
            let wrong = || format!("`{name}` has the wrong type");
            let names = given.as_array().ok_or_else(wrong)?;
            return names.iter().try_fold(entity, |entity, member| {
                let member = member.as_str().ok_or_else(wrong)?;
                Ok(entity.parent(EntityId::new(*kind, member)))
            });
        }
        if self.tags != Some(Shape::String) {
            return Ok(entity);
        }
        Ok(match given {
            Json::Bool(value) => entity.tag(name, value.to_string()),
            Json::Number(number) => entity.tag(name, number.to_string()),
            Json::String(text) => entity.tag(name, text.as_str()),
            Json::Array(items) => items
                .iter()
                .filter_map(Json::as_str)
                .fold(entity, |entity, item| {
                    entity.tag(format!("{name}:{item}"), "true")
                }),
            Json::Null | Json::Object(_) => entity,
        })
    }
}

impl Shape {
    /// The value as this type, or nothing.
    pub(crate) fn read(&self, given: &Json) -> Option<Value> {
        match self {
            Self::Address => {
                let address: IpAddr = given.as_str()?.parse().ok()?;
                Some(address.into())
            }
            Self::Bool => given.as_bool().map(Value::Bool),
            Self::Entity(kind) => reference(kind, given).map(Value::Entity),
            Self::Long => given.as_i64().map(Value::Long),
            Self::Record(members) => members.read(given.as_object()?).map(Value::Record),
            Self::Set(element) => {
                let values = given.as_array()?.iter().map(|item| element.read(item));
                values.collect::<Option<BTreeSet<Value>>>().map(Value::Set)
            }
            Self::String => given.as_str().map(Value::from),
            Self::Unsupported => None,
        }
    }
}

/// An entity by its id alone, since the type is known, or with its type, which then has to be that one.
fn reference(kind: &str, given: &Json) -> Option<EntityId> {
    if let Some(id) = given.as_str() {
        return Some(EntityId::new(kind, id));
    }
    let entity = given.as_object()?;
    let named = entity.get("type").and_then(Json::as_str)?;
    let id = entity.get("id").and_then(Json::as_str)?;
    (named == kind).then(|| EntityId::new(kind, id))
}

impl Members {
    fn read(&self, given: &Map<String, Json>) -> Option<BTreeMap<String, Value>> {
        let read = given
            .iter()
            .filter_map(|(name, value)| Some((name, self.shape(name)?, value)))
            .map(|(name, shape, value)| Some((name.clone(), shape.read(value)?)));
        read.collect()
    }
}

#[cfg(test)]
mod tests;
