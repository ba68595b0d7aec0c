//! What of a published set becomes a key of a source, and what never does.

use super::super::tests::text;
use super::super::{
    Content, EcdsaEncoding, Encoding, FieldRules, HmacHash, HmacRules, HttpSignatureRules,
    JwsRules, JwsTime, PublicKeyRules, Scheme,
};
use countersign_crypto::jose::{
    Algorithm, EncryptionKeyType, JWKS_KEYS_MAX, KeyAlgorithm, PrivateJwk,
};
use serde_json::{Value, json};

fn jws() -> Scheme {
    Scheme::JwsDetached(JwsRules {
        field: "x-jws".parse().unwrap(),
        time: JwsTime::IssuedAt,
    })
}

fn fields() -> FieldRules {
    FieldRules {
        field: "x-signature".parse().unwrap(),
        encoding: Encoding::Hex,
        prefix: String::new(),
        content: Content::Body,
    }
}

fn generated(algorithm: KeyAlgorithm, kid: &str) -> PrivateJwk {
    PrivateJwk::generate(algorithm, Some(kid.parse().unwrap())).unwrap()
}

fn public(algorithm: Algorithm, kid: &str) -> Value {
    generated(KeyAlgorithm::Signature(algorithm), kid)
        .public()
        .clone()
}

fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

/// The names of the keys that a scheme takes out of a set.
#[track_caller]
fn taken(scheme: &Scheme, keys: &[Value]) -> Vec<Option<String>> {
    let set = json!({ "keys": keys }).to_string();
    let taken = scheme.keys_of_set(set.as_bytes()).unwrap();
    for key in &taken {
        assert!(scheme.key(key).is_ok());
    }
    taken.into_iter().map(|key| key.id).collect()
}

#[test]
fn each_key_is_taken_under_its_name() {
    let keys = [
        public(Algorithm::EdDsa, "one"),
        public(Algorithm::Es256, "two"),
        public(Algorithm::Ps256, "three"),
    ];
    let names = ["one", "two", "three"].map(|name| Some(name.to_owned()));
    assert_eq!(taken(&jws(), &keys), names);
}

#[test]
fn what_cannot_be_used_is_passed_over_and_takes_nothing_along() {
    let good = || public(Algorithm::EdDsa, "good");
    let private = generated(KeyAlgorithm::Signature(Algorithm::EdDsa), "private");
    let private = private.to_private_json().unwrap();
    let private: Value = serde_json::from_str(private.expose()).unwrap();
    let encryption = KeyAlgorithm::Encryption(EncryptionKeyType::P256);
    for bad in [
        json!({ "kty": "oct", "kid": "shared", "k": "AAECAwQFBgcICQoLDA0ODw" }),
        json!({ "kty": "oct", "kid": "shared", "alg": "HS256", "use": "sig", "k": "AAECAwQFBgcICQoLDA0ODw" }),
        private,
        generated(encryption, "enc").public().clone(),
        with(good(), "use", "enc".into()),
        with(good(), "key_ops", json!(["encrypt"])),
        with(good(), "alg", "ES256".into()),
        with(good(), "alg", "HS256".into()),
        with(good(), "alg", json!(["EdDSA"])),
        with(good(), "kid", json!(7)),
        with(public(Algorithm::Ps256, "rsa"), "alg", "RS256".into()),
        json!({ "kty": "EC", "crv": "P-999", "x": "AA", "y": "AA" }),
        json!("a string"),
    ] {
        assert_eq!(taken(&jws(), std::slice::from_ref(&bad)), [], "{bad}");
        let names = taken(&jws(), &[bad.clone(), good()]);
        assert_eq!(names, [Some("good".to_owned())], "{bad}");
    }
}

#[test]
fn what_everybody_can_read_never_becomes_a_secret() {
    let hmac = Scheme::Hmac(HmacRules {
        hash: HmacHash::Sha256,
        fields: fields(),
    });
    let keys = [
        public(Algorithm::EdDsa, "one"),
        json!({ "kty": "oct", "kid": "shared", "k": "AAECAwQFBgcICQoLDA0ODw" }),
    ];
    for scheme in Scheme::FIXED.into_iter().chain([hmac]) {
        assert!(!scheme.takes_key_sets());
        assert_eq!(taken(&scheme, &keys), [], "{}", scheme.name());
        // The twin without this rule: the text of a JWK is a secret like every other text.
        let jwk = text(&keys[0].to_string());
        let as_secret = scheme.key(&jwk).is_ok();
        let standard = matches!(scheme, Scheme::StandardWebhooks | Scheme::Svix);
        assert_ne!(as_secret, standard, "{}", scheme.name());
    }
    let asymmetric = [
        jws(),
        Scheme::HttpSignature(HttpSignatureRules::webhook()),
        Scheme::PublicKey(PublicKeyRules {
            ecdsa: EcdsaEncoding::Asn1,
            fields: fields(),
        }),
    ];
    for scheme in asymmetric {
        assert!(scheme.takes_key_sets());
        assert_eq!(taken(&scheme, &keys).len(), 1, "{}", scheme.name());
    }
}

#[test]
fn what_is_no_set_is_refused_whole() {
    let many = vec![public(Algorithm::EdDsa, "one"); JWKS_KEYS_MAX + 1];
    for text in [
        String::new(),
        "{}".to_owned(),
        r#"{"keys":{}}"#.to_owned(),
        r#"{"keys":[],"keys":[]}"#.to_owned(),
        "[]".to_owned(),
        json!({ "keys": many }).to_string(),
        format!(r#"{{"keys":[],"pad":"{}"}}"#, "x".repeat(64 * 1024)),
    ] {
        assert!(jws().keys_of_set(text.as_bytes()).is_err(), "{text:.40}");
    }
    assert_eq!(taken(&jws(), &many[1..]).len(), JWKS_KEYS_MAX);
}
