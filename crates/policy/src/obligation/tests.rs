//! What annotations say, what the decision makes of them, and that nothing of a masked value is left.

use super::*;
use crate::query::{Entity, EntityId};
use crate::{DenialReason, PolicySet, Target, decide};
use countersign_authn::{Acr, AuthenticationDemand};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const SCHEMA: &str = r#"
entity User;
entity Client;
entity Order;
type Known = { acr?: String, level?: Long, auth_time?: Long, age?: Long, time: Long, purpose?: String, proof_of_work?: Long, vip?: Bool };
action "read", "write" appliesTo { principal: [User, Client], resource: [Order], context: Known };
action "blind" appliesTo { principal: [User], resource: [Order], context: { time: Long } };
"#;

fn loaded(policies: &str) -> Result<PolicySet, PolicyError> {
    PolicySet::load(SCHEMA, &[("p.cedar", policies)])
}

/// A question, and what whoever asks it carries out.
struct Asked<'a>(Query, &'a [Duty]);

impl Target for Asked<'_> {
    fn query(&self) -> Query {
        self.0.clone()
    }

    fn carries_out(&self) -> &[Duty] {
        self.1
    }
}

fn reading(kind: &str, context: Json) -> Query {
    let value = |value: &Json| match value {
        Json::Number(number) => Value::Long(number.as_i64().unwrap()),
        Json::Bool(value) => Value::Bool(*value),
        other => Value::String(other.as_str().unwrap().to_owned()),
    };
    let mut all: BTreeMap<String, Value> = [("time".to_owned(), Value::Long(1_000))].into();
    let given = context.as_object().unwrap().iter();
    all.extend(given.map(|(name, given)| (name.clone(), value(given))));
    Query {
        principal: Entity::new(EntityId::new(kind, "alice")),
        action: "read".to_owned(),
        resource: Entity::new(EntityId::new("Order", "@mask(\"/all\")")),
        context: all,
        others: Vec::new(),
    }
}

/// The lines of a permit's obligations, or why there is none.
fn ask(set: &PolicySet, context: Json) -> Result<Vec<String>, DenialReason> {
    ask_as(set, "User", &Duty::ALL, context)
}

fn ask_as(
    set: &PolicySet,
    kind: &str,
    able: &[Duty],
    context: Json,
) -> Result<Vec<String>, DenialReason> {
    match decide(set, Asked(reading(kind, context), able)) {
        Ok(permitted) => {
            let obligations = permitted.obligations();
            Ok(obligations.map_or_else(Vec::new, |obligations| obligations.lines()))
        }
        Err(denied) => Err(denied.reason().clone()),
    }
}

fn step_up_to(acr: Option<Acr>, max_age: Option<u32>) -> DenialReason {
    DenialReason::StepUpRequired(AuthenticationDemand { acr, max_age })
}

#[test]
fn an_annotation_that_nobody_carries_out_is_refused_at_load() {
    let permit = |annotations: &str| {
        let text =
            format!("{annotations} permit (principal, action == Action::\"read\", resource);");
        loaded(&text).map(drop)
    };
    for known in [
        "",
        "@id(\"a\") @description(\"b\") @x_ticket(\"c\")",
        "@mask(\"/a /b/*/c /**/d /e~1f/0\")",
        "@drop(\"/a\") @limit_rows(\"100\")",
        "@limit_rows(\"/items 10 /**/more 5\")",
        "@purpose(\"billing support\")",
        "@step_up(\"acr=phr max_age=300\")",
        "@challenge(\"passkey\")",
        "@challenge(\"proof-of-work\")",
        "@challenge(\"proof-of-work bits=10\") @step_up(\"max_age=300\")",
        "@challenge(\"proof-of-work bits=22\")",
    ] {
        assert_eq!(permit(known), Ok(()), "{known}");
    }
    for unknown in [
        "@maks(\"/a\")",
        "@Mask(\"/a\")",
        "@obligation(\"mask /a\")",
        "@advice(\"be kind\")",
        "@mask(\"\")",
        "@mask(\"a\")",
        "@mask(\"/a/**\")",
        "@mask(\"/a~2\")",
        "@mask(\"/\u{7}\")",
        "@drop(\" \")",
        "@limit_rows(\"0\")",
        "@limit_rows(\"/items\")",
        "@limit_rows(\"/items 10 /more\")",
        "@limit_rows(\"/items 10 /items 5\")",
        "@limit_rows(\"-1\")",
        "@purpose(\"Billing\")",
        "@purpose(\"\")",
        "@step_up(\"\")",
        "@step_up(\"acr=urn:elsewhere\")",
        "@step_up(\"max_age=-1\")",
        "@step_up(\"max_age=1 max_age=2\")",
        "@step_up(\"acr=phr amr=otp\")",
        "@challenge(\"\")",
        "@challenge(\"captcha\")",
        "@challenge(\"passkey bits=18\")",
        "@challenge(\"proof-of-work bits=9\")",
        "@challenge(\"proof-of-work bits=23\")",
        "@challenge(\"proof-of-work bits=-1\")",
        "@challenge(\"proof-of-work 18\")",
        "@challenge(\"proof-of-work bits=18 bits=18\")",
    ] {
        let refused = permit(unknown);
        assert!(
            matches!(refused, Err(PolicyError::Annotation { .. })),
            "{unknown}: {refused:?}"
        );
    }
    let whole = permit("@mask(\"/a\") @mask(\"/b\")");
    assert!(
        matches!(whole, Err(PolicyError::Syntax { .. })),
        "{whole:?}"
    );
}

