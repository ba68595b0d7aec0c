//! What people prove who they are with changes: half-done sign-ins die with it, guessing has an end, and people change their own password.

use super::authenticator::PasskeyForm;
use super::browser::{Browser, Form};
use super::flow::{audit_files, holds, redeem, text};
use super::harness::{PASSWORD, Reply, Server, escape};
use super::second_factors::{SESSION, asked, button, credentials, enrol_app, enrol_passkey, enter};
use countersign_base::Secret;
use countersign_control::DeclaredUser;
use countersign_oauth::UserRecord;
use countersign_oauth::authentication::BreachedPasswords;
use countersign_oauth::client::Origin;
use countersign_store::tables::authenticators;
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

/// A password is enough for somebody's own pages, and never for a client of who has a second factor.
const LENIENT: &str = r#"
    @id("own-tenant")
    permit (principal is User, action == Action::"sign_in", resource);
    @id("second-factor-for-clients")
    forbid (principal is User, action == Action::"sign_in", resource is Client)
    when { context.has_second_factor && context.level < 2 };
"#;

/// A browser in which alice's password was right, and nothing else was ever proven.
async fn known_by_password(server: &Server) -> Browser {
    let mut browser = Browser::default();
    let entered = enter(server, &mut browser, "/account").await;
    assert!(entered.text.contains("this device"), "{entered:?}");
    browser.cookies.remove(SESSION);
    browser
}

#[tokio::test]
async fn a62_browsers_that_a_password_alone_made_known_share_one_count() {
    let server = Server::with_sign_in_policy(LENIENT).await;
    let mut owner = Browser::default();
    let app = enrol_app(&server, &mut owner).await;
    for _ in 0..2 {
        let mut known = known_by_password(&server).await;
        let _form = guess(&server, &mut known, 50).await;
    }
    server.advance(400).await;
    let mut known = known_by_password(&server).await;
    let form = Form::of(&half(&server, &mut known).await);
    let refused = known.submit(&server, &form, &app.code(&server)).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        refused.text.contains("Too many codes were wrong"),
        "{refused:?}"
    );
    owner.cookies.remove(SESSION);
    let form = Form::of(&half(&server, &mut owner).await);
    let twin = owner.submit(&server, &form, &app.code(&server)).await;
    assert_eq!(twin.status, StatusCode::SEE_OTHER, "the twin: {twin:?}");
}

#[tokio::test]
async fn a62_a_browser_that_a_password_alone_made_known_waits_like_any_other() {
    let server = Server::with_sign_in_policy(LENIENT).await;
    let mut owner = Browser::default();
    let app = enrol_app(&server, &mut owner).await;
    server.advance(30).await;
    let mut known = known_by_password(&server).await;
    let mut guesser = Browser::default();
    let form = Form::of(&half(&server, &mut guesser).await);
    let mut last = StatusCode::OK;
    for _ in 0..6 {
        last = guesser.submit(&server, &form, "code=000000").await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS, "this network waits");
    let form = Form::of(&half(&server, &mut known).await);
    let waits = known.submit(&server, &form, &app.code(&server)).await;
    assert_eq!(waits.status, StatusCode::TOO_MANY_REQUESTS, "{waits:?}");
    owner.cookies.remove(SESSION);
    let form = Form::of(&half(&server, &mut owner).await);
    let twin = owner.submit(&server, &form, &app.code(&server)).await;
    assert_eq!(twin.status, StatusCode::SEE_OTHER, "the twin: {twin:?}");
}

/// What a code is worth in a browser that nobody knows, with alice's new password.
async fn right_code(server: &Server, code: &str) -> Reply {
    let mut browser = Browser::default();
    let page = asked(server, &mut browser, "").await;
    let new = format!("username=alice&password={}", escape(NEW_PASSWORD));
    let half = browser.submit(server, &Form::of(&page), &new).await;
    assert!(half.text.contains("One more step"), "{half:?}");
    browser.submit(server, &Form::of(&half), code).await
}

#[tokio::test]
async fn a62_another_password_forgives_wrong_codes_only_by_two_factors() {
    let fields = choice(PASSWORD, NEW_PASSWORD, NEW_PASSWORD);
    for by_two_factors in [false, true] {
        let server = Server::with_sign_in_policy(LENIENT).await;
        let mut owner = Browser::default();
        let app = enrol_app(&server, &mut owner).await;
        let _form = guess(&server, &mut Browser::default(), 100).await;
        server.advance(400).await;
        let mut changes = Browser::default();
        if by_two_factors {
            owner.cookies.remove(SESSION);
            let form = Form::of(&half(&server, &mut owner).await);
            let entered = owner.submit(&server, &form, &app.code(&server)).await;
            assert_eq!(entered.status, StatusCode::SEE_OTHER, "{entered:?}");
            changes = owner;
        } else {
            let _entered = enter(&server, &mut changes, "/account").await;
        }
        let page = at_her_password_again(&server, &mut changes).await;
        let done = changes.submit(&server, &Form::of(&page), &fields).await;
        assert!(done.text.contains("Your password is changed."), "{done:?}");
        server.advance(30).await;
        let reply = right_code(&server, &app.code(&server)).await;
        if by_two_factors {
            assert_eq!(reply.status, StatusCode::SEE_OTHER, "the twin: {reply:?}");
        } else {
            assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
            assert!(reply.text.contains("Too many codes were wrong"));
        }
    }
}

