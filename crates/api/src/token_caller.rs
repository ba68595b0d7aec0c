//! What the tests of doors that take access tokens share: two tenants with a client in each that gets tokens, and what a router answers.

use crate::identity::{self, Door, IdentityOptions};
use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_base::{Duration, Secret, UnixTime};
use countersign_control::{Declared, DeclaredClient};
use countersign_oauth::client::Origin;
use countersign_oauth::{ClientAuthentication, ClientRecord, GrantType, TenantRecord};
use countersign_testkit::{TestFabric, tenant};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tower::ServiceExt;

/// Where the door is.
pub(crate) const ORIGIN: &str = "https://control.test:8445";
/// An audience that tokens can be had for, and that is not the door's.
pub(crate) const OTHER_AUDIENCE: &str = "https://orders.test";
const SECRET: &str = "the-secret-of-the-client";

/// A fabric whose clients get tokens.
pub(crate) struct Caller {
    pub(crate) test: TestFabric,
    identity: Router,
    client: &'static str,
}

/// What a router answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Caller {
    /// The tenants `default` and `acme`, each with the client `client`, which may ask for `scopes` and `audience`; and what else is declared.
    pub(crate) async fn start(
        client: &'static str,
        (audience, scopes): (&str, &str),
        declared: Declared,
        policies: &[(&str, &str)],
    ) -> Self {
        let of =
            |name: &str, issuer: &str| TenantRecord::new(tenant(name), issuer.parse().unwrap());
        let client_of = |of: &str| declared_client(of, client, audience, scopes);
        let declared = Declared {
            tenants: vec![
                of("default", "https://id.test"),
                of("acme", "https://id.test/t/acme"),
            ],
            clients: vec![client_of("default"), client_of("acme")],
            ..declared
        };
        let test = TestFabric::with_policies(declared, policies).await.unwrap();
        let options = IdentityOptions {
            door: Door::Browser,
            mtls_origin: None,
        };
        let identity = identity::router(Arc::clone(&test.fabric), options);
        test.clock.advance(Duration::from_secs(120));
        let fabric = &test.fabric;
        let refreshed = fabric.revocations().refresh(fabric.store(), fabric.now());
        refreshed.await.unwrap();
        Self {
            test,
            identity,
            client,
        }
    }

    /// A token of the client of that tenant.
    pub(crate) async fn token_of(&self, of: &str, audience: &str, scopes: &str) -> String {
        let path = match of {
            "default" => "/token".to_owned(),
            of => format!("/t/{of}/token"),
        };
        let basic = STANDARD.encode(format!("{}:{SECRET}", self.client));
        let form = format!(
            "grant_type=client_credentials&scope={}&resource={audience}",
            scopes.replace(' ', "+")
        );
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Basic {basic}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap();
        let answered = send(&self.identity, request).await;
        assert_eq!(answered.status, StatusCode::OK, "{answered:?}");
        answered.body["access_token"].as_str().unwrap().to_owned()
    }
}

fn declared_client(of: &str, id: &str, audience: &str, scopes: &str) -> DeclaredClient {
    let mut record = ClientRecord::new(
        id.parse().unwrap(),
        tenant(of),
        ClientAuthentication::Secret { tag: Vec::new() },
        UnixTime(0),
    );
    record.origin = Origin::Configuration;
    record.grants = [GrantType::ClientCredentials].into();
    record.scopes = scopes.parse().unwrap();
    record.audiences = [audience.parse().unwrap(), OTHER_AUDIENCE.parse().unwrap()].into();
    DeclaredClient {
        record,
        secret: Some(Secret::new(SECRET.to_owned())),
    }
}

/// What the router answers to a request from the loopback.
pub(crate) async fn send(router: &Router, mut request: Request<Body>) -> Answered {
    request
        .extensions_mut()
        .insert(SocketAddr::from(([127, 0, 0, 1], 40_000)));
    let response = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answered {
        status: head.status,
        headers: head.headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    }
}
