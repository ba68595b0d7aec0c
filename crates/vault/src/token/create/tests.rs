use super::*;
use crate::answer::Auth;
use crate::call::Operation::Update;
use crate::token::tests::{caller, made, used};
use crate::trial::Trial;
use serde_json::{Value as Json, json};

const SUBSET: &str = "child policies must be subset of parent";

fn signed_in(trial: &mut Trial) -> Auth {
    let new = NewToken {
        policies: BTreeSet::from(["app".to_owned(), "ops".to_owned()]),
        path: "auth/approle/login".to_owned(),
        ..NewToken::default()
    };
    made(trial, &new)
}

/// What the holder of `app` and `ops` is given at a path, or told.
fn create(trial: &mut Trial, path: &str, body: &Json) -> Result<Auth, String> {
    let auth = signed_in(trial);
    let caller = caller(trial, &auth);
    let path = format!("auth/token/{path}");
    let answer = trial.call_as(caller, Update, &path, body.clone());
    answer
        .map(|answer| answer.auth.unwrap())
        .map_err(|error| error.to_string())
}

fn root_create(trial: &mut Trial, path: &str, body: &Json) -> Result<Auth, String> {
    let path = format!("auth/token/{path}");
    let answer = trial.call(Update, &path, body.clone());
    answer
        .map(|answer| answer.auth.unwrap())
        .map_err(|error| error.to_string())
}

#[test]
fn a_token_gives_no_more_than_it_has() {
    let mut trial = Trial::new();
    let mut check = |body: Json, expected: Result<&[&str], &str>| {
        let created = create(&mut trial, "create", &body).map(|auth| auth.policies);
        let expected = expected
            .map(|policies| policies.iter().map(|p| (*p).to_owned()).collect())
            .map_err(str::to_owned);
        assert_eq!(created, expected, "{body}");
    };
    check(json!({}), Ok(&["app", "default", "ops"]));
    check(json!({"policies": null}), Ok(&["app", "default", "ops"]));
    check(json!({"policies": ["app"]}), Ok(&["app", "default"]));
    check(json!({"policies": "APP, default"}), Ok(&["app", "default"]));
    check(
        json!({"policies": ["app"], "no_default_policy": true}),
        Ok(&["app"]),
    );
    check(json!({"policies": ["app", "admin"]}), Err(SUBSET));
    check(json!({"policies": ["root"]}), Err(SUBSET));
    check(json!({"policies": [" Root"]}), Err(SUBSET));
}

#[test]
fn what_takes_root_or_sudo_is_refused_to_others() {
    for (body, text) in [
        (
            json!({"no_parent": true}),
            "root or sudo privileges required to create orphan token",
        ),
        (
            json!({"period": "1h"}),
            "root or sudo privileges required to create periodic token",
        ),
        (json!({"policies": ["admin"]}), SUBSET),
    ] {
        let mut trial = Trial::new();
        assert_eq!(create(&mut trial, "create", &body).err().unwrap(), text);
        assert!(root_create(&mut trial, "create", &body).is_ok(), "{body}");
        assert!(create(&mut trial, "create-orphan", &body).is_ok(), "{body}");
    }
    let mut trial = Trial::new();
    let root = json!({"policies": ["root"]});
    assert!(
        create(&mut trial, "create-orphan", &root).is_err(),
        "sudo is not root"
    );
    let auth = root_create(&mut trial, "create-orphan", &root).unwrap();
    assert!(auth.orphan && !auth.lasts.is_zero());
}

#[test]
fn what_is_not_made_is_refused_in_clear_text() {
    let mut trial = Trial::new();
    for body in [
        json!({"id": "s.mine"}),
        json!({"type": "batch"}),
        json!({"entity_alias": "alice"}),
        json!({"num_uses": -1}),
        json!({"ttl": "-1"}),
        json!({"meta": {"a": {}}}),
    ] {
        assert!(root_create(&mut trial, "create", &body).is_err(), "{body}");
    }
    let body = json!({
        "id": null, "type": "service", "entity_alias": "", "num_uses": "3", "ttl": "1h", "meta": {"a": "b"}, "display_name": "ci",
        "renewable": false, "explicit_max_ttl": 1_800
    });
    let auth = root_create(&mut trial, "create", &body).unwrap();
    assert_eq!((auth.uses, auth.lasts.as_secs()), (3, 1_800));
    assert!(!auth.renewable && !auth.orphan);
    let held = used(&mut trial, &auth.client_token).unwrap();
    assert_eq!(held.display_name, "token-ci");
    assert_eq!(held.metadata.get("a").unwrap(), "b");
}