#[tokio::test]
async fn a62_a_declared_new_password_forgives_wrong_codes() {
    let server = Server::start().await;
    let app = enrol_app(&server, &mut Browser::default()).await;
    let _form = guess(&server, &mut Browser::default(), 100).await;
    let server = server.restart_declared(|_same| {}).await;
    let mut browser = Browser::default();
    let form = Form::of(&half(&server, &mut browser).await);
    let refused = browser.submit(&server, &form, &app.code(&server)).await;
    assert!(
        refused.text.contains("Too many codes were wrong"),
        "the same password: {refused:?}"
    );
    let server = server
        .restart_declared(|declared| {
            let name = |user: &DeclaredUser| user.record.username.as_str() == "alice";
            let alice = declared.users.iter_mut().find(|user| name(user)).unwrap();
            alice.password = Secret::new(NEW_PASSWORD.to_owned());
        })
        .await;
    let right = right_code(&server, &app.code(&server)).await;
    assert_eq!(right.status, StatusCode::SEE_OTHER, "{right:?}");
}

/// Alice, whose password is her own to change, on the page where she does.
async fn at_her_password(server: &Server, browser: &mut Browser) -> Reply {
    let script = |alice: &mut UserRecord| alice.origin = Origin::Script;
    server.change_user("alice", script).await;
    let page = enter(server, browser, "/account/security/password").await;
    assert!(page.text.contains("Current password"), "{page:?}");
    page
}

