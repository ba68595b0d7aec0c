//! The tree of path segments. A literal segment wins over a parameter, a parameter over a tail; where the better one leads nowhere, the
//! next is tried, never deeper than the templates are long.

use super::{NoRoute, Route, RouteError};
use crate::canonical::{canonical_path, decoded};
use crate::webhooks::WebhookRoute;
use countersign_base::RouteId;
use http::Method;
use std::collections::HashMap;
use std::sync::Arc;

/// A path template in its parts.
#[derive(Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Parameter(String),
    Tail(String),
}

impl Template {
    /// `/literal/{parameter}/{*tail}`: literals in canonical form, names of letters, digits and `_`, each once, a tail only at the end.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        for segment in text.strip_prefix('/')?.split('/') {
            let part = Part::parse(segment)?;
            if parts
                .last()
                .is_some_and(|last| matches!(last, Part::Tail(_)))
            {
                return None;
            }
            let twice = part.name().is_some_and(|name| {
                parts
                    .iter()
                    .any(|earlier: &Part| earlier.name() == Some(name))
            });
            if twice {
                return None;
            }
            parts.push(part);
        }
        // Only the last segment of a canonical path may be empty.
        let (_, inner) = parts.split_last()?;
        let empty_inside = inner
            .iter()
            .any(|part| matches!(part, Part::Literal(text) if text.is_empty()));
        (!empty_inside && parts.len() <= crate::canonical::SEGMENTS_MAX).then_some(Self { parts })
    }

    pub(crate) fn parameters(&self) -> Vec<String> {
        self.parts
            .iter()
            .filter_map(Part::name)
            .map(str::to_owned)
            .collect()
    }
}

impl Part {
    fn parse(segment: &str) -> Option<Self> {
        let Some(inner) = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        else {
            let path = format!("/{segment}");
            return (canonical_path(&path).as_ref() == Ok(&path))
                .then(|| Self::Literal(segment.to_owned()));
        };
        let (name, part): (&str, fn(String) -> Self) = match inner.strip_prefix('*') {
            Some(name) => (name, Self::Tail),
            None => (inner, Self::Parameter),
        };
        let valid = (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        valid.then(|| part(name.to_owned()))
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Tail(name) => Some(name),
        }
    }
}

/// One step of the tree.
#[derive(Default)]
pub(crate) struct Node {
    literals: HashMap<String, Self>,
    parameter: Option<Box<Self>>,
    here: Ends,
    tail: Ends,
}

/// The routes that end at a node, one a method.
#[derive(Default)]
struct Ends(Vec<End>);

struct End {
    method: Method,
    leaf: Leaf,
    operation: usize,
}

/// What answers at the end of a path.
#[derive(Clone)]
pub(crate) enum Leaf {
    /// An upstream.
    Upstream(Arc<Route>),
    /// Whoever takes in webhooks.
    Webhook(Arc<WebhookRoute>),
}

impl Leaf {
    fn id(&self) -> &RouteId {
        match self {
            Self::Upstream(route) => &route.id,
            Self::Webhook(route) => &route.id,
        }
    }

    /// The methods that it answers.
    fn methods(&self) -> Vec<Method> {
        match self {
            Self::Upstream(route) => {
                let methods = route.operations.iter();
                methods.map(|operation| operation.method.clone()).collect()
            }
            Self::Webhook(_) => vec![Method::POST],
        }
    }
}

/// Where the search ended.
pub(crate) struct Found {
    pub(crate) leaf: Leaf,
    /// Which of its methods.
    pub(crate) operation: usize,
    pub(crate) values: Vec<String>,
}

impl Node {
    pub(crate) fn insert(
        &mut self,
        template: &Template,
        leaf: &Leaf,
        path: &str,
    ) -> Result<(), RouteError> {
        let mut node = self;
        for part in &template.parts {
            match part {
                Part::Literal(text) => node = node.literals.entry(text.clone()).or_default(),
                Part::Parameter(_) => node = node.parameter.get_or_insert_default(),
                // A tail is the last part.
                Part::Tail(_) => return node.tail.insert(leaf, path),
            }
        }
        node.here.insert(leaf, path)
    }

    /// Finds the end for a path without its first slash.
    pub(crate) fn find(&self, path: &str, method: &Method) -> Result<Found, NoRoute> {
        let mut values = Vec::new();
        self.walk(Some(path), method, &mut values)
    }

    fn walk<'p>(
        &self,
        rest: Option<&'p str>,
        method: &Method,
        values: &mut Vec<&'p str>,
    ) -> Result<Found, NoRoute> {
        let Some(rest) = rest else {
            return self.here.find(method, values);
        };
        let (segment, after) = match rest.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (rest, None),
        };
        let mut missing = NoRoute::Path;
        if let Some(node) = self.literals.get(segment) {
            match node.walk(after, method, values) {
                Ok(found) => return Ok(found),
                Err(why) => missing = telling(missing, why),
            }
        }
        if segment.is_empty() {
            return Err(missing);
        }
        if let Some(node) = &self.parameter {
            values.push(segment);
            match node.walk(after, method, values) {
                Ok(found) => return Ok(found),
                Err(why) => missing = telling(missing, why),
            }
            values.pop();
        }
        values.push(rest);
        match self.tail.find(method, values) {
            Ok(found) => return Ok(found),
            Err(why) => missing = telling(missing, why),
        }
        values.pop();
        Err(missing)
    }
}

/// That a path has other methods is the more telling thing to record.
const fn telling(one: NoRoute, other: NoRoute) -> NoRoute {
    match (one, other) {
        (NoRoute::Method, _) | (_, NoRoute::Method) => NoRoute::Method,
        (_, other) => other,
    }
}

impl Ends {
    fn insert(&mut self, leaf: &Leaf, path: &str) -> Result<(), RouteError> {
        for (operation, method) in leaf.methods().into_iter().enumerate() {
            if let Some(earlier) = self.0.iter().find(|end| end.method == method) {
                return Err(RouteError::Conflict {
                    first: earlier.leaf.id().clone(),
                    second: leaf.id().clone(),
                    method,
                    path: path.to_owned(),
                });
            }
            self.0.push(End {
                method,
                leaf: leaf.clone(),
                operation,
            });
        }
        Ok(())
    }

    fn find(&self, method: &Method, values: &[&str]) -> Result<Found, NoRoute> {
        if self.0.is_empty() {
            return Err(NoRoute::Path);
        }
        let end = self
            .0
            .iter()
            .find(|end| end.method == *method)
            .ok_or(NoRoute::Method)?;
        let values = values
            .iter()
            .map(|value| decoded(value).into_owned())
            .collect();
        Ok(Found {
            leaf: end.leaf.clone(),
            operation: end.operation,
            values,
        })
    }
}
