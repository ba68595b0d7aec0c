use super::{Due, STORED_BYTES_MAX, StoredHash};
use crate::password::{Cost, PasswordError, PasswordHash};
use countersign_base::Secret;
use proptest::prelude::*;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// The password matches the hash, and one that differs in its last character does not.
fn check(password: &str, text: &str) {
    let hash = StoredHash::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert!(hash.verify(&secret(password)).is_ok(), "{text}");
    let (rest, _last) = password.split_at(password.len() - 1);
    assert!(hash.verify(&secret(&format!("{rest}~"))).is_err(), "{text}");
    assert!(hash.verify(&secret("")).is_err(), "{text}");
    let again = StoredHash::parse(&text.replacen("$2a$", "$2b$", 1)).unwrap();
    assert!(again.verify(&secret(password)).is_ok(), "{text}");
}

fn refused(text: &str, expected: PasswordError) {
    assert_eq!(StoredHash::parse(text).unwrap_err(), expected, "{text}");
}

/// What bcrypt looks at of the longest password in the test vectors of crypt_blowfish.
const SEVENTY_TWO: &str =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const OF_SEVENTY_TWO: &str = "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";

/// From the test vectors of jBCrypt (the first two) and crypt_blowfish.
#[test]
fn bcrypt_as_published() {
    for (password, text) in [
        (
            "a",
            "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
        ),
        (
            "abcdefghijklmnopqrstuvwxyz",
            "$2a$08$aTsUwsyowQuzRrDqFflhgekJ8d9/7Z3GV3UcgvzQW3J5zMyrTvlz.",
        ),
        (
            "U*U",
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        ),
        (
            "U*U*U",
            "$2y$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a",
        ),
        (SEVENTY_TWO, OF_SEVENTY_TWO),
    ] {
        check(password, text);
    }
}

#[test]
fn bcrypt_cuts_no_password_short() {
    let hash = StoredHash::parse(OF_SEVENTY_TWO).unwrap();
    assert!(hash.verify(&secret(SEVENTY_TWO)).is_ok());
    let longer = format!("{SEVENTY_TWO}chars after 72 are ignored");
    assert!(hash.verify(&secret(&longer)).is_err());
    let hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    let hash = StoredHash::parse(hash).unwrap();
    assert!(hash.verify(&secret("U*U\0more")).is_err());
    assert!(hash.verify(&secret("U*U\0")).is_err());
}

/// RFC 7914 §11, and the same function in the forms of passlib and Django.
#[test]
fn pbkdf2_as_published() {
    let rfc_7914 = [
        (
            "passwd",
            "1$c2FsdA$VawEblbjCJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLxJypzM8Xm2RZkWZLOdd+8xfHG4RbHjC9UJESBB06GXgw",
        ),
        (
            "Password",
            "80000$TmFDbA$TdzY9guYviGDDO5e8icB+WQaRBjQTAQUrv8Ih2s0q1ah1CWhIlgzVJrbhBtRybMXaicr3ruh0HhHj2Kzl/M8jQ",
        ),
    ];
    for (password, rest) in rfc_7914 {
        check(password, &format!("$pbkdf2-sha256${rest}"));
        check(password, &format!("$pbkdf2-sha256$i={rest}"));
        check(
            password,
            &format!("$pbkdf2-sha256$i={}", rest.replacen('$', ",l=64$", 1)),
        );
        check(
            password,
            &format!("$pbkdf2-sha256${}", rest.replace('+', ".")),
        );
    }
    check(
        "password",
        "$pbkdf2-sha512$i=1,l=64$c2FsdA$hn9wzxreAs/zdSWZo6U9xK80x6ZpgVrl1RNVThyM8lLALUcKKFoFAbrZmb/pQ8CPBQI119aLHaVeY/c7YKV/zg",
    );
    check(
        "passwordPASSWORDpassword",
        "$pbkdf2-sha512$4096$c2FsdFNBTFRzYWx0U0FMVHNhbHRTQUxUc2FsdFNBTFRzYWx0$jAUR9Mbll8asYxXY8DYuIl88UBSVuiO4aMAFF03E7nERW1n55gzZUy+jPg91rv4wIlxYOhhs2CvU2uqXJKPTuA",
    );
    // Django's own test of its hasher.
    check(
        "password",
        "pbkdf2_sha256$10000$seasalt$p2Nf8SH5q1HFJUvFvVd4Nj71pVA5fI7cpL2WDbb86bc=",
    );
}

