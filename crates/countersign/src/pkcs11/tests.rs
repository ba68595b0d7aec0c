//! What becomes of a library that crashes, and what is said of a token that is not there. Tokens that are: the suite `softhsm`.

use super::{Answer, Pkcs11Token, Question, answered};
use countersign_base::Secret;
use countersign_control::seal::source::{Token, TokenError};
use countersign_crypto::Random;

fn token(program: &str) -> Pkcs11Token {
    Pkcs11Token {
        program: program.into(),
        library: "/nowhere/library.so".into(),
        token_label: "token".to_owned(),
        key_label: "key".to_owned(),
        pin: Secret::new("canary-pin".to_owned()),
        random: Random::system(),
    }
}

#[test]
fn a_process_that_ends_without_an_answer_is_a_token_that_is_away() {
    // One ends at once, one says something else, one is not there.
    for program in ["/bin/false", "/bin/cat", "/nowhere/program"] {
        let refused = token(program).wrap(&Secret::new([1; 32])).unwrap_err();
        let TokenError::Unavailable(text) = refused else {
            panic!("{program}: {refused}");
        };
        assert!(!text.contains("canary-pin"), "{text}");
    }
}

#[test]
fn a_library_that_is_not_there_is_named() {
    let question = Question {
        library: "/nowhere/library.so".into(),
        token_label: "token".to_owned(),
        key_label: "key".to_owned(),
        pin: "canary-pin".to_owned(),
        nonce: None,
        bytes: String::new(),
    };
    let Err(TokenError::Unavailable(text)) = answered(&question) else {
        panic!("nothing is there");
    };
    assert!(text.contains("/nowhere/library.so") && !text.contains("canary-pin"));
}

#[test]
fn answers_have_one_form() {
    let text = serde_json::to_string(&Answer::KeyMissing("none".to_owned())).unwrap();
    assert_eq!(text, r#"{"key_missing":"none"}"#);
}
