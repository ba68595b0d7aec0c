//! Sets at addresses of others: what they may be, how often they are fetched, and when their keys begin and cease to count.

use super::super::{ForeignKeys, ForeignOrigin, ForeignSource, KeysOf, REFRESHED_AT_ONCE};
use super::FollowedKeys;
use countersign_authn::jwks::JwksLimits;
use countersign_base::{Duration, Kid};
use countersign_crypto::jose::{Algorithm, JwkSet};
use countersign_crypto::signing::{AccessToken, SigningKey, generate_pkcs8};
use countersign_testkit::{FakeClock, FakeInternet, Said};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

const HOST: &str = "keys.partner.test";
const OTHER: &str = "keys.other.test";

fn kid(name: &str) -> Kid {
    name.parse().unwrap()
}

fn set(names: &[&str]) -> Value {
    let published = names.iter().map(|name| {
        let pkcs8 = generate_pkcs8(Algorithm::EdDsa).unwrap();
        let key: SigningKey<AccessToken> =
            SigningKey::from_pkcs8(Algorithm::EdDsa, kid(name), &pkcs8).unwrap();
        key.public_jwk()
            .to_published_json(key.kid(), Algorithm::EdDsa)
    });
    json!({ "keys": published.collect::<Vec<_>>() })
}

fn of(name: &str, address: &str) -> KeysOf {
    KeysOf::WebhookSource {
        name: name.parse().unwrap(),
        address: address.parse().unwrap(),
    }
}

fn address(host: &str) -> String {
    format!("https://{host}/jwks")
}

struct Setting {
    internet: Arc<FakeInternet>,
    clock: FakeClock,
    foreign: ForeignKeys,
}

impl Setting {
    /// Follows the sets at these addresses; each is the set of the source `source-N`.
    fn following(addresses: &[&str]) -> Self {
        let (internet, clock) = (FakeInternet::new(), FakeClock::default());
        let outside = internet.client();
        let origins = addresses.iter().enumerate().map(|(number, address)| {
            let of = of(&format!("source-{number}"), address);
            let source = ForeignSource::Guarded {
                address: Url::parse(address).unwrap(),
                outside: outside.clone(),
                limits: JwksLimits {
                    stale_max: Duration::from_secs(600),
                    ..JwksLimits::default()
                },
            };
            ForeignOrigin {
                of,
                source,
                identity: [1; 32],
            }
        });
        let foreign = ForeignKeys::new(clock.clock(), origins.collect());
        Self {
            internet,
            clock,
            foreign,
        }
    }

    fn new() -> Self {
        Self::following(&[&address(HOST)])
    }

    fn serves(&self, names: &[&str]) {
        let set = set(names);
        self.says(move || Said::json(&set).with(header::CACHE_CONTROL, "max-age=300"));
    }

    fn says(&self, said: impl Fn() -> Said + Send + Sync + 'static) {
        self.internet.host(HOST, move |_| said());
    }

    fn reader(&self, of: KeysOf) -> FollowedKeys<JwkSet> {
        FollowedKeys::new(self.foreign.clone(), of, |bytes| {
            let (set, _) = JwkSet::parse(bytes).ok()?;
            (!set.is_empty()).then_some(set)
        })
    }

    fn keys(&self) -> FollowedKeys<JwkSet> {
        self.reader(of("source-0", &address(HOST)))
    }

