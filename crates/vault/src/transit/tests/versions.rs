//! Versions: rotation by hand, by time and by count; minima; trimming; what an encryption makes; deletion.

use super::*;

fn ciphertext(trial: &mut Trial, body: Json) -> String {
    let sealed = data(trial, "encrypt/k", body);
    sealed["ciphertext"].as_str().unwrap().to_owned()
}

#[test]
fn versions_open_as_long_as_they_may() {
    let mut trial = Trial::new();
    data(&mut trial, "keys/k", json!({}));
    let first = ciphertext(&mut trial, json!({ "plaintext": "" }));
    data(&mut trial, "keys/k/rotate", json!({}));
    data(&mut trial, "keys/k/rotate", Json::Null);
    let third = ciphertext(&mut trial, json!({ "plaintext": "" }));
    assert!(first.starts_with("vault:v1:") && third.starts_with("vault:v3:"));
    let second = ciphertext(&mut trial, json!({ "plaintext": "", "key_version": 2 }));
    assert!(second.starts_with("vault:v2:"));
    for one in [&first, &second, &third] {
        data(&mut trial, "decrypt/k", json!({ "ciphertext": one }));
    }
    let moved = first.replace("vault:v1:", "vault:v2:");
    refused(
        &mut trial,
        "decrypt/k",
        json!({ "ciphertext": moved }),
        "authentication failed",
    );
    let shown = data(
        &mut trial,
        "keys/k/config",
        json!({ "min_decryption_version": 2 }),
    );
    assert_eq!(
        shown["keys"]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["2", "3"]
    );
    refused(
        &mut trial,
        "decrypt/k",
        json!({ "ciphertext": first }),
        "ciphertext or signature version is disallowed by policy (too old)",
    );
    data(&mut trial, "decrypt/k", json!({ "ciphertext": second }));
    let tag = data(
        &mut trial,
        "hmac/k",
        json!({ "input": "", "key_version": 1 }),
    );
    refused(
        &mut trial,
        "verify/k",
        json!({ "input": "", "hmac": tag["hmac"] }),
        "cannot verify HMAC: version is too old",
    );
    data(
        &mut trial,
        "keys/k/config",
        json!({ "min_encryption_version": 3 }),
    );
    refused(
        &mut trial,
        "encrypt/k",
        json!({ "plaintext": "", "key_version": 2 }),
        "less than the minimum encryption key version",
    );
    refused(
        &mut trial,
        "hmac/k",
        json!({ "input": "", "key_version": 2 }),
        "cannot generate HMAC: version is too old",
    );
    refused(
        &mut trial,
        "encrypt/k",
        json!({ "plaintext": "", "key_version": -1 }),
        "is negative",
    );
    refused(
        &mut trial,
        "encrypt/k",
        json!({ "plaintext": "", "key_version": 4 }),
        "higher than the latest key version",
    );
    // Minima are taken back as long as nothing was trimmed.
    data(
        &mut trial,
        "keys/k/config",
        json!({ "min_decryption_version": 1 }),
    );
    data(&mut trial, "decrypt/k", json!({ "ciphertext": first }));
    let warned = write(
        &mut trial,
        "keys/k/config",
        json!({ "min_decryption_version": "0" }),
    )
    .ok()
    .unwrap();
    assert_eq!(warned.warnings.len(), 1);
}

