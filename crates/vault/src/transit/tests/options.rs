//! Types and options: every combination is done or refused with 400, never anything else.

use super::*;

/// Every operation that takes a key, with the bodies that it might be sent.
fn operations(name: &str) -> Vec<(String, Json)> {
    let mut all = Vec::new();
    let message = [
        json!({}),
        json!({ "plaintext": b64(b"x"), "input": b64(b"x"), "ciphertext": "vault:v1:AAAA" }),
        json!({ "plaintext": b64(b"x"), "input": b64(&[0; 32]), "ciphertext": format!("vault:v1:{}", b64(&[1; 256])), "context": b64(b"c") }),
        json!({ "plaintext": b64(&[0; 600]), "input": b64(b"x"), "associated_data": b64(b"a"), "ciphertext": "vault:v2:AAAA" }),
        json!({ "plaintext": b64(b"x"), "input": b64(b"x"), "nonce": b64(&[0; 12]) }),
        json!({ "plaintext": b64(b"x"), "input": b64(b"x"), "key_version": -1 }),
        json!({ "plaintext": b64(b"x"), "input": b64(b"x"), "key_version": 4_294_967_296_i64 }),
        json!({ "batch_input": [{ "plaintext": b64(b"x"), "input": b64(b"x"), "ciphertext": "vault:v1:AAAA", "hmac": "vault:v1:AAAA" }] }),
        json!({ "plaintext": [], "input": 1, "ciphertext": {}, "context": 1 }),
    ];
    let manners = [
        json!({}),
        json!({ "marshaling_algorithm": "jws", "hash_algorithm": "sha3-512" }),
        json!({ "signature_algorithm": "pkcs1v15", "prehashed": true }),
        json!({ "hash_algorithm": "none", "prehashed": true, "signature_algorithm": "pkcs1v15" }),
        json!({ "hash_algorithm": "sha2-224", "salt_length": "28" }),
        json!({ "hash_algorithm": "sha1" }),
        json!({ "salt_length": "-2" }),
        json!({ "salt_length": "1000000000000000000000" }),
        json!({ "marshaling_algorithm": "x" }),
        json!({ "signature_algorithm": "x" }),
    ];
    for body in message {
        for operation in ["encrypt", "decrypt", "rewrap", "datakey/plaintext", "hmac"] {
            all.push((format!("{operation}/{name}"), body.clone()));
        }
        for manner in &manners {
            let mut body = body.clone();
            body.as_object_mut()
                .unwrap()
                .extend(manner.as_object().unwrap().clone());
            all.push((format!("sign/{name}"), body.clone()));
            body["signature"] = json!("vault:v1:AAAA");
            all.push((format!("verify/{name}"), body));
        }
    }
    for (path, body) in [
        ("config", json!({ "min_encryption_version": 2 })),
        ("config", json!({ "auto_rotate_period": "59m" })),
        ("trim", json!({ "min_available_version": 1 })),
        ("import_version", json!({ "ciphertext": "AAAA" })),
    ] {
        all.push((format!("keys/{name}/{path}"), body));
    }
    all
}

fn only_done_or_400(trial: &mut Trial, path: &str, body: &Json) {
    if let Err(error) = write(trial, path, body.clone()) {
        assert_eq!(error.status(), 400, "{path} {body}: {error}");
    }
}

