use super::*;
use crate::caller::Caller;
use crate::kind::EngineKind;
use crate::mounts::Mounts;
use crate::token::{Held, TokenId};
use crate::trial::{Trial, root};
use Operation::{Delete, List, Patch, Read, Update};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

fn refused(trial: &mut Trial, operation: Operation, path: &str, body: Json) -> VaultError {
    let answer = trial.call(operation, path, body);
    answer
        .err()
        .unwrap_or_else(|| panic!("{path} must be refused"))
}

fn done(trial: &mut Trial, operation: Operation, path: &str, body: Json) {
    let answer = trial.call(operation, path, body);
    let answer = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(answer.data, None, "{path}");
}

fn holder(policies: &'static [&'static str]) -> impl Fn() -> Caller {
    move || {
        let Caller::Token(held) = root() else {
            panic!("root holds a token")
        };
        Caller::Token(Box::new(Held {
            policies: policies
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<BTreeSet<_>>(),
            ..*held
        }))
    }
}

#[test]
fn mounts_are_listed_with_all_that_clients_ask_for() {
    let mut trial = Trial::new();
    let mounts = trial.data(Read, "sys/mounts", Json::Null);
    let names: Vec<_> = mounts.as_object().unwrap().keys().collect();
    assert_eq!(names, ["cubbyhole/", "secret/", "sys/", "transit/"]);
    let secret = &mounts["secret/"];
    for member in [
        "accessor",
        "config",
        "description",
        "external_entropy_access",
        "local",
        "options",
        "seal_wrap",
        "type",
        "uuid",
    ] {
        assert!(secret.get(member).is_some(), "{member}");
    }
    assert_eq!(secret["type"], "kv");
    assert_eq!(secret["options"], json!({"version": "2"}));
    assert_eq!(
        secret["config"],
        json!({"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": false})
    );
    let auth = trial.data(Read, "sys/auth", Json::Null);
    assert_eq!(auth["token/"]["type"], "token");
    assert_eq!(auth["token/"]["config"]["token_type"], "default-service");
    assert_eq!(auth.as_object().unwrap().len(), 1);
}

#[test]
fn what_is_mounted_works_and_is_gone_once_it_is_taken_away() {
    let mut trial = Trial::new();
    let body = json!({"type": "kv", "options": {"version": 2}, "description": "for apps", "config": {"max_lease_ttl": "1h", "options": null}});
    done(&mut trial, Update, "sys/mounts/apps/kv", body);
    let told = trial.data(Read, "sys/mounts/apps/kv", Json::Null);
    assert_eq!(told["description"], "for apps");
    assert_eq!(told["config"]["max_lease_ttl"], 3_600);
    trial
        .call(Update, "apps/kv/data/x", json!({"data": {"a": "CANARY"}}))
        .unwrap();
    let uuid = told["uuid"].as_str().unwrap().to_owned();
    done(&mut trial, Delete, "sys/mounts/apps/kv", Json::Null);
    assert_eq!(
        refused(&mut trial, Read, "apps/kv/data/x", Json::Null),
        VaultError::NotFound
    );
    assert!(trial.dump().contains("CANARY"));
    // As long as something is left, nothing can stand there.
    let again = json!({"type": "kv-v2"});
    for path in [
        "sys/mounts/apps/kv",
        "sys/mounts/apps",
        "sys/mounts/apps/kv/x",
    ] {
        let error = refused(&mut trial, Update, path, again.clone()).to_string();
        assert!(error.contains("still being taken away"), "{error}");
    }
    trial.pass(1);
    assert!(!trial.dump().contains("CANARY"));
    assert!(trial.stored("core/removed/").is_empty());
    done(&mut trial, Update, "sys/mounts/apps/kv", again);
    assert_eq!(
        refused(&mut trial, Read, "apps/kv/data/x", Json::Null),
        VaultError::NotFound
    );
    let told = trial.data(Read, "sys/mounts/apps/kv/", Json::Null);
    assert_ne!(told["uuid"].as_str().unwrap(), uuid);
    // What is not there is taken away already.
    done(&mut trial, Delete, "sys/mounts/none", Json::Null);
}

#[test]
fn a_large_mount_is_taken_away_in_steps() {
    let mut trial = Trial::new();
    trial
        .step(|work, _| {
            let mounts = Mounts::read(work)?;
            let mount = mounts.get("secret/").unwrap();
            for n in 0..1_200 {
                work.put(&mount.entry(&["kv", "data", &n.to_string()]), &n)?;
            }
            Ok(())
        })
        .unwrap();
    done(&mut trial, Delete, "sys/mounts/secret", Json::Null);
    let name = EntryName::stored(&trial.stored("core/removed/")[0]);
    let mut left = Vec::new();
    while !trial.stored("core/removed/").is_empty() {
        trial
            .step(|work, cx| due(&name, work, cx))
            .map(|_| ())
            .unwrap();
        left.push(trial.stored("mount/").len());
    }
    assert_eq!(left, [700, 200, 0, 0]);
}

