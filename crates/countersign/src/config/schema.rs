//! `schema` of a route: the OpenAPI 3.1 document that says what its requests and answers look like; and `owner` and `unowned`: whose the thing behind it is.

use super::attributes::AttributeSection;
use super::error::Mistakes;
use super::routes::RouteSection;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::Spanned;

/// Letters of a reason that says something.
const REASON_CHARS_MIN: usize = 12;

/// `schema` as written and as used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaSection {
    /// The file, JSON; relative paths start at the configuration directory.
    pub document: PathBuf,
    /// What becomes of what does not fit.
    #[serde(default)]
    pub mode: SchemaMode,
}

/// What becomes of what does not fit a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchemaMode {
    /// Requests are refused, and answers cut down.
    #[default]
    Enforce,
    /// It goes on and is recorded.
    Report,
}

/// Whose the thing behind a route is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// This attribute of the resource says it, and policies compare it with who asks.
    Attribute(String),
    /// Nobody's, for this reason.
    None(String),
    /// Nobody has said.
    Unsaid,
}

/// The attribute must be there and name somebody: policies compare it with a principal.
pub(crate) fn ownership(
    owner: Option<Spanned<String>>,
    unowned: Option<Spanned<String>>,
    attributes: Option<&BTreeMap<String, AttributeSection>>,
    users: impl Fn(&str) -> bool,
    mistakes: &mut Mistakes<'_>,
) -> Ownership {
    match (owner, unowned) {
        (None, None) => Ownership::Unsaid,
        (Some(owner), None) => {
            let name = owner.get_ref();
            let entity = attributes
                .and_then(|attributes| attributes.get(name))
                .is_some_and(AttributeSection::is_entity);
            if !entity && !users(name) {
                mistakes.at(
                    &owner.span(),
                    format!("no attribute `{name}` of the resource names somebody"),
                    "write it into `users`, or give it a `type`: `attributes.owner = { body = \"/customer/id\", type = \"User\" }`",
                );
            }
            Ownership::Attribute(owner.into_inner())
        }
        (None, Some(reason)) => {
            if reason.get_ref().trim().chars().count() < REASON_CHARS_MIN {
                mistakes.at(
                    &reason.span(),
                    "a reason says why nobody owns what is behind the route",
                    "as in `unowned = \"the price list is the same for everybody\"`",
                );
            }
            Ownership::None(reason.into_inner())
        }
        (Some(_), Some(reason)) => {
            mistakes.at(
                &reason.span(),
                "a route has an owner or a reason why it has none, not both",
                "remove `owner` or `unowned`",
            );
            Ownership::None(reason.into_inner())
        }
    }
}

impl RouteSection {
    /// A parameter of its path that looks as if it names one thing among many, of a route of which nobody has said whose it is.
    #[must_use]
    pub fn unowned_id(&self) -> Option<&str> {
        match self.ownership {
            Ownership::Attribute(_) | Ownership::None(_) => return None,
            Ownership::Unsaid => {}
        }
        let mut before = "";
        for part in self.path.split('/') {
            let name = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'));
            match name {
                Some(name) if is_id(name, before) => return Some(name),
                Some(_) => before = "",
                None => before = part,
            }
        }
        None
    }
}

/// `id`, `order_id`, `orderId`; what stands behind its own plural (`/orders/{order}`); a number, a key.
fn is_id(name: &str, before: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let ending = ["_id", "uuid", "guid", "number", "_key", "_no", "handle"]
        .iter()
        .any(|ending| lower.ends_with(ending));
    let plural = !before.is_empty()
        && (before.strip_suffix('s') == Some(&lower)
            || before.strip_suffix("es") == Some(&lower)
            || before
                .strip_suffix("ies")
                .is_some_and(|stem| lower.strip_suffix('y') == Some(stem)));
    lower == "id" || ending || name.ends_with("Id") || plural
}

#[cfg(test)]
mod tests {
    use super::is_id;

    #[test]
    fn names_of_one_thing_among_many_are_known() {
        for (name, before) in [
            ("id", ""),
            ("order_id", "x"),
            ("orderId", "x"),
            ("order", "orders"),
            ("entry", "entries"),
            ("box", "boxes"),
            ("invoice_number", "of"),
        ] {
            assert!(is_id(name, before), "{name} after {before}");
        }
        for (name, before) in [
            ("region", "in"),
            ("grid", ""),
            ("order", "order"),
            ("version", "api"),
        ] {
            assert!(!is_id(name, before), "{name} after {before}");
        }
    }
}
