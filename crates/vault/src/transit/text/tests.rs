use super::{Marshaling, Tagged, What, parse, write};
use crate::VaultError;
use proptest::prelude::*;

fn check(what: What, text: &str, expected: &'static str) {
    assert_eq!(
        parse(what, Marshaling::Asn1, text),
        Err(VaultError::invalid(expected)),
        "{text:?}"
    );
}

#[test]
fn what_is_no_text_is_refused_with_the_texts_clients_know() {
    for text in [
        "",
        "vault:",
        "vault:1:AQ==",
        "VAULT:v1:AQ==",
        " vault:v1:AQ==",
    ] {
        check(What::Ciphertext, text, "invalid ciphertext: no prefix");
        check(What::Signature, text, "invalid signature: no prefix");
        check(What::Hmac, text, "invalid HMAC to verify: no prefix");
    }
    for text in ["vault:v", "vault:v1", "vault:v1AQ=="] {
        check(
            What::Ciphertext,
            text,
            "invalid ciphertext: wrong number of fields",
        );
        check(
            What::Signature,
            text,
            "invalid signature: wrong number of fields",
        );
        check(What::Hmac, text, "invalid HMAC: wrong number of fields");
    }
    for version in [
        "",
        "0",
        "01",
        "+1",
        "-1",
        "x",
        "1 ",
        "4294967296",
        "99999999999999999999",
        "١",
    ] {
        let text = format!("vault:v{version}:AQ==");
        check(
            What::Ciphertext,
            &text,
            "invalid ciphertext: version number could not be decoded",
        );
        check(
            What::Signature,
            &text,
            "invalid signature: version number could not be decoded",
        );
        check(
            What::Hmac,
            &text,
            "invalid HMAC: version number could not be decoded",
        );
    }
    for body in ["AQ", "AQ=", "AR==", "A_==", "AQ==\n", "AQ==:", "é"] {
        let text = format!("vault:v1:{body}");
        check(
            What::Ciphertext,
            &text,
            "invalid ciphertext: could not decode base64",
        );
        check(What::Signature, &text, "invalid base64 signature value");
        check(
            What::Hmac,
            &text,
            "unable to decode verification HMAC as base64",
        );
    }
    assert!(parse(What::Signature, Marshaling::Jws, "vault:v1:AQ==").is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read(version in 1u32.., body in proptest::collection::vec(any::<u8>(), 0..80)) {
        for marshaling in [Marshaling::Asn1, Marshaling::Jws] {
            let text = write(version, marshaling, &body);
            let read = parse(What::Signature, marshaling, &text);
            prop_assert_eq!(read, Ok(Tagged { version, body: body.clone() }));
        }
    }

    #[test]
    fn what_is_read_is_written_again(text in "vault:v[0-9+]{0,3}:[A-Za-z0-9+/=_-]{0,8}") {
        for marshaling in [Marshaling::Asn1, Marshaling::Jws] {
            if let Ok(tagged) = parse(What::Ciphertext, marshaling, &text) {
                prop_assert_eq!(write(tagged.version, marshaling, &tagged.body), text.clone());
            }
        }
    }
}