#[test]
fn what_the_vault_lives_by_cannot_be_taken_away_or_covered() {
    let mut trial = Trial::new();
    for path in ["sys/mounts/sys", "sys/mounts/cubbyhole", "sys/auth/token"] {
        let error = refused(&mut trial, Delete, path, Json::Null);
        assert_eq!(
            error,
            VaultError::invalid("this mount cannot be taken away"),
            "{path}"
        );
    }
    let body = json!({"type": "transit"});
    for path in [
        "sys/mounts/sys",
        "sys/mounts/sys/x",
        "sys/mounts/auth/x",
        "sys/mounts/cubbyhole/a",
        "sys/mounts/secret",
        "sys/mounts/secret/below",
        "sys/mounts/identity",
        "sys/mounts/a*b",
        "sys/mounts/a+",
        "sys/mounts/a%20b",
        "sys/mounts/%C3%BC",
    ] {
        assert!(
            matches!(
                refused(&mut trial, Update, path, body.clone()),
                VaultError::Invalid(_)
            ),
            "{path}"
        );
    }
    let auth = json!({"type": "approle"});
    for path in ["sys/auth/token", "sys/auth/token/x"] {
        assert!(
            matches!(
                refused(&mut trial, Update, path, auth.clone()),
                VaultError::Invalid(_)
            ),
            "{path}"
        );
    }
    done(&mut trial, Update, "sys/mounts/other", body);
    done(&mut trial, Update, "sys/auth/other", auth);
    // One above another is refused too.
    done(
        &mut trial,
        Update,
        "sys/mounts/a/b",
        json!({"type": "transit"}),
    );
    let error = refused(
        &mut trial,
        Update,
        "sys/mounts/a",
        json!({"type": "transit"}),
    );
    assert_eq!(error, VaultError::invalid("path is already in use at a/b/"));
    // A table takes away only what it lists.
    done(&mut trial, Delete, "sys/mounts/auth/other", Json::Null);
    assert!(
        trial
            .data(Read, "sys/auth", Json::Null)
            .get("other/")
            .is_some()
    );
    done(&mut trial, Delete, "sys/auth/other", Json::Null);
    assert!(
        trial
            .data(Read, "sys/auth", Json::Null)
            .get("other/")
            .is_none()
    );
}

#[test]
fn what_an_engine_is_asked_for_is_held_to_its_word() {
    let mut trial = Trial::new();
    for kind in ["database", "kv-v2", "pki", "transit"] {
        let path = format!("sys/mounts/of-{kind}");
        done(&mut trial, Update, &path, json!({ "type": kind }));
        let told = trial.data(Read, &path, Json::Null);
        assert_eq!(told["type"], kind.trim_end_matches("-v2"));
    }
    for (table, body, why) in [
        ("mounts", json!({}), "missing type"),
        ("mounts", json!({"type": "ssh"}), "unknown `type`"),
        ("mounts", json!({"type": "approle"}), "unknown `type`"),
        ("auth", json!({"type": "userpass"}), "unknown `type`"),
        ("auth", json!({"type": "token"}), "unknown `type`"),
        ("mounts", json!({"type": "kv"}), "only version 2"),
        (
            "mounts",
            json!({"type": "kv", "options": {"version": "1"}}),
            "only version 2",
        ),
        (
            "mounts",
            json!({"type": "kv-v2", "options": {"version": "1"}}),
            "only version 2",
        ),
        (
            "mounts",
            json!({"type": "transit", "local": true}),
            "`local` is not supported",
        ),
        (
            "mounts",
            json!({"type": "transit", "seal_wrap": "true"}),
            "`seal_wrap` is not supported",
        ),
        (
            "auth",
            json!({"type": "jwt", "config": {"token_type": "batch"}}),
            "only tokens",
        ),
        (
            "mounts",
            json!({"type": "transit", "config": {"default_lease_ttl": "2h", "max_lease_ttl": "1h"}}),
            "must not be longer",
        ),
        (
            "mounts",
            json!({"type": "transit", "config": {"default_lease_ttl": "CANARY"}}),
            "must be a duration",
        ),
        (
            "mounts",
            json!({"type": "transit", "description": "x".repeat(513)}),
            "at most 512",
        ),
    ] {
        let error =
            refused(&mut trial, Update, &format!("sys/{table}/x"), body.clone()).to_string();
        assert!(error.contains(why), "{body}: {error}");
        assert!(!error.contains("CANARY"), "{error}");
    }
    let body = json!({"type": "jwt", "local": false, "config": {"token_type": "default-service", "default_lease_ttl": ""}});
    done(&mut trial, Update, "sys/auth/x", body);
    let body =
        json!({"type": "transit", "config": {"default_lease_ttl": "1h", "max_lease_ttl": 7200}});
    done(&mut trial, Update, "sys/mounts/x", body);
}

