//! The device grant (RFC 8628) from the device's request to the last poll, through the pages that a person meets.

use super::browser::{Browser, Form};
use super::flow::{redeem, text};
use super::harness::{
    ISSUER, Key, ORDERS, PASSWORD, Reply, SECRET, Server, claims, client, escape,
};
use countersign_base::Tenant;
use countersign_control::DeclaredClient;
use countersign_oauth::GrantType;
use countersign_oauth::authorization_details::RegisteredType;
use countersign_oauth::client::Application;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::json;

pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A television without a secret, and a kiosk with one.
pub(crate) fn clients(tenant: &Tenant) -> Vec<DeclaredClient> {
    let tv = client(tenant, "tv", None, |client| {
        client.application = Application::Native;
        client.name = countersign_base::Bounded::parse("Living-room TV <b>").unwrap();
        client.grants = [GrantType::DeviceCode, GrantType::RefreshToken].into();
        client.scopes = "openid orders:read".parse().unwrap();
        client.audiences = [ORDERS.parse().unwrap()].into();
    });
    let kiosk = client(tenant, "kiosk", Some("kiosk-secret"), |client| {
        client.grants = [GrantType::DeviceCode].into();
        client.redirect_uris = ["https://kiosk.test/".parse().unwrap()].into();
        client.scopes = "openid orders:read".parse().unwrap();
        client.audiences = [ORDERS.parse().unwrap()].into();
    });
    vec![tv, kiosk]
}

/// What a device got.
struct Device {
    code: String,
    user_code: String,
    page: String,
}

async fn begin(server: &Server) -> Device {
    let reply = server
        .post(
            "/device_authorization",
            &[],
            "client_id=tv&scope=openid%20orders:read",
        )
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let page = text(&reply, "verification_uri_complete");
    Device {
        code: text(&reply, "device_code"),
        user_code: text(&reply, "user_code"),
        page: page.strip_prefix(ISSUER).unwrap().to_owned(),
    }
}

async fn poll(server: &Server, code: &str) -> Reply {
    poll_with(server, code, None).await
}

async fn poll_with(server: &Server, code: &str, proof: Option<&str>) -> Reply {
    let form = format!("grant_type={DEVICE_GRANT}&client_id=tv&device_code={code}");
    let headers: Vec<(&str, &str)> = proof.iter().map(|proof| ("dpop", *proof)).collect();
    server.post("/token", &headers, &form).await
}

/// Types a code, signing in on the way if nobody is, up to the page that asks.
async fn enter(browser: &mut Browser, server: &Server, typed: &str, name: &str) -> Reply {
    let page = browser.get(server, "/device").await;
    let fields = format!("code={}", escape(typed));
    let reply = browser.submit(server, &Form::of(&page), &fields).await;
    if reply.text.contains("name=\"password\"") {
        browser.sign_in(server, &reply, name).await
    } else {
        reply
    }
}

async fn allow(server: &Server, user_code: &str) -> Reply {
    let mut browser = Browser::default();
    let asked = enter(&mut browser, server, user_code, "alice").await;
    let reply = browser
        .submit(server, &Form::of(&asked), "answer=allow")
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply
}

