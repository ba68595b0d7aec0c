use super::*;
use countersign_crypto::jose::Algorithm;
use countersign_crypto::signing::{ClientAssertion, SigningKey, generate_pkcs8};
use countersign_testkit::{FakeClock, FakeInternet, Said};
use http::{StatusCode, header};
use std::sync::Arc;

fn jwks(kid: &str) -> serde_json::Value {
    let pkcs8 = generate_pkcs8(Algorithm::Es256).unwrap();
    let kid: countersign_base::Kid = kid.parse().unwrap();
    let key: SigningKey<ClientAssertion> =
        SigningKey::from_pkcs8(Algorithm::Es256, kid, &pkcs8).unwrap();
    serde_json::json!({"keys": [key.public_jwk().to_published_json(key.kid(), Algorithm::Es256)]})
}

fn setting() -> (Arc<FakeInternet>, FakeClock, ClientKeys, WebAddress) {
    let clock = FakeClock::default();
    let internet = FakeInternet::new();
    let keys = ClientKeys::new(internet.client(), clock.clock());
    (
        internet,
        clock,
        keys,
        "https://app.test/jwks".parse().unwrap(),
    )
}

#[tokio::test]
async fn r56_a_set_is_fetched_once_and_again_when_it_is_old() {
    let (internet, clock, keys, address) = setting();
    internet.host("app.test", |_| {
        Said::json(&jwks("one")).with(header::CACHE_CONTROL, "max-age=300")
    });
    for _ in 0..3 {
        assert!(keys.find(&address, Wanted::Current).await.is_some());
    }
    assert_eq!(internet.heard().len(), 1);
    clock.advance(Duration::from_secs(301));
    assert!(keys.find(&address, Wanted::Current).await.is_some());
    assert_eq!(internet.heard().len(), 2);
}

#[tokio::test]
async fn a_missing_key_costs_at_most_one_fetch_in_a_while() {
    let (internet, clock, keys, address) = setting();
    internet.host("app.test", |_| Said::json(&jwks("one")));
    let has = |set: Option<JwkSet>, kid: &str| {
        let kid = kid.parse().unwrap();
        set.is_some_and(|set| set.find(&kid, Algorithm::Es256).is_some())
    };
    assert!(has(keys.find(&address, Wanted::Current).await, "one"));
    internet.host("app.test", |_| Said::json(&jwks("two")));
    assert!(
        has(keys.find(&address, Wanted::Newer).await, "one"),
        "just looked"
    );
    clock.advance(Duration::from_secs(31));
    // Of many at once, one looks.
    let newer = (0..20).map(|_| keys.find(&address, Wanted::Newer));
    for set in futures_util::future::join_all(newer).await {
        assert!(has(set, "two"));
    }
    assert!(has(keys.find(&address, Wanted::Current).await, "two"));
    assert_eq!(internet.heard().len(), 2);
}

#[tokio::test]
async fn of_many_that_ask_first_one_fetches() {
    let (internet, _clock, keys, address) = setting();
    internet.host("app.test", |_| Said::json(&jwks("one")));
    let first = (0..20).map(|_| keys.find(&address, Wanted::Current));
    for set in futures_util::future::join_all(first).await {
        assert!(set.is_some());
    }
    assert_eq!(internet.heard().len(), 1);
}

#[tokio::test]
async fn the_last_set_serves_for_a_day_while_its_host_is_away() {
    let (internet, clock, keys, address) = setting();
    internet.host("app.test", |_| Said::json(&jwks("one")));
    assert!(keys.find(&address, Wanted::Current).await.is_some());
    internet.host("app.test", |_| Said::status(StatusCode::BAD_GATEWAY));
    clock.advance(Duration::from_secs(23 * 3600));
    assert!(keys.find(&address, Wanted::Current).await.is_some());
    clock.advance(Duration::from_secs(2 * 3600));
    assert!(keys.find(&address, Wanted::Current).await.is_none());
}
