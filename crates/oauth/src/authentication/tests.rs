use super::AuthenticationMethod::{
    Federated, Passkey, PasskeyUserVerified, Password, RecoveryCode, Totp,
};
use super::*;

fn class(methods: &[AuthenticationMethod]) -> Option<Acr> {
    achieved(&methods.iter().copied().collect())
}

#[test]
fn the_class_follows_from_the_methods_that_were_used() {
    let one = Some(Acr::OneFactor);
    let two = Some(Acr::TwoFactors);
    let resistant = Some(Acr::PhishingResistant);
    for (methods, expected) in [
        (&[][..], None),
        (&[Password], one),
        (&[Federated], one),
        (&[Passkey], one),
        (&[RecoveryCode], one),
        (&[Totp], one),
        (&[Totp, RecoveryCode], one),
        (&[Federated, Password], one),
        (&[Totp, Passkey], one),
        (&[Password, Totp], two),
        (&[Password, RecoveryCode], two),
        (&[Federated, Totp], two),
        (&[PasskeyUserVerified], resistant),
        (&[Password, Passkey], resistant),
        (&[Federated, Passkey], resistant),
    ] {
        assert_eq!(class(methods), expected, "{methods:?}");
    }
}

#[test]
fn no_method_more_makes_a_class_weaker() {
    for first in AuthenticationMethod::ALL {
        for second in AuthenticationMethod::ALL {
            assert!(class(&[first]) <= class(&[first, second]));
        }
    }
}

#[test]
fn references_are_those_of_rfc_8176() {
    let amr = |methods: &[AuthenticationMethod]| {
        let authentication = Authentication::of(&methods.iter().copied().collect(), UnixTime(5));
        let texts: Vec<String> = authentication.amr.iter().map(ToString::to_string).collect();
        texts.join(" ")
    };
    assert_eq!(amr(&[Password]), "pwd");
    assert_eq!(amr(&[Password, Totp]), "mfa otp pwd");
    assert_eq!(amr(&[PasskeyUserVerified]), "mfa pop user");
    assert_eq!(amr(&[Federated]), "");
}

#[test]
fn stored_names_are_those_of_records() {
    for method in AuthenticationMethod::ALL {
        let json = serde_json::to_string(&method).unwrap();
        assert_eq!(json, format!("\"{}\"", method.as_str()));
    }
}
