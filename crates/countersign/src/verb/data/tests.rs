//! What is listed, and which dictionaries are refused.

use super::{DataList, DataVerb, Ended, Output, data, read_all, to_json, to_text};
use crate::classified::COLUMNS;
use countersign_guard::sealed::DICTIONARY_BYTES_MAX;
use std::path::{Path, PathBuf};

const BILLING: &str = r#"{"service":"billing","fields":[
    {"table":"cards","column":"pan","classification":"restricted","key_scope":"tenant","purposes":["chargeback"],"mask":"last4","blind_index":{"bits":14,"rows_min":32768,"rows_max":268435455}},
    {"table":"cards","column":"holder","classification":"confidential","key_scope":"subject","purposes":[],"mask":"hidden"}]}"#;

fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn our_own_columns_come_first_and_services_after_them() {
    let dir = tempfile::tempdir().unwrap();
    let services = read_all(&[file(dir.path(), "billing.json", BILLING)]).unwrap();
    let text = to_text(&services);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + COLUMNS.len() + 2);
    let words = |line: &str| {
        line.split_whitespace()
            .take(5)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(lines[0]),
        ["WHERE", "NAME", "CLASSIFICATION", "FORM", "KEY"]
    );
    let details = lines
        .iter()
        .find(|line| line.contains("event_details.sealed"));
    assert_eq!(
        words(details.unwrap()),
        [
            "store",
            "event_details.sealed",
            "confidential",
            "sealed",
            "subject"
        ]
    );
    let holder = lines[lines.len() - 2];
    assert_eq!(
        words(holder),
        [
            "billing",
            "cards.holder",
            "confidential",
            "sealed",
            "subject"
        ]
    );
    assert!(holder.ends_with("with the person's key"));
    assert!(lines[lines.len() - 1].ends_with("with the row"));
    // Every column begins where its head does.
    let at = lines[0].find("ERASED").unwrap();
    assert!(lines.iter().all(|line| line.get(at - 2..at) == Some("  ")));
}

#[test]
fn json_says_the_same_and_more() {
    let dir = tempfile::tempdir().unwrap();
    let services = read_all(&[file(dir.path(), "billing.json", BILLING)]).unwrap();
    let listed = to_json(&services);
    let fields = listed["fields"].as_array().unwrap();
    assert_eq!(fields.len(), COLUMNS.len() + 2);
    let users = fields
        .iter()
        .find(|field| field["table"] == "users" && field["column"] == "record");
    let users = users.unwrap();
    assert_eq!(users["form"], "clear");
    assert!(users["key_scope"].is_null() && users["holds"].as_str().unwrap().contains("a hash"));
    let pan = &fields[fields.len() - 1];
    assert_eq!(pan["where"], "billing");
    assert_eq!(pan["blind_index"]["bits"], 14);
    assert_eq!(pan["purposes"][0], "chargeback");
}

#[test]
fn what_cannot_be_read_is_named_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let good = file(dir.path(), "good.json", BILLING);
    let again = file(dir.path(), "again.json", BILLING);
    let broken = file(dir.path(), "broken.json", "{\"service\":\"a\"}");
    let long = file(
        dir.path(),
        "long.json",
        &" ".repeat(DICTIONARY_BYTES_MAX + 1),
    );
    for (files, name, reason) in [
        (
            vec![dir.path().join("absent.json")],
            "absent.json",
            "No such file",
        ),
        (
            vec![good.clone(), again],
            "again.json",
            "a second dictionary of `billing`",
        ),
        (vec![broken], "broken.json", "missing field `fields`"),
        (vec![long], "long.json", "too long"),
    ] {
        let error = read_all(&files).unwrap_err();
        assert!(error.contains(name) && error.contains(reason), "{error}");
    }
    assert_eq!(read_all(&[good]).unwrap().len(), 1);
}

#[test]
fn the_configuration_names_dictionaries_and_a_wrong_one_is_a_mistake_of_usage() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "billing.json", BILLING);
    let with = |configuration: &str, from: &[PathBuf]| {
        file(dir.path(), crate::config::FILE, configuration);
        let list = DataList {
            config: Some(dir.path().to_owned()),
            from: from.to_vec(),
        };
        data(&DataVerb::List(list), Output::Text)
    };
    let named = "[data]\ndictionaries = [\"billing.json\"]\n";
    assert_eq!(with(named, &[]), Ended::Done);
    assert_eq!(with("", &[dir.path().join("billing.json")]), Ended::Done);
    assert_eq!(
        with(named, &[dir.path().join("billing.json")]),
        Ended::Usage,
        "named and given: one service twice"
    );
    let absent = "[data]\ndictionaries = [\"orders.json\"]\n";
    assert_eq!(with(absent, &[]), Ended::Usage);
    assert_eq!(with("[data]\nfiles = []\n", &[]), Ended::Usage);
}
