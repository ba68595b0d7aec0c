//! What a schema declares, as far as an answer is cut down to it: which members an object has, and what those are.
//!
//! A member is declared by `properties`, `patternProperties`, or an `additionalProperties` that is written out (`true` or a schema). What is left out declares nothing, although JSON Schema
//! would let it pass: an answer says what its document says, and no more. Whether a value fits is for the schema itself to judge afterwards.

use super::document::{Document, DocumentError, Side, join, referred};
use crate::json::{Member, Node};
use jsonschema::Validator;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Values that are looked at to cut down one answer; alternatives look at a value more than once.
pub const STEPS_MAX: usize = 500_000;

/// Alternatives of `anyOf` and `oneOf` in the schema of one answer.
pub const ALTERNATIVES_MAX: usize = 1_000;

/// The schemas that an answer can lead to.
pub(crate) struct Shapes {
    shapes: Vec<Shape>,
    root: usize,
}

#[derive(Default)]
struct Shape {
    /// Anything passes: it says nothing of what is inside.
    open: bool,
    /// What else holds of the same value.
    also: Vec<usize>,
    /// Of each group one holds.
    choices: Vec<Vec<Choice>>,
    properties: BTreeMap<String, usize>,
    patterns: Vec<(Validator, usize)>,
    additional: Option<usize>,
    prefix: Vec<usize>,
    items: Option<usize>,
}

struct Choice {
    shape: usize,
    validator: Validator,
}

/// It would take too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManySteps;

impl Shapes {
    pub(crate) fn compile(document: &Document, pointer: &str) -> Result<Self, DocumentError> {
        let mut compiler = Compiler {
            document,
            shapes: Vec::new(),
            known: HashMap::new(),
            alternatives: 0,
        };
        let root = compiler.shape(pointer)?;
        let shapes = Self {
            shapes: compiler.shapes,
            root,
        };
        Ok(shapes)
    }

    /// Takes out of a value what is not declared.
    pub(crate) fn cut(&self, node: &mut Node<'_>) -> Result<(), TooManySteps> {
        let mut left = STEPS_MAX;
        self.cut_by(node, &[self.root], &mut left)
    }

    fn cut_by(
        &self,
        node: &mut Node<'_>,
        shapes: &[usize],
        left: &mut usize,
    ) -> Result<(), TooManySteps> {
        *left = left.checked_sub(1).ok_or(TooManySteps)?;
        match node {
            Node::Bool(_) | Node::Null | Node::Number(_) | Node::String(..) => return Ok(()),
            Node::Array(_) | Node::Object(_) => {}
        }
        let all = self.holding(node, shapes, left)?;
        let known = || all.iter().filter_map(|shape| self.shapes.get(*shape));
        if !all.is_empty() && known().all(|shape| shape.open) {
            return Ok(());
        }
        match node {
            Node::Object(members) => {
                let mut kept = Vec::with_capacity(members.len());
                for mut member in members.drain(..) {
                    let declared: Vec<usize> =
                        known().flat_map(|shape| shape.of_member(&member)).collect();
                    if !declared.is_empty() {
                        self.cut_by(&mut member.value, &declared, left)?;
                        kept.push(member);
                    }
                }
                *members = kept;
            }
            Node::Array(items) => {
                for (position, item) in items.iter_mut().enumerate() {
                    let declared: Vec<usize> = known()
                        .filter_map(|shape| shape.of_item(position))
                        .collect();
                    self.cut_by(item, &declared, left)?;
                }
            }
            Node::Bool(_) | Node::Null | Node::Number(_) | Node::String(..) => {}
        }
        Ok(())
    }

    /// All schemas that hold of a value: those named, what they refer to, and of each choice the first that the value fits once it is cut down to it.
    fn holding(
        &self,
        node: &Node<'_>,
        shapes: &[usize],
        left: &mut usize,
    ) -> Result<BTreeSet<usize>, TooManySteps> {
        let mut all = BTreeSet::new();
        let mut next: Vec<usize> = shapes.to_vec();
        while let Some(position) = next.pop() {
            let Some(shape) = self.shapes.get(position) else {
                continue;
            };
            if !all.insert(position) {
                continue;
            }
            next.extend(&shape.also);
            for group in &shape.choices {
                for choice in group {
                    let mut tried = node.clone();
                    self.cut_by(&mut tried, &[position_of(choice)], left)?;
                    *left = left.checked_sub(1).ok_or(TooManySteps)?;
                    if choice.validator.is_valid(&tried.to_value()) {
                        next.push(choice.shape);
                        break;
                    }
                }
            }
        }
        Ok(all)
    }
}