#[test]
fn a_forbid_takes_no_obligation_but_step_up() {
    let forbid = |annotation: &str| {
        loaded(&format!(
            "{annotation} forbid (principal, action == Action::\"read\", resource);"
        ))
        .map(drop)
    };
    assert_eq!(forbid("@step_up(\"acr=phr\")"), Ok(()));
    assert_eq!(forbid("@challenge(\"proof-of-work\")"), Ok(()));
    for annotation in [
        "@mask(\"/a\")",
        "@drop(\"/a\")",
        "@limit_rows(\"1\")",
        "@purpose(\"a\")",
    ] {
        assert!(forbid(annotation).is_err(), "{annotation}");
    }
}

#[test]
fn what_a_context_cannot_say_is_refused_at_load() {
    let blind = |annotation: &str, action: &str| {
        loaded(&format!(
            "{annotation} permit (principal, action{action}, resource);"
        ))
        .map(drop)
    };
    for annotation in [
        "@purpose(\"a\")",
        "@step_up(\"acr=phr\")",
        "@step_up(\"max_age=1\")",
        "@challenge(\"passkey\")",
        "@challenge(\"proof-of-work\")",
    ] {
        for action in [" == Action::\"blind\"", ""] {
            let refused = blind(annotation, action);
            assert!(
                matches!(refused, Err(PolicyError::Invalid { .. })),
                "{annotation} {refused:?}"
            );
        }
        assert_eq!(
            blind(annotation, " == Action::\"read\""),
            Ok(()),
            "{annotation}"
        );
    }
}

#[test]
fn obligations_of_all_permits_hold_and_the_strictest_wins() {
    let set = loaded(
        r#"
        @mask("/iban /name") @limit_rows("/items 100 /more 7")
        permit (principal, action == Action::"read", resource);
        @drop("/iban") @limit_rows("/items 10")
        permit (principal, action == Action::"read", resource) when { context has vip };
        @mask("/never")
        permit (principal, action == Action::"write", resource);
        "#,
    )
    .unwrap();
    assert_eq!(
        ask(&set, json!({})).unwrap(),
        [
            "limit_rows /items 100",
            "limit_rows /more 7",
            "mask /iban",
            "mask /name"
        ]
    );
    let both = ask(&set, json!({ "vip": true })).unwrap();
    assert_eq!(
        both,
        [
            "drop /iban",
            "limit_rows /items 10",
            "limit_rows /more 7",
            "mask /iban",
            "mask /name"
        ]
    );
    // The second answer comes from memory, obligations with it.
    assert_eq!(ask(&set, json!({ "vip": true })).unwrap(), both);
    assert_eq!(set.remembered("read"), 2);
}

#[test]
fn who_cannot_carry_it_out_is_denied() {
    let set =
        loaded("@mask(\"/a\") permit (principal, action == Action::\"read\", resource);").unwrap();
    let able = |able: &[Duty]| ask_as(&set, "User", able, json!({}));
    assert_eq!(
        able(&[]),
        Err(DenialReason::ObligationNotCarriedOut(Duty::Mask))
    );
    assert_eq!(
        able(&[Duty::Drop, Duty::LimitRows]),
        Err(DenialReason::ObligationNotCarriedOut(Duty::Mask))
    );
    assert_eq!(able(&[Duty::Mask]).unwrap(), ["mask /a"]);
}

