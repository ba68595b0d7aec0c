use super::*;
use crate::defaults;
use crate::vocabulary;
use countersign_base::Tenant;
use std::collections::BTreeMap;

const SCHEMA: &str = "
entity Tenant;
entity User { tenant: Tenant, age: Long, boss?: User };
entity Door { tenant: Tenant };
action \"open\", \"shut\" appliesTo { principal: [User], resource: [Door], context: { hour: Long } };
";

const POLICIES: &str = r#"
@id("by-day")
permit (principal, action == Action::"open", resource)
when { context.hour > 8 }
when { principal has boss && principal.boss == principal }
unless { context.hour > 20 };

@id("overflow")
forbid (principal, action == Action::"shut", resource)
when { principal.age + 9223372036854775807 > context.hour };
"#;

fn asked(action: &str, hour: i64, age: i64, boss: Option<&str>) -> Query {
    let of = |kind: &str| vocabulary::resource(kind, "1", &Tenant::default_tenant());
    let mut principal = of("User").attribute("age", age);
    if let Some(boss) = boss {
        let boss = crate::query::EntityId::new("User", boss);
        principal = principal.attribute("boss", crate::query::Value::Entity(boss));
    }
    Query {
        principal,
        action: action.to_owned(),
        resource: of("Door"),
        context: BTreeMap::from([("hour".to_owned(), hour.into())]),
        others: Vec::new(),
    }
}

/// What is seen of each clause after these questions: `t`, `f`, both or neither.
#[track_caller]
fn check(questions: &[Query], expected: [&str; 4]) {
    let sources = [("p.cedar", POLICIES)];
    let set = PolicySet::load(SCHEMA, &sources).unwrap();
    let mut clauses = Clauses::of(SCHEMA, &sources).unwrap();
    for question in questions {
        clauses.see(&set, question);
    }
    let seen: Vec<String> = clauses
        .iter()
        .map(|clause| {
            let parts = [("t", clause.seen_true), ("f", clause.seen_false)];
            let parts = parts.into_iter().filter(|(_, seen)| *seen);
            parts.map(|(part, _)| part).collect()
        })
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_clause_is_seen_where_its_head_fits_and_the_clauses_before_it_hold() {
    check(&[], ["", "", "", ""]);
    check(&[asked("open", 7, 1, Some("1"))], ["f", "", "", ""]);
    check(&[asked("open", 9, 1, None)], ["t", "f", "", ""]);
    check(&[asked("open", 9, 1, Some("2"))], ["t", "f", "", ""]);
    check(&[asked("open", 9, 1, Some("1"))], ["t", "t", "f", ""]);
    check(&[asked("open", 21, 1, Some("1"))], ["t", "t", "t", ""]);
    let all = [
        asked("open", 7, 1, None),
        asked("open", 9, 1, None),
        asked("open", 9, 1, Some("1")),
        asked("open", 21, 1, Some("1")),
        asked("shut", 1, 0, None),
        asked("shut", 1, -9_223_372_036_854_775_807, None),
    ];
    check(&all, ["tf", "tf", "tf", "tf"]);
}

#[test]
fn what_cannot_be_evaluated_or_asked_shows_nothing() {
    check(&[asked("shut", 1, 1, None)], ["", "", "", ""]);
    check(&[asked("shut", 1, 0, None)], ["", "", "", "t"]);
    let mut unfit = asked("open", 9, 1, None);
    unfit.context.clear();
    check(&[unfit], ["", "", "", ""]);
    check(&[asked("burn", 9, 1, None)], ["", "", "", ""]);
}

#[test]
fn clauses_are_told_as_they_are_written() {
    let clauses = Clauses::of(SCHEMA, &[("p.cedar", POLICIES)]).unwrap();
    let told: Vec<(&str, usize, &str)> = clauses
        .iter()
        .map(|clause| (clause.policy.as_str(), clause.number, clause.kind.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("p.cedar#by-day", 1, "when"),
            ("p.cedar#by-day", 2, "when"),
            ("p.cedar#by-day", 3, "unless"),
            ("p.cedar#overflow", 1, "when"),
        ]
    );
    let texts: Vec<&str> = clauses.iter().map(|clause| clause.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "when { context.hour > 8 }",
            "when { principal has boss && principal.boss == principal }",
            "unless { context.hour > 20 }",
            "when { principal.age + 9223372036854775807 > context.hour }",
        ]
    );
    let odd = "@id(\"a{\") permit ( principal, action in [Action::\"open\"], resource )\n// when { never }\nwhen { // why }\n (1 == 1) && \"}\\\"{\" like \"*\" }unless{{a: [1]}.a.contains(2)};";
    let both = [
        "when { (1 == 1) && \"}\\\"{\" like \"*\" }",
        "unless{{a: [1]}.a.contains(2)}",
    ];
    assert_eq!(written(odd), both);
    assert_eq!(written("permit (principal, action, resource);"), [""; 0]);
    assert!(Clauses::of(defaults::SCHEMA, &defaults::POLICIES).is_ok());
}
