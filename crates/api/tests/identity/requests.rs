//! Flawed requests to the endpoints that clients call, each beside its good twin.

use super::browser::{Browser, query};
use super::flow::{redeem, text, tokens};
use super::harness::{Key, SECRET, Server, basic, escape, post};
use http::{Method, Request, StatusCode};

#[tokio::test]
async fn r28_r29_ca_1_ca_13_ca_14_client_authentication_is_one_and_whole() {
    let server = Server::start().await;
    let form = "grant_type=client_credentials";
    assert_eq!(
        server.token(form, None).await.status,
        StatusCode::OK,
        "the twin"
    );
    let wrong = server
        .client_post("/token", ("portal", "wrong"), form, None)
        .await;
    assert_eq!(
        (wrong.status, wrong.error().as_str()),
        (StatusCode::UNAUTHORIZED, "invalid_client")
    );
    assert!(
        wrong.headers["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Basic ")
    );
    let unknown = server
        .client_post("/token", ("nobody", "wrong"), form, None)
        .await;
    assert_eq!(
        (unknown.status, unknown.json()["error"].clone()),
        (wrong.status, wrong.json()["error"].clone()),
        "unknown looks like wrong"
    );
    let none = server.post("/token", &[], form).await;
    assert_eq!(none.error(), "invalid_client");
    let two = format!("{form}&client_secret={SECRET}");
    assert_eq!(server.token(&two, None).await.error(), "invalid_request");
    assert_eq!(
        server
            .token(&format!("{form}&scope=orders:read&scope=orders:read"), None)
            .await
            .error(),
        "invalid_request"
    );
    let other = server
        .token(&format!("{form}&client_id=orders"), None)
        .await;
    assert_eq!(other.error(), "invalid_client", "ca_10");
}

#[tokio::test]
async fn r26_dev_6_unknown_and_unregistered_grants() {
    let server = Server::start().await;
    assert_eq!(
        server
            .token("grant_type=password&username=alice&password=x", None)
            .await
            .error(),
        "unsupported_grant_type"
    );
    assert_eq!(
        server.token("scope=a", None).await.error(),
        "invalid_request"
    );
    let unregistered = server
        .client_post(
            "/token",
            ("orders", "orders-secret"),
            "grant_type=client_credentials",
            None,
        )
        .await;
    assert_eq!(unregistered.error(), "unauthorized_client");
}

#[tokio::test]
async fn r27_token_answers_are_not_cached_and_carry_the_requests_number() {
    let server = Server::start().await;
    for reply in [
        server.token("grant_type=client_credentials", None).await,
        server.token("grant_type=x", None).await,
    ] {
        assert_eq!(
            (
                reply.headers["cache-control"].to_str().unwrap(),
                reply.headers["x-content-type-options"].to_str().unwrap()
            ),
            ("no-store", "nosniff")
        );
        let number = reply.headers["x-request-id"].to_str().unwrap();
        assert!(reply.status == StatusCode::OK || reply.json()["request_id"] == number);
    }
}

#[tokio::test]
async fn malformed_bodies_are_refused_with_a_code() {
    let server = Server::start().await;
    let authorization = basic("portal", SECRET);
    let json = Request::post("/token")
        .header("authorization", &authorization)
        .header("content-type", "application/json")
        .body("{}".into())
        .unwrap();
    assert_eq!(server.send(json).await.error(), "invalid_request");
    for body in [
        "grant_type=%zz",
        "grant_type=%00",
        "grant_type=%ff",
        &format!("a={}", "x".repeat(70_000)),
    ] {
        let reply = server.token(body, None).await;
        assert_eq!(
            (reply.status, reply.error().as_str()),
            (StatusCode::BAD_REQUEST, "invalid_request"),
            "{}",
            body.chars().take(20).collect::<String>()
        );
    }
    let get = server.get("/token").await;
    assert_eq!(
        (get.status, get.headers["allow"].to_str().unwrap()),
        (StatusCode::METHOD_NOT_ALLOWED, "POST")
    );
}

#[tokio::test]
async fn code_4_code_6_code_7_code_9_code_11_codes_are_bound_to_their_request() {
    let server = Server::start().await;
    let redeemed = async |change: &dyn Fn(String) -> String| {
        let code = Browser::default().code(&server, "").await;
        server.token(&change(redeem(&code)), None).await
    };
    assert_eq!(
        redeemed(&|form| form).await.status,
        StatusCode::OK,
        "the twin"
    );
    let verifier = super::harness::VERIFIER;
    assert_eq!(
        redeemed(&|form| form.replace(verifier, &"x".repeat(43)))
            .await
            .error(),
        "invalid_grant",
        "code_7"
    );
    assert_eq!(
        redeemed(&|form| form.replace(&format!("&code_verifier={verifier}"), ""))
            .await
            .error(),
        "invalid_grant",
        "code_6"
    );
    assert_eq!(
        redeemed(&|form| form.replace("portal%2Etest", "evil%2Etest"))
            .await
            .error(),
        "invalid_grant",
        "code_9"
    );
    let code = Browser::default().code(&server, "").await;
    server.advance(61).await;
    assert_eq!(
        server.token(&redeem(&code), None).await.error(),
        "invalid_grant",
        "code_4"
    );
    let tokens = tokens(&server, None).await;
    assert_eq!(
        server
            .token(&redeem(&text(&tokens, "refresh_token")), None)
            .await
            .error(),
        "invalid_grant",
        "code_11"
    );
    let pushed = push(&server, "").await;
    let handle = pushed.rsplit(':').next().unwrap().to_owned();
    assert_eq!(
        server.token(&redeem(&handle), None).await.error(),
        "invalid_grant",
        "a10: a request_uri is no code"
    );
}

