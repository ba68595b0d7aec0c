//! A guarded service: what passes and what is answered instead.

use super::{Checked, Guard, GuardOptions, GuardRequest, LifetimeOnly};
use crate::fixtures::{AUDIENCE, ORIGIN, Sender, clock, keys_of, rules};
use countersign_authn::dpop::NonceUse;
use countersign_authn::jwks::JwksLimits;
use countersign_authn::replay::{ReplayLimits, Replayed};
use countersign_authn::{Anonymous, Binding, Reason};
use countersign_base::{Clock, Conditional, NoTls};
use countersign_crypto::Random;
use http::{HeaderMap, Method, Response};
use serde_json::json;
use std::sync::Arc;

/// A guard that started long enough ago not to ask for nonces, unless it always does.
fn guard(sender: &Sender, binding: Binding, nonces: NonceUse) -> Guard {
    let (clock, seconds) = clock();
    let options = GuardOptions {
        origin: ORIGIN.to_owned(),
        rules: rules(AUDIENCE, binding, Anonymous::Refused),
        scopes: "billing.read".parse().unwrap(),
        clock,
        random: Random::system(),
        revocations: Arc::new(LifetimeOnly),
        nonces,
        jwks: JwksLimits::default(),
        replay: ReplayLimits::default(),
    };
    let guard = Guard::new(options, keys_of(sender));
    seconds.fetch_add(100, std::sync::atomic::Ordering::SeqCst);
    guard
}

async fn check(guard: &Guard, headers: &HeaderMap) -> Result<Checked, Reason> {
    let request = GuardRequest {
        method: &Method::GET,
        path: "/invoices",
        query: None,
        headers,
        peer: Conditional::Absent(NoTls::NoCertificate),
    };
    guard
        .check(&request)
        .await
        .map_err(|rejection| rejection.reason())
}

#[tokio::test]
async fn a_bound_token_with_its_proof_passes_once() {
    let sender = Sender::new();
    let guard = guard(&sender, Binding::Required, NonceUse::AfterStart);
    let headers = sender.dpop(json!({}), "proof-1", None);
    match check(&guard, &headers).await.unwrap() {
        Checked::Subject(subject) => assert_eq!(
            (subject.tenant().as_str(), subject.client().as_str()),
            ("demo", "portal")
        ),
        Checked::Anonymous(_) => panic!("a token was sent"),
    }
    assert!(matches!(
        check(&guard, &headers).await.err(),
        Some(Reason::Replayed(Replayed::AlreadyUsed(_)))
    ));
    assert!(
        check(&guard, &sender.dpop(json!({}), "proof-2", None))
            .await
            .is_ok(),
        "the token again, from the cache, with a new proof"
    );
}

#[tokio::test]
async fn int_6_the_token_of_another_service_is_refused() {
    let sender = Sender::new();
    let guard = guard(&sender, Binding::Any, NonceUse::AfterStart);
    assert_eq!(
        check(
            &guard,
            &sender.bearer(json!({ "aud": "https://portal.example" }))
        )
        .await
        .err(),
        Some(Reason::AudienceMismatch)
    );
    assert!(check(&guard, &sender.bearer(json!({}))).await.is_ok());
}

#[tokio::test]
async fn scopes_issuer_binding_and_time_are_the_guards_business() {
    let sender = Sender::new();
    let open = guard(&sender, Binding::Any, NonceUse::AfterStart);
    for (claims, expected) in [
        (
            json!({ "scope": "billing.write" }),
            Reason::InsufficientScope,
        ),
        (
            json!({ "iss": "https://evil.example" }),
            Reason::IssuerUnknown,
        ),
        (json!({ "exp": 1 }), Reason::TokenExpired),
    ] {
        assert_eq!(
            check(&open, &sender.bearer(claims)).await.err(),
            Some(expected)
        );
    }
    assert!(check(&open, &sender.bearer(json!({}))).await.is_ok());
    let strict = guard(&sender, Binding::Required, NonceUse::AfterStart);
    assert_eq!(
        check(&strict, &sender.bearer(json!({}))).await.err(),
        Some(Reason::BindingRequired)
    );
    assert_eq!(
        check(&strict, &HeaderMap::new()).await.err(),
        Some(Reason::NoCredential)
    );
}

#[tokio::test]
async fn a_token_signed_by_somebody_else_is_refused() {
    let (sender, stranger) = (Sender::new(), Sender::new());
    let guard = guard(&sender, Binding::Any, NonceUse::AfterStart);
    assert_eq!(
        check(&guard, &stranger.bearer(json!({}))).await.err(),
        Some(Reason::SignatureInvalid)
    );
    assert!(check(&guard, &sender.bearer(json!({}))).await.is_ok());
}

#[tokio::test]
async fn after_its_start_a_guard_asks_for_a_nonce_and_takes_it() {
    let sender = Sender::new();
    let guard = guard(&sender, Binding::Required, NonceUse::Always);
    let headers = sender.dpop(json!({}), "proof-1", None);
    let request = GuardRequest {
        method: &Method::GET,
        path: "/invoices",
        query: None,
        headers: &headers,
        peer: Conditional::Absent(NoTls::Plaintext),
    };
    let response: Response<bytes::Bytes> = guard.check(&request).await.unwrap_err().into_response();
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["www-authenticate"].to_str().unwrap()
        ),
        (
            401,
            "DPoP error=\"use_dpop_nonce\", algs=\"EdDSA ES256 PS256\""
        )
    );
    let nonce = response.headers()["dpop-nonce"].to_str().unwrap();
    assert!(
        check(&guard, &sender.dpop(json!({}), "proof-2", Some(nonce)))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_answer_says_the_code_and_keeps_the_reason() {
    let sender = Sender::new();
    let guard = guard(&sender, Binding::Any, NonceUse::AfterStart);
    let headers = sender.bearer(json!({ "scope": "" }));
    let request = GuardRequest {
        method: &Method::GET,
        path: "/invoices",
        query: None,
        headers: &headers,
        peer: Conditional::Absent(NoTls::Plaintext),
    };
    let response: Response<bytes::Bytes> = guard.check(&request).await.unwrap_err().into_response();
    assert_eq!(response.status().as_u16(), 403);
    assert_eq!(
        response.body().as_ref(),
        br#"{"error":"insufficient_scope"}"#
    );
    let challenges: Vec<_> = response
        .headers()
        .get_all("www-authenticate")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(
        challenges[1],
        "Bearer error=\"insufficient_scope\", scope=\"billing.read\""
    );
    assert_eq!(
        response.extensions().get(),
        Some(&Reason::InsufficientScope)
    );
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[test]
fn a_clock_is_a_value() {
    let (clock, _): (Clock, _) = clock();
    assert_eq!(clock.now(), crate::fixtures::NOW);
}
