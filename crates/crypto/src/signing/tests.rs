use super::{AccessToken, IdToken, LogCheckpoint, Purpose as _, SigningKey, generate_pkcs8};
use crate::jose::{Algorithm, JoseError, Jws, sign_jwt};
use countersign_base::Secret;
use serde_json::json;

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// RFC 8032 §7.1, test 2.
#[test]
fn rfc8032_test_2() {
    let seed = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let pkcs8 = Secret::new([hex("302e020100300506032b657004220420"), seed].concat());
    let key =
        SigningKey::<LogCheckpoint>::from_pkcs8(Algorithm::EdDsa, "log".parse().unwrap(), &pkcs8)
            .unwrap();
    assert_eq!(
        key.public_jwk().as_ed25519().unwrap().to_vec(),
        hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    );
    let signature = key.sign(&[0x72]).unwrap();
    assert_eq!(
        signature,
        hex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        )
    );
    assert!(
        key.verifying_key()
            .unwrap()
            .verify(&[0x72], &signature)
            .is_ok()
    );
    assert!(
        key.verifying_key()
            .unwrap()
            .verify(&[0x73], &signature)
            .is_err()
    );
}

#[test]
fn every_algorithm_signs_what_its_key_verifies() {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::<LogCheckpoint>::from_pkcs8(
            algorithm,
            "k".parse().unwrap(),
            &generate_pkcs8(algorithm).unwrap(),
        )
        .unwrap();
        let signature = key.sign(b"message").unwrap();
        let verifying = key.verifying_key().unwrap();
        assert!(
            verifying.verify(b"message", &signature).is_ok(),
            "{algorithm}"
        );
        for position in 0..signature.len() {
            let mut changed = signature.clone();
            changed[position] ^= 1;
            assert!(
                verifying.verify(b"message", &changed).is_err(),
                "{algorithm} {position}"
            );
        }
        assert!(
            verifying.verify(b"messagf", &signature).is_err(),
            "{algorithm}"
        );
        assert!(verifying.verify(b"message", &[]).is_err(), "{algorithm}");
    }
}

/// The token says what it is for; a key of one purpose cannot be given where another is asked, which the compile-fail tests show.
#[test]
fn r50_the_purpose_is_in_the_header() {
    let pkcs8 = generate_pkcs8(Algorithm::Es256).unwrap();
    let access =
        SigningKey::<AccessToken>::from_pkcs8(Algorithm::Es256, "k".parse().unwrap(), &pkcs8)
            .unwrap();
    let id =
        SigningKey::<IdToken>::from_pkcs8(Algorithm::Es256, "k".parse().unwrap(), &pkcs8).unwrap();
    let typ = |token: String| {
        Jws::parse(&token)
            .unwrap()
            .header()
            .typ()
            .map(str::to_owned)
    };
    assert_eq!(
        typ(sign_jwt(&access, &json!({})).unwrap()).as_deref(),
        AccessToken::TYP
    );
    assert_eq!(
        typ(sign_jwt(&id, &json!({})).unwrap()).as_deref(),
        IdToken::TYP
    );
}

#[test]
fn a_key_of_another_algorithm_is_refused() {
    let ed = generate_pkcs8(Algorithm::EdDsa).unwrap();
    for algorithm in [Algorithm::Es256, Algorithm::Ps256, Algorithm::Rs256] {
        let refused = SigningKey::<AccessToken>::from_pkcs8(algorithm, "k".parse().unwrap(), &ed)
            .unwrap_err();
        assert!(matches!(refused, JoseError::Key(_)), "{algorithm}");
    }
    assert!(
        SigningKey::<AccessToken>::from_pkcs8(Algorithm::EdDsa, "k".parse().unwrap(), &ed).is_ok()
    );
    assert!(
        SigningKey::<AccessToken>::from_pkcs8(
            Algorithm::EdDsa,
            "k".parse().unwrap(),
            &Secret::new(vec![0; 48])
        )
        .is_err()
    );
}

#[test]
fn debug_shows_the_name_only() {
    let key = SigningKey::<AccessToken>::from_pkcs8(
        Algorithm::Es256,
        "k1".parse().unwrap(),
        &generate_pkcs8(Algorithm::Es256).unwrap(),
    )
    .unwrap();
    assert_eq!(format!("{key:?}"), "SigningKey<AccessToken>(k1)");
}
