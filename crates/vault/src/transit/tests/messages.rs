//! Messages through the API: known answers of other implementations, round trips, batches, tampering.

use super::*;

#[test]
fn ciphertexts_of_another_implementation_open() {
    let vectors: Json = serde_json::from_str(VECTORS).unwrap();
    let mut seen = 0;
    for one in vectors["ciphertexts"].as_array().unwrap() {
        let mut trial = Trial::new();
        let text = |name: &str| one[name].as_str().unwrap();
        put(
            &mut trial,
            &["key", "k"],
            &row(text("type"), text("derivation"), text("key"), None),
        );
        let context = if text("derivation") == "none" {
            ""
        } else {
            vectors["context"].as_str().unwrap()
        };
        let body = json!({ "ciphertext": one["ciphertext"], "context": context, "associated_data": one["aad"] });
        let opened = data(&mut trial, "decrypt/k", body);
        assert_eq!(opened["plaintext"], vectors["plaintext"], "{one}");
        if text("derivation") == "convergent" {
            let body = json!({ "plaintext": vectors["plaintext"], "context": context, "associated_data": one["aad"] });
            assert_eq!(
                data(&mut trial, "encrypt/k", body)["ciphertext"],
                one["ciphertext"],
                "{one}"
            );
        }
        seen += 1;
    }
    assert_eq!(seen, 24);
}

#[test]
fn hmacs_and_ed25519_of_another_implementation_agree() {
    let vectors: Json = serde_json::from_str(VECTORS).unwrap();
    let mut trial = Trial::new();
    put(
        &mut trial,
        &["key", "h"],
        &row("hmac", "none", vectors["hmac_key"].as_str().unwrap(), None),
    );
    // Every key has an HMAC key of its own; that of the row is the same 32 bytes.
    put(
        &mut trial,
        &["key", "a"],
        &row(
            "aes256-gcm96",
            "none",
            vectors["hmac_key"].as_str().unwrap(),
            None,
        ),
    );
    for one in vectors["hmacs"].as_array().unwrap() {
        for name in ["h", "a"] {
            let hash = one["hash"].as_str().unwrap();
            let by_path = data(
                &mut trial,
                &format!("hmac/{name}/{hash}"),
                json!({ "input": vectors["plaintext"] }),
            );
            assert_eq!(by_path["hmac"], one["hmac"]);
            let by_body = data(
                &mut trial,
                &format!("hmac/{name}"),
                json!({ "input": vectors["plaintext"], "algorithm": hash }),
            );
            assert_eq!(by_body["hmac"], one["hmac"]);
            let body = json!({ "input": vectors["plaintext"], "hmac": one["hmac"], "hash_algorithm": hash });
            assert_eq!(
                data(&mut trial, &format!("verify/{name}"), body)["valid"],
                true
            );
            let body = json!({ "input": b64(b"another"), "hmac": one["hmac"] });
            assert_eq!(
                data(&mut trial, &format!("verify/{name}/{hash}"), body)["valid"],
                false
            );
        }
    }
    let pair = &vectors["ed25519"];
    let spki = [
        &[
            0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
        ][..],
        &base64::decode(pair["public"].as_str().unwrap()).unwrap(),
    ]
    .concat();
    for (name, derivation) in [("e", "none"), ("d", "context")] {
        put(
            &mut trial,
            &["key", name],
            &row(
                "ed25519",
                derivation,
                pair["pkcs8"].as_str().unwrap(),
                Some(&b64(&spki)),
            ),
        );
    }
    let signed = data(
        &mut trial,
        "sign/e",
        json!({ "input": vectors["plaintext"] }),
    );
    assert_eq!(
        signed,
        json!({ "signature": pair["signature"], "key_version": 1 })
    );
    let signed = data(
        &mut trial,
        "sign/d",
        json!({ "input": vectors["plaintext"], "context": vectors["context"] }),
    );
    let expected = json!({ "signature": pair["derived_signature"], "key_version": 1, "public_key": pair["derived_public"] });
    assert_eq!(signed, expected);
    let body = json!({ "input": vectors["plaintext"], "context": vectors["context"], "signature": pair["derived_signature"] });
    assert_eq!(data(&mut trial, "verify/d", body)["valid"], true);
    let body = json!({ "input": vectors["plaintext"], "context": b64(b"other"), "signature": pair["derived_signature"] });
    assert_eq!(data(&mut trial, "verify/d", body)["valid"], false);
    refused(
        &mut trial,
        "sign/d",
        json!({ "input": vectors["plaintext"] }),
        "missing 'context' for key derivation",
    );
    let context = vectors["context"].as_str().unwrap();
    let shown = get(&mut trial, &format!("keys/d?context={context}"))
        .ok()
        .unwrap()
        .data
        .unwrap();
    assert_eq!(shown["keys"]["1"]["public_key"], pair["derived_public"]);
    let shown = get(&mut trial, "keys/d").ok().unwrap().data.unwrap();
    assert_eq!(shown["keys"]["1"]["public_key"], "");
}

