//! `resource.attributes` of a route: what policies learn of the thing behind it, and where that comes from.
//!
//! `attributes = ["region"]` takes parameters of the path by their own names; `attributes.customer = { body = "/customer/id", type = "User" }` says where from.

use super::error::Mistakes;
use countersign_base::{JsonPointer, escape_step};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use toml::Spanned;

/// As written.
#[derive(Debug, Clone)]
pub(crate) enum RawAttributes {
    Names(BTreeSet<String>),
    Sources(BTreeMap<String, Spanned<RawAttribute>>),
}

impl Default for RawAttributes {
    fn default() -> Self {
        Self::Names(BTreeSet::new())
    }
}

/// Where one attribute comes from, as written: one of `parameter`, `body`, `value`, or `source` with `parameter` and `field`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAttribute {
    /// A parameter of the path.
    parameter: Option<String>,
    /// A place in the request's JSON body.
    body: Option<JsonPointer>,
    /// The same for every request.
    value: Option<String>,
    /// One of `[[attribute_sources]]`, which is asked about the object that `parameter` names.
    source: Option<String>,
    /// Where it stands in the source's answer: a member, or a JSON pointer.
    field: Option<String>,
    /// The type of the entity that it names.
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Where an attribute comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeSection {
    /// A place in the request's JSON body.
    Body {
        /// The place.
        pointer: JsonPointer,
        /// The type of the entity that it names.
        kind: Option<String>,
    },
    /// A parameter of the path.
    Parameter {
        /// The parameter.
        name: String,
        /// The type of the entity that it names.
        kind: Option<String>,
    },
    /// What a source says.
    Source {
        /// The source.
        source: String,
        /// The parameter that names the object.
        parameter: String,
        /// Where it stands in the answer.
        field: JsonPointer,
        /// The type of the entity that it names.
        kind: Option<String>,
    },
    /// The same for every request.
    Static(String),
}

impl<'de> Deserialize<'de> for RawAttributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawAttributes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of parameters, or a table of attributes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RawAttributes, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(RawAttributes::Names)
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<RawAttributes, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(table))
                    .map(RawAttributes::Sources)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

pub(crate) fn check(
    raw: RawAttributes,
    mistakes: &mut Mistakes<'_>,
) -> BTreeMap<String, AttributeSection> {
    let sources = match raw {
        RawAttributes::Names(names) => {
            let named = names.into_iter().map(|name| {
                let section = AttributeSection::Parameter {
                    name: name.clone(),
                    kind: None,
                };
                (name, section)
            });
            return named.collect();
        }
        RawAttributes::Sources(sources) => sources,
    };
    let mut checked = BTreeMap::new();
    for (name, source) in sources {
        let span = source.span();
        match source.into_inner().section() {
            Some(section) => _ = checked.insert(name, section),
            None => mistakes.at(
                &span,
                format!("the attribute `{name}` comes from one place"),
                "write one of `{ parameter = \"region\" }`, `{ body = \"/customer/id\" }`, `{ value = \"eu\" }`, `{ source = \"orders\", parameter = \"order\", field = \"owner\" }`; the first two may have a `type`",
            ),
        }
    }
    checked
}

impl AttributeSection {
    /// Whether it names an entity.
    pub(crate) const fn is_entity(&self) -> bool {
        match self {
            Self::Body { kind, .. } | Self::Parameter { kind, .. } | Self::Source { kind, .. } => {
                kind.is_some()
            }
            Self::Static(_) => false,
        }
    }
}

impl RawAttribute {
    fn section(self) -> Option<AttributeSection> {
        let kind = self.kind;
        if let Some(source) = self.source {
            let (parameter, field) = (self.parameter?, self.field?);
            let pointer = if field.starts_with('/') {
                field
            } else {
                format!("/{}", escape_step(&field))
            };
            let alone = self.body.is_none() && self.value.is_none();
            return alone.then_some(AttributeSection::Source {
                source,
                parameter,
                field: pointer.parse().ok()?,
                kind,
            });
        }
        if self.field.is_some() {
            return None;
        }
        match (self.parameter, self.body, self.value) {
            (Some(name), None, None) => Some(AttributeSection::Parameter { name, kind }),
            (None, Some(pointer), None) => Some(AttributeSection::Body { pointer, kind }),
            (None, None, Some(value)) if kind.is_none() => Some(AttributeSection::Static(value)),
            _ => None,
        }
    }
}