#[test]
fn mounts_are_tuned() {
    let mut trial = Trial::new();
    let tuned = trial.data(Read, "sys/mounts/secret/tune", Json::Null);
    assert_eq!(tuned["default_lease_ttl"], 2_764_800);
    done(
        &mut trial,
        Update,
        "sys/mounts/secret/tune",
        json!({"max_lease_ttl": "2h", "description": "d", "default_lease_ttl": null}),
    );
    let tuned = trial.data(Read, "sys/mounts/secret/tune", Json::Null);
    assert_eq!(tuned["max_lease_ttl"], 7_200);
    assert_eq!(tuned["description"], "d");
    assert_eq!(tuned["options"], json!({"version": "2"}));
    let down = json!({"options": {"version": "1"}});
    assert!(matches!(
        refused(&mut trial, Update, "sys/mounts/secret/tune", down),
        VaultError::Invalid(_)
    ));
    done(
        &mut trial,
        Update,
        "sys/mounts/secret/tune",
        json!({"max_lease_ttl": "system"}),
    );
    let listed = trial.data(Read, "sys/mounts", Json::Null);
    assert_eq!(listed["secret/"]["config"]["max_lease_ttl"], 0);
    let auth = trial.data(Read, "sys/auth/token/tune", Json::Null);
    assert_eq!(auth["token_type"], "default-service");
    for path in ["sys/mounts/none/tune", "sys/mounts/auth/token/tune"] {
        let error = refused(&mut trial, Read, path, Json::Null);
        assert_eq!(error, VaultError::invalid("no mount at this path"));
    }
}

#[test]
fn a_client_learns_what_stands_where_it_may_do_something() {
    let mut trial = Trial::new();
    let policy = json!({"policy": "path \"secret/data/app\" { capabilities = [\"read\"] } path \"transit/*\" { capabilities = [\"deny\"] }"});
    done(&mut trial, Update, "sys/policy/app", policy);
    let mut ask = |policies, path: &str| {
        let answer = trial.call_as(holder(policies), Read, path, Json::Null);
        answer.map(|answer| answer.data.unwrap())
    };
    let told = ask(&["app"], "sys/internal/ui/mounts/secret/data/app/x").unwrap();
    assert_eq!(
        (&told["path"], &told["options"]["version"]),
        (&json!("secret/"), &json!("2"))
    );
    assert_eq!(
        ask(&["app"], "sys/internal/ui/mounts/secret").unwrap()["type"],
        "kv"
    );
    assert_eq!(
        ask(&["root"], "sys/internal/ui/mounts/transit/x").unwrap()["type"],
        "transit"
    );
    for path in ["transit", "transit/keys/x", "nothing/here"] {
        let path = format!("sys/internal/ui/mounts/{path}");
        assert_eq!(ask(&["app"], &path), Err(VaultError::Denied), "{path}");
    }
    let all = ask(&["app"], "sys/internal/ui/mounts").unwrap();
    let seen: Vec<_> = all["secret"].as_object().unwrap().keys().collect();
    assert_eq!(seen, ["secret/"]);
    let all = ask(&["root"], "sys/internal/ui/mounts").unwrap();
    assert!(all["auth"]["token/"].is_object());
}

#[test]
fn policies_are_written_read_listed_and_deleted() {
    let mut trial = Trial::new();
    let text = "path \"secret/data/app/*\" { capabilities = [\"read\"] }";
    done(
        &mut trial,
        Update,
        "sys/policies/acl/app",
        json!({"policy": text}),
    );
    let told = trial.data(Read, "sys/policies/acl/app", Json::Null);
    assert_eq!(
        (&told["name"], &told["policy"]),
        (&json!("app"), &json!(text))
    );
    let cedar = told["cedar"].as_str().unwrap();
    assert!(
        cedar.contains("resource in VaultRule::\"secret/data/app/*\""),
        "{cedar}"
    );
    assert!(
        cedar.contains("principal in VaultPolicy::\"default/app\""),
        "{cedar}"
    );
    assert_eq!(
        trial.data(Read, "sys/policy/app", Json::Null)["rules"],
        text
    );
    for (operation, path) in [
        (Read, "sys/policy"),
        (List, "sys/policy"),
        (List, "sys/policies/acl"),
    ] {
        let told = trial.data(operation, path, Json::Null);
        assert_eq!(told["keys"], json!(["app", "default", "root"]));
        assert_eq!(told["policies"], told["keys"]);
    }
    // In base64, and as JSON.
    let encoded = countersign_crypto::base64::encode(text.as_bytes());
    done(
        &mut trial,
        Update,
        "sys/policy/other",
        json!({"policy": encoded}),
    );
    assert_eq!(
        trial.data(Read, "sys/policy/other", Json::Null)["rules"],
        text
    );
    let as_json = r#"{"path": {"a": {"capabilities": ["deny"]}}}"#;
    done(
        &mut trial,
        Update,
        "sys/policy/other",
        json!({"rules": as_json}),
    );
    let cedar = trial.data(Read, "sys/policy/other", Json::Null)["cedar"].clone();
    assert!(cedar.as_str().unwrap().contains("forbid"), "{cedar}");
    done(&mut trial, Delete, "sys/policy/other", Json::Null);
    done(&mut trial, Delete, "sys/policy/other", Json::Null);
    assert_eq!(
        refused(&mut trial, Read, "sys/policy/other", Json::Null),
        VaultError::NotFound
    );
    assert!(
        trial.data(Read, "sys/policy/default", Json::Null)["rules"]
            .as_str()
            .unwrap()
            .contains("lookup-self")
    );
    for body in [json!({}), json!({"policy": ""}), json!({"policy": null})] {
        let error = refused(&mut trial, Update, "sys/policy/x", body);
        assert_eq!(
            error,
            VaultError::invalid("'policy' parameter not supplied or empty")
        );
    }
    let broken = json!({"policy": "path \"CANARY\" {"});
    let error = refused(&mut trial, Update, "sys/policy/x", broken).to_string();
    assert!(
        error.starts_with("failed to parse policy: line 1") && !error.contains("CANARY"),
        "{error}"
    );
}

