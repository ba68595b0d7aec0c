use super::context::Context;
use super::*;
use countersign_testkit::FakeCollector;
use http::{HeaderValue, StatusCode};

/// `ExportTraceServiceRequest` as opentelemetry-proto 0.33.1 with prost 0.14.4 encodes the span of [`finished`].
const VECTOR: &str = "0aae030a3b0a1d0a0c736572766963652e6e616d65120d0a0b636f756e7465727369676e0a1a0a0f736572766963652e76657273696f6e12070a0531\
    2e322e3312ee020a140a0b636f756e7465727369676e1205312e322e3312d5020a100101010101010101010101010101010112080202020202020202\
    220803030303030303032a0e67617465776179206f726465727330023900002a36fe9c97174180b21045fe9c97174a1c0a13687474702e7265717565\
    73742e6d6574686f6412050a034745544a1d0a11636f756e7465727369676e2e726f75746512080a066f72646572734a1f0a12636f756e7465727369\
    676e2e74656e616e7412090a0764656661756c744a210a14636f756e7465727369676e2e6465636973696f6e12090a07616c6c6f7765644a3a0a1463\
    6f756e7465727369676e2e6576656e745f696412220a2030353035303530353035303530353035303530353035303530353035303530354a200a0a65\
    72726f722e7479706512120a10757073747265616d5f74696d656f75744a200a19687474702e726573706f6e73652e7374617475735f636f64651203\
    18f6037a021802850101030000";

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn finished() -> Finished {
    let parent = "00-01010101010101010101010101010101-0303030303030303-01";
    let parent = Parent::of(&headers(&[("traceparent", parent)]));
    let random = Random::from_fn(|bytes| bytes.fill(2));
    Finished {
        context: Context::begin(parent, SampleRatio::ALL, &random),
        surface: Surface::Gateway,
        method: known_method(&Method::GET),
        started: UnixMillis(1_700_000_000_000),
        took: Duration::from_millis(250),
        route: Some(SpanRoute::Configured("orders".parse().unwrap())),
        tenant: Some(Tenant::default_tenant()),
        decision: Some(Verdict::Allowed),
        event: Some(EventId::from_bytes([5; 16])),
        status: Some(502),
        error: Some("upstream_timeout"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_span_has_the_bytes_that_the_protocols_own_crates_give_it() {
    let resource = otlp::Resource {
        service: "countersign".to_owned(),
        version: "1.2.3",
    };
    assert_eq!(hex(&otlp::request(&resource, &[finished()])), VECTOR);
}

fn clock() -> Clock {
    Clock::from_fn(|| UnixMillis(1_700_000_000_000))
}

/// Traces whose queue the test holds.
fn queued(
    incoming: Incoming,
    sample: SampleRatio,
    room: usize,
) -> (Traces, mpsc::Receiver<Finished>, Metrics) {
    let (queue, finished) = mpsc::channel(room);
    let metrics = Metrics::new();
    let sink = Sink {
        queue,
        metrics: metrics.clone(),
    };
    let on = On {
        sink,
        sample,
        clock: clock(),
        random: Random::system(),
        exporter: None,
    };
    let traces = Traces {
        incoming,
        on: Some(on),
    };
    (traces, finished, metrics)
}

fn begin(traces: &Traces, headers: &HeaderMap) -> Option<Box<Span>> {
    traces.begin(Surface::Gateway, &Method::GET, headers)
}

fn counted(metrics: &Metrics, outcome: &str) -> Option<u64> {
    let line = format!("countersign_spans_total{{outcome=\"{outcome}\"}} ");
    let text = metrics.render();
    let count = text.lines().find_map(|found| found.strip_prefix(&line))?;
    count.parse().ok()
}

/// What an upstream gets of `sent`.
fn onward(traces: &Traces, span: Option<&Span>, sent: &HeaderMap) -> HeaderMap {
    let mut headers = sent.clone();
    traces.onward(span).write(&mut headers);
    headers
}

#[test]
fn off_means_no_span_and_no_word_of_callers() {
    let sent = headers(&[
        ("traceparent", TRACEPARENT),
        ("tracestate", "a=b"),
        ("accept", "*/*"),
    ]);
    let off = Traces::off(Incoming::Removed);
    assert!(begin(&off, &sent).is_none());
    assert_eq!(onward(&off, None, &sent), headers(&[("accept", "*/*")]));
    let trusting = Traces::off(Incoming::Trusted);
    assert!(begin(&trusting, &sent).is_none());
    assert_eq!(onward(&trusting, None, &sent), sent);
}

#[test]
fn callers_name_their_trace_only_where_they_are_trusted() {
    let sent = headers(&[("traceparent", TRACEPARENT), ("tracestate", "a=b")]);
    let (traces, mut queue, _) = queued(Incoming::Removed, SampleRatio::ALL, 1);
    let span = begin(&traces, &sent).unwrap();
    let fields = onward(&traces, Some(&span), &sent);
    let ours = fields.get("traceparent").unwrap().to_str().unwrap();
    assert!(!ours.contains("0af7651916cd43dd8448eb211c80319c"), "{ours}");
    assert!(!fields.contains_key("tracestate"));
    drop(span);
    let ended = queue.try_recv().unwrap();
    assert_eq!(
        ours,
        format!(
            "00-{}-{}-01",
            hex(&ended.context.trace),
            hex(&ended.context.span)
        )
    );
    assert_eq!(ended.context.parent, None);

    let (traces, mut queue, _) = queued(Incoming::Trusted, SampleRatio::ALL, 1);
    let span = begin(&traces, &sent).unwrap();
    let fields = onward(&traces, Some(&span), &sent);
    let ours = fields.get("traceparent").unwrap().to_str().unwrap();
    assert!(ours.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
    assert!(!ours.contains("b7ad6b7169203331"), "{ours}");
    assert_eq!(fields.get("tracestate").unwrap(), "a=b");
    drop(span);
    let ended = queue.try_recv().unwrap();
    assert_eq!(hex(&ended.context.parent.unwrap()), "b7ad6b7169203331");
}

#[test]
fn only_a_well_formed_traceparent_counts() {
    let good = [
        TRACEPARENT,
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
    ];
    for value in good {
        assert!(Parent::of(&headers(&[("traceparent", value)])).is_some());
    }
    let bad = [
        "",
        "00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01",
    ];
    for value in bad {
        assert!(
            Parent::of(&headers(&[("traceparent", value)])).is_none(),
            "{value}"
        );
    }
    let twice = [("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)];
    assert!(Parent::of(&headers(&twice)).is_none());
}

#[test]
fn a_trace_that_is_not_sampled_is_passed_on_and_not_sent() {
    let none = SampleRatio::new(0.0).unwrap();
    let (traces, mut queue, metrics) = queued(Incoming::Removed, none, 1);
    let span = begin(&traces, &HeaderMap::new()).unwrap();
    let fields = onward(&traces, Some(&span), &HeaderMap::new());
    let value = fields.get("traceparent").unwrap().to_str().unwrap();
    assert!(value.ends_with("-00"), "{value}");
    drop(span);
    assert!(queue.try_recv().is_err());
    assert_eq!(counted(&metrics, "dropped"), None);

    // A trusted parent decides in place of the ratio.
    let (traces, mut queue, _) = queued(Incoming::Trusted, none, 1);
    drop(begin(&traces, &headers(&[("traceparent", TRACEPARENT)])));
    assert!(queue.try_recv().is_ok());
}

#[test]
fn a_share_is_a_number_from_0_to_1() {
    for share in [0.0, 0.25, 1.0] {
        assert!(SampleRatio::new(share).is_some(), "{share}");
    }
    for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(SampleRatio::new(share).is_none(), "{share}");
    }
    let (half, mut bytes) = (SampleRatio::new(0.5).unwrap(), 0_u64);
    let random = Random::from_fn(move |buffer| buffer.fill(9));
    let context = Context::begin(None, half, &random);
    assert_eq!(context.trace, [9; 16]);
    let (traces, mut queue, _) = queued(Incoming::Removed, half, 1_000);
    for _ in 0..1_000 {
        drop(begin(&traces, &HeaderMap::new()));
    }
    while queue.try_recv().is_ok() {
        bytes += 1;
    }
    // Ten standard deviations around the mean.
    assert!((342..=658).contains(&bytes), "{bytes} of 1000");
}

#[test]
fn a_full_queue_drops_and_counts() {
    let (traces, mut queue, metrics) = queued(Incoming::Removed, SampleRatio::ALL, 2);
    for _ in 0..2 {
        drop(begin(&traces, &HeaderMap::new()));
    }
    assert_eq!(counted(&metrics, "dropped"), None);
    for _ in 0..3 {
        drop(begin(&traces, &HeaderMap::new()));
    }
    assert_eq!(counted(&metrics, "dropped"), Some(3));
    assert!(queue.try_recv().is_ok() && queue.try_recv().is_ok());
    assert!(queue.try_recv().is_err(), "two were kept");
    drop(begin(&traces, &HeaderMap::new()));
    assert_eq!(counted(&metrics, "dropped"), Some(3), "there is room again");
}

#[test]
fn a_method_that_nobody_knows_is_not_repeated() {
    assert_eq!(known_method(&Method::PATCH), "PATCH");
    let unknown = Method::from_bytes(b"ALICE").unwrap();
    assert_eq!(known_method(&unknown), "_OTHER");
}

fn started(collector: &FakeCollector) -> (Traces, Metrics) {
    let authority = countersign_testkit::TestAuthority::new(clock().now());
    let options = TraceOptions {
        incoming: Incoming::Removed,
        export: Some(ExportOptions {
            collector: collector.url().clone(),
            ca: None,
            service: "countersign".to_owned(),
            sample: SampleRatio::ALL,
        }),
    };
    let metrics = Metrics::new();
    let traces = Traces::start(
        options,
        authority.certificate_pem(),
        clock(),
        Random::system(),
        metrics.clone(),
    );
    (traces.unwrap(), metrics)
}

#[tokio::test]
async fn spans_reach_the_collector_and_failures_are_counted() {
    for (status, outcome, other) in [
        (StatusCode::OK, "exported", "failed"),
        (StatusCode::SERVICE_UNAVAILABLE, "failed", "exported"),
    ] {
        let collector = FakeCollector::start(status);
        let (traces, metrics) = started(&collector);
        // More than one batch holds.
        for _ in 0..600 {
            drop(begin(&traces, &HeaderMap::new()));
        }
        traces.stop().await;
        assert_eq!(counted(&metrics, outcome), Some(600), "{status}");
        assert_eq!(counted(&metrics, other), None, "{status}");
        let spans = collector.spans();
        assert_eq!((spans.len(), collector.bodies().len()), (600, 2));
        let span = spans.first().unwrap();
        assert_eq!(span.name, "gateway");
        assert_eq!(span.attributes.len(), 1, "{span:?}");
        assert_eq!(span.attributes.get("http.request.method").unwrap(), "GET");
        // Ids, name, kind, two times, one attribute, flags.
        assert_eq!(span.fields, [1, 2, 5, 6, 7, 8, 9, 16]);
        drop(begin(&traces, &HeaderMap::new()));
        assert_eq!(counted(&metrics, "dropped"), Some(1), "it has ended");
    }
}
