//! What people prove who they are with changes: half-done sign-ins die with it, guessing has an end, and people change their own password.

use super::authenticator::PasskeyForm;
use super::browser::{Browser, Form};
use super::harness::{Reply, Server};
use super::second_factors::{SESSION, asked, credentials, enrol_app, enrol_passkey};
use http::StatusCode;

const NEW_PASSWORD: &str = "a quite different battery";

/// The page that asks somebody for the second factor, after their password.
async fn half(server: &Server, browser: &mut Browser) -> Reply {
    let page = asked(server, browser, "").await;
    let half = browser
        .submit(server, &Form::of(&page), &credentials("alice"))
        .await;
    assert!(half.text.contains("One more step"), "{half:?}");
    half
}

fn is_over(reply: &Reply, browser: &Browser) -> bool {
    reply.status == StatusCode::BAD_REQUEST && !browser.cookies.contains_key(SESSION)
}

#[tokio::test]
async fn a52_a59_half_a_sign_in_ends_with_the_password_that_began_it() {
    let server = Server::start().await;
    let app = enrol_app(&server, &mut Browser::default()).await;
    server.advance(30).await;
    let mut browser = Browser::default();
    let pending = Form::of(&half(&server, &mut browser).await);
    let old = server.user("alice").await.password;
    let new = server.hashed("alice", NEW_PASSWORD).await;
    server
        .change_user("alice", |alice| alice.password = Some(new))
        .await;
    let code = app.code(&server);
    let refused = browser.submit(&server, &pending, &code).await;
    assert!(is_over(&refused, &browser), "{refused:?}");
    server
        .change_user("alice", |alice| alice.password = old)
        .await;
    let twin = browser.submit(&server, &pending, &code).await;
    assert_eq!(twin.status, StatusCode::SEE_OTHER, "the twin: {twin:?}");
}

#[tokio::test]
async fn a52_a59_half_a_sign_in_with_a_passkey_to_come_ends_with_the_password_too() {
    let server = Server::start().await;
    let mut passkey = enrol_passkey(&server, &mut Browser::default(), 7).await;
    let mut browser = Browser::default();
    let page = half(&server, &mut browser).await;
    let pending = PasskeyForm::of(&page, "get");
    let new = server.hashed("alice", NEW_PASSWORD).await;
    let old = server.user("alice").await.password;
    server
        .change_user("alice", |alice| alice.password = Some(new))
        .await;
    let fields = passkey.sign(&pending);
    let refused = browser.submit(&server, &pending.form, &fields).await;
    assert!(is_over(&refused, &browser), "{refused:?}");
    server
        .change_user("alice", |alice| alice.password = old)
        .await;
    let twin = browser.submit(&server, &pending.form, &fields).await;
    assert_eq!(twin.status, StatusCode::SEE_OTHER, "the twin: {twin:?}");
}

#[tokio::test]
async fn a59_half_a_sign_in_of_somebody_who_is_disabled_meanwhile_goes_no_further() {
    let server = Server::start().await;
    let app = enrol_app(&server, &mut Browser::default()).await;
    server.advance(30).await;
    let mut browser = Browser::default();
    let pending = Form::of(&half(&server, &mut browser).await);
    server
        .change_user("alice", |alice| alice.enabled = false)
        .await;
    let code = app.code(&server);
    let refused = browser.submit(&server, &pending, &code).await;
    assert!(is_over(&refused, &browser), "{refused:?}");
    server
        .change_user("alice", |alice| alice.enabled = true)
        .await;
    let twin = browser.submit(&server, &pending, &code).await;
    assert_eq!(twin.status, StatusCode::SEE_OTHER, "the twin: {twin:?}");
}
