//! What changes under running grants: restarts, keys, policies, floods, and tokens used as what they are not.

use super::browser::{Browser, query};
use super::flow::{redeem, text, tokens};
use super::harness::{Key, SECRET, Server, escape};
use countersign_base::Tenant;
use countersign_store::Write;
use countersign_store::tables::users;
use http::{Method, Request, StatusCode};

fn refresh(token: &str) -> String {
    format!("grant_type=refresh_token&refresh_token={token}")
}

#[tokio::test]
async fn rt_6_a17_r38_what_was_revoked_stays_revoked_after_a_restart() {
    let server = Server::start().await;
    let (revoked, kept) = (tokens(&server, None).await, tokens(&server, None).await);
    let (old, access) = (
        text(&revoked, "refresh_token"),
        text(&revoked, "access_token"),
    );
    let gone = server
        .client_post("/revoke", ("portal", SECRET), &format!("token={old}"), None)
        .await;
    assert_eq!(gone.status, StatusCode::OK);
    let server = server.restart().await;
    assert_eq!(
        server.token(&refresh(&old), None).await.error(),
        "invalid_grant"
    );
    assert!(!server.is_active(&access).await);
    let next = server
        .token(&refresh(&text(&kept, "refresh_token")), None)
        .await;
    assert_eq!(next.status, StatusCode::OK, "the twin: {next:?}");
}

#[tokio::test]
async fn rt_4_a17_reuse_is_seen_across_a_restart() {
    let server = Server::start().await;
    let first = text(&tokens(&server, None).await, "refresh_token");
    let second = text(&server.token(&refresh(&first), None).await, "refresh_token");
    let server = server.restart().await;
    assert_eq!(
        server.token(&refresh(&first), None).await.error(),
        "invalid_grant"
    );
    assert_eq!(
        server.token(&refresh(&second), None).await.error(),
        "invalid_grant",
        "the family is revoked"
    );
}

#[tokio::test]
async fn code_1_a_code_is_single_use_across_a_restart() {
    let server = Server::start().await;
    let code = Browser::default().code(&server, "").await;
    assert_eq!(
        server.token(&redeem(&code), None).await.status,
        StatusCode::OK
    );
    let server = server.restart().await;
    assert_eq!(
        server.token(&redeem(&code), None).await.error(),
        "invalid_grant"
    );
}

#[tokio::test]
async fn rt_16_a58_a_policy_that_no_longer_permits_ends_refreshing() {
    let policy = "@id(\"members\") forbid (principal is User, action == Action::\"issue\", resource) unless { principal.hasTag(\"member\") };";
    let server = Server::with_policy(policy).await;
    let refused = server
        .token(&redeem(&Browser::default().code(&server, "").await), None)
        .await;
    assert_eq!(refused.error(), "access_denied", "{refused:?}");
    set_member(&server, Some("yes")).await;
    let first = tokens(&server, None).await;
    set_member(&server, None).await;
    assert_eq!(
        server
            .token(&refresh(&text(&first, "refresh_token")), None)
            .await
            .error(),
        "access_denied"
    );
}

