use super::*;
use crate::fixture::{CHALLENGE, VERIFIER};

#[test]
fn r7_the_vector_of_rfc_7636_appendix_b_holds() {
    let challenge: CodeChallenge = CHALLENGE.parse().unwrap();
    assert!(challenge.verify(&VERIFIER.parse().unwrap()).is_ok());
    let other: CodeVerifier = "x".repeat(43).parse().unwrap();
    assert!(challenge.verify(&other).is_err());
    // The plain method would have accepted the challenge itself.
    assert!(challenge.verify(&CHALLENGE.parse().unwrap()).is_err());
}

#[test]
fn challenges_and_verifiers_keep_their_grammar() {
    for text in [
        "",
        "short",
        &"a".repeat(42),
        &"a".repeat(44),
        &format!("{}=", "a".repeat(42)),
        &format!("{}+", "a".repeat(42)),
    ] {
        assert!(text.parse::<CodeChallenge>().is_err(), "{text}");
    }
    for text in [
        "",
        &"a".repeat(42),
        &"a".repeat(129),
        &format!("{} ", "a".repeat(43)),
    ] {
        assert!(text.parse::<CodeVerifier>().is_err(), "{text}");
    }
    assert!("a".repeat(43).parse::<CodeVerifier>().is_ok());
    assert!("~._-".repeat(32).parse::<CodeVerifier>().is_ok());
}
