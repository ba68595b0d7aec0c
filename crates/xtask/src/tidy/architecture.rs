//! Names in `docs/ARCHITECTURE.md` exist: paths in the tree, items in the sources.
//!
//! A code span with a `/` is a path, one with `::` or in camel case is an item; other spans (commands, values) are not judged.

use super::Check;
use crate::tree;
use crate::verb::Problem;
use std::collections::BTreeSet;

/// The check.
pub(crate) const CHECK: Check = Check {
    name: "architecture",
    findings,
};

const PAGE: &str = "docs/ARCHITECTURE.md";

fn findings() -> Result<Vec<String>, Problem> {
    let root = tree::root();
    let Ok(page) = std::fs::read_to_string(root.join(PAGE)) else {
        return Ok(vec![format!("{PAGE}: is missing")]);
    };
    let files = tree::rust_files()?;
    let known: BTreeSet<&str> = files
        .iter()
        .flat_map(|file| tree::words(&file.text))
        .collect();
    let mut findings = Vec::new();
    for span in spans(&page) {
        if let Some(path) = as_path(span) {
            if !root.join(path).exists() {
                findings.push(format!("{PAGE}: `{span}` is not in the tree"));
            }
        } else if as_item(span).is_some_and(|item| !known.contains(item)) {
            findings.push(format!("{PAGE}: `{span}` is in no source file"));
        }
    }
    findings.dedup();
    Ok(findings)
}

/// The code spans of a page, fenced blocks left out.
fn spans(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    let lines = page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    lines.flat_map(|line| line.split('`').skip(1).step_by(2))
}

fn as_path(span: &str) -> Option<&str> {
    let known_top = [
        "crates/",
        "docs/",
        "tests/",
        "examples/",
        "bench/",
        ".ci/",
        ".cargo/",
    ];
    known_top
        .iter()
        .any(|top| span.starts_with(top))
        .then_some(span)
}

fn as_item(span: &str) -> Option<&str> {
    let name = span.split(['(', '<', ' ']).next().unwrap_or(span);
    let last = name.rsplit("::").next().unwrap_or(name);
    let is_word = !last.is_empty() && last.chars().all(|c| c.is_alphanumeric() || c == '_');
    let camel = last.starts_with(char::is_uppercase) && last.chars().any(char::is_lowercase);
    (is_word && (name.contains("::") || camel)).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::{as_item, as_path, spans};

    #[test]
    fn spans_are_told_apart() {
        let page = "`crates/base` and `Permitted<T>` and `policy::decide`\n```\n`not this`\n```\n`cargo test`";
        let found: Vec<&str> = spans(page).collect();
        assert_eq!(
            found,
            [
                "crates/base",
                "Permitted<T>",
                "policy::decide",
                "cargo test"
            ]
        );
        assert_eq!(as_path("crates/base"), Some("crates/base"));
        assert_eq!(as_item("Permitted<T>"), Some("Permitted"));
        assert_eq!(as_item("policy::decide"), Some("decide"));
        assert_eq!(as_item("cargo test"), None);
    }
}
