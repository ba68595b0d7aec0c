use super::Cost::{self, Large, Small};
use crate::call::Operation::{self, Read, Update};
use crate::kind::EngineKind;
use crate::trial::{Trial, root};
use serde_json::{Value as Json, json};

fn check(operation: Operation, path: &str, body: Json, expected: Cost) {
    let mut trial = Trial::new();
    for (at, engine) in [
        ("auth/cert/", EngineKind::Cert),
        ("auth/approle/", EngineKind::AppRole),
        ("pki/", EngineKind::Pki),
    ] {
        trial.mount(at, engine);
    }
    let asked = trial.asked_as(root, operation, path, body).unwrap();
    assert_eq!(asked.cost(), expected, "{path}");
}

#[test]
fn what_generates_keys_tries_every_role_or_comes_in_masses_is_large() {
    let items =
        |count: usize| json!({ "batch_input": vec![json!({ "plaintext": "aGk=" }); count] });
    let input = |bytes: usize| json!({ "plaintext": "a".repeat(bytes) });
    for (operation, path, body, expected) in [
        (Update, "auth/cert/login", json!({}), Large),
        (Update, "auth/cert/login", json!({ "name": "web" }), Small),
        (Update, "auth/approle/login", json!({}), Small),
        (Update, "pki/root/generate/internal", json!({}), Large),
        (Update, "pki/issue/web", json!({}), Large),
        (Update, "pki/sign/web", json!({}), Large),
        (Update, "pki/roles/web", json!({}), Small),
        (Read, "pki/ca/pem", json!({}), Small),
        (Update, "sys/policies/acl/app", json!({}), Large),
        (Read, "sys/policies/acl/app", json!({}), Small),
        (Update, "sys/capabilities-self", json!({}), Small),
        (
            Update,
            "transit/keys/a",
            json!({ "type": "rsa-4096" }),
            Large,
        ),
        (Update, "transit/keys/a/rotate", json!({}), Large),
        (Update, "transit/keys/a/config", json!({}), Small),
        (Update, "transit/encrypt/a", items(16), Small),
        (Update, "transit/encrypt/a", items(17), Large),
        (Update, "transit/encrypt/a", input(64 * 1024), Small),
        (Update, "transit/encrypt/a", input(64 * 1024 + 1), Large),
        (Update, "secret/data/a", json!({ "data": {} }), Small),
    ] {
        check(operation, path, body, expected);
    }
}
