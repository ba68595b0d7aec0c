use super::*;
use countersign_base::Bounded;
use countersign_crypto::signing::{AccessToken, SigningKey, generate_pkcs8};
use countersign_net::client::ClientOptions;
use countersign_net::tls::Alpn;
use countersign_net::{EgressPolicy, TlsClient, TrustRoots};
use countersign_testkit::{FakeClock, FakeInternet, Said};
use http::{Method, header};
use serde_json::json;

const HOST: &str = "login.partner.test";
const OTHER: &str = "login.other.test";

#[test]
fn max_age_is_read() {
    assert_eq!(
        max_age("public, max-age=300"),
        Some(Duration::from_secs(300))
    );
    assert_eq!(max_age("no-store"), None);
    assert_eq!(max_age("max-age=soon"), None);
}

fn kid(name: &str) -> Kid {
    name.parse().unwrap()
}

/// A set with a key of each name, the last of which nobody here can use.
fn set(names: &[&str]) -> serde_json::Value {
    let published = names.iter().map(|name| {
        let pkcs8 = generate_pkcs8(Algorithm::Es256).unwrap();
        let key: SigningKey<AccessToken> =
            SigningKey::from_pkcs8(Algorithm::Es256, kid(name), &pkcs8).unwrap();
        key.public_jwk()
            .to_published_json(key.kid(), Algorithm::Es256)
    });
    let strange = json!({ "kty": "EC", "crv": "P-999", "x": "AA", "y": "AA" });
    json!({ "keys": published.chain([strange]).collect::<Vec<_>>() })
}

fn of(name: &str) -> KeysOf {
    KeysOf::Gateway {
        name: Bounded::parse(name).unwrap(),
        issuer: format!("https://login.{name}.test").parse().unwrap(),
    }
}

struct Setting {
    internet: Arc<FakeInternet>,
    clock: FakeClock,
    keys: ForeignKeys,
}

impl Setting {
    fn new() -> Self {
        let (internet, clock) = (FakeInternet::new(), FakeClock::default());
        let keys = ForeignKeys::new(clock.clock(), Vec::new());
        let setting = Self {
            internet,
            clock,
            keys,
        };
        setting.keys.replace(vec![
            setting.origin("partner", 1),
            setting.origin("other", 1),
        ]);
        setting
    }

    /// Where the keys of this issuer come from; another number is another place.
    fn origin(&self, name: &str, identity: u8) -> ForeignOrigin {
        let roots = TrustRoots::from_pem(self.internet.certificate_pem().as_bytes()).unwrap();
        let tls = TlsClient::new(&roots, None, Alpn::Http1).unwrap();
        let egress = EgressPolicy::public_only().over(self.internet.network());
        ForeignOrigin {
            of: of(name),
            source: ForeignSource::Fetched {
                address: Url::parse(&format!("https://login.{name}.test/jwks")).unwrap(),
                format: KeyFormat::JwkSet,
                http: Box::new(HttpClient::new(tls, egress, ClientOptions::default())),
                limits: JwksLimits {
                    stale_max: Duration::from_secs(600),
                    ..JwksLimits::default()
                },
            },
            identity: [identity; 32],
        }
    }

    fn serves(&self, host: &str, names: &[&str]) {
        let set = set(names);
        self.internet.host(host, move |_| {
            Said::json(&set).with(header::CACHE_CONTROL, "max-age=300")
        });
    }

    fn is_away(&self, host: &str) {
        self.internet
            .host(host, |_| Said::status(StatusCode::BAD_GATEWAY));
    }

    async fn find(&self, name: &str, key: &str) -> &'static str {
        let kid = kid(key);
        let of = of(name);
        let found = self.keys.key_of(&of, Some(&kid), Algorithm::Es256);
        match found.await {
            ForeignKey::Found(_) => "found",
            ForeignKey::Unavailable => "unavailable",
            ForeignKey::Unknown => "unknown",
        }
    }

    fn generation(&self) -> u64 {
        self.keys.gateway_generation(self.clock.clock().now())
    }

    fn fetches(&self) -> usize {
        self.internet.heard().len()
    }
}

#[tokio::test]
async fn g49_g50_a_thousand_unknown_kids_cause_one_fetch_and_known_ones_go_on() {
    let setting = Setting::new();
    setting.serves(HOST, &["one"]);
    assert_eq!(setting.find("partner", "one").await, "found");
    assert_eq!(setting.fetches(), 1);
    for number in 0..1000 {
        assert_eq!(
            setting.find("partner", &format!("bogus-{number}")).await,
            "unknown"
        );
        assert_eq!(setting.find("partner", "one").await, "found");
    }
    assert_eq!(setting.fetches(), 2, "one for all that are unknown");
    // The pause is over: a key that came meanwhile is found with one fetch more.
    setting.serves(HOST, &["one", "two"]);
    assert_eq!(setting.find("partner", "two").await, "unknown");
    setting.clock.advance(Duration::from_secs(31));
    assert_eq!(setting.find("partner", "two").await, "found");
    assert_eq!(setting.fetches(), 3);
}

