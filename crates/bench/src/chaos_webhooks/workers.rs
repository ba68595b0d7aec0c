//! Workers that publish messages and send webhooks in, each one message after the other, noting what was acknowledged.

use super::WORK;
use super::ledger::Sent;
use crate::Failed;
use crate::admin::Admin;
use crate::chaos::Signal;
use crate::chaos::tally::Tallies;
use crate::load::{Destination, exchange};
use crate::zipf::Dice;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::hmac::HmacKey;
use http::{Method, Request, header};
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The longest that an answer may take, a debug build on a busy machine included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between one message and the next: what is to come has to come in a bounded time.
const PACE: Duration = Duration::from_millis(10);

/// Which way a worker's messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// In, as a provider's webhooks.
    In,
    /// Out, to endpoints of partners.
    Out,
}

/// A worker's part of the ledger.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) key: String,
    pub(super) way: Way,
    sent: Sent,
    next: u64,
    /// What a crash cut off: its number.
    cut_off: Option<u64>,
}

/// What a worker sends by.
pub(super) enum Line {
    In(Provider),
    Out(Box<Admin>),
}

/// A provider of webhooks.
pub(super) struct Provider {
    host: String,
    sender: SendRequest<Full<Bytes>>,
    secret: Vec<u8>,
}

impl Provider {
    pub(super) async fn connect(destination: &Destination, secret: &str) -> Result<Self, Failed> {
        let secret = secret.strip_prefix("whsec_").ok_or("no secret")?;
        Ok(Self {
            host: destination.host().to_owned(),
            sender: destination.connect().await?,
            secret: STANDARD.decode(secret)?,
        })
    }

    /// Sends one webhook and gives the status of its answer.
    pub(super) async fn send(&mut self, id: &str, body: &Json) -> Result<u16, Failed> {
        let (body, timestamp) = (body.to_string(), crate::clients::now().to_string());
        let key = HmacKey::new(HashAlgorithm::Sha2_256, &self.secret);
        let parts = [
            id.as_bytes(),
            b".",
            timestamp.as_bytes(),
            b".",
            body.as_bytes(),
        ];
        let signature = format!("v1,{}", STANDARD.encode(key.tag(&parts)));
        let request = Request::builder()
            .method(Method::POST)
            .uri("/in")
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(Full::new(Bytes::from(body)))?;
        let answered = tokio::time::timeout(PATIENCE, exchange(&mut self.sender, request));
        Ok(answered.await??.0.status.as_u16())
    }
}

impl Part {
    pub(super) fn new(key: String, way: Way) -> Self {
        Self {
            key,
            way,
            sent: Sent::default(),
            next: 1,
            cut_off: None,
        }
    }

    /// What it knows: what the last crash cut off may come or not, as what was given up.
    pub(super) fn known(&self) -> Sent {
        let mut sent = self.sent.clone();
        sent.doubtful.extend(self.cut_off);
        sent
    }

    /// Sends until it is told to end or its line breaks. What was under way then is sent again in the next life, or given up.
    pub(super) async fn work(
        mut self,
        mut line: Line,
        mut dice: Dice,
        shared: Shared,
    ) -> (Self, Option<(Instant, Failed)>) {
        if dice.next().is_multiple_of(4) {
            self.sent.doubtful.extend(self.cut_off.take());
        }
        while *shared.signal.borrow() == Signal::Go {
            let number = self.cut_off.unwrap_or(self.next);
            self.next = self.next.max(number + 1);
            self.cut_off = Some(number);
            match self.one(&mut line, number).await {
                Ok(Some(id)) => {
                    self.cut_off = None;
                    self.sent.acknowledged.insert(number, id);
                    shared.acknowledged.fetch_add(1, Ordering::SeqCst);
                    shared.tallies.check(WORK, Ok(()));
                    tokio::time::sleep(PACE).await;
                }
                // It is asked again.
                Ok(None) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => return (self, Some((Instant::now(), error))),
            }
        }
        (self, None)
    }

    /// One message. With what its answer calls it, if it was acknowledged; without, if there was no room for it now.
    async fn one(&self, line: &mut Line, number: u64) -> Result<Option<Option<String>>, Failed> {
        let body = json!({ "key": self.key, "number": number });
        let id = format!("{}-{number}", self.key);
        match line {
            Line::In(provider) => match provider.send(&id, &body).await? {
                // The service is told the message under an id of ours.
                200 | 202 => Ok(Some(None)),
                // The very same attempt, sent again within its second: the next second's is another.
                409 => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Ok(None)
                }
                429 | 503 => Ok(None),
                status => Err(format!("webhook {id}: status {status}").into()),
            },
            Line::Out(admin) => {
                let message = json!({
                    "type": "chaos.message",
                    "everyone": true,
                    "idempotency_key": id,
                    "order_key": self.key,
                    "data": body,
                });
                let said = admin
                    .ask(&Method::POST, "webhooks/messages", &message)
                    .await?;
                match said.status {
                    200..=299 => Ok(Some(said.text("/message").map(|id| format!("msg_{id}")))),
                    429 | 503 => Ok(None),
                    _ => Err(said.problem("publishing")),
                }
            }
        }
    }
}

/// What all workers share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) tallies: Arc<Tallies>,
    pub(super) signal: watch::Receiver<Signal>,
    /// How many messages were acknowledged so far.
    pub(super) acknowledged: Arc<AtomicU64>,
}