#[test]
fn ghsa_8w8f_r2xv_4q4j_every_type_takes_or_refuses_every_option() {
    let mut trial = with_every_type();
    for key_type in KeyType::ALL {
        for derived in [false, true] {
            for convergent in [false, true] {
                for size in [
                    Json::Null,
                    json!(0),
                    json!(31),
                    json!(32),
                    json!(512),
                    json!(513),
                    json!(-1),
                ] {
                    let name = format!("{key_type}-{derived}-{convergent}");
                    let body = json!({
                        "type": key_type.name(), "derived": derived, "convergent_encryption": convergent, "key_size": size,
                        "exportable": true, "allow_plaintext_backup": true,
                    });
                    let sized = !matches!(size.as_i64(), None | Some(0));
                    let fits = match key_type.kind() {
                        Kind::Cipher(_) => !sized && (derived || !convergent),
                        Kind::Hmac => {
                            !derived
                                && !convergent
                                && matches!(size.as_i64(), None | Some(0 | 32 | 512))
                        }
                        Kind::Pair(KeyPairAlgorithm::Ed25519) => !sized && !convergent,
                        Kind::Pair(_) => !sized && !derived && !convergent,
                    };
                    // Those of RSA that fit are there already: they take seconds to make.
                    if fits && key_type.is_rsa() {
                        continue;
                    }
                    let made = write(&mut trial, &format!("keys/{name}"), body.clone());
                    assert_eq!(made.is_ok(), fits, "{body}");
                    if let Err(error) = made {
                        assert_eq!(error.status(), 400, "{body}: {error}");
                    }
                }
            }
        }
    }
    let names = trial
        .call(Operation::List, "transit/keys", json!({}))
        .ok()
        .unwrap();
    let names = names.data.unwrap()["keys"].clone();
    // 12 of plain types; 4 ciphers in three derivations, 3 curves, Ed25519 in two, HMAC.
    assert_eq!(names.as_array().unwrap().len(), 12 + 12 + 3 + 2 + 1);
    for name in names.as_array().unwrap() {
        let name = name.as_str().unwrap();
        for (path, body) in operations(name) {
            only_done_or_400(&mut trial, &path, &body);
        }
        for what in [
            "encryption-key",
            "signing-key",
            "hmac-key",
            "public-key",
            "other",
        ] {
            for format in ["", "raw", "der", "pem", "x"] {
                if let Err(error) =
                    get(&mut trial, &format!("export/{what}/{name}?format={format}"))
                {
                    assert_eq!(error.status(), 400, "{what} {name} {format}: {error}");
                }
            }
        }
    }
}

#[test]
fn options_that_are_none_are_refused() {
    let mut trial = Trial::new();
    for (body, text) in [
        (json!({ "type": "external-key" }), "unknown key type"),
        (json!({ "type": "AES256-GCM96" }), "unknown key type"),
        (
            json!({ "convergent_encryption": true }),
            "convergent encryption requires derivation to be enabled",
        ),
        (
            json!({ "type": "rsa-2048", "derived": true }),
            "key derivation and convergent encryption not supported for keys of type rsa-2048",
        ),
        (
            json!({ "type": "ed25519", "derived": true, "convergent_encryption": true }),
            "convergent encryption not supported for keys of type ed25519",
        ),
        (
            json!({ "key_size": 32 }),
            "key_size is not valid for algorithm aes256-gcm96",
        ),
        (
            json!({ "type": "hmac", "key_size": 31 }),
            "invalid key_size 31",
        ),
        (
            json!({ "auto_rotate_period": 3599 }),
            "auto rotate period must be 0 to disable or at least an hour",
        ),
        (json!({ "auto_rotate_period": "x" }), "must be a duration"),
        (json!({ "derived": "maybe" }), "must be a boolean"),
    ] {
        refused(&mut trial, "keys/k", body, text);
    }
    assert_eq!(get(&mut trial, "keys/k").err(), Some(VaultError::NotFound));
    for name in ["-a", "a-", ".a", "a b", "ä", &"a".repeat(129)] {
        let error = write(&mut trial, &format!("keys/{name}"), json!({}))
            .err()
            .unwrap();
        assert_eq!(error, VaultError::NotFound, "{name}");
    }
    for path in [
        "",
        "unknown",
        "keys",
        "encrypt",
        "encrypt/a/b/c",
        "config/other",
    ] {
        assert!(write(&mut trial, path, json!({})).is_err(), "{path}");
    }
    assert_eq!(
        get(&mut trial, "encrypt/k").err(),
        Some(VaultError::Unsupported)
    );
}

