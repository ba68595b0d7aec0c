//! Spans of requests as a collector gets them, and what upstreams hear of the trace.

use crate::world::{ALICE, Setup, World};
use countersign_control::TraceOptions;
use countersign_control::traces::{ExportOptions, Incoming, SampleRatio};
use countersign_testkit::{FakeCollector, ReceivedSpan};
use http::StatusCode;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn traced(collector: &FakeCollector, incoming: Incoming) -> World {
    let export = ExportOptions {
        collector: collector.url().clone(),
        ca: None,
        service: "countersign".to_owned(),
        sample: SampleRatio::ALL,
    };
    World::with(Setup {
        traces: TraceOptions {
            incoming,
            export: Some(export),
        },
        ..Setup::default()
    })
}

/// Keys and values, the id of the event left out; whether there was one.
fn said(span: &ReceivedSpan) -> (Vec<(&str, &str)>, bool) {
    let pairs = span.attributes.iter();
    let said = pairs
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|(key, _)| *key != "countersign.event_id")
        .collect();
    (said, span.attributes.contains_key("countersign.event_id"))
}

#[tokio::test]
async fn a_span_says_what_is_allowed_and_nothing_else() {
    let collector = FakeCollector::start(StatusCode::OK);
    let world = traced(&collector, Incoming::Removed);
    let bearer = world.bearer(|_| {});
    let fields = [
        ("authorization", bearer.as_str()),
        ("traceparent", TRACEPARENT),
        ("tracestate", "canary=1"),
        ("connection", "traceparent"),
    ];
    let passed = world
        .get("/things/canary-path?q=canary-query", &fields)
        .await;
    assert_eq!(passed.status, StatusCode::OK);
    let seen = world.upstream.take_one();
    assert_eq!(
        world.get("/things/a", &[]).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        world.get("/gone/a", &fields).await.status,
        StatusCode::BAD_GATEWAY
    );
    assert_eq!(
        world.get("/canary-nowhere", &fields).await.status,
        StatusCode::NOT_FOUND
    );
    world.planes.traces.stop().await;

    let spans = collector.spans();
    assert_eq!(spans.len(), 4, "{spans:?}");
    assert_attributes(&spans);
    let passed = &spans[0];
    assert_eq!(passed.name, "gateway things");

    // The upstream's trace is ours, whatever the caller said, and the record of the decision is the one that the span names.
    let told = seen.headers.get("traceparent").unwrap().to_str().unwrap();
    assert_eq!(told, format!("00-{}-{}-01", passed.trace, passed.id));
    assert!(!seen.headers.contains_key("tracestate"));
    assert_eq!(passed.parent, None);
    assert_eq!(
        passed.attributes.get("countersign.event_id").unwrap(),
        seen.headers
            .get("countersign-decision")
            .unwrap()
            .to_str()
            .unwrap()
    );

    let sent: Vec<u8> = collector.bodies().concat();
    let sent = String::from_utf8_lossy(&sent);
    for canary in ["canary", ALICE, "portal", "orders.read", "127.0.0.1"] {
        assert!(!sent.contains(canary), "{canary}");
    }
    world.stop().await;
}

/// Passed on, without a credential, with an upstream that is gone, without a route.
fn assert_attributes(spans: &[ReceivedSpan]) {
    let route = |name| ("countersign.route", name);
    let tenant = ("countersign.tenant", "demo");
    let (allowed, denied) = (
        ("countersign.decision", "allowed"),
        ("countersign.decision", "denied"),
    );
    let get = ("http.request.method", "GET");
    let status = |code| ("http.response.status_code", code);
    assert_eq!(
        said(&spans[0]),
        (
            vec![allowed, route("things"), tenant, get, status("200")],
            true
        )
    );
    assert_eq!(
        said(&spans[1]),
        (
            vec![
                denied,
                route("things"),
                tenant,
                ("error.type", "no_credential"),
                get,
                status("401")
            ],
            false
        )
    );
    assert_eq!(
        said(&spans[2]),
        (
            vec![
                allowed,
                route("gone"),
                tenant,
                ("error.type", "upstream_connect"),
                get,
                status("502")
            ],
            true
        )
    );
    assert_eq!(
        said(&spans[3]),
        (
            vec![denied, ("error.type", "no_route_path"), get, status("404")],
            false
        )
    );
}

#[tokio::test]
async fn a_trusted_caller_names_its_trace() {
    let collector = FakeCollector::start(StatusCode::OK);
    let world = traced(&collector, Incoming::Trusted);
    let bearer = world.bearer(|_| {});
    let fields = [
        ("authorization", bearer.as_str()),
        ("traceparent", TRACEPARENT),
        ("tracestate", "a=b"),
    ];
    assert_eq!(world.get("/things/a", &fields).await.status, StatusCode::OK);
    let seen = world.upstream.take_one();
    world.planes.traces.stop().await;
    let spans = collector.spans();
    let [span] = spans.as_slice() else {
        panic!("{spans:?}")
    };
    assert_eq!(span.trace, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span.parent.as_deref(), Some("b7ad6b7169203331"));
    assert_eq!(
        seen.headers.get("traceparent").unwrap(),
        &format!("00-{}-{}-01", span.trace, span.id)
    );
    assert_eq!(seen.headers.get("tracestate").unwrap(), "a=b");
    world.stop().await;
}

#[tokio::test]
async fn off_by_default_nobody_hears_of_a_trace() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [
        ("authorization", bearer.as_str()),
        ("traceparent", TRACEPARENT),
        ("tracestate", "a=b"),
    ];
    assert_eq!(world.get("/things/a", &fields).await.status, StatusCode::OK);
    let seen = world.upstream.take_one();
    assert!(!seen.headers.contains_key("traceparent"));
    assert!(!seen.headers.contains_key("tracestate"));
    world.stop().await;
}
