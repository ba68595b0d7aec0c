use super::{
    EcdsaForm, KeyPair, KeyPairAlgorithm, KeyPairError, OaepHash, PssSalt, PublicKey,
    SignatureScheme, Signed, pem,
};
use crate::digest::HashAlgorithm;
use countersign_base::Secret;
use serde_json::Value;

const VECTORS: &str = include_str!("../../tests/vectors/keypair.json");

fn hex(text: &Value) -> Vec<u8> {
    text.as_str()
        .unwrap()
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn hash(value: &Value) -> HashAlgorithm {
    HashAlgorithm::from_name(value["hash"].as_str().unwrap()).unwrap()
}

fn algorithm(key: &Value) -> KeyPairAlgorithm {
    match key["name"].as_str().unwrap() {
        "P-256" => KeyPairAlgorithm::EcdsaP256,
        "P-384" => KeyPairAlgorithm::EcdsaP384,
        "P-521" => KeyPairAlgorithm::EcdsaP521,
        "Ed25519" => KeyPairAlgorithm::Ed25519,
        "RSA-2048" => KeyPairAlgorithm::Rsa2048,
        "RSA-3072" => KeyPairAlgorithm::Rsa3072,
        "RSA-4096" => KeyPairAlgorithm::Rsa4096,
        other => panic!("{other}"),
    }
}

/// Each key of the vectors with what it is.
fn keys() -> Vec<(KeyPairAlgorithm, Value)> {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let keys: Vec<_> = vectors["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (algorithm(key), key.clone()))
        .collect();
    let mut found: Vec<_> = keys.iter().map(|(algorithm, _)| *algorithm).collect();
    found.sort();
    assert_eq!(found, KeyPairAlgorithm::ALL);
    keys
}

fn pair(algorithm: KeyPairAlgorithm, key: &Value) -> KeyPair {
    KeyPair::from_der(algorithm, &Secret::new(hex(&key["pkcs8"]))).unwrap()
}

/// Every scheme a signature of the vectors stands for, with the signature.
fn signatures(algorithm: KeyPairAlgorithm, key: &Value) -> Vec<(SignatureScheme, Vec<u8>)> {
    let mut all = Vec::new();
    for one in key["signatures"].as_array().unwrap() {
        match algorithm {
            KeyPairAlgorithm::Ed25519 => {
                all.push((SignatureScheme::Ed25519, hex(&one["signature"])));
            }
            KeyPairAlgorithm::EcdsaP256
            | KeyPairAlgorithm::EcdsaP384
            | KeyPairAlgorithm::EcdsaP521 => {
                for (form, name) in [(EcdsaForm::Asn1, "asn1"), (EcdsaForm::Fixed, "fixed")] {
                    let hash = hash(one);
                    all.push((SignatureScheme::Ecdsa { hash, form }, hex(&one[name])));
                }
            }
            KeyPairAlgorithm::Rsa2048 | KeyPairAlgorithm::Rsa3072 | KeyPairAlgorithm::Rsa4096 => {
                let hash = hash(one);
                all.push((SignatureScheme::RsaPkcs1v15 { hash }, hex(&one["pkcs1v15"])));
                for (salt, name) in [
                    (PssSalt::Longest, "pss-longest"),
                    (PssSalt::Longest, "pss-hash"),
                    (PssSalt::Hash, "pss-hash"),
                    (PssSalt::None, "pss-none"),
                ] {
                    all.push((SignatureScheme::RsaPss { hash, salt }, hex(&one[name])));
                }
            }
        }
    }
    all
}

const MESSAGE: &[u8] = b"what another implementation signed";

#[test]
fn keys_are_read_and_written_as_others_do() {
    for (algorithm, key) in keys() {
        let pair = pair(algorithm, &key);
        assert_eq!(pair.algorithm(), algorithm);
        let public = pair.public_key().unwrap();
        assert_eq!(public.spki(), hex(&key["spki"]), "{algorithm:?}");
        assert_eq!(public.to_pem(), key["pem"].as_str().unwrap());
        assert!(PublicKey::from_spki(algorithm, public.spki()).unwrap() == public);
        let (label, der) = pair.to_traditional_der().unwrap();
        if let Some(expected) = key["traditional"].as_str() {
            assert_eq!(pem(label, der.expose()).expose(), expected, "{algorithm:?}");
            let again = KeyPair::from_der(algorithm, &der).unwrap();
            assert!(again.public_key().unwrap() == public, "{algorithm:?}");
        }
        let again = KeyPair::from_der(algorithm, &pair.to_pkcs8().unwrap()).unwrap();
        assert!(again.public_key().unwrap() == public);
        assert_eq!(format!("{pair:?}"), format!("KeyPair({algorithm:?})"));
    }
}

#[test]
fn a_key_of_one_algorithm_is_none_of_another() {
    let keys = keys();
    for (algorithm, key) in &keys {
        for (other, _) in &keys {
            let pkcs8 = Secret::new(hex(&key["pkcs8"]));
            assert_eq!(
                KeyPair::from_der(*other, &pkcs8).is_ok(),
                algorithm == other
            );
            let spki = hex(&key["spki"]);
            assert_eq!(
                PublicKey::from_spki(*other, &spki).is_ok(),
                algorithm == other,
                "{algorithm:?} {other:?}"
            );
        }
    }
    for broken in [vec![], vec![0; 48], hex(&keys[0].1["pkcs8"])[..60].to_vec()] {
        for algorithm in KeyPairAlgorithm::ALL {
            assert!(KeyPair::from_der(algorithm, &Secret::new(broken.clone())).is_err());
            assert!(PublicKey::from_spki(algorithm, &broken).is_err());
        }
    }
}

#[test]
fn signatures_of_another_implementation_hold() {
    for (algorithm, key) in keys() {
        let public = pair(algorithm, &key).public_key().unwrap();
        for (scheme, signature) in signatures(algorithm, &key) {
            let verify = |message: &[u8], signature: &[u8]| {
                public
                    .verify(scheme, Signed::Message(message), signature)
                    .is_ok()
            };
            assert!(verify(MESSAGE, &signature), "{algorithm:?} {scheme:?}");
            assert!(!verify(b"another", &signature));
            assert!(!verify(MESSAGE, &[]));
            for position in [0, signature.len() / 2, signature.len() - 1] {
                let mut changed = signature.clone();
                changed[position] ^= 1;
                assert!(!verify(MESSAGE, &changed), "{scheme:?} {position}");
            }
        }
    }
}

#[test]
fn what_is_signed_is_verified_with_message_and_with_digest() {
    for (algorithm, key) in keys() {
        let pair = pair(algorithm, &key);
        let public = pair.public_key().unwrap();
        for (scheme, _) in signatures(algorithm, &key) {
            let signature = pair.sign(scheme, Signed::Message(MESSAGE)).unwrap();
            let holds = |what| public.verify(scheme, what, &signature).is_ok();
            assert!(holds(Signed::Message(MESSAGE)), "{algorithm:?} {scheme:?}");
            let (SignatureScheme::Ecdsa { hash, .. }
            | SignatureScheme::RsaPkcs1v15 { hash }
            | SignatureScheme::RsaPss { hash, .. }) = scheme
            else {
                continue;
            };
            let digest = hash.hash(&[MESSAGE]);
            assert!(holds(Signed::Digest(&digest)), "{algorithm:?} {scheme:?}");
            let prehashed = pair.sign(scheme, Signed::Digest(&digest)).unwrap();
            assert!(
                public
                    .verify(scheme, Signed::Message(MESSAGE), &prehashed)
                    .is_ok()
            );
            assert_eq!(
                pair.sign(scheme, Signed::Digest(&digest[1..])),
                Err(KeyPairError::DigestLength)
            );
        }
    }
}

/// A signature in one form is none in the other, and one under one hash none under another.
#[test]
fn schemes_are_not_mixed() {
    for (algorithm, key) in keys() {
        let pair = pair(algorithm, &key);
        let public = pair.public_key().unwrap();
        let all = signatures(algorithm, &key);
        for (scheme, signature) in &all {
            for (other, _) in &all {
                let longest_reads_hash = |scheme: &SignatureScheme| match scheme {
                    SignatureScheme::RsaPss {
                        hash,
                        salt: PssSalt::Longest | PssSalt::Hash,
                    } => Some(*hash),
                    _ => None,
                };
                let related = longest_reads_hash(scheme).is_some()
                    && longest_reads_hash(scheme) == longest_reads_hash(other);
                if scheme != other && !related {
                    let judged = public.verify(*other, Signed::Message(MESSAGE), signature);
                    assert!(judged.is_err(), "{algorithm:?} {scheme:?} {other:?}");
                }
            }
        }
    }
}

#[test]
fn a_scheme_of_another_type_is_refused() {
    let hash = HashAlgorithm::Sha2_256;
    let schemes = [
        SignatureScheme::Ed25519,
        SignatureScheme::Ecdsa {
            hash,
            form: EcdsaForm::Asn1,
        },
        SignatureScheme::RsaPkcs1v15 { hash },
        SignatureScheme::RsaPss {
            hash,
            salt: PssSalt::Hash,
        },
    ];
    for (algorithm, key) in keys() {
        let pair = pair(algorithm, &key);
        let public = pair.public_key().unwrap();
        for (at, scheme) in schemes.into_iter().enumerate() {
            let own = match algorithm {
                KeyPairAlgorithm::Ed25519 => at == 0,
                KeyPairAlgorithm::EcdsaP256
                | KeyPairAlgorithm::EcdsaP384
                | KeyPairAlgorithm::EcdsaP521 => at == 1,
                KeyPairAlgorithm::Rsa2048
                | KeyPairAlgorithm::Rsa3072
                | KeyPairAlgorithm::Rsa4096 => at > 1,
            };
            if !own {
                let what = Signed::Message(MESSAGE);
                let refused = pair.sign(scheme, what).unwrap_err();
                assert!(matches!(refused, KeyPairError::Unsupported(_)));
                let refused = public.verify(scheme, what, &[0; 64]).unwrap_err();
                assert!(matches!(refused, KeyPairError::Unsupported(_)));
            }
        }
    }
    let (algorithm, key) = &keys()[4];
    let refused = pair(*algorithm, key)
        .sign(
            SignatureScheme::RsaPkcs1v15 {
                hash: HashAlgorithm::Sha3_256,
            },
            Signed::Message(MESSAGE),
        )
        .unwrap_err();
    assert!(matches!(refused, KeyPairError::Unsupported(_)));
}

/// RFC 8032 §7.1, test 2; the digest of a message is none of its own.
#[test]
fn ed25519_of_a_seed() {
    let seed: [u8; 32] = hex(&Value::from(
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    ))
    .try_into()
    .unwrap();
    let pair = KeyPair::from_ed25519_seed(&Secret::new(seed)).unwrap();
    let public = pair.public_key().unwrap();
    assert_eq!(
        public.ed25519_bytes().unwrap().to_vec(),
        hex(&Value::from(
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        ))
    );
    assert_eq!(
        pair.sign(SignatureScheme::Ed25519, Signed::Message(&[0x72]))
            .unwrap(),
        hex(&Value::from(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ))
    );
    assert_eq!(*pair.ed25519_seed().unwrap().expose(), seed);
    assert!(
        pair.sign(SignatureScheme::Ed25519, Signed::Digest(&[0; 64]))
            .is_err()
    );
}

#[test]
fn oaep_opens_what_another_implementation_encrypted() {
    for (algorithm, key) in keys() {
        let pair = pair(algorithm, &key);
        let public = pair.public_key().unwrap();
        let Some(encrypted) = key["oaep"].as_array() else {
            assert!(pair.decrypt_oaep(OaepHash::Sha256, &[0; 256]).is_err());
            assert!(public.encrypt_oaep(OaepHash::Sha256, b"x").is_err());
            continue;
        };
        for one in encrypted {
            let hash = match one["hash"].as_str().unwrap() {
                "sha2-256" => OaepHash::Sha256,
                "sha2-384" => OaepHash::Sha384,
                _ => OaepHash::Sha512,
            };
            let mut ciphertext = hex(&one["ciphertext"]);
            let opened = pair.decrypt_oaep(hash, &ciphertext).unwrap();
            assert_eq!(opened.expose(), MESSAGE);
            let own = public.encrypt_oaep(hash, b"").unwrap();
            assert!(pair.decrypt_oaep(hash, &own).unwrap().expose().is_empty());
            ciphertext[9] ^= 1;
            assert!(pair.decrypt_oaep(hash, &ciphertext).is_err());
            assert!(pair.decrypt_oaep(hash, &ciphertext[1..]).is_err());
            assert!(public.encrypt_oaep(hash, &[0; 512]).is_err());
        }
    }
}

#[test]
fn new_keys_are_of_their_algorithm() {
    // RSA of 3072 and 4096 bits takes seconds to make; the vectors above have keys of those sizes.
    for algorithm in [
        KeyPairAlgorithm::EcdsaP256,
        KeyPairAlgorithm::EcdsaP384,
        KeyPairAlgorithm::EcdsaP521,
        KeyPairAlgorithm::Ed25519,
        KeyPairAlgorithm::Rsa2048,
    ] {
        let made = algorithm.generate().unwrap();
        let again = KeyPair::from_der(algorithm, &made.to_pkcs8().unwrap()).unwrap();
        assert!(again.public_key().unwrap() == made.public_key().unwrap());
        let other = algorithm.generate().unwrap();
        assert!(other.public_key().unwrap() != made.public_key().unwrap());
    }
}

#[test]
fn a_public_key_is_read_from_pem_and_from_jose() {
    for algorithm in [
        KeyPairAlgorithm::EcdsaP256,
        KeyPairAlgorithm::Ed25519,
        KeyPairAlgorithm::Rsa2048,
    ] {
        let public = algorithm.generate().unwrap().public_key().unwrap();
        let pem = public.to_pem();
        assert_eq!(PublicKey::from_pem(pem.as_bytes()), Ok(public.clone()));
        let jwk = crate::jose::PublicJwk::from_pem(pem.as_bytes()).unwrap();
        assert_eq!(PublicKey::from_jwk(&jwk), Ok(public));
    }
    let p384 = KeyPairAlgorithm::EcdsaP384.generate().unwrap();
    let public = p384.public_key().unwrap();
    assert_eq!(PublicKey::from_pem(public.to_pem().as_bytes()), Ok(public));
    assert_eq!(
        PublicKey::from_pem(b"-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n"),
        Err(KeyPairError::Rejected)
    );
}