#[test]
fn a_permit_for_a_purpose_needs_one_that_it_names() {
    let set = loaded(
        r#"
        @purpose("billing support") permit (principal, action == Action::"read", resource);
        @purpose("research") permit (principal, action == Action::"read", resource) when { context has vip };
        "#,
    )
    .unwrap();
    assert_eq!(ask(&set, json!({})), Err(DenialReason::PurposeRequired));
    assert_eq!(
        ask(&set, json!({ "purpose": "research" })),
        Err(DenialReason::PurposeRequired)
    );
    assert_eq!(ask(&set, json!({ "purpose": "billing" })), Ok(Vec::new()));
    let contradicting = ask(&set, json!({ "purpose": "billing", "vip": true }));
    assert_eq!(contradicting, Err(DenialReason::ObligationsContradict));
}

#[test]
fn a_permit_that_needs_a_stronger_sign_in_asks_for_it() {
    let set = loaded(
        "@step_up(\"acr=urn:countersign:acr:2 max_age=300\") permit (principal, action == Action::\"read\", resource);",
    )
    .unwrap();
    let demanded = Err(step_up_to(Some(Acr::TwoFactors), Some(300)));
    for weak in [
        json!({}),
        json!({ "acr": "urn:countersign:acr:2" }),
        json!({ "acr": "urn:countersign:acr:1", "auth_time": 900 }),
        json!({ "acr": "urn:countersign:acr:2", "auth_time": 699 }),
        json!({ "acr": "urn:elsewhere:strong", "auth_time": 900 }),
        // Two words that differ: the weaker one counts.
        json!({ "acr": "phr", "level": 1, "auth_time": 900 }),
        json!({ "acr": "phr", "auth_time": 900, "age": 301 }),
    ] {
        assert_eq!(ask(&set, weak.clone()), demanded, "{weak}");
    }
    for strong in [
        json!({ "acr": "urn:countersign:acr:2", "auth_time": 700 }),
        json!({ "acr": "phr", "level": 3, "auth_time": 1000, "age": 0 }),
        json!({ "level": 2, "age": 300 }),
    ] {
        assert_eq!(ask(&set, strong.clone()), Ok(Vec::new()), "{strong}");
    }
    // A client never signs in: there is nothing to come back with.
    assert_eq!(
        ask_as(&set, "Client", &[], json!({})),
        Err(DenialReason::NothingPermits)
    );
}

fn work(bits: u8) -> DenialReason {
    DenialReason::ProofOfWorkRequired(WorkBits::new(bits).unwrap())
}