#[test]
fn cve_2025_5999_root_is_neither_written_nor_deleted_under_any_spelling() {
    let mut trial = Trial::new();
    let body = json!({"policy": "path \"*\" { capabilities = [\"sudo\"] }"});
    for name in [
        "root",
        "ROOT",
        "Root",
        "root%20",
        "%20root",
        "root%E2%80%8B",
        "r%EF%BD%8Fot",
    ] {
        for path in ["sys/policy", "sys/policies/acl"] {
            let path = format!("{path}/{name}");
            assert!(
                matches!(
                    refused(&mut trial, Update, &path, body.clone()),
                    VaultError::Invalid(_)
                ),
                "{path}"
            );
            assert!(
                matches!(
                    refused(&mut trial, Delete, &path, Json::Null),
                    VaultError::Invalid(_)
                ),
                "{path}"
            );
        }
    }
    assert!(trial.stored("core/polic").is_empty());
    assert_eq!(trial.data(Read, "sys/policy/root", Json::Null)["rules"], "");
    done(&mut trial, Update, "sys/policy/root2", body);
}

#[test]
fn a_token_learns_what_it_may() {
    let mut trial = Trial::new();
    let policy = json!({"policy": "path \"secret/data/*\" { capabilities = [\"update\", \"read\"] } path \"secret/data/x\" { capabilities = [\"deny\"] }"});
    done(&mut trial, Update, "sys/policy/app", policy);
    let mut ask = |policies, body: Json| {
        let answer = trial.call_as(holder(policies), Update, "sys/capabilities-self", body);
        answer.map(|answer| answer.data.unwrap())
    };
    assert_eq!(
        ask(
            &["app"],
            json!({"paths": ["secret/data/a", "secret/data/x", "other"]})
        ),
        Ok(
            json!({"secret/data/a": ["read", "update"], "secret/data/x": ["deny"], "other": ["deny"]})
        )
    );
    assert_eq!(
        ask(&["app"], json!({"path": "secret/data/a"})),
        Ok(json!({"secret/data/a": ["read", "update"], "capabilities": ["read", "update"]}))
    );
    assert_eq!(
        ask(&["root"], json!({"paths": "a"})).unwrap()["capabilities"],
        json!(["root"])
    );
    assert_eq!(
        ask(&["missing"], json!({"paths": "a"})).unwrap()["a"],
        json!(["deny"])
    );
    for body in [
        json!({}),
        json!({"paths": []}),
        json!({"paths": vec!["a"; 1_001]}),
    ] {
        assert!(matches!(ask(&["app"], body), Err(VaultError::Invalid(_))));
    }
}

#[test]
fn cve_2025_6000_no_audit_device_can_be_set_over_the_api() {
    let mut trial = Trial::new();
    let file = json!({"type": "file", "options": {"file_path": "/opt/plugins/x", "mode": "0755", "prefix": "#!/bin/sh"}});
    for (operation, path) in [
        (Update, "sys/audit/file"),
        (Update, "sys/audit/journal"),
        (Delete, "sys/audit/journal"),
    ] {
        let error = refused(&mut trial, operation, path, file.clone()).to_string();
        assert!(error.contains("cannot be enabled or disabled"), "{error}");
    }
    let devices = trial.data(Read, "sys/audit", Json::Null);
    assert_eq!(
        devices.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["journal/"]
    );
    assert_eq!(devices["journal/"]["type"], "journal");
}

#[test]
fn hashes_of_the_audit_log_are_keyed() {
    let mut trial = Trial::new();
    let hash = |trial: &mut Trial, input: &str| {
        trial.data(Update, "sys/audit-hash/journal", json!({"input": input}))["hash"].clone()
    };
    let one = hash(&mut trial, "a");
    let text = one.as_str().unwrap();
    assert_eq!(text.len(), "hmac-sha256:".len() + 64);
    assert_eq!(one, hash(&mut trial, "a"));
    assert_ne!(one, hash(&mut trial, "b"));
    let other = MacKey::new(countersign_base::Secret::new([8; 32]));
    assert_ne!(text, audit_hash(&other, b"a"));
    assert_eq!(
        text,
        audit_hash(&MacKey::new(countersign_base::Secret::new([7; 32])), b"a")
    );
    assert!(matches!(
        refused(
            &mut trial,
            Update,
            "sys/audit-hash/file",
            json!({"input": "a"})
        ),
        VaultError::Invalid(_)
    ));
    assert_eq!(
        refused(&mut trial, Update, "sys/audit-hash/journal", json!({})),
        VaultError::invalid("missing input")
    );
}