/// The shapes that hvac and vaultrs read: seconds for symmetric keys, records for pairs, nothing of private parts.
#[test]
fn a_key_is_shown_in_the_shape_of_its_kind() {
    let mut trial = with_every_type();
    for key_type in KeyType::ALL {
        let shown = get(&mut trial, &format!("keys/{key_type}"))
            .ok()
            .unwrap()
            .data
            .unwrap();
        for member in [
            "deletion_allowed",
            "derived",
            "exportable",
            "allow_plaintext_backup",
            "supports_encryption",
            "supports_decryption",
            "supports_derivation",
            "supports_signing",
            "imported_key",
        ] {
            assert!(shown[member].is_boolean(), "{key_type} {member}");
        }
        for member in [
            "min_decryption_version",
            "min_encryption_version",
            "min_available_version",
            "latest_version",
            "auto_rotate_period",
        ] {
            assert!(shown[member].is_u64(), "{key_type} {member}");
        }
        assert_eq!(
            (&shown["name"], &shown["type"]),
            (&json!(key_type.name()), &json!(key_type.name()))
        );
        let key = &shown["keys"]["1"];
        match key_type.kind() {
            Kind::Cipher(_) | Kind::Hmac => assert!(key.is_i64(), "{key_type}"),
            Kind::Pair(algorithm) => {
                let members: Vec<_> = key.as_object().unwrap().keys().collect();
                assert_eq!(members, ["creation_time", "name", "public_key"]);
                assert_eq!(key["creation_time"], "2023-11-14T22:13:20Z");
                let public = key["public_key"].as_str().unwrap();
                assert_eq!(
                    public.starts_with("-----BEGIN PUBLIC KEY-----\n"),
                    algorithm != KeyPairAlgorithm::Ed25519
                );
            }
        }
    }
    let shown = get(&mut trial, "keys/ecdsa-p256")
        .ok()
        .unwrap()
        .data
        .unwrap();
    assert_eq!(shown["keys"]["1"]["name"], "P-256");
    data(
        &mut trial,
        "keys/c",
        json!({ "derived": true, "convergent_encryption": true }),
    );
    let shown = get(&mut trial, "keys/c").ok().unwrap().data.unwrap();
    assert_eq!(
        (&shown["kdf"], &shown["convergent_encryption_version"]),
        (&json!("hkdf_sha256"), &json!(3))
    );
}

/// What a caller sent by mistake in the wrong member is not sent back, and does not reach a log through an error.
#[test]
fn cve_2025_4166_errors_repeat_nothing_that_was_sent() {
    const CANARY: &str = "canary-8f2e";
    let mut trial = with_every_type();
    let members = [
        "type",
        "derived",
        "convergent_encryption",
        "key_size",
        "auto_rotate_period",
        "plaintext",
        "ciphertext",
        "context",
        "associated_data",
        "nonce",
        "key_version",
        "bits",
        "input",
        "algorithm",
        "hash_algorithm",
        "signature_algorithm",
        "marshaling_algorithm",
        "salt_length",
        "prehashed",
        "signature",
        "hmac",
        "batch_input",
        "bytes",
        "format",
        "backup",
        "force",
        "hash_function",
        "public_key",
        "min_decryption_version",
        "min_available_version",
        "disable_upsert",
        "size",
    ];
    let mut refusals = 0;
    for path in [
        "keys/new",
        "keys/new/import",
        "keys/aes256-gcm96/config",
        "keys/aes256-gcm96/trim",
        "encrypt/aes256-gcm96",
        "decrypt/aes256-gcm96",
        "rewrap/aes256-gcm96",
        "datakey/plaintext/aes256-gcm96",
        "hmac/hmac",
        "sign/rsa-2048",
        "verify/rsa-2048",
        "verify/hmac",
        "random",
        "hash",
        "restore/new",
        "config/keys",
        "cache-config",
    ] {
        for member in members {
            for value in [
                json!(CANARY),
                json!([CANARY]),
                json!([{ "reference": "r", "input": CANARY, "plaintext": CANARY }]),
            ] {
                let mut body = json!({ "input": "", "signature": "vault:v1:AAAA", "min_available_version": 1 });
                body[member] = value;
                match write(&mut trial, path, body) {
                    Ok(answer) => {
                        let data = answer.data.unwrap_or(Json::Null).to_string();
                        assert!(!data.contains(CANARY), "{path} {member}: {data}");
                    }
                    Err(error) => {
                        refusals += 1;
                        assert!(
                            !format!("{error} {error:?}").contains(CANARY),
                            "{path} {member}: {error}"
                        );
                    }
                }
            }
        }
    }
    assert!(refusals > 100, "{refusals}");
}