#[test]
fn a_permit_for_who_shows_work_asks_for_it() {
    let set = loaded(
        "@challenge(\"proof-of-work bits=16\") permit (principal, action == Action::\"read\", resource);
         @challenge(\"proof-of-work bits=20\") permit (principal, action == Action::\"read\", resource) when { context has vip };",
    )
    .unwrap();
    for (shown, demanded) in [
        (json!({}), Err(work(16))),
        (json!({ "proof_of_work": 15 }), Err(work(16))),
        (json!({ "proof_of_work": -1 }), Err(work(16))),
        (json!({ "proof_of_work": 16 }), Ok(Vec::new())),
        (json!({ "proof_of_work": 16, "vip": true }), Err(work(20))),
        (json!({ "proof_of_work": 20, "vip": true }), Ok(Vec::new())),
    ] {
        assert_eq!(ask(&set, shown.clone()), demanded, "{shown}");
    }
    // A program of its own accord can work, though it cannot sign in.
    assert_eq!(ask_as(&set, "Client", &[], json!({})), Err(work(16)));
    let shown = json!({ "proof_of_work": 16 });
    assert_eq!(ask_as(&set, "Client", &[], shown), Ok(Vec::new()));
}

#[test]
fn a_passkey_challenge_is_a_sign_in_that_only_passkeys_reach() {
    let set =
        loaded("@challenge(\"passkey\") permit (principal, action == Action::\"read\", resource);")
            .unwrap();
    let demanded = Err(step_up_to(Some(Acr::PhishingResistant), None));
    assert_eq!(ask(&set, json!({ "level": 2 })), demanded);
    assert_eq!(ask(&set, json!({ "level": 3 })), Ok(Vec::new()));
}

#[test]
fn a_forbid_that_work_lifts_asks_for_it_and_for_nothing_that_does_not_help() {
    const WORKED: &str = r#"
        permit (principal is User, action == Action::"read", resource);
        @challenge("proof-of-work")
        forbid (principal, action == Action::"read", resource) when { context has vip } unless { context has proof_of_work && context.proof_of_work >= 18 };
    "#;
    let set = loaded(WORKED).unwrap();
    let suspect = || json!({ "vip": true });
    assert_eq!(ask(&set, suspect()), Err(work(18)));
    let shown = json!({ "vip": true, "proof_of_work": 18 });
    assert_eq!(ask(&set, shown.clone()), Ok(Vec::new()));
    assert_eq!(ask(&set, json!({})), Ok(Vec::new()), "nobody else works");
    let also = |policy: &str| loaded(&format!("{WORKED} {policy}")).unwrap();
    let barred = also("forbid (principal, action, resource);");
    assert_eq!(ask(&barred, suspect()), Err(DenialReason::Forbidden));
    assert_eq!(
        ask_as(&set, "Client", &[], suspect()),
        Err(DenialReason::Forbidden),
        "nothing permits a client, however much it works"
    );
    // Both: the sign-in first, so that nobody works who does not get in.
    let both = also(
        "@step_up(\"acr=phr\") forbid (principal, action == Action::\"read\", resource) unless { context has level && context.level >= 3 };",
    );
    let phr = step_up_to(Some(Acr::PhishingResistant), None);
    assert_eq!(ask(&both, suspect()), Err(phr));
    let signed_in = json!({ "vip": true, "level": 3 });
    assert_eq!(ask(&both, signed_in), Err(work(18)));
    // A policy that says of itself what is not so.
    let lying = loaded(
        "permit (principal, action, resource); @challenge(\"proof-of-work\") forbid (principal, action == Action::\"read\", resource);",
    )
    .unwrap();
    assert_eq!(ask(&lying, shown), Err(DenialReason::Forbidden));
}

const LIFTED: &str = r#"
    permit (principal is User, action == Action::"read", resource);
    @step_up("acr=urn:countersign:acr:2")
    forbid (principal, action == Action::"read", resource) unless { context has level && context.level >= 2 };
    @step_up("max_age=60")
    forbid (principal, action == Action::"read", resource) when { context has vip } unless { context has age && context.age <= 60 };
"#;

#[test]
fn a_forbid_for_want_of_strength_says_what_would_lift_it() {
    let set = loaded(LIFTED).unwrap();
    assert_eq!(
        ask(&set, json!({})),
        Err(step_up_to(Some(Acr::TwoFactors), None))
    );
    let both = json!({ "vip": true, "level": 1 });
    assert_eq!(
        ask(&set, both),
        Err(step_up_to(Some(Acr::TwoFactors), Some(60)))
    );
    let old = json!({ "vip": true, "level": 3, "age": 61 });
    assert_eq!(ask(&set, old), Err(step_up_to(None, Some(60))));
    assert_eq!(
        ask(&set, json!({ "vip": true, "level": 2, "age": 60 })),
        Ok(Vec::new())
    );
    assert_eq!(
        ask_as(&set, "Client", &[], json!({})),
        Err(DenialReason::Forbidden)
    );
}

#[test]
fn what_no_sign_in_would_lift_asks_for_none() {
    let also = |policy: &str| loaded(&format!("{LIFTED} {policy}")).unwrap();
    // Another forbid that says nothing.
    let barred = also("forbid (principal, action, resource);");
    assert_eq!(ask(&barred, json!({})), Err(DenialReason::Forbidden));
    // A policy that would fail after the sign-in.
    let failing = also(
        "forbid (principal, action == Action::\"read\", resource) when { context has level && context.level + 9223372036854775807 > 0 };",
    );
    assert_eq!(ask(&failing, json!({})), Err(DenialReason::Forbidden));
    // Nothing that permits.
    let empty = loaded(&LIFTED.replacen("is User", "is Client", 1)).unwrap();
    assert_eq!(ask(&empty, json!({})), Err(DenialReason::Forbidden));
    // A policy that says of itself what is not so.
    let lying = loaded(
        "permit (principal, action, resource); @step_up(\"acr=phr\") forbid (principal, action == Action::\"read\", resource);",
    )
    .unwrap();
    assert_eq!(ask(&lying, json!({})), Err(DenialReason::Forbidden));
    // A purpose that is missing, whatever the sign-in.
    let purpose = loaded(&LIFTED.replacen("permit", "@purpose(\"a\") permit", 1)).unwrap();
    assert_eq!(ask(&purpose, json!({})), Err(DenialReason::Forbidden));
    let named = ask(&purpose, json!({ "purpose": "a" }));
    assert_eq!(named, Err(step_up_to(Some(Acr::TwoFactors), None)));
}

#[test]
fn a_lifted_forbid_meets_what_its_permit_demands() {
    let set =
        loaded(&LIFTED.replacen("permit", "@step_up(\"acr=phr max_age=9\") permit", 1)).unwrap();
    assert_eq!(
        ask(&set, json!({})),
        Err(step_up_to(Some(Acr::PhishingResistant), Some(9)))
    );
}

#[test]
fn a_forbid_that_fails_still_denies() {
    let set = loaded(
        r#"
        permit (principal, action, resource);
        @step_up("acr=phr")
        forbid (principal, action == Action::"read", resource) when { context.time + 9223372036854775807 > 0 };
        "#,
    )
    .unwrap();
    assert_eq!(
        ask(&set, json!({ "level": 3 })),
        Err(DenialReason::PolicyFailed)
    );
}

fn obligations(annotations: &str) -> Obligations {
    let text = format!("{annotations} permit (principal, action == Action::\"read\", resource);");
    let set = loaded(&text).unwrap();
    let permitted = decide(&set, Asked(reading("User", json!({})), &Duty::ALL));
    let permitted = permitted.unwrap_or_else(|_| panic!("permitted"));
    Obligations::clone(permitted.obligations().unwrap())
}

#[track_caller]
fn redacts(annotations: &str, answer: &str, expected: &str) {
    let done = obligations(annotations)
        .carry_out(answer.as_bytes())
        .unwrap();
    assert_eq!(
        String::from_utf8(done).unwrap(),
        expected,
        "{annotations} on {answer}"
    );
}

#[test]
fn fields_are_masked_and_dropped() {
    redacts(
        "@mask(\"/a\")",
        r#"{"a":"x","b":"y"}"#,
        r#"{"a":"***","b":"y"}"#,
    );
    redacts("@mask(\"/a\")", r#"{"a":7}"#, r#"{"a":null}"#);
    redacts("@mask(\"/a\")", r#"{"a":{"b":["x"]}}"#, r#"{"a":null}"#);
    redacts(
        "@drop(\"/a\")",
        r#" { "a" : "x" , "b" : 1 } "#,
        r#"{"b":1}"#,
    );
    redacts("@drop(\"/a\")", r#"{"b":1,"a":{}}"#, r#"{"b":1}"#);
    redacts("@drop(\"/a /b\")", r#"{"b":1,"a":{}}"#, "{}");
    redacts("@mask(\"/a\") @drop(\"/a\")", r#"{"a":1}"#, "{}");
    redacts("@mask(\"/a/b /a\")", r#"{"a":{"b":1}}"#, r#"{"a":null}"#);
    redacts(
        "@mask(\"/a~1b\") @drop(\"/~01\")",
        r#"{"a/b":1,"~1":2}"#,
        r#"{"a/b":null}"#,
    );
    redacts("@mask(\"/\")", r#"{"":1,"a":2}"#, r#"{"":null,"a":2}"#);
}

#[test]
fn fields_in_nested_arrays_are_reached() {
    redacts(
        "@mask(\"/items/*/price\")",
        r#"{"items":[{"price":1,"n":"a"},{"n":"b"},[{"price":2}],{"price":"3"}]}"#,
        r#"{"items":[{"price":null,"n":"a"},{"n":"b"},[{"price":2}],{"price":"***"}]}"#,
    );
    redacts(
        "@mask(\"/*/*\")",
        "[[1,[2]],{\"a\":3},4]",
        "[[null,null],{\"a\":null},4]",
    );
    redacts(
        "@mask(\"/**/iban\")",
        r#"[{"iban":"a","x":[[{"iban":"b","y":{"iban":["c"]}}]]}]"#,
        r#"[{"iban":"***","x":[[{"iban":"***","y":{"iban":null}}]]}]"#,
    );
    redacts(
        "@drop(\"/1 /**/0\")",
        "[[5,6],[7],{\"0\":8,\"a\":[9,10]}]",
        "[{\"a\":[10]}]",
    );
    redacts(
        "@drop(\"/**/**/x\")",
        r#"{"x":1,"a":[{"x":2}]}"#,
        r#"{"a":[{}]}"#,
    );
    // No index of RFC 6901: a member may have such a name, an element has not.
    redacts("@drop(\"/01 /-\")", "[1,2]", "[1,2]");
    redacts("@drop(\"/01\")", r#"{"01":1}"#, "{}");
}

#[test]
fn a_name_is_what_it_means_however_often_it_stands_there() {
    redacts(
        "@mask(\"/iban\")",
        r#"{"\u0069ban":"a","iban":"b","ib\u0061n":"c","IBAN":"d"}"#,
        r#"{"\u0069ban":"***","iban":"***","ib\u0061n":"***","IBAN":"d"}"#,
    );
    redacts(
        "@drop(\"/a\\\"b\")",
        r#"{"a\"b":1,"c":"}\\\"{"}"#,
        r#"{"c":"}\\\"{"}"#,
    );
}

#[test]
fn what_is_not_touched_stays_as_it_was_written() {
    let text = r#"{"n":123456789012345678901234567890.10e-5,"s":"\u00e9\/","o":{ "z" : [ 1 , true ] },"x":null}"#;
    redacts("@mask(\"/none\")", text, text);
}

#[test]
fn arrays_are_cut() {
    redacts("@limit_rows(\"2\")", "[1,2,3]", "[1,2]");
    redacts(
        "@limit_rows(\"/items 1\")",
        r#"{"items":[{"a":[1,2]},2],"n":[1,2]}"#,
        r#"{"items":[{"a":[1,2]}],"n":[1,2]}"#,
    );
    redacts(
        "@limit_rows(\"/items 1\")",
        r#"{"items":null}"#,
        r#"{"items":null}"#,
    );
    redacts("@limit_rows(\"/items 1\")", "{}", "{}");
    redacts(
        "@limit_rows(\"/**/rows 1\")",
        "[{\"rows\":[1,2]},[{\"rows\":[]}],3]",
        "[{\"rows\":[1]},[{\"rows\":[]}],3]",
    );
    redacts("@limit_rows(\"1\") @drop(\"/0\")", "[1,2,3]", "[2]");
    redacts(
        "@limit_rows(\"1\") @mask(\"/*/a\")",
        r#"[{"a":1},{"a":2}]"#,
        r#"[{"a":null}]"#,
    );
    let limited = obligations("@limit_rows(\"/items 1\")");
    for wrapped in [r#"{"items":{"0":1,"1":2}}"#, r#"{"items":"1,2"}"#] {
        assert_eq!(
            limited.carry_out(wrapped.as_bytes()),
            Err(NotCarriedOut::NoArray)
        );
    }
}

#[test]
fn what_is_no_json_is_refused() {
    let masking = obligations("@mask(\"/a\")");
    let refused = |text: &[u8]| masking.carry_out(text);
    for text in [
        &b""[..],
        b"a,b\n1,2",
        b"{\"a\":1}{\"a\":2}",
        b"{\"a\":1}\n{\"a\":2}\n",
        b"{\"a\":1,}",
        b"{\"a\" 1}",
        b"{\"a\":1",
        b"{'a':1}",
        b"{\"a\":NaN}",
        b"\xef\xbb\xbf{\"a\":1}",
        b"{\"a\":\"\xff\"}",
        b"{\"\\ud800\":1}",
        b"\x1f\x8b\x08\x00",
    ] {
        assert_eq!(
            refused(text),
            Err(NotCarriedOut::Json),
            "{}",
            String::from_utf8_lossy(text)
        );
    }
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let everywhere = obligations("@mask(\"/**/a\")");
    assert_eq!(
        everywhere.carry_out(deep(200).as_bytes()),
        Err(NotCarriedOut::Depth)
    );
    assert!(everywhere.carry_out(deep(100).as_bytes()).is_ok());
}

/// What [`Obligations::carry_out`] says, by the plainest way there is.
fn plainly(value: &Json, way: &mut Vec<String>, obligations: &Obligations) -> Option<Json> {
    let is_at = |path: &FieldPath| fits(path.steps(), way);
    if !way.is_empty() && obligations.dropped().any(is_at) {
        return None;
    }
    if !way.is_empty() && obligations.masked().any(is_at) {
        return Some(if value.is_string() {
            "***".into()
        } else {
            Json::Null
        });
    }
    let most = obligations
        .limited()
        .filter(|(path, _)| is_at(path))
        .map(|(_, most)| most)
        .min();
    Some(match value {
        Json::Array(items) => {
            let mut kept = Vec::new();
            for (index, item) in items.iter().enumerate() {
                way.push(index.to_string());
                kept.extend(plainly(item, way, obligations));
                way.pop();
            }
            kept.truncate(most.map_or(usize::MAX, |most| most as usize));
            kept.into()
        }
        Json::Object(members) => {
            let mut kept = serde_json::Map::new();
            for (name, member) in members {
                way.push(name.clone());
                if let Some(member) = plainly(member, way, obligations) {
                    kept.insert(name.clone(), member);
                }
                way.pop();
            }
            kept.into()
        }
        other => other.clone(),
    })
}

fn fits(steps: &[path::Step], way: &[String]) -> bool {
    match (steps.split_first(), way.split_first()) {
        (None, None) => true,
        (Some((path::Step::Deep, rest)), way_left) => {
            fits(rest, way) || way_left.is_some_and(|(_, behind)| fits(steps, behind))
        }
        (Some((path::Step::Any, rest)), Some((_, behind))) => fits(rest, behind),
        (Some((path::Step::Named(name), rest)), Some((token, behind))) => {
            name == token && fits(rest, behind)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn answers() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        "secret-[a-z]{3}".prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<bool>().prop_map(Json::from),
        Just(Json::Null),
        "\\PC{0,6}".prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 60, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::btree_map("[ab01\"\\\\/é]{0,2}", inner, 0..5)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

fn written_paths() -> impl Strategy<Value = Vec<FieldPath>> {
    let step = prop_oneof![
        Just("*"),
        Just("**"),
        Just("a"),
        Just("b"),
        Just("0"),
        Just("1"),
        Just("ab"),
        Just("~1")
    ];
    let path = prop::collection::vec(step, 1..5).prop_map(|steps| format!("/{}", steps.join("/")));
    prop::collection::vec(path, 0..4)
        .prop_map(|paths| paths.iter().filter_map(|path| path.parse().ok()).collect())
}

proptest! {
    #[test]
    fn masking_does_what_the_plain_way_does(
        answer in answers(),
        masked in written_paths(),
        dropped in written_paths(),
        pretty in any::<bool>(),
    ) {
        let obligations = Obligations {
            mask: masked.into_iter().collect(),
            drop: dropped.into_iter().collect(),
            ..Obligations::NONE
        };
        let text = if pretty { serde_json::to_string_pretty(&answer) } else { serde_json::to_string(&answer) }.unwrap();
        let done = obligations.carry_out(text.as_bytes()).unwrap();
        let done: Json = serde_json::from_slice(&done).unwrap();
        prop_assert_eq!(Some(done), plainly(&answer, &mut Vec::new(), &obligations));
    }

    #[test]
    fn a_value_that_is_masked_everywhere_is_nowhere_in_the_answer(answer in answers()) {
        let obligations = Obligations { mask: ["/**/*".parse().unwrap()].into(), ..Obligations::NONE };
        let done = obligations.carry_out(answer.to_string().as_bytes()).unwrap();
        let done = String::from_utf8(done).unwrap();
        if answer.is_array() || answer.is_object() {
            prop_assert!(!done.contains("secret-"), "{}", done);
        }
    }

    #[test]
    fn no_text_makes_it_err_otherwise_than_by_refusing(text in prop::collection::vec(any::<u8>(), 0..64), path in written_paths()) {
        let obligations = Obligations { mask: path.into_iter().collect(), ..Obligations::NONE };
        if let Ok(done) = obligations.carry_out(&text) {
            prop_assert!(serde_json::from_slice::<Json>(&done).is_ok() || serde_json::from_slice::<Json>(&text).is_err());
        }
    }
}
