use super::*;
use crate::answer::Auth;
use crate::call::Operation::{List, Read, Update};
use crate::token::NewToken;
use crate::token::tests::{caller, made, used};
use crate::trial::Trial;
use countersign_crypto::x509::PeerCertificate;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn signed_in() -> NewToken {
    NewToken {
        policies: BTreeSet::from(["app".to_owned()]),
        display_name: "approle-app".to_owned(),
        metadata: BTreeMap::from([("role".to_owned(), "app".to_owned())]),
        path: "auth/approle/login".to_owned(),
        ttl: Some(Duration::from_secs(3_600)),
        ..NewToken::default()
    }
}

/// A call with the token itself.
fn as_itself(trial: &mut Trial, auth: &Auth, verb: &str, body: Json) -> Result<Answer, VaultError> {
    let caller = caller(trial, auth);
    trial.shown = Some(Arc::new(Secret::new(auth.client_token.expose().clone())));
    let operation = if body.is_null() { Read } else { Update };
    let answer = trial.call_as(caller, operation, &format!("auth/token/{verb}"), body);
    trial.shown = None;
    answer
}

fn as_root(trial: &mut Trial, verb: &str, body: Json) -> Result<Answer, VaultError> {
    trial.call(Update, &format!("auth/token/{verb}"), body)
}

#[test]
fn a_token_looks_at_itself_with_the_members_that_vaultrs_asks_for() {
    let mut trial = Trial::new();
    let auth = made(&mut trial, &signed_in());
    trial.now = trial.now.plus(Duration::from_secs(600));
    let answer = as_itself(&mut trial, &auth, "lookup-self", Json::Null).unwrap();
    assert_eq!(
        answer.data.unwrap(),
        json!({
            "accessor": auth.accessor, "creation_time": 1_800_000_000, "creation_ttl": 3_600, "display_name": "approle-app", "entity_id": "",
            "expire_time": "2027-01-15T09:00:00Z", "explicit_max_ttl": 0, "id": auth.client_token.expose(),
            "issue_time": "2027-01-15T08:00:00Z", "meta": {"role": "app"}, "num_uses": 0, "orphan": true, "path": "auth/approle/login",
            "policies": ["app", "default"], "renewable": true, "ttl": 3_000, "type": "service"
        })
    );
}

#[test]
fn a_last_use_looks_at_itself_and_nothing_follows() {
    let mut trial = Trial::new();
    let once = NewToken {
        uses: 1,
        ..signed_in()
    };
    let auth = made(&mut trial, &once);
    let answer = as_itself(&mut trial, &auth, "lookup-self", Json::Null).unwrap();
    assert_eq!(answer.data.unwrap()["num_uses"], 0);
    assert!(used(&mut trial, &auth.client_token).is_none());
}

#[test]
fn others_look_at_it_by_the_token_or_its_accessor() {
    let mut trial = Trial::new();
    let auth = made(&mut trial, &signed_in());
    let shown = auth.client_token.expose().clone();
    let token = as_root(&mut trial, "lookup", json!({"token": shown})).unwrap();
    assert_eq!(token.data.unwrap()["id"], json!(shown));
    let by_accessor = json!({"accessor": auth.accessor});
    let looked = as_root(&mut trial, "lookup-accessor", by_accessor).unwrap();
    let data = looked.data.unwrap();
    assert_eq!(data["accessor"], json!(auth.accessor));
    assert_eq!(data["id"], "", "an accessor does not give the token");
    let keys = trial.data(List, "auth/token/accessors", Json::Null);
    assert_eq!(keys["keys"], json!([auth.accessor]));
    for (verb, body) in [
        ("lookup", json!({"token": format!("{shown}x")})),
        ("lookup", json!({"token": "root"})),
        ("lookup", json!({"token": auth.accessor})),
        ("lookup-accessor", json!({"accessor": shown})),
        ("lookup-accessor", json!({"accessor": "../id/root"})),
        ("lookup-accessor", json!({"accessor": ""})),
    ] {
        let refused = as_root(&mut trial, verb, body.clone()).err();
        assert_eq!(refused, Some(VaultError::Denied), "{verb} {body}");
    }
    let missing = as_root(&mut trial, "lookup", json!({})).err().unwrap();
    assert_eq!(missing.status(), 400);
}

