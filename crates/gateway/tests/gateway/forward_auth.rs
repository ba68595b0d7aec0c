//! Requests that another proxy holds: the same answers as at the front door, and nothing believed from strangers.

use crate::world::{ALICE, BOB, Holder, World};
use bytes::Bytes;
use countersign_base::Secret;
use countersign_gateway::forward_auth::{Answers, PATH, TrustedProxy};
use countersign_net::ClientResponse;
use http::{Method, StatusCode};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub fn proxy(answers: Answers) -> TrustedProxy {
    TrustedProxy::new(Some(&Secret::new(SECRET.to_owned())), None, answers).unwrap()
}

/// Fields that describe `GET path` of a caller at 203.0.113.7.
pub fn described(world: &World, path: &str) -> Vec<(String, String)> {
    [
        ("countersign-proxy-secret", SECRET),
        ("x-forwarded-method", "GET"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-uri", path),
        ("x-forwarded-host", &format!("localhost:{}", world.port())),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn with(
    mut fields: Vec<(String, String)>,
    name: &str,
    value: Option<&str>,
) -> Vec<(String, String)> {
    fields.retain(|(known, _)| known != name);
    fields.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    fields
}

pub async fn ask(world: &World, fields: &[(String, String)]) -> ClientResponse {
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    world.get(PATH, &fields).await
}

fn field(answer: &ClientResponse, name: &str) -> Option<String> {
    let mut values = answer.headers.get_all(name).iter();
    let value = values
        .next()
        .map(|value| value.to_str().unwrap().to_owned());
    assert!(values.next().is_none(), "{name} stands there once");
    value
}

#[tokio::test]
async fn a_request_that_is_permitted_is_answered_with_who_it_is() {
    let world = World::start();
    world.trust(vec![proxy(Answers::Exact)]);
    let bearer = world.bearer(|_| {});
    let fields = with(
        described(&world, "/things/a?b=c"),
        "authorization",
        Some(&bearer),
    );
    let answer = ask(&world, &fields).await;
    assert_eq!(answer.status, StatusCode::OK);
    for (name, value) in [
        ("countersign-subject", ALICE),
        ("countersign-client", "portal"),
        ("countersign-tenant", "demo"),
        ("countersign-scopes", "orders.read orders.write"),
    ] {
        assert_eq!(field(&answer, name).as_deref(), Some(value));
    }
    let decision = field(&answer, "countersign-decision").unwrap();
    let request = field(&answer, "countersign-request-id").unwrap();
    assert!(world.upstream.take().is_empty(), "nothing was passed on");
    let log = world.log_text().await;
    World::assert_logged(&log, &decision);
    World::assert_logged(&log, &request);
    World::assert_logged(&log, "\"outcome\"");
}

#[tokio::test]
async fn refusals_are_those_of_the_front_door() {
    let world = World::start();
    world.trust(vec![proxy(Answers::Exact)]);
    let alice = world.bearer(|_| {});
    let bob = world.bearer(|claims| claims["sub"] = BOB.into());
    let under = world.bearer(|claims| claims["scope"] = "other".into());
    let expired =
        world.bearer(|claims| claims["exp"] = (claims["iat"].as_i64().unwrap() - 100).into());
    let order = format!("/regions/eu/customers/{ALICE}/orders/1");
    for (path, credential) in [
        ("/things/a", None),
        ("/things/a", Some(&alice)),
        ("/things/a", Some(&under)),
        ("/things/a", Some(&expired)),
        (order.as_str(), Some(&alice)),
        (order.as_str(), Some(&bob)),
        ("/nowhere", Some(&alice)),
        ("/things/a%2fb", Some(&alice)),
        ("/things//a", Some(&alice)),
    ] {
        let fields = with(
            described(&world, path),
            "authorization",
            credential.map(String::as_str),
        );
        let asked = ask(&world, &fields).await;
        let credential: Vec<(&str, &str)> = credential
            .iter()
            .map(|credential| ("authorization", credential.as_str()))
            .collect();
        let direct = world.get(path, &credential).await;
        assert_eq!(asked.status, direct.status, "{path}");
        if !direct.status.is_success() {
            assert_eq!(
                asked.headers.get("www-authenticate"),
                direct.headers.get("www-authenticate"),
                "{path}"
            );
            assert_eq!(field(&asked, "countersign-subject"), None, "{path}");
        }
        world.upstream.take();
    }
}

#[tokio::test]
async fn nginx_is_told_401_or_403() {
    let world = World::start();
    world.trust(vec![proxy(Answers::Subrequest)]);
    let bearer = world.bearer(|_| {});
    for (path, credential, status) in [
        ("/things/a", Some(bearer.as_str()), 200),
        ("/things/a", None, 401),
        ("/nowhere", Some(bearer.as_str()), 403),
        ("/things//a", Some(bearer.as_str()), 403),
    ] {
        let fields = with(described(&world, path), "authorization", credential);
        assert_eq!(ask(&world, &fields).await.status.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn strangers_describe_nothing() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = with(
        described(&world, "/things/a"),
        "authorization",
        Some(&bearer),
    );
    // Without a proxy the path is one that no route has.
    assert_eq!(ask(&world, &fields).await.status, StatusCode::NOT_FOUND);
    world.trust(vec![proxy(Answers::Exact)]);
    for secret in [None, Some("0123456789abcdef0123456789abcdeX"), Some("")] {
        let fields = with(fields.clone(), "countersign-proxy-secret", secret);
        let answer = ask(&world, &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{secret:?}");
        assert_eq!(field(&answer, "countersign-subject"), None);
    }
    let mut twice = fields.clone();
    twice.push(("countersign-proxy-secret".to_owned(), SECRET.to_owned()));
    assert_eq!(ask(&world, &twice).await.status, StatusCode::FORBIDDEN);
    assert_eq!(ask(&world, &fields).await.status, StatusCode::OK);
    World::assert_logged(&world.log_text().await, "proxy_untrusted");
    assert!(TrustedProxy::new(None, None, Answers::Exact).is_none());
    let short = Secret::new("x".repeat(31));
    assert!(TrustedProxy::new(Some(&short), None, Answers::Exact).is_none());
}

#[tokio::test]
async fn a_proxy_is_known_by_its_certificate_too() {
    let world = World::start();
    let (identity, thumbprint) = world.proxy_certificate();
    let (other, _) = world.proxy_certificate();
    let pinned = TrustedProxy::new(None, Some(thumbprint), Answers::Exact).unwrap();
    world.trust(vec![pinned]);
    let bearer = world.bearer(|_| {});
    let fields = with(
        described(&world, "/things/a"),
        "authorization",
        Some(&bearer),
    );
    let fields = with(fields, "countersign-proxy-secret", None);
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    for (identity, status) in [(Some(&identity), 200), (Some(&other), 403), (None, 403)] {
        let client = world.client(identity);
        let answer = world
            .send(&client, Method::GET, PATH, &fields, Bytes::new())
            .await;
        assert_eq!(answer.status.as_u16(), status);
    }
}

#[tokio::test]
async fn g21_a_description_is_one_and_whole() {
    let world = World::start();
    world.trust(vec![proxy(Answers::Exact)]);
    let bearer = world.bearer(|_| {});
    let good = with(
        described(&world, "/things/a"),
        "authorization",
        Some(&bearer),
    );
    for name in [
        "x-forwarded-method",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-uri",
        "x-forwarded-for",
    ] {
        let value = good
            .iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1
            .clone();
        let missing = with(good.clone(), name, None);
        let empty = with(good.clone(), name, Some(""));
        let mut twice = good.clone();
        twice.push((name.to_owned(), value));
        for bad in [missing, empty, twice] {
            assert_eq!(
                ask(&world, &bad).await.status,
                StatusCode::BAD_REQUEST,
                "{name}"
            );
        }
    }
    for (name, value) in [
        ("x-forwarded-proto", "http"),
        ("x-forwarded-method", "GE T"),
        ("x-forwarded-method", "CONNECT"),
        ("x-forwarded-uri", "things/a"),
        ("x-forwarded-uri", "https://localhost/things/a"),
        ("x-forwarded-uri", "//evil.example/things/a"),
        ("x-forwarded-uri", "/things/a#b"),
        ("x-forwarded-uri", "/things/a%0d%0aX: y"),
        ("x-forwarded-host", "localhost, evil.example"),
        ("x-forwarded-for", "unknown"),
        ("x-forwarded-for", "203.0.113.7, "),
    ] {
        let bad = with(good.clone(), name, Some(value));
        assert_eq!(
            ask(&world, &bad).await.status,
            StatusCode::BAD_REQUEST,
            "{name}: {value}"
        );
    }
}

#[tokio::test]
async fn g21_what_the_caller_says_it_is_does_not_come_back() {
    let world = World::start();
    world.trust(vec![proxy(Answers::Exact)]);
    let bearer = world.bearer(|_| {});
    let good = with(
        described(&world, "/things/a"),
        "authorization",
        Some(&bearer),
    );
    let elsewhere = with(good.clone(), "x-forwarded-host", Some("evil.example"));
    assert_eq!(ask(&world, &elsewhere).await.status, StatusCode::NOT_FOUND);
    // What the caller itself sent under our names could stay in the proxy's copy: the request goes no further.
    for name in [
        "countersign-subject",
        "countersign-client",
        "countersign-tenant",
        "countersign-scopes",
        "countersign-request-id",
        "countersign-decision",
        "countersign-anything",
    ] {
        for value in ["evil", ""] {
            let spoofed = with(good.clone(), name, Some(value));
            let answer = ask(&world, &spoofed).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}");
            assert_eq!(field(&answer, "countersign-subject"), None, "{name}");
        }
    }
    let respelled = with(good.clone(), "Countersign_Subject", Some("evil"));
    let answer = ask(&world, &respelled).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let passed = with(good.clone(), "x-forwarded-user", Some("evil"));
    for fields in [good, passed] {
        let answer = ask(&world, &fields).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(
            field(&answer, "countersign-subject").as_deref(),
            Some(ALICE)
        );
        assert!(answer.headers.values().all(|value| value != "evil"));
    }
    World::assert_logged(&world.log_text().await, "forward_field");
}

#[tokio::test]
async fn g21_a_held_request_names_no_other_request() {
    let world = World::start();
    world.trust(vec![proxy(Answers::Exact)]);
    let bearer = world.bearer(|_| {});
    let good = with(
        described(&world, "/things/a"),
        "authorization",
        Some(&bearer),
    );
    for name in [
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-original-uri",
        "x-original-method",
        "x-rewrite-url",
        "X_Rewrite_Url",
    ] {
        let other = with(good.clone(), name, Some("DELETE"));
        assert_eq!(
            ask(&world, &other).await.status,
            StatusCode::BAD_REQUEST,
            "{name}"
        );
    }
    let ordinary = with(good, "x-method", Some("DELETE"));
    assert_eq!(ask(&world, &ordinary).await.status, StatusCode::OK);
}

#[tokio::test]
async fn g22_an_anonymous_request_does_not_say_who_it_is() {
    let world = World::start();
    world.trust(vec![proxy(Answers::Exact)]);
    let fields = described(&world, "/open/a");
    let spoofed = with(fields.clone(), "countersign-subject", Some(ALICE));
    // Its answer would be empty here, and a proxy that skips empty values would leave the caller's.
    let answer = ask(&world, &spoofed).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let answer = ask(&world, &fields).await;
    assert_eq!(answer.status, StatusCode::OK);
    for name in [
        "countersign-subject",
        "countersign-client",
        "countersign-scopes",
    ] {
        assert_eq!(field(&answer, name).as_deref(), Some(""), "{name}");
    }
    assert_eq!(
        field(&answer, "countersign-tenant").as_deref(),
        Some("demo")
    );
}

#[tokio::test]
async fn a_proof_is_for_the_request_that_the_proxy_holds() {
    let world = World::start();
    world.trust(vec![proxy(Answers::Exact)]);
    let holder = Holder::new();
    let token = holder.token(&world, |_| {});
    let ask_with = async |path: &str| {
        let proof = holder.proof(&world, path, &token, |_| {});
        let mut fields = described(&world, "/things/a");
        fields.push(("authorization".to_owned(), format!("DPoP {token}")));
        fields.push(("dpop".to_owned(), proof));
        let first = ask(&world, &fields).await.status;
        (first, ask(&world, &fields).await.status)
    };
    let (first, again) = ask_with("/things/a").await;
    assert_eq!(
        (first, again),
        (StatusCode::OK, StatusCode::UNAUTHORIZED),
        "once"
    );
    let (other, _) = ask_with("/things/b").await;
    assert_eq!(
        other,
        StatusCode::UNAUTHORIZED,
        "a proof for another request"
    );
    let (door, _) = ask_with(PATH).await;
    assert_eq!(
        door,
        StatusCode::UNAUTHORIZED,
        "a proof for the question itself"
    );
}
