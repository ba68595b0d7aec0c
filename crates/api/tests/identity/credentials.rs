//! What people prove who they are with changes: half-done sign-ins die with it, guessing has an end, and people change their own password.

use super::authenticator::PasskeyForm;
use super::browser::{Browser, Form};
use super::flow::{audit_files, holds};
use super::harness::{Reply, Server};
use super::second_factors::{SESSION, asked, button, credentials, enrol_app, enrol_passkey};
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

/// Wrong codes from one browser until `wanted` of them were judged; the clock turns so that none has to wait.
async fn guess(server: &Server, browser: &mut Browser, wanted: usize) -> Form {
    let mut form = Form::of(&half(server, browser).await);
    for number in 0..wanted {
        if number % 5 == 0 {
            server.advance(3_601).await;
            form = Form::of(&half(server, browser).await);
        }
        let reply = browser.submit(server, &form, "code=000000").await;
        assert_eq!(reply.status, StatusCode::OK, "{number}: {reply:?}");
        assert!(reply.text.contains("not right"), "{number}: {reply:?}");
    }
    form
}

#[tokio::test]
async fn a62_a_hundred_wrong_codes_are_the_last_until_a_week_is_over() {
    let server = Server::start().await;
    let mut owner = Browser::default();
    let app = enrol_app(&server, &mut owner).await;
    let page = owner.get(&server, "/account/security").await;
    let shown = owner
        .submit(&server, &button(&page, "Make new codes"), "")
        .await;
    let recovery = shown.text.split("<li><code>").nth(1).unwrap();
    let recovery = format!("code={}", recovery.split('<').next().unwrap());
    let mut guesser = Browser::default();
    let form = guess(&server, &mut guesser, 100).await;
    server.advance(400).await;
    let refused = guesser.submit(&server, &form, &app.code(&server)).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        refused.text.contains("Too many codes were wrong"),
        "{refused:?}"
    );
    let mut anywhere = Browser {
        from: Some([203, 0, 113, 1].into()),
        ..Browser::default()
    };
    let form = Form::of(&half(&server, &mut anywhere).await);
    let refused = anywhere.submit(&server, &form, &app.code(&server)).await;
    assert_eq!(
        refused.status,
        StatusCode::TOO_MANY_REQUESTS,
        "from anywhere"
    );
    let page = asked(&server, &mut owner, "prompt=login").await;
    let page = owner
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    let own = owner
        .submit(&server, &Form::of(&page), &app.code(&server))
        .await;
    assert_eq!(
        own.status,
        StatusCode::SEE_OTHER,
        "her own browser: {own:?}"
    );
    let other = anywhere.submit(&server, &form, &recovery).await;
    assert_eq!(
        other.status,
        StatusCode::SEE_OTHER,
        "another factor: {other:?}"
    );
    let server = server.restart().await;
    let mut later = Browser::default();
    let form = Form::of(&half(&server, &mut later).await);
    let refused = later.submit(&server, &form, &app.code(&server)).await;
    assert_eq!(
        refused.status,
        StatusCode::TOO_MANY_REQUESTS,
        "after a restart"
    );
    server.advance(7 * 86_400).await;
    let form = Form::of(&half(&server, &mut later).await);
    let twin = later.submit(&server, &form, &app.code(&server)).await;
    assert_eq!(twin.status, StatusCode::SEE_OTHER, "the twin: {twin:?}");
    let data = server.fabric.stop().await;
    assert!(holds(&audit_files(data.path()), "\"change\":\"suspended\""));
}

#[tokio::test]
async fn a62_a_right_code_forgives_those_that_were_wrong_before() {
    let server = Server::start().await;
    let app = enrol_app(&server, &mut Browser::default()).await;
    for _ in 0..2 {
        let mut browser = Browser::default();
        let form = guess(&server, &mut browser, 99).await;
        server.advance(400).await;
        let right = browser.submit(&server, &form, &app.code(&server)).await;
        assert_eq!(right.status, StatusCode::SEE_OTHER, "{right:?}");
    }
}
