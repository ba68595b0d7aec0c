//! Keys that leave and come: export, backup, restore, import.

use super::*;

#[test]
fn only_exportable_keys_leave_and_in_the_forms_clients_read() {
    let mut trial = with_every_type();
    data(&mut trial, "keys/held", json!({}));
    let error = get(&mut trial, "export/encryption-key/held").err().unwrap();
    assert_eq!(
        error,
        VaultError::invalid("private key material is not exportable")
    );
    data(&mut trial, "keys/held-pair", json!({ "type": "ed25519" }));
    assert!(get(&mut trial, "export/signing-key/held-pair").is_err());
    assert!(get(&mut trial, "export/public-key/held-pair").is_ok());
    let mut export = |what: &str, name: &str, format: &str| {
        let path = format!("export/{what}/{name}/latest?format={format}");
        let answer = get(&mut trial, &path).ok().unwrap().data.unwrap();
        assert_eq!(
            (&answer["name"], &answer["type"]),
            (&json!(name), &json!(name))
        );
        answer["keys"]["1"].as_str().unwrap().to_owned()
    };
    for (name, key) in pairs() {
        let what = if name.starts_with("rsa") {
            "encryption-key"
        } else {
            "signing-key"
        };
        assert_eq!(
            base64::decode(&export(what, name, "der")).unwrap(),
            unhex(&key["pkcs8"]),
            "{name}"
        );
        assert_eq!(
            base64::decode(&export("public-key", name, "der")).unwrap(),
            unhex(&key["spki"])
        );
        assert_eq!(
            export("public-key", name, "pem"),
            key["pem"].as_str().unwrap()
        );
        match key["traditional"].as_str() {
            Some(traditional) => assert_eq!(export(what, name, ""), traditional),
            None => {
                let whole = base64::decode(&export(what, name, "")).unwrap();
                assert_eq!(whole[..32], (0..32).collect::<Vec<u8>>());
                assert_eq!(b64(&whole[32..]), export("public-key", name, "raw"));
            }
        }
        assert_eq!(
            base64::decode(&export("hmac-key", name, "")).unwrap(),
            (0..32).collect::<Vec<u8>>()
        );
    }
    for (path, text) in [
        (
            "export/signing-key/aes256-gcm96",
            "signing not supported for the key",
        ),
        (
            "export/encryption-key/ed25519",
            "encryption not supported for the key",
        ),
        (
            "export/public-key/hmac",
            "unknown key type hmac for export type public-key",
        ),
        (
            "export/encryption-key/aes256-gcm96/2",
            "version does not exist or cannot be found",
        ),
        (
            "export/encryption-key/aes256-gcm96/0",
            "version for export is below minimum decryption version",
        ),
        (
            "export/encryption-key/aes256-gcm96/x",
            "invalid key version",
        ),
        ("export/private/aes256-gcm96", "invalid export type"),
    ] {
        assert_eq!(
            get(&mut trial, path).err(),
            Some(VaultError::invalid(text)),
            "{path}"
        );
    }
    assert_eq!(
        get(&mut trial, "export/hmac-key/none").err(),
        Some(VaultError::NotFound)
    );
}

#[test]
fn a_backup_is_the_key_again() {
    let mut trial = with_every_type();
    data(&mut trial, "keys/aes256-gcm96/rotate", json!({}));
    data(
        &mut trial,
        "keys/aes256-gcm96/config",
        json!({ "min_encryption_version": 1 }),
    );
    for key_type in KeyType::ALL {
        let name = key_type.name();
        let shown = get(&mut trial, &format!("keys/{name}"))
            .ok()
            .unwrap()
            .data
            .unwrap();
        let text = get(&mut trial, &format!("backup/{name}"))
            .ok()
            .unwrap()
            .data
            .unwrap()["backup"]
            .clone();
        refused(
            &mut trial,
            "restore",
            json!({ "backup": text }),
            "already exists",
        );
        assert!(
            write(
                &mut trial,
                "restore",
                json!({ "backup": text, "force": true })
            )
            .is_ok()
        );
        assert!(
            write(
                &mut trial,
                &format!("restore/copy-{name}"),
                json!({ "backup": text })
            )
            .is_ok()
        );
        let named = json!({ "backup": text, "name": format!("named-{name}") });
        assert!(write(&mut trial, "restore", named).is_ok());
        assert!(get(&mut trial, &format!("keys/named-{name}")).is_ok());
        let mut copy = get(&mut trial, &format!("keys/copy-{name}"))
            .ok()
            .unwrap()
            .data
            .unwrap();
        copy["name"] = json!(name);
        assert_eq!(copy, shown);
        let tag = data(&mut trial, &format!("hmac/{name}"), json!({ "input": "" }));
        let body = json!({ "input": "", "hmac": tag["hmac"] });
        assert_eq!(
            data(&mut trial, &format!("verify/copy-{name}"), body)["valid"],
            true
        );
    }
    data(&mut trial, "keys/held", json!({}));
    let backup = |trial: &mut Trial| get(trial, "backup/held").err();
    assert_eq!(
        backup(&mut trial),
        Some(VaultError::invalid("exporting is disallowed on the policy"))
    );
    data(
        &mut trial,
        "keys/held/config",
        json!({ "exportable": true }),
    );
    assert_eq!(
        backup(&mut trial),
        Some(VaultError::invalid(
            "plaintext backup is disallowed on the policy"
        ))
    );
}

