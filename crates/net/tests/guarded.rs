//! What somebody else named is fetched only where it may be, only as it may be, and only so much of it.

#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use countersign_net::tls::Alpn;
use countersign_net::{
    EgressPolicy, FetchError, FetchRules, Fetched, GuardedClient, Network, TlsClient, TrustRoots,
};
use countersign_testkit::{FakeInternet, Said};
use http::{HeaderMap, Method, StatusCode, header};
use std::net::SocketAddr;
use std::time::Duration;
use url::Url;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn document() -> Said {
    Said::json(&serde_json::json!({"hello": "world"}))
}

async fn fetch(internet: &std::sync::Arc<FakeInternet>, text: &str) -> Result<Fetched, FetchError> {
    internet
        .client()
        .fetch(&url(text), &FetchRules::json(1024))
        .await
}

fn reason<T>(result: Result<T, FetchError>) -> &'static str {
    result.err().map_or("fetched", |error| error.reason())
}

#[tokio::test]
async fn r56_a_public_document_is_fetched_at_the_address_that_was_judged() {
    let internet = FakeInternet::new();
    internet.host("docs.test", |_| {
        document().with(header::CACHE_CONTROL, "public, max-age=300")
    });
    let fetched = fetch(&internet, "https://docs.test/one?two").await.unwrap();
    assert_eq!(&fetched.body[..], br#"{"hello":"world"}"#);
    assert_eq!(fetched.max_age, Some(Duration::from_secs(300)));
    let heard = internet.heard();
    assert_eq!((heard.len(), heard[0].path.as_str()), (1, "/one?two"));
    assert!(!heard[0].headers.contains_key(header::AUTHORIZATION));
    assert!(!heard[0].headers.contains_key(header::COOKIE));
    let expected: SocketAddr = (internet.address_of("docs.test"), 443).into();
    assert_eq!(internet.dialled(), [expected]);
    assert_eq!(internet.looked_up("docs.test"), 1);
}

#[tokio::test]
async fn reg_5_r56_a42_a43_nothing_private_or_special_is_connected_to() {
    let internet = FakeInternet::new();
    for (number, special) in [
        "0.0.0.0",
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "::ffff:7f00:1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "fe80::1",
        "fd00::1",
        "fec0::1",
        "ff02::1",
        "::127.0.0.1",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("host{number}.test");
        internet.resolves(&name, &[&[special]]);
        assert_eq!(
            reason(fetch(&internet, &format!("https://{name}/")).await),
            "address_forbidden",
            "{special}"
        );
        let literal = if special.contains(':') {
            format!("https://[{special}]/")
        } else {
            format!("https://{special}/")
        };
        assert_eq!(
            reason(fetch(&internet, &literal).await),
            "address_forbidden",
            "{literal}"
        );
    }
    // Spellings that other parsers take for names.
    for literal in [
        "https://0x7f000001/",
        "https://2130706433/",
        "https://127.1/",
        "https://017700000001/",
    ] {
        assert_eq!(
            reason(fetch(&internet, literal).await),
            "address_forbidden",
            "{literal}"
        );
    }
    assert_eq!(internet.dialled(), [], "no connection");
    internet.host("docs.test", |_| document());
    assert_eq!(
        reason(fetch(&internet, "https://docs.test/").await),
        "fetched",
        "the twin"
    );
}

#[tokio::test]
async fn reg_5_a43_a_name_that_points_elsewhere_at_the_second_look_gains_nothing() {
    let internet = FakeInternet::new();
    internet.host("rebinding.test", |_| document());
    let public = internet.address_of("rebinding.test").to_string();
    internet.resolves("rebinding.test", &[&[&public], &["127.0.0.1"]]);
    assert_eq!(
        reason(fetch(&internet, "https://rebinding.test/").await),
        "fetched"
    );
    assert_eq!(
        internet.looked_up("rebinding.test"),
        1,
        "one look for one exchange"
    );
    assert_eq!(
        reason(fetch(&internet, "https://rebinding.test/").await),
        "address_forbidden",
        "the next exchange looks again, and judges again"
    );
    assert_eq!(internet.dialled().len(), 1);

    internet.host("mixed.test", |_| document());
    let public = internet.address_of("mixed.test").to_string();
    internet.resolves("mixed.test", &[&["169.254.169.254", &public, "::1"]]);
    let before = internet.dialled().len();
    assert_eq!(
        reason(fetch(&internet, "https://mixed.test/").await),
        "address_forbidden",
        "one forbidden address refuses the name"
    );
    assert_eq!(internet.dialled().len(), before);
    internet.resolves("mixed.test", &[&[&public, &public]]);
    assert_eq!(
        reason(fetch(&internet, "https://mixed.test/").await),
        "fetched",
        "the twin"
    );
}

#[tokio::test]
async fn reg_6_a43_a_redirect_is_not_followed() {
    let internet = FakeInternet::new();
    internet.host("target.test", |_| document());
    for status in [301, 302, 303, 307, 308] {
        internet.host("moved.test", move |_| {
            Said::status(StatusCode::from_u16(status).unwrap())
                .with(header::LOCATION, "https://target.test/")
        });
        assert_eq!(
            reason(fetch(&internet, "https://moved.test/").await),
            "redirect"
        );
    }
    assert_eq!(internet.looked_up("target.test"), 0);
    assert_eq!(
        reason(fetch(&internet, "https://target.test/").await),
        "fetched",
        "the twin"
    );
}

#[tokio::test]
async fn reg_7_r56_what_is_too_large_is_cut_off() {
    let internet = FakeInternet::new();
    internet.host("large.test", |heard| {
        let bytes = heard.path.trim_start_matches('/').parse().unwrap();
        Said::of("application/json", "x".repeat(bytes))
    });
    assert_eq!(
        reason(fetch(&internet, "https://large.test/1025").await),
        "body_too_large"
    );
    assert_eq!(
        reason(fetch(&internet, "https://large.test/1024").await),
        "fetched",
        "the twin"
    );
}

#[tokio::test]
async fn reg_8_a45_a_look_alike_of_an_allowed_host_is_refused() {
    let internet = FakeInternet::new();
    let policy = EgressPolicy::public_only().allowing("keys.internal");
    let client = internet.client_with(policy);
    for name in [
        "keys.internal.evil.test",
        "evilkeys.internal",
        "sub.keys.internal",
        "keys-internal",
        "keys.internal.",
    ] {
        internet.resolves(name, &[&["10.0.0.7"]]);
        let refused = client
            .fetch(&url(&format!("https://{name}/")), &FetchRules::json(1024))
            .await;
        assert_eq!(reason(refused), "address_forbidden", "{name}");
    }
    assert_eq!(internet.dialled(), []);
    internet.resolves("keys.internal", &[&["10.0.0.7"]]);
    let allowed = client
        .fetch(&url("https://keys.internal/"), &FetchRules::json(1024))
        .await;
    // Nobody listens there, but it was tried: the guard let it through.
    assert_eq!(reason(allowed), "fetch_failed");
    assert_eq!(internet.dialled(), [SocketAddr::from(([10, 0, 0, 7], 443))]);
}

#[tokio::test]
async fn r56_only_https_and_nothing_that_deceives() {
    let internet = FakeInternet::new();
    internet.host("docs.test", |_| document());
    for text in [
        "http://docs.test/",
        "https://user@docs.test/",
        "https://user:word@docs.test/",
        "https://docs.test/#fragment",
        "ftp://docs.test/",
        "file:///etc/passwd",
        "data:application/json,{}",
    ] {
        assert_eq!(reason(fetch(&internet, text).await), "url", "{text}");
    }
    assert_eq!(internet.looked_up("docs.test"), 0);
}

#[tokio::test]
async fn an_answer_of_another_kind_is_not_taken() {
    let internet = FakeInternet::new();
    internet.host("docs.test", |heard| match heard.path.as_str() {
        "/html" => Said::of("text/html", "{}"),
        "/none" => Said {
            headers: HeaderMap::new(),
            ..document()
        },
        "/packed" => document().with(header::CONTENT_ENCODING, "gzip"),
        "/gone" => Said::status(StatusCode::NOT_FOUND),
        "/charset" => Said::of("Application/JSON; charset=utf-8", "{}"),
        _ => document(),
    });
    for (path, expected) in [
        ("html", "media_type"),
        ("none", "media_type"),
        ("packed", "media_type"),
        ("gone", "status"),
        ("charset", "fetched"),
    ] {
        assert_eq!(
            reason(fetch(&internet, &format!("https://docs.test/{path}")).await),
            expected,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_host_with_another_certificate_is_not_believed() {
    let internet = FakeInternet::new();
    internet.host("real.test", |_| document());
    let address = internet.address_of("real.test").to_string();
    internet.resolves("other.test", &[&[&address]]);
    assert_eq!(
        reason(fetch(&internet, "https://other.test/").await),
        "fetch_failed"
    );
    assert_eq!(internet.heard().len(), 0);
}

#[tokio::test]
async fn a_host_that_never_answers_costs_its_time_and_no_more() {
    let internet = FakeInternet::new();
    let network = Network::new(
        |_, port| Box::pin(async move { Ok(vec![SocketAddr::from(([203, 0, 114, 9], port))]) }),
        |_| Box::pin(std::future::pending()),
    );
    let roots = TrustRoots::from_pem(internet.certificate_pem().as_bytes()).unwrap();
    let tls = TlsClient::new(&roots, None, Alpn::Http1).unwrap();
    let client = GuardedClient::new(tls, EgressPolicy::public_only().over(network));
    let address = url("https://slow.test/");
    let rules = FetchRules {
        timeout: Duration::from_millis(50),
        ..FetchRules::json(1024)
    };
    // Three at once: two have their turn, the third waits for one within its own time.
    let (first, second, third) = tokio::join!(
        client.fetch(&address, &rules),
        client.fetch(&address, &rules),
        client.fetch(&address, &rules),
    );
    for result in [first, second, third] {
        assert_eq!(reason(result), "fetch_timeout");
    }
}

#[tokio::test]
async fn a_delivery_reports_the_status_and_follows_nothing() {
    let internet = FakeInternet::new();
    internet.host("rp.test", |_| {
        Said::status(StatusCode::FOUND).with(header::LOCATION, "https://elsewhere.test/")
    });
    let status = internet
        .client()
        .deliver(
            &url("https://rp.test/logout"),
            HeaderMap::new(),
            Bytes::from_static(b"logout_token=x"),
            Duration::from_secs(5),
        )
        .await;
    assert_eq!(status.unwrap(), StatusCode::FOUND);
    let heard = internet.heard();
    assert_eq!(
        (&heard[0].method, &heard[0].body[..]),
        (&Method::POST, &b"logout_token=x"[..])
    );
    assert_eq!(internet.looked_up("elsewhere.test"), 0);
}

#[tokio::test]
async fn who_does_not_take_what_is_delivered_keeps_no_document_waiting() {
    let internet = FakeInternet::new();
    internet.host("slow.test", |_| document());
    let held = internet.hold("slow.test", Method::POST);
    let client = internet.client();
    let patient = |client: GuardedClient| async move {
        let (headers, body) = (HeaderMap::new(), Bytes::from_static(b"news"));
        let url = url("https://slow.test/");
        client
            .deliver(&url, headers, body, Duration::from_secs(60))
            .await
    };
    let first = tokio::spawn(patient(client.clone()));
    let second = tokio::spawn(patient(client.clone()));
    internet.wait_for(2).await;
    // Both turns of the host are taken: what has none in its time was not tried.
    let address = url("https://slow.test/");
    let third = client.deliver(
        &address,
        HeaderMap::new(),
        Bytes::new(),
        Duration::from_millis(50),
    );
    assert_eq!(reason(third.await), "fetch_busy");
    assert_eq!(internet.heard().len(), 2);
    let fetched = client.fetch(&address, &FetchRules::json(1024)).await;
    assert_eq!(
        reason(fetched),
        "fetched",
        "documents have turns of their own"
    );
    drop(held);
    for delivered in [first, second] {
        assert_eq!(delivered.await.unwrap().unwrap(), StatusCode::OK);
    }
    assert_eq!(
        patient(client).await.unwrap(),
        StatusCode::OK,
        "the twin: nobody holds the turns"
    );
}