#[tokio::test]
async fn a_device_asks_a_person_allows_and_the_device_gets_tokens() {
    let server = Server::start().await;
    let device = begin(&server).await;
    assert_eq!(
        device.page,
        format!("/device?user_code={}", device.user_code)
    );
    assert_eq!(
        poll(&server, &device.code).await.error(),
        "authorization_pending"
    );

    // The link fills the form in; the person still sends it, signs in, and sees who asks.
    let mut browser = Browser::default();
    let page = browser.get(&server, &device.page).await;
    assert!(
        page.text.contains("<label for=\"code\">Code</label>"),
        "{page:?}"
    );
    assert!(
        page.text
            .contains(&format!("value=\"{}\"", device.user_code))
    );
    assert!(
        !page.text.contains("Living-room"),
        "nothing is told before somebody is signed in"
    );
    let typed = format!("code={}", device.user_code.to_lowercase().replace('-', " "));
    let sign_in = browser
        .submit(&server, &Form::of(&page), &escape_space(&typed))
        .await;
    assert!(
        sign_in
            .text
            .contains("to continue to <strong>your device</strong>"),
        "{sign_in:?}"
    );
    server.advance(130).await;
    let asked = browser.sign_in(&server, &sign_in, "alice").await;
    for shown in [
        "Living-room TV &#60;b&#62;",
        "<code>tv</code>",
        "2 minutes ago",
        "127.0.0.1",
        "orders:read",
        "know that it is you",
        &device.user_code,
        ">Allow</button>",
        ">Deny</button>",
    ] {
        assert!(asked.text.contains(shown), "{shown} in {}", asked.text);
    }
    let done = browser
        .submit(&server, &Form::of(&asked), "answer=allow")
        .await;
    assert!(done.text.contains("<h1>Allowed</h1>"), "{done:?}");

    let tokens = poll(&server, &device.code).await;
    assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
    let access = claims(&text(&tokens, "access_token"));
    let id = claims(&text(&tokens, "id_token"));
    assert_eq!(
        (
            access["aud"].as_str(),
            access["client_id"].as_str(),
            id["aud"].as_str()
        ),
        (Some(ORDERS), Some("tv"), Some("tv"))
    );
    assert_eq!(access["sub"], id["sub"]);
    assert!(tokens.json()["refresh_token"].is_string());
}

fn escape_space(text: &str) -> String {
    text.replace(' ', "+")
}

#[tokio::test]
async fn dev_1_a_device_code_used_twice_is_refused_and_its_grant_revoked() {
    let server = Server::start().await;
    let device = begin(&server).await;
    allow(&server, &device.user_code).await;
    let tokens = poll(&server, &device.code).await;
    let access = text(&tokens, "access_token");
    assert!(
        server.is_active(&access).await,
        "the twin: used once it works"
    );
    let again = poll(&server, &device.code).await;
    assert_eq!(
        (again.status, again.error().as_str()),
        (StatusCode::BAD_REQUEST, "invalid_grant")
    );
    assert!(!server.is_active(&access).await, "what came of it is dead");
    let refresh = format!(
        "grant_type=refresh_token&client_id=tv&refresh_token={}",
        text(&tokens, "refresh_token")
    );
    assert_eq!(
        server.post("/token", &[], &refresh).await.error(),
        "invalid_grant"
    );
}

#[tokio::test]
async fn a84_of_many_parallel_polls_exactly_one_gets_tokens() {
    let server = Server::start().await;
    let device = begin(&server).await;
    allow(&server, &device.user_code).await;
    let replies = join_all((0..20).map(|_| poll(&server, &device.code))).await;
    let issued = replies
        .iter()
        .filter(|reply| reply.status == StatusCode::OK);
    assert_eq!(issued.count(), 1);
    let refused = replies
        .iter()
        .filter(|reply| reply.error() == "invalid_grant");
    assert_eq!(refused.count(), 19);
}

#[tokio::test]
async fn a_denied_an_expired_and_a_hasty_poll_are_told_apart() {
    let server = Server::start().await;
    let denied = begin(&server).await;
    let mut browser = Browser::default();
    let asked = enter(&mut browser, &server, &denied.user_code, "alice").await;
    let reply = browser
        .submit(&server, &Form::of(&asked), "answer=deny")
        .await;
    assert!(reply.text.contains("<h1>Denied</h1>"), "{reply:?}");
    assert_eq!(poll(&server, &denied.code).await.error(), "access_denied");
    // The answer stands; nobody turns it round.
    let reply = browser
        .submit(&server, &Form::of(&asked), "answer=allow")
        .await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(poll(&server, &denied.code).await.error(), "access_denied");

    let device = begin(&server).await;
    assert_eq!(
        poll(&server, &device.code).await.error(),
        "authorization_pending"
    );
    assert_eq!(poll(&server, &device.code).await.error(), "slow_down");
    server.advance(10).await;
    assert_eq!(
        poll(&server, &device.code).await.error(),
        "authorization_pending"
    );
    server.advance(600).await;
    assert_eq!(poll(&server, &device.code).await.error(), "expired_token");
    let late = enter(&mut browser, &server, &device.user_code, "alice").await;
    assert!(
        late.text.contains("not right, or its time is over"),
        "{late:?}"
    );
}

