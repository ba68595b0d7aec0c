//! A collector of traces on loopback that remembers every span it was sent, read with a protobuf reader that shares nothing with the writer.

use bytes::Bytes;
use countersign_net::{Connection, Drain, DrainTrigger, Limits, Listener, Transport};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// One span as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSpan {
    /// The trace, in hexadecimal digits.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// The id of its parent.
    pub parent: Option<String>,
    /// Its name.
    pub name: String,
    /// Every attribute; numbers as text.
    pub attributes: BTreeMap<String, String>,
    /// The numbers of its fields, in order: nothing hides in a field that nobody looks at.
    pub fields: Vec<u64>,
}

/// The collector. It ends with this.
pub struct FakeCollector {
    url: Url,
    received: Arc<Mutex<Vec<Bytes>>>,
    _trigger: DrainTrigger,
}

impl FakeCollector {
    /// Starts it on the runtime of the test; it answers every export with `status`.
    ///
    /// # Panics
    /// When loopback has no free port.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a test without its setting has nothing to test"
    )]
    pub fn start(status: StatusCode) -> Self {
        let any = ([127, 0, 0, 1], 0).into();
        let listener = Listener::bind(any).expect("a port");
        let url = format!("http://{}", listener.address());
        let (trigger, drain) = Drain::new();
        let received = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&received);
        let make = move |_: &Arc<Connection>| {
            let received = Arc::clone(&remembered);
            service_fn(move |request| take(Arc::clone(&received), status, request))
        };
        tokio::spawn(countersign_net::serve(
            listener,
            Transport::Plaintext,
            Limits::default(),
            make,
            drain,
        ));
        Self {
            url: url.parse().expect("a URL"),
            received,
            _trigger: trigger,
        }
    }

    /// What `otlp` is set to.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The bodies of the exports so far.
    #[must_use]
    pub fn bodies(&self) -> Vec<Bytes> {
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The spans so far.
    ///
    /// # Panics
    /// When what was sent is no export of spans.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a test without its setting has nothing to test"
    )]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.bodies()
            .iter()
            .flat_map(|body| read_spans(body).expect("an export of spans"))
            .collect()
    }
}

async fn take(
    received: Arc<Mutex<Vec<Bytes>>>,
    status: StatusCode,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    let kind = request.headers().get(http::header::CONTENT_TYPE);
    let right = request.uri().path() == "/v1/traces"
        && kind.is_some_and(|kind| kind == "application/x-protobuf");
    *response.status_mut() = if right { status } else { StatusCode::NOT_FOUND };
    if let (true, Ok(body)) = (right, request.into_body().collect().await) {
        received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(body.to_bytes());
    }
    Ok(response)
}

/// `ExportTraceServiceRequest` → `ResourceSpans` (1) → `ScopeSpans` (2) → `Span` (2).
fn read_spans(body: &[u8]) -> Option<Vec<ReceivedSpan>> {
    let mut spans = Vec::new();
    for resource in inner(body, 1)? {
        for scope in inner(resource, 2)? {
            for span in inner(scope, 2)? {
                spans.push(read_span(span)?);
            }
        }
    }
    Some(spans)
}

fn read_span(bytes: &[u8]) -> Option<ReceivedSpan> {
    let text = |number| Some(inner(bytes, number)?.first().copied().unwrap_or_default());
    let mut attributes = BTreeMap::new();
    for pair in inner(bytes, 9)? {
        let key = String::from_utf8(inner(pair, 1)?.first()?.to_vec()).ok()?;
        let value = *inner(pair, 2)?.first()?;
        let (_, value) = fields(value)?.into_iter().next()?;
        let value = match value {
            Value::Number(number) => number.to_string(),
            Value::Bytes(text) => String::from_utf8(text.to_vec()).ok()?,
            Value::Fixed => return None,
        };
        attributes.insert(key, value);
    }
    let parent = text(4)?;
    Some(ReceivedSpan {
        trace: hex(text(1)?),
        id: hex(text(2)?),
        parent: (!parent.is_empty()).then(|| hex(parent)),
        name: String::from_utf8(text(5)?.to_vec()).ok()?,
        attributes,
        fields: fields(bytes)?
            .into_iter()
            .map(|(number, _)| number)
            .collect(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes that no test looks into.
    Fixed,
}

/// What stands under one number of a message.
fn inner(bytes: &[u8], wanted: u64) -> Option<Vec<&[u8]>> {
    let fields = fields(bytes)?.into_iter();
    let found = fields.filter_map(|(number, value)| match value {
        Value::Bytes(bytes) if number == wanted => Some(bytes),
        Value::Bytes(_) | Value::Number(_) | Value::Fixed => None,
    });
    Some(found.collect())
}

/// The fields of a protobuf message.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)?),
            1 => split(&mut bytes, 8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                Value::Bytes(split(&mut bytes, length)?)
            }
            5 => split(&mut bytes, 4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        fields.push((key >> 3, value));
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn split<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}
