//! Hashes that other systems made: they let their people in, once, and are ours from then on.

use super::authenticator::PasskeyForm;
use super::browser::{Browser, Form, query};
use super::harness::{PASSWORD, Server, escape};
use super::second_factors::{asked, credentials, enrol_passkey};
use countersign_oauth::StoredPassword;
use http::StatusCode;

/// Of the tests' password.
const BCRYPT: &str = "$2b$04$CCCCCCCCCCCCCCCCCCCCC.0uP/2zHIr81tVya45gVnDFLBmqu9l4W";

async fn give(server: &Server, hash: &str) {
    let hash = StoredPassword::new(hash.to_owned());
    server
        .change_user("alice", |alice| alice.password = Some(hash))
        .await;
}

async fn hash_of(server: &Server) -> String {
    let password = server.user("alice").await.password;
    password.unwrap().phc().to_owned()
}

#[tokio::test]
async fn an_imported_hash_is_ours_after_the_next_sign_in() {
    let server = Server::start().await;
    give(&server, BCRYPT).await;
    let mut browser = Browser::default();
    let page = browser
        .get(&server, &format!("/authorize?{}", query("")))
        .await;
    let wrong = format!("username=alice&password={}", escape("correct horse"));
    let refused = browser.submit(&server, &Form::of(&page), &wrong).await;
    assert!(refused.text.contains("is not right"), "{refused:?}");
    assert_eq!(
        hash_of(&server).await,
        BCRYPT,
        "a wrong guess changes nothing"
    );

    let code = browser.code(&server, "").await;
    assert!(!code.is_empty());
    let ours = hash_of(&server).await;
    assert!(ours.starts_with("$argon2id$"), "{ours}");

    // The same password, and no other, still lets them in; what is ours already stays as it is.
    let mut second = Browser::default();
    assert!(!second.code(&server, "").await.is_empty());
    assert_eq!(hash_of(&server).await, ours);
    assert!(
        browser.get(&server, "/account").await.status == StatusCode::OK,
        "no session ended"
    );
}

#[tokio::test]
async fn a_weaker_hash_is_renewed_before_a_second_factor_is_asked_for() {
    let server = Server::start().await;
    let _passkey = enrol_passkey(&server, &mut Browser::default(), 7).await;
    give(&server, BCRYPT).await;
    let mut browser = Browser::default();
    let page = asked(&server, &mut browser, "").await;
    let half = browser
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    assert!(half.text.contains("One more step"), "{half:?}");
    let _form = PasskeyForm::of(&half, "get");
    assert!(hash_of(&server).await.starts_with("$argon2id$"));
}

#[tokio::test]
async fn a_form_that_is_not_known_lets_nobody_in() {
    let server = Server::start().await;
    give(&server, PASSWORD).await;
    let mut browser = Browser::default();
    let page = browser
        .get(&server, &format!("/authorize?{}", query("")))
        .await;
    let refused = browser
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    assert!(refused.text.contains("is not right"), "{refused:?}");
    assert_eq!(hash_of(&server).await, PASSWORD);
}
