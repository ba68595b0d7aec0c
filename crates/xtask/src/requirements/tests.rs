//! Ids are found where tests name them and nowhere else; the lists are whole.

use super::citations::ids;
use super::list::Requirement;
use super::{Status, status};
use std::collections::BTreeSet;

fn found(name: &str) -> Vec<String> {
    ids(name).into_iter().collect()
}

#[test]
fn names_give_their_ids() {
    assert_eq!(found("r23_code_is_single_use"), ["R23"]);
    assert_eq!(found("code_10_parallel_redemptions"), ["CODE-10"]);
    assert_eq!(found("g12_path_11_case_of_hosts"), ["G12", "PATH-11"]);
    assert_eq!(found("code_1_2_reuse"), ["CODE-1", "CODE-2"]);
    assert_eq!(found("a35_dpop_31_flood"), ["A35", "DPOP-31"]);
    assert_eq!(found("parses_a_code_and_a_token"), Vec::<String>::new());
    assert_eq!(found("code_2048_bits"), Vec::<String>::new());
    assert_eq!(found("cve_2026_3605_relative_paths"), ["CVE-2026-3605"]);
    assert_eq!(found("ghsa_xp3c_3jw3_4vcr_deny"), ["GHSA-XP3C-3JW3-4VCR"]);
    assert_eq!(found("a_cve"), Vec::<String>::new());
}

#[test]
fn the_lists_are_whole() {
    assert_eq!(super::complaints().unwrap(), Vec::<String>::new());
}

fn requirement(later: Option<&str>, reason: Option<&str>) -> Requirement {
    Requirement {
        id: "R1".into(),
        statement: "x".into(),
        later: later.map(str::to_owned),
        reason: reason.map(str::to_owned),
    }
}

#[test]
fn not_yet_is_neither_held_nor_a_reason() {
    let nothing = BTreeSet::new();
    assert_eq!(
        status(&requirement(None, None), vec![], &nothing),
        Status::Missing
    );
    assert!(matches!(
        status(&requirement(Some("logout"), None), vec![], &nothing),
        Status::Later { .. }
    ));
    assert!(matches!(
        status(
            &requirement(Some("logout"), None),
            vec!["f: r1_x".into()],
            &nothing
        ),
        Status::Held { .. }
    ));
    let failed = BTreeSet::from(["r1_x".to_owned()]);
    assert!(matches!(
        status(&requirement(None, None), vec!["f: r1_x".into()], &failed),
        Status::Failed { .. }
    ));
}
