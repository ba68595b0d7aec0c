//! The tree is tidy, and the checks notice when it is not.

use super::{CHECKS, layering, sources};
use crate::tree::SourceFile;

#[test]
fn the_tree_is_tidy() {
    let mut findings = Vec::new();
    for check in CHECKS {
        findings.extend(
            (check.findings)()
                .unwrap()
                .into_iter()
                .map(|finding| format!("{}: {finding}", check.name)),
        );
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn an_upward_edge_is_found() {
    assert!(layering::refusal("base", "crypto", layering::Edge::Normal).is_some());
    assert!(layering::refusal("crypto", "base", layering::Edge::Normal).is_none());
}

#[test]
fn guard_never_uses_store() {
    assert!(layering::refusal("guard", "store", layering::Edge::Normal).is_some());
    assert!(layering::refusal("guard", "authn", layering::Edge::Normal).is_none());
}

#[test]
fn surfaces_never_use_each_other() {
    for (from, to) in [("api", "gateway"), ("gateway", "api"), ("channels", "api")] {
        assert!(
            layering::refusal(from, to, layering::Edge::Normal).is_some(),
            "{from} -> {to}"
        );
    }
    assert!(layering::refusal("api", "control", layering::Edge::Normal).is_none());
}

#[test]
fn testkit_is_for_tests() {
    assert!(layering::refusal("store", "testkit", layering::Edge::Normal).is_some());
    assert!(layering::refusal("store", "testkit", layering::Edge::Dev).is_none());
}

#[test]
fn a_crate_outside_the_table_is_found() {
    assert!(layering::refusal("surprise", "base", layering::Edge::Normal).is_some());
}

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn a_module_without_docs_is_found() {
    assert_eq!(
        sources::of_file(&file("crates/base/src/x.rs", "use std::fmt;\n")).len(),
        1
    );
    assert!(
        sources::of_file(&file(
            "crates/base/src/x.rs",
            "//! What it does.\nuse std::fmt;\n"
        ))
        .is_empty()
    );
}

#[test]
fn a_long_file_is_found_and_its_tests_do_not_count() {
    let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(700));
    assert_eq!(
        sources::of_file(&file("crates/base/src/x.rs", &long)).len(),
        1
    );
    let tests = format!(
        "//! Short.\n#[cfg(test)]\nmod tests {{\n{}}}\n",
        "fn f() {}\n".repeat(700)
    );
    assert!(sources::of_file(&file("crates/base/src/x.rs", &tests)).is_empty());
}

#[test]
fn a_grab_bag_name_is_found() {
    for name in ["utils.rs", "helpers.rs", "common.rs", "common/mod.rs"] {
        assert_eq!(
            sources::of_file(&file(&format!("crates/base/src/{name}"), "//! Docs.\n")).len(),
            1,
            "{name}"
        );
    }
}

#[test]
fn an_ignored_test_needs_its_issue() {
    let ignore = "#[ignore";
    assert_eq!(
        sources::of_file(&file(
            "crates/base/src/x.rs",
            &format!("//! D.\n{ignore}]\n")
        ))
        .len(),
        1
    );
    assert!(
        sources::of_file(&file(
            "crates/base/src/x.rs",
            &format!("//! D.\n{ignore} = \"issue 12: needs a second node\"]\n")
        ))
        .is_empty()
    );
}
