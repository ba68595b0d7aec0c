//! What callers say, in the schema's types or refused.

use super::*;
use crate::{PolicySet, defaults};
use serde_json::json;

const SCHEMA: &str = r#"
entity SalesOrder { tenant: Tenant, owner: User, region: String, total: Long, open: Bool, labels: Set<String>, from?: ipaddr, parts: { weight: Long, note?: String } };
action "read" appliesTo { principal: [User, External], resource: [SalesOrder], context: { time: Long, source?: ipaddr, reason?: String } };
action "drop" appliesTo { principal: [User], resource: [SalesOrder], context: {} };
"#;

fn set() -> PolicySet {
    let schema = format!("{}{SCHEMA}", defaults::SCHEMA);
    PolicySet::load(&schema, &defaults::POLICIES).unwrap()
}

fn tenant() -> Tenant {
    "acme".parse().unwrap()
}

fn described(kind: &str, properties: Json) -> Result<Entity, String> {
    let Json::Object(properties) = properties else {
        panic!("an object")
    };
    let described = Described {
        kind: kind.to_owned(),
        id: "1".to_owned(),
        properties,
    };
    set().describe(&described, &tenant())
}

fn order() -> Json {
    json!({
        "owner": "alice", "region": "eu", "total": 7, "open": true, "labels": ["a", "b", "a"],
        "from": "10.0.0.1", "parts": { "weight": 3, "unknown": [] }, "colour": "red",
    })
}

#[test]
fn properties_become_attributes_of_their_types() {
    let read = described("sales_order", order()).unwrap();
    let expected = Entity::new(EntityId::new("SalesOrder", "1"))
        .attribute("tenant", EntityId::new("Tenant", "acme"))
        .attribute("owner", EntityId::new("User", "alice"))
        .attribute("region", "eu")
        .attribute("total", 7_i64)
        .attribute("open", true)
        .attribute("labels", Value::strings(["a", "b"]))
        .attribute("from", "10.0.0.1".parse::<std::net::IpAddr>().unwrap())
        .attribute(
            "parts",
            Value::Record([("weight".to_owned(), 3_i64.into())].into()),
        );
    assert!(read == expected);
    let mut mapped = order();
    mapped["from"] = json!("::ffff:10.0.0.1");
    assert!(described("SalesOrder", mapped).unwrap() == expected);
    let mut named = order();
    named["owner"] = json!({ "type": "User", "id": "alice" });
    assert!(described("SalesOrder", named).unwrap() == expected);
}

#[test]
fn a_value_of_another_type_is_refused() {
    for (name, value) in [
        ("owner", json!({ "type": "Client", "id": "alice" })),
        ("owner", json!(7)),
        ("region", json!(null)),
        ("total", json!("7")),
        ("total", json!(7.5)),
        ("total", json!(u64::MAX)),
        ("open", json!("true")),
        ("labels", json!(["a", 1])),
        ("from", json!("10.0.0.0/8")),
        ("parts", json!({ "weight": "3" })),
    ] {
        let mut order = order();
        order[name] = value;
        assert_eq!(
            described("SalesOrder", order).err(),
            Some(format!("`{name}` has the wrong type"))
        );
    }
}

#[test]
fn nobody_says_of_which_tenant_something_is() {
    let mut elsewhere = order();
    elsewhere["tenant"] = json!("other");
    assert!(
        described("SalesOrder", elsewhere).unwrap() == described("SalesOrder", order()).unwrap()
    );
}

#[test]
fn roles_are_memberships_and_the_rest_are_tags_where_the_type_has_them() {
    let read = described(
        "External",
        json!({ "issuer": "https://x.example", "roles": ["auditor"], "vip": true, "level": 3, "teams": ["red"] }),
    );
    let expected = Entity::new(EntityId::new("External", "1"))
        .attribute("tenant", EntityId::new("Tenant", "acme"))
        .attribute("issuer", "https://x.example")
        .parent(EntityId::new("Role", "auditor"))
        .tag("vip", "true")
        .tag("level", "3")
        .tag("teams:red", "true");
    assert!(read.unwrap() == expected);
    assert!(
        described(
            "External",
            json!({ "issuer": "https://x.example", "roles": "auditor" })
        )
        .is_err()
    );
}

#[test]
fn types_are_found_in_two_spellings() {
    let set = set();
    for (written, kind) in [
        ("user", Some("User")),
        ("User", Some("User")),
        ("sales_order", Some("SalesOrder")),
        ("sales-order", Some("SalesOrder")),
        ("salesOrder", Some("SalesOrder")),
        ("USER", None),
        ("sales__order", None),
        ("", None),
        ("nothing", None),
    ] {
        assert_eq!(set.kind(written), kind, "{written}");
    }
}

#[test]
fn a_context_holds_what_the_action_declares_and_our_own_time() {
    let set = set();
    let own = BTreeMap::from([
        ("time".to_owned(), Value::Long(9)),
        ("hour".to_owned(), Value::Long(1)),
    ]);
    let Json::Object(given) = json!({ "time": 5, "source": "10.0.0.1", "colour": "red" }) else {
        panic!("an object")
    };
    let context = set.context("read", &given, &own).unwrap();
    let source: std::net::IpAddr = "10.0.0.1".parse().unwrap();
    assert!(
        context
            == BTreeMap::from([
                ("time".to_owned(), Value::Long(9)),
                ("source".to_owned(), source.into())
            ])
    );
    let Json::Object(given) = json!({ "source": 1 }) else {
        panic!("an object")
    };
    assert!(set.context("read", &given, &own).is_err());
    assert_eq!(set.actions_between("User", "SalesOrder"), ["drop", "read"]);
    assert_eq!(set.actions_between("External", "SalesOrder"), ["read"]);
    assert!(set.actions_between("Client", "SalesOrder").is_empty());
}