#[tokio::test]
async fn r24_code_5_another_client_cannot_redeem_a_code() {
    let server = Server::start().await;
    let code = Browser::default().code(&server, "").await;
    let form = format!("{}&client_id=app", redeem(&code));
    assert_eq!(
        server.post("/token", &[], &form).await.error(),
        "invalid_grant"
    );
}

async fn push(server: &Server, extra: &str) -> String {
    let reply = server
        .client_post(
            "/par",
            ("portal", SECRET),
            &query(&format!("client_id=&{extra}")),
            None,
        )
        .await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    text(&reply, "request_uri")
}

#[tokio::test]
async fn r16_r18_par_1_par_2_par_3_par_5_par_11_par_12_what_may_not_be_pushed() {
    let server = Server::start().await;
    let push = async |extra: &str| {
        server
            .client_post(
                "/par",
                ("portal", SECRET),
                &query(&format!("client_id=&{extra}")),
                None,
            )
            .await
    };
    assert_eq!(push("").await.status, StatusCode::CREATED, "the twin");
    let rows = [
        ("par_1", "code_challenge=&code_challenge_method="),
        ("par_2", "code_challenge_method=plain"),
        ("par_3", "request_uri=urn:ietf:params:oauth:request_uri:x"),
        ("par_12", "redirect_uri=https://evil.test/"),
    ];
    for (id, extra) in rows {
        let reply = push(extra).await;
        assert_eq!(
            (reply.status, reply.error().as_str()),
            (StatusCode::BAD_REQUEST, "invalid_request"),
            "{id}"
        );
    }
    assert_eq!(
        push("response_type=token").await.error(),
        "unsupported_response_type",
        "ar_8"
    );
    assert_eq!(
        server.get("/par").await.status,
        StatusCode::METHOD_NOT_ALLOWED,
        "par_5"
    );
    assert_eq!(
        server
            .client_post("/par", ("portal", "wrong"), &query("client_id="), None)
            .await
            .error(),
        "invalid_client",
        "par_11"
    );
    assert_eq!(
        server.post("/par", &[], &query("")).await.error(),
        "invalid_client",
        "par_11: a confidential client must authenticate"
    );
}

#[tokio::test]
async fn dpop_25_dpop_26_dpop_27_dpop_43_a37_one_key_from_push_to_token() {
    let (server, key, other) = (Server::start().await, Key::new(), Key::new());
    let push = async |announced: &str, prover: &Key| {
        let proof = prover.proof(&server, &Method::POST, "/par", None);
        server
            .client_post(
                "/par",
                ("portal", SECRET),
                &query(&format!("client_id=&dpop_jkt={announced}")),
                Some(&proof),
            )
            .await
    };
    assert_eq!(
        push(&key.thumbprint(), &other).await.error(),
        "invalid_dpop_proof",
        "dpop_25"
    );
    let redeem_with = async |prover: Option<&Key>| {
        let pushed = push(&key.thumbprint(), &key).await;
        let path = format!(
            "/authorize?client_id=portal&request_uri={}",
            escape(&text(&pushed, "request_uri"))
        );
        let code = Browser::default()
            .approve(&server, &path)
            .await
            .redirected("code")
            .unwrap();
        let proof = prover.map(|prover| prover.proof(&server, &Method::POST, "/token", None));
        server.token(&redeem(&code), proof.as_deref()).await
    };
    assert_eq!(
        redeem_with(Some(&other)).await.error(),
        "invalid_grant",
        "dpop_27"
    );
    assert_eq!(redeem_with(None).await.error(), "invalid_grant", "dpop_26");
    assert_eq!(
        redeem_with(Some(&key)).await.status,
        StatusCode::OK,
        "dpop_43"
    );
}

