use super::{Cost, PasswordError, PasswordHash, derive_key};
use countersign_base::Secret;
use proptest::prelude::*;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[test]
fn only_the_right_password_matches() {
    let hash = PasswordHash::create(&secret("correct horse"), [7; 16], &Cost::for_tests()).unwrap();
    assert!(hash.verify(&secret("correct horse")).is_ok());
    assert!(hash.verify(&secret("correct horsf")).is_err());
    assert!(hash.verify(&secret("")).is_err());
    assert!(
        PasswordHash::of_nobody(&Cost::for_tests())
            .verify(&secret("correct horse"))
            .is_err()
    );
}

#[test]
fn phc_form_is_stable() {
    let hash = PasswordHash::create(
        &secret("password"),
        *b"somesaltsomesalt",
        &Cost::for_tests(),
    )
    .unwrap();
    let text = hash.to_string();
    assert!(
        text.starts_with("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"),
        "{text}"
    );
    let again = PasswordHash::parse(&text).unwrap();
    assert_eq!(again.to_string(), text);
    assert!(again.verify(&secret("password")).is_ok());
}

/// RFC 9106 §5.3, which has a key and associated data, neither of which is used here: the library below is held to it.
#[test]
fn rfc9106_5_3() {
    use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .output_len(32)
        .data(AssociatedData::new(&[4; 12]).unwrap())
        .build()
        .unwrap();
    let argon2 =
        Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let mut tag = [0; 32];
    argon2
        .hash_password_into(&[1; 32], &[2; 16], &mut tag)
        .unwrap();
    let expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
    assert_eq!(hex(&tag), expected);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What OpenSSL derives (pyca/cryptography 48, `Argon2id`), the salt being 0, 1, ..., 15.
#[test]
fn keys_are_those_of_another_implementation() {
    let check = |password: &str, memory_kib, iterations, lanes, expected: &str| {
        let cost = Cost {
            memory_kib,
            iterations,
            lanes,
        };
        let salt = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let key = derive_key(&secret(password), &salt, &cost).unwrap();
        assert_eq!(hex(key.expose()), expected, "{cost:?}");
    };
    check(
        "correct horse",
        19_456,
        2,
        1,
        "d00b90c40f918cf889780d7d3a9ec3c2b1719df87dc5e4d4d93ea6163db04e17",
    );
    check(
        "correct horse",
        8,
        1,
        1,
        "3bfa796a86260b73457e1290b51695931a17e266f601d0fb45563e282fb6865b",
    );
    check(
        "p\u{e4}ssw\u{f6}rd",
        64,
        3,
        2,
        "588927b969320cbbf9cc13f9820270e54e6e34ea607eaec393e3326e315c61e5",
    );
}

#[test]
fn other_forms_and_costs_are_refused() {
    let good = PasswordHash::create(&secret("x"), [1; 16], &Cost::for_tests())
        .unwrap()
        .to_string();
    let check = |from: &str, to: &str, expected: PasswordError| {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        assert_eq!(PasswordHash::parse(&bad).unwrap_err(), expected, "{bad}");
    };
    check("argon2id", "argon2i", PasswordError::Format);
    check("argon2id", "scrypt", PasswordError::Format);
    check("v=19", "v=16", PasswordError::Format);
    check("m=8", "m=08", PasswordError::Format);
    check("m=8", "m=+8", PasswordError::Format);
    check("m=8", "m=4294967295", PasswordError::Cost);
    check("t=1", "t=1000000", PasswordError::Cost);
    check("p=1", "p=1,keyid=AAAA", PasswordError::Format);
    check("$argon2id", "argon2id", PasswordError::Format);
    assert!(PasswordHash::parse(&format!("{good}$AAAA")).is_err());
    assert!(PasswordHash::parse(&format!("{good}=")).is_err());
    assert!(PasswordHash::parse(&good).is_ok());
}

#[test]
fn lengths_are_bounded() {
    let check = |length: usize| {
        derive_key(&secret(&"x".repeat(length)), &[0; 16], &Cost::for_tests()).map(|_| ())
    };
    assert_eq!(check(0), Err(PasswordError::Length));
    assert_eq!(check(1024), Ok(()));
    assert_eq!(check(1025), Err(PasswordError::Length));
}

#[test]
fn debug_shows_the_cost_only() {
    let hash = PasswordHash::create(&secret("x"), [1; 16], &Cost::for_tests()).unwrap();
    assert_eq!(
        format!("{hash:?}"),
        "PasswordHash { cost: Cost { memory_kib: 8, iterations: 1, lanes: 1 }, .. }"
    );
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "(\\$?(argon2id|v=19|m=8,t=1,p=1|[A-Za-z0-9+/=,$]{0,30})){0,7}") {
        let _ = PasswordHash::parse(&text);
    }
}
