//! What judging a payload by a schema may cost, found out before the schema is used: a few lines of references make one that doubles with each line, or with each level of a
//! payload that a publisher makes as deep as they like.
//!
//! A schema is looked at as a graph: which others hold of the same value, and which of what is inside of it. Not here: whether it is a schema (its metaschema says that).

use serde_json::Value;
use std::collections::BTreeMap;

/// Schemas that are held against one value in a payload, and those it is in, at the most.
const SCHEMAS_MAX: u64 = 10_000;
/// Schemas within schemas, from the root to a value: each takes a place on the stack.
const DEPTH_MAX: u64 = 1_000;
/// Levels that a payload has: the reader of JSON takes no more.
const LEVELS: usize = 128;
/// Patterns, and bytes of one.
const PATTERNS_MAX: usize = 200;
const PATTERN_BYTES_MAX: usize = 1_024;

/// Refuses a schema by which judging could take too long or go too deep; what is wrong with it.
pub(super) fn bounded(schema: &Value) -> Result<(), String> {
    one_document(schema)?;
    let graph = Graph::of(schema)?;
    if graph.patterns > PATTERNS_MAX {
        return Err(format!("the schema has more than {PATTERNS_MAX} patterns"));
    }
    let order = graph.order()?;
    let most = graph.most(&order);
    if most.schemas > SCHEMAS_MAX || most.depth > DEPTH_MAX {
        return Err(
            "judging a payload by the schema could take too long: too many of its parts hold of one value, or \
             they lead back to themselves in more than one way"
                .to_owned(),
        );
    }
    Ok(())
}

/// What would give a reference another meaning than its place in the document: names of documents within it, and references by where a judge comes from.
fn one_document(schema: &Value) -> Result<(), String> {
    let mut next: Vec<(&Value, usize)> = vec![(schema, 0)];
    while let Some((value, level)) = next.pop() {
        match value {
            Value::Array(items) => next.extend(items.iter().map(|item| (item, level + 1))),
            Value::Object(members) => {
                for (name, member) in members {
                    let named = name == "$id" && level > 0;
                    let dynamic = matches!(name.as_str(), "$dynamicRef" | "$recursiveRef");
                    if (named || dynamic) && member.is_string() {
                        return Err(format!("the schema has a `{name}`"));
                    }
                    next.push((member, level + 1));
                }
            }
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
        }
    }
    Ok(())
}

/// A schema in the graph.
#[derive(Default)]
struct Node {
    /// Those that hold of the same value.
    same: Vec<usize>,
    /// Those that hold of what is inside: of each group one holds of a value.
    inside: Vec<Vec<usize>>,
}

#[derive(Default)]
struct Graph {
    nodes: Vec<Node>,
    patterns: usize,
}

/// Whether a schema has its place in the order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    New,
    /// What it leads to is being looked at.
    Open,
}

/// The most that one value meets.
#[derive(Clone, Copy, Default)]
struct Most {
    schemas: u64,
    depth: u64,
}

/// The graph as it is found: places that are known, and those that are still to be looked at.
struct Search<'s> {
    root: &'s Value,
    known: BTreeMap<String, usize>,
    next: Vec<(String, usize)>,
}

impl Search<'_> {
    fn number(&mut self, at: String) -> usize {
        if let Some(known) = self.known.get(&at) {
            return *known;
        }
        let number = self.known.len();
        self.known.insert(at.clone(), number);
        self.next.push((at, number));
        number
    }

    fn list(&mut self, schema: &Value, name: &str, at: &str) -> Vec<usize> {
        let count = schema
            .get(name)
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        (0..count)
            .map(|place| self.number(format!("{at}/{name}/{place}")))
            .collect()
    }

    fn table(&mut self, schema: &Value, name: &str, at: &str) -> Vec<usize> {
        let members = schema.get(name).and_then(Value::as_object);
        let names = members.into_iter().flatten().map(|(name, _)| name);
        names
            .map(|member| {
                let member = member.replace('~', "~0").replace('/', "~1");
                self.number(format!("{at}/{name}/{member}"))
            })
            .collect()
    }

    fn one(&mut self, schema: &Value, name: &str, at: &str) -> Option<usize> {
        schema.get(name)?;
        Some(self.number(format!("{at}/{name}")))
    }
}

impl Graph {
    fn of(root: &Value) -> Result<Self, String> {
        let mut search = Search {
            root,
            known: BTreeMap::new(),
            next: Vec::new(),
        };
        let mut found: BTreeMap<usize, Node> = BTreeMap::new();
        let mut patterns = 0;
        search.number(String::new());
        while let Some((at, number)) = search.next.pop() {
            let schema = search.root.pointer(&at);
            let schema = schema.ok_or_else(|| format!("a `$ref` leads nowhere: `#{at}`"))?;
            patterns += of_patterns(schema)?;
            found.insert(number, node(&mut search, schema, &at)?);
        }
        Ok(Self {
            nodes: found.into_values().collect(),
            patterns,
        })
    }