const fn position_of(choice: &Choice) -> usize {
    choice.shape
}

impl Shape {
    fn of_member(&self, member: &Member<'_>) -> Vec<usize> {
        let mut found: Vec<usize> = self
            .properties
            .get(member.name.as_ref())
            .copied()
            .into_iter()
            .collect();
        if !self.patterns.is_empty() {
            let name = Value::from(member.name.as_ref());
            let fitting = self
                .patterns
                .iter()
                .filter(|(pattern, _)| pattern.is_valid(&name));
            found.extend(fitting.map(|(_, shape)| *shape));
        }
        if found.is_empty() {
            found.extend(self.additional);
        }
        found
    }

    fn of_item(&self, position: usize) -> Option<usize> {
        self.prefix.get(position).copied().or(self.items)
    }
}

/// Keywords that hold of the value itself, and name other schemas.
const ALSO: [&str; 5] = ["$ref", "allOf", "then", "else", "dependentSchemas"];
/// Keywords that say what a value may be.
const SAYING: [&str; 10] = [
    "additionalProperties",
    "anyOf",
    "const",
    "enum",
    "items",
    "oneOf",
    "patternProperties",
    "prefixItems",
    "properties",
    "type",
];

struct Compiler<'d> {
    document: &'d Document,
    shapes: Vec<Shape>,
    known: HashMap<String, usize>,
    alternatives: usize,
}

impl Compiler<'_> {
    /// The shape of the schema at a place. Schemas may lead back to themselves, so that its number is known before it is.
    fn shape(&mut self, at: &str) -> Result<usize, DocumentError> {
        if let Some(known) = self.known.get(at) {
            return Ok(*known);
        }
        let document = self.document;
        let schema = document
            .side(Side::Answer)
            .pointer(at)
            .ok_or_else(|| document.error(at, "there is no schema"))?;
        let number = self.shapes.len();
        self.shapes.push(Shape::default());
        self.known.insert(at.to_owned(), number);
        let mut shape = Shape::default();
        match schema {
            Value::Bool(open) => shape.open = *open,
            Value::Object(members) => {
                let says = |name: &&str| members.contains_key(*name);
                shape.open = !SAYING.iter().chain(&ALSO).any(says);
                self.same_value(&mut shape, schema, at)?;
                self.members(&mut shape, schema, at)?;
                self.elements(&mut shape, schema, at)?;
            }
            Value::Array(_) | Value::Null | Value::Number(_) | Value::String(_) => {
                return Err(document.error(at, "expected a schema"));
            }
        }
        if let Some(place) = self.shapes.get_mut(number) {
            *place = shape;
        }
        Ok(number)
    }

    fn same_value(
        &mut self,
        shape: &mut Shape,
        schema: &Value,
        at: &str,
    ) -> Result<(), DocumentError> {
        if let Some(to) = referred(schema) {
            shape.also.push(self.shape(&to)?);
        }
        for step in list(schema, "allOf", at) {
            shape.also.push(self.shape(&step)?);
        }
        for name in ["then", "else"] {
            if schema.get(name).is_some() {
                shape.also.push(self.shape(&join(at, name))?);
            }
        }
        for (_, place) in table(schema, "dependentSchemas", at) {
            shape.also.push(self.shape(&place)?);
        }
        for name in ["anyOf", "oneOf"] {
            let mut group = Vec::new();
            for place in list(schema, name, at) {
                self.alternatives += 1;
                if self.alternatives > ALTERNATIVES_MAX {
                    let what = format!("more than {ALTERNATIVES_MAX} alternatives");
                    return Err(self.document.error(at, what));
                }
                group.push(Choice {
                    shape: self.shape(&place)?,
                    validator: self.document.validator(Side::Answer, &place)?,
                });
            }
            if !group.is_empty() {
                shape.choices.push(group);
            }
        }
        Ok(())
    }

    fn members(
        &mut self,
        shape: &mut Shape,
        schema: &Value,
        at: &str,
    ) -> Result<(), DocumentError> {
        for (name, place) in table(schema, "properties", at) {
            let member = self.shape(&place)?;
            shape.properties.insert(name, member);
        }
        for (pattern, place) in table(schema, "patternProperties", at) {
            let pattern = self.document.pattern(&place, &pattern)?;
            shape.patterns.push((pattern, self.shape(&place)?));
        }
        match schema.get("additionalProperties") {
            None | Some(Value::Bool(false)) => {}
            Some(_) => shape.additional = Some(self.shape(&join(at, "additionalProperties"))?),
        }
        Ok(())
    }

    fn elements(
        &mut self,
        shape: &mut Shape,
        schema: &Value,
        at: &str,
    ) -> Result<(), DocumentError> {
        for place in list(schema, "prefixItems", at) {
            shape.prefix.push(self.shape(&place)?);
        }
        if schema.get("items").is_some() {
            shape.items = Some(self.shape(&join(at, "items"))?);
        }
        Ok(())
    }
}