#[tokio::test]
async fn g49_who_waits_at_once_waits_for_one_fetch_and_who_goes_away_takes_it_not_along() {
    let setting = Setting::new();
    setting.serves(HOST, &["one"]);
    let held = setting.internet.hold(HOST, Method::GET);
    {
        let first = setting.find("partner", "one");
        let mut first = std::pin::pin!(first);
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        // It goes away here, and its fetch goes on.
    }
    let many = (0..50).map(|_| setting.find("partner", "one"));
    let many = futures_util::future::join_all(many);
    let release = async {
        setting.internet.wait_for(1).await;
        drop(held);
    };
    let (found, ()) = tokio::join!(many, release);
    assert!(found.iter().all(|found| *found == "found"));
    assert_eq!(setting.fetches(), 1);
}

#[tokio::test]
async fn g51_g55_old_keys_serve_for_a_while_and_then_nothing_does() {
    let setting = Setting::new();
    setting.serves(HOST, &["one"]);
    assert_eq!(setting.find("partner", "one").await, "found");
    let generation = setting.generation();
    setting.is_away(HOST);
    // 300 seconds of its own, 600 that it may serve beyond.
    setting.clock.advance(Duration::from_secs(899));
    setting.keys.refresh().await;
    assert_eq!(setting.find("partner", "one").await, "found");
    assert_eq!(setting.generation(), generation, "verdicts still count");
    setting.clock.advance(Duration::from_secs(1));
    assert_ne!(setting.generation(), generation, "and no longer do");
    assert_eq!(setting.find("partner", "one").await, "unavailable");
    let generation = setting.generation();
    assert_eq!(setting.generation(), generation, "it changed once");
    // The twin: the issuer is back.
    setting.serves(HOST, &["one"]);
    setting.clock.advance(Duration::from_secs(3_600));
    setting.keys.refresh().await;
    assert_eq!(setting.find("partner", "one").await, "found");
}

#[tokio::test]
async fn g51_a_withdrawn_key_counts_no_more_after_the_refresh_and_its_verdicts_neither() {
    let setting = Setting::new();
    setting.serves(HOST, &["one", "two"]);
    assert_eq!(setting.find("partner", "one").await, "found");
    let (generation, fetches) = (setting.generation(), setting.fetches());
    // Not yet due.
    setting.keys.refresh().await;
    assert_eq!(setting.fetches(), fetches);
    setting.serves(HOST, &["two"]);
    setting.clock.advance(Duration::from_secs(241));
    setting.keys.refresh().await;
    assert_eq!(setting.fetches(), fetches + 1, "ahead of its end");
    assert_ne!(setting.generation(), generation);
    assert_eq!(setting.find("partner", "two").await, "found");
    assert_eq!(setting.find("partner", "one").await, "unknown");
    // The same set again changes nothing: what was verified stays verified.
    let generation = setting.generation();
    setting.clock.advance(Duration::from_secs(241));
    setting.keys.refresh().await;
    assert_eq!(setting.generation(), generation);
}

#[tokio::test]
async fn g51_an_issuer_that_does_not_answer_keeps_no_other_waiting() {
    let setting = Setting::new();
    setting.serves(HOST, &["one"]);
    setting.serves(OTHER, &["one"]);
    let held = setting.internet.hold(OTHER, Method::GET);
    let refresh = setting.keys.refresh();
    let mut refresh = std::pin::pin!(refresh);
    assert!(futures_util::poll!(refresh.as_mut()).is_pending());
    assert_eq!(setting.find("partner", "one").await, "found");
    drop(held);
    refresh.await;
    assert_eq!(setting.find("other", "one").await, "found");
    assert_eq!(setting.fetches(), 2);
}

#[tokio::test]
async fn tok_5_each_issuer_has_its_own_keys_under_the_same_names() {
    let setting = Setting::new();
    setting.serves(HOST, &["same"]);
    setting.serves(OTHER, &["same"]);
    let key = async |name| {
        let kid = kid("same");
        match setting
            .keys
            .key_of(&of(name), Some(&kid), Algorithm::Es256)
            .await
        {
            ForeignKey::Found(key) => key.thumbprint(),
            other => panic!("{other:?}"),
        }
    };
    assert_ne!(key("partner").await, key("other").await);
    // A name that is now another issuer's has nothing of the one before.
    let renamed = KeysOf::Gateway {
        name: Bounded::parse("partner").unwrap(),
        issuer: "https://login.other.test".parse().unwrap(),
    };
    let same = kid("same");
    let keys = &setting.keys;
    let found = keys.key_of(&renamed, Some(&same), Algorithm::Es256);
    assert!(matches!(found.await, ForeignKey::Unknown));
}

#[tokio::test]
async fn a_reload_keeps_what_was_fetched_and_forgets_whoever_changed_or_went() {
    let setting = Setting::new();
    setting.serves(HOST, &["one"]);
    assert_eq!(setting.find("partner", "one").await, "found");
    let (generation, fetches) = (setting.generation(), setting.fetches());
    // Nothing changed, and the issuer is away.
    setting.is_away(HOST);
    setting.keys.replace(vec![
        setting.origin("partner", 1),
        setting.origin("other", 1),
    ]);
    assert_eq!(setting.find("partner", "one").await, "found");
    assert_eq!(
        (setting.generation(), setting.fetches()),
        (generation, fetches)
    );
    // Its keys come from another place now.
    setting.keys.replace(vec![
        setting.origin("partner", 2),
        setting.origin("other", 1),
    ]);
    assert_ne!(setting.generation(), generation);
    assert_eq!(setting.find("partner", "one").await, "unavailable");
    let generation = setting.generation();
    setting.keys.replace(vec![setting.origin("other", 1)]);
    assert_ne!(setting.generation(), generation);
    assert_eq!(setting.find("partner", "one").await, "unknown");
}