#[test]
fn every_node_says_that_it_serves_and_the_rest_is_the_shells() {
    let mut trial = Trial::new();
    let answer = trial.call(Read, "sys/leader", Json::Null).unwrap();
    assert_eq!(answer.form, crate::answer::Form::Bare(200));
    assert_eq!(answer.data.unwrap()["is_self"], true);
    assert_eq!(
        trial.data(Read, "sys/ha-status", Json::Null),
        json!({"nodes": []})
    );
    for (operation, path) in [
        (Read, "sys/health"),
        (Read, "sys/seal-status"),
        (Update, "sys/unseal"),
        (Update, "sys/init"),
        (Patch, "sys/mounts/secret"),
        (Read, "sys/nothing"),
        (Update, "sys/mounts"),
        (Update, "sys/policies/egp/x"),
        (Update, "sys/revoke/x"),
        (Update, "sys/renew/x"),
    ] {
        assert_eq!(
            refused(&mut trial, operation, path, json!({})),
            VaultError::Unsupported,
            "{path}"
        );
    }
}

#[test]
fn the_seal_is_closed_from_outside_or_says_that_it_opens_by_itself() {
    let mut trial = Trial::new();
    assert!(
        trial
            .call(Update, "sys/seal", json!({}))
            .unwrap()
            .is_empty()
    );
    assert!(matches!(trial.happened[..], [crate::answer::Effect::Seal]));
    trial.effects = vec![crate::work::EffectResult::Failed(String::new())];
    let error = refused(&mut trial, Update, "sys/seal", json!({}));
    assert_eq!(error.status(), 400);
}

#[test]
fn a_tenant_has_a_bounded_number_of_mounts() {
    let mut trial = Trial::new();
    trial
        .step(|work, _| {
            let mut mounts = std::sync::Arc::unwrap_or_clone(Mounts::read(work)?);
            let mut mount = mounts.get("transit/").unwrap().clone();
            mount.engine = EngineKind::Transit;
            for n in 0..494 {
                mounts.add(format!("many/{n}/"), mount.clone())?;
            }
            work.put(&Mounts::entry(), &mounts)
        })
        .unwrap();
    done(
        &mut trial,
        Update,
        "sys/mounts/last",
        json!({"type": "transit"}),
    );
    let error = refused(
        &mut trial,
        Update,
        "sys/mounts/more",
        json!({"type": "transit"}),
    );
    assert_eq!(
        error,
        VaultError::invalid("a tenant has at most 500 mounts")
    );
}

fn issued(trial: &mut Trial, policies: &[&str]) -> crate::answer::Auth {
    issued_at(trial, policies, "auth/token/create")
}

fn issued_at(trial: &mut Trial, policies: &[&str], path: &str) -> crate::answer::Auth {
    let new = crate::token::NewToken {
        policies: policies.iter().map(|name| (*name).to_owned()).collect(),
        no_default_policy: true,
        path: path.to_owned(),
        ..Default::default()
    };
    trial
        .step(|work, cx| crate::token::issue(new.clone(), work, cx))
        .unwrap()
}

#[test]
fn what_another_token_may_is_told_by_its_text_or_accessor() {
    let mut trial = Trial::new();
    let policy = json!({"policy": "path \"a\" { capabilities = [\"read\"] }"});
    done(&mut trial, Update, "sys/policy/app", policy);
    let auth = issued(&mut trial, &["app"]);
    for (path, member, value) in [
        (
            "sys/capabilities",
            "token",
            auth.client_token.expose().clone(),
        ),
        (
            "sys/capabilities-accessor",
            "accessor",
            auth.accessor.clone(),
        ),
    ] {
        let told = trial.data(Update, path, json!({(member): value, "paths": ["a", "b"]}));
        assert_eq!(told, json!({"a": ["read"], "b": ["deny"]}), "{path}");
        let error = refused(
            &mut trial,
            Update,
            path,
            json!({(member): "hvs.unknown", "paths": ["a"]}),
        );
        assert_eq!(error, VaultError::invalid("invalid token"), "{path}");
        assert!(matches!(
            refused(&mut trial, Update, path, json!({"paths": ["a"]})),
            VaultError::Invalid(_)
        ));
    }
    // A token that has ended is as one that nobody knows.
    done(
        &mut trial,
        Update,
        "auth/token/revoke-accessor",
        json!({"accessor": auth.accessor}),
    );
    let body = json!({"accessor": auth.accessor, "paths": ["a"]});
    let error = refused(&mut trial, Update, "sys/capabilities-accessor", body);
    assert_eq!(error, VaultError::invalid("invalid token"));
}