/// A backup comes from outside: whatever it holds, what is restored is a key, or nothing.
#[test]
fn a_backup_that_no_key_could_give_is_refused() {
    let mut trial = with_every_type();
    let text = get(&mut trial, "backup/ecdsa-p256")
        .ok()
        .unwrap()
        .data
        .unwrap()["backup"]
        .clone();
    let backup: Json =
        serde_json::from_slice(&base64::decode(text.as_str().unwrap()).unwrap()).unwrap();
    let changes: [(&str, Json); 15] = [
        ("/countersign_transit_backup", json!(2)),
        ("/key/type", json!("ecdsa-p384")),
        ("/key/type", json!("aes256-gcm96")),
        ("/key/type", json!("other")),
        ("/key/derivation", json!("context")),
        ("/key/latest", json!(0)),
        ("/key/latest", json!(2)),
        ("/key/latest", json!(4_294_967_295_u32)),
        ("/key/min_decryption", json!(0)),
        ("/key/min_decryption", json!(2)),
        ("/key/min_encryption", json!(2)),
        ("/key/min_available", json!(2)),
        ("/key/versions/1/key", json!("AAAA")),
        ("/key/versions/1/hmac", json!("AAAA")),
        ("/key/versions/1/public", json!("AAAA")),
    ];
    for (pointer, value) in changes {
        let mut changed = backup.clone();
        *changed.pointer_mut(pointer).unwrap() = value.clone();
        let text = b64(changed.to_string().as_bytes());
        let error = write(&mut trial, "restore/r", json!({ "backup": text })).err();
        assert_eq!(
            error.map(|error| error.status()),
            Some(400),
            "{pointer} {value}"
        );
    }
    let mut named = backup;
    named["name"] = json!("../key");
    let text = b64(named.to_string().as_bytes());
    assert_eq!(
        write(&mut trial, "restore", json!({ "backup": text })).err(),
        Some(VaultError::NotFound)
    );
    for (backup, expected) in [
        ("", "'backup' must be supplied"),
        ("?", "cannot be read"),
        ("e30=", "cannot be read"),
    ] {
        refused(
            &mut trial,
            "restore/r",
            json!({ "backup": backup }),
            expected,
        );
    }
}

