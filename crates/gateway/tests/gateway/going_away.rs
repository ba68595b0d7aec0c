//! Upstreams of HTTP/2 that refuse a stream, or go away, in raw frames (RFC 9113 §4): what they never looked at is sent again whatever it is, everything else only if that changes nothing.

use crate::world::World;
use bytes::Bytes;
use countersign_gateway::upstream::{RetrySpec, UpstreamTransport};
use countersign_gateway::{Endpoint, UpstreamSpec};
use http::{Method, StatusCode};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;

/// What it does with the first request; all others are answered with 200.
#[derive(Debug, Clone, Copy)]
enum First {
    /// Resets its stream with this code; the connection goes on.
    Reset(u32),
    /// Goes away with this code, having looked at no stream.
    Unseen(u32),
    /// Goes away without an error, having looked at the stream, and closes the connection.
    Seen,
    /// Goes away without an error, and answers it before it closes the connection.
    SeenAndAnswered,
}

struct Leaving {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Leaving {
    async fn start(first: First) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let requests = Arc::clone(&counted);
                // Its end is the peer's to meet.
                tokio::spawn(async move { serve(stream, first, &requests).await.ok() });
            }
        });
        Self { address, requests }
    }

    fn spec(&self, attempts: u32) -> UpstreamSpec {
        let endpoint = Endpoint {
            authority: self.address.to_string().parse().unwrap(),
            host: self.address.ip().to_string(),
            port: self.address.port(),
            transport: UpstreamTransport::PlaintextHttp2,
        };
        let mut spec = UpstreamSpec::of("leaving".parse().unwrap(), vec![endpoint]);
        spec.retries = RetrySpec {
            attempts,
            budget_percent: 100,
            wait: Duration::from_millis(1),
            hedge: None,
        };
        spec
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn goaway(last: u32, code: u32) -> Vec<u8> {
    let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
    frame(GOAWAY, 0, 0, &payload)
}

/// 200 without a body: the eighth entry of the static table (RFC 7541 §A).
fn answer(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &[0x88])
}

async fn serve(
    mut stream: TcpStream,
    first: First,
    requests: &AtomicUsize,
) -> Result<(), std::io::Error> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).await?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        let (kind, flags) = (head[3], head[4]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if kind == SETTINGS && flags & ACK == 0 {
            stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await?;
        }
        if !matches!(kind, DATA | HEADERS) || flags & END_STREAM == 0 {
            continue;
        }
        if requests.fetch_add(1, Ordering::SeqCst) > 0 {
            stream.write_all(&answer(id)).await?;
            continue;
        }
        let said = match first {
            First::Reset(code) => {
                let reset = frame(RST_STREAM, 0, id, &code.to_be_bytes());
                stream.write_all(&reset).await?;
                continue;
            }
            First::Unseen(code) => goaway(0, code),
            First::Seen => goaway(id, NO_ERROR),
            First::SeenAndAnswered => [goaway(id, NO_ERROR), answer(id)].concat(),
        };
        stream.write_all(&said).await?;
        stream.shutdown().await?;
        // Until the peer ends it, so that nothing on the way is lost to a reset.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        return Ok(());
    }
}

/// The status that a caller is told, and how many requests the upstream saw.
async fn told(first: First, method: &Method, attempts: u32) -> (StatusCode, usize) {
    let (world, upstream) = (World::start(), Leaving::start(first).await);
    world.reach(upstream.spec(attempts), |_| {});
    let bearer = world.bearer(|_| {});
    let body = match *method {
        Method::POST => Bytes::from_static(b"an order"),
        _ => Bytes::new(),
    };
    let client = world.client(None);
    let fields = [("authorization", bearer.as_str())];
    let answer = world
        .send(&client, method.clone(), "/r/a", &fields, body)
        .await;
    (answer.status, upstream.requests.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_stream_that_was_not_looked_at_is_sent_again_whatever_it_is() {
    for first in [First::Reset(REFUSED_STREAM), First::Unseen(NO_ERROR)] {
        for method in [Method::GET, Method::POST] {
            let (status, requests) = told(first, &method, 2).await;
            assert_eq!(
                (status, requests),
                (StatusCode::OK, 2),
                "{first:?} {method}"
            );
            // Where configuration wants one attempt, it is one.
            let (status, requests) = told(first, &method, 1).await;
            assert_eq!(
                (status, requests),
                (StatusCode::BAD_GATEWAY, 1),
                "{first:?} {method}"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_that_may_have_been_processed_is_sent_again_only_if_that_changes_nothing() {
    for first in [
        First::Reset(CANCEL),
        First::Reset(INTERNAL_ERROR),
        First::Seen,
        First::Unseen(INTERNAL_ERROR),
    ] {
        let (status, requests) = told(first, &Method::POST, 2).await;
        assert_eq!(
            (status, requests),
            (StatusCode::BAD_GATEWAY, 1),
            "{first:?}"
        );
        let (status, requests) = told(first, &Method::GET, 2).await;
        assert_eq!((status, requests), (StatusCode::OK, 2), "{first:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_goes_away_answers_what_it_looked_at() {
    for method in [Method::GET, Method::POST] {
        let (status, requests) = told(First::SeenAndAnswered, &method, 2).await;
        assert_eq!((status, requests), (StatusCode::OK, 1), "{method}");
    }
}