#[test]
fn a_mount_with_leases_is_taken_away_after_they_are() {
    let mut trial = Trial::new();
    done(
        &mut trial,
        Update,
        "sys/mounts/db",
        json!({"type": "database"}),
    );
    let auth = issued(&mut trial, &["app"]);
    let mounts = trial.step(|work, _| Mounts::read(work)).unwrap();
    let uuid = mounts.get("db/").unwrap().uuid.clone();
    // A lease that nobody can take back: its connection is not there, so what is done about it is the lease's own matter.
    let given = trial.step(|work, cx| {
        let id = TokenId::of(&auth.client_token, cx).unwrap();
        let mount = EntryName::of(&["mount", &uuid, "kept"]);
        work.put(&mount, &1)?;
        crate::lease::give(
            crate::lease::NewLease {
                path: "db/creds/app".to_owned(),
                token: id,
                ttl: countersign_base::Duration::from_secs(3_600),
                max_ttl: countersign_base::Duration::from_secs(3_600),
                renewable: false,
                held: crate::lease::HeldThing::DatabaseRole {
                    mount: uuid.clone(),
                    connection: "c".to_owned(),
                    role: "app".to_owned(),
                    username: "u".to_owned(),
                },
            },
            work,
            cx,
        )
    });
    let lease = given.unwrap();
    done(&mut trial, Delete, "sys/mounts/db", Json::Null);
    let name = EntryName::stored(&trial.stored("core/removed/")[0]);
    trial
        .step(|work, cx| due(&name, work, cx))
        .map(|_| ())
        .unwrap();
    assert_eq!(
        trial.stored("mount/").len(),
        1,
        "what taking the lease back needs stays"
    );
    let entry = EntryName::stored(&format!("lease/{}", lease.id));
    trial
        .step(|work, _| {
            work.delete(&entry);
            Ok(())
        })
        .unwrap();
    trial
        .step(|work, cx| due(&name, work, cx))
        .map(|_| ())
        .unwrap();
    assert!(trial.stored("mount/").is_empty());
}

#[test]
fn the_tokens_of_an_auth_method_end_with_it() {
    let mut trial = Trial::new();
    for path in ["sys/auth/app", "sys/auth/apps"] {
        done(&mut trial, Update, path, json!({"type": "approle"}));
    }
    let mut others = Vec::new();
    let mut ending = Vec::new();
    for _ in 0..130 {
        ending.push(issued_at(&mut trial, &["app"], "auth/app/login"));
        others.push(issued_at(&mut trial, &["app"], "auth/apps/login"));
    }
    let stands = |trial: &mut Trial, auth: &crate::answer::Auth| {
        let held = trial.step(|work, cx| crate::token::take_use(&auth.client_token, work, cx));
        held.unwrap().is_some()
    };
    done(&mut trial, Delete, "sys/auth/app", Json::Null);
    trial.pass(1);
    assert!(ending.iter().all(|auth| !stands(&mut trial, auth)));
    assert!(others.iter().all(|auth| stands(&mut trial, auth)));
    assert!(trial.stored("core/removed/").is_empty());
}

#[test]
fn cve_2024_9180_there_is_no_entity_that_could_be_written() {
    let mut trial = Trial::new();
    let body = json!({"name": "x", "policies": ["root"]});
    for path in [
        "identity/entity",
        "identity/entity/id/x",
        "identity/group",
        "sys/identity/entity",
    ] {
        let answer = trial.call(Update, path, body.clone());
        let known = [VaultError::NotFound, VaultError::Unsupported];
        assert!(answer.is_err_and(|error| known.contains(&error)), "{path}");
    }
    // Nor can an engine be put where clients expect them.
    let engine = json!({"type": "transit"});
    assert!(matches!(
        refused(&mut trial, Update, "sys/mounts/identity", engine.clone()),
        VaultError::Invalid(_)
    ));
    done(&mut trial, Update, "sys/mounts/identities", engine);
}

/// A vault whose calls go the whole way: identified, decided by Cedar over what its policies became, and carried out.
struct Doors {
    trial: Trial,
    set: countersign_policy::PolicySet,
}

impl Doors {
    fn new(policies: &[(&str, &str)]) -> Self {
        use countersign_policy::defaults;
        let mut trial = Trial::new();
        for (name, text) in policies {
            let path = format!("sys/policies/acl/{name}");
            done(&mut trial, Update, &path, json!({ "policy": text }));
        }
        let files = trial
            .step(|work, cx| crate::acl::translated(cx.tenant, work))
            .unwrap();
        let shipped = defaults::POLICIES.map(|(file, text)| (file.to_owned(), text.to_owned()));
        let all: Vec<_> = shipped.into_iter().chain(files).collect();
        let set = countersign_policy::PolicySet::load(defaults::SCHEMA, &all).unwrap();
        Self { trial, set }
    }

