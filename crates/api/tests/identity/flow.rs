//! The good ways through, end to end, and what ends them.

use super::browser::{Browser, query};
use super::harness::{
    BILLING, CALLBACK, ISSUER, Key, ORDERS, Reply, Server, VERIFIER, claims, escape,
};
use http::{Method, StatusCode};

pub(crate) fn redeem(code: &str) -> String {
    format!(
        "grant_type=authorization_code&code={code}&redirect_uri={}&code_verifier={VERIFIER}",
        escape(CALLBACK)
    )
}

pub(crate) fn text(reply: &Reply, name: &str) -> String {
    let value = reply.json()[name].as_str().map(str::to_owned);
    value.unwrap_or_else(|| panic!("{name} in {reply:?}"))
}

/// Tokens of a fresh sign-in.
pub(crate) async fn tokens(server: &Server, key: Option<&Key>) -> Reply {
    let code = Browser::default().code(server, "").await;
    let proof = key.map(|key| key.proof(server, &Method::POST, "/token", None));
    let reply = server.token(&redeem(&code), proof.as_deref()).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply
}

fn refresh(token: &str) -> String {
    format!("grant_type=refresh_token&refresh_token={token}")
}

#[tokio::test]
async fn r17_par_15_a_pushed_request_with_pkce_and_dpop_ends_in_bound_tokens() {
    let (server, key) = (Server::start().await, Key::new());
    let proof = key.proof(&server, &Method::POST, "/par", None);
    let pushed = server
        .client_post(
            "/par",
            ("portal", super::harness::SECRET),
            &query("client_id="),
            Some(&proof),
        )
        .await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    assert_eq!(pushed.json()["expires_in"], 60);
    let request_uri = text(&pushed, "request_uri");
    let mut browser = Browser::default();
    let answer = browser
        .approve(
            &server,
            &format!(
                "/authorize?client_id=portal&request_uri={}",
                escape(&request_uri)
            ),
        )
        .await;
    assert_eq!(
        (
            answer.redirected("iss").as_deref(),
            answer.redirected("state").as_deref()
        ),
        (Some(ISSUER), Some("the-state"))
    );
    let code = answer.redirected("code").unwrap();
    let proof = key.proof(&server, &Method::POST, "/token", None);
    let tokens = server.token(&redeem(&code), Some(&proof)).await;
    assert_eq!(
        (tokens.status, tokens.json()["token_type"].as_str()),
        (StatusCode::OK, Some("DPoP")),
        "{tokens:?}"
    );
    let access = claims(&text(&tokens, "access_token"));
    assert_eq!(
        (
            access["iss"].as_str(),
            access["aud"].as_str(),
            access["cnf"]["jkt"].as_str()
        ),
        (Some(ISSUER), Some(ORDERS), Some(key.thumbprint().as_str()))
    );
    assert_eq!(
        access["exp"].as_i64().unwrap() - access["iat"].as_i64().unwrap(),
        300
    );
    let id = claims(&text(&tokens, "id_token"));
    assert_eq!(
        (id["aud"].as_str(), id["nonce"].as_str(), id["sub"].as_str()),
        (Some("portal"), Some("the-nonce"), access["sub"].as_str())
    );
    assert_eq!(tokens.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn r37_r38_rt_4_rt_18_refresh_rotates_repeats_in_grace_and_ends_on_reuse() {
    let (server, key) = (Server::start().await, Key::new());
    let first = tokens(&server, Some(&key)).await;
    let post = async |token: &str, key: &Key| {
        let proof = key.proof(&server, &Method::POST, "/token", None);
        server.token(&refresh(token), Some(&proof)).await
    };
    let (old, access) = (text(&first, "refresh_token"), text(&first, "access_token"));
    let second = post(&old, &key).await;
    let next = text(&second, "refresh_token");
    assert_ne!(old, next);
    let retried = post(&old, &key).await;
    assert_eq!(
        text(&retried, "refresh_token"),
        next,
        "the same successor within the grace period"
    );
    assert_eq!(
        post(&old, &Key::new()).await.error(),
        "invalid_grant",
        "dpop_30: another key"
    );
    assert!(server.is_active(&access).await);
    server.advance(11).await;
    assert_eq!(post(&old, &key).await.error(), "invalid_grant");
    assert_eq!(
        post(&next, &key).await.error(),
        "invalid_grant",
        "the family is gone"
    );
    assert!(
        !server.is_active(&access).await,
        "and every token of the grant"
    );
}

#[tokio::test]
async fn r23_code_1_code_2_a_code_that_comes_twice_ends_what_came_of_it() {
    let server = Server::start().await;
    let code = Browser::default().code(&server, "").await;
    let first = server.token(&redeem(&code), None).await;
    let access = text(&first, "access_token");
    assert!(server.is_active(&access).await);
    let again = server.token(&redeem(&code), None).await;
    assert_eq!(
        (again.status, again.error().as_str()),
        (StatusCode::BAD_REQUEST, "invalid_grant")
    );
    assert!(!server.is_active(&access).await);
    assert_eq!(
        server
            .token(&refresh(&text(&first, "refresh_token")), None)
            .await
            .error(),
        "invalid_grant"
    );
}

#[tokio::test]
async fn r23_code_10_of_many_parallel_redemptions_one_succeeds() {
    let server = Server::start().await;
    let code = Browser::default().code(&server, "").await;
    let form = redeem(&code);
    let replies = futures_util::future::join_all((0..20).map(|_| server.token(&form, None))).await;
    let good = replies
        .iter()
        .filter(|reply| reply.status == StatusCode::OK)
        .count();
    assert_eq!(good, 1);
    assert!(
        replies
            .iter()
            .all(|reply| reply.status == StatusCode::OK || reply.error() == "invalid_grant")
    );
}

#[tokio::test]
async fn rt_5_a16_parallel_refreshes_leave_one_successor() {
    let server = Server::start().await;
    let first = tokens(&server, None).await;
    let form = refresh(&text(&first, "refresh_token"));
    let replies = futures_util::future::join_all((0..20).map(|_| server.token(&form, None))).await;
    let successors: std::collections::BTreeSet<String> = replies
        .iter()
        .filter(|reply| reply.status == StatusCode::OK)
        .map(|reply| text(reply, "refresh_token"))
        .collect();
    assert_eq!(
        successors.len(),
        1,
        "one of them rotated, the others got the same successor"
    );
}

#[tokio::test]
async fn r42_rt_15_lo_6_signing_out_ends_refreshing_at_once() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let code = browser.code(&server, "").await;
    let tokens = server.token(&redeem(&code), None).await;
    let page = browser.get(&server, "/logout").await;
    let out = browser
        .submit(&server, &super::browser::Form::of(&page), "")
        .await;
    assert_eq!(
        (out.status, out.location()),
        (StatusCode::SEE_OTHER, "/logout")
    );
    assert!(
        browser
            .get(&server, "/logout")
            .await
            .text
            .contains("You are signed out")
    );
    assert_eq!(
        server
            .token(&refresh(&text(&tokens, "refresh_token")), None)
            .await
            .error(),
        "invalid_grant"
    );
    assert!(!server.is_active(&text(&tokens, "access_token")).await);
    let silent = browser
        .get(&server, &format!("/authorize?{}", query("prompt=none")))
        .await;
    assert_eq!(
        silent.redirected("error").as_deref(),
        Some("login_required")
    );
}

#[tokio::test]
async fn r53_r54_an_exchange_narrows_names_the_actor_and_dies_with_its_subject() {
    let server = Server::start().await;
    let first = tokens(&server, None).await;
    let subject = text(&first, "access_token");
    let exchange = async |extra: &str| {
        let grant = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange";
        let kind = "subject_token_type=urn:ietf:params:oauth:token-type:access_token";
        let form = format!("{grant}&{kind}&subject_token={subject}{extra}");
        server
            .client_post("/token", ("orders", "orders-secret"), &form, None)
            .await
    };
    let exchanged = exchange("&scope=billing:read").await;
    assert_eq!(exchanged.status, StatusCode::OK, "{exchanged:?}");
    let (old, new) = (claims(&subject), claims(&text(&exchanged, "access_token")));
    assert_eq!(
        (
            new["aud"].as_str(),
            new["scope"].as_str(),
            new["act"]["sub"].as_str()
        ),
        (Some(BILLING), Some("billing:read"), Some("orders"))
    );
    assert_eq!(
        (&new["sub"], &new["grant_id"]),
        (&old["sub"], &old["grant_id"])
    );
    assert!(new["exp"].as_i64() <= old["exp"].as_i64());
    assert_eq!(
        exchange("&scope=billing:write").await.error(),
        "invalid_scope"
    );
    assert_eq!(
        exchange("&resource=https://elsewhere.test").await.error(),
        "invalid_target"
    );
    let revoked = server
        .client_post(
            "/revoke",
            ("portal", super::harness::SECRET),
            &format!("token={subject}"),
            None,
        )
        .await;
    assert_eq!(revoked.status, StatusCode::OK);
    assert_eq!(
        exchange("&scope=billing:read").await.error(),
        "invalid_request",
        "tx_12: the subject is dead"
    );
    assert!(!server.is_active(&text(&exchanged, "access_token")).await);
}

#[tokio::test]
async fn a39_int_4_dpop_32_revocation_ends_the_grant_and_tells_strangers_nothing() {
    let (server, key) = (Server::start().await, Key::new());
    let tokens = tokens(&server, Some(&key)).await;
    let (refresh_token, access) = (
        text(&tokens, "refresh_token"),
        text(&tokens, "access_token"),
    );
    let stranger = server
        .client_post(
            "/revoke",
            ("orders", "orders-secret"),
            &format!("token={refresh_token}"),
            None,
        )
        .await;
    assert_eq!(stranger.status, StatusCode::OK);
    assert!(
        server.is_active(&access).await,
        "another client's revocation has no effect"
    );
    let own = server
        .client_post(
            "/revoke",
            ("portal", super::harness::SECRET),
            &format!("token={refresh_token}"),
            None,
        )
        .await;
    assert_eq!(own.status, StatusCode::OK);
    assert!(!server.is_active(&access).await);
    let proof = key.proof(&server, &Method::POST, "/token", None);
    assert_eq!(
        server
            .token(&refresh(&refresh_token), Some(&proof))
            .await
            .error(),
        "invalid_grant"
    );
}

#[tokio::test]
async fn userinfo_answers_tokens_for_itself_bound_and_bearer() {
    let (server, key) = (Server::start().await, Key::new());
    let first = tokens(&server, Some(&key)).await;
    let form = format!(
        "{}&resource={ISSUER}",
        refresh(&text(&first, "refresh_token"))
    );
    let proof = key.proof(&server, &Method::POST, "/token", None);
    let own = text(&server.token(&form, Some(&proof)).await, "access_token");
    let ask = async |token: &str, scheme: &str, proof: Option<String>| {
        let authorization = format!("{scheme} {token}");
        let mut request = http::Request::get("/userinfo").header("authorization", authorization);
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        server
            .send(request.body(axum::body::Body::empty()).unwrap())
            .await
    };
    let good = ask(
        &own,
        "DPoP",
        Some(key.proof(&server, &Method::GET, "/userinfo", Some(&own))),
    )
    .await;
    assert_eq!(good.status, StatusCode::OK, "{good:?}");
    assert_eq!(
        good.json(),
        serde_json::json!({"sub": claims(&own)["sub"]}),
        "no name without scope profile"
    );
    assert_eq!(
        ask(&own, "Bearer", None).await.status,
        StatusCode::UNAUTHORIZED,
        "dpop_24: as a plain bearer"
    );
    assert_eq!(
        ask(&own, "DPoP", None).await.status,
        StatusCode::UNAUTHORIZED,
        "dpop_23: without a proof"
    );
    let foreign = Key::new().proof(&server, &Method::GET, "/userinfo", Some(&own));
    assert_eq!(
        ask(&own, "DPoP", Some(foreign)).await.status,
        StatusCode::UNAUTHORIZED,
        "dpop_22: another key"
    );
    let orders = text(&first, "access_token");
    let elsewhere = ask(
        &orders,
        "DPoP",
        Some(key.proof(&server, &Method::GET, "/userinfo", Some(&orders))),
    )
    .await;
    assert_eq!(
        elsewhere.status,
        StatusCode::UNAUTHORIZED,
        "int_6: a token for another audience"
    );
    let in_query = server.get(&format!("/userinfo?access_token={own}")).await;
    assert_eq!(in_query.error(), "invalid_request", "int_7");
}

#[tokio::test]
async fn client_credentials_are_the_clients_own() {
    let server = Server::start().await;
    let reply = server
        .token("grant_type=client_credentials&scope=orders:read", None)
        .await;
    let access = claims(&text(&reply, "access_token"));
    assert_eq!(
        (
            access["sub"].as_str(),
            access["client_id"].as_str(),
            access["scope"].as_str()
        ),
        (Some("portal"), Some("portal"), Some("orders:read"))
    );
    assert!(reply.json().get("refresh_token").is_none());
    assert_eq!(
        server
            .token("grant_type=client_credentials&scope=admin", None)
            .await
            .error(),
        "invalid_scope",
        "a34"
    );
}

#[tokio::test]
async fn a_public_client_signs_in_on_any_loopback_port() {
    let server = Server::start().await;
    let target = "http://127.0.0.1:49321/done";
    let extra = format!(
        "client_id=app&redirect_uri={}&scope=openid%20orders:read",
        escape(target)
    );
    let code = Browser::default().code(&server, &extra).await;
    let form = format!(
        "grant_type=authorization_code&client_id=app&code={code}&redirect_uri={}&code_verifier={VERIFIER}",
        escape(target)
    );
    let reply = server.post("/token", &[], &form).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
}

/// The bytes of every file of the audit log.
pub(crate) fn audit_files(data: &std::path::Path) -> Vec<Vec<u8>> {
    let (mut files, mut folders) = (Vec::new(), vec![data.join("audit")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                files.push(std::fs::read(&path).unwrap())
            }
        }
    }
    files
}

