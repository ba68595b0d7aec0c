//! Spans as bytes: `ExportTraceServiceRequest` of opentelemetry-proto 1 in the protobuf wire format, the few fields of it that we fill.
//!
//! Written out because the message is small and fixed, while the crates that hold it bring the whole SDK; a vector made with those crates
//! holds the bytes in a test.

use super::Finished;
use countersign_audit::event::Verdict;

/// The instrumentation scope: what made the spans.
const SCOPE: &str = "countersign";
/// `SpanKind.SPAN_KIND_SERVER`.
const KIND_SERVER: u64 = 2;
/// `Status.STATUS_CODE_ERROR`.
const STATUS_ERROR: u64 = 2;
/// `SpanFlags`: sampled, and whether the parent is remote is known; it is.
const FLAGS: u32 = 0x101;
const FLAG_REMOTE_PARENT: u32 = 0x200;

/// Who sends spans.
pub(super) struct Resource {
    pub(super) service: String,
    pub(super) version: &'static str,
}

/// The body of one export.
pub(super) fn request(resource: &Resource, spans: &[Finished]) -> Vec<u8> {
    let mut about = Message::default();
    about.message(1, &attribute("service.name", &resource.service));
    about.message(1, &attribute("service.version", resource.version));
    let mut scope = Message::default();
    scope.text(1, SCOPE);
    scope.text(2, resource.version);
    let mut scoped = Message::default();
    scoped.message(1, &scope);
    for finished in spans {
        scoped.message(2, &span(finished));
    }
    let mut of_resource = Message::default();
    of_resource.message(1, &about);
    of_resource.message(2, &scoped);
    let mut request = Message::default();
    request.message(1, &of_resource);
    request.0
}

fn span(finished: &Finished) -> Message {
    let began = u64::try_from(finished.started.0).unwrap_or(0);
    let began = began.saturating_mul(1_000_000);
    let took = u64::try_from(finished.took.as_nanos()).unwrap_or(u64::MAX);
    let mut span = Message::default();
    span.bytes(1, &finished.context.trace);
    span.bytes(2, &finished.context.span);
    if let Some(parent) = &finished.context.parent {
        span.bytes(4, parent);
    }
    span.text(5, &name(finished));
    span.number(6, KIND_SERVER);
    span.fixed64(7, began);
    span.fixed64(8, began.saturating_add(took));
    attributes(&mut span, finished);
    if finished.status.is_some_and(|status| status >= 500) {
        let mut status = Message::default();
        status.number(3, STATUS_ERROR);
        span.message(15, &status);
    }
    let remote = match finished.context.parent {
        Some(_) => FLAG_REMOTE_PARENT,
        None => 0,
    };
    span.fixed32(16, FLAGS | remote);
    span
}

fn name(finished: &Finished) -> String {
    let surface = finished.surface.as_str();
    match &finished.route {
        Some(route) => format!("{surface} {}", route.as_str()),
        None => surface.to_owned(),
    }
}

/// Everything that a span may say. A new line here is a new thing that leaves the process.
fn attributes(span: &mut Message, finished: &Finished) {
    let mut put = |key, value: &str| span.message(9, &attribute(key, value));
    put("http.request.method", finished.method);
    if let Some(route) = &finished.route {
        put("countersign.route", route.as_str());
    }
    if let Some(tenant) = &finished.tenant {
        put("countersign.tenant", tenant.as_str());
    }
    if let Some(decision) = finished.decision {
        put(
            "countersign.decision",
            match decision {
                Verdict::Allowed => "allowed",
                Verdict::Denied => "denied",
            },
        );
    }
    if let Some(event) = finished.event {
        put("countersign.event_id", &event.to_string());
    }
    if let Some(error) = finished.error {
        put("error.type", error);
    }
    if let Some(status) = finished.status {
        let mut value = Message::default();
        value.number(3, u64::from(status));
        span.message(9, &key_value("http.response.status_code", &value));
    }
}

fn attribute(key: &str, text: &str) -> Message {
    let mut value = Message::default();
    value.text(1, text);
    key_value(key, &value)
}

fn key_value(key: &str, value: &Message) -> Message {
    let mut pair = Message::default();
    pair.text(1, key);
    pair.message(2, value);
    pair
}

/// A protobuf message as it grows. Fields are written in the order of their numbers.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            let [low, ..] = value.to_le_bytes();
            self.0.push(low | 0x80);
            value >>= 7;
        }
        let [low, ..] = value.to_le_bytes();
        self.0.push(low);
    }

    /// The number of a field and its wire type.
    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn fixed64(&mut self, field: u64, value: u64) {
        self.key(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn fixed32(&mut self, field: u64, value: u32) {
        self.key(field, 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }
}
