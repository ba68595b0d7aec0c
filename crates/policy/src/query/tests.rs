//! One question, one text.

use super::{Entity, EntityId, Query, Value};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn query(context: BTreeMap<String, Value>) -> Query {
    Query {
        principal: Entity::new(EntityId::new("User", "u"))
            .tag("region", "eu")
            .parent(EntityId::new("Role", "b"))
            .parent(EntityId::new("Role", "a")),
        action: "read".to_owned(),
        resource: Entity::new(EntityId::new("Order", "42"))
            .attribute("owner", EntityId::new("User", "u")),
        context,
        others: vec![
            Entity::new(EntityId::new("Role", "b")),
            Entity::new(EntityId::new("Role", "a")),
        ],
    }
}

#[test]
fn the_canonical_form_is_fixed() {
    let context = BTreeMap::from([
        ("n".to_owned(), Value::Long(-3)),
        ("b".to_owned(), Value::Bool(true)),
        ("s".to_owned(), Value::strings(["y", "x"])),
        ("ip".to_owned(), Value::Address([127, 0, 0, 1].into())),
        ("t".to_owned(), Value::from("a\"\\\n\u{1}é")),
    ]);
    let expected = concat!(
        r#"{"action":"read","context":{"b":true,"ip":{"__extn":{"arg":"127.0.0.1","fn":"ip"}},"n":-3,"s":["x","y"],"t":"a\"\\\n\u0001é"},"#,
        r#""others":[{"attributes":{},"id":"a","parents":[],"tags":{},"type":"Role"},{"attributes":{},"id":"b","parents":[],"tags":{},"type":"Role"}],"#,
        r#""principal":{"attributes":{},"id":"u","parents":[{"id":"a","type":"Role"},{"id":"b","type":"Role"}],"tags":{"region":"eu"},"type":"User"},"#,
        r#""resource":{"attributes":{"owner":{"__entity":{"id":"u","type":"User"}}},"id":"42","parents":[],"tags":{},"type":"Order"}}"#,
    );
    assert_eq!(query(context).canonical_json(), expected);
}

#[test]
fn members_are_sorted_by_utf16() {
    // U+FF5E sorts before U+1F600 by bytes and after it by UTF-16 units.
    let context = BTreeMap::from([
        ("\u{ff5e}".to_owned(), Value::Bool(true)),
        ("\u{1f600}".to_owned(), Value::Bool(false)),
    ]);
    let json = query(context).canonical_json();
    assert!(
        json.contains("{\"\u{1f600}\":false,\"\u{ff5e}\":true}"),
        "{json}"
    );
}

#[test]
fn debug_shows_types_only() {
    let shown = format!(
        "{:?} {:?}",
        query(BTreeMap::new()),
        query(BTreeMap::new()).resource
    );
    assert_eq!(shown, "Query(User, read, Order) Entity(Order)");
}

proptest! {
    #[test]
    fn it_is_json_that_says_the_same(texts in proptest::collection::btree_map("\\PC{0,12}", ".{0,20}", 0..8)) {
        let context: BTreeMap<String, Value> = texts.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect();
        let json: serde_json::Value = serde_json::from_str(&query(context).canonical_json()).unwrap();
        let read: BTreeMap<String, String> =
            json["context"].as_object().unwrap().iter().map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned())).collect();
        prop_assert_eq!(read, texts);
    }
}
