use crate::answer::Auth;
use crate::call::Operation::{Delete, List, Read, Update};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::kind::EngineKind;
use crate::trial::Trial;
use serde_json::{Value as Json, json};

const ROLE: &str = "auth/approle/role/app";

fn trial(role: Json) -> Trial {
    let mut trial = Trial::new();
    trial.mount("auth/approle/", EngineKind::AppRole);
    trial.call(Update, ROLE, role).unwrap();
    trial
}

fn role_id(trial: &mut Trial, role: &str) -> String {
    let data = trial.data(Read, &format!("{role}/role-id"), Json::Null);
    data["role_id"].as_str().unwrap().to_owned()
}

/// A secret id and its accessor.
fn secret_id(trial: &mut Trial, role: &str, body: Json) -> (String, String) {
    let data = trial.data(Update, &format!("{role}/secret-id"), body);
    let text = |name: &str| data[name].as_str().unwrap().to_owned();
    (text("secret_id"), text("secret_id_accessor"))
}

fn login(trial: &mut Trial, role_id: &str, secret_id: &str) -> Result<Auth, VaultError> {
    let body = json!({ "role_id": role_id, "secret_id": secret_id });
    let answer = trial.call_as(|| Caller::Anonymous, Update, "auth/approle/login", body)?;
    Ok(answer.auth.unwrap())
}

fn refused() -> VaultError {
    VaultError::invalid("invalid role or secret ID")
}

#[test]
fn a_machine_signs_in_with_both_ids() {
    let mut trial =
        trial(json!({"token_policies": "app,ops", "token_ttl": "20m", "token_num_uses": 3}));
    let id = role_id(&mut trial, ROLE);
    let (secret, _) = secret_id(&mut trial, ROLE, json!({"metadata": "{\"host\":\"a\"}"}));
    let auth = login(&mut trial, &id, &secret).unwrap();
    assert_eq!(auth.policies, ["app", "default", "ops"]);
    assert_eq!((auth.lasts.as_secs(), auth.uses), (1_200, 3));
    assert_eq!(auth.metadata["role_name"], "app");
    assert_eq!(auth.metadata["host"], "a");
    assert!(!auth.entity_id.is_empty());
    assert!(
        !trial.dump().contains(&secret),
        "secret ids are kept as hashes"
    );
    assert_eq!(
        login(&mut trial, &id, &secret).unwrap().entity_id,
        auth.entity_id
    );
}

/// Each refusal stands beside the sign-in from which only the flaw differs; all are one text, and none leaves anything behind.
#[test]
fn cve_2026_46405_a_refused_sign_in_is_one_text_and_creates_nothing() {
    let mut trial = trial(json!({}));
    let id = role_id(&mut trial, ROLE);
    let (secret, _) = secret_id(&mut trial, ROLE, json!({}));
    trial
        .call(Update, "auth/approle/role/other", json!({}))
        .unwrap();
    let other = role_id(&mut trial, "auth/approle/role/other");
    let before = trial.dump();
    for (role, shown) in [
        ("unknown", secret.as_str()),
        ("", &secret),
        (&id, "unknown"),
        (&id, ""),
        (&other, &secret),
    ] {
        assert_eq!(
            login(&mut trial, role, shown).err(),
            Some(refused()),
            "{role}"
        );
        assert_eq!(trial.dump(), before);
    }
    assert!(login(&mut trial, &id, &secret).is_ok());
}

/// The same number of entries is asked for in the same number of turns, known role or not.
#[test]
fn unknown_role_ids_cost_what_known_ones_do() {
    let mut trial = trial(json!({}));
    let id = role_id(&mut trial, ROLE);
    let mut turns = |role: &str| {
        let counted = std::cell::Cell::new(0);
        let mounts = trial
            .step(|work, _| crate::mounts::Mounts::read(work))
            .unwrap();
        let mount = mounts.get("auth/approle/").unwrap().clone();
        let body = crate::Body::of(json!({"role_id": role, "secret_id": "x"})).unwrap();
        let refused = trial.step(|work, cx| {
            counted.set(counted.get() + 1);
            let call = crate::Call {
                operation: Update,
                path: crate::RequestPath::parse("auth/approle/login").unwrap(),
                at: "auth/approle/".to_owned(),
                mount: mount.clone(),
                rest: "login".to_owned(),
                query: std::collections::BTreeMap::new(),
                body: body.clone(),
                caller: Caller::Anonymous,
                shown: None,
                peer: None,
                from: None,
                request: countersign_base::RequestId::from_bytes([1; 16]),
                wrap_ttl: None,
            };
            super::run(&call, work, cx)
        });
        assert!(refused.is_err());
        counted.get()
    };
    assert_eq!(turns(&id), turns("nobody"));
}