pub(crate) fn holds(files: &[Vec<u8>], needle: &str) -> bool {
    files.iter().any(|bytes| {
        bytes
            .windows(needle.len())
            .any(|window| window == needle.as_bytes())
    })
}

#[tokio::test]
async fn no_name_and_no_password_reaches_the_audit_log() {
    let server = Server::start().await;
    let first = tokens(&server, None).await;
    let _introspected = server.is_active(&text(&first, "access_token")).await;
    let data = server.fabric.stop().await;
    let files = audit_files(data.path());
    for needle in ["alice", super::harness::PASSWORD, super::harness::SECRET] {
        assert!(!holds(&files, needle), "{needle}");
    }
    for kind in [
        "\"sign_in\"",
        "\"token\"",
        "\"code.issued\"",
        "\"introspected\"",
    ] {
        assert!(holds(&files, kind), "{kind}");
    }
}

#[tokio::test]
async fn every_refusal_is_in_the_audit_log_under_its_request() {
    let server = Server::start().await;
    let portal = ("portal", super::harness::SECRET);
    let mut refused = vec![
        server.get("/nowhere").await,
        server.get("/token").await,
        server.get("/userinfo").await,
        server.get("/authorize?client_id=nobody").await,
        server.get("/authorize/resume?ticket=x").await,
        server.post("/sign-in", &[], "ticket=x").await,
        server.post("/consent", &[], "ticket=x").await,
        server.post("/logout/confirm", &[], "ticket=x").await,
    ];
    // A source is heard one by one up to a rate; beyond it is counted.
    server.advance(2).await;
    for path in ["/token", "/par", "/introspect", "/revoke"] {
        refused.push(server.client_post(path, portal, "%zz", None).await);
        refused.push(server.client_post(path, portal, "", None).await);
        refused.push(
            server
                .client_post(path, ("portal", "wrong"), "", None)
                .await,
        );
    }
    server.advance(2).await;
    let code = Browser::default().code(&server, "").await;
    let _tokens = server.token(&redeem(&code), None).await;
    refused.push(server.token(&redeem(&code), None).await);
    refused.push(
        server
            .token("grant_type=client_credentials&scope=admin", None)
            .await,
    );
    let data = server.fabric.stop().await;
    let files = audit_files(data.path());
    for reply in refused {
        assert!(reply.status.is_client_error(), "{reply:?}");
        assert!(
            holds(&files, reply.headers["x-request-id"].to_str().unwrap()),
            "{reply:?}"
        );
    }
}