async fn set_member(server: &Server, value: Option<&str>) {
    let (fabric, tenant) = (&server.fabric.fabric, Tenant::default_tenant());
    let mut connection = fabric.store().read().await.unwrap();
    let mut alice = users::find_by_name(&mut connection, &tenant, &"alice".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    drop(connection);
    let name = countersign_base::Bounded::parse("member").unwrap();
    match value {
        Some(value) => drop(
            alice
                .attributes
                .insert(name, countersign_base::Bounded::parse(value).unwrap()),
        ),
        None => drop(alice.attributes.remove(&name)),
    }
    let event = countersign_audit::event::UserChanged {
        by: countersign_audit::event::Actor::System,
        change: "attributes".into(),
        user: alice.id,
    };
    let event = fabric.recorder().about_event(&tenant, None, event);
    let _receipt = fabric
        .store()
        .change(
            &tenant,
            vec![Write::PutUser(Box::new(alice))],
            event,
            fabric.now(),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn ar_27_after_a_rotation_both_keys_are_published_and_old_tokens_hold() {
    let server = Server::start().await;
    // The next key may sign once it has been published for an hour.
    server.advance(3700).await;
    let old = tokens(&server, None).await;
    let kids = async |server: &Server| {
        let reply = server.get("/.well-known/jwks.json").await.json();
        reply["keys"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|key| key["use"] == "sig")
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect::<std::collections::BTreeSet<_>>()
    };
    let before = kids(&server).await;
    let _moved = server
        .fabric
        .fabric
        .keys()
        .rotate(&Tenant::default_tenant())
        .await
        .unwrap();
    let after = kids(&server).await;
    assert!(before.is_subset(&after), "{before:?} {after:?}");
    assert!(server.is_active(&text(&old, "access_token")).await);
    let new = tokens(&server, None).await;
    assert!(server.is_active(&text(&new, "access_token")).await);
}

#[tokio::test]
async fn par_13_a82_a_flood_of_pushed_requests_is_swept_and_sign_in_goes_on() {
    let server = Server::start().await;
    let body = query("client_id=");
    for _ in 0..200 {
        assert_eq!(
            server
                .client_post("/par", ("portal", SECRET), &body, None)
                .await
                .status,
            StatusCode::CREATED
        );
    }
    let _code = Browser::default().code(&server, "").await;
    let fabric = &server.fabric.fabric;
    let late = fabric
        .now()
        .plus(countersign_base::Duration::from_secs(660 + 3601));
    fabric.store().sweep_all(late).await.unwrap();
    let file = std::fs::metadata(server.fabric.data.path().join("state.db"))
        .unwrap()
        .len();
    assert!(file < 8 * 1024 * 1024, "{file} bytes");
}

#[tokio::test]
async fn jwt_6_a76_r50_one_kind_of_token_is_not_taken_for_another() {
    let server = Server::start().await;
    let first = tokens(&server, None).await;
    let (id_token, access, refresh_token) = (
        text(&first, "id_token"),
        text(&first, "access_token"),
        text(&first, "refresh_token"),
    );
    for wrong in [&id_token, &refresh_token] {
        let request = Request::get("/userinfo")
            .header("authorization", format!("Bearer {wrong}"))
            .body(axum::body::Body::empty())
            .unwrap();
        assert_eq!(server.send(request).await.status, StatusCode::UNAUTHORIZED);
    }
    assert!(!server.is_active(&id_token).await && server.is_active(&access).await);
    let exchange = |token: &str| {
        let kind = "urn:ietf:params:oauth:token-type:access_token";
        format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={token}&subject_token_type={kind}&scope=billing:read"
        )
    };
    let orders = ("orders", "orders-secret");
    assert_eq!(
        server
            .client_post("/token", orders, &exchange(&id_token), None)
            .await
            .error(),
        "invalid_request",
        "tx_6"
    );
    assert_eq!(
        server
            .client_post("/token", orders, &exchange(&refresh_token), None)
            .await
            .error(),
        "invalid_request"
    );
    assert_eq!(
        server
            .client_post("/token", orders, &exchange(&access), None)
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(
        server.token(&refresh(&access), None).await.error(),
        "invalid_grant"
    );
    assert_eq!(
        server.token(&redeem(&access), None).await.error(),
        "invalid_grant"
    );
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let asserted = format!(
        "grant_type=client_credentials&client_id=portal&client_assertion_type={kind}&client_assertion={access}"
    );
    assert_eq!(
        server.post("/token", &[], &asserted).await.error(),
        "invalid_client"
    );
}

#[tokio::test]
async fn rt_3_a_confidential_clients_refresh_token_needs_the_client() {
    let server = Server::start().await;
    let token = text(&tokens(&server, None).await, "refresh_token");
    let unauthenticated = server
        .post(
            "/token",
            &[],
            &format!("{}&client_id=portal", refresh(&token)),
        )
        .await;
    assert_eq!(unauthenticated.error(), "invalid_client");
    assert_eq!(
        server.token(&refresh(&token), None).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a44_unknown_parameters_at_refresh_change_nothing() {
    let server = Server::start().await;
    let token = text(&tokens(&server, None).await, "refresh_token");
    let form = format!(
        "{}&client_session_host={}",
        refresh(&token),
        escape("http://169.254.169.254/")
    );
    assert_eq!(server.token(&form, None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a54_a57_host_headers_choose_no_address() {
    let server = Server::start().await;
    let ask = async |path: &str| {
        let request = Request::get(path)
            .header("host", "evil.test")
            .header("x-forwarded-host", "evil.test")
            .header("forwarded", "host=evil.test");
        server
            .send(request.body(axum::body::Body::empty()).unwrap())
            .await
    };
    assert!(
        !ask("/.well-known/openid-configuration")
            .await
            .text
            .contains("evil.test")
    );
    let refused = ask(&format!("/authorize?{}", query("prompt=none"))).await;
    assert!(refused.location().starts_with("https://portal.test/cb?"));
    let page = ask(&format!("/authorize?{}", query(""))).await;
    assert!(page.status == StatusCode::OK && !page.text.contains("evil.test"));
}

#[tokio::test]
async fn a79_a_code_of_one_flow_is_worthless_in_another() {
    let server = Server::start().await;
    let code = Browser::default()
        .code(&server, &format!("code_challenge={}", "A".repeat(43)))
        .await;
    assert_eq!(
        server.token(&redeem(&code), None).await.error(),
        "invalid_grant",
        "the verifier of another flow"
    );
    let own = Browser::default().code(&server, "").await;
    assert_eq!(
        server.token(&redeem(&own), None).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a80_no_page_can_be_framed() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let page = browser
        .get(&server, &format!("/authorize?{}", query("")))
        .await;
    let consent = browser.sign_in(&server, &page, "alice").await;
    let (out, lost) = (
        browser.get(&server, "/logout").await,
        browser.get(&server, "/nowhere").await,
    );
    for page in [page, consent, out, lost] {
        assert_eq!(page.headers["x-frame-options"], "DENY");
        assert!(
            page.headers["content-security-policy"]
                .to_str()
                .unwrap()
                .contains("frame-ancestors 'none'")
        );
    }
}

#[tokio::test]
async fn r43_r44_dpop_16_dpop_17_dpop_22_dpop_23_dpop_24_int_5_int_7_bound_tokens_need_their_proof_at_userinfo()
 {
    let (server, key) = (Server::start().await, Key::new());
    let first = tokens(&server, Some(&key)).await;
    let form = format!(
        "{}&resource={}",
        refresh(&text(&first, "refresh_token")),
        super::harness::ISSUER
    );
    let proof = key.proof(&server, &Method::POST, "/token", None);
    let token = text(&server.token(&form, Some(&proof)).await, "access_token");
    let ask = async |scheme: &str, proof: Option<String>, query: &str| {
        let mut request = Request::get(format!("/userinfo{query}"))
            .header("authorization", format!("{scheme} {token}"));
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        server
            .send(request.body(axum::body::Body::empty()).unwrap())
            .await
            .status
    };
    let proof = |method: &Method, path: &str| Some(key.proof(&server, method, path, Some(&token)));
    assert_eq!(
        ask("DPoP", proof(&Method::GET, "/userinfo"), "").await,
        StatusCode::OK,
        "the twin"
    );
    assert_eq!(
        ask("DPoP", proof(&Method::POST, "/userinfo"), "").await,
        StatusCode::UNAUTHORIZED,
        "dpop_16"
    );
    assert_eq!(
        ask("DPoP", proof(&Method::GET, "/token"), "").await,
        StatusCode::UNAUTHORIZED,
        "dpop_17"
    );
    let foreign = Key::new().proof(&server, &Method::GET, "/userinfo", Some(&token));
    assert_eq!(
        ask("DPoP", Some(foreign), "").await,
        StatusCode::UNAUTHORIZED,
        "dpop_22"
    );
    assert_eq!(
        ask("DPoP", None, "").await,
        StatusCode::UNAUTHORIZED,
        "dpop_23, int_5"
    );
    assert_eq!(
        ask("Bearer", None, "").await,
        StatusCode::UNAUTHORIZED,
        "dpop_24, r44"
    );
    let in_query = ask(
        "DPoP",
        proof(&Method::GET, "/userinfo"),
        &format!("?access_token={token}"),
    )
    .await;
    assert_eq!(in_query, StatusCode::BAD_REQUEST, "int_7");
}
