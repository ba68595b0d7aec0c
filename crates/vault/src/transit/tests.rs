#![expect(clippy::too_many_lines, reason = "a table of cases is read as one")]

use super::kind::{KeyType, Kind};
use super::row::{KeyRow, SEALED_MAX};
use crate::VaultError;
use crate::answer::{Answer, Form};
use crate::call::Operation;
use crate::mounts::Mounts;
use crate::trial::Trial;
use countersign_base::Secret;
use countersign_crypto::keypair::{KeyPairAlgorithm, OaepHash, PublicKey};
use countersign_crypto::{base64, keywrap};
use serde_json::{Value as Json, json};

mod exchange;
mod messages;
mod options;
mod versions;

const VECTORS: &str = include_str!("../../tests/vectors/transit.json");
const PAIRS: &str = include_str!("../../../crypto/tests/vectors/keypair.json");

fn write(trial: &mut Trial, path: &str, body: Json) -> Result<Answer, VaultError> {
    trial.call(Operation::Update, &format!("transit/{path}"), body)
}

fn data(trial: &mut Trial, path: &str, body: Json) -> Json {
    match write(trial, path, body) {
        Ok(answer) => answer.data.unwrap_or(Json::Null),
        Err(error) => panic!("{path}: {error}"),
    }
}

fn get(trial: &mut Trial, path: &str) -> Result<Answer, VaultError> {
    trial.call(Operation::Read, &format!("transit/{path}"), json!({}))
}

fn refused(trial: &mut Trial, path: &str, body: Json, text: &str) {
    let error = match write(trial, path, body) {
        Ok(_) => panic!("{path} was not refused"),
        Err(error) => error,
    };
    assert_eq!(error.status(), 400, "{path}: {error}");
    assert!(error.to_string().contains(text), "{path}: {error}");
}

fn b64(bytes: &[u8]) -> String {
    base64::encode(bytes)
}

/// Puts a value where a key is kept.
fn put(trial: &mut Trial, parts: &[&str], value: &Json) {
    trial
        .step(|work, _| {
            let mounts = Mounts::read(work)?;
            let entry = mounts.get("transit/").unwrap().entry(parts);
            work.put(&entry, value)
        })
        .unwrap();
}

/// A key of one version whose material is given.
fn row(key_type: &str, derivation: &str, key: &str, public: Option<&str>) -> Json {
    let mut version = json!({ "created": 1_700_000_000, "key": key });
    if key_type != "hmac" {
        version["hmac"] = json!(b64(&(0..32).collect::<Vec<u8>>()));
    }
    if let Some(public) = public {
        version["public"] = json!(public);
    }
    json!({
        "type": key_type, "derivation": derivation, "latest": 1, "min_available": 0, "min_decryption": 1, "min_encryption": 0,
        "deletion_allowed": false, "exportable": true, "allow_plaintext_backup": true, "auto_rotate": { "secs": 0, "nanos": 0 },
        "versions": { "1": version },
    })
}

fn unhex(text: &Json) -> Vec<u8> {
    let digits = text.as_str().unwrap().as_bytes();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The pairs that another implementation made, under the names of our types.
fn pairs() -> Vec<(&'static str, Json)> {
    let vectors: Json = serde_json::from_str(PAIRS).unwrap();
    let keys = vectors["keys"].as_array().unwrap().clone();
    let name = |key: &Json| match key["name"].as_str().unwrap() {
        "P-256" => "ecdsa-p256",
        "P-384" => "ecdsa-p384",
        "P-521" => "ecdsa-p521",
        "Ed25519" => "ed25519",
        "RSA-2048" => "rsa-2048",
        "RSA-3072" => "rsa-3072",
        "RSA-4096" => "rsa-4096",
        other => panic!("{other}"),
    };
    keys.into_iter().map(|key| (name(&key), key)).collect()
}

/// A vault with a key of each type under the type's name. Pairs are not made anew: RSA takes seconds.
fn with_every_type() -> Trial {
    let mut trial = Trial::new();
    for (name, key) in pairs() {
        let row = row(
            name,
            "none",
            &b64(&unhex(&key["pkcs8"])),
            Some(&b64(&unhex(&key["spki"]))),
        );
        put(&mut trial, &["key", name], &row);
    }
    for key_type in KeyType::ALL {
        if !matches!(key_type.kind(), Kind::Pair(_)) {
            let path = format!("keys/{key_type}");
            data(
                &mut trial,
                &path,
                json!({ "type": key_type.name(), "exportable": true, "allow_plaintext_backup": true }),
            );
        }
    }
    trial
}

/// Puts a wrapping key of the vectors in its place, which else would take seconds to make.
fn with_wrapping_key(trial: &mut Trial) -> PublicKey {
    let (_, key) = pairs()
        .into_iter()
        .find(|(name, _)| *name == "rsa-4096")
        .unwrap();
    put(
        trial,
        &["wrapping-key"],
        &json!({ "key": b64(&unhex(&key["pkcs8"])) }),
    );
    PublicKey::from_spki(KeyPairAlgorithm::Rsa4096, &unhex(&key["spki"])).unwrap()
}

/// What a client sends to import `material`.
fn wrapped(to: &PublicKey, hash: OaepHash, material: &[u8]) -> String {
    let ephemeral = [9; 32];
    let mut blob = to.encrypt_oaep(hash, &ephemeral).unwrap();
    blob.extend(keywrap::wrap(&Secret::new(ephemeral), material).unwrap());
    b64(&blob)
}

/// Changes a key behind the engine's back.
fn change(trial: &mut Trial, name: &str, act: impl Fn(&mut KeyRow)) {
    trial
        .step(|work, _| {
            let mounts = Mounts::read(work)?;
            let entry = mounts.get("transit/").unwrap().entry(&["key", name]);
            let mut row: KeyRow = work.read(&entry)?.unwrap();
            act(&mut row);
            work.put(&entry, &row)
        })
        .unwrap();
}