/// The places of a list of schemas.
fn list(schema: &Value, name: &str, at: &str) -> Vec<String> {
    let count = schema
        .get(name)
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let list = join(at, name);
    (0..count)
        .map(|position| format!("{list}/{position}"))
        .collect()
}

/// The names and places of a table of schemas.
fn table(schema: &Value, name: &str, at: &str) -> Vec<(String, String)> {
    let members = schema.get(name).and_then(Value::as_object);
    let table = join(at, name);
    members
        .into_iter()
        .flatten()
        .map(|(name, _)| (name.clone(), join(&table, name)))
        .collect()
}

/// Refuses schemas that lead back to themselves without going into the value, which would never end, and alternatives of which two lead back to where they stand, which would double
/// with each level of a value that a caller makes as deep as they like.
pub(crate) fn bounded(document: &Document, side: Side, pointer: &str) -> Result<(), DocumentError> {
    let mut graph = Graph {
        root: document.side(side),
        edges: HashMap::new(),
    };
    graph.walk(pointer.to_owned());
    for (at, edges) in &graph.edges {
        if graph.reaches(&edges.same, at, Along::Same) {
            return Err(document.error(
                at,
                "the schema leads back to itself without going into the value",
            ));
        }
        let returning = edges
            .alternatives
            .iter()
            .filter(|branch| graph.reaches(std::slice::from_ref(branch), at, Along::All));
        if returning.count() > 1 {
            return Err(document.error(
                at,
                "two alternatives of `anyOf` or `oneOf` lead back here: what a value costs would double with each of its levels",
            ));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Edges {
    /// Schemas that hold of the same value.
    same: Vec<String>,
    alternatives: Vec<String>,
    /// Schemas of what is inside.
    inside: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Along {
    Same,
    All,
}

struct Graph<'d> {
    root: &'d Value,
    edges: HashMap<String, Edges>,
}

impl Graph<'_> {
    fn walk(&mut self, from: String) {
        let mut next = vec![from];
        while let Some(at) = next.pop() {
            if self.edges.contains_key(&at) {
                continue;
            }
            let edges = self
                .root
                .pointer(&at)
                .map_or_else(Edges::default, |schema| edges(schema, &at));
            next.extend(edges.same.iter().chain(&edges.inside).cloned());
            self.edges.insert(at, edges);
        }
    }

    fn reaches(&self, from: &[String], to: &str, along: Along) -> bool {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&str> = from.iter().map(String::as_str).collect();
        while let Some(at) = next.pop() {
            if at == to {
                return true;
            }
            if !seen.insert(at) {
                continue;
            }
            let Some(edges) = self.edges.get(at) else {
                continue;
            };
            next.extend(edges.same.iter().map(String::as_str));
            if along == Along::All {
                next.extend(edges.inside.iter().map(String::as_str));
            }
        }
        false
    }
}

fn edges(schema: &Value, at: &str) -> Edges {
    let alternatives: Vec<String> = ["anyOf", "oneOf"]
        .iter()
        .flat_map(|name| list(schema, name, at))
        .collect();
    let mut same = alternatives.clone();
    same.extend(referred(schema));
    same.extend(list(schema, "allOf", at));
    same.extend(
        table(schema, "dependentSchemas", at)
            .into_iter()
            .map(|(_, place)| place),
    );
    let one = |name: &&str| schema.get(*name).is_some().then(|| join(at, name));
    same.extend(["if", "then", "else", "not"].iter().filter_map(one));
    let mut inside: Vec<String> = [
        "additionalProperties",
        "contains",
        "items",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
    ]
    .iter()
    .filter_map(one)
    .collect();
    inside.extend(list(schema, "prefixItems", at));
    for name in ["patternProperties", "properties"] {
        inside.extend(table(schema, name, at).into_iter().map(|(_, place)| place));
    }
    Edges {
        same,
        alternatives,
        inside,
    }
}