#[tokio::test]
async fn r17_par_6_par_7_par_8_par_9_par_14_a14_a_request_uri_works_once_in_time_for_its_client() {
    let server = Server::start().await;
    let path = |client: &str, request_uri: &str| {
        format!(
            "/authorize?client_id={client}&request_uri={}",
            escape(request_uri)
        )
    };
    let mut browser = Browser::default();
    let used = push(&server, "").await;
    let first = browser.get(&server, &path("portal", &used)).await;
    assert_eq!(
        browser.get(&server, &path("portal", &used)).await.status,
        first.status,
        "par_14: a second visit before the end"
    );
    assert!(
        browser
            .approve(&server, &path("portal", &used))
            .await
            .redirected("code")
            .is_some()
    );
    let again = browser.get(&server, &path("portal", &used)).await;
    assert_eq!(
        (again.status, again.location()),
        (StatusCode::BAD_REQUEST, ""),
        "par_6"
    );
    let silent = browser
        .get(&server, &format!("{}&prompt=none", path("portal", &used)))
        .await;
    assert_eq!(
        (silent.status, silent.location()),
        (StatusCode::BAD_REQUEST, ""),
        "par_9"
    );
    let foreign = push(&server, "").await;
    assert_eq!(
        browser.get(&server, &path("app", &foreign)).await.status,
        StatusCode::BAD_REQUEST,
        "par_8"
    );
    let late = push(&server, "").await;
    server.advance(61).await;
    assert_eq!(
        browser.get(&server, &path("portal", &late)).await.status,
        StatusCode::BAD_REQUEST,
        "par_7"
    );
    let internal = browser
        .get(
            &server,
            &path("portal", "http://169.254.169.254/request.jwt"),
        )
        .await;
    assert_eq!(
        internal.status,
        StatusCode::BAD_REQUEST,
        "a42, jar_17: nothing is fetched"
    );
}

#[tokio::test]
async fn r17_par_6_two_pages_of_one_request_uri_end_in_one_code() {
    let server = Server::start().await;
    let path = format!(
        "/authorize?client_id=portal&request_uri={}",
        escape(&push(&server, "").await)
    );
    let mut browser = Browser::default();
    let page = browser.get(&server, &path).await;
    let consent = browser.sign_in(&server, &page, "alice").await;
    let form = super::browser::Form::of(&consent);
    let first = browser.submit(&server, &form, "answer=allow").await;
    assert!(first.redirected("code").is_some());
    let second = browser.submit(&server, &form, "answer=allow").await;
    assert_eq!(
        (second.status, second.location()),
        (StatusCode::BAD_REQUEST, "")
    );
}

#[tokio::test]
async fn r43_dpop_20_a_proof_is_good_once_at_the_token_endpoint() {
    let (server, key) = (Server::start().await, Key::new());
    let proof = key.proof(&server, &Method::POST, "/token", None);
    let form = "grant_type=client_credentials";
    assert_eq!(
        server.token(form, Some(&proof)).await.status,
        StatusCode::OK
    );
    assert_eq!(
        server.token(form, Some(&proof)).await.error(),
        "invalid_dpop_proof"
    );
    let elsewhere = key.proof(&server, &Method::POST, "/par", None);
    assert_eq!(
        server.token(form, Some(&elsewhere)).await.error(),
        "invalid_dpop_proof",
        "dpop_17"
    );
    let two = post(
        "/token",
        &[
            ("authorization", &basic("portal", SECRET)),
            ("dpop", &proof),
            ("dpop", &proof),
        ],
        form,
    );
    assert_eq!(
        server.send(two).await.error(),
        "invalid_dpop_proof",
        "dpop_1"
    );
}

#[tokio::test]
async fn r36_code_12_codes_and_handles_are_256_bits_and_never_repeat() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let codes = [
        browser.code(&server, "").await,
        browser.code(&server, "").await,
    ];
    assert!(
        codes[0] != codes[1] && codes.iter().all(|code| code.len() == 43),
        "{codes:?}"
    );
}

#[tokio::test]
async fn par_6_par_9_a14_a_denial_or_an_error_spends_the_request_uri_too() {
    let server = Server::start().await;
    let path = |request_uri: &str, extra: &str| {
        format!(
            "/authorize?client_id=portal&request_uri={}{extra}",
            escape(request_uri)
        )
    };
    let silent = push(&server, "prompt=none").await;
    let mut browser = Browser::default();
    assert_eq!(
        browser
            .get(&server, &path(&silent, ""))
            .await
            .redirected("error")
            .as_deref(),
        Some("login_required")
    );
    assert_eq!(
        browser.get(&server, &path(&silent, "")).await.status,
        StatusCode::BAD_REQUEST
    );
    let denied = push(&server, "").await;
    let page = browser.get(&server, &path(&denied, "")).await;
    let consent = browser.sign_in(&server, &page, "alice").await;
    let answer = browser
        .submit(&server, &super::browser::Form::of(&consent), "answer=deny")
        .await;
    assert_eq!(answer.redirected("error").as_deref(), Some("access_denied"));
    let again = browser.get(&server, &path(&denied, "")).await;
    assert_eq!(
        (again.status, again.location()),
        (StatusCode::BAD_REQUEST, "")
    );
}
