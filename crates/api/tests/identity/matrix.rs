//! The authorization matrix: every endpoint with no, a bad, a wrong-tenant, a wrong-audience and an under-scoped credential. An endpoint without a row fails.

use super::browser::Browser;
use super::flow::{redeem, text};
use super::harness::{ISSUER, SECRET, Server, basic, post};
use axum::body::Body;
use countersign_api::identity::{Credential, ENDPOINTS};
use http::{Method, Request, StatusCode};

/// What an endpoint answers to one credential.
struct Row {
    path: &'static str,
    none: u16,
    bad: u16,
    wrong_tenant: u16,
    wrong_audience: Option<u16>,
    under_scoped: Option<u16>,
}

const fn public(path: &'static str, answer: u16) -> Row {
    Row {
        path,
        none: answer,
        bad: answer,
        wrong_tenant: answer,
        wrong_audience: None,
        under_scoped: None,
    }
}

const fn client(path: &'static str) -> Row {
    Row {
        path,
        none: 401,
        bad: 401,
        wrong_tenant: 401,
        wrong_audience: None,
        under_scoped: None,
    }
}

const fn form(path: &'static str) -> Row {
    Row {
        path,
        none: 403,
        bad: 403,
        wrong_tenant: 403,
        wrong_audience: None,
        under_scoped: None,
    }
}

/// One row an endpoint. Scopes and audiences mean nothing where no access token is taken.
const MATRIX: &[Row] = &[
    // It leads to the page, which asks who one is.
    public("/.well-known/change-password", 303),
    public("/.well-known/jwks.json", 200),
    public("/.well-known/oauth-authorization-server", 200),
    public("/.well-known/openid-configuration", 200),
    // Without a session they ask who one is.
    public("/account", 200),
    public("/account/applications", 200),
    form("/account/change"),
    public("/account/providers", 200),
    public("/account/security", 200),
    public("/account/security/app", 200),
    public("/account/security/password", 200),
    // This tenant has neither colours nor a logo.
    public("/assets/brand.css", 404),
    public("/assets/logo", 404),
    // Without a good request it shows a page; who may ask for what is the subject of the other tests.
    public("/authorize", 400),
    form("/authorize/resume"),
    client("/bc-authorize"),
    form("/consent"),
    // The page that asks for a code shows nothing else.
    public("/device", 200),
    form("/device/code"),
    client("/device_authorization"),
    form("/federation/callback/{provider}"),
    client("/introspect"),
    public("/logout", 200),
    form("/logout/confirm"),
    client("/par"),
    // Signed out, they show the sign-in page, whatever is named.
    public("/partner", 200),
    form("/partner/change"),
    public("/partner/deliveries/{delivery}", 200),
    public("/partner/endpoints/{endpoint}", 200),
    public("/requests", 200),
    form("/requests/answer"),
    client("/revocations"),
    client("/register"),
    client("/register/{client}"),
    client("/revoke"),
    form("/sign-in"),
    form("/sign-in/code"),
    form("/sign-in/code/passkey"),
    form("/sign-in/passkey"),
    form("/sign-in/upstream"),
    client("/token"),
    Row {
        path: "/userinfo",
        none: 401,
        bad: 401,
        wrong_tenant: 401,
        wrong_audience: Some(401),
        under_scoped: Some(403),
    },
];

/// A request with a credential of the kind that the endpoint takes.
fn request(path: &str, method: &Method, authorization: Option<&str>) -> Request<Body> {
    let headers: Vec<(&str, &str)> = authorization
        .iter()
        .map(|value| ("authorization", *value))
        .collect();
    if *method == Method::POST {
        return post(
            path,
            &headers,
            "token=x&grant_type=client_credentials&ticket=e30.AAAA",
        );
    }
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(Body::empty()).unwrap()
}

struct Tokens {
    good: String,
    wrong_tenant: String,
    wrong_audience: String,
    under_scoped: String,
}

