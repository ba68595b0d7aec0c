//! Client assertions (RFC 7523) at the endpoints that clients call, each flaw beside the assertion without it.

use super::harness::{ISSUER, Reply, Server, assertion_key, batch_key};
use countersign_crypto::jose::sign_jwt;
use countersign_crypto::signing::{ClientAssertion, SigningKey};
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

type Flaw = Box<dyn FnOnce(&mut Value)>;

static JTI: AtomicU64 = AtomicU64::new(0);

fn good(server: &Server) -> Value {
    let jti = format!("assertion-{}", JTI.fetch_add(1, Ordering::Relaxed));
    json!({"iss": "batch", "sub": "batch", "aud": ISSUER, "jti": jti, "iat": server.now(), "exp": server.now() + 60})
}

async fn present(server: &Server, path: &str, assertion: &str) -> Reply {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let form = format!(
        "grant_type=client_credentials&token=x&client_id=batch&client_assertion_type={kind}&client_assertion={assertion}"
    );
    server.post(path, &[], &form).await
}

async fn sent(
    server: &Server,
    path: &str,
    key: &SigningKey<ClientAssertion>,
    change: impl FnOnce(&mut Value),
) -> Reply {
    let mut claims = good(server);
    change(&mut claims);
    present(server, path, &sign_jwt(key, &claims).unwrap()).await
}

#[tokio::test]
async fn r32_ca_2_ca_3_ca_4_ca_5_ca_6_ca_8_ca_9_an_assertion_is_for_this_issuer_and_for_now() {
    let server = Server::start().await;
    let now = server.now();
    let flaws: Vec<(&str, Flaw)> = vec![
        (
            "ca_2",
            Box::new(move |claims| claims["exp"] = (now - 300).into()),
        ),
        (
            "ca_3",
            Box::new(|claims| drop(claims.as_object_mut().unwrap().remove("sub"))),
        ),
        (
            "ca_4",
            Box::new(|claims| claims["aud"] = format!("{ISSUER}/token").into()),
        ),
        (
            "ca_5",
            Box::new(|claims| claims["aud"] = format!("{ISSUER}/par").into()),
        ),
        (
            "ca_6",
            Box::new(|claims| claims["aud"] = json!([ISSUER, "https://elsewhere.test"])),
        ),
        (
            "ca_8",
            Box::new(move |claims| claims["iat"] = (now + 120).into()),
        ),
        (
            "ca_9",
            Box::new(|claims| claims["aud"] = "https://elsewhere.test".into()),
        ),
        (
            "r32",
            Box::new(|claims| drop(claims.as_object_mut().unwrap().remove("jti"))),
        ),
        (
            "r32",
            Box::new(|claims| drop(claims.as_object_mut().unwrap().remove("exp"))),
        ),
        ("r32", Box::new(|claims| claims["iss"] = "portal".into())),
    ];
    for (id, flaw) in flaws {
        let reply = sent(&server, "/token", batch_key(), flaw).await;
        assert_eq!(
            (reply.status, reply.error().as_str()),
            (StatusCode::UNAUTHORIZED, "invalid_client"),
            "{id}"
        );
    }
    for path in ["/token", "/introspect", "/revoke"] {
        let reply = sent(&server, path, batch_key(), |_| ()).await;
        assert_eq!(reply.status, StatusCode::OK, "ca_18 at {path}: {reply:?}");
    }
}

#[tokio::test]
async fn ca_10_ca_12_an_assertion_is_its_clients_and_of_its_own_kind() {
    let server = Server::start().await;
    let forged = sent(&server, "/token", &assertion_key(), |_| ()).await;
    assert_eq!(forged.error(), "invalid_client", "another key");
    let other = sent(&server, "/token", batch_key(), |claims| {
        claims["iss"] = "orders".into();
        claims["sub"] = "orders".into();
    });
    assert_eq!(
        other.await.error(),
        "invalid_client",
        "ca_10: another client's name"
    );
    let assertion = sign_jwt(batch_key(), &good(&server)).unwrap();
    let (header, rest) = assertion.split_once('.').unwrap();
    let mut fields: Value =
        serde_json::from_slice(&countersign_crypto::base64url::decode(header).unwrap()).unwrap();
    fields["typ"] = "oauth-authz-req+jwt".into();
    let renamed = format!(
        "{}.{rest}",
        countersign_crypto::base64url::encode(fields.to_string().as_bytes())
    );
    assert_eq!(
        present(&server, "/token", &renamed).await.error(),
        "invalid_client",
        "ca_12"
    );
    assert_eq!(
        present(&server, "/token", &assertion).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn ca_11_a28_a29_an_assertion_is_good_once_at_every_endpoint_together() {
    let server = Server::start().await;
    let assertion = sign_jwt(batch_key(), &good(&server)).unwrap();
    assert_eq!(
        present(&server, "/token", &assertion).await.status,
        StatusCode::OK
    );
    for path in ["/token", "/introspect", "/revoke", "/par"] {
        assert_eq!(
            present(&server, path, &assertion).await.error(),
            "invalid_client",
            "{path}"
        );
    }
}

#[tokio::test]
async fn ca_11_a28_of_many_parallel_uses_one_succeeds() {
    let server = Server::start().await;
    let assertion = sign_jwt(batch_key(), &good(&server)).unwrap();
    let replies =
        futures_util::future::join_all((0..20).map(|_| present(&server, "/token", &assertion)))
            .await;
    assert_eq!(
        replies
            .iter()
            .filter(|reply| reply.status == StatusCode::OK)
            .count(),
        1
    );
}