    fn fetches(&self) -> usize {
        self.internet.heard().len()
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn names(set: Option<Arc<JwkSet>>) -> Vec<String> {
    let set = set.unwrap_or_default();
    let names = set.iter().filter_map(|key| key.kid());
    names.map(|kid| kid.as_str().to_owned()).collect()
}

#[tokio::test]
async fn a_storm_of_unknown_keys_makes_one_fetch_in_a_cooldown() {
    let setting = Setting::new();
    setting.serves(&["one"]);
    let keys = setting.keys();
    let current = keys.current().await.unwrap();
    assert_eq!(setting.fetches(), 1);
    for _ in 0..1000 {
        assert!(keys.newer(&current).await.is_none());
        assert!(keys.current().await.is_some(), "known keys go on");
    }
    assert_eq!(setting.fetches(), 2, "one for all that are unknown");
    // Another reader of the same set has the same cooldown, and at once is like one after the other.
    let another = setting.keys();
    let its = another.current().await.unwrap();
    let many = (0..200).map(|_| another.newer(&its));
    let many = futures_util::future::join_all(many).await;
    assert!(many.iter().all(Option::is_none));
    assert_eq!(setting.fetches(), 2);
    setting.advance(31);
    let many = (0..200).map(|_| keys.newer(&current));
    futures_util::future::join_all(many).await;
    assert_eq!(setting.fetches(), 3);
}

#[tokio::test]
async fn only_so_many_wait_for_a_set() {
    let setting = Setting::new();
    setting.serves(&["one"]);
    let keys = setting.keys();
    let current = keys.current().await.unwrap();
    setting.serves(&["two"]);
    let held = setting.internet.hold(HOST, Method::GET);
    let waiting = (0..super::WAITING_MAX).map(|_| keys.newer(&current));
    let mut waiting = std::pin::pin!(futures_util::future::join_all(waiting));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    // One more is told at once, and who has a known key waits for nobody.
    let more = keys.newer(&current);
    let mut more = std::pin::pin!(more);
    assert!(futures_util::poll!(more.as_mut()).is_ready());
    assert_eq!(names(keys.current().await), ["one"]);
    drop(held);
    for newer in waiting.await {
        assert_eq!(names(newer), ["two"]);
    }
    assert_eq!(setting.fetches(), 2);
}

#[tokio::test]
async fn a_new_key_counts_when_it_appears_and_an_old_one_no_more_when_it_is_gone() {
    let setting = Setting::new();
    setting.serves(&["one"]);
    let keys = setting.keys();
    let first = keys.current().await.unwrap();
    // It appears, and somebody signs with it before the set is due.
    setting.serves(&["one", "two"]);
    let both = keys.newer(&first).await;
    assert_eq!(names(both.clone()), ["one", "two"]);
    // Whoever began with the first set is told of the other without a fetch.
    let fetches = setting.fetches();
    assert_eq!(names(keys.newer(&first).await), ["one", "two"]);
    assert_eq!(setting.fetches(), fetches);
    // The old one leaves; the set is looked at again ahead of its end, with nobody asking.
    setting.serves(&["two"]);
    setting.foreign.refresh().await;
    assert_eq!(names(keys.current().await), ["one", "two"], "not yet due");
    setting.advance(241);
    setting.foreign.refresh().await;
    assert_eq!(names(keys.current().await), ["two"]);
    // All are withdrawn: nothing counts any more.
    setting.serves(&[]);
    setting.advance(241);
    setting.foreign.refresh().await;
    assert!(keys.current().await.is_none());
    setting.serves(&["three"]);
    setting.advance(241);
    setting.foreign.refresh().await;
    assert_eq!(names(keys.current().await), ["three"]);
}

#[tokio::test]
async fn the_last_set_serves_while_its_server_is_away_and_then_nothing_does() {
    let setting = Setting::new();
    setting.serves(&["one"]);
    let keys = setting.keys();
    assert_eq!(names(keys.current().await), ["one"]);
    let no_sets: [fn() -> Said; 5] = [
        || Said::status(StatusCode::BAD_GATEWAY),
        || Said::status(StatusCode::NOT_FOUND),
        || Said::json(&json!({ "error": "later" })),
        || Said::of("text/html", "<p>soon</p>"),
        || Said::of("application/json", "x".repeat(64 * 1024 + 1)),
    ];
    for said in no_sets {
        setting.says(said);
        setting.advance(150);
        setting.foreign.refresh().await;
        assert_eq!(names(keys.current().await), ["one"]);
    }
    // 300 seconds of its own, and 600 beyond.
    setting.advance(149);
    assert_eq!(names(keys.current().await), ["one"]);
    setting.advance(1);
    assert!(keys.current().await.is_none());
    // The twin: it is back.
    setting.serves(&["one"]);
    setting.advance(3_600);
    setting.foreign.refresh().await;
    assert_eq!(names(keys.current().await), ["one"]);
}

#[tokio::test]
async fn what_is_no_answer_to_believe_gives_no_keys() {
    let good = || Said::json(&set(&["one"]));
    let check = async |said: Said, taken: bool| {
        let setting = Setting::new();
        let heard = said.clone();
        setting.says(move || said.clone());
        setting.internet.host(OTHER, move |_| good());
        let found = setting.keys().current().await.is_some();
        assert_eq!(found, taken, "{heard:?}");
        // Nobody went where a redirect leads.
        assert_eq!(setting.fetches(), 1, "{heard:?}");
    };
    check(good(), true).await;
    let bytes = set(&["one"]).to_string();
    let as_set = Said::of("application/jwk-set+json", bytes.clone());
    check(as_set, true).await;
    for status in [301, 302, 303, 307, 308] {
        let mut said = good().with(header::LOCATION, "https://keys.other.test/jwks");
        said.status = StatusCode::from_u16(status).unwrap();
        check(said, false).await;
    }
    check(good().with(header::CONTENT_ENCODING, "gzip"), false).await;
    check(Said::of("text/plain", bytes.clone()), false).await;
    let padded = format!("{bytes}{}", " ".repeat(64 * 1024));
    check(Said::of("application/json", padded), false).await;
    check(Said::of("application/json", "{"), false).await;
    check(Said::json(&json!({ "keys": [] })), false).await;
    let shared = json!({ "kty": "oct", "kid": "one", "k": "AAECAwQFBgcICQoLDA0ODw" });
    check(Said::json(&json!({ "keys": [shared] })), false).await;
}

#[tokio::test]
async fn only_https_and_only_public_addresses_are_reached() {
    for (address, host) in [
        ("http://plain.test/jwks", "plain.test"),
        ("https://user:secret@plain.test/jwks", "plain.test"),
        ("https://plain.test/jwks", "plain.test"),
        ("https://inside.test/jwks", "inside.test"),
        ("https://127.0.0.1/jwks", "127.0.0.1"),
        ("https://169.254.169.254/jwks", "169.254.169.254"),
    ] {
        let setting = Setting::following(&[address]);
        setting.internet.resolves("inside.test", &[&["10.0.0.1"]]);
        let served = set(&["one"]);
        let said = move |_: &countersign_testkit::Heard| Said::json(&served);
        setting.internet.plain_host("plain.test", said);
        let keys = setting.reader(of("source-0", address));
        assert!(keys.current().await.is_none(), "{address}");
        assert_eq!(setting.fetches(), 0, "{address}");
        if host != "plain.test" {
            assert_eq!(setting.internet.dialled(), [], "{address}");
        }
    }
}

#[tokio::test]
async fn an_address_that_answers_later_is_asked_again_and_not_by_everybody() {
    let setting = Setting::new();
    setting.says(|| Said::status(StatusCode::SERVICE_UNAVAILABLE));
    let keys = setting.keys();
    for _ in 0..100 {
        assert!(keys.current().await.is_none());
    }
    assert_eq!(setting.fetches(), 1, "who comes next does not ask again");
    setting.serves(&["one"]);
    setting.advance(14);
    assert!(keys.current().await.is_none());
    setting.advance(1);
    assert_eq!(names(keys.current().await), ["one"]);
    assert_eq!(setting.fetches(), 2);
}

#[tokio::test]
async fn nobody_has_the_keys_of_another_or_of_whom_their_name_was_before() {
    let addresses = [address(HOST), address(OTHER)];
    let setting = Setting::following(&[&addresses[0], &addresses[1]]);
    setting.serves(&["same"]);
    let others = set(&["same", "more"]);
    setting.internet.host(OTHER, move |_| Said::json(&others));
    let one = setting.keys().current().await.unwrap();
    let other = setting
        .reader(of("source-1", &addresses[1]))
        .current()
        .await;
    assert_eq!(names(other.clone()), ["same", "more"]);
    let thumbprint = |set: &JwkSet| set.iter().next().unwrap().thumbprint();
    assert_ne!(thumbprint(&one), thumbprint(&other.unwrap()));
    // The name of one with the address of the other is neither.
    let mixed = setting.reader(of("source-0", &addresses[1]));
    assert!(mixed.current().await.is_none());
    let partner = setting.reader(KeysOf::Partner {
        tenant: "default".parse().unwrap(),
        name: "source-0".parse().unwrap(),
        address: addresses[0].parse().unwrap(),
    });
    assert!(partner.current().await.is_none());
}

#[tokio::test]
async fn many_sets_are_refreshed_some_at_a_time_and_all_of_them() {
    let hosts: Vec<String> = (0..80).map(|number| format!("k{number}.test")).collect();
    let addresses: Vec<String> = hosts.iter().map(|host| address(host)).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let setting = Setting::following(&addresses);
    let served = set(&["one"]);
    let held: Vec<_> = hosts
        .iter()
        .map(|host| {
            let served = served.clone();
            setting.internet.host(host, move |_| Said::json(&served));
            setting.internet.hold(host, Method::GET)
        })
        .collect();
    let release = async {
        let heard = setting.internet.wait_for(REFRESHED_AT_ONCE).await;
        assert_eq!(heard.len(), REFRESHED_AT_ONCE);
        drop(held);
    };
    tokio::join!(setting.foreign.refresh(), release);
    for (number, address) in addresses.iter().enumerate() {
        let keys = setting.reader(of(&format!("source-{number}"), address));
        assert!(keys.current().await.is_some(), "{address}");
    }
    assert_eq!(setting.fetches(), 80);
}
