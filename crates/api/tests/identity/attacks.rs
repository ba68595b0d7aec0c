//! Attacks on the pages: forged, planted and foreign forms, guessed passwords, fixed sessions, other people's answers.

use super::browser::{Browser, Form, query};
use super::harness::{PASSWORD, Server, escape};
use http::StatusCode;

fn credentials(name: &str) -> String {
    format!("username={name}&password={}", escape(PASSWORD))
}

async fn sign_in_form(server: &Server, browser: &mut Browser) -> Form {
    Form::of(
        &browser
            .get(server, &format!("/authorize?{}", query("")))
            .await,
    )
}

#[tokio::test]
async fn a51_a52_a64_a_form_counts_only_in_the_browser_and_step_it_was_made_for() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let form = sign_in_form(&server, &mut browser).await;
    let mut stranger = Browser::default();
    let _own = sign_in_form(&server, &mut stranger).await;
    assert_eq!(
        stranger
            .submit(&server, &form, &credentials("alice"))
            .await
            .status,
        StatusCode::FORBIDDEN,
        "another browser's form"
    );
    assert_eq!(
        Browser::default()
            .submit(&server, &form, &credentials("alice"))
            .await
            .status,
        StatusCode::FORBIDDEN,
        "no cookie"
    );
    let forged = Form {
        ticket: format!("{}A", form.ticket),
        ..form.clone()
    };
    assert_eq!(
        browser
            .submit(&server, &forged, &credentials("alice"))
            .await
            .status,
        StatusCode::FORBIDDEN
    );
    let elsewhere = Form {
        action: "/consent".to_owned(),
        ..form.clone()
    };
    assert_eq!(
        browser
            .submit(&server, &elsewhere, "answer=allow")
            .await
            .status,
        StatusCode::FORBIDDEN,
        "a ticket of another step"
    );
    let sign_out = Form {
        action: "/logout/confirm".to_owned(),
        ..form.clone()
    };
    assert_eq!(
        browser.submit(&server, &sign_out, "").await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        browser
            .submit(&server, &form, &credentials("alice"))
            .await
            .status,
        StatusCode::SEE_OTHER,
        "the twin"
    );
}

#[tokio::test]
async fn a51_a_session_cookie_with_one_byte_changed_is_none() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let _code = browser.code(&server, "").await;
    let silent = format!("/authorize?{}", query("prompt=none"));
    assert!(
        browser
            .get(&server, &silent)
            .await
            .redirected("code")
            .is_some(),
        "the twin"
    );
    let name = browser
        .cookies
        .keys()
        .find(|name| name.contains("session"))
        .unwrap()
        .clone();
    let value = browser.cookies[&name].clone();
    for position in [0, 20, value.len() - 2] {
        let mut bytes = value.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        let mut tampered = browser.clone();
        tampered
            .cookies
            .insert(name.clone(), String::from_utf8(bytes).unwrap());
        assert_eq!(
            tampered
                .get(&server, &silent)
                .await
                .redirected("error")
                .as_deref(),
            Some("login_required")
        );
    }
}

#[tokio::test]
async fn a61_every_sign_in_has_a_new_session() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let _code = browser.code(&server, "").await;
    let before = browser.cookies.clone();
    server.advance(2).await;
    let page = browser
        .get(&server, &format!("/authorize?{}", query("prompt=login")))
        .await;
    let _next = browser.sign_in(&server, &page, "alice").await;
    let session = |cookies: &std::collections::BTreeMap<String, String>| {
        cookies
            .iter()
            .find(|(name, _)| name.contains("session"))
            .unwrap()
            .1
            .clone()
    };
    assert_ne!(session(&before), session(&browser.cookies));
}

#[tokio::test]
async fn a63_an_aborted_prompt_login_keeps_the_old_session_with_its_old_time() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let _code = browser.code(&server, "").await;
    server.advance(10).await;
    let page = browser
        .get(&server, &format!("/authorize?{}", query("prompt=login")))
        .await;
    let ticket = Form::of(&page).ticket;
    let skipped = browser
        .get(
            &server,
            &format!("/authorize/resume?ticket={}", escape(&ticket)),
        )
        .await;
    assert_eq!(
        skipped.status,
        StatusCode::FORBIDDEN,
        "the sign-in form's ticket does not resume"
    );
    let again = browser
        .get(&server, &format!("/authorize?{}", query("prompt=login")))
        .await;
    assert!(again.text.contains("name=\"password\""));
}

#[tokio::test]
async fn a56_a62_guessing_is_throttled_and_unknown_names_look_the_same() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let form = sign_in_form(&server, &mut browser).await;
    let wrong = browser
        .submit(&server, &form, "username=alice&password=wrong")
        .await;
    let unknown = browser
        .submit(&server, &form, "username=nobody&password=wrong")
        .await;
    assert_eq!(
        (wrong.status, unknown.status),
        (StatusCode::OK, StatusCode::OK)
    );
    assert!(
        wrong.text.contains("not right") && unknown.text.contains("not right"),
        "one text for both"
    );
    let mut last = wrong;
    for _ in 0..5 {
        last = browser
            .submit(&server, &form, "username=alice&password=wrong")
            .await;
    }
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(last.headers.contains_key("retry-after"));
    assert_eq!(
        browser
            .submit(&server, &form, &credentials("alice"))
            .await
            .status,
        StatusCode::TOO_MANY_REQUESTS,
        "not even the right one"
    );
    assert_eq!(
        browser
            .submit(&server, &form, &credentials("bob"))
            .await
            .status,
        StatusCode::SEE_OTHER,
        "nobody else has to wait"
    );
    server.advance(60).await;
    assert_eq!(
        browser
            .submit(&server, &form, &credentials("alice"))
            .await
            .status,
        StatusCode::SEE_OTHER
    );
}