#[test]
fn signatures_of_another_implementation_hold() {
    let mut trial = with_every_type();
    let input = b64(b"what another implementation signed");
    for (name, key) in pairs() {
        for one in key["signatures"].as_array().unwrap() {
            let hash = one["hash"].as_str().unwrap();
            let mut check = |member: &str, more: Json| {
                let raw = unhex(&one[member]);
                let text = if more["marshaling_algorithm"] == "jws" {
                    countersign_crypto::base64url::encode(&raw)
                } else {
                    b64(&raw)
                };
                let mut body = json!({ "input": input, "signature": format!("vault:v1:{text}"), "hash_algorithm": hash });
                body.as_object_mut()
                    .unwrap()
                    .extend(more.as_object().unwrap().clone());
                let answer = data(&mut trial, &format!("verify/{name}"), body.clone());
                assert_eq!(answer, json!({ "valid": true }), "{name} {member} {hash}");
                body["input"] = json!(b64(b"another"));
                assert_eq!(
                    data(&mut trial, &format!("verify/{name}"), body)["valid"],
                    false
                );
            };
            match name {
                "ed25519" => check("signature", json!({ "hash_algorithm": "sha2-256" })),
                "ecdsa-p256" | "ecdsa-p384" | "ecdsa-p521" => {
                    check("asn1", json!({}));
                    check(
                        "asn1",
                        json!({ "marshaling_algorithm": null, "prehashed": null }),
                    );
                    check("fixed", json!({ "marshaling_algorithm": "jws" }));
                }
                _ => {
                    check("pkcs1v15", json!({ "signature_algorithm": "pkcs1v15" }));
                    check("pss-longest", json!({}));
                    check(
                        "pss-longest",
                        json!({ "salt_length": "auto", "signature_algorithm": "pss" }),
                    );
                    check("pss-hash", json!({ "salt_length": "hash" }));
                    check("pss-hash", json!({ "salt_length": "auto" }));
                }
            }
        }
    }
}

#[test]
fn what_is_signed_is_verified_in_every_manner() {
    let mut trial = with_every_type();
    for (name, _) in pairs() {
        for more in [
            json!({}),
            json!({ "marshaling_algorithm": "jws" }),
            json!({ "hash_algorithm": "sha2-512", "signature_algorithm": "pkcs1v15" }),
            json!({ "algorithm": "sha2-384", "salt_length": "hash" }),
            json!({ "prehashed": "true" }),
        ] {
            let mut body = more.clone();
            body["input"] = json!(b64(&[5; 32]));
            let signed = data(&mut trial, &format!("sign/{name}"), body.clone());
            assert_eq!(signed["key_version"], 1);
            assert!(signed.get("public_key").is_none());
            body["signature"] = signed["signature"].clone();
            assert_eq!(
                data(&mut trial, &format!("verify/{name}"), body.clone())["valid"],
                true,
                "{name} {more}"
            );
            body["input"] = json!(b64(&[6; 32]));
            assert_eq!(
                data(&mut trial, &format!("verify/{name}"), body)["valid"],
                false,
                "{name} {more}"
            );
        }
    }
    // The digest of a message is signed as the message is.
    let digest = countersign_crypto::digest::sha256(b"message");
    let signed = data(
        &mut trial,
        "sign/ecdsa-p256/sha2-256",
        json!({ "input": b64(&digest), "prehashed": true }),
    );
    let body = json!({ "input": b64(b"message"), "signature": signed["signature"] });
    assert_eq!(data(&mut trial, "verify/ecdsa-p256", body)["valid"], true);
}

