//! Nothing of one tenant is worth anything at another.

use super::browser::{Browser, query};
use super::flow::{redeem, text, tokens};
use super::harness::{CALLBACK, SECRET, Server, VERIFIER, escape};
use http::StatusCode;

const AT_ACME: (&str, &str) = ("portal", "the-secret-at-acme");

#[tokio::test]
async fn metadata_and_keys_are_each_tenants_own_and_found_by_path_insertion() {
    let server = Server::start().await;
    let issuer = async |path: &str| {
        server.get(path).await.json()["issuer"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(
        issuer("/.well-known/openid-configuration").await,
        "https://id.test"
    );
    for path in [
        "/.well-known/oauth-authorization-server/t/acme",
        "/.well-known/openid-configuration/t/acme",
        "/t/acme/.well-known/openid-configuration",
    ] {
        assert_eq!(issuer(path).await, "https://id.test/t/acme", "{path}");
    }
    let (own, other) = (
        server.get("/.well-known/jwks.json").await,
        server.get("/t/acme/.well-known/jwks.json").await,
    );
    assert!(
        own.json()["keys"]
            .as_array()
            .is_some_and(|keys| !keys.is_empty())
    );
    assert_ne!(own.json(), other.json());
    for path in [
        "/t/nobody/token",
        "/t/default/.well-known/jwks.json",
        "/t/nobody/.well-known/jwks.json",
    ] {
        assert_eq!(
            server.get(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_secret_code_and_tokens_of_one_tenant_are_nothing_at_another() {
    let server = Server::start().await;
    let form = "grant_type=client_credentials";
    assert_eq!(
        server
            .client_post("/t/acme/token", ("portal", SECRET), form, None)
            .await
            .error(),
        "invalid_client"
    );
    assert_eq!(
        server
            .client_post("/t/acme/token", AT_ACME, form, None)
            .await
            .status,
        StatusCode::OK,
        "the twin"
    );
    let code = Browser::default().code(&server, "").await;
    assert_eq!(
        server
            .client_post("/t/acme/token", AT_ACME, &redeem(&code), None)
            .await
            .error(),
        "invalid_grant"
    );
    assert_eq!(
        server.token(&redeem(&code), None).await.status,
        StatusCode::OK,
        "it was not even touched there"
    );
    let tokens = tokens(&server, None).await;
    let refresh = format!(
        "grant_type=refresh_token&refresh_token={}",
        text(&tokens, "refresh_token")
    );
    assert_eq!(
        server
            .client_post("/t/acme/token", AT_ACME, &refresh, None)
            .await
            .error(),
        "invalid_grant"
    );
    let access = text(&tokens, "access_token");
    let introspected = server
        .client_post(
            "/t/acme/introspect",
            AT_ACME,
            &format!("token={access}"),
            None,
        )
        .await;
    assert_eq!(introspected.json(), serde_json::json!({"active": false}));
    assert!(server.is_active(&access).await);
}

#[tokio::test]
async fn a_session_of_one_tenant_is_none_at_another() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let _code = browser.code(&server, "").await;
    let session = browser
        .cookies
        .iter()
        .find(|(name, _)| name.contains("session"))
        .map(|(_, value)| value.clone())
        .unwrap();
    browser
        .cookies
        .insert("__Host-session-acme".to_owned(), session);
    let silent = browser
        .get(
            &server,
            &format!("/t/acme/authorize?{}", query("prompt=none")),
        )
        .await;
    assert_eq!(
        silent.redirected("error").as_deref(),
        Some("login_required")
    );
    assert_eq!(
        silent.redirected("iss").as_deref(),
        Some("https://id.test/t/acme")
    );
    let page = browser
        .get(&server, &format!("/t/acme/authorize?{}", query("")))
        .await;
    let form = super::browser::Form::of(&page);
    assert_eq!(form.action, "/t/acme/sign-in");
    let here = super::browser::Form {
        action: "/sign-in".to_owned(),
        ..form
    };
    let fields = format!(
        "username=alice&password={}",
        escape(super::harness::PASSWORD)
    );
    assert_eq!(
        browser.submit(&server, &here, &fields).await.status,
        StatusCode::FORBIDDEN,
        "a ticket of the other tenant"
    );
}

#[tokio::test]
async fn the_whole_flow_works_at_another_tenant() {
    let server = Server::start().await;
    let reply = Browser::default()
        .approve(&server, &format!("/t/acme/authorize?{}", query("")))
        .await;
    let code = reply.redirected("code").unwrap();
    let form = format!(
        "grant_type=authorization_code&code={code}&redirect_uri={}&code_verifier={VERIFIER}",
        escape(CALLBACK)
    );
    let tokens = server
        .client_post("/t/acme/token", AT_ACME, &form, None)
        .await;
    assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
    assert_eq!(
        super::harness::claims(&text(&tokens, "access_token"))["iss"],
        "https://id.test/t/acme"
    );
}
