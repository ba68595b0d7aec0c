//! What the authorization endpoint shows and where it sends the browser.

use super::browser::{Browser, Form, query};
use super::harness::{CALLBACK, Server, escape};
use http::{Request, StatusCode};

#[tokio::test]
async fn r2_r5_ar_1_ar_2_ar_3_ar_4_ar_5_ar_6_a4_an_unregistered_address_is_a_page_and_never_a_redirect()
 {
    let server = Server::start().await;
    let lookalikes = [
        "https://evil.test/cb",
        "https://portal.test/cb?x=1",
        "https://portal.test@evil.test/cb",
        "https://PORTAL.test/cb",
        "https://portal.test:8443/cb",
        "https://portal.test/%252f/cb",
        "https://portal.test/..;/cb",
        "https://portal.test/cb/",
        "https://portal.test/cb#x",
        "https://portal.test\\cb",
        "javascript:alert(1)",
    ];
    for mode in ["", "query", "fragment", "form_post", "form_post.jwt"] {
        for uri in lookalikes {
            let reply = server
                .get(&format!(
                    "/authorize?{}",
                    query(&format!(
                        "redirect_uri={}&response_mode={mode}",
                        escape(uri)
                    ))
                ))
                .await;
            assert_eq!(
                (reply.status, reply.location()),
                (StatusCode::BAD_REQUEST, ""),
                "{uri} {mode}"
            );
            assert!(!reply.text.contains("evil.test"), "{uri}");
        }
    }
    assert_eq!(
        server
            .get(&format!("/authorize?{}", query("")))
            .await
            .status,
        StatusCode::OK,
        "the twin"
    );
}

#[tokio::test]
async fn r2_unknown_clients_and_broken_queries_are_pages() {
    let server = Server::start().await;
    for text in [
        query("client_id=nobody"),
        query("client_id="),
        format!("{}&state=twice", query("")),
        format!("{}&x=%zz", query("")),
    ] {
        let reply = server.get(&format!("/authorize?{text}")).await;
        assert_eq!(
            (reply.status, reply.location()),
            (StatusCode::BAD_REQUEST, ""),
            "{text}"
        );
    }
}

#[tokio::test]
async fn r6_r7_r8_r12_r13_ar_7_ar_8_ar_9_ar_14_ar_19_ar_20_mistakes_of_a_known_client_are_told_at_its_address()
 {
    let server = Server::start().await;
    let rows = [
        ("response_type=", "invalid_request"),
        ("response_type=token", "unsupported_response_type"),
        ("response_type=code%20id_token", "unsupported_response_type"),
        ("code_challenge=&code_challenge_method=", "invalid_request"),
        ("code_challenge_method=plain", "invalid_request"),
        ("response_mode=form_post", "invalid_request"),
        ("request=eyJhbGciOiJub25lIn0.e30.", "request_not_supported"),
        ("scope=openid%20admin", "invalid_scope"),
        ("resource=https://elsewhere.test", "invalid_target"),
        ("prompt=none", "login_required"),
    ];
    for (extra, error) in rows {
        let reply = server.get(&format!("/authorize?{}", query(extra))).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{extra}: {reply:?}");
        assert!(reply.location().starts_with(CALLBACK), "{extra}");
        assert_eq!(reply.redirected("error").as_deref(), Some(error), "{extra}");
        assert_eq!(
            (
                reply.redirected("iss").as_deref(),
                reply.redirected("state").as_deref()
            ),
            (Some("https://id.test"), Some("the-state"))
        );
    }
}

