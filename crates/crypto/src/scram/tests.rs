use super::*;

/// The exchange of RFC 7677 §3: user `user`, password `pencil`.
const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const AUTH_MESSAGE: &str = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const CLIENT_PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_SIGNATURE: &str = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

#[test]
fn the_exchange_of_rfc_7677_holds_with_what_is_kept() {
    let kept = salted(
        &Secret::new("pencil".to_owned()),
        &base64::decode(SALT).unwrap(),
    )
    .unwrap();
    let keys = kept
        .expose()
        .strip_prefix(&format!("SCRAM-SHA-256$4096:{SALT}$"))
        .unwrap();
    let (stored, server) = keys.split_once(':').unwrap();
    let stored = base64::decode(stored).unwrap();
    let sign =
        |key: &[u8]| HmacKey::new(HashAlgorithm::Sha2_256, key).tag(&[AUTH_MESSAGE.as_bytes()]);
    assert_eq!(
        base64::encode(&sign(&base64::decode(server).unwrap())),
        SERVER_SIGNATURE
    );
    let proof = base64::decode(CLIENT_PROOF).unwrap();
    let client: Vec<u8> = sign(&stored)
        .iter()
        .zip(proof)
        .map(|(a, b)| a ^ b)
        .collect();
    assert_eq!(digest::sha256(&client).as_slice(), stored);
}

#[test]
fn salts_differ_and_other_characters_are_refused() {
    let of = |password: &str| verifier(&Secret::new(password.to_owned()), &Random::system());
    assert_ne!(
        of("pencil").unwrap().expose(),
        of("pencil").unwrap().expose()
    );
    assert!(of("pencil ~").is_ok());
    for refused in ["p\u{e9}ncil", "pencil\n", "\u{0}"] {
        assert!(of(refused).is_err());
    }
}