#[test]
fn a_child_of_a_bound_token_is_bound_as_well() {
    let mut trial = Trial::new();
    let bound = NewToken {
        bound_cidrs: BTreeSet::from(["192.0.2.0/24".parse().unwrap()]),
        path: "auth/approle/login".to_owned(),
        ..NewToken::default()
    };
    let auth = made(&mut trial, &bound);
    let caller = caller(&mut trial, &auth);
    let answer = trial.call_as(caller, Update, "auth/token/create", json!({}));
    let child = answer.unwrap().auth.unwrap();
    let held = used(&mut trial, &child.client_token).unwrap();
    assert_eq!(held.bound_cidrs, bound.bound_cidrs);
}

#[test]
fn a_role_says_which_policies_and_which_shape() {
    let mut trial = Trial::new();
    let mut role = |name: &str, body: Json| {
        let path = format!("auth/token/roles/{name}");
        trial.call(Update, &path, body).unwrap();
    };
    role(
        "ci",
        json!({
            "allowed_policies": ["deploy"], "allowed_policies_glob": ["team-*"], "disallowed_policies_glob": ["*-root"], "orphan": true,
            "token_period": "1h", "token_explicit_max_ttl": "2h", "token_num_uses": 5, "token_bound_cidrs": ["192.0.2.0/24"],
            "token_no_default_policy": true
        }),
    );
    role("narrow", json!({"disallowed_policies": ["ops", "default"]}));
    let auth = create(&mut trial, "create/ci", &json!({})).unwrap();
    assert_eq!(auth.policies, ["deploy"]);
    assert!(auth.orphan && auth.uses == 5 && auth.lasts.as_secs() == 3_600);
    let held = used(&mut trial, &auth.client_token).unwrap();
    assert_eq!(held.bound_cidrs.len(), 1);
    for (role, policies, allowed) in [
        ("ci", json!(["team-a"]), true),
        ("ci", json!(["team-root"]), false),
        ("ci", json!(["app"]), false),
        ("ci", json!(["root"]), false),
        ("narrow", json!(["app"]), true),
        ("narrow", json!(["ops"]), false),
        ("narrow", json!(["admin"]), false),
        ("none", json!(["app"]), false),
    ] {
        let path = format!("create/{role}");
        let created = create(&mut trial, &path, &json!({"policies": policies}));
        assert_eq!(created.is_ok(), allowed, "{role} {policies}");
    }
    // More uses than the role gives are not given; fewer are.
    for (asked, given) in [(0, 5), (3, 3), (9, 5)] {
        let body = json!({"policies": ["deploy"], "num_uses": asked});
        assert_eq!(create(&mut trial, "create/ci", &body).unwrap().uses, given);
    }
}

/// A token that may be used twice would otherwise make one that may be used for ever.
#[test]
fn a_token_of_limited_uses_makes_no_others() {
    for (uses, may) in [(0, true), (1, false), (2, false), (5, false)] {
        let mut trial = Trial::new();
        let new = NewToken {
            path: "auth/approle/login".to_owned(),
            uses,
            ..NewToken::default()
        };
        let auth = made(&mut trial, &new);
        let caller = caller(&mut trial, &auth);
        let before = trial.stored("token/id/").len();
        for path in ["create", "create-orphan"] {
            let path = format!("auth/token/{path}");
            let created = trial.call_as(&caller, Update, &path, json!({}));
            let refused = VaultError::invalid("restricted use token cannot generate child tokens");
            assert_eq!(
                created.err(),
                (!may).then_some(refused),
                "{path} with {uses} uses"
            );
        }
        let made = trial.stored("token/id/").len() - before;
        assert_eq!(made, if may { 2 } else { 0 });
    }
}
