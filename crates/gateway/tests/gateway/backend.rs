//! An address of an upstream that does what a test says: answers, fails, breaks off, or lets wait. Plain text on loopback.

use bytes::Bytes;
use countersign_gateway::upstream::UpstreamTransport;
use countersign_gateway::{Endpoint, UpstreamSpec};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What it does with a request.
#[derive(Debug, Clone)]
pub enum Act {
    /// Answers with this status and its number.
    Answer(u16),
    /// Answers with so many bytes.
    Bytes(usize),
    /// Reads the request and closes the connection.
    Break,
    /// Reads every other request and closes the connection, beginning with the first, and answers the rest with this status.
    BreakThen(u16),
    /// Answers with this status, and when to come back.
    Later(u16),
    /// Waits until it is released, then answers with its number.
    Wait,
}

/// See the module. Requests for `/healthz` are counted and answered apart.
pub struct Backend {
    pub address: SocketAddr,
    inner: Arc<Inner>,
    pub release: watch::Sender<bool>,
}

struct Inner {
    act: Mutex<Act>,
    health: Mutex<u16>,
    hits: AtomicUsize,
    checks: AtomicUsize,
    released: watch::Receiver<bool>,
}

impl Backend {
    pub async fn start(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (release, released) = watch::channel(false);
        let inner = Arc::new(Inner {
            act: Mutex::new(act),
            health: Mutex::new(200),
            hits: AtomicUsize::new(0),
            checks: AtomicUsize::new(0),
            released,
        });
        let served = Arc::clone(&inner);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let inner = Arc::clone(&served);
                let service = service_fn(move |request| answer(Arc::clone(&inner), request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // One that breaks off is what some tests are about.
                tokio::spawn(async move { _ = connection.await });
            }
        });
        Self {
            address,
            inner,
            release,
        }
    }

    pub fn act(&self, act: Act) {
        *self.inner.act.lock().unwrap() = act;
    }

    pub fn health(&self, status: u16) {
        *self.inner.health.lock().unwrap() = status;
    }

    pub fn hits(&self) -> usize {
        self.inner.hits.load(Ordering::SeqCst)
    }

    pub fn checks(&self) -> usize {
        self.inner.checks.load(Ordering::SeqCst)
    }

    /// Lets go whoever waits.
    pub fn release(&self) {
        self.release.send_replace(true);
    }

    /// Returns once so many requests have come.
    pub async fn reached(&self, hits: usize) {
        while self.hits() < hits {
            tokio::task::yield_now().await;
        }
    }
}

async fn answer(
    inner: Arc<Inner>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    if request.uri().path() == "/healthz" {
        inner.checks.fetch_add(1, Ordering::SeqCst);
        let status = *inner.health.lock().unwrap();
        return Ok(with_status(status, String::new()));
    }
    let body = request.into_body().collect().await;
    let number = inner.hits.fetch_add(1, Ordering::SeqCst) + 1;
    let length = body.map(|body| body.to_bytes().len()).unwrap_or_default();
    let said = format!("{number} of {length}");
    let act = inner.act.lock().unwrap().clone();
    match act {
        Act::Answer(status) => Ok(with_status(status, said)),
        Act::Bytes(count) => Ok(with_status(200, "x".repeat(count))),
        Act::Break => Err(io::ErrorKind::ConnectionAborted.into()),
        Act::BreakThen(_) if number % 2 == 1 => Err(io::ErrorKind::ConnectionAborted.into()),
        Act::BreakThen(status) => Ok(with_status(status, said)),
        Act::Later(status) => {
            let mut response = with_status(status, said);
            response
                .headers_mut()
                .insert("retry-after", "1".parse().unwrap());
            Ok(response)
        }
        Act::Wait => {
            let mut released = inner.released.clone();
            let _ = released.wait_for(|released| *released).await;
            Ok(with_status(200, said))
        }
    }
}

fn with_status(status: u16, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// An upstream of these addresses.
pub fn upstream(addresses: &[SocketAddr]) -> UpstreamSpec {
    let endpoints = addresses.iter().map(|address| Endpoint {
        authority: address.to_string().parse().unwrap(),
        host: address.ip().to_string(),
        port: address.port(),
        transport: UpstreamTransport::Plaintext,
    });
    UpstreamSpec::of("backends".parse().unwrap(), endpoints.collect())
}

/// An address where nobody listens.
pub fn nobody() -> SocketAddr {
    "127.0.0.1:1".parse().unwrap()
}