#[test]
fn cve_2023_24999_an_accessor_means_nothing_at_another_role() {
    let mut trial = trial(json!({}));
    let other = "auth/approle/role/other";
    trial.call(Update, other, json!({})).unwrap();
    let id = role_id(&mut trial, other);
    let (secret, accessor) = secret_id(&mut trial, other, json!({}));
    for what in ["lookup", "destroy"] {
        let body = json!({ "secret_id_accessor": accessor });
        let refused = trial.call(Update, &format!("{ROLE}/secret-id-accessor/{what}"), body);
        assert_eq!(refused.err(), Some(VaultError::NotFound), "{what}");
        // The secret id itself is unknown there too.
        let body = json!({ "secret_id": secret });
        trial
            .call(Update, &format!("{ROLE}/secret-id/{what}"), body)
            .unwrap();
    }
    assert!(
        login(&mut trial, &id, &secret).is_ok(),
        "it was not destroyed"
    );
    for what in ["lookup", "destroy"] {
        let body = json!({ "secret_id_accessor": accessor });
        trial
            .call(Update, &format!("{other}/secret-id-accessor/{what}"), body)
            .unwrap();
    }
    assert_eq!(login(&mut trial, &id, &secret).err(), Some(refused()));
}

#[test]
fn uses_and_time_end_a_secret_id() {
    let mut trial = trial(json!({"secret_id_num_uses": 2, "secret_id_ttl": "10m"}));
    let id = role_id(&mut trial, ROLE);
    let (secret, _) = secret_id(&mut trial, ROLE, json!({}));
    assert!(login(&mut trial, &id, &secret).is_ok());
    assert!(login(&mut trial, &id, &secret).is_ok());
    assert_eq!(login(&mut trial, &id, &secret).err(), Some(refused()));
    assert!(
        trial
            .call(List, &format!("{ROLE}/secret-id"), Json::Null)
            .is_err()
    );
    let (secret, _) = secret_id(&mut trial, ROLE, json!({}));
    trial.pass(599);
    assert!(login(&mut trial, &id, &secret).is_ok());
    trial.pass(1);
    assert_eq!(login(&mut trial, &id, &secret).err(), Some(refused()));
    assert!(
        !trial.dump().contains("/secret-id/"),
        "it is deleted when it ends"
    );
    for above in [
        json!({"num_uses": 3}),
        json!({"num_uses": 0}),
        json!({"ttl": "11m"}),
        json!({"ttl": 0}),
    ] {
        assert!(
            trial
                .call(Update, &format!("{ROLE}/secret-id"), above)
                .is_err()
        );
    }
}

#[test]
fn sign_in_is_bound_to_addresses() {
    for (role, secret) in [
        (json!({"secret_id_bound_cidrs": "10.0.0.0/8"}), json!({})),
        (json!({}), json!({"cidr_list": ["10.0.0.0/8"]})),
        (json!({"token_bound_cidrs": "10.0.0.0/8"}), json!({})),
        (json!({}), json!({"token_bound_cidrs": ["10.0.0.0/8"]})),
        (
            json!({"bind_secret_id": false, "secret_id_bound_cidrs": "10.0.0.0/8"}),
            Json::Null,
        ),
    ] {
        let mut trial = trial(role.clone());
        let id = role_id(&mut trial, ROLE);
        let shown = match secret {
            Json::Null => String::new(),
            body => secret_id(&mut trial, ROLE, body).0,
        };
        for (from, may) in [
            (Some("10.1.2.3"), true),
            (Some("11.1.2.3"), false),
            (None, false),
        ] {
            trial.from = from.map(|from| from.parse().unwrap());
            assert_eq!(
                login(&mut trial, &id, &shown).is_ok(),
                may,
                "{role} {from:?}"
            );
        }
    }
    let mut trial = trial(json!({}));
    assert!(
        trial
            .call(Update, ROLE, json!({"bind_secret_id": false}))
            .is_err()
    );
}

#[test]
fn ids_can_be_chosen_once() {
    let mut trial = trial(json!({}));
    trial
        .call(
            Update,
            &format!("{ROLE}/role-id"),
            json!({"role_id": "mine"}),
        )
        .unwrap();
    let old = trial.call(
        Update,
        "auth/approle/role/other",
        json!({"role_id": "mine"}),
    );
    assert!(old.is_err());
    let chosen = json!({"secret_id": "chosen"});
    trial
        .call(Update, &format!("{ROLE}/custom-secret-id"), chosen.clone())
        .unwrap();
    assert!(
        trial
            .call(Update, &format!("{ROLE}/custom-secret-id"), chosen)
            .is_err()
    );
    assert!(login(&mut trial, "mine", "chosen").is_ok());
    let shown = trial.data(
        Update,
        &format!("{ROLE}/secret-id/lookup"),
        json!({"secret_id": "chosen"}),
    );
    assert_eq!(shown["secret_id_num_uses"], 0);
    trial
        .call(
            Delete,
            &format!("{ROLE}/secret-id/destroy"),
            json!({"secret_id": "chosen"}),
        )
        .unwrap();
    assert_eq!(login(&mut trial, "mine", "chosen").err(), Some(refused()));
}