    fn call(
        &mut self,
        auth: &crate::answer::Auth,
        operation: Operation,
        path: &str,
        body: Json,
    ) -> Result<Json, VaultError> {
        let body = crate::Body::of(body)?;
        let path = crate::RequestPath::parse(path)?;
        let asked = self.trial.step(|work, cx| {
            let request = crate::caller::Request {
                operation,
                path: path.clone(),
                query: Default::default(),
                body: body.clone(),
                peer: None,
                from: None,
                request: countersign_base::RequestId::from_bytes([1; 16]),
                wrap_ttl: None,
            };
            let shown = auth.client_token.expose().clone();
            let shown =
                crate::caller::Presented::Token(countersign_base::Secret::new(shown).into());
            crate::caller::identify(&request, &shown, work, cx)
        })?;
        let permitted =
            countersign_policy::decide(&self.set, asked).map_err(|_| VaultError::Denied)?;
        let outcome = self
            .trial
            .step(|work, cx| crate::engine::perform(&permitted, work, cx))?;
        let answer = self.trial.end(outcome)?;
        Ok(answer.data.unwrap_or(Json::Null))
    }
}

#[test]
fn what_is_not_there_takes_create_and_what_is_takes_update() {
    let rule =
        |granted: &str| format!("path \"secret/data/*\" {{ capabilities = [\"{granted}\"] }}");
    let mut doors = Doors::new(&[("creates", &rule("create")), ("updates", &rule("update"))]);
    let creates = issued(&mut doors.trial, &["creates"]);
    let updates = issued(&mut doors.trial, &["updates"]);
    let mut write = |auth| {
        doors
            .call(auth, Update, "secret/data/app", json!({"data": {"a": 1}}))
            .map(|_| ())
    };
    assert_eq!(write(&updates), Err(VaultError::Denied));
    assert_eq!(write(&creates), Ok(()));
    assert_eq!(write(&creates), Err(VaultError::Denied));
    assert_eq!(write(&updates), Ok(()));
    assert!(
        doors
            .call(&creates, Read, "secret/data/app", Json::Null)
            .is_err()
    );
}

#[test]
fn ghsa_xp3c_3jw3_4vcr_a_denied_folder_is_not_listed_at_any_door() {
    let list = "path \"secret/metadata/app\" { capabilities = [\"list\"] }";
    let deny = "path \"secret/metadata/app/*\" { capabilities = [\"deny\"] }";
    let mut doors = Doors::new(&[("list", list), ("deny", deny)]);
    doors
        .trial
        .call(Update, "secret/data/app/x", json!({"data": {}}))
        .unwrap();
    let only_list = issued(&mut doors.trial, &["list"]);
    let both = issued(&mut doors.trial, &["list", "deny"]);
    for path in ["secret/metadata/app", "secret/metadata/app/"] {
        assert_eq!(
            doors.call(&only_list, List, path, Json::Null),
            Ok(json!({"keys": ["x"]}))
        );
        assert_eq!(
            doors.call(&both, List, path, Json::Null),
            Err(VaultError::Denied),
            "{path}"
        );
    }
}

#[test]
fn what_takes_sudo_takes_it_beside_the_operation() {
    let read = "path \"sys/auth\" { capabilities = [\"read\"] }";
    let sudo = "path \"sys/auth\" { capabilities = [\"sudo\"] }";
    let mut doors = Doors::new(&[("read", read), ("sudo", sudo)]);
    for (policies, may) in [
        (&["read"][..], false),
        (&["sudo"], false),
        (&["read", "sudo"], true),
        (&["missing"], false),
    ] {
        let auth = issued(&mut doors.trial, policies);
        let answer = doors.call(&auth, Read, "sys/auth", Json::Null);
        assert_eq!(answer.is_ok(), may, "{policies:?}");
    }
}

#[test]
fn a_policy_that_is_deleted_gives_nothing_from_then_on() {
    let mut doors = Doors::new(&[(
        "app",
        "path \"secret/*\" { capabilities = [\"create\", \"read\"] }",
    )]);
    let auth = issued(&mut doors.trial, &["app"]);
    let body = json!({"data": {"a": 1}});
    doors.call(&auth, Update, "secret/data/app", body).unwrap();
    doors
        .call(&auth, Read, "secret/data/app", Json::Null)
        .unwrap();
    done(&mut doors.trial, Delete, "sys/policy/app", Json::Null);
    // Already before the set is made anew.
    let refused = doors.call(&auth, Read, "secret/data/app", Json::Null);
    assert_eq!(refused, Err(VaultError::Denied));
}

#[test]
fn a_slash_at_the_end_opens_nothing_that_is_shut_without_it() {
    let grant = "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"patch\", \"list\"] }";
    let deny = "path \"sys/policy/app\" { capabilities = [\"deny\"] }";
    let mut doors = Doors::new(&[("grant", grant), ("app", deny)]);
    let denied = issued(&mut doors.trial, &["grant", "app"]);
    let granted = issued(&mut doors.trial, &["grant"]);
    let text = json!({"policy": grant});
    doors
        .call(&granted, Read, "sys/policy/app", Json::Null)
        .unwrap();
    for operation in [Read, Update, Delete, Patch] {
        assert_eq!(
            doors.call(&denied, operation, "sys/policy/app", text.clone()),
            Err(VaultError::Denied)
        );
        let refused = doors.call(&denied, operation, "sys/policy/app/", text.clone());
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused, VaultError::NotFound | VaultError::Invalid(_)),
            "{operation:?}"
        );
    }
    // What takes `sudo` takes it with the slash too: `grant` has none.
    for (operation, path) in [
        (List, "auth/token/accessors"),
        (List, "auth/token/accessors/"),
        (List, "sys/leases/lookup"),
        (List, "sys/leases/lookup/"),
        (List, "sys/leases/lookup/a"),
        (Read, "sys/auth"),
        (Update, "sys/auth/x"),
    ] {
        let refused = doors.call(&granted, operation, path, json!({"type": "approle"}));
        assert_eq!(refused, Err(VaultError::Denied), "{operation:?} {path}");
    }
    // A lease is looked up without it.
    let unknown = doors.call(
        &granted,
        Update,
        "sys/leases/lookup",
        json!({"lease_id": "a"}),
    );
    assert_eq!(unknown, Err(VaultError::invalid("invalid lease")));
}

