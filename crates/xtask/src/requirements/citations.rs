//! Where tests name requirement ids: in the names of test functions and of the cases of their tables.

use super::list::dashed_series;
use crate::tree::{self, SourceFile};
use crate::verb::Problem;
use std::collections::{BTreeMap, BTreeSet};

/// Id to the tests that name it, each `file: name`.
pub(crate) type Citations = BTreeMap<String, Vec<String>>;

/// Every citation in the crates' tests and in the suites that run other people's clients.
pub(crate) fn of_tree() -> Result<Citations, Problem> {
    let mut all = Citations::new();
    for file in tree::rust_files()?
        .iter()
        .filter(|file| !file.path.starts_with("crates/xtask/"))
    {
        of_rust(file, &mut all);
    }
    for extension in ["mjs", "py", "sh"] {
        for file in tree::files_below("tests", extension)? {
            of_cases(&file.path, file.text.lines(), &mut all);
        }
    }
    Ok(all)
}

/// The citations of one Rust file.
fn of_rust(file: &SourceFile, all: &mut Citations) {
    let mut under_test_attribute = false;
    for line in file.text.lines().map(str::trim) {
        if line.starts_with("#[") && (line.contains("test]") || line.contains("test(")) {
            under_test_attribute = true;
        } else if let Some(name) = function_name(line) {
            if under_test_attribute {
                note(&file.path, name, ids(name), all);
            }
            under_test_attribute = false;
        } else if !line.starts_with("#[") && !line.is_empty() {
            under_test_attribute = false;
        }
    }
    let first_test_line = if file.is_test() {
        0
    } else {
        file.production_lines().count()
    };
    of_cases(&file.path, file.text.lines().skip(first_test_line), all);
}

/// The citations in string literals, and in lines of test macros, that begin with an id.
fn of_cases<'a>(path: &str, lines: impl Iterator<Item = &'a str>, all: &mut Citations) {
    for line in lines {
        // A macro that makes one test function of each line, `dpop_3_missing_typ: ...`.
        if let Some((name, _)) = line.trim().split_once(": ")
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && starts_with_id(name)
        {
            note(path, name, ids(name), all);
        }
        for literal in line.split(['"', '\'', '`']).skip(1).step_by(2) {
            let head = literal.split([' ', ':']).next().unwrap_or_default();
            let spelled = head.to_ascii_lowercase().replace('-', "_");
            if starts_with_id(&spelled) {
                note(path, head, ids(&spelled), all);
            }
        }
    }
}

fn note(path: &str, name: &str, ids: BTreeSet<String>, all: &mut Citations) {
    for id in ids {
        let tests = all.entry(id).or_default();
        let test = format!("{path}: {name}");
        if !tests.contains(&test) {
            tests.push(test);
        }
    }
}

fn function_name(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub(crate) ").unwrap_or(line);
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    rest.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// Whether a name begins with an id, as the names of cases must.
fn starts_with_id(name: &str) -> bool {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default();
    short_id(first).is_some()
        || matches!(first, "cve" | "ghsa")
        || (dashed_series().any(|series| series.eq_ignore_ascii_case(first))
            && parts.next().is_some_and(is_number))
}

/// Every id that a name holds: `r23`, `a35`, `g12`, a series followed by one or more numbers (`code_1_2_parallel` names two), or a published fault
/// (`cve_2026_3605`, `ghsa_xp3c_3jw3_4vcr`).
pub(crate) fn ids(name: &str) -> BTreeSet<String> {
    let mut found = published(name);
    let mut series: Option<String> = None;
    for part in name.split('_') {
        if let Some(known) = dashed_series().find(|known| {
            known.eq_ignore_ascii_case(part) && part.chars().all(|c| c.is_ascii_lowercase())
        }) {
            series = Some(known.to_owned());
        } else if let (Some(series), true) = (&series, is_number(part)) {
            found.insert(format!("{series}-{part}"));
        } else {
            series = None;
            found.extend(short_id(part));
        }
    }
    found
}

/// The ids of published faults in a name.
fn published(name: &str) -> BTreeSet<String> {
    let parts: Vec<&str> = name.split('_').collect();
    let named = |at: usize, first: &&str| {
        let length = match *first {
            "cve" => 3,
            "ghsa" => 4,
            _ => return None,
        };
        let id = parts.get(at..at + length)?.join("-");
        Some(id.to_ascii_uppercase())
    };
    let starts = parts.iter().enumerate();
    starts.filter_map(|(at, first)| named(at, first)).collect()
}

/// `r23`, `a35` and `g12`.
fn short_id(part: &str) -> Option<String> {
    let number = part.strip_prefix(['r', 'a', 'g'])?;
    is_number(number).then(|| part.to_ascii_uppercase())
}

fn is_number(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= 2
        && !part.starts_with('0')
        && part.chars().all(|c| c.is_ascii_digit())
}
