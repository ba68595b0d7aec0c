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
