//! What is asked, in typed values: built fast, and written in one canonical form for the record.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::net::IpAddr;

/// The name of an entity: its type in the schema and its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId {
    kind: String,
    id: String,
}

impl EntityId {
    /// `EntityId::new("User", "01...")` is Cedar's `User::"01..."`.
    #[must_use]
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            id: id.into(),
        }
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The id within the type.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{:?}", self.kind, self.id)
    }
}

/// A value of an attribute or of the context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Cedar's `ipaddr`; an IPv4 address inside an IPv6 one is none.
    Address(IpAddr),
    /// `Bool`.
    Bool(bool),
    /// A reference to an entity.
    Entity(EntityId),
    /// `Long`.
    Long(i64),
    /// A record.
    Record(BTreeMap<String, Value>),
    /// `Set`.
    Set(BTreeSet<Value>),
    /// `String`.
    String(String),
}

impl Value {
    /// A set of strings.
    pub fn strings<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::Set(
            texts
                .into_iter()
                .map(|text| Self::String(text.into()))
                .collect(),
        )
    }
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),+) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )+};
}
value_from!(bool => Bool, EntityId => Entity, i64 => Long, &str => String, String => String);

/// An IPv4 address that is written as an IPv6 one is the former: policies about IPv4 networks mean it too.
impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
    }
}

/// An entity with what is known of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Entity {
    id: EntityId,
    attributes: BTreeMap<String, Value>,
    tags: BTreeMap<String, Value>,
    parents: BTreeSet<EntityId>,
}

impl Entity {
    /// An entity of which nothing is known yet.
    #[must_use]
    pub const fn new(id: EntityId) -> Self {
        Self {
            id,
            attributes: BTreeMap::new(),
            tags: BTreeMap::new(),
            parents: BTreeSet::new(),
        }
    }

    /// With an attribute that the schema declares for its type.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// With a tag: an attribute by a name that the schema does not know.
    #[must_use]
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.tags.insert(name.into(), value.into());
        self
    }

    /// As a member of `parent`.
    #[must_use]
    pub fn parent(mut self, parent: EntityId) -> Self {
        self.parents.insert(parent);
        self
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &EntityId {
        &self.id
    }

    pub(crate) const fn attributes(&self) -> &BTreeMap<String, Value> {
        &self.attributes
    }

    pub(crate) const fn tags(&self) -> &BTreeMap<String, Value> {
        &self.tags
    }

    pub(crate) const fn parents(&self) -> &BTreeSet<EntityId> {
        &self.parents
    }
}

/// A question: may `principal` do `action` to `resource`, given `context`.
#[derive(Clone, PartialEq, Eq)]
pub struct Query {
    /// Who.
    pub principal: Entity,
    /// What is done: the id of an `Action` of the schema.
    pub action: String,
    /// To what.
    pub resource: Entity,
    /// What else is known of the request.
    pub context: BTreeMap<String, Value>,
    /// Entities that policies reach from the others: groups with their groups, the client of a token. A policy that reads an attribute of an
    /// entity that is not here fails, and so denies.
    pub others: Vec<Entity>,
}

/// What counts of an entity beside its type and its parents, which always do.
pub(crate) trait Counts {
    /// Whether it matters that the entity is this one.
    fn id(&self, id: &EntityId) -> bool;

    /// Whether the attribute of this name does.
    fn attribute(&self, name: &str) -> bool;

    /// Whether the tag of this name does.
    fn tag(&self, name: &str) -> bool;
}

/// All of it counts.
struct Whole;

impl Counts for Whole {
    fn id(&self, _id: &EntityId) -> bool {
        true
    }

    fn attribute(&self, _name: &str) -> bool {
        true
    }

    fn tag(&self, _name: &str) -> bool {
        true
    }
}

/// Ids and attributes may be personal, so only the type is shown.
impl fmt::Debug for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entity({})", self.id.kind)
    }
}

/// As for [`Entity`].
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (principal, resource) = (self.principal.id.kind(), self.resource.id.kind());
        write!(f, "Query({principal}, {}, {resource})", self.action)
    }
}

