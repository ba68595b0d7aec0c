//! Second factors and policies about sign-ins: enrolled on the account pages, asked for on the way in, used once.

use super::authenticator::{Passkey, PasskeyForm};
use super::browser::{Browser, Form, query};
use super::flow::{audit_files, redeem, text};
use super::harness::{PASSWORD, Reply, Server, claims, escape};
use countersign_base::Secret;
use countersign_crypto::hotp;
use http::StatusCode;
use serde_json::Value;

pub(crate) const SESSION: &str = "__Host-session-default";

pub(crate) fn credentials(name: &str) -> String {
    format!("username={name}&password={}", escape(PASSWORD))
}

/// The form whose button says this.
pub(crate) fn button(page: &Reply, label: &str) -> Form {
    let before = page.text.split(label).next().unwrap();
    assert_ne!(before.len(), page.text.len(), "{label}: {page:?}");
    let (_, form) = before.split_at(before.rfind("<form").unwrap());
    let between = |mark: &str| {
        let rest = form.split(mark).nth(1).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    Form {
        action: between("action=\""),
        ticket: between("name=\"ticket\" value=\""),
    }
}

/// What an authenticator app knows.
pub(crate) struct App(Vec<u8>);

impl App {
    pub(crate) fn read(page: &Reply) -> Self {
        let key = page.text.split("<code class=\"box big\">").nth(1).unwrap();
        let key = key.split('<').next().unwrap().replace(' ', "");
        let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
        for letter in key.bytes() {
            let digit = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
            let digit = digit.iter().position(|known| *known == letter).unwrap();
            bits = (bits << 5) | u32::try_from(digit).unwrap();
            count += 5;
            if count >= 8 {
                count -= 8;
                bytes.push(u8::try_from((bits >> count) & 255).unwrap());
            }
        }
        Self(bytes)
    }

    pub(crate) fn code(&self, server: &Server) -> String {
        let secret = Secret::new(<[u8; 20]>::try_from(self.0.as_slice()).unwrap());
        let step = u64::try_from(server.now() / 30).unwrap();
        format!("code={:06}", hotp::value(&secret, step))
    }
}

/// Signs in to the account pages with a password alone.
pub(crate) async fn enter(server: &Server, browser: &mut Browser, path: &str) -> Reply {
    let asked = browser.get(server, path).await;
    browser.sign_in(server, &asked, "alice").await
}

pub(crate) async fn enrol_app(server: &Server, browser: &mut Browser) -> App {
    let page = enter(server, browser, "/account/security/app").await;
    let app = App::read(&page);
    let done = browser
        .submit(server, &button(&page, "Set up the app"), &app.code(server))
        .await;
    assert!(done.text.contains("The app is set up."), "{done:?}");
    app
}

pub(crate) async fn enrol_passkey(server: &Server, browser: &mut Browser, number: u8) -> Passkey {
    let page = enter(server, browser, "/account/security").await;
    let form = PasskeyForm::of(&page, "create");
    let (passkey, fields) = Passkey::create(&form, number);
    let done = browser.submit(server, &form.form, &fields).await;
    assert!(done.text.contains("The passkey is added."), "{done:?}");
    passkey
}

/// The sign-in page of an authorization request.
pub(crate) async fn asked(server: &Server, browser: &mut Browser, extra: &str) -> Reply {
    let path = format!("/authorize?{}", query(extra));
    browser.get(server, &path).await
}

/// On from a page that redirects to resume, through consent, to the ID token's claims.
async fn id_token(server: &Server, browser: &mut Browser, reply: Reply) -> Value {
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
    let resume = reply.location().to_owned();
    let mut code = browser.get(server, &resume).await;
    if code.text.contains("value=\"allow\"") {
        code = browser
            .submit(server, &Form::of(&code), "answer=allow")
            .await;
    }
    let code = code
        .redirected("code")
        .unwrap_or_else(|| panic!("{code:?}"));
    let tokens = server.token(&redeem(&code), None).await;
    claims(&text(&tokens, "id_token"))
}

#[tokio::test]
async fn a56_a_password_alone_is_not_enough_once_an_app_is_enrolled() {
    let server = Server::start().await;
    let app = enrol_app(&server, &mut Browser::default()).await;
    let mut browser = Browser::default();
    let page = asked(&server, &mut browser, "").await;
    let form = Form::of(&page);
    let half = browser.submit(&server, &form, &credentials("alice")).await;
    assert!(half.text.contains("One more step"), "{half:?}");
    assert!(
        !browser.cookies.contains_key(SESSION),
        "half a sign-in is no session"
    );
    let second = Form::of(&half);
    let replayed = browser.submit(&server, &second, &app.code(&server)).await;
    assert!(
        replayed.text.contains("used before"),
        "the code that confirmed the app is used: {replayed:?}"
    );
    let wrong = browser.submit(&server, &second, "code=000000").await;
    assert!(wrong.text.contains("not right"), "{wrong:?}");
    server.advance(30).await;
    let code = app.code(&server);
    let mut other = Browser::default();
    let _named = asked(&server, &mut other, "").await;
    let stolen = other.submit(&server, &second, &code).await;
    assert_eq!(stolen.status, StatusCode::FORBIDDEN, "another browser");
    let right = browser.submit(&server, &second, &code).await;
    let token = id_token(&server, &mut browser, right).await;
    assert_eq!(token["amr"], serde_json::json!(["mfa", "otp", "pwd"]));
    assert_eq!(token["acr"], "urn:countersign:acr:2");
    let bob = asked(&server, &mut Browser::default(), "").await;
    let mut browser = Browser::default();
    let page = asked(&server, &mut browser, "").await;
    let twin = browser
        .submit(&server, &Form::of(&page), &credentials("bob"))
        .await;
    assert_eq!(twin.status, StatusCode::SEE_OTHER, "the twin: {bob:?}");
}

#[tokio::test]
async fn a62_one_code_signs_one_browser_in_and_guessing_has_to_wait() {
    let server = Server::start().await;
    let app = enrol_app(&server, &mut Browser::default()).await;
    server.advance(30).await;
    let (mut one, mut two) = (Browser::default(), Browser::default());
    let mut forms = Vec::new();
    for browser in [&mut one, &mut two] {
        let page = asked(&server, browser, "").await;
        let half = browser
            .submit(&server, &Form::of(&page), &credentials("alice"))
            .await;
        forms.push(Form::of(&half));
    }
    let code = app.code(&server);
    let (first, second) = tokio::join!(
        one.submit(&server, &forms[0], &code),
        two.submit(&server, &forms[1], &code)
    );
    let in_now = [&first, &second]
        .iter()
        .filter(|reply| reply.status == StatusCode::SEE_OTHER)
        .count();
    assert_eq!(in_now, 1, "{first:?} {second:?}");
    server.advance(30).await;
    let mut guesser = Browser::default();
    let page = asked(&server, &mut guesser, "").await;
    let half = guesser
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    let form = Form::of(&half);
    let mut last = half;
    for _ in 0..8 {
        last = guesser.submit(&server, &form, "code=000000").await;
    }
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    let waits = guesser.submit(&server, &form, &app.code(&server)).await;
    assert_eq!(
        waits.status,
        StatusCode::TOO_MANY_REQUESTS,
        "not even the right one"
    );
    server.advance(120).await;
    let twin = guesser.submit(&server, &form, &app.code(&server)).await;
    assert_eq!(twin.status, StatusCode::SEE_OTHER, "the twin: {twin:?}");
}

#[tokio::test]
async fn recovery_codes_are_shown_once_and_each_works_once() {
    let server = Server::start().await;
    let mut owner = Browser::default();
    let _app = enrol_app(&server, &mut owner).await;
    let page = owner.get(&server, "/account/security").await;
    let shown = owner
        .submit(&server, &button(&page, "Make new codes"), "")
        .await;
    let codes: Vec<String> = shown
        .text
        .split("<li><code>")
        .skip(1)
        .map(|rest| rest.split('<').next().unwrap().to_owned())
        .collect();
    assert_eq!(codes.len(), 10, "{shown:?}");
    let page = owner.get(&server, "/account/security").await;
    assert!(page.text.contains("10 left") && !page.text.contains(&codes[0]));
    let mut browser = Browser::default();
    let typed = format!("code={}", codes[3].to_lowercase());
    for expected in [StatusCode::SEE_OTHER, StatusCode::OK] {
        let page = asked(&server, &mut browser, "prompt=login").await;
        let half = browser
            .submit(&server, &Form::of(&page), &credentials("alice"))
            .await;
        let reply = browser.submit(&server, &Form::of(&half), &typed).await;
        assert_eq!(reply.status, expected, "{reply:?}");
    }
    let page = owner.get(&server, "/account/security").await;
    assert!(page.text.contains("9 left"), "{page:?}");
    let _new = owner
        .submit(&server, &button(&page, "Make new codes"), "")
        .await;
    let page = asked(&server, &mut browser, "prompt=login").await;
    let half = browser
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    let old = format!("code={}", codes[5]);
    let refused = browser.submit(&server, &Form::of(&half), &old).await;
    assert!(refused.text.contains("not right"), "{refused:?}");
}

#[tokio::test]
async fn a51_a_passkey_signs_its_owner_in_once_for_each_challenge() {
    let server = Server::start().await;
    let mut passkey = enrol_passkey(&server, &mut Browser::default(), 7).await;
    let mut browser = Browser::default();
    let page = asked(&server, &mut browser, "").await;
    let form = PasskeyForm::of(&page, "get");
    assert_eq!(form.options["userVerification"], "required");
    let mut foreign = passkey.clone();
    foreign.origin = "https://id.example".to_owned();
    let refused = browser
        .submit(&server, &form.form, &foreign.sign(&form))
        .await;
    assert!(refused.text.contains("did not work"), "{refused:?}");
    let mut touched = passkey.clone();
    touched.verifies = false;
    let refused = browser
        .submit(&server, &form.form, &touched.sign(&form))
        .await;
    assert!(
        refused.text.contains("did not work"),
        "a touch alone signs nobody in: {refused:?}"
    );
    let fields = passkey.sign(&form);
    let mut other = Browser::default();
    let _named = asked(&server, &mut other, "").await;
    let stolen = other.submit(&server, &form.form, &fields).await;
    assert_eq!(stolen.status, StatusCode::FORBIDDEN, "another browser");
    let right = browser.submit(&server, &form.form, &fields).await;
    let again = browser.submit(&server, &form.form, &fields).await;
    assert!(again.text.contains("did not work"), "{again:?}");
    let again = browser
        .submit(&server, &form.form, &passkey.sign(&form))
        .await;
    assert!(
        again.text.contains("did not work"),
        "the challenge is used: {again:?}"
    );
    let token = id_token(&server, &mut browser, right).await;
    assert_eq!(token["amr"], serde_json::json!(["mfa", "pop", "user"]));
    assert_eq!(token["acr"], "phr");
}

#[tokio::test]
async fn a_passkey_is_renamed_and_removed_by_its_owner() {
    let server = Server::start().await;
    let mut owner = Browser::default();
    let mut passkey = enrol_passkey(&server, &mut owner, 7).await;
    let page = owner.get(&server, "/account/security").await;
    assert!(
        page.text.contains("One more step"),
        "a password alone is not enough any more: {page:?}"
    );
    let form = PasskeyForm::of(&page, "get");
    let raised = owner
        .submit(&server, &form.form, &passkey.sign(&form))
        .await;
    assert_eq!(raised.status, StatusCode::SEE_OTHER, "{raised:?}");
    let page = owner.get(&server, "/account/security").await;
    assert!(page.text.contains("Key 7") && page.text.contains("last used"));
    let renamed = owner
        .submit(
            &server,
            &button(&page, ">Save</button>"),
            "name=My%20laptop",
        )
        .await;
    assert!(
        renamed.text.contains("My laptop") && !renamed.text.contains("Key 7"),
        "{renamed:?}"
    );
    let form = PasskeyForm::of(&renamed, "create");
    let excluded = &form.options["excludeCredentials"][0]["id"];
    assert!(excluded.is_string(), "one device, one passkey");
    let mut browser = Browser::default();
    let asked_before = asked(&server, &mut browser, "").await;
    let gone = owner
        .submit(&server, &button(&renamed, ">Remove<span"), "")
        .await;
    assert!(gone.text.contains("You have no passkey."), "{gone:?}");
    let form = PasskeyForm::of(&asked_before, "get");
    let refused = browser
        .submit(&server, &form.form, &passkey.sign(&form))
        .await;
    assert!(refused.text.contains("did not work"), "{refused:?}");
    let page = asked(&server, &mut browser, "").await;
    let twin = browser
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    assert_eq!(twin.status, StatusCode::SEE_OTHER, "the password is enough");
}

#[tokio::test]
async fn a_client_that_asks_for_a_class_gets_it_or_an_error() {
    let server = Server::start().await;
    let essential = escape(r#"{"id_token":{"acr":{"essential":true,"values":["phr"]}}}"#);
    let demands = ["acr_values=phr".to_owned(), format!("claims={essential}")];
    for demand in &demands {
        let mut browser = Browser::default();
        let page = asked(&server, &mut browser, demand).await;
        let reply = browser.sign_in(&server, &page, "alice").await;
        assert_eq!(
            reply.redirected("error").as_deref(),
            Some("unmet_authentication_requirements"),
            "nothing that she has reaches it: {reply:?}"
        );
    }
    let mut passkey = enrol_passkey(&server, &mut Browser::default(), 7).await;
    for demand in &demands {
        let mut browser = Browser::default();
        let page = asked(&server, &mut browser, demand).await;
        let half = browser
            .submit(&server, &Form::of(&page), &credentials("alice"))
            .await;
        let form = PasskeyForm::of(&half, "get");
        assert!(form.options["allowCredentials"][0]["id"].is_string());
        let raised = browser
            .submit(&server, &form.form, &passkey.sign(&form))
            .await;
        let token = id_token(&server, &mut browser, raised).await;
        assert_eq!(token["acr"], "phr");
    }
}

#[tokio::test]
async fn a61_a_session_rises_under_a_new_cookie_and_keeps_its_number() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let app = enrol_app(&server, &mut browser).await;
    let mut weak = Browser::default();
    server.advance(30).await;
    let page = asked(&server, &mut weak, "").await;
    let half = weak
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    let reply = weak
        .submit(&server, &Form::of(&half), &app.code(&server))
        .await;
    let before = id_token(&server, &mut weak, reply).await;
    let mut passkey = {
        let page = weak.get(&server, "/account/security").await;
        let form = PasskeyForm::of(&page, "create");
        let (passkey, fields) = Passkey::create(&form, 9);
        let done = weak.submit(&server, &form.form, &fields).await;
        assert!(done.text.contains("The passkey is added."), "{done:?}");
        passkey
    };
    let old = weak.clone();
    let page = asked(&server, &mut weak, "acr_values=phr").await;
    let form = PasskeyForm::of(&page, "get");
    let raised = weak.submit(&server, &form.form, &passkey.sign(&form)).await;
    let after = id_token(&server, &mut weak, raised).await;
    assert_eq!(
        (&before["acr"], &after["acr"]),
        (&"urn:countersign:acr:2".into(), &"phr".into())
    );
    assert_eq!(before["sid"], after["sid"]);
    assert_eq!(before["auth_time"], after["auth_time"]);
    let mut old = old;
    let page = old.get(&server, "/account").await;
    assert!(
        page.text.contains("name=\"password\""),
        "the old cookie is nobody"
    );
}

#[tokio::test]
async fn policy_decides_about_sign_ins_and_the_log_names_it() {
    let policy = r#"
        @id("office") forbid (principal, action == Action::"sign_in", resource is Client)
        when { context.level < 2 && !context.source.isInRange(ip("192.0.2.0/24")) };
        @id("nobody-from-there") forbid (principal, action == Action::"sign_in", resource)
        when { context.source.isInRange(ip("198.51.100.0/24")) };
        @id("an-hour") forbid (principal, action == Action::"sign_in", resource)
        when { context.age > 3600 };
    "#;
    let server = Server::with_policy(policy).await;
    let from = |text: &str| Browser {
        from: Some(text.parse().unwrap()),
        ..Browser::default()
    };
    let mut office = from("192.0.2.7");
    let page = asked(&server, &mut office, "").await;
    let reply = office
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    let token = id_token(&server, &mut office, reply).await;
    assert_eq!(token["acr"], "urn:countersign:acr:1", "the twin");
    let mut home = from("203.0.113.9");
    let page = asked(&server, &mut home, "").await;
    let reply = home
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    assert_eq!(
        reply.redirected("error").as_deref(),
        Some("unmet_authentication_requirements"),
        "she has no second factor: {reply:?}"
    );
    let mut there = from("198.51.100.4");
    let page = asked(&server, &mut there, "").await;
    let reply = there
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    assert_eq!(reply.redirected("error").as_deref(), Some("access_denied"));
    assert!(!there.cookies.contains_key(SESSION));
    let mut moved = Browser {
        from: there.from,
        ..office.clone()
    };
    let page = moved.get(&server, "/account").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "a session moved there");
    server.advance(3700).await;
    let page = asked(&server, &mut office, "").await;
    assert!(page.text.contains("name=\"password\""), "too old: {page:?}");
    let silent = asked(&server, &mut office, "prompt=none").await;
    assert_eq!(
        silent.redirected("error").as_deref(),
        Some("login_required")
    );
    let data = server.fabric.stop().await;
    let files = audit_files(data.path());
    for wanted in [
        "sign_in.cedar#own-tenant",
        "more.cedar#office",
        "more.cedar#nobody-from-there",
        "more.cedar#an-hour",
    ] {
        assert!(
            files.iter().any(|file| file
                .windows(wanted.len())
                .any(|part| part == wanted.as_bytes())),
            "{wanted}"
        );
    }
}