#[test]
fn round_trips_of_every_type_and_derivation() {
    let mut trial = with_every_type();
    let plaintext = b64(b"plain text");
    for key_type in KeyType::ALL.iter().filter(|one| one.encrypts()) {
        for derivation in [
            json!({}),
            json!({ "derived": true }),
            json!({ "derived": true, "convergent_encryption": true }),
        ] {
            let derived = derivation.get("derived").is_some();
            if key_type.is_rsa() && derived {
                continue;
            }
            let name = if key_type.is_rsa() {
                key_type.name().to_owned()
            } else {
                format!("{key_type}-{}", derivation.as_object().unwrap().len())
            };
            if !key_type.is_rsa() {
                let mut body = derivation.clone();
                body["type"] = json!(key_type.name());
                data(&mut trial, &format!("keys/{name}"), body);
            }
            let context = if derived {
                b64(b"context")
            } else {
                String::new()
            };
            let associated = if key_type.takes_associated_data() {
                b64(b"bound")
            } else {
                String::new()
            };
            let body = json!({ "plaintext": plaintext, "context": context, "associated_data": associated, "key_version": "1" });
            let sealed = data(&mut trial, &format!("encrypt/{name}"), body);
            assert_eq!(sealed["key_version"], 1);
            let ciphertext = sealed["ciphertext"].clone();
            let body = json!({ "ciphertext": ciphertext, "context": context, "associated_data": associated, "nonce": null });
            let opened = data(&mut trial, &format!("decrypt/{name}"), body.clone());
            assert_eq!(opened, json!({ "plaintext": plaintext }), "{name}");
            data(&mut trial, &format!("keys/{name}/rotate"), Json::Null);
            let rewrapped = data(&mut trial, &format!("rewrap/{name}"), body);
            assert_eq!(rewrapped["key_version"], 2);
            let body = json!({ "ciphertext": rewrapped["ciphertext"], "context": context, "associated_data": associated });
            assert_eq!(
                data(&mut trial, &format!("decrypt/{name}"), body)["plaintext"],
                plaintext
            );
            let body = json!({ "ciphertext": ciphertext, "context": context, "associated_data": b64(b"moved") });
            assert!(
                write(&mut trial, &format!("decrypt/{name}"), body).is_err(),
                "{name}"
            );
        }
    }
}

#[test]
fn a_changed_ciphertext_or_tag_is_refused() {
    let mut trial = with_every_type();
    let sealed = data(
        &mut trial,
        "encrypt/aes256-gcm96",
        json!({ "plaintext": b64(b"x") }),
    );
    let raw = base64::decode(
        sealed["ciphertext"]
            .as_str()
            .unwrap()
            .strip_prefix("vault:v1:")
            .unwrap(),
    )
    .unwrap();
    for position in 0..raw.len() {
        let mut changed = raw.clone();
        changed[position] ^= 1;
        let body = json!({ "ciphertext": format!("vault:v1:{}", b64(&changed)) });
        refused(
            &mut trial,
            "decrypt/aes256-gcm96",
            body,
            "cipher: message authentication failed",
        );
    }
    for (ciphertext, text) in [
        (Json::Null, "missing ciphertext to decrypt"),
        (json!(""), "missing ciphertext to decrypt"),
        (json!("x"), "invalid ciphertext: no prefix"),
        (json!("vault:v1"), "wrong number of fields"),
        (json!("vault:v9:AAAA"), "version is too new"),
        (json!("vault:v1:AAAA"), "invalid ciphertext length"),
        (json!({}), "must be a string"),
    ] {
        refused(
            &mut trial,
            "decrypt/aes256-gcm96",
            json!({ "ciphertext": ciphertext }),
            text,
        );
    }
    let made = data(&mut trial, "hmac/hmac", json!({ "input": b64(b"x") }));
    let tag = base64::decode(
        made["hmac"]
            .as_str()
            .unwrap()
            .strip_prefix("vault:v1:")
            .unwrap(),
    )
    .unwrap();
    for position in 0..tag.len() {
        let mut changed = tag.clone();
        changed[position] ^= 1;
        let body = json!({ "input": b64(b"x"), "hmac": format!("vault:v1:{}", b64(&changed)) });
        assert_eq!(data(&mut trial, "verify/hmac", body)["valid"], false);
    }
    let body = json!({ "input": b64(b"x"), "hmac": format!("vault:v1:{}", b64(&tag[..16])) });
    assert_eq!(data(&mut trial, "verify/hmac", body)["valid"], false);
}