    /// The schemas, each after all that hold of the same value with it.
    fn order(&self) -> Result<Vec<usize>, String> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut states = vec![State::New; self.nodes.len()];
        for start in 0..self.nodes.len() {
            // Each with how many of those that it leads to were seen.
            let mut path = vec![(start, 0)];
            while let Some((number, seen)) = path.last_mut() {
                let (Some(node), Some(state)) = (self.nodes.get(*number), states.get_mut(*number))
                else {
                    break;
                };
                if *state == State::Done {
                    path.pop();
                    continue;
                }
                *state = State::Open;
                let Some(next) = node.same.get(*seen).copied() else {
                    *state = State::Done;
                    order.push(*number);
                    path.pop();
                    continue;
                };
                *seen += 1;
                match states.get(next) {
                    Some(State::Open) => {
                        let what = "the schema leads back to itself without going into the payload";
                        return Err(what.to_owned());
                    }
                    Some(State::New) => path.push((next, 0)),
                    Some(State::Done) | None => {}
                }
            }
        }
        Ok(order)
    }

    /// What a value meets at the most, level by level from the innermost out.
    fn most(&self, order: &[usize]) -> Most {
        let mut inner: Vec<Most> = Vec::new();
        for _ in 0..LEVELS {
            let mut here = vec![Most::default(); self.nodes.len()];
            for number in order {
                let Some(node) = self.nodes.get(*number) else {
                    continue;
                };
                let at =
                    |list: &[Most], place: &usize| list.get(*place).copied().unwrap_or_default();
                let mut most = Most {
                    schemas: 1,
                    depth: 0,
                };
                for same in node.same.iter().map(|place| at(&here, place)) {
                    most.schemas = most.schemas.saturating_add(same.schemas);
                    most.depth = most.depth.max(same.depth);
                }
                for group in &node.inside {
                    let of_group = || group.iter().map(|place| at(&inner, place));
                    let schemas = of_group().map(|one| one.schemas).max();
                    let depth = of_group().map(|one| one.depth).max();
                    most.schemas = most.schemas.saturating_add(schemas.unwrap_or(0));
                    most.depth = most.depth.max(depth.unwrap_or(0));
                }
                most.depth = most.depth.saturating_add(1);
                if let Some(place) = here.get_mut(*number) {
                    *place = most;
                }
            }
            inner = here;
        }
        inner.first().copied().unwrap_or_default()
    }
}

/// What a schema leads to.
fn node(search: &mut Search<'_>, schema: &Value, at: &str) -> Result<Node, String> {
    let mut same = Vec::new();
    if let Some(to) = schema.get("$ref").and_then(Value::as_str) {
        let place = to
            .strip_prefix('#')
            .filter(|place| (place.is_empty() || place.starts_with('/')) && !place.contains('%'));
        let place =
            place.ok_or("a `$ref` names a place of the schema itself, as `#/$defs/name`")?;
        same.push(search.number(place.to_owned()));
    }
    for name in ["allOf", "anyOf", "oneOf"] {
        same.extend(search.list(schema, name, at));
    }
    same.extend(search.table(schema, "dependentSchemas", at));
    for name in ["else", "if", "not", "then"] {
        same.extend(search.one(schema, name, at));
    }
    // Members of other names, and elements at other places, are other values.
    let mut inside = vec![
        search.table(schema, "properties", at),
        search.list(schema, "prefixItems", at),
    ];
    let patterns = search.table(schema, "patternProperties", at);
    inside.extend(patterns.into_iter().map(|place| vec![place]));
    for name in [
        "additionalProperties",
        "contains",
        "items",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
    ] {
        inside.extend(search.one(schema, name, at).map(|place| vec![place]));
    }
    Ok(Node { same, inside })
}

/// How many patterns a schema itself has.
fn of_patterns(schema: &Value) -> Result<usize, String> {
    let named = schema.get("patternProperties").and_then(Value::as_object);
    let of_names = named.into_iter().flatten().map(|(name, _)| name.as_str());
    let own = schema.get("pattern").and_then(Value::as_str);
    let mut number = 0;
    for pattern in of_names.chain(own) {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("a pattern has more than {PATTERN_BYTES_MAX} bytes"));
        }
        number += 1;
    }
    Ok(number)
}

#[cfg(test)]
mod tests;
