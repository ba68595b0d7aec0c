//! What every Rust file keeps: it opens with `//!` (tests beside a file belong to that file's), has at most 600 lines without its tests, is not a grab bag, and ignores no test without an issue.
//!
//! The length of functions is clippy's (`too_many_lines`, threshold in `clippy.toml`).

use super::Check;
use crate::tree::{self, SourceFile};
use crate::verb::Problem;

/// The check.
pub(crate) const CHECK: Check = Check {
    name: "sources",
    findings,
};

const LINES_MAX: usize = 600;
const GRAB_BAGS: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

fn findings() -> Result<Vec<String>, Problem> {
    Ok(tree::rust_files()?.iter().flat_map(of_file).collect())
}

/// What is wrong with one file.
pub(crate) fn of_file(file: &SourceFile) -> Vec<String> {
    let mut findings = Vec::new();
    if file.path.contains("/src/") && !file.is_test() && !opens_with_docs(&file.text) {
        findings.push(format!(
            "{}: does not open with `//!`: what it does, what it does not, which RFC section",
            file.path
        ));
    }
    let lines = file.production_lines().count();
    if lines > LINES_MAX && !file.is_test() {
        findings.push(format!(
            "{}: {lines} lines without tests, at most {LINES_MAX}",
            file.path
        ));
    }
    let parts = file
        .path
        .split('/')
        .map(|part| part.trim_end_matches(".rs"));
    findings.extend(
        parts
            .filter(|part| GRAB_BAGS.contains(part))
            .map(|part| format!("{}: `{part}` says nothing; name the topic", file.path)),
    );
    findings.extend(ignored(file));
    findings
}

fn opens_with_docs(text: &str) -> bool {
    let first = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with("#!"));
    first.is_some_and(|line| line.starts_with("//!"))
}

fn ignored(file: &SourceFile) -> impl Iterator<Item = String> + '_ {
    let lines = file
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.trim_start().starts_with("#[ignore"));
    let bare = lines.filter(|(_, line)| !line.contains("issue "));
    bare.map(|(at, _)| {
        format!(
            "{}:{}: an ignored test names its issue: `= \"issue N: reason\"`",
            file.path,
            at + 1
        )
    })
}