#[tokio::test]
async fn a56_whoever_floods_a_name_does_not_lock_its_owner_out() {
    let server = Server::start().await;
    let mut passkey = enrol_passkey(&server, &mut Browser::default(), 7).await;
    let mut known = Browser::default();
    let page = asked(&server, &mut known, "").await;
    let form = PasskeyForm::of(&page, "get");
    let entered = known
        .submit(&server, &form.form, &passkey.sign(&form))
        .await;
    assert_eq!(entered.status, StatusCode::SEE_OTHER);
    let flood = |network: u8, host: u8| Browser {
        from: Some(std::net::IpAddr::from([203, network, 113, host])),
        ..Browser::default()
    };
    let mut blocked = 0;
    for round in 0..70_u8 {
        let mut attacker = flood(round % 40, round);
        let page = asked(&server, &mut attacker, "").await;
        let reply = attacker
            .submit(&server, &Form::of(&page), "username=alice&password=wrong")
            .await;
        blocked += usize::from(reply.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(blocked > 0, "the flood has to wait");
    let mut stranger = flood(99, 1);
    let page = asked(&server, &mut stranger, "").await;
    let reply = stranger
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    assert_eq!(
        reply.status,
        StatusCode::TOO_MANY_REQUESTS,
        "a browser that nobody knows waits with them"
    );
    let page = asked(&server, &mut known, "prompt=login").await;
    let reply = known
        .submit(&server, &Form::of(&page), &credentials("alice"))
        .await;
    assert!(
        reply.text.contains("One more step"),
        "her own browser does not: {reply:?}"
    );
    let mut anywhere = flood(98, 1);
    let page = asked(&server, &mut anywhere, "").await;
    let form = PasskeyForm::of(&page, "get");
    let reply = anywhere
        .submit(&server, &form.form, &passkey.sign(&form))
        .await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "nor does her passkey");
}

#[tokio::test]
async fn a56_policy_finds_the_failures_before_a_password_however_often_it_is_sent() {
    let policy = r#"
        @id("after-guesses") forbid (principal, action == Action::"sign_in", resource)
        when { context.failures > 2 && context.level < 2 };
    "#;
    let server = Server::with_policy(policy).await;
    let guess = async |browser: &mut Browser, fields: &str| {
        let page = asked(&server, browser, "").await;
        browser.submit(&server, &Form::of(&page), fields).await
    };
    let mut browser = Browser::default();
    for _ in 0..2 {
        let _wrong = guess(&mut browser, "username=alice&password=wrong").await;
    }
    let twin = guess(&mut Browser::default(), &credentials("alice")).await;
    assert_eq!(twin.status, StatusCode::SEE_OTHER, "{twin:?}");
    for _ in 0..3 {
        let _wrong = guess(&mut browser, "username=alice&password=wrong").await;
    }
    for _ in 0..2 {
        let refused = guess(&mut browser, &credentials("alice")).await;
        assert_eq!(
            refused.redirected("error").as_deref(),
            Some("unmet_authentication_requirements"),
            "{refused:?}"
        );
        assert!(!browser.cookies.contains_key(SESSION));
    }
}
