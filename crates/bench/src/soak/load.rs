//! The load: tokens that are renewed, and requests that are due at a constant rate.

use super::ground::Ground;
use super::judged;
use crate::Failed;
use crate::clients::TokenClient;
use crate::load::{Destination, Script, Wanted, exchange};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// After how long without an answer a request has failed.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The clients' tokens of this moment.
pub(super) struct Purse {
    clients: Vec<TokenClient>,
    tokens: RwLock<Vec<String>>,
    next: AtomicUsize,
}

impl Purse {
    pub(super) async fn filled(ground: &Ground) -> Result<Arc<Self>, Failed> {
        let identity = ground.identity()?;
        let mut tokens = Vec::new();
        for client in &ground.clients {
            tokens.push(token(&identity, client.clone()).await?);
        }
        Ok(Arc::new(Self {
            clients: ground.clients.clone(),
            tokens: RwLock::new(tokens),
            next: AtomicUsize::new(0),
        }))
    }

    /// One client's after the other.
    fn request(&self) -> Result<Request<Full<Bytes>>, Failed> {
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let place = place.checked_rem(tokens.len()).ok_or("no tokens")?;
        let token = tokens.get(place).ok_or("no tokens")?;
        Ok(Request::builder()
            .uri("/orders")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Full::default())?)
    }

    fn put(&self, place: usize, token: String) {
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = tokens.get_mut(place) {
            *kept = token;
        }
    }
}

/// Asks for a token.
async fn token(identity: &Destination, mut client: TokenClient) -> Result<String, Failed> {
    let mut sender = identity.connect().await?;
    let mut request = client.request()?;
    let host = identity.host().parse()?;
    request.headers_mut().insert(header::HOST, host);
    let (parts, body) = exchange(&mut sender, request).await?;
    if parts.status != StatusCode::OK {
        return Err(format!("{}: {}", parts.status, String::from_utf8_lossy(&body)).into());
    }
    let answer: serde_json::Value = serde_json::from_slice(&body)?;
    let token = answer.get("access_token").and_then(|token| token.as_str());
    Ok(token.ok_or("no access_token")?.to_owned())
}

/// Renews the tokens in turn until `stopped`, and says how many.
pub(super) async fn renew(
    purse: Arc<Purse>,
    identity: Destination,
    every: Duration,
    mut stopped: watch::Receiver<()>,
) -> Result<u32, Failed> {
    let mut renewed = 0;
    loop {
        for (place, client) in purse.clients.iter().enumerate() {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                _ = stopped.changed() => return Ok(renewed),
            }
            purse.put(place, token(&identity, client.clone()).await?);
            renewed += 1;
        }
    }
}

/// The same requests in a closed loop.
pub(super) struct Closed(pub(super) Arc<Purse>);

impl Script for Closed {
    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        self.0.request()
    }

    fn judge(&mut self, status: StatusCode, _headers: &HeaderMap, _body: &[u8]) -> Wanted {
        judged(status)
    }
}

/// One request that was not answered as it should.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// When it ended.
    pub(super) at: Instant,
    /// A status, or what became of the connection.
    pub(super) what: String,
    /// Whether an upstream that is gone can be the reason.
    pub(super) of: Suspect,
}

/// Whose fault a failure looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspect {
    /// The gateway's: a refusal, or a broken connection to it.
    Gateway,
    /// An upstream's: 502, 503 or 504.
    Upstream,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub(super) good: u64,
    pub(super) failures: Vec<Failure>,
    /// Microseconds from when each was due.
    pub(super) latencies: Vec<u32>,
    /// How many were answered in each second.
    pub(super) seconds: Vec<u32>,
}

impl Served {
    fn add(&mut self, other: Self) {
        self.good += other.good;
        self.failures.extend(other.failures);
        self.latencies.extend(other.latencies);
        for (second, count) in other.seconds.into_iter().enumerate() {
            self.count(second, count);
        }
    }

    fn count(&mut self, second: usize, count: u32) {
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, 0);
        }
        if let Some(kept) = self.seconds.get_mut(second) {
            *kept += count;
        }
    }
}

/// Requests at a constant rate.
pub(super) struct Traffic {
    gateway: Destination,
    purse: Arc<Purse>,
    interval: Duration,
    connections: usize,
}

impl Traffic {
    pub(super) fn new(
        gateway: Destination,
        purse: Arc<Purse>,
        rate: f64,
        connections: usize,
    ) -> Self {
        let interval = Duration::from_secs_f64(1.0 / rate.max(1.0));
        Self {
            gateway,
            purse,
            interval,
            connections,
        }
    }

    /// Each connection takes its turn: of the requests that are due, the first, the one after as many as there are connections, and so on.
    pub(super) async fn run(self, began: Instant, duration: Duration) -> Result<Served, Failed> {
        let all = Arc::new(self);
        let lines: Vec<_> = (0..all.connections)
            .map(|first| tokio::spawn(Arc::clone(&all).line(first, began, duration)))
            .collect();
        let mut total = Served::default();
        for line in lines {
            total.add(line.await??);
        }
        Ok(total)
    }

    async fn line(
        self: Arc<Self>,
        first: usize,
        began: Instant,
        duration: Duration,
    ) -> Result<Served, Failed> {
        let mut served = Served::default();
        let mut connection = None;
        let step = u32::try_from(self.connections)?;
        let mut number = u32::try_from(first)?;
        loop {
            let due = self.interval * number;
            if due >= duration {
                return Ok(served);
            }
            number += step;
            tokio::time::sleep_until((began + due).into()).await;
            let outcome = tokio::time::timeout(ANSWER_MAX, self.one(&mut connection)).await;
            let (failure, of) = match outcome {
                Ok(Ok(StatusCode::OK)) => {
                    let late = began.elapsed().saturating_sub(due);
                    served.good += 1;
                    served
                        .latencies
                        .push(u32::try_from(late.as_micros()).unwrap_or(u32::MAX));
                    let second = usize::try_from(began.elapsed().as_secs())?;
                    served.count(second, 1);
                    continue;
                }
                Ok(Ok(status)) => (status.to_string(), suspect(status)),
                Ok(Err(error)) => (error.to_string(), Suspect::Gateway),
                Err(_) => ("no answer".to_owned(), Suspect::Gateway),
            };
            if of == Suspect::Gateway {
                connection = None;
            }
            served.failures.push(Failure {
                at: Instant::now(),
                what: failure,
                of,
            });
        }
    }

    async fn one(
        &self,
        connection: &mut Option<SendRequest<Full<Bytes>>>,
    ) -> Result<StatusCode, Failed> {
        let mut request = self.purse.request()?;
        let host = self.gateway.host().parse()?;
        request.headers_mut().insert(header::HOST, host);
        if let Some(mut kept) = connection.take().filter(|kept| !kept.is_closed()) {
            match exchange(&mut kept, request.clone()).await {
                Ok((parts, _)) => {
                    *connection = Some(kept);
                    return Ok(parts.status);
                }
                // A kept connection that was closed in this very moment: nothing was sent.
                Err(error) if was_not_sent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let mut sender = self.gateway.connect().await?;
        let (parts, _) = exchange(&mut sender, request).await?;
        *connection = Some(sender);
        Ok(parts.status)
    }
}

fn was_not_sent(error: &Failed) -> bool {
    let error = error.downcast_ref::<hyper::Error>();
    error.is_some_and(|error| error.is_canceled() || error.is_closed())
}

const fn suspect(status: StatusCode) -> Suspect {
    match status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Suspect::Upstream
        }
        _ => Suspect::Gateway,
    }
}