#[tokio::test]
async fn dev_3_dev_6_a34_a_device_asks_for_no_more_than_is_registered() {
    let server = Server::start().await;
    let ask = async |form: &str| server.post("/device_authorization", &[], form).await;
    assert_eq!(
        ask("client_id=tv&scope=orders:read").await.status,
        StatusCode::OK,
        "the twin"
    );
    for (form, error) in [
        (
            "client_id=tv&scope=orders:read%20billing:read",
            "invalid_scope",
        ),
        ("client_id=tv&scope=admin", "invalid_scope"),
        (
            "client_id=tv&resource=https://billing.test",
            "invalid_target",
        ),
        ("client_id=tv&request=a.b.c", "request_not_supported"),
        ("client_id=app", "unauthorized_client"),
        ("client_id=nobody", "invalid_client"),
        ("client_id=kiosk", "invalid_client"),
    ] {
        assert_eq!(ask(form).await.error(), error, "{form}");
    }
    let kiosk = server
        .client_post("/device_authorization", ("kiosk", "kiosk-secret"), "", None)
        .await;
    assert_eq!(kiosk.status, StatusCode::OK, "{kiosk:?}");
    // A client without the grant does not redeem it either.
    let device = begin(&server).await;
    allow(&server, &device.user_code).await;
    let form = format!("grant_type={DEVICE_GRANT}&device_code={}", device.code);
    assert_eq!(
        server.token(&form, None).await.error(),
        "unauthorized_client"
    );
    let other = server
        .client_post("/token", ("kiosk", "kiosk-secret"), &form, None)
        .await;
    assert_eq!(other.error(), "invalid_grant", "another client's");
    assert_eq!(
        poll(&server, &device.code).await.status,
        StatusCode::OK,
        "and it was not spent"
    );
}