#[test]
fn minima_that_contradict_are_refused_and_change_nothing() {
    let mut trial = Trial::new();
    data(&mut trial, "keys/k", json!({}));
    data(&mut trial, "keys/k/rotate", json!({}));
    for (body, text) in [
        (
            json!({ "min_decryption_version": 3 }),
            "cannot set min decryption version of 3, latest key version is 2",
        ),
        (
            json!({ "min_encryption_version": 3 }),
            "cannot set min encryption version of 3, latest key version is 2",
        ),
        (
            json!({ "min_decryption_version": -1 }),
            "min decryption version cannot be negative",
        ),
        (
            json!({ "min_encryption_version": -1 }),
            "min encryption version cannot be negative",
        ),
        (
            json!({ "min_decryption_version": 2, "min_encryption_version": 1 }),
            "must be greater than or equal to min decryption version of 2",
        ),
        (
            json!({ "min_decryption_version": 2, "auto_rotate_period": 60 }),
            "auto rotate period",
        ),
    ] {
        refused(&mut trial, "keys/k/config", body, text);
        let shown = get(&mut trial, "keys/k").ok().unwrap().data.unwrap();
        assert_eq!(
            (
                &shown["min_decryption_version"],
                &shown["min_encryption_version"]
            ),
            (&json!(1), &json!(0))
        );
    }
    refused(
        &mut trial,
        "keys/none/config",
        json!({}),
        "no existing key named none could be found",
    );
    // What was once allowed is not taken back.
    let shown = data(
        &mut trial,
        "keys/k/config",
        json!({ "exportable": true, "allow_plaintext_backup": true }),
    );
    assert_eq!(
        (&shown["exportable"], &shown["allow_plaintext_backup"]),
        (&json!(true), &json!(true))
    );
    let shown = data(
        &mut trial,
        "keys/k/config",
        json!({ "exportable": false, "allow_plaintext_backup": false }),
    );
    assert_eq!(
        (&shown["exportable"], &shown["allow_plaintext_backup"]),
        (&json!(true), &json!(true))
    );
}

#[test]
fn trimmed_versions_are_gone() {
    let mut trial = Trial::new();
    data(&mut trial, "keys/k", json!({}));
    let first = ciphertext(&mut trial, json!({ "plaintext": "" }));
    for _ in 0..3 {
        data(&mut trial, "keys/k/rotate", json!({}));
    }
    let trim = |number: i64| json!({ "min_available_version": number });
    refused(
        &mut trial,
        "keys/k/trim",
        json!({}),
        "missing min_available_version",
    );
    refused(
        &mut trial,
        "keys/k/trim",
        trim(2),
        "minimum encryption version is not set",
    );
    data(
        &mut trial,
        "keys/k/config",
        json!({ "min_encryption_version": 3, "min_decryption_version": 2 }),
    );
    for (number, text) in [
        (-1, "cannot be decremented"),
        (0, "should be positive"),
        (4, "greater than minmum encryption version"),
        (3, "greater than minimum decryption version"),
    ] {
        refused(&mut trial, "keys/k/trim", trim(number), text);
    }
    refused(&mut trial, "keys/none/trim", trim(1), "invalid key name");
    let shown = data(&mut trial, "keys/k/trim", trim(2));
    assert_eq!(shown["min_available_version"], 2);
    refused(&mut trial, "keys/k/trim", trim(1), "cannot be decremented");
    refused(
        &mut trial,
        "keys/k/config",
        json!({ "min_decryption_version": 1 }),
        "less then min available version",
    );
    refused(
        &mut trial,
        "keys/k/config",
        json!({ "min_encryption_version": 0 }),
        "less than min available version",
    );
    refused(
        &mut trial,
        "decrypt/k",
        json!({ "ciphertext": first }),
        "too old",
    );
    assert!(
        !trial.dump().contains("\"1\":{\"created\""),
        "the material is gone"
    );
}