#[test]
fn batches_answer_in_order_and_name_what_failed() {
    let mut trial = with_every_type();
    let items = json!([
        { "plaintext": b64(b"one"), "reference": "a" },
        { "plaintext": "not base64" },
        { "reference": "c" },
        { "plaintext": "", "reference": "d", "key_version": 7 },
        { "plaintext": "", "reference": "e" },
    ]);
    let body = json!({ "plaintext": "ignored", "batch_input": items });
    let answer = write(&mut trial, "encrypt/aes256-gcm96", body.clone())
        .ok()
        .unwrap();
    assert_eq!(answer.form, Form::EnvelopeWith(400));
    let results = answer.data.unwrap()["batch_results"].clone();
    let errors: Vec<_> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["error"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(
        errors,
        [
            "",
            "failed to base64-decode plaintext",
            "missing plaintext to encrypt",
            "requested version for encryption is higher than the latest key version",
            ""
        ]
    );
    let references: Vec<_> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["reference"].as_str().unwrap())
        .collect();
    assert_eq!(references, ["a", "", "c", "d", "e"]);
    let items = json!([{ "ciphertext": results[0]["ciphertext"] }, { "ciphertext": results[4]["ciphertext"] }]);
    let answer = write(
        &mut trial,
        "decrypt/aes256-gcm96",
        json!({ "batch_input": items }),
    )
    .ok()
    .unwrap();
    assert_eq!(answer.form, Form::Envelope);
    let expected = json!([{ "plaintext": b64(b"one"), "reference": "" }, { "plaintext": "", "reference": "" }]);
    assert_eq!(answer.data.unwrap()["batch_results"], expected);

    for (code, form, warned) in [
        (202, 202, 0),
        (0, 400, 0),
        (99, 400, 1),
        (600, 400, 1),
        (204, 400, 1),
    ] {
        let mut body = body.clone();
        body["partial_failure_response_code"] = json!(code);
        let answer = write(&mut trial, "encrypt/aes256-gcm96", body)
            .ok()
            .unwrap();
        assert_eq!(
            (answer.form, answer.warnings.len()),
            (Form::EnvelopeWith(form), warned),
            "{code}"
        );
    }
    let body =
        json!({ "batch_input": [{ "plaintext": "!" }], "partial_failure_response_code": 202 });
    let answer = write(&mut trial, "encrypt/aes256-gcm96", body)
        .ok()
        .unwrap();
    assert_eq!(answer.form, Form::EnvelopeWith(400));
}

#[test]
fn batches_that_are_none_are_refused() {
    let mut trial = with_every_type();
    let many = |item: Json, count: usize| json!({ "batch_input": vec![item; count] });
    for operation in ["encrypt", "decrypt", "rewrap", "hmac", "sign", "verify"] {
        let path = format!("{operation}/rsa-2048");
        refused(
            &mut trial,
            &path,
            json!({ "batch_input": [] }),
            "missing batch input to process",
        );
        refused(
            &mut trial,
            &path,
            json!({ "batch_input": "x" }),
            "failed to parse batch input",
        );
        refused(
            &mut trial,
            &path,
            json!({ "batch_input": [1] }),
            "failed to parse batch input",
        );
        refused(
            &mut trial,
            &path,
            many(json!({}), 4097),
            "at most 4096 items",
        );
    }
    for operation in ["decrypt", "rewrap", "sign"] {
        refused(
            &mut trial,
            &format!("{operation}/rsa-2048"),
            many(json!({}), 257),
            "at most 256 items",
        );
    }
    let body =
        json!({ "batch_input": [{ "plaintext": "", "context": "AAAA" }, { "plaintext": "" }] });
    refused(
        &mut trial,
        "encrypt/aes256-gcm96",
        body,
        "context should be set either in all the request blocks or in none",
    );
    for (items, text) in [
        (
            json!([{ "input": "" }]),
            "no batch_input elements have 'signature' or 'hmac'",
        ),
        (
            json!([{ "hmac": "x" }, {}]),
            "some elements of batch_input are missing 'hmac'",
        ),
        (
            json!([{ "signature": "x" }, {}]),
            "some elements of batch_input are missing 'signature'",
        ),
        (
            json!([{ "signature": "x" }, { "hmac": "x" }]),
            "must all provide",
        ),
    ] {
        refused(
            &mut trial,
            "verify/rsa-2048",
            json!({ "batch_input": items }),
            text,
        );
    }
    refused(
        &mut trial,
        "verify/rsa-2048",
        json!({}),
        "neither a 'signature' nor an 'hmac'",
    );
    refused(
        &mut trial,
        "verify/rsa-2048",
        json!({ "hmac": "x", "signature": "x" }),
        "provide one of",
    );
}