impl Query {
    /// The question as canonical JSON (RFC 8785; numbers are whole and written in full). It is what a record commits to and what its sealed
    /// detail holds, and holds personal data.
    #[must_use]
    pub fn canonical_json(&self) -> String {
        self.canonical_json_of(|_| true, &Whole, &Whole)
    }

    /// The same with only what counts of context, principal and resource; an entity of which it does not matter which one it is has the id `null`.
    pub(crate) fn canonical_json_of(
        &self,
        context: impl Fn(&str) -> bool,
        principal: &impl Counts,
        resource: &impl Counts,
    ) -> String {
        let mut text = String::with_capacity(1024);
        let mut others: Vec<&Entity> = self.others.iter().collect();
        others.sort_by(|one, other| one.id.cmp(&other.id));
        text.push_str("{\"action\":");
        write_text(&mut text, &self.action);
        text.push_str(",\"context\":");
        write_members(
            &mut text,
            self.context.iter().filter(|(name, _)| context(name)),
        );
        text.push_str(",\"others\":");
        write_list(&mut text, others, |text, other| {
            write_entity(text, other, &Whole);
        });
        text.push_str(",\"principal\":");
        write_entity(&mut text, &self.principal, principal);
        text.push_str(",\"resource\":");
        write_entity(&mut text, &self.resource, resource);
        text.push('}');
        text
    }
}

fn write_entity(text: &mut String, entity: &Entity, counted: &impl Counts) {
    text.push_str("{\"attributes\":");
    let attributes = entity.attributes.iter();
    write_members(text, attributes.filter(|(name, _)| counted.attribute(name)));
    text.push_str(",\"id\":");
    if counted.id(&entity.id) {
        write_text(text, &entity.id.id);
    } else {
        text.push_str("null");
    }
    text.push_str(",\"parents\":");
    write_list(text, &entity.parents, write_id);
    text.push_str(",\"tags\":");
    let tags = entity.tags.iter();
    write_members(text, tags.filter(|(name, _)| counted.tag(name)));
    text.push_str(",\"type\":");
    write_text(text, &entity.id.kind);
    text.push('}');
}

fn write_id(text: &mut String, id: &EntityId) {
    text.push_str("{\"id\":");
    write_text(text, &id.id);
    text.push_str(",\"type\":");
    write_text(text, &id.kind);
    text.push('}');
}

fn write_record(text: &mut String, record: &BTreeMap<String, Value>) {
    write_members(text, record.iter());
}

fn write_members<'a>(text: &mut String, members: impl Iterator<Item = (&'a String, &'a Value)>) {
    let mut members: Vec<(&String, &Value)> = members.collect();
    // RFC 8785 §3.2.3 sorts by UTF-16 code units, which differs from the order of bytes, in which they come, beyond the basic plane.
    if !members.iter().all(|(name, _)| name.is_ascii()) {
        members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
    }
    text.push('{');
    for (position, (name, value)) in members.into_iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        write_text(text, name);
        text.push(':');
        write_value(text, value);
    }
    text.push('}');
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Address(address) => {
            text.push_str("{\"__extn\":{\"arg\":");
            write_text(text, &address.to_string());
            text.push_str(",\"fn\":\"ip\"}}");
        }
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Entity(id) => {
            text.push_str("{\"__entity\":");
            write_id(text, id);
            text.push('}');
        }
        Value::Long(number) => text.push_str(&number.to_string()),
        Value::Record(record) => write_record(text, record),
        Value::Set(members) => write_list(text, members, write_value),
        Value::String(value) => write_text(text, value),
    }
}

fn write_list<'a, T: 'a>(
    text: &mut String,
    items: impl IntoIterator<Item = &'a T>,
    write: fn(&mut String, &T),
) {
    text.push('[');
    for (position, item) in items.into_iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        write(text, item);
    }
    text.push(']');
}

/// A string as RFC 8785 §3.2.2.2 writes it.
fn write_text(text: &mut String, value: &str) {
    text.push('"');
    if value
        .bytes()
        .all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
    {
        text.push_str(value);
        text.push('"');
        return;
    }
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            // Writing to a String cannot fail.
            control if control < ' ' => _ = write!(text, "\\u{:04x}", u32::from(control)),
            other => text.push(other),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests;