/// Access tokens that differ in one thing each.
async fn tokens(server: &Server) -> Tokens {
    let token = async |extra: &str, resource: &str| {
        let code = Browser::default().code(server, extra).await;
        text(
            &server
                .token(&format!("{}&resource={resource}", redeem(&code)), None)
                .await,
            "access_token",
        )
    };
    let acme = server
        .client_post(
            "/t/acme/token",
            ("portal", "the-secret-at-acme"),
            "grant_type=client_credentials",
            None,
        )
        .await;
    let good = token("", ISSUER).await;
    let first = Browser::default().code(server, "").await;
    let first = server.token(&redeem(&first), None).await;
    let narrowed = format!(
        "grant_type=refresh_token&refresh_token={}&scope=orders:read&resource={ISSUER}",
        text(&first, "refresh_token")
    );
    Tokens {
        good,
        wrong_tenant: text(&acme, "access_token"),
        wrong_audience: token("", super::harness::ORDERS).await,
        under_scoped: text(&server.token(&narrowed, None).await, "access_token"),
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn authz_matrix() {
    let server = Server::start().await;
    let tokens = tokens(&server).await;
    for endpoint in ENDPOINTS {
        let row = MATRIX
            .iter()
            .find(|row| row.path == endpoint.path)
            .unwrap_or_else(|| panic!("{} has no row", endpoint.path));
        let bearer = |token: &str| format!("Bearer {token}");
        let (bad, wrong_tenant) = match endpoint.credential {
            Credential::AccessToken => (bearer("bad"), bearer(&tokens.wrong_tenant)),
            Credential::RegistrationToken => {
                let elsewhere = server.initial_access_token("acme").await;
                (bearer("bad"), bearer(&elsewhere))
            }
            Credential::BrowserForm
            | Credential::Client
            | Credential::ConfidentialClient
            | Credential::Nothing => (
                basic("portal", "wrong"),
                basic("portal", "the-secret-at-acme"),
            ),
        };
        for method in endpoint.methods {
            let answer = async |authorization: Option<&str>| {
                server
                    .send(request(endpoint.path, method, authorization))
                    .await
                    .status
                    .as_u16()
            };
            assert_eq!(
                answer(None).await,
                row.none,
                "{method} {} with no credential",
                row.path
            );
            assert_eq!(
                answer(Some(&bad)).await,
                row.bad,
                "{method} {} with a bad credential",
                row.path
            );
            assert_eq!(
                answer(Some(&wrong_tenant)).await,
                row.wrong_tenant,
                "{method} {} with another tenant's",
                row.path
            );
            if let Some(expected) = row.wrong_audience {
                assert_eq!(
                    answer(Some(&bearer(&tokens.wrong_audience))).await,
                    expected,
                    "{method} {} for another audience",
                    row.path
                );
            }
            if let Some(expected) = row.under_scoped {
                assert_eq!(
                    answer(Some(&bearer(&tokens.under_scoped))).await,
                    expected,
                    "{method} {} under-scoped",
                    row.path
                );
            }
        }
    }
    assert_eq!(
        MATRIX.len(),
        ENDPOINTS.len(),
        "a row for an endpoint that is gone"
    );
}

#[tokio::test]
async fn authz_matrix_twins_are_served() {
    let server = Server::start().await;
    let tokens = tokens(&server).await;
    let authorization = basic("portal", SECRET);
    let good = async |path: &str, form: &str| {
        server
            .post(path, &[("authorization", &authorization)], form)
            .await
            .status
    };
    assert_eq!(
        good("/token", "grant_type=client_credentials").await,
        StatusCode::OK
    );
    assert_eq!(good("/introspect", "token=x").await, StatusCode::OK);
    assert_eq!(good("/revoke", "token=x").await, StatusCode::OK);
    assert_eq!(
        good("/revocations", "").await,
        StatusCode::BAD_REQUEST,
        "the portal serves nothing"
    );
    let orders = server
        .client_post("/revocations", ("orders", "orders-secret"), "", None)
        .await;
    assert_eq!(orders.status, StatusCode::OK);
    assert_eq!(
        good("/par", &super::browser::query("client_id=")).await,
        StatusCode::CREATED
    );
    let userinfo = request(
        "/userinfo",
        &Method::GET,
        Some(&format!("Bearer {}", tokens.good)),
    );
    assert_eq!(server.send(userinfo).await.status, StatusCode::OK);
}
