//! The layer before a service.

use crate::fixtures::{AUDIENCE, ORIGIN, Sender, clock, keys_of, rules};
use crate::{Guard, GuardLayer, GuardOptions, LifetimeOnly};
use bytes::Bytes;
use countersign_authn::dpop::NonceUse;
use countersign_authn::jwks::JwksLimits;
use countersign_authn::replay::ReplayLimits;
use countersign_authn::{Anonymous, AnonymousReason, Binding, Reason, Subject};
use countersign_base::Scopes;
use countersign_crypto::Random;
use http::{HeaderMap, Request, Response};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use tower::ServiceExt as _;
use tower_layer::Layer as _;

/// What a service behind the guard answers: who it is told the sender is.
async fn send(
    sender: &Sender,
    anonymous: Anonymous,
    uri: &str,
    headers: HeaderMap,
) -> Response<Bytes> {
    let (clock, _) = clock();
    let options = GuardOptions {
        origin: ORIGIN.to_owned(),
        rules: rules(AUDIENCE, Binding::Any, anonymous),
        scopes: Scopes::none(),
        clock,
        random: Random::system(),
        revocations: Arc::new(LifetimeOnly),
        nonces: NonceUse::AfterStart,
        jwks: JwksLimits::default(),
        replay: ReplayLimits::default(),
    };
    let service = tower::service_fn(|request: Request<()>| async move {
        let told = match (
            request.extensions().get::<Subject>(),
            request.extensions().get::<AnonymousReason>(),
        ) {
            (Some(subject), None) => subject.client().to_string(),
            (None, Some(AnonymousReason::NoCredential)) => "anonymous".to_owned(),
            (Some(_), Some(_)) | (None, None) => "nobody said".to_owned(),
        };
        Ok::<_, Infallible>(Response::new(Bytes::from(told)))
    });
    let mut request = Request::get(uri).body(()).unwrap();
    *request.headers_mut() = headers;
    GuardLayer::new(Guard::new(options, keys_of(sender)))
        .layer(service)
        .oneshot(request)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_service_sees_the_subject() {
    let sender = Sender::new();
    let response = send(
        &sender,
        Anonymous::Refused,
        "/invoices",
        sender.bearer(json!({})),
    )
    .await;
    assert_eq!(
        (response.status().as_u16(), response.body().as_ref()),
        (200, &b"portal"[..])
    );
}

#[tokio::test]
async fn the_service_never_sees_what_is_refused() {
    let sender = Sender::new();
    let refused = send(
        &sender,
        Anonymous::Allowed,
        "/invoices",
        sender.bearer(json!({ "aud": "https://other.example" })),
    )
    .await;
    assert_eq!(
        (refused.status().as_u16(), refused.body().as_ref()),
        (401, &br#"{"error":"invalid_token"}"#[..])
    );
    assert_eq!(refused.extensions().get(), Some(&Reason::AudienceMismatch));
}

#[tokio::test]
async fn nobody_is_anonymous_unless_that_is_allowed() {
    let sender = Sender::new();
    let allowed = send(&sender, Anonymous::Allowed, "/invoices", HeaderMap::new()).await;
    assert_eq!(allowed.body().as_ref(), b"anonymous");
    let refused = send(&sender, Anonymous::Refused, "/invoices", HeaderMap::new()).await;
    assert_eq!(
        (refused.status().as_u16(), refused.body().as_ref()),
        (401, &b"{}"[..])
    );
}

#[tokio::test]
async fn int_7_a_token_in_the_query_is_refused() {
    let sender = Sender::new();
    let refused = send(
        &sender,
        Anonymous::Allowed,
        "/invoices?access_token=x",
        HeaderMap::new(),
    )
    .await;
    assert_eq!(refused.status().as_u16(), 400);
    let passed = send(
        &sender,
        Anonymous::Allowed,
        "/invoices?page=2",
        HeaderMap::new(),
    )
    .await;
    assert_eq!(passed.status().as_u16(), 200);
}
