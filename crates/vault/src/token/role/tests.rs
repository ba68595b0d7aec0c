use super::*;
use crate::call::Operation::{Delete, List, Read, Update};
use crate::trial::Trial;
use serde_json::Value as Json;

#[test]
fn patterns_fit_as_wildcards_do() {
    for (glob, text, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("*", "", true),
        ("a*", "a", true),
        ("a*", "ba", false),
        ("*a", "ba", true),
        ("a*c", "abc", true),
        ("a*c", "ac", true),
        ("a*c", "ab", false),
        ("a*a", "a", false),
        ("a*b*c", "a-b-c", true),
        ("a*b*b", "ab", false),
        ("*ab*", "aab", true),
    ] {
        assert_eq!(fits(glob, text), expected, "{glob} {text}");
    }
}

#[test]
fn a_role_is_written_read_listed_and_deleted() {
    let mut trial = Trial::new();
    let path = "auth/token/roles/ci";
    let missing = trial.call(Read, path, Json::Null).err();
    assert_eq!(missing, Some(VaultError::NotFound));
    let body = json!({"allowed_policies": "Deploy,ops", "period": "1h", "renewable": false});
    trial.call(Update, path, body).unwrap();
    // What is not sent stays.
    trial.call(Update, path, json!({"orphan": true})).unwrap();
    let role = trial.data(Read, path, Json::Null);
    assert_eq!(role["allowed_policies"], json!(["deploy", "ops"]));
    assert_eq!(role["token_period"], 3_600);
    assert_eq!(
        (&role["orphan"], &role["renewable"]),
        (&json!(true), &json!(false))
    );
    let listed = trial.data(List, "auth/token/roles", Json::Null);
    assert_eq!(listed["keys"], json!(["ci"]));
    trial.call(Delete, path, Json::Null).unwrap();
    let gone = trial.call(List, "auth/token/roles", Json::Null).err();
    assert_eq!(gone, Some(VaultError::NotFound));
}

#[test]
fn what_no_role_may_be_is_refused() {
    let mut trial = Trial::new();
    for (name, body) in [
        ("a%20b", json!({})),
        ("r", json!({"token_bound_cidrs": ["192.0.2.1/24"]})),
        ("r", json!({"allowed_policies": ["r\u{43e}ot"]})),
        ("r", json!({"allowed_policies_glob": ["a b*"]})),
        ("r", json!({"token_type": "batch"})),
        ("r", json!({"token_num_uses": -1})),
    ] {
        let refused = trial.call(Update, &format!("auth/token/roles/{name}"), body.clone());
        assert_eq!(
            refused.err().map(|error| error.status()),
            Some(400),
            "{body}"
        );
    }
    assert!(trial.stored("token/role/").is_empty());
}