#[test]
fn an_encryption_makes_a_key_if_the_call_may_create() {
    let mut trial = Trial::new();
    data(&mut trial, "encrypt/a", json!({ "plaintext": "" }));
    data(
        &mut trial,
        "encrypt/b",
        json!({ "plaintext": "", "context": b64(b"c"), "type": "xchacha20-poly1305", "convergent_encryption": true }),
    );
    let shown = get(&mut trial, "keys/b").ok().unwrap().data.unwrap();
    assert_eq!(
        (&shown["type"], &shown["convergent_encryption"]),
        (&json!("xchacha20-poly1305"), &json!(true))
    );
    data(
        &mut trial,
        "encrypt/c",
        json!({ "plaintext": "", "context": b64(b"c") }),
    );
    let shown = get(&mut trial, "keys/c").ok().unwrap().data.unwrap();
    assert_eq!(
        (&shown["derived"], &shown["convergent_encryption"]),
        (&json!(true), &json!(false))
    );
    // `update` alone: the shell leaves the operation as it was.
    for path in ["encrypt/d", "decrypt/d", "rewrap/d", "hmac/d"] {
        let error = trial
            .step(|work, cx| {
                let mounts = Mounts::read(work)?;
                let path = crate::RequestPath::parse(&format!("transit/{path}"))?;
                let (at, mount, rest) = mounts.route(&path)?;
                let call = crate::Call {
                    operation: Operation::Update,
                    path: path.clone(),
                    at: at.to_owned(),
                    mount: mount.clone(),
                    rest: rest.to_owned(),
                    query: std::collections::BTreeMap::new(),
                    body: crate::Body::of(
                        json!({ "plaintext": "", "ciphertext": "vault:v1:AAAA", "input": "" }),
                    )?,
                    caller: crate::trial::root(),
                    peer: None,
                    from: None,
                    request: countersign_base::RequestId::from_bytes([1; 16]),
                    wrap_ttl: None,
                    shown: None,
                };
                super::super::run(&call, work, cx).map(|_| ())
            })
            .unwrap_err();
        assert_eq!(
            error,
            VaultError::invalid("encryption key not found"),
            "{path}"
        );
    }
    for (body, text) in [
        (
            json!({ "plaintext": "", "type": "ecdsa-p256" }),
            "key type ecdsa-p256 not supported for this operation",
        ),
        (json!({ "plaintext": "", "type": "x" }), "unknown key type"),
        (
            json!({ "plaintext": "", "convergent_encryption": true }),
            "so context is required",
        ),
        (json!({}), "missing plaintext to encrypt"),
        (
            json!({ "plaintext": "?" }),
            "failed to base64-decode plaintext",
        ),
    ] {
        refused(&mut trial, "encrypt/d", body, text);
    }
    assert_eq!(
        get(&mut trial, "keys/d").err(),
        Some(VaultError::NotFound),
        "a refusal makes no key"
    );
    assert_eq!(
        get(&mut trial, "config/keys").ok().unwrap().data,
        Some(json!({ "disable_upsert": false }))
    );
    data(&mut trial, "config/keys", json!({ "disable_upsert": true }));
    refused(
        &mut trial,
        "encrypt/d",
        json!({ "plaintext": "" }),
        "encryption key not found",
    );
    data(&mut trial, "encrypt/a", json!({ "plaintext": "" }));
    data(
        &mut trial,
        "config/keys",
        json!({ "disable_upsert": false }),
    );
    data(&mut trial, "encrypt/d", json!({ "plaintext": "" }));
}

#[test]
fn a_key_is_rotated_on_use_when_its_period_has_passed() {
    let mut trial = Trial::new();
    data(&mut trial, "keys/k", json!({ "auto_rotate_period": "1h" }));
    assert!(ciphertext(&mut trial, json!({ "plaintext": "" })).starts_with("vault:v1:"));
    trial.now = trial.now.plus(countersign_base::Duration::from_secs(3599));
    let last = ciphertext(&mut trial, json!({ "plaintext": "" }));
    assert!(last.starts_with("vault:v1:"));
    trial.now = trial.now.plus(countersign_base::Duration::from_secs(1));
    data(&mut trial, "decrypt/k", json!({ "ciphertext": last }));
    assert!(ciphertext(&mut trial, json!({ "plaintext": "" })).starts_with("vault:v2:"));
    assert!(ciphertext(&mut trial, json!({ "plaintext": "" })).starts_with("vault:v2:"));
    trial.now = trial
        .now
        .plus(countersign_base::Duration::from_secs(100_000));
    assert!(
        data(&mut trial, "hmac/k", json!({ "input": "" }))["hmac"]
            .as_str()
            .unwrap()
            .starts_with("vault:v3:")
    );
    data(
        &mut trial,
        "keys/k/config",
        json!({ "auto_rotate_period": 0 }),
    );
    trial.now = trial
        .now
        .plus(countersign_base::Duration::from_secs(100_000));
    assert!(ciphertext(&mut trial, json!({ "plaintext": "" })).starts_with("vault:v3:"));
}