#[test]
fn cve_2025_64761_another_spelling_of_a_name_goes_around_no_rule() {
    let grant = "path \"sys/policy/*\" { capabilities = [\"update\", \"read\", \"delete\"] }";
    let deny = "path \"sys/policy/admin\" { capabilities = [\"deny\"] }";
    let mut doors = Doors::new(&[("grant", grant), ("admin", deny)]);
    let auth = issued(&mut doors.trial, &["grant", "admin"]);
    let body = json!({"policy": grant});
    for name in [
        "admin",
        "ADMIN",
        "Admin",
        "admin%20",
        "%61dmin",
        "admi%C4%B1n",
    ] {
        for operation in [Update, Read, Delete] {
            let answer = doors.call(
                &auth,
                operation,
                &format!("sys/policy/{name}"),
                body.clone(),
            );
            assert!(answer.is_err(), "{operation:?} {name}");
        }
    }
    assert_eq!(
        doors.trial.data(Read, "sys/policy/admin", Json::Null)["rules"],
        deny
    );
    doors.call(&auth, Update, "sys/policy/other", body).unwrap();
}

#[test]
fn what_is_named_login_is_no_sign_in() {
    use crate::call::Guarded;
    use crate::engine::guarded;
    let mut doors = Doors::new(&[]);
    for kind in ["approle", "jwt", "cert", "kubernetes"] {
        done(
            &mut doors.trial,
            Update,
            &format!("sys/auth/{kind}"),
            json!({"type": kind}),
        );
    }
    done(
        &mut doors.trial,
        Update,
        "sys/mounts/auths",
        json!({"type": "kv-v2"}),
    );
    let mounts = doors.trial.step(|work, _| Mounts::read(work)).unwrap();
    let mut public = |path: &str| {
        let path = crate::RequestPath::parse(path).unwrap();
        let mounted = mounts
            .route(&path)
            .ok()
            .map(|(_, mount, rest)| (mount.engine, rest));
        let request = crate::caller::Request {
            operation: Update,
            path: path.clone(),
            query: Default::default(),
            body: Default::default(),
            peer: None,
            from: None,
            request: countersign_base::RequestId::from_bytes([1; 16]),
            wrap_ttl: None,
        };
        let nobody = crate::caller::Presented::Nothing;
        let asked = doors
            .trial
            .step(|work, cx| crate::caller::identify(&request, &nobody, work, cx));
        let is_public = guarded(&path, Update, mounted) == Guarded::Public;
        assert_eq!(asked.is_ok(), is_public, "{path}");
        is_public
    };
    for path in [
        "auth/approle/role/login",
        "auth/jwt/role/login",
        "auth/cert/certs/login",
        "auth/kubernetes/role/login",
        "auth/approle/role/login/secret-id",
        "auth/token/login",
        "auth/approle/login/login",
        "auth/nothing/login",
        "auths/login",
        "sys/login",
        "secret/data/login",
    ] {
        assert!(!public(path), "{path}");
    }
    for path in [
        "auth/approle/login",
        "auth/jwt/login",
        "auth/cert/login",
        "auth/kubernetes/login",
    ] {
        assert!(public(path), "{path}");
    }
}

#[test]
fn the_data_key_is_replaced_and_shown_from_outside() {
    let mut trial = Trial::new();
    for path in ["sys/rotate", "sys/rotate/keyring"] {
        assert!(trial.call(Update, path, json!({})).unwrap().is_empty());
    }
    trial.effects = vec![crate::work::EffectResult::DataKey(
        crate::work::DataKeyStatus {
            term: 3,
            created: countersign_base::UnixTime(0),
            encryptions: 65_536,
        },
    )];
    let shown = trial.data(Read, "sys/key-status", Json::Null);
    let expected = json!({"term": 3, "install_time": "1970-01-01T00:00:00Z", "encryptions": 65536});
    assert_eq!(shown, expected);
    assert!(matches!(
        trial.happened[..],
        [
            crate::answer::Effect::RotateDataKey,
            crate::answer::Effect::RotateDataKey,
            crate::answer::Effect::DataKey
        ]
    ));
    trial.effects = vec![crate::work::EffectResult::Failed(String::new())];
    let error = refused(&mut trial, Update, "sys/rotate", json!({}));
    assert_eq!(error.status(), 502);
}