/// Wrong guesses at names that differ, from these addresses in turn: how many were judged before one had to wait.
async fn guesses_from(server: &Server, addresses: &[String]) -> usize {
    let mut browser = Browser::default();
    let form = sign_in_form(server, &mut browser).await;
    for (number, address) in addresses.iter().enumerate() {
        browser.from = Some(address.parse().unwrap());
        let fields = format!("username=nobody{number}&password=wrong");
        let reply = browser.submit(server, &form, &fields).await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            return number;
        }
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    }
    addresses.len()
}

#[tokio::test]
async fn a56_a62_a_source_is_counted_by_what_its_subscriber_has() {
    let server = Server::start().await;
    let one_network: Vec<String> = (0..60)
        .map(|number| format!("2001:db8:7:7:{number:x}::{number:x}"))
        .collect();
    assert_eq!(
        guesses_from(&server, &one_network).await,
        50,
        "64 bits of IPv6"
    );
    let many: Vec<String> = (0..60)
        .map(|number| format!("2001:db8:{number:x}00:8::1"))
        .collect();
    assert_eq!(guesses_from(&server, &many).await, 60, "the twin: of many");
    let both_forms: Vec<String> = (0..60)
        .map(|number| match number % 2 {
            0 => "192.0.2.7".to_owned(),
            _ => "::ffff:192.0.2.7".to_owned(),
        })
        .collect();
    assert_eq!(guesses_from(&server, &both_forms).await, 50, "IPv4 in IPv6");
    let neighbours: Vec<String> = (0..60)
        .map(|number| format!("198.51.100.{number}"))
        .collect();
    assert_eq!(
        guesses_from(&server, &neighbours).await,
        60,
        "the twin: of many"
    );
}

#[tokio::test]
async fn consent_counts_only_for_the_person_who_read_it() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let page = browser
        .get(&server, &format!("/authorize?{}", query("")))
        .await;
    let consent = browser.sign_in(&server, &page, "alice").await;
    let form = Form::of(&consent);
    server.advance(2).await;
    let page = browser
        .get(&server, &format!("/authorize?{}", query("prompt=login")))
        .await;
    let _consent_of_bob = browser.sign_in(&server, &page, "bob").await;
    let answered = browser.submit(&server, &form, "answer=allow").await;
    assert_eq!(
        (answered.status, answered.location()),
        (StatusCode::BAD_REQUEST, "")
    );
}

#[tokio::test]
async fn policy_is_asked_again_when_consent_is_given() {
    let policy = r#"
        @id("not-there") forbid (principal, action == Action::"sign_in", resource is Client)
        when { context.source.isInRange(ip("198.51.100.0/24")) };
    "#;
    let server = Server::with_policy(policy).await;
    let mut browser = Browser {
        from: Some([192, 0, 2, 7].into()),
        ..Browser::default()
    };
    let page = browser
        .get(&server, &format!("/authorize?{}", query("")))
        .await;
    let form = Form::of(&browser.sign_in(&server, &page, "alice").await);
    let mut moved = Browser {
        from: Some([198, 51, 100, 4].into()),
        ..browser.clone()
    };
    let refused = moved.submit(&server, &form, "answer=allow").await;
    assert_eq!(
        (refused.status, refused.location()),
        (StatusCode::BAD_REQUEST, ""),
        "{refused:?}"
    );
    let twin = browser.submit(&server, &form, "answer=allow").await;
    assert!(twin.redirected("code").is_some(), "the twin: {twin:?}");
}

#[tokio::test]
async fn an_interaction_ends_after_ten_minutes() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let form = sign_in_form(&server, &mut browser).await;
    server.advance(599).await;
    assert_eq!(
        browser
            .submit(&server, &form, &credentials("alice"))
            .await
            .status,
        StatusCode::SEE_OTHER,
        "the twin"
    );
    server.advance(1).await;
    assert_eq!(
        browser
            .submit(&server, &form, &credentials("alice"))
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn r42_a19_a30_a59_a_disabled_person_cannot_sign_in_or_refresh() {
    let server = Server::start().await;
    let first = super::flow::tokens(&server, None).await;
    let refresh = format!(
        "grant_type=refresh_token&refresh_token={}",
        super::flow::text(&first, "refresh_token")
    );
    let fabric = &server.fabric.fabric;
    let tenant = countersign_base::Tenant::default_tenant();
    let mut connection = fabric.store().read().await.unwrap();
    let mut alice = countersign_store::tables::users::find_by_name(
        &mut connection,
        &tenant,
        &"alice".parse().unwrap(),
    )
    .await
    .unwrap()
    .unwrap();
    drop(connection);
    alice.enabled = false;
    let event = countersign_audit::event::UserChanged {
        by: countersign_audit::event::Actor::System,
        change: "disabled".into(),
        user: alice.id,
    };
    let event = fabric.recorder().about_event(&tenant, None, event);
    let _receipt = fabric
        .store()
        .change(
            &tenant,
            vec![countersign_store::Write::PutUser(Box::new(alice))],
            event,
            fabric.now(),
        )
        .await
        .unwrap();
    assert_eq!(
        server.token(&refresh, None).await.error(),
        "invalid_grant",
        "rt_11"
    );
    let mut browser = Browser::default();
    let form = sign_in_form(&server, &mut browser).await;
    assert!(
        browser
            .submit(&server, &form, &credentials("alice"))
            .await
            .text
            .contains("not right")
    );
    assert_eq!(
        browser
            .submit(&server, &form, &credentials("bob"))
            .await
            .status,
        StatusCode::SEE_OTHER,
        "the twin"
    );
}