fn choice(current: &str, new: &str, again: &str) -> String {
    let [current, new, again] = [current, new, again].map(escape);
    format!("current={current}&new={new}&again={again}")
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it_and_everything_it_opened_ends() {
    let server = Server::start().await;
    let mut elsewhere = Browser::default();
    let code = elsewhere.code(&server, "").await;
    let tokens = server.token(&redeem(&code), None).await;
    let (access, refresh) = (
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
    );
    let app = enrol_app(&server, &mut Browser::default()).await;
    server.advance(30).await;
    let mut half_in = Browser::default();
    let pending = Form::of(&half(&server, &mut half_in).await);
    let mut alice = Browser::default();
    let page = asked(&server, &mut alice, "").await;
    let page = alice
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    let entered = alice
        .submit(&server, &Form::of(&page), &app.code(&server))
        .await;
    assert_eq!(entered.status, StatusCode::SEE_OTHER);
    let page = at_her_password_again(&server, &mut alice).await;
    let form = Form::of(&page);
    let before = alice.clone();
    assert!(server.is_active(&access).await, "the twin");
    let fields = choice(PASSWORD, NEW_PASSWORD, NEW_PASSWORD);
    let done = alice.submit(&server, &form, &fields).await;
    assert!(done.text.contains("Your password is changed."), "{done:?}");
    assert!(!server.is_active(&access).await, "tokens of other sessions");
    let refused = format!("grant_type=refresh_token&refresh_token={refresh}");
    assert_eq!(server.token(&refused, None).await.error(), "invalid_grant");
    let nobody = |reply: &Reply| reply.text.contains("name=\"username\" type=\"text\"");
    for mut other in [elsewhere, before] {
        let page = other.get(&server, "/account").await;
        assert!(nobody(&page), "{page:?}");
    }
    server.advance(30).await;
    let refused = half_in.submit(&server, &pending, &app.code(&server)).await;
    assert!(is_over(&refused, &half_in), "{refused:?}");
    let here = alice.get(&server, "/account").await;
    assert!(here.text.contains("this device"), "her own stays: {here:?}");
    let mut later = Browser::default();
    let page = asked(&server, &mut later, "").await;
    let old = later
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    assert!(old.text.contains("not right"), "{old:?}");
    let new = format!("username=alice&password={}", escape(NEW_PASSWORD));
    let twin = later.submit(&server, &Form::of(&page), &new).await;
    assert!(twin.text.contains("One more step"), "the twin: {twin:?}");
    let data = server.fabric.stop().await;
    let event = "\"change\":\"changed\",\"decision\":\"allowed\",\"kind\":\"password\"";
    assert!(holds(&audit_files(data.path()), event));
}

/// The same page for who is signed in.
async fn at_her_password_again(server: &Server, browser: &mut Browser) -> Reply {
    let script = |alice: &mut UserRecord| alice.origin = Origin::Script;
    server.change_user("alice", script).await;
    browser.get(server, "/account/security/password").await
}

/// How many browsers alice is known with.
async fn known_browsers(server: &Server) -> usize {
    let alice = server.user("alice").await;
    let fabric = &server.fabric.fabric;
    let mut connection = fabric.store().read().await.unwrap();
    let known = authenticators::browsers_of(&mut connection, &alice.tenant, alice.id, fabric.now());
    known.await.unwrap().len()
}

#[tokio::test]
async fn a_new_password_leaves_no_browser_known_but_its_own() {
    let server = Server::start().await;
    let mut alice = Browser::default();
    let _elsewhere = enter(&server, &mut Browser::default(), "/account").await;
    let page = at_her_password(&server, &mut alice).await;
    assert_eq!(known_browsers(&server).await, 2, "the twin");
    let fields = choice(PASSWORD, NEW_PASSWORD, NEW_PASSWORD);
    let done = alice.submit(&server, &Form::of(&page), &fields).await;
    assert!(done.text.contains("Your password is changed."), "{done:?}");
    assert_eq!(known_browsers(&server).await, 1);
    let server = server.restart().await;
    assert_eq!(known_browsers(&server).await, 0, "another is declared");
}

#[tokio::test]
async fn password_managers_find_the_page_of_each_tenant() {
    let server = Server::start().await;
    for tenant in ["", "/t/acme"] {
        let reply = server
            .get(&format!("{tenant}/.well-known/change-password"))
            .await;
        let page = format!("{tenant}/account/security/password");
        assert_eq!(
            (reply.status, reply.location()),
            (StatusCode::SEE_OTHER, page.as_str())
        );
        let page = server.get(reply.location()).await;
        assert!(page.text.contains("your account"), "{page:?}");
    }
}

#[tokio::test]
async fn a_password_that_may_not_be_chosen_changes_nothing_and_the_page_says_why() {
    let server = Server::start().await;
    let leaked = BreachedPasswords::read("a password that leaked\n");
    let passwords = server.fabric.fabric.passwords();
    passwords.ask_about_leaks(std::sync::Arc::new(leaked));
    let mut alice = Browser::default();
    let mut page = at_her_password(&server, &mut alice).await;
    let same = |new: &str| choice(PASSWORD, new, new);
    for (fields, says) in [
        (
            choice("wrong", NEW_PASSWORD, NEW_PASSWORD),
            "not your password",
        ),
        (choice("", NEW_PASSWORD, NEW_PASSWORD), "not your password"),
        (choice(PASSWORD, NEW_PASSWORD, "another"), "do not agree"),
        (same("short"), "at least 8 characters"),
        (same("alice123"), "too much like the username"),
        (same("a password that leaked"), "known ones"),
        (same(PASSWORD), "the password that you have"),
    ] {
        page = alice.submit(&server, &Form::of(&page), &fields).await;
        assert!(page.text.contains(says), "{says}: {page:?}");
        assert!(page.text.contains("aria-invalid=\"true\""), "{says}");
    }
    let mut other = Browser::default();
    let entered = enter(&server, &mut other, "/account").await;
    assert!(entered.text.contains("this device"), "the old one holds");
    let twin = alice
        .submit(&server, &Form::of(&page), &same(NEW_PASSWORD))
        .await;
    assert!(
        twin.text.contains("Your password is changed."),
        "the twin: {twin:?}"
    );
    let data = server.fabric.stop().await;
    for reason in ["password_differs", "password_mistyped", "password_known"] {
        assert!(holds(&audit_files(data.path()), reason), "{reason}");
    }
}

#[tokio::test]
async fn a64_a_password_is_changed_by_the_form_of_its_own_session_alone() {
    let server = Server::start().await;
    let (mut alice, mut bob) = (Browser::default(), Browser::default());
    let form = Form::of(&at_her_password(&server, &mut alice).await);
    let _bobs = bob.get(&server, "/account").await;
    let fields = choice(PASSWORD, NEW_PASSWORD, NEW_PASSWORD);
    let foreign = bob.submit(&server, &form, &fields).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN, "another browser");
    let forged = Form {
        ticket: format!("{}A", form.ticket),
        ..form.clone()
    };
    let forged = alice.submit(&server, &forged, &fields).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let mut mixed = alice.clone();
    mixed.cookies.remove(SESSION);
    let nobody = mixed.submit(&server, &form, &fields).await;
    assert_eq!(nobody.status, StatusCode::BAD_REQUEST, "no session");
    let twin = alice.submit(&server, &form, &fields).await;
    assert!(
        twin.text.contains("Your password is changed."),
        "the twin: {twin:?}"
    );
}