#[test]
fn what_is_wrapped_for_the_mount_is_imported() {
    let mut trial = Trial::new();
    let to = with_wrapping_key(&mut trial);
    let shown = get(&mut trial, "wrapping_key").ok().unwrap().data.unwrap();
    assert_eq!(shown["public_key"], json!(to.to_pem()));
    let mut materials: Vec<(&str, Vec<u8>)> = vec![
        ("aes128-gcm96", vec![1; 16]),
        ("aes256-gcm96", vec![1; 32]),
        ("chacha20-poly1305", vec![1; 32]),
        ("xchacha20-poly1305", vec![1; 32]),
        ("hmac", vec![1; 48]),
    ];
    let pairs = pairs();
    materials.extend(
        pairs
            .iter()
            .map(|(name, key)| (*name, unhex(&key["pkcs8"]))),
    );
    for (at, (name, material)) in materials.iter().enumerate() {
        let (hash, hash_name) = [
            (OaepHash::Sha256, Json::Null),
            (OaepHash::Sha384, json!("SHA384")),
            (OaepHash::Sha512, json!("SHA512")),
        ][at % 3]
            .clone();
        let body = json!({
            "type": name, "ciphertext": wrapped(&to, hash, material), "hash_function": hash_name,
            "exportable": true, "allow_rotation": at % 2 == 0,
        });
        assert!(
            write(&mut trial, &format!("keys/{name}/import"), body.clone()).is_ok(),
            "{name}"
        );
        refused(
            &mut trial,
            &format!("keys/{name}/import"),
            body,
            "cannot be used with an existing key",
        );
        let what = match KeyType::from_name(name).unwrap() {
            KeyType::Hmac => "hmac-key",
            key_type if key_type.encrypts() => "encryption-key",
            _ => "signing-key",
        };
        let format = if name.contains('-') && !name.starts_with("aes") && !name.contains("poly") {
            "der"
        } else {
            ""
        };
        let format = if *name == "ed25519" { "der" } else { format };
        let out = get(&mut trial, &format!("export/{what}/{name}?format={format}"))
            .ok()
            .unwrap()
            .data
            .unwrap();
        assert_eq!(
            base64::decode(out["keys"]["1"].as_str().unwrap()).unwrap(),
            *material,
            "{name}"
        );
        let shown = get(&mut trial, &format!("keys/{name}"))
            .ok()
            .unwrap()
            .data
            .unwrap();
        assert_eq!(
            (
                &shown["imported_key"],
                &shown["imported_key_allow_rotation"]
            ),
            (&json!(true), &json!(at % 2 == 0))
        );
        if !name.starts_with("rsa") {
            assert_eq!(
                write(&mut trial, &format!("keys/{name}/rotate"), json!({})).is_ok(),
                at % 2 == 0,
                "{name}"
            );
        }
        let body = json!({ "ciphertext": wrapped(&to, OaepHash::Sha256, material) });
        assert!(
            write(&mut trial, &format!("keys/{name}/import_version"), body).is_ok(),
            "{name}"
        );
    }
}

#[test]
fn what_is_not_wrapped_for_the_mount_or_is_no_key_is_refused() {
    let mut trial = Trial::new();
    let to = with_wrapping_key(&mut trial);
    let good = wrapped(&to, OaepHash::Sha256, &[1; 32]);
    let raw = base64::decode(&good).unwrap();
    let changed = |position: usize| {
        let mut changed = raw.clone();
        changed[position] ^= 1;
        json!({ "ciphertext": b64(&changed) })
    };
    let unwrap = "the ciphertext cannot be unwrapped with the wrapping key";
    for (body, text) in [
        (changed(3), unwrap),
        (changed(515), unwrap),
        (
            json!({ "ciphertext": good, "hash_function": "SHA384" }),
            unwrap,
        ),
        (
            json!({ "ciphertext": good, "hash_function": "SHA1" }),
            "unknown hash function",
        ),
        (
            json!({ "ciphertext": b64(&raw[..512]) }),
            "provided ciphertext is too short",
        ),
        (json!({}), "provided ciphertext is too short"),
        (
            json!({ "ciphertext": "?" }),
            "failed to base64-decode ciphertext",
        ),
        (
            json!({ "ciphertext": good, "type": "aes128-gcm96" }),
            "the material is not a key of type aes128-gcm96",
        ),
        (
            json!({ "ciphertext": good, "type": "rsa-2048" }),
            "the material is not a key of type rsa-2048",
        ),
        (
            json!({ "ciphertext": good, "convergent_encryption": false }),
            "convergent encryption",
        ),
        (
            json!({ "ciphertext": good, "auto_rotate_period": "1h" }),
            "allow_rotation must be set",
        ),
        (
            json!({ "public_key": "x" }),
            "a public key alone is not imported",
        ),
    ] {
        refused(&mut trial, "keys/k/import", body, text);
        assert_eq!(get(&mut trial, "keys/k").err(), Some(VaultError::NotFound));
    }
    // An ephemeral key of another length.
    let mut blob = to.encrypt_oaep(OaepHash::Sha256, &[9; 16]).unwrap();
    blob.extend(keywrap::wrap(&Secret::new([9; 32]), &[1; 32]).unwrap());
    refused(
        &mut trial,
        "keys/k/import",
        json!({ "ciphertext": b64(&blob) }),
        unwrap,
    );
    refused(
        &mut trial,
        "keys/k/import_version",
        json!({ "ciphertext": good }),
        "no key found with name k",
    );
    data(&mut trial, "keys/own", json!({}));
    refused(
        &mut trial,
        "keys/own/import_version",
        json!({ "ciphertext": good }),
        "only be used with an imported key",
    );
}
