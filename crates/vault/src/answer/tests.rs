use super::*;
use std::collections::BTreeMap;

fn request() -> RequestId {
    RequestId::from_bytes([1; 16])
}

fn auth() -> Auth {
    Auth {
        client_token: Secret::new("hvs.shown".to_owned()),
        accessor: "acc".to_owned(),
        policies: vec!["default".to_owned()],
        metadata: BTreeMap::new(),
        lasts: Duration::from_secs(60),
        renewable: true,
        entity_id: String::new(),
        orphan: true,
        uses: 0,
    }
}

#[test]
fn an_envelope_has_all_members_also_where_they_say_nothing() {
    let written = envelope(&Answer::nothing(), request());
    assert_eq!(
        written,
        json!({
            "request_id": "01010101010101010101010101010101", "lease_id": "", "renewable": false, "lease_duration": 0,
            "data": null, "wrap_info": null, "warnings": null, "auth": null
        })
    );
    assert!(Answer::nothing().is_empty());
    assert!(!Answer::nothing().warning("w").is_empty());
}

#[test]
fn a_token_is_written_with_the_members_that_vaultrs_asks_for() {
    let answer = Answer::auth(auth());
    assert!(!answer.is_empty());
    let written = envelope(&answer, request());
    assert_eq!(
        written["auth"],
        json!({
            "client_token": "hvs.shown", "accessor": "acc", "policies": ["default"], "token_policies": ["default"], "metadata": null,
            "lease_duration": 60, "renewable": true, "entity_id": "", "token_type": "service", "orphan": true, "mfa_requirement": null,
            "num_uses": 0
        })
    );
    // Even a token without any policy says so in a list.
    let bare = Answer::auth(Auth {
        policies: Vec::new(),
        metadata: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        ..auth()
    });
    let written = envelope(&bare, request());
    assert_eq!(written["auth"]["token_policies"], json!([]));
    assert_eq!(written["auth"]["metadata"], json!({"a": "b"}));
}

#[test]
fn leases_warnings_and_wrapped_answers_stand_in_their_places() {
    let answer = Answer {
        lease: Some(LeaseGiven {
            id: "database/creds/app/x".to_owned(),
            lasts: Duration::from_secs(3_600),
            renewable: true,
        }),
        wrap_info: Some(WrapInfo {
            token: Secret::new("hvs.w".to_owned()),
            accessor: "wa".to_owned(),
            ttl: Duration::from_secs(30),
            created: UnixTime(0),
            path: "auth/approle/login".to_owned(),
            wrapped_accessor: Some("acc".to_owned()),
        }),
        ..Answer::data(json!({"username": "u"})).warning("careful")
    };
    let written = envelope(&answer, request());
    assert_eq!(written["lease_id"], "database/creds/app/x");
    assert_eq!(written["lease_duration"], 3_600);
    assert_eq!(written["renewable"], true);
    assert_eq!(written["warnings"], json!(["careful"]));
    assert_eq!(
        written["wrap_info"],
        json!({
            "token": "hvs.w", "accessor": "wa", "ttl": 30, "creation_time": "1970-01-01T00:00:00Z",
            "creation_path": "auth/approle/login", "wrapped_accessor": "acc"
        })
    );
}