#[tokio::test]
async fn a53_factors_and_passwords_are_changed_by_who_signed_in_a_moment_ago() {
    let server = Server::with_declared(|declared| {
        for tenant in &mut declared.tenants {
            tenant.authentication.fresh_for = 60;
        }
    })
    .await;
    let asks = |reply: &Reply| reply.text.contains("say once more who you are");
    let mut alice = Browser::default();
    let page = at_her_password(&server, &mut alice).await;
    server.advance(60).await;
    let again = alice.get(&server, "/account/security/password").await;
    assert!(
        again.text.contains("Current password"),
        "the twin: {again:?}"
    );
    server.advance(1).await;
    let fields = choice(PASSWORD, NEW_PASSWORD, NEW_PASSWORD);
    let refused = alice.submit(&server, &Form::of(&page), &fields).await;
    assert!(asks(&refused), "{refused:?}");
    for path in ["/account/security/password", "/account/security/app"] {
        let shown = alice.get(&server, path).await;
        assert!(asks(&shown), "{path}: {shown:?}");
    }
    let page = alice.get(&server, "/account/security").await;
    let codes = alice
        .submit(&server, &button(&page, "Make new codes"), "")
        .await;
    assert!(asks(&codes), "{codes:?}");
    let page = alice.get(&server, "/account").await;
    assert!(page.text.contains("this device"), "seeing is not changing");
    let asked = alice.get(&server, "/account/security/password").await;
    let page = alice.sign_in(&server, &asked, "alice").await;
    let twin = alice.submit(&server, &Form::of(&page), &fields).await;
    assert!(
        twin.text.contains("Your password is changed."),
        "the twin: {twin:?}"
    );
}

#[tokio::test]
async fn a56_guessing_the_password_before_is_slowed_like_any_other() {
    let server = Server::start().await;
    let mut alice = Browser::default();
    let page = at_her_password(&server, &mut alice).await;
    let form = Form::of(&page);
    let wrong = choice("wrong", NEW_PASSWORD, NEW_PASSWORD);
    for _ in 0..5 {
        let refused = alice.submit(&server, &form, &wrong).await;
        assert!(refused.text.contains("not your password"), "{refused:?}");
    }
    let mut last = alice.submit(&server, &form, &wrong).await;
    for _ in 0..5 {
        last = alice.submit(&server, &form, &wrong).await;
    }
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS, "{last:?}");
    let fields = choice(PASSWORD, NEW_PASSWORD, NEW_PASSWORD);
    let waits = alice.submit(&server, &form, &fields).await;
    assert_eq!(waits.status, StatusCode::TOO_MANY_REQUESTS);
    server.advance(200).await;
    let twin = alice.submit(&server, &form, &fields).await;
    assert!(
        twin.text.contains("Your password is changed."),
        "the twin: {twin:?}"
    );
}

#[tokio::test]
async fn a_declared_password_is_changed_where_it_is_declared() {
    let server = Server::start().await;
    let mut alice = Browser::default();
    let page = at_her_password(&server, &mut alice).await;
    let declared = |alice: &mut UserRecord| alice.origin = Origin::Configuration;
    server.change_user("alice", declared).await;
    let fields = choice(PASSWORD, NEW_PASSWORD, NEW_PASSWORD);
    let refused = alice.submit(&server, &Form::of(&page), &fields).await;
    assert!(
        refused.text.contains("Whoever runs this service sets it"),
        "{refused:?}"
    );
    assert!(
        !refused.text.contains("New password"),
        "no form: {refused:?}"
    );
    let _still = enter(&server, &mut Browser::default(), "/account").await;
    let twin = at_her_password_again(&server, &mut alice).await;
    assert!(twin.text.contains("New password"), "the twin: {twin:?}");
}

#[tokio::test]
async fn who_signed_in_by_a_passkey_need_not_know_the_password_before() {
    let server = Server::start().await;
    let mut passkey = enrol_passkey(&server, &mut Browser::default(), 7).await;
    let mut alice = Browser::default();
    let page = asked(&server, &mut alice, "").await;
    let form = PasskeyForm::of(&page, "get");
    let entered = alice
        .submit(&server, &form.form, &passkey.sign(&form))
        .await;
    assert_eq!(entered.status, StatusCode::SEE_OTHER);
    let page = at_her_password_again(&server, &mut alice).await;
    assert!(!page.text.contains("Current password"), "{page:?}");
    let fields = choice("", NEW_PASSWORD, NEW_PASSWORD);
    let done = alice.submit(&server, &Form::of(&page), &fields).await;
    assert!(done.text.contains("Your password is changed."), "{done:?}");
}
