//! Shapes of every kind of type, against values that fit and that do not.

use super::Shapes;
use crate::query::{Entity, EntityId, Query, Value};
use cedar_policy::Schema;
use std::collections::BTreeMap;

const SCHEMA: &str = r#"
    entity Group;
    entity User in [Group] { name: String, home?: Address } tags Set<String>;
    entity Thing;
    type Address = { street: String, number: Long, owner?: User };
    action "all" appliesTo { principal: [User], resource: [Thing], context: {
        bool?: Bool, long?: Long, string?: String, set?: Set<Long>, record?: Address, entity?: User, address?: ipaddr, date?: datetime, via?: Action,
    } };
    action "group";
"#;

fn shapes() -> Shapes {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    Shapes::read(SCHEMA, &schema).unwrap()
}

fn query(context: BTreeMap<String, Value>) -> Query {
    Query {
        principal: Entity::new(EntityId::new("User", "u")).attribute("name", "x"),
        action: "all".to_owned(),
        resource: Entity::new(EntityId::new("Thing", "t")),
        context,
        others: Vec::new(),
    }
}

fn fits(name: &str, value: Value) -> bool {
    shapes()
        .check(&query(BTreeMap::from([(name.to_owned(), value)])))
        .is_ok()
}

fn address(number: Value) -> Value {
    Value::Record(BTreeMap::from([
        ("street".to_owned(), "a".into()),
        ("number".to_owned(), number),
    ]))
}

#[test]
fn each_type_takes_its_own_values_only() {
    let values: [(&str, Value); 7] = [
        ("bool", true.into()),
        ("long", 7.into()),
        ("string", "x".into()),
        ("set", Value::Set([Value::Long(1)].into())),
        ("record", address(1.into())),
        ("entity", EntityId::new("User", "u").into()),
        ("address", Value::Address([127, 0, 0, 1].into())),
    ];
    for (name, _) in &values {
        for (of, value) in &values {
            assert_eq!(
                fits(name, value.clone()),
                name == of,
                "{name} with a value of {of}"
            );
        }
    }
    assert!(!fits("set", Value::strings(["x"])));
    assert!(fits("set", Value::Set([].into())));
    assert!(!fits("record", address("x".into())));
    assert!(!fits("entity", EntityId::new("Thing", "t").into()));
    assert!(!fits("unknown", 1.into()));
    assert!(
        !fits("date", "2026-01-01".into()),
        "no value has this type yet, and nothing else passes for it"
    );
    assert!(
        !fits("via", EntityId::new("Action", "all").into()),
        "actions are the schema's own"
    );
}

/// Cedar cannot read it, so that nobody is asked about it who would then have been asked about another one.
#[test]
fn an_address_has_one_form() {
    let mapped: std::net::IpAddr = "::ffff:10.0.0.1".parse().unwrap();
    assert!(!fits("address", Value::Address(mapped)));
    assert!(fits("address", mapped.into()));
    assert!(Value::from(mapped) == Value::Address([10, 0, 0, 1].into()));
}

#[test]
fn entities_fit_their_declaration() {
    let check = |principal: Entity| {
        shapes().check(&Query {
            principal,
            ..query(BTreeMap::new())
        })
    };
    let user = || Entity::new(EntityId::new("User", "u")).attribute("name", "x");
    assert_eq!(check(user()), Ok(()));
    assert_eq!(
        check(
            user()
                .attribute("home", address(1.into()))
                .tag("t", Value::strings(["a"]))
        ),
        Ok(())
    );
    assert_eq!(check(user().parent(EntityId::new("Group", "g"))), Ok(()));
    for (flawed, said) in [
        (
            Entity::new(EntityId::new("User", "u")),
            "User: `name` is missing",
        ),
        (
            user().attribute("name", 1),
            "User: `name` has the wrong type",
        ),
        (
            user().attribute("age", 1),
            "User: the schema declares no `age`",
        ),
        (
            user().tag("t", "a"),
            "User: the tag `t` has a type that the schema does not declare",
        ),
        (
            user().parent(EntityId::new("Thing", "t")),
            "User: it cannot be a member of `Thing`",
        ),
        (
            Entity::new(EntityId::new("Thing", "t")),
            "the action does not apply to principals of type `Thing`",
        ),
    ] {
        assert_eq!(check(flawed), Err(said.to_owned()));
    }
}

#[test]
fn an_action_that_applies_to_nothing_cannot_be_asked_about() {
    let shapes = shapes();
    assert!(shapes.has_action("all") && !shapes.has_action("group") && !shapes.has_action("none"));
    let others = vec![Entity::new(EntityId::new("Nothing", "n"))];
    assert!(
        shapes
            .check(&Query {
                others,
                ..query(BTreeMap::new())
            })
            .is_err()
    );
    assert!(shapes.check(&query(BTreeMap::new())).is_ok());
}
