//! A question read back from its canonical JSON, the form in which records keep it sealed ([`Query::canonical_json`]): for explaining what was decided, and for
//! asking other policies the same.

use crate::query::{Entity, EntityId, Query, Value};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};

/// A text that is no recorded question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no recorded question")]
pub struct NoQuestion;

/// Reads a recorded question. Writing it again gives the same text.
///
/// # Errors
/// When the text is not what [`Query::canonical_json`] writes.
pub fn question(text: &str) -> Result<Query, NoQuestion> {
    let read = || {
        let json: Json = serde_json::from_str(text).ok()?;
        query(json.as_object()?)
    };
    let query = read().ok_or(NoQuestion)?;
    // Whatever else would be read so was written by somebody else.
    if query.canonical_json() == text {
        Ok(query)
    } else {
        Err(NoQuestion)
    }
}

fn query(json: &Map<String, Json>) -> Option<Query> {
    let others = json.get("others")?.as_array()?.iter();
    Some(Query {
        principal: entity(json.get("principal")?)?,
        action: text(json, "action")?,
        resource: entity(json.get("resource")?)?,
        context: record(json.get("context")?)?,
        others: others.map(entity).collect::<Option<_>>()?,
    })
}

fn entity(json: &Json) -> Option<Entity> {
    let object = json.as_object()?;
    let mut read = Entity::new(id(object)?);
    for (name, value) in record(object.get("attributes")?)? {
        read = read.attribute(name, value);
    }
    for (name, value) in record(object.get("tags")?)? {
        read = read.tag(name, value);
    }
    for parent in object.get("parents")?.as_array()? {
        read = read.parent(id(parent.as_object()?)?);
    }
    Some(read)
}

fn id(object: &Map<String, Json>) -> Option<EntityId> {
    Some(EntityId::new(text(object, "type")?, text(object, "id")?))
}

fn text(object: &Map<String, Json>, name: &str) -> Option<String> {
    object.get(name)?.as_str().map(str::to_owned)
}

fn record(json: &Json) -> Option<BTreeMap<String, Value>> {
    let members = json.as_object()?.iter();
    members
        .map(|(name, member)| Some((name.clone(), value(member)?)))
        .collect()
}

fn value(json: &Json) -> Option<Value> {
    match json {
        Json::Array(items) => {
            let members = items.iter().map(value);
            members.collect::<Option<BTreeSet<_>>>().map(Value::Set)
        }
        Json::Bool(value) => Some(Value::Bool(*value)),
        Json::Null => None,
        Json::Number(number) => number.as_i64().map(Value::Long),
        Json::Object(object) if is_special(object) => special(object),
        Json::Object(_) => record(json).map(Value::Record),
        Json::String(text) => Some(Value::String(text.clone())),
    }
}

/// Whether an object is none, but an entity or an address: both are written as one member of a reserved name.
fn is_special(object: &Map<String, Json>) -> bool {
    object.contains_key("__entity") || object.contains_key("__extn")
}

fn special(object: &Map<String, Json>) -> Option<Value> {
    if object.len() != 1 {
        return None;
    }
    if let Some(entity) = object.get("__entity") {
        return id(entity.as_object()?).map(Value::Entity);
    }
    let extension = object.get("__extn")?.as_object()?;
    if extension.get("fn")?.as_str()? != "ip" {
        return None;
    }
    let address = extension.get("arg")?.as_str()?.parse().ok()?;
    Some(Value::Address(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Query {
        let user = Entity::new(EntityId::new("User", "a\"b"))
            .attribute("tenant", EntityId::new("Tenant", "t"))
            .tag("région", "eu")
            .parent(EntityId::new("Role", "r"))
            .parent(EntityId::new("Group", "g"));
        Query {
            principal: user.clone(),
            action: "read".to_owned(),
            resource: Entity::new(EntityId::new("Order", "1")).attribute("open", true),
            context: [
                ("time".to_owned(), Value::Long(i64::MIN)),
                (
                    "source".to_owned(),
                    Value::Address("10.0.0.1".parse().unwrap()),
                ),
                ("scopes".to_owned(), Value::strings(["b", "a"])),
                (
                    "parts".to_owned(),
                    Value::Record(
                        [("client".to_owned(), EntityId::new("Client", "c").into())].into(),
                    ),
                ),
            ]
            .into(),
            others: vec![user],
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let text = asked().canonical_json();
        assert!(question(&text).unwrap() == asked());
    }

    #[test]
    fn what_nobody_wrote_is_refused() {
        let text = asked().canonical_json();
        let broken = [
            String::new(),
            "{}".to_owned(),
            format!(" {text}"),
            text.replace("\"action\":\"read\",", ""),
            text.replace("true", "1.5"),
            text.replace("true", "null"),
            text.replace("\"fn\":\"ip\"", "\"fn\":\"decimal\""),
            text.replace("[\"a\",\"b\"]", "[\"b\",\"a\"]"),
        ];
        for broken in broken {
            assert!(question(&broken).is_err(), "{broken}");
        }
    }
}