#[test]
fn a_long_password_of_pbkdf2_counts_to_its_end() {
    let hash = StoredHash::parse(
        "pbkdf2_sha256$10000$seasalt$p2Nf8SH5q1HFJUvFvVd4Nj71pVA5fI7cpL2WDbb86bc=",
    )
    .unwrap();
    assert!(hash.verify(&secret("password\0")).is_err());
    assert!(hash.verify(&secret(&"x".repeat(1025))).is_err());
}

#[test]
fn what_costs_too_much_or_has_another_form_is_refused() {
    use PasswordError::{Foreign, ForeignCost};
    let good = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    assert!(StoredHash::parse(good).is_ok());
    refused(&good.replace("$05$", "$15$"), ForeignCost);
    refused(&good.replace("$05$", "$31$"), ForeignCost);
    refused(&good.replace("$05$", "$03$"), ForeignCost);
    refused(&good.replace("$05$", "$5$"), Foreign);
    refused(&good.replace("$05$", "$+5$"), Foreign);
    refused(&good.replace("$2b$", "$2x$"), Foreign);
    refused(&good.replace("$2b$", "$2$"), Foreign);
    refused(&format!("{good}A"), Foreign);
    refused(good.strip_suffix('W').unwrap(), Foreign);
    refused(&good.replace("CC.E5", "C!.E5"), Foreign);
    let good = "$pbkdf2-sha256$1000$c2FsdA$VawEblbjCJ/sFpHCJUS2Bf";
    refused(good, Foreign);
    let good = format!("$pbkdf2-sha256$1000$c2FsdA${}", "A".repeat(43));
    assert!(StoredHash::parse(&good).is_ok());
    refused(&good.replace("$1000$", "$0$"), Foreign);
    refused(&good.replace("$1000$", "$01000$"), Foreign);
    refused(&good.replace("$1000$", "$$"), Foreign);
    refused(&good.replace("$1000$", "$2000001$"), ForeignCost);
    refused(&good.replace("$1000$", "$99999999999$"), ForeignCost);
    refused(&good.replace("$1000$", "$i=1000,l=64$"), Foreign);
    refused(&good.replace("$c2FsdA$", "$$"), Foreign);
    refused(&good.replace("sha256", "sha1"), Foreign);
    refused("pbkdf2_sha1$1000$salt$AAAA", Foreign);
    refused("", Foreign);
    refused("plain", Foreign);
    refused("{SSHA}abc", Foreign);
    refused(&format!("{good}{}", "A".repeat(STORED_BYTES_MAX)), Foreign);
    refused(
        "$argon2id$v=19$m=4294967295,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
        PasswordError::Cost,
    );
}

#[test]
fn what_is_weaker_than_today_is_due() {
    let cost = |memory_kib, iterations| Cost {
        memory_kib,
        iterations,
        lanes: 1,
    };
    let due = |cost: Cost, today: Cost| {
        let hash = PasswordHash::of_nobody(&cost);
        StoredHash::from(hash).due(&today)
    };
    let owasp = Cost::owasp();
    assert_eq!(due(owasp, owasp), Due::No);
    assert_eq!(due(cost(19_455, 2), owasp), Due::Yes);
    assert_eq!(due(cost(19_456, 1), owasp), Due::Yes);
    assert_eq!(due(Cost::for_tests(), owasp), Due::Yes);
    assert_eq!(due(cost(47_104, 1), owasp), Due::No);
    assert_eq!(due(cost(65_536, 3), owasp), Due::No);
    let bcrypt = "$2b$14$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    assert_eq!(
        StoredHash::parse(bcrypt).unwrap().due(&Cost::for_tests()),
        Due::Yes
    );
}

#[test]
fn a_hash_is_not_shown() {
    let text = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    assert_eq!(
        format!("{:?}", StoredHash::parse(text).unwrap()),
        "StoredHash(bcrypt)"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\$?(2[aby]|pbkdf2[-_]sha(256|512)|argon2id)?[$0-9a-z=,.+/A-Z]{0,90}") {
        let _any = StoredHash::parse(&text);
    }
}