#[tokio::test]
async fn dev_5_a10_a_handle_of_another_kind_is_no_device_code_and_a_device_code_no_other() {
    let server = Server::start().await;
    let device = begin(&server).await;
    allow(&server, &device.user_code).await;
    let code = Browser::default().code(&server, "").await;
    let tokens = server
        .token(&redeem(&Browser::default().code(&server, "").await), None)
        .await;
    let pushed = server
        .client_post(
            "/par",
            ("portal", SECRET),
            &super::browser::query("client_id="),
            None,
        )
        .await;
    let request_uri = text(&pushed, "request_uri");
    let handle = request_uri.rsplit(':').next().unwrap().to_owned();
    for other in [
        code.clone(),
        text(&tokens, "refresh_token"),
        handle,
        device.user_code.clone(),
        device.user_code.replace('-', ""),
    ] {
        assert_eq!(
            poll(&server, &other).await.error(),
            "invalid_grant",
            "{other}"
        );
    }
    let as_code = server.token(&redeem(&device.code), None).await;
    assert_eq!(as_code.error(), "invalid_grant");
    let as_refresh = format!("grant_type=refresh_token&refresh_token={}", device.code);
    assert_eq!(
        server.token(&as_refresh, None).await.error(),
        "invalid_grant"
    );
    let uri = format!(
        "/authorize?client_id=portal&request_uri={}",
        escape(&format!(
            "urn:ietf:params:oauth:request_uri:{}",
            device.code
        ))
    );
    assert_eq!(server.get(&uri).await.status, StatusCode::BAD_REQUEST);
    let mut browser = Browser::default();
    let beginning: String = device.code.chars().take(16).collect();
    let typed = enter(&mut browser, &server, &beginning, "alice").await;
    assert!(typed.text.contains("not right"), "{typed:?}");
    // The twins: each is good where it belongs.
    assert_eq!(poll(&server, &device.code).await.status, StatusCode::OK);
    assert_eq!(
        server.token(&redeem(&code), None).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn dev_2_a33_whom_the_policy_excludes_cannot_allow_a_device() {
    let policy = r#"
        @id("no-televisions")
        forbid (principal is User, action == Action::"issue", resource is Audience)
        when { context.client == Client::"tv" };
    "#;
    let server = Server::with_policy(policy).await;
    let device = begin(&server).await;
    let mut browser = Browser::default();
    let asked = enter(&mut browser, &server, &device.user_code, "alice").await;
    let reply = browser
        .submit(&server, &Form::of(&asked), "answer=allow")
        .await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{reply:?}");
    assert_eq!(
        poll(&server, &device.code).await.error(),
        "authorization_pending"
    );
    // The twin: without the policy the same steps end in tokens.
    let server = Server::start().await;
    let device = begin(&server).await;
    allow(&server, &device.user_code).await;
    assert_eq!(poll(&server, &device.code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn dev_4_guessing_user_codes_is_throttled_and_takes_a_person() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let first = enter(&mut browser, &server, "BBBB-BBBB", "alice").await;
    assert!(first.text.contains("not right"), "{first:?}");
    for wrong in ["CCCC-CCCC", "DDDD-DDDD", "FFFF-FFFF", "not a code"] {
        assert_eq!(
            enter(&mut browser, &server, wrong, "alice").await.status,
            StatusCode::OK
        );
    }
    let device = begin(&server).await;
    let throttled = enter(&mut browser, &server, &device.user_code, "alice").await;
    assert_eq!(
        throttled.status,
        StatusCode::TOO_MANY_REQUESTS,
        "a right one too"
    );
    assert!(throttled.headers.contains_key("retry-after"));
    // A new session of the same person does not help; after the wait the code is taken.
    let mut fresh = Browser::default();
    let still = enter(&mut fresh, &server, &device.user_code, "alice").await;
    assert_eq!(still.status, StatusCode::TOO_MANY_REQUESTS);
    server.advance(2).await;
    let asked = enter(&mut fresh, &server, &device.user_code, "alice").await;
    assert!(asked.text.contains(">Allow</button>"), "{asked:?}");
}

#[tokio::test]
async fn a81_dev_4_parallel_guesses_count_like_serial_ones() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let first = enter(&mut browser, &server, "BBBB-BBBB", "alice").await;
    let form = Form::of(&first);
    let guesses = (0..30).map(|_| {
        let (mut browser, server, form) = (browser.clone(), &server, &form);
        async move { browser.submit(server, form, "code=CCCC-CCCC").await.status }
    });
    let answers = join_all(guesses).await;
    let judged = answers.iter().filter(|status| **status == StatusCode::OK);
    assert_eq!(judged.count(), 4, "with the first one, five");
    let throttled = answers
        .iter()
        .filter(|status| **status == StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(throttled.count(), 26);
}

#[tokio::test]
async fn a_form_counts_in_its_browser_and_for_the_person_it_was_made_for() {
    let server = Server::start().await;
    let device = begin(&server).await;
    let (mut alice, mut bob) = (Browser::default(), Browser::default());
    let asked = enter(&mut alice, &server, &device.user_code, "alice").await;
    let form = Form::of(&asked);
    // Another browser, signed in as somebody else, cannot send it.
    let other = enter(&mut bob, &server, "BBBB-BBBB", "bob").await;
    assert_eq!(other.status, StatusCode::OK);
    let reply = bob.submit(&server, &form, "answer=allow").await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    // Nor does it count once somebody else signed in in this one.
    let mut switched = alice.clone();
    let session = bob
        .cookies
        .iter()
        .find(|(name, _)| name.contains("session"))
        .unwrap();
    switched
        .cookies
        .insert(session.0.clone(), session.1.clone());
    let reply = switched.submit(&server, &form, "answer=allow").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    // An answer that is none, and a ticket of another step.
    let reply = alice.submit(&server, &form, "answer=perhaps").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let page = alice.get(&server, "/device").await;
    let wrong_step = Form {
        action: form.action.clone(),
        ..Form::of(&page)
    };
    let reply = alice.submit(&server, &wrong_step, "answer=allow").await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert_eq!(
        poll(&server, &device.code).await.error(),
        "authorization_pending"
    );
    // The twin.
    let reply = alice.submit(&server, &form, "answer=allow").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(
        poll_after(&server, &device.code).await.status,
        StatusCode::OK
    );
}

async fn poll_after(server: &Server, code: &str) -> Reply {
    server.advance(5).await;
    poll(server, code).await
}

#[tokio::test]
async fn the_key_that_asked_redeems_and_a_key_at_the_end_binds() {
    let server = Server::start().await;
    let (key, other) = (Key::new(), Key::new());
    let proof = key.proof(&server, &Method::POST, "/device_authorization", None);
    let asked = server
        .post("/device_authorization", &[("dpop", &proof)], "client_id=tv")
        .await;
    allow(&server, &text(&asked, "user_code")).await;
    let code = text(&asked, "device_code");
    let bound = begin(&server).await;
    allow(&server, &bound.user_code).await;
    let proof = key.proof(&server, &Method::POST, "/token", None);
    let tokens = poll_with(&server, &code, Some(&proof)).await;
    assert_eq!(tokens.json()["token_type"], "DPoP", "{tokens:?}");
    let proof = other.proof(&server, &Method::POST, "/token", None);
    let tokens = poll_with(&server, &bound.code, Some(&proof)).await;
    let access = claims(&text(&tokens, "access_token"));
    assert_eq!(
        access["cnf"]["jkt"].as_str(),
        Some(other.thumbprint().as_str())
    );

    let proof = key.proof(&server, &Method::POST, "/device_authorization", None);
    let asked = server
        .post("/device_authorization", &[("dpop", &proof)], "client_id=tv")
        .await;
    allow(&server, &text(&asked, "user_code")).await;
    let proof = other.proof(&server, &Method::POST, "/token", None);
    let refused = poll_with(&server, &text(&asked, "device_code"), Some(&proof)).await;
    assert_eq!(refused.error(), "invalid_grant");
}

#[tokio::test]
async fn a_device_code_of_one_tenant_is_unknown_to_another() {
    let server = Server::start().await;
    let device = begin(&server).await;
    let form = format!("grant_type={DEVICE_GRANT}&device_code={}", device.code);
    let reply = server
        .client_post(
            "/t/acme/token",
            ("portal", "the-secret-at-acme"),
            &form,
            None,
        )
        .await;
    assert_eq!(reply.error(), "unauthorized_client");
    let mut browser = Browser::default();
    let page = browser.get(&server, "/t/acme/device").await;
    let fields = format!("code={}", device.user_code);
    let sign_in = browser.submit(&server, &Form::of(&page), &fields).await;
    let fields = format!("username=alice&password={}", escape(PASSWORD));
    let resumed = browser.submit(&server, &Form::of(&sign_in), &fields).await;
    let resume = resumed.location().to_owned();
    let asked = browser.get(&server, &resume).await;
    assert!(asked.text.contains("not right"), "{asked:?}");
}

#[tokio::test]
async fn r39_authorization_details_of_a_device_are_checked_shown_and_carried() {
    let server = Server::with_declared(|declared| {
        let schema = json!({
            "type": "object",
            "properties": {"type": {"const": "account"}, "actions": {"items": {"enum": ["read"]}}},
            "required": ["actions"], "additionalProperties": false,
        });
        let words = countersign_base::Bounded::parse("Look at an account").unwrap();
        declared.tenants[0].detail_types.register(
            "account".parse().unwrap(),
            RegisteredType::new(schema, words, Default::default()),
        );
        let tv = declared
            .clients
            .iter_mut()
            .find(|client| client.record.id.as_str() == "tv");
        tv.unwrap().record.token_rules.detail_types = ["account".parse().unwrap()].into();
    })
    .await;
    let ask = async |details: &str| {
        let form = format!("client_id=tv&authorization_details={}", escape(details));
        server.post("/device_authorization", &[], &form).await
    };
    for bad in [
        r#"[{"type":"payment"}]"#,
        r#"[{"type":"account","actions":["write"]}]"#,
        "account",
    ] {
        assert_eq!(
            ask(bad).await.error(),
            "invalid_authorization_details",
            "{bad}"
        );
    }
    let details = r#"[{"type":"account","actions":["read"]}]"#;
    let asked = ask(details).await;
    let mut browser = Browser::default();
    let page = enter(&mut browser, &server, &text(&asked, "user_code"), "alice").await;
    assert!(page.text.contains("Look at an account"), "{page:?}");
    let done = browser
        .submit(&server, &Form::of(&page), "answer=allow")
        .await;
    assert_eq!(done.status, StatusCode::OK);
    let tokens = poll(&server, &text(&asked, "device_code")).await;
    let granted: serde_json::Value = serde_json::from_str(details).unwrap();
    assert_eq!(
        tokens.json()["authorization_details"],
        granted,
        "{tokens:?}"
    );
    assert!(
        tokens.json()["scope"].as_str().is_none_or(str::is_empty),
        "no scope was asked for"
    );
}

#[tokio::test]
async fn metadata_names_the_endpoints() {
    let server = Server::start().await;
    let document = server.get("/.well-known/openid-configuration").await.json();
    assert_eq!(
        document["device_authorization_endpoint"],
        format!("{ISSUER}/device_authorization")
    );
    assert_eq!(
        document["backchannel_authentication_endpoint"],
        format!("{ISSUER}/bc-authorize")
    );
    let grants = document["grant_types_supported"].to_string();
    assert!(grants.contains(DEVICE_GRANT) && grants.contains("urn:openid:params:grant-type:ciba"));
}

/// Nobody signs in at the device's client but from one network.
const TV_AT_HOME: &str = r#"
    @id("tv") forbid (principal, action == Action::"sign_in", resource == Client::"tv")
    when { !context.source.isInRange(ip("192.0.2.0/24")) };
"#;
const HOME: &str = "192.0.2.7";
const ELSEWHERE: &str = "203.0.113.9";

fn browser_at(address: &str) -> Browser {
    Browser {
        from: Some(address.parse().unwrap()),
        ..Browser::default()
    }
}

#[tokio::test]
async fn policy_about_a_client_is_asked_of_whoever_answers_its_device() {
    let server = Server::with_policy(TV_AT_HOME).await;
    let device = begin(&server).await;
    let mut browser = browser_at(ELSEWHERE);
    let refused = enter(&mut browser, &server, &device.user_code, "alice").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    assert_eq!(
        poll(&server, &device.code).await.error(),
        "authorization_pending"
    );
    // Shown where it is permitted, and answered from elsewhere.
    let mut moved = browser_at(HOME);
    let shown = enter(&mut moved, &server, &device.user_code, "alice").await;
    moved.from = browser.from;
    let reply = moved
        .submit(&server, &Form::of(&shown), "answer=allow")
        .await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{reply:?}");
    moved.from = browser_at(HOME).from;
    let reply = moved
        .submit(&server, &Form::of(&shown), "answer=allow")
        .await;
    assert_eq!(reply.status, StatusCode::OK, "the twin: {reply:?}");
}

#[tokio::test]
async fn a33_a_client_at_which_nobody_may_sign_in_never_gets_tokens_of_its_device() {
    let server = Server::with_policy(TV_AT_HOME).await;
    let device = begin(&server).await;
    let mut browser = browser_at(HOME);
    let shown = enter(&mut browser, &server, &device.user_code, "alice").await;
    browser.from = browser_at(ELSEWHERE).from;
    let form = Form::of(&shown);
    let refused = browser.submit(&server, &form, "answer=allow").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    server.advance(601).await;
    assert_eq!(poll(&server, &device.code).await.error(), "expired_token");
    // The twin: answered from where it is permitted, it ends in tokens.
    let device = begin(&server).await;
    browser.from = browser_at(HOME).from;
    let shown = enter(&mut browser, &server, &device.user_code, "alice").await;
    let allowed = browser
        .submit(&server, &Form::of(&shown), "answer=allow")
        .await;
    assert_eq!(allowed.status, StatusCode::OK, "{allowed:?}");
    assert_eq!(poll(&server, &device.code).await.status, StatusCode::OK);
}