#[test]
fn batches_of_signatures_and_tags() {
    let mut trial = with_every_type();
    let items = json!([{ "input": b64(b"1"), "reference": "r" }, { "input": "?" }]);
    for (name, operation, member) in [
        ("ecdsa-p256", "sign", "signature"),
        ("hmac", "hmac", "hmac"),
    ] {
        let answer = write(
            &mut trial,
            &format!("{operation}/{name}"),
            json!({ "batch_input": items }),
        )
        .ok()
        .unwrap();
        assert_eq!(answer.form, Form::EnvelopeWith(400));
        let results = answer.data.unwrap()["batch_results"].clone();
        assert_eq!(results[0]["reference"], "r");
        assert!(results[1]["error"].is_string());
        let mut item = json!({ "input": b64(b"1") });
        item[member] = results[0][member].clone();
        let mut other = item.clone();
        other["input"] = json!(b64(b"2"));
        let mut broken = item.clone();
        broken[member] = json!("vault:v3:AAAA");
        let answer = write(
            &mut trial,
            &format!("verify/{name}"),
            json!({ "batch_input": [item, other, broken] }),
        )
        .ok()
        .unwrap();
        assert_eq!(answer.form, Form::EnvelopeWith(400));
        let results = answer.data.unwrap()["batch_results"].clone();
        assert_eq!(
            (&results[0]["valid"], &results[1]["valid"]),
            (&json!(true), &json!(false))
        );
        assert!(
            results[2]["error"]
                .as_str()
                .unwrap()
                .contains("version is too new")
        );
    }
}

#[test]
fn data_keys_are_drawn_and_sealed() {
    let mut trial = with_every_type();
    for (bits, bytes) in [
        (json!(128), 16),
        (Json::Null, 32),
        (json!("256"), 32),
        (json!(512), 64),
    ] {
        let given = data(
            &mut trial,
            "datakey/plaintext/aes256-gcm96",
            json!({ "bits": bits }),
        );
        assert_eq!(
            base64::decode(given["plaintext"].as_str().unwrap())
                .unwrap()
                .len(),
            bytes
        );
        let opened = data(
            &mut trial,
            "decrypt/aes256-gcm96",
            json!({ "ciphertext": given["ciphertext"] }),
        );
        assert_eq!(opened["plaintext"], given["plaintext"]);
    }
    let given = data(&mut trial, "datakey/wrapped/rsa-2048", json!({}));
    assert_eq!(
        given.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["ciphertext", "key_version"]
    );
    refused(
        &mut trial,
        "datakey/plaintext/aes256-gcm96",
        json!({ "bits": 129 }),
        "invalid bit length",
    );
    refused(
        &mut trial,
        "datakey/other/aes256-gcm96",
        json!({}),
        "Invalid path",
    );
    refused(
        &mut trial,
        "datakey/wrapped/none",
        json!({}),
        "encryption key not found",
    );
    refused(
        &mut trial,
        "datakey/wrapped/ed25519",
        json!({}),
        "not supported for key type ed25519",
    );
}

#[test]
fn random_and_hash() {
    let mut trial = Trial::new();
    for (path, body, length) in [
        ("random", json!({}), 44),
        ("random", json!({ "bytes": 3, "format": "hex" }), 6),
        ("random/6", json!({ "format": "base64" }), 8),
        ("random/platform/3", json!({}), 4),
        ("random/all", json!({ "bytes": "3" }), 4),
    ] {
        let given = data(&mut trial, path, body);
        assert_eq!(
            given["random_bytes"].as_str().unwrap().len(),
            length,
            "{path}"
        );
    }
    for (path, body) in [
        ("random/0", json!({})),
        ("random/-1", json!({})),
        ("random/x", json!({})),
        ("random/131073", json!({})),
        ("random", json!({ "format": "raw" })),
    ] {
        assert_eq!(
            write(&mut trial, path, body).err().unwrap().status(),
            400,
            "{path}"
        );
    }
    let sum = data(&mut trial, "hash", json!({ "input": b64(b"abc") }));
    assert_eq!(
        sum["sum"],
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let sum = data(
        &mut trial,
        "hash/sha3-256",
        json!({ "input": b64(b"abc"), "format": "base64" }),
    );
    assert_eq!(sum["sum"], "Ophdp0/iJbIEXBcta9OQvYVfCG4+nVJbRr/iRRFDFTI=");
    refused(
        &mut trial,
        "hash/md5",
        json!({ "input": "" }),
        "unsupported algorithm",
    );
    refused(
        &mut trial,
        "hash",
        json!({ "input": "?" }),
        "unable to decode input as base64",
    );
}
