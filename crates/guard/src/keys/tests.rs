//! Fetches are counted; nothing waits for time.

use super::{FetchedKeys, KeySource, Keys};
use bytes::Bytes;
use countersign_authn::KeyAnswer;
use countersign_authn::jwks::{FetchFailed, JwksLimits};
use countersign_base::{Clock, Duration, Issuer, Kid, UnixMillis};
use countersign_crypto::jose::{Algorithm, JwkSet};
use countersign_crypto::signing::{AccessToken, SigningKey, generate_pkcs8};
use futures_util::future::{BoxFuture, join_all};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

struct Counting {
    fetches: Arc<AtomicUsize>,
    gate: Arc<Notify>,
    answer: Arc<Mutex<Result<Bytes, FetchFailed>>>,
}

impl KeySource for Counting {
    fn fetch(&self, _: &Issuer) -> BoxFuture<'static, Result<FetchedKeys, FetchFailed>> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let (gate, answer) = (Arc::clone(&self.gate), Arc::clone(&self.answer));
        Box::pin(async move {
            gate.notified().await;
            let body = answer.lock().unwrap().clone()?;
            Ok(FetchedKeys {
                body,
                max_age: Duration::from_secs(600),
            })
        })
    }
}

struct Bench {
    keys: Keys,
    fetches: Arc<AtomicUsize>,
    gate: Arc<Notify>,
    answer: Arc<Mutex<Result<Bytes, FetchFailed>>>,
    seconds: Arc<AtomicI64>,
}

fn issuer() -> Issuer {
    "https://id.example".parse().unwrap()
}

fn set(kid: &str) -> Bytes {
    let pkcs8 = generate_pkcs8(Algorithm::EdDsa).unwrap();
    let key: SigningKey<AccessToken> =
        SigningKey::from_pkcs8(Algorithm::EdDsa, kid.parse().unwrap(), &pkcs8).unwrap();
    JwkSet::single(key.verifying_key().unwrap())
        .to_json()
        .to_string()
        .into()
}

fn bench(answer: Result<Bytes, FetchFailed>) -> Bench {
    let (fetches, gate, answer) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Notify::new()),
        Arc::new(Mutex::new(answer)),
    );
    let seconds = Arc::new(AtomicI64::new(1_700_000_000));
    let clock = Clock::from_fn({
        let seconds = Arc::clone(&seconds);
        move || UnixMillis(seconds.load(Ordering::SeqCst) * 1000)
    });
    let source = Counting {
        fetches: Arc::clone(&fetches),
        gate: Arc::clone(&gate),
        answer: Arc::clone(&answer),
    };
    Bench {
        keys: Keys::new(Arc::new(source), [issuer()], JwksLimits::default(), clock),
        fetches,
        gate,
        answer,
        seconds,
    }
}

impl Bench {
    async fn find(&self, kid: &str) -> KeyAnswer {
        let kid: Kid = kid.parse().unwrap();
        self.keys
            .find(&issuer(), Some(&kid), Algorithm::EdDsa)
            .await
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_thousand_requests_cause_one_fetch() {
    let bench = bench(Ok(set("a")));
    let all = join_all((0..1000).map(|_| bench.find("a")));
    let (answers, ()) = tokio::join!(all, async { bench.gate.notify_one() });
    assert_eq!(bench.fetches(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, KeyAnswer::Key(_)))
    );
}

#[tokio::test]
async fn g49_a_thousand_bogus_kids_cause_one_fetch_more() {
    let bench = bench(Ok(set("a")));
    bench.gate.notify_one();
    assert!(matches!(bench.find("a").await, KeyAnswer::Key(_)));
    let kids: Vec<String> = (0..1000).map(|number| format!("bogus-{number}")).collect();
    let all = join_all(kids.iter().map(|kid| bench.find(kid)));
    let (answers, ()) = tokio::join!(all, async { bench.gate.notify_one() });
    assert_eq!(bench.fetches(), 2);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, KeyAnswer::Unknown))
    );
    assert!(
        matches!(bench.find("a").await, KeyAnswer::Key(_)),
        "who has a known key notices nothing"
    );
    assert_eq!(bench.fetches(), 2);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nobody_along() {
    let bench = bench(Ok(set("a")));
    let mut first = Box::pin(bench.find("a"));
    assert!(futures_util::poll!(&mut first).is_pending());
    let mut second = Box::pin(bench.find("a"));
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    bench.gate.notify_one();
    assert!(matches!(second.await, KeyAnswer::Key(_)));
    assert_eq!(bench.fetches(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_unavailable_and_not_asked_again_at_once() {
    let bench = bench(Err(FetchFailed));
    bench.gate.notify_one();
    assert!(matches!(bench.find("a").await, KeyAnswer::Unavailable));
    assert!(matches!(bench.find("a").await, KeyAnswer::Unavailable));
    assert_eq!(bench.fetches(), 1);
    *bench.answer.lock().unwrap() = Ok(set("a"));
    bench.seconds.fetch_add(15, Ordering::SeqCst);
    bench.gate.notify_one();
    assert!(matches!(bench.find("a").await, KeyAnswer::Key(_)));
}

#[tokio::test]
async fn what_is_no_key_set_is_a_failed_fetch() {
    let bench = bench(Ok(Bytes::from_static(b"<html>")));
    bench.gate.notify_one();
    assert!(matches!(bench.find("a").await, KeyAnswer::Unavailable));
}

#[tokio::test]
async fn a_refresh_brings_new_keys_before_they_are_missed() {
    let bench = bench(Ok(set("a")));
    bench.gate.notify_one();
    assert!(matches!(bench.find("a").await, KeyAnswer::Key(_)));
    let generation = bench.keys.generation(&issuer());
    bench.keys.refresh().await;
    assert_eq!(bench.fetches(), 1, "nothing is due");
    *bench.answer.lock().unwrap() = Ok(set("b"));
    bench.seconds.fetch_add(480, Ordering::SeqCst);
    bench.gate.notify_one();
    bench.keys.refresh().await;
    assert_eq!(
        (bench.fetches(), bench.keys.generation(&issuer())),
        (2, generation + 1)
    );
    assert!(matches!(bench.find("b").await, KeyAnswer::Key(_)));
    assert_eq!(bench.fetches(), 2);
}

#[tokio::test]
async fn an_issuer_that_is_not_trusted_has_no_keys() {
    let bench = bench(Ok(set("a")));
    let kid: Kid = "a".parse().unwrap();
    let answer = bench
        .keys
        .find(
            &"https://evil.example".parse().unwrap(),
            Some(&kid),
            Algorithm::EdDsa,
        )
        .await;
    assert!(matches!(answer, KeyAnswer::Unknown));
    assert_eq!(bench.fetches(), 0);
}
