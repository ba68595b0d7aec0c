//! Pure crates reach no clock, environment, file system, network, runtime or ambient randomness, also not through a dependency.
//!
//! Two halves: what `cargo tree` resolves for each pure crate holds no package of [`FORBIDDEN`] and no feature of [`FORBIDDEN_FEATURES`], and each
//! pure crate carries the `clippy.toml` that bans the standard library's own doors. Clippy reads only the nearest such file, so the copies must agree.

use super::{Check, layering};
use crate::tree;
use crate::verb::Problem;

/// The check.
pub(crate) const CHECK: Check = Check {
    name: "purity",
    findings,
};

/// Packages that do input or output, run tasks, or read the system's clock or randomness for their caller.
const FORBIDDEN: &[&str] = &[
    "async-std",
    "axum",
    "fastrand",
    "fs-err",
    "futures-timer",
    "getrandom",
    "h2",
    "hyper",
    "hyper-util",
    "libsqlite3-sys",
    "mio",
    "rand",
    "rayon",
    "redis",
    "reqwest",
    "rusqlite",
    "rustls-native-certs",
    "rustls-platform-verifier",
    "signal-hook-registry",
    "smol",
    "socket2",
    "sqlx",
    "sqlx-core",
    "tempfile",
    "tokio",
    "tokio-rustls",
    "tonic",
    "uuid",
    "walkdir",
    "webauthn-rs-core",
    "whoami",
];

/// Features that open such a door in a package that is fine without them.
const FORBIDDEN_FEATURES: &[(&str, &str)] = &[
    ("chrono", "clock"),
    ("chrono", "now"),
    ("chrono", "wasmbind"),
    ("regorus", "http"),
    ("regorus", "opa-runtime"),
    ("regorus", "time"),
    ("regorus", "uuid"),
    ("time", "local-offset"),
];

/// The copy that the others must equal.
const MODEL: &str = "crates/base/clippy.toml";

fn findings() -> Result<Vec<String>, Problem> {
    let root = tree::root();
    let model = std::fs::read_to_string(root.join(MODEL)).unwrap_or_default();
    let mut findings = Vec::new();
    for layer in layering::LAYERS
        .iter()
        .filter(|layer| layer.kind == layering::Kind::Pure)
    {
        let folder = format!("crates/{}", layer.name);
        if !root.join(&folder).is_dir() {
            continue;
        }
        findings.extend(of_tree(layer.name)?);
        let bans =
            std::fs::read_to_string(root.join(&folder).join("clippy.toml")).unwrap_or_default();
        if bans.is_empty() {
            findings.push(format!("{folder}: has no clippy.toml; copy {MODEL}"));
        } else if bans != model {
            findings.push(format!("{folder}/clippy.toml: differs from {MODEL}"));
        }
    }
    Ok(findings)
}

fn of_tree(name: &str) -> Result<Vec<String>, Problem> {
    let package = format!("countersign-{name}");
    let text = tree::cargo_output(&[
        "tree",
        "--locked",
        "--package",
        &package,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}|{f}",
    ])?;
    let mut findings: Vec<String> = text
        .lines()
        .filter_map(|line| of_line(name, line))
        .collect();
    findings.sort();
    findings.dedup();
    Ok(findings)
}

fn of_line(name: &str, line: &str) -> Option<String> {
    let (package, features) = line.split_once('|')?;
    let package = package.split_whitespace().next()?;
    if FORBIDDEN.contains(&package) {
        return Some(format!(
            "crates/{name}: is pure and reaches `{package}` (cargo tree --package countersign-{name} --invert {package})"
        ));
    }
    let open = FORBIDDEN_FEATURES
        .iter()
        .find(|(of, feature)| *of == package && features.split(',').any(|on| on == *feature))?;
    Some(format!(
        "crates/{name}: is pure and reaches `{package}` with feature `{}`",
        open.1
    ))
}

#[cfg(test)]
mod tests {
    use super::of_line;

    #[test]
    fn a_runtime_and_an_open_feature_are_found() {
        assert!(of_line("base", "tokio v1.0.0|rt").is_some());
        assert!(of_line("policy", "chrono v0.4.45|std,clock").is_some());
        assert!(of_line("policy", "chrono v0.4.45|std").is_none());
        assert!(of_line("base", "serde v1.0.0|std").is_none());
    }
}
