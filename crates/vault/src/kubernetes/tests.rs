use crate::answer::Auth;
use crate::call::Operation::{Read, Update};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::jwt::tests::{key, pem, token};
use crate::kind::EngineKind;
use crate::trial::Trial;
use countersign_crypto::signing::{IdToken, SigningKey};
use serde_json::{Value as Json, json};

const NOW: i64 = 1_800_000_000;

struct Cluster {
    trial: Trial,
    key: SigningKey<IdToken>,
}

fn claims() -> Json {
    json!({
        "iss": "https://kubernetes.default.svc", "aud": ["vault"], "iat": NOW, "nbf": NOW, "exp": NOW + 3600,
        "sub": "system:serviceaccount:shop:web",
        "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "web", "uid": "u-1"}}
    })
}

impl Cluster {
    fn new(role: Json) -> Self {
        let key = key("k1");
        let mut trial = Trial::new();
        trial.mount("auth/kubernetes/", EngineKind::Kubernetes);
        let config = json!({"kubernetes_host": "https://k8s.example", "pem_keys": [pem(&key)], "issuer": "https://kubernetes.default.svc"});
        trial
            .call(Update, "auth/kubernetes/config", config)
            .unwrap();
        let mut body = json!({
            "bound_service_account_names": "web", "bound_service_account_namespaces": "shop", "audience": "vault",
            "token_policies": "app"
        });
        for (name, value) in role.as_object().unwrap() {
            body[name] = value.clone();
        }
        trial
            .call(Update, "auth/kubernetes/role/app", body)
            .unwrap();
        Self { trial, key }
    }

    fn with(&mut self, change: impl Fn(&mut Json)) -> Result<Auth, VaultError> {
        let mut claims = claims();
        change(&mut claims);
        let jwt = token(&self.key, &json!({"alg": "ES256", "kid": "k1"}), &claims);
        let body = json!({ "role": "app", "jwt": jwt });
        let path = "auth/kubernetes/login";
        let answer = self
            .trial
            .call_as(|| Caller::Anonymous, Update, path, body)?;
        Ok(answer.auth.unwrap())
    }
}

fn account(claims: &mut Json, namespace: &str, name: &str) {
    claims["sub"] = json!(format!("system:serviceaccount:{namespace}:{name}"));
    claims["kubernetes.io"]["namespace"] = json!(namespace);
    claims["kubernetes.io"]["serviceaccount"]["name"] = json!(name);
}

#[test]
fn a_service_account_signs_in() {
    let mut cluster = Cluster::new(json!({}));
    let auth = cluster.with(|_| ()).unwrap();
    assert_eq!(auth.policies, ["app", "default"]);
    assert_eq!(auth.metadata["service_account_namespace"], "shop");
    assert_eq!(auth.metadata["service_account_name"], "web");
    let shown = cluster
        .trial
        .data(Read, "auth/kubernetes/role/app", Json::Null);
    assert_eq!(shown["bound_service_account_names"], json!(["web"]));
}

/// Each change beside the sign-in without it, which is the first.
#[test]
fn other_accounts_audiences_and_keys_are_refused() {
    type Change = fn(&mut Json);
    let changes: [(&str, Change, bool); 12] = [
        ("none", |_| (), true),
        ("name", |claims| account(claims, "shop", "web2"), false),
        ("namespace", |claims| account(claims, "shop2", "web"), false),
        ("swapped", |claims| account(claims, "web", "shop"), false),
        (
            "subject",
            |claims| claims["sub"] = json!("system:serviceaccount:kube-system:web"),
            false,
        ),
        ("audience", |claims| claims["aud"] = json!(["other"]), false),
        (
            "no audience",
            |claims| drop(claims.as_object_mut().unwrap().remove("aud")),
            false,
        ),
        (
            "issuer",
            |claims| claims["iss"] = json!("https://other.example"),
            false,
        ),
        ("ended", |claims| claims["exp"] = json!(NOW - 10), false),
        (
            "without an end",
            |claims| drop(claims.as_object_mut().unwrap().remove("exp")),
            false,
        ),
        ("not yet", |claims| claims["nbf"] = json!(NOW + 11), false),
        (
            "no account",
            |claims| drop(claims.as_object_mut().unwrap().remove("kubernetes.io")),
            false,
        ),
    ];
    for (what, change, may) in changes {
        let mut cluster = Cluster::new(json!({}));
        let before = cluster.trial.dump();
        assert_eq!(cluster.with(change).is_ok(), may, "{what}");
        assert_eq!(
            cluster.trial.dump() == before,
            !may,
            "CVE-2026-46405 {what}"
        );
    }
    let mut cluster = Cluster::new(json!({}));
    cluster.key = key("k1");
    assert!(cluster.with(|_| ()).is_err(), "another key");
}

#[test]
fn names_may_be_patterns_but_not_everything() {
    let mut cluster = Cluster::new(json!({"bound_service_account_names": "*"}));
    assert!(
        cluster
            .with(|claims| account(claims, "shop", "any"))
            .is_ok()
    );
    assert!(
        cluster
            .with(|claims| account(claims, "shop2", "any"))
            .is_err()
    );
    let mut cluster = Cluster::new(json!({"bound_service_account_namespaces": "shop-*"}));
    assert!(
        cluster
            .with(|claims| account(claims, "shop-eu", "web"))
            .is_ok()
    );
    for refused in [
        json!({"bound_service_account_names": "*", "bound_service_account_namespaces": "*"}),
        json!({"bound_service_account_names": "**", "bound_service_account_namespaces": "*"}),
        json!({"bound_service_account_names": ""}),
        json!({"alias_name_source": "pod"}),
    ] {
        let path = "auth/kubernetes/role/app";
        assert!(
            cluster.trial.call(Update, path, refused.clone()).is_err(),
            "{refused}"
        );
    }
    for refused in [
        json!({}),
        json!({"pem_keys": ["canary"]}),
        json!({"token_reviewer_jwt": "x", "pem_keys": [pem(&cluster.key)]}),
    ] {
        assert!(
            cluster
                .trial
                .call(Update, "auth/kubernetes/config", refused)
                .is_err()
        );
    }
}

#[test]
fn an_account_that_is_made_anew_is_another_unless_the_role_says_so() {
    for (source, same) in [("serviceaccount_uid", false), ("serviceaccount_name", true)] {
        let mut cluster = Cluster::new(json!({"alias_name_source": source}));
        let first = cluster.with(|_| ()).unwrap().entity_id;
        let anew =
            cluster.with(|claims| claims["kubernetes.io"]["serviceaccount"]["uid"] = json!("u-2"));
        assert_eq!(anew.unwrap().entity_id == first, same, "{source}");
    }
}

#[test]
fn tokens_are_bounded_by_the_older_names_too_and_the_newer_ones_win() {
    let lasts = |role: Json| {
        let auth = Cluster::new(role).with(|_| ()).unwrap();
        (auth.lasts.as_secs(), auth.uses)
    };
    assert_eq!(lasts(json!({ "ttl": "5m", "num_uses": 3 })), (300, 3));
    let both = json!({ "ttl": "5m", "token_ttl": 60, "num_uses": 3, "token_num_uses": 2 });
    assert_eq!(lasts(both), (60, 2));
    assert_eq!(lasts(json!({ "max_ttl": 120 })), (120, 0));
}