#[test]
fn a_role_that_is_made_anew_has_none_of_the_old_secret_ids() {
    let mut trial = trial(json!({"role_id": "mine"}));
    let (secret, _) = secret_id(&mut trial, ROLE, json!({}));
    trial.call(Delete, ROLE, Json::Null).unwrap();
    assert!(!trial.dump().contains("/secret-id/") && !trial.dump().contains("/role-id/"));
    assert_eq!(login(&mut trial, "mine", &secret).err(), Some(refused()));
    trial
        .call(Update, ROLE, json!({"role_id": "mine"}))
        .unwrap();
    assert_eq!(login(&mut trial, "mine", &secret).err(), Some(refused()));
    assert_eq!(
        trial.data(List, "auth/approle/role", Json::Null)["keys"],
        json!(["app"])
    );
    // Names have no case: another spelling is no other role, nor a way around a rule for the path.
    for path in ["auth/approle/role/APP", "auth/approle/role/App/secret-id"] {
        for operation in [Read, Update, Delete] {
            let refused = trial.call(operation, path, json!({})).err();
            let refused = refused.unwrap_or_else(|| panic!("{path}"));
            assert!(
                matches!(refused, VaultError::Invalid(_) | VaultError::Unsupported),
                "{path}: {refused}"
            );
        }
    }
    assert!(trial.call(Read, ROLE, Json::Null).is_ok());
}

#[test]
fn cve_2025_5999_no_role_gives_the_root_policy() {
    for policy in ["root", "Root", " ROOT "] {
        let mut trial = Trial::new();
        trial.mount("auth/approle/", EngineKind::AppRole);
        let refused = trial.call(Update, ROLE, json!({"token_policies": [policy]}));
        assert!(refused.is_err(), "{policy}");
        assert!(
            trial
                .call(Update, ROLE, json!({"token_policies": ["rooted"]}))
                .is_ok()
        );
    }
}

#[test]
fn a_secret_id_may_only_narrow_the_addresses_of_its_role() {
    for (of_role, name) in [
        ("secret_id_bound_cidrs", "cidr_list"),
        ("token_bound_cidrs", "token_bound_cidrs"),
    ] {
        let mut trial = trial(json!({ of_role: "10.0.0.0/8,2001:db8::/32,192.0.2.7" }));
        let mut check = |blocks: &str, may: bool| {
            let path = format!("{ROLE}/secret-id");
            let made = trial.call(Update, &path, json!({ name: blocks }));
            assert_eq!(made.is_ok(), may, "{name} {blocks}");
            let status = made.err().map(|error| error.status());
            assert_eq!(status, (!may).then_some(400));
        };
        check("10.0.0.0/8", true);
        check("10.9.0.0/16,2001:db8:1::/48", true);
        check("10.1.2.3", true);
        check("192.0.2.7", true);
        check("0.0.0.0/0", false);
        check("10.0.0.0/7", false);
        check("10.9.0.0/16,11.0.0.0/16", false);
        check("2001:db8::/31", false);
        check("::/0", false);
        check("192.0.2.6/31", false);
    }
}

/// A role that is narrowed after the secret id was made.
#[test]
fn both_the_role_and_the_secret_id_bound_the_token() {
    for (of_role, of_secret, of_token) in [
        ("10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/16"),
        ("10.1.0.0/16", "10.0.0.0/8", "10.1.0.0/16"),
        ("10.1.0.0/16", "10.1.0.0/16", "10.1.0.0/16"),
        ("10.1.0.0/16,11.0.0.0/8", "10.0.0.0/8", "10.1.0.0/16"),
        ("", "10.1.0.0/16", "10.1.0.0/16"),
        ("10.1.0.0/16", "", "10.1.0.0/16"),
    ] {
        let mut trial = trial(json!({}));
        let id = role_id(&mut trial, ROLE);
        let (secret, _) = secret_id(&mut trial, ROLE, json!({ "token_bound_cidrs": of_secret }));
        let narrowed = json!({ "token_bound_cidrs": of_role });
        trial.call(Update, ROLE, narrowed).unwrap();
        for (from, may) in [("10.1.2.3", true), ("10.2.3.4", false), ("11.1.2.3", false)] {
            trial.from = Some(from.parse().unwrap());
            let signed_in = login(&mut trial, &id, &secret);
            assert_eq!(signed_in.is_ok(), may, "{of_role} {of_secret} {from}");
            let Ok(auth) = signed_in else { continue };
            let held = crate::token::tests::used(&mut trial, &auth.client_token).unwrap();
            let bound: Vec<_> = held.bound_cidrs.iter().map(ToString::to_string).collect();
            assert_eq!(bound, [of_token], "{of_role} {of_secret}");
        }
    }
}
