//! Spans of requests to the authorization server as a collector gets them.

use super::browser::Browser;
use super::flow::redeem;
use super::harness::Server;
use countersign_control::TraceOptions;
use countersign_control::traces::{ExportOptions, Incoming, SampleRatio};
use countersign_testkit::{FakeCollector, ReceivedSpan};
use http::StatusCode;

fn options(collector: &FakeCollector) -> TraceOptions {
    TraceOptions {
        incoming: Incoming::Removed,
        export: Some(ExportOptions {
            collector: collector.url().clone(),
            ca: None,
            service: "countersign".to_owned(),
            sample: SampleRatio::ALL,
        }),
    }
}

fn said(span: &ReceivedSpan) -> Vec<(&str, &str)> {
    let pairs = span.attributes.iter();
    pairs
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

#[tokio::test]
async fn a_span_says_what_is_allowed_and_nothing_else() {
    let collector = FakeCollector::start(StatusCode::OK);
    let server = Server::with_traces(options(&collector)).await;
    let code = Browser::default().code(&server, "").await;
    let reply = server.token(&redeem(&code), None).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let again = server.token(&redeem(&code), None).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST, "{again:?}");
    let nowhere = server.get("/canary-path?q=canary-query").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    let fabric = &server.fabric.fabric;
    fabric.traces().stop().await;
    let metrics = fabric.metrics().render();

    let spans = collector.spans();
    let [.., issued, refused, unknown] = spans.as_slice() else {
        panic!("{spans:?}")
    };
    let (route, tenant) = (
        ("countersign.route", "/token"),
        ("countersign.tenant", "default"),
    );
    let post = ("http.request.method", "POST");
    let status = |code| ("http.response.status_code", code);
    assert_eq!(issued.name, "identity /token");
    assert_eq!(said(issued), [route, tenant, post, status("200")]);
    let error = ("error.type", "code_reused");
    assert_eq!(said(refused), [route, tenant, error, post, status("400")]);
    let (error, get) = (
        ("error.type", "no_such_endpoint"),
        ("http.request.method", "GET"),
    );
    assert_eq!(said(unknown), [error, get, status("404")]);

    let count = format!(
        "countersign_spans_total{{outcome=\"exported\"}} {}",
        spans.len()
    );
    assert!(metrics.contains(&count), "{metrics}");
    let sent: Vec<u8> = collector.bodies().concat();
    let sent = String::from_utf8_lossy(&sent);
    for canary in ["canary", "alice", "portal", code.as_str()] {
        assert!(!sent.contains(canary), "{canary}");
    }
}

#[tokio::test]
async fn off_by_default_there_are_no_spans() {
    let server = Server::start().await;
    assert_eq!(
        server.get("/.well-known/jwks.json").await.status,
        StatusCode::OK
    );
    let fabric = &server.fabric.fabric;
    fabric.traces().stop().await;
    assert!(
        !fabric
            .metrics()
            .render()
            .contains("countersign_spans_total")
    );
}
