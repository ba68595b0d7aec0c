//! What is found, each beside the twin in which it is not so; and that no finding is ever wrong about a random question.

use super::*;
use crate::{Entity, EntityId, PolicySet, Query, Value, defaults};

const SCHEMA: &str = r#"
entity Order { tenant: Tenant, owner: User, region: String };
action "read" appliesTo { principal: [User, Client], resource: [Order], context: { level: Long, zone: String, open: Bool } };
action "write" appliesTo { principal: [User], resource: [Order], context: { level: Long, zone: String, open: Bool } };
"#;

fn schema() -> String {
    format!("{}{SCHEMA}", defaults::SCHEMA)
}

/// What is found about policies of these two actions; `x.cedar#0`, `x.cedar#1` are told as `0`, `1`.
fn found(text: &str) -> Vec<String> {
    let findings = analyse(&schema(), &[("x.cedar", text)]).unwrap();
    let told = findings.iter().filter_map(|finding| {
        let (about, by) = finding.about();
        if matches!(finding, Finding::NothingPermits(_)) {
            return None;
        }
        let by = by.map(|by| format!(" {}", by.as_str()));
        let text = format!("{} {about}{}", finding.code(), by.unwrap_or_default());
        Some(text.replace("x.cedar#", ""))
    });
    told.collect()
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_policy_that_a_wider_one_of_its_effect_covers_is_shadowed() {
    for (narrow, wide) in [
        (
            r#"permit (principal is User, action == Action::"read", resource) when { context.level > 2 };"#,
            r#"permit (principal, action, resource is Order);"#,
        ),
        (
            r#"permit (principal, action == Action::"write", resource) when { context.open };"#,
            r#"permit (principal is User, action == Action::"write", resource is Order);"#,
        ),
        (
            r#"permit (principal == User::"a", action == Action::"read", resource);"#,
            r#"permit (principal in User::"a", action == Action::"read", resource);"#,
        ),
        (
            r#"forbid (principal in Role::"x", action, resource is Order) when { context.level < 2 };"#,
            r#"forbid (principal in Role::"x", action in [Action::"read", Action::"write"], resource) when { context.level < 3 };"#,
        ),
        (
            r#"permit (principal, action == Action::"read", resource) when { context.level == 2 && context.zone == "a" };"#,
            r#"permit (principal, action == Action::"read", resource) unless { context.zone == "b" || context.level > 2 };"#,
        ),
        (
            r#"permit (principal, action == Action::"read", resource) when { context.zone == "a" || context.zone == "b" };"#,
            r#"permit (principal, action == Action::"read", resource) when { context.zone != "c" };"#,
        ),
        (
            r#"permit (principal, action == Action::"read", resource) when { principal.tenant == resource.tenant && context.open };"#,
            r#"permit (principal, action == Action::"read", resource) unless { principal.tenant != resource.tenant };"#,
        ),
    ] {
        assert_eq!(
            found(&format!("{narrow}\n{wide}")),
            ["shadowed 0 1"],
            "{narrow}"
        );
        assert_eq!(
            found(&format!("{wide}\n{narrow}")),
            ["shadowed 1 0"],
            "{narrow}"
        );
        assert_eq!(found(narrow), nothing());
    }
}

#[test]
fn a_policy_that_is_true_somewhere_else_is_not_shadowed() {
    for (one, other) in [
        (
            r#"permit (principal, action == Action::"read", resource);"#,
            r#"permit (principal is User, action == Action::"read", resource);"#,
        ),
        (
            r#"permit (principal in User::"a", action == Action::"read", resource);"#,
            r#"permit (principal == User::"a", action == Action::"read", resource) when { context.open };"#,
        ),
        (
            r#"permit (principal, action == Action::"read", resource) when { context.level < 3 };"#,
            r#"permit (principal, action == Action::"read", resource) when { context.level < 2 && context.open };"#,
        ),
        (
            r#"permit (principal, action == Action::"read", resource) when { context.zone != "a" };"#,
            r#"permit (principal, action == Action::"read", resource) when { context.zone == "b" || context.open };"#,
        ),
    ] {
        let told = found(&format!("{one}\n{other}"));
        assert!(
            !told.contains(&"shadowed 0 1".to_owned()),
            "{one}: {told:?}"
        );
    }
}

#[test]
fn of_two_that_are_the_same_the_later_is_needless() {
    let policy =
        r#"permit (principal, action == Action::"read", resource) when { context.level > 1 };"#;
    let turned =
        r#"permit (principal, action == Action::"read", resource) unless { 1 >= context.level };"#;
    assert_eq!(found(&format!("{policy}\n{turned}")), ["shadowed 1 0"]);
}

#[test]
fn conditions_that_cannot_hold_together_never_match() {
    for condition in [
        "when { context.level < 2 && context.level > 2 }",
        "when { context.level == 1 && context.level == 2 }",
        r#"when { context.zone == "a" && context.zone == "b" }"#,
        r#"when { context.zone == "a" } unless { context.zone == "a" }"#,
        "when { context.open && !context.open }",
        r#"when { (context.zone == "a" || context.zone == "b") && context.zone == "c" }"#,
        "when { false }",
        "when { principal is User && principal is Client }",
    ] {
        let policy =
            format!(r#"permit (principal, action == Action::"read", resource) {condition};"#);
        assert_eq!(found(&policy), ["never_matches 0"], "{condition}");
    }
    for condition in [
        "when { context.level < 3 && context.level > 1 }",
        r#"when { context.zone != "a" && context.zone != "b" }"#,
        r#"when { (context.zone == "a" || context.open) && context.zone == "c" }"#,
        "when { true }",
    ] {
        let policy =
            format!(r#"permit (principal, action == Action::"read", resource) {condition};"#);
        assert_eq!(found(&policy), nothing(), "{condition}");
    }
}

#[test]
fn a_permit_inside_a_forbid_is_overruled_and_one_that_is_the_same_contradicts_it() {
    let permit =
        r#"permit (principal is User, action == Action::"read", resource) when { context.open };"#;
    let wider = r#"forbid (principal, action == Action::"read", resource);"#;
    let same =
        r#"forbid (principal is User, action == Action::"read", resource) when { context.open };"#;
    let narrower = r#"forbid (principal is User, action == Action::"read", resource) when { context.open && context.level < 2 };"#;
    assert_eq!(found(&format!("{permit}\n{wider}")), ["overruled 0 1"]);
    assert_eq!(found(&format!("{permit}\n{same}")), ["contradict 0 1"]);
    assert_eq!(found(&format!("{permit}\n{narrower}")), nothing());
}

#[test]
fn an_action_that_nothing_permits_is_named() {
    let named = |text: &str| -> Vec<String> {
        let findings = analyse(&schema(), &[("x.cedar", text)]).unwrap();
        let told = findings.iter().filter_map(|finding| match finding {
            Finding::NothingPermits(action) => Some(action.clone()),
            _ => None,
        });
        told.filter(|action| ["read", "write"].contains(&action.as_str()))
            .collect()
    };
    let read = r#"permit (principal, action == Action::"read", resource);"#;
    let never = r#"permit (principal, action == Action::"write", resource) when { context.open && !context.open };"#;
    assert_eq!(named(&format!("{read}\n{never}")), ["write"]);
    assert_eq!(
        named(r#"permit (principal, action, resource is Order);"#),
        nothing()
    );
}

#[test]
fn the_defaults_have_nothing_to_look_at_but_what_they_leave_to_others() {
    let findings = analyse(defaults::SCHEMA, &defaults::POLICIES).unwrap();
    let expected =
        ["delegate", "impersonate"].map(|action| Finding::NothingPermits(action.to_owned()));
    assert_eq!(findings, expected);
}

/// Only what the questions need, so that it loads fast.
const PRINCIPALS: &str = r#"
entity Tenant;
entity Role;
entity User in [Role] { tenant: Tenant };
entity Client in [Role] { tenant: Tenant };
"#;

/// Pieces of policies, put together in every combination, so that there is much to find.
const HEADS: [&str; 5] = [
    r#"(principal, action == Action::"read", resource)"#,
    r#"(principal is User, action == Action::"read", resource is Order)"#,
    r#"(principal == User::"a", action, resource is Order)"#,
    r#"(principal in Role::"r", action == Action::"read", resource)"#,
    r#"(principal, action in [Action::"read", Action::"write"], resource)"#,
];
const CONDITIONS: [&str; 10] = [
    "",
    "when { context.level < 2 }",
    "when { context.level <= 2 && context.open }",
    "unless { context.level > 2 }",
    r#"when { context.zone == "a" }"#,
    r#"when { context.zone == "a" || context.zone == "b" }"#,
    r#"unless { context.zone == "c" || !context.open }"#,
    "when { resource.owner == principal }",
    r#"when { principal.tenant != resource.tenant && context.level == 2 }"#,
    "when { context.open && context.level > 0 && !context.open }",
];

fn questions() -> Vec<Query> {
    let tenant = |name: &str| EntityId::new("Tenant", name);
    let principals = [
        Entity::new(EntityId::new("User", "a"))
            .attribute("tenant", tenant("t"))
            .parent(EntityId::new("Role", "r")),
        Entity::new(EntityId::new("User", "b")).attribute("tenant", tenant("u")),
        Entity::new(EntityId::new("Client", "a"))
            .attribute("tenant", tenant("t"))
            .parent(EntityId::new("Role", "r")),
    ];
    let order = Entity::new(EntityId::new("Order", "1"))
        .attribute("tenant", tenant("t"))
        .attribute("owner", EntityId::new("User", "a"))
        .attribute("region", "eu");
    let mut questions = Vec::new();
    for principal in &principals {
        for action in ["read", "write"] {
            for level in 0..4_i64 {
                for zone in ["a", "b", "c", "d"] {
                    for open in [true, false] {
                        questions.push(Query {
                            principal: principal.clone(),
                            action: action.to_owned(),
                            resource: order.clone(),
                            context: [
                                ("level".to_owned(), Value::Long(level)),
                                ("zone".to_owned(), zone.into()),
                                ("open".to_owned(), open.into()),
                            ]
                            .into(),
                            others: Vec::new(),
                        });
                    }
                }
            }
        }
    }
    questions
}

/// What is claimed about each piece and each pair of them is held against what each policy alone says to every question.
#[test]
fn no_claim_is_wrong() {
    let questions = questions();
    let pieces: Vec<String> = HEADS
        .iter()
        .flat_map(|head| {
            CONDITIONS
                .iter()
                .map(move |condition| format!("permit {head} {condition};"))
        })
        .collect();
    let schema = format!("{PRINCIPALS}{SCHEMA}");
    let looked_at: Vec<(Shown, Vec<bool>)> = pieces
        .iter()
        .map(|piece| {
            let sources = [("x.cedar", piece)];
            let (parsed_schema, policies) = parsed(&schema, &sources).unwrap();
            let shown = Shown::of(&policies[0], &actions(&parsed_schema).unwrap()).unwrap();
            // Where it is true: as the one permit of a set.
            let set = PolicySet::load(&schema, &sources).unwrap();
            let permitted = questions
                .iter()
                .map(|query| set.evaluate(query).outcome.is_ok());
            (shown, permitted.collect())
        })
        .collect();
    let mut claims = 0;
    for (one, (shown, truth)) in looked_at.iter().enumerate() {
        if shown.is_never() {
            claims += 1;
            assert!(truth.iter().all(|matched| !matched), "{}", pieces[one]);
        }
        for (other, (wider, wider_truth)) in looked_at.iter().enumerate() {
            if one != other && shown.within(wider) {
                claims += 1;
                let holds = truth
                    .iter()
                    .zip(wider_truth)
                    .all(|(one, other)| !one || *other);
                assert!(holds, "{}\n{}", pieces[one], pieces[other]);
            }
        }
    }
    assert!(claims > 200, "{claims}");
}