#[tokio::test]
async fn r12_ar_16_ar_17_ar_26_state_is_echoed_byte_for_byte() {
    let server = Server::start().await;
    let odd = "a+b c&d=ü\"<'%2F";
    let reply = server
        .get(&format!(
            "/authorize?{}",
            query(&format!("state={}&prompt=none", escape(odd)))
        ))
        .await;
    assert_eq!(reply.redirected("state").as_deref(), Some(odd));
    let none = server
        .get(&format!("/authorize?{}", query("state=&prompt=none")))
        .await;
    assert_eq!(none.redirected("state"), None);
    let long = "s".repeat(2048);
    let whole = server
        .get(&format!(
            "/authorize?{}",
            query(&format!("state={long}&prompt=none"))
        ))
        .await;
    assert_eq!(whole.redirected("state"), Some(long));
    assert_eq!(
        server
            .get(&format!(
                "/authorize?{}",
                query(&format!("state={}", "s".repeat(2049)))
            ))
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn r10_r11_ar_21_ar_22_a77_no_cors_no_framing_no_foreign_script_and_303() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let request = Request::get(format!("/authorize?{}", query("")))
        .header("origin", "https://evil.test")
        .body(axum::body::Body::empty())
        .unwrap();
    let crossed = server.send(request).await;
    assert!(
        crossed
            .headers
            .keys()
            .all(|name| !name.as_str().starts_with("access-control-"))
    );
    let page = browser
        .get(&server, &format!("/authorize?{}", query("")))
        .await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'")
            && policy.contains("frame-ancestors 'none'")
            && policy.contains("form-action 'self' https://portal.test;"),
        "{policy}"
    );
    assert!(
        policy.contains("; script-src 'self';"),
        "files of ours alone: {policy}"
    );
    let scripts: Vec<&str> = page.text.split("<script").skip(1).collect();
    assert!(
        scripts.len() == 1
            && scripts[0].starts_with(" src=\"/assets/passkeys.js\" defer></script>"),
        "and one of them: {scripts:?}"
    );
    let error = browser.get(&server, "/authorize?client_id=nobody").await;
    let policy = error.headers["content-security-policy"].to_str().unwrap();
    assert!(
        !policy.contains("script-src") && !error.text.contains("<script"),
        "none where there are no passkeys"
    );
    assert_eq!(
        (
            page.headers["x-frame-options"].to_str().unwrap(),
            page.headers["cache-control"].to_str().unwrap()
        ),
        ("DENY", "no-store")
    );
    let posted = browser
        .submit(
            &server,
            &Form::of(&page),
            &format!(
                "username=alice&password={}",
                escape(super::harness::PASSWORD)
            ),
        )
        .await;
    assert_eq!(posted.status, StatusCode::SEE_OTHER);
    let consent = browser.get(&server, posted.location()).await;
    assert_eq!(
        browser
            .submit(&server, &Form::of(&consent), "answer=allow")
            .await
            .status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn ar_18_a_denial_is_access_denied() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let page = browser
        .get(&server, &format!("/authorize?{}", query("")))
        .await;
    let consent = browser.sign_in(&server, &page, "alice").await;
    let denied = browser
        .submit(&server, &Form::of(&consent), "answer=deny")
        .await;
    assert_eq!(denied.redirected("error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn r14_consent_shows_who_asks_for_what_and_is_remembered_for_authenticated_clients() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let page = browser
        .get(&server, &format!("/authorize?{}", query("")))
        .await;
    let consent = browser.sign_in(&server, &page, "alice").await;
    for text in [
        "portal",
        "orders:read",
        "https://orders.test",
        "portal.test",
        "8 hours",
    ] {
        assert!(consent.text.contains(text), "{text}");
    }
    let _code = browser
        .submit(&server, &Form::of(&consent), "answer=allow")
        .await;
    assert!(
        browser
            .get(&server, &format!("/authorize?{}", query("")))
            .await
            .redirected("code")
            .is_some(),
        "remembered"
    );
    let more = browser
        .get(
            &server,
            &format!("/authorize?{}", query("scope=openid%20profile")),
        )
        .await;
    assert!(
        more.text.contains("value=\"allow\""),
        "a new scope is asked about"
    );
    let public = format!(
        "client_id=app&redirect_uri={}&scope=openid",
        escape("http://127.0.0.1:1/done")
    );
    for _ in 0..2 {
        let asked = browser
            .get(&server, &format!("/authorize?{}", query(&public)))
            .await;
        assert!(
            asked.text.contains("value=\"allow\""),
            "a public client is asked about every time"
        );
        let _code = browser
            .submit(&server, &Form::of(&asked), "answer=allow")
            .await;
    }
}

#[tokio::test]
async fn r15_ar_12_ar_13_a_new_sign_in_has_a_later_auth_time() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let auth_time = async |browser: &mut Browser, extra: &str| {
        let code = browser.code(&server, extra).await;
        let tokens = server.token(&super::flow::redeem(&code), None).await;
        super::harness::claims(&super::flow::text(&tokens, "id_token"))["auth_time"]
            .as_i64()
            .unwrap()
    };
    let first = auth_time(&mut browser, "").await;
    server.advance(5).await;
    assert_eq!(
        auth_time(&mut browser, "max_age=60").await,
        first,
        "the twin: young enough"
    );
    assert_eq!(auth_time(&mut browser, "max_age=1").await, first + 5);
    server.advance(5).await;
    assert_eq!(auth_time(&mut browser, "prompt=login").await, first + 10);
}

#[tokio::test]
async fn r58_lo_9_signing_out_asks_first_and_redirects_nowhere_else() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let nobody = browser
        .get(
            &server,
            "/logout?post_logout_redirect_uri=https://evil.test&state=x",
        )
        .await;
    assert_eq!((nobody.status, nobody.location()), (StatusCode::OK, ""));
    let _code = browser.code(&server, "").await;
    let asked = browser
        .get(
            &server,
            "/logout?post_logout_redirect_uri=https://evil.test",
        )
        .await;
    assert!(asked.text.contains(">Sign out</button>") && !asked.text.contains("evil.test"));
    assert!(
        browser
            .get(&server, &format!("/authorize?{}", query("prompt=none")))
            .await
            .redirected("code")
            .is_some(),
        "asking ends nothing"
    );
    let out = browser.submit(&server, &Form::of(&asked), "").await;
    assert_eq!(out.location(), "/logout");
}