#[test]
fn a_version_is_replaced_before_its_nonces_repeat() {
    let mut trial = Trial::new();
    data(&mut trial, "keys/k", json!({}));
    change(&mut trial, "k", |row| {
        row.versions.get_mut(&1).unwrap().sealed = SEALED_MAX - 1
    });
    assert!(ciphertext(&mut trial, json!({ "plaintext": "" })).starts_with("vault:v1:"));
    change(&mut trial, "k", |row| {
        row.versions.get_mut(&1).unwrap().sealed = SEALED_MAX
    });
    let body = json!({ "batch_input": [{ "plaintext": "" }, { "plaintext": "" }] });
    let results = data(&mut trial, "encrypt/k", body)["batch_results"].clone();
    assert_eq!(
        (&results[0]["key_version"], &results[1]["key_version"]),
        (&json!(2), &json!(2))
    );
    refused(
        &mut trial,
        "encrypt/k",
        json!({ "plaintext": "", "key_version": 1 }),
        "as many messages as it may",
    );
    let shown = get(&mut trial, "keys/k").ok().unwrap().data.unwrap();
    assert_eq!(shown["latest_version"], 2);
    // A key that is not to be rotated here seals no further.
    change(&mut trial, "k", |row| {
        row.imported = Some(super::super::row::Imported::Fixed);
        row.versions.get_mut(&2).unwrap().sealed = SEALED_MAX;
    });
    refused(
        &mut trial,
        "encrypt/k",
        json!({ "plaintext": "" }),
        "does not allow rotation",
    );
}

#[test]
fn an_entry_that_is_full_takes_no_further_version() {
    let mut trial = Trial::new();
    let body = json!({ "type": "hmac", "key_size": 512, "auto_rotate_period": "1h" });
    data(&mut trial, "keys/k", body);
    // As many versions as rotations would make, nearly.
    change(&mut trial, "k", |row| {
        let version = serde_json::to_value(&row.versions[&1]).unwrap();
        for number in 2..=1_380 {
            let version = serde_json::from_value(version.clone()).unwrap();
            row.versions.insert(number, version);
        }
        row.latest = 1_380;
    });
    let mut rotations = 0;
    let refusal = loop {
        match write(&mut trial, "keys/k/rotate", json!({})) {
            Ok(_) => rotations += 1,
            Err(error) => break error,
        }
    };
    assert!(refusal.to_string().contains("trim it first"), "{refusal}");
    assert!((1..100).contains(&rotations), "{rotations}");
    // It goes on being used, also when its period has passed.
    trial.now = trial.now.plus(countersign_base::Duration::from_secs(7200));
    data(&mut trial, "hmac/k", json!({ "input": "" }));
}

#[test]
fn keys_are_listed_and_deleted_if_that_is_allowed() {
    let mut trial = Trial::new();
    let list = |trial: &mut Trial| trial.call(Operation::List, "transit/keys", json!({}));
    assert_eq!(list(&mut trial).err(), Some(VaultError::NotFound));
    data(&mut trial, "keys/b", json!({}));
    data(&mut trial, "keys/a", json!({}));
    assert_eq!(
        list(&mut trial).ok().unwrap().data,
        Some(json!({ "keys": ["a", "b"] }))
    );
    let again = write(&mut trial, "keys/a", json!({ "type": "hmac" }))
        .ok()
        .unwrap();
    assert_eq!(again.warnings, ["key a already existed"]);
    assert_eq!(again.data.unwrap()["type"], "aes256-gcm96");
    let delete = |trial: &mut Trial, name: &str| {
        trial.call(
            Operation::Delete,
            &format!("transit/keys/{name}"),
            json!({}),
        )
    };
    assert_eq!(delete(&mut trial, "a").err().unwrap().status(), 400);
    data(
        &mut trial,
        "keys/a/config",
        json!({ "deletion_allowed": true }),
    );
    assert!(delete(&mut trial, "a").is_ok());
    assert_eq!(delete(&mut trial, "a").err().unwrap().status(), 400);
    assert_eq!(
        list(&mut trial).ok().unwrap().data,
        Some(json!({ "keys": ["b"] }))
    );
}