#[test]
fn renewing_counts_from_now_and_says_what_it_came_to() {
    let mut trial = Trial::new();
    let auth = made(&mut trial, &signed_in());
    trial.now = trial.now.plus(Duration::from_secs(3_000));
    for (increment, lasts) in [
        (json!({}), 3_600),
        (json!({"increment": null}), 3_600),
        (json!({"increment": "2h"}), 7_200),
        (json!({"increment": 60}), 60),
    ] {
        let answer = as_itself(&mut trial, &auth, "renew-self", increment.clone()).unwrap();
        let renewed = answer.auth.unwrap();
        assert_eq!(renewed.lasts.as_secs(), lasts, "{increment}");
        assert_eq!(renewed.client_token.expose(), auth.client_token.expose());
    }
    let data = as_itself(&mut trial, &auth, "lookup-self", Json::Null).unwrap();
    assert_eq!(data.data.unwrap()["last_renewal_time"], 1_800_003_000);
    let body = json!({"accessor": auth.accessor, "increment": "1h"});
    let renewed = as_root(&mut trial, "renew-accessor", body)
        .unwrap()
        .auth
        .unwrap();
    assert_eq!(renewed.client_token.expose(), "");
    assert_eq!(renewed.lasts.as_secs(), 3_600);
    let body = json!({"token": auth.client_token.expose(), "increment": "1h"});
    assert!(as_root(&mut trial, "renew", body).is_ok());
}

#[test]
fn cve_2021_32923_a_token_that_is_renewed_in_its_last_second_still_ends() {
    let mut trial = Trial::new();
    let short = NewToken {
        ttl: Some(Duration::from_secs(10)),
        max_ttl: Some(Duration::from_secs(10)),
        ..signed_in()
    };
    let auth = made(&mut trial, &short);
    trial.now = trial.now.plus(Duration::from_secs(9));
    let renewed = as_itself(&mut trial, &auth, "renew-self", json!({"increment": "1h"}));
    assert_eq!(renewed.unwrap().auth.unwrap().lasts.as_secs(), 1);
    trial.now = trial.now.plus(Duration::from_secs(1));
    assert!(used(&mut trial, &auth.client_token).is_none());
    let late = as_root(
        &mut trial,
        "renew",
        json!({"token": auth.client_token.expose()}),
    );
    assert_eq!(late.err(), Some(VaultError::Denied));
}

#[test]
fn what_cannot_be_renewed_says_so() {
    let mut trial = Trial::new();
    let fixed = NewToken {
        not_renewable: true,
        ..signed_in()
    };
    let fixed = made(&mut trial, &fixed);
    let refused = as_itself(&mut trial, &fixed, "renew-self", json!({})).err();
    assert_eq!(refused, Some(VaultError::invalid("lease is not renewable")));
    let root = as_root(&mut trial, "renew-self", json!({})).err();
    assert_eq!(root, Some(VaultError::invalid("lease is not renewable")));
}

fn certificate(name: &str) -> PeerCertificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    PeerCertificate::from_der(der).unwrap()
}

#[test]
fn cve_2026_39388_a_token_of_one_certificate_is_not_renewed_over_another() {
    let mut trial = Trial::new();
    let (own, other) = (certificate("a.example"), certificate("a.example"));
    let bound = NewToken {
        certificate: Some(own.thumbprint()),
        ..signed_in()
    };
    let bound = made(&mut trial, &bound);
    let free = made(&mut trial, &signed_in());
    let bodies = |auth: &Auth| {
        [
            ("renew", json!({"token": auth.client_token.expose()})),
            ("renew-accessor", json!({"accessor": auth.accessor})),
        ]
    };
    for (peer, renewed) in [(None, false), (Some(other), false), (Some(own), true)] {
        trial.peer = peer;
        let answer = as_itself(&mut trial, &bound, "renew-self", json!({}));
        assert_eq!(answer.is_ok(), renewed);
        for (verb, body) in bodies(&bound) {
            let answer = as_root(&mut trial, verb, body);
            assert_eq!(answer.err(), (!renewed).then_some(VaultError::Denied));
        }
        for (verb, body) in bodies(&free) {
            assert!(as_root(&mut trial, verb, body).is_ok());
        }
    }
}

#[test]
fn revoking_ends_a_token_at_once_by_each_of_its_names() {
    for (verb, by) in [
        ("revoke-self", "self"),
        ("revoke", "token"),
        ("revoke-accessor", "accessor"),
        ("revoke-orphan", "token"),
    ] {
        let mut trial = Trial::new();
        let auth = made(&mut trial, &signed_in());
        let other = made(&mut trial, &signed_in());
        let answer = match by {
            "self" => as_itself(&mut trial, &auth, verb, json!({})),
            "token" => as_root(
                &mut trial,
                verb,
                json!({"token": auth.client_token.expose()}),
            ),
            _ => as_root(&mut trial, verb, json!({"accessor": auth.accessor})),
        };
        assert!(answer.unwrap().is_empty());
        assert!(used(&mut trial, &auth.client_token).is_none(), "{verb}");
        let refused = as_root(
            &mut trial,
            "lookup",
            json!({"token": auth.client_token.expose()}),
        );
        assert_eq!(refused.err(), Some(VaultError::Denied));
        assert!(used(&mut trial, &other.client_token).is_some());
        trial.pass(0);
        assert_eq!(trial.stored("token/accessor/").len(), 1);
    }
    let mut trial = Trial::new();
    let unknown = as_root(&mut trial, "revoke", json!({"token": "hvs.none"}));
    assert!(unknown.unwrap().is_empty());
    let unknown = as_root(&mut trial, "revoke-accessor", json!({"accessor": "none"}));
    assert_eq!(unknown.err(), Some(VaultError::Denied));
}

