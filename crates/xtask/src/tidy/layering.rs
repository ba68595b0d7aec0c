//! Who may use whom, read from the manifests.
//!
//! The table is the design's: an arrow is transitive, and an edge that the table does not allow fails.

use super::Check;
use crate::tree;
use crate::verb::Problem;
use std::collections::{BTreeMap, BTreeSet};

/// The check.
pub(crate) const CHECK: Check = Check {
    name: "layering",
    findings,
};

/// What a crate may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No clock, environment, file system, network, spawn or runtime.
    Pure,
    /// Loads, calls, commits.
    Shell,
    /// What a service links.
    Library,
    /// The program.
    Binary,
    /// For tests alone.
    Dev,
    /// Developer commands.
    Tool,
}

/// A row of the table.
pub(crate) struct Layer {
    /// The folder below `crates/`.
    pub(crate) name: &'static str,
    /// What it may do.
    pub(crate) kind: Kind,
    /// The crates directly below it; what those may use, it may use too.
    uses: &'static [&'static str],
}

const fn layer(name: &'static str, kind: Kind, uses: &'static [&'static str]) -> Layer {
    Layer { name, kind, uses }
}

const ALL_PURE: &[&str] = &[
    "audit",
    "federation",
    "governance",
    "keys",
    "oauth",
    "vault",
    "wire",
    "workload",
];

/// The table. `countersign` uses `guard` for the services of its practice exercise only.
pub(crate) const LAYERS: &[Layer] = &[
    layer("base", Kind::Pure, &[]),
    layer("crypto", Kind::Pure, &["base"]),
    layer("agent", Kind::Pure, &["crypto"]),
    layer("audit", Kind::Pure, &["crypto"]),
    layer("authn", Kind::Pure, &["crypto"]),
    layer("keys", Kind::Pure, &["crypto"]),
    layer("wire", Kind::Pure, &["crypto"]),
    layer("policy", Kind::Pure, &["authn"]),
    layer("federation", Kind::Pure, &["policy"]),
    layer("governance", Kind::Pure, &["policy"]),
    layer("oauth", Kind::Pure, &["policy"]),
    layer("vault", Kind::Pure, &["policy"]),
    layer("workload", Kind::Pure, &["policy"]),
    layer("store", Kind::Shell, ALL_PURE),
    layer("net", Kind::Shell, &["audit", "policy"]),
    layer("control", Kind::Shell, &["net", "store"]),
    layer("api", Kind::Shell, &["control"]),
    layer("channels", Kind::Shell, &["control"]),
    layer("gateway", Kind::Shell, &["control"]),
    layer("guard", Kind::Library, &["authn", "guard-derive", "keys"]),
    layer("guard-derive", Kind::Library, &[]),
    layer(
        "countersign",
        Kind::Binary,
        &["agent", "api", "channels", "gateway", "guard"],
    ),
    layer("testkit", Kind::Dev, &["control"]),
    layer("bench", Kind::Tool, &["countersign", "testkit"]),
    layer("fuzz", Kind::Tool, &["countersign", "testkit"]),
    layer("xtask", Kind::Tool, &["countersign", "testkit"]),
];

/// A kind of dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// Build-time or test-time only.
    Dev,
    /// Part of what is shipped.
    Normal,
    /// Only behind a feature.
    Optional,
}

/// The row of a crate.
pub(crate) fn row(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.name == name)
}

/// Everything `name` may use.
fn allowed(name: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut queue: Vec<&'static str> = row(name)
        .map(|layer| layer.uses.to_vec())
        .unwrap_or_default();
    while let Some(next) = queue.pop() {
        if found.insert(next) {
            queue.extend(row(next).map(|layer| layer.uses).unwrap_or_default());
        }
    }
    found
}

/// Why the edge is not allowed, if it is not.
pub(crate) fn refusal(from: &str, to: &str, edge: Edge) -> Option<String> {
    if row(from).is_none() {
        return Some(format!(
            "crates/{from}: not in the layering table; add its row to crates/xtask/src/tidy/layering.rs"
        ));
    }
    let behind_a_feature = from == "guard" && to == "policy" && edge == Edge::Optional;
    // A crate's tests name the crate itself to be built with its features.
    let for_tests = (to == "testkit" || to == from) && edge == Edge::Dev;
    if allowed(from).contains(to) || behind_a_feature || for_tests {
        return None;
    }
    Some(format!(
        "crates/{from}/Cargo.toml: may not use `countersign-{to}`"
    ))
}

fn findings() -> Result<Vec<String>, Problem> {
    let text = tree::cargo_output(&["metadata", "--format-version", "1", "--no-deps", "--locked"])?;
    let metadata: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| Problem::new(format!("cargo metadata: {error}")))?;
    let mut findings = Vec::new();
    for (from, edges) in edges(&metadata) {
        if row(&from).is_none() {
            findings.extend(refusal(&from, "base", Edge::Normal));
        }
        findings.extend(
            edges
                .iter()
                .filter_map(|(to, edge)| refusal(&from, to, *edge)),
        );
    }
    Ok(findings)
}

/// Folder name of each workspace crate, and the workspace crates its manifest names.
fn edges(metadata: &serde_json::Value) -> BTreeMap<String, Vec<(String, Edge)>> {
    let mut all = BTreeMap::new();
    for package in metadata
        .get("packages")
        .and_then(|list| list.as_array())
        .into_iter()
        .flatten()
    {
        let Some(from) = folder(package) else {
            continue;
        };
        let mut edges = Vec::new();
        for dependency in package
            .get("dependencies")
            .and_then(|list| list.as_array())
            .into_iter()
            .flatten()
        {
            if let Some(to) = folder(dependency).filter(|_| dependency.get("path").is_some()) {
                edges.push((to, kind(dependency)));
            }
        }
        all.insert(from, edges);
    }
    all
}

fn kind(dependency: &serde_json::Value) -> Edge {
    if dependency
        .get("kind")
        .and_then(|kind| kind.as_str())
        .is_some()
    {
        Edge::Dev
    } else if dependency
        .get("optional")
        .and_then(serde_json::Value::as_bool)
        == Some(true)
    {
        Edge::Optional
    } else {
        Edge::Normal
    }
}

/// The folder of a package: its name without the prefix.
fn folder(package: &serde_json::Value) -> Option<String> {
    let name = package.get("name")?.as_str()?;
    Some(name.strip_prefix("countersign-").unwrap_or(name).to_owned())
}