#[test]
fn revoking_a_token_alone_leaves_its_children_as_orphans() {
    let mut trial = Trial::new();
    let parent = made(&mut trial, &signed_in());
    let make = |trial: &mut Trial, above: &Auth| {
        let caller = caller(trial, above);
        let answer = trial.call_as(caller, Update, "auth/token/create", json!({}));
        answer.unwrap().auth.unwrap()
    };
    let child = make(&mut trial, &parent);
    let grandchild = make(&mut trial, &child);
    assert!(!child.orphan);
    let body = json!({"token": parent.client_token.expose()});
    as_root(&mut trial, "revoke-orphan", body).unwrap();
    for pass in [false, true] {
        if pass {
            trial.pass(0);
        }
        assert!(used(&mut trial, &parent.client_token).is_none());
        assert!(used(&mut trial, &child.client_token).is_some());
        assert!(used(&mut trial, &grandchild.client_token).is_some());
    }
    let seen = as_itself(&mut trial, &child, "lookup-self", Json::Null).unwrap();
    assert_eq!(seen.data.unwrap()["orphan"], true);
    let seen = as_itself(&mut trial, &grandchild, "lookup-self", Json::Null).unwrap();
    assert_eq!(seen.data.unwrap()["orphan"], false);
}

#[test]
fn ending_alone_what_has_ended_already_lets_no_child_live_again() {
    for (ended, stands) in [
        ("token", false),
        ("above", false),
        ("time", false),
        ("", true),
    ] {
        let mut trial = Trial::new();
        let long = NewToken {
            ttl: Some(Duration::from_secs(86_400)),
            ..signed_in()
        };
        let above = made(&mut trial, &long);
        let make = |trial: &mut Trial, above: &Auth, ttl: u64| {
            let caller = caller(trial, above);
            let body = json!({ "ttl": ttl });
            let answer = trial.call_as(caller, Update, "auth/token/create", body);
            answer.unwrap().auth.unwrap()
        };
        let parent = make(&mut trial, &above, 60);
        let child = make(&mut trial, &parent, 3_600);
        let token = |auth: &Auth| json!({"token": auth.client_token.expose()});
        match ended {
            "token" => drop(as_root(&mut trial, "revoke", token(&parent))),
            "above" => drop(as_root(&mut trial, "revoke", token(&above))),
            "time" => trial.now = trial.now.plus(Duration::from_secs(60)),
            _ => {}
        }
        as_root(&mut trial, "revoke-orphan", token(&parent)).unwrap();
        let used_child = used(&mut trial, &child.client_token).is_some();
        assert_eq!(used_child, stands, "{ended}");
        trial.pass(0);
        let used_child = used(&mut trial, &child.client_token).is_some();
        assert_eq!(used_child, stands, "{ended}");
    }
}

#[test]
fn ghsa_c36x_h252_g9x2_tokens_and_accessors_of_another_tenant_are_as_if_unknown() {
    let mut trial = Trial::new();
    let auth = made(&mut trial, &signed_in());
    let calls = |auth: &Auth| {
        [
            ("lookup", json!({"token": auth.client_token.expose()})),
            ("lookup-accessor", json!({"accessor": auth.accessor})),
            ("renew", json!({"token": auth.client_token.expose()})),
            ("renew-accessor", json!({"accessor": auth.accessor})),
            ("revoke-accessor", json!({"accessor": auth.accessor})),
        ]
    };
    let own = std::mem::replace(&mut trial.tenant, "other".parse().unwrap());
    // The other tenant's root, with the same entries below it as if the store had mixed them up.
    trial.root_of_tenant();
    assert!(used(&mut trial, &auth.client_token).is_none());
    for (verb, body) in calls(&auth) {
        let refused = as_root(&mut trial, verb, body).err();
        assert_eq!(refused, Some(VaultError::Denied), "{verb}");
    }
    let body = json!({"token": auth.client_token.expose()});
    assert!(as_root(&mut trial, "revoke", body).unwrap().is_empty());
    trial.tenant = own;
    trial.root_of_tenant();
    assert!(
        used(&mut trial, &auth.client_token).is_some(),
        "nothing happened to it"
    );
    for (verb, body) in calls(&auth) {
        assert!(as_root(&mut trial, verb, body).is_ok(), "{verb}");
    }
}
