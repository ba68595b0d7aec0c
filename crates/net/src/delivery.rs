//! Delivering to receivers that somebody else named, over connections that are kept: what a webhook dispatcher sends with.
//!
//! The rules are those of [`crate::guarded`] — a name is resolved once and every address judged, the connection goes to a judged address, no redirect is followed, no
//! proxy, no cookie — and three more, because connections are kept. One lives for at most [`DeliveryLimits::kept_for`], so that a name that leads elsewhere is judged
//! again; one that is kept for a receiver with a client certificate or an authority of its own serves nobody else; and they are bounded in number, of one receiver and
//! of all together. Look-ups of names are bounded too ([`lookups`]). Whoever finds no room is told so ([`DeliveryError::Busy`]).
//!
//! A kept connection that turns out to be closed is replaced by a new one if nothing of the request was sent, and only then.
//!
//! Not here: what is sent, when it is tried again, and what a status means. HTTP/1.1 alone is spoken.

mod kept;
mod lookups;
mod retry_after;
mod target;

pub use retry_after::RetryAfter;
pub use target::{DeliveryTls, Receiver, Schemes};

use crate::client::request;
use crate::egress::{EgressError, EgressPolicy};
use crate::tls::TlsClient;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use kept::{Held, Kept};
use lookups::Lookups;
use std::sync::Arc;
use std::time::Duration;
use target::Encryption;

/// Bytes that are read of an answer; more ends the connection.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an answer that are kept for whoever looks at what went wrong.
const EXCERPT_BYTES_MAX: usize = 1024;
/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Time for the rest of an answer whose status is there: the status is what counts.
const REST_TIMEOUT: Duration = Duration::from_secs(2);

/// The limits of a pool.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryLimits {
    /// Time for resolving, connecting and the TLS handshake.
    pub connect_timeout: Duration,
    /// Time until the head of the answer is there, connecting included (Standard Webhooks: 15 to 30 seconds).
    pub timeout: Duration,
    /// How long a connection is used after it was opened: for so long a name is not judged again.
    pub kept_for: Duration,
    /// How long a connection is kept that nobody uses.
    pub idle_for: Duration,
    /// Connections of one receiver: of one origin, with one kind of trust and one certificate.
    pub per_receiver_max: usize,
    /// Connections of all receivers.
    pub connections_max: usize,
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(20),
            kept_for: Duration::from_secs(60),
            idle_for: Duration::from_secs(10),
            per_receiver_max: 256,
            connections_max: 2_048,
        }
    }
}

/// What a receiver answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status; a redirect is one like any other.
    pub status: StatusCode,
    /// When it wants to be asked again.
    pub retry_after: Option<RetryAfter>,
    /// The first bytes of its body, at most 1 KiB.
    pub excerpt: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// There is no room for another connection or look-up: nothing was sent.
    #[error("too many connections to receivers at once")]
    Busy,
    /// It can't ever be delivered there: trying again is a waste.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It was not answered this time.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

/// Why nothing is ever sent to a receiver. That is decided before anything is connected to.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// An address of the host is private or special, and nobody allowed it.
    #[error("the host leads to an address that may not be reached")]
    Forbidden(#[source] EgressError),
    /// The URL has another scheme, no host, or something that deceives.
    #[error("expected an `https` URL with a host, without user name and fragment")]
    Url,
}

/// Why a receiver did not answer this time.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// The exchange broke off, or was no HTTP.
    #[error("the exchange broke off")]
    Broken(#[source] hyper::Error),
    /// The connection, or its TLS handshake.
    #[error("can't connect")]
    Connect(#[source] std::io::Error),
    /// The name has no address.
    #[error("the host has no address")]
    Host(#[source] EgressError),
    /// No status in time.
    #[error("no answer in time")]
    Timeout,
}

impl DeliveryError {
    /// The reason as logs and records name it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Busy => "connections_busy",
            Self::Refused(Refused::Forbidden(_)) => "address_forbidden",
            Self::Refused(Refused::Url) => "url",
            Self::Unanswered(Unanswered::Broken(_)) => "exchange_broken",
            Self::Unanswered(Unanswered::Connect(_)) => "connect_failed",
            Self::Unanswered(Unanswered::Host(_)) => "host_unknown",
            Self::Unanswered(Unanswered::Timeout) => "timeout",
        }
    }
}

impl From<EgressError> for DeliveryError {
    fn from(error: EgressError) -> Self {
        match error {
            EgressError::Forbidden(..) | EgressError::Own(_) => Refused::Forbidden(error).into(),
            EgressError::Unknown(..) => Unanswered::Host(error).into(),
        }
    }
}

type Sender = http1::SendRequest<Full<Bytes>>;
type Outgoing = http::Request<Full<Bytes>>;

/// The pool. Cloning it is cheap; clones share connections and limits. Its connections belong to the runtime that opened them.
#[derive(Clone)]
pub struct DeliveryPool(Arc<Inner>);

struct Inner {
    tls: TlsClient,
    egress: EgressPolicy,
    schemes: Schemes,
    limits: DeliveryLimits,
    kept: Arc<Kept>,
    lookups: Lookups,
}

impl DeliveryPool {
    /// A pool that trusts what `tls` trusts where a receiver brings no trust of its own, and reaches what `egress` allows.
    #[must_use]
    pub fn new(
        tls: TlsClient,
        egress: EgressPolicy,
        schemes: Schemes,
        limits: DeliveryLimits,
    ) -> Self {
        Self(Arc::new(Inner {
            tls,
            egress,
            schemes,
            limits,
            kept: Arc::new(Kept::new(limits)),
            lookups: Lookups::new(),
        }))
    }

    /// Sends a body there (`POST`); `Host` and `Content-Length` are set here.
    ///
    /// # Errors
    /// See [`DeliveryError`]. Any status is an answer.
    pub async fn send(
        &self,
        receiver: &Receiver,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, DeliveryError> {
        let target = receiver.target(self.0.schemes)?;
        let url = receiver.url();
        let request = request(Method::POST, url, headers, body).map_err(|_| Refused::Url)?;
        let exchange = self.exchange(receiver, target, request);
        let answered = tokio::time::timeout(self.0.limits.timeout, exchange).await;
        let (held, response) = answered.map_err(|_elapsed| Unanswered::Timeout)??;
        // What it took is taken, however long the rest of its answer takes; that has a time of its own.
        Ok(self.finish(held, response).await)
    }

    /// Connections that are open, whether used or kept.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.kept.open()
    }

    async fn exchange(
        &self,
        receiver: &Receiver,
        target: target::Target,
        request: Outgoing,
    ) -> Result<(Held, Response<Incoming>), DeliveryError> {
        let mut request = request;
        let kept = &self.0.kept;
        // A kept connection may have been closed meanwhile. hyper hands the request back if it has sent nothing of it.
        while let Some(mut held) = kept.take(&target) {
            match held.sender.try_send_request(request).await {
                Ok(response) => return Ok((held, response)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Unanswered::Broken(error.into_error()).into()),
                },
            }
        }
        let room = kept.room(&target).ok_or(DeliveryError::Busy)?;
        let connecting = self.connect(receiver, &target);
        let Ok(sender) = tokio::time::timeout(self.0.limits.connect_timeout, connecting).await
        else {
            return Err(Unanswered::Timeout.into());
        };
        let mut held = Held::new(sender?, room);
        let response = held
            .sender
            .send_request(request)
            .await
            .map_err(Unanswered::Broken)?;
        Ok((held, response))
    }

    /// Reads what is read of an answer, and keeps the connection if it is at its end.
    async fn finish(&self, mut held: Held, response: Response<Incoming>) -> Answer {
        let (head, body) = response.into_parts();
        let retry_after = RetryAfter::of(&head.headers);
        let mut excerpt = BytesMut::new();
        let reading = async {
            match read(body, &mut excerpt).await {
                // Ready for the next one, which it is not where the other side closes it.
                Read::All => held.sender.ready().await.is_ok(),
                Read::Some => false,
            }
        };
        let usable = tokio::time::timeout(REST_TIMEOUT, reading).await;
        if usable == Ok(true) && head.status != StatusCode::SWITCHING_PROTOCOLS {
            self.0.kept.keep(held, hinted(&head.headers));
        }
        Answer {
            status: head.status,
            retry_after,
            excerpt: excerpt.freeze(),
        }
    }

    async fn connect(
        &self,
        receiver: &Receiver,
        target: &target::Target,
    ) -> Result<Sender, DeliveryError> {
        let egress = &self.0.egress;
        // The one look at the name: what is connected to is what was judged.
        let lookups = &self.0.lookups;
        let judged = lookups.resolve(egress, &target.host, target.port).await?;
        let stream = egress.connect(&judged).await.map_err(Unanswered::Connect)?;
        match target.encryption {
            Encryption::None => handshake(TokioIo::new(stream)).await,
            Encryption::Tls => {
                let tls = receiver.tls().unwrap_or(&self.0.tls);
                let name = target.server_name()?;
                let connecting = tls.connector().connect(name, stream);
                let stream = connecting.await.map_err(Unanswered::Connect)?;
                handshake(TokioIo::new(stream)).await
            }
        }
    }
}

impl std::fmt::Debug for DeliveryPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeliveryPool")
    }
}

async fn handshake<I>(io: TokioIo<I>) -> Result<Sender, DeliveryError>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(io)
        .await
        .map_err(Unanswered::Broken)?;
    tokio::spawn(async move {
        // Errors reach whoever waits for an answer; an idle connection that ends is no event.
        let _ = connection.await;
    });
    Ok(sender)
}

/// How much of a body was read.
enum Read {
    All,
    /// It was longer than what is read, or broke off.
    Some,
}

async fn read(mut body: Incoming, excerpt: &mut BytesMut) -> Read {
    let mut bytes = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Read::Some };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let wanted = EXCERPT_BYTES_MAX.saturating_sub(excerpt.len());
        excerpt.extend(data.iter().take(wanted));
        bytes = bytes.saturating_add(data.len());
        if bytes > ANSWER_BYTES_MAX {
            return Read::Some;
        }
    }
    Read::All
}

/// How long the other side says that it keeps an idle connection, and a second less: `Keep-Alive: timeout=5` is what many servers send, and close after.
fn hinted(headers: &HeaderMap) -> Option<Duration> {
    let parameters = headers.get(header::HeaderName::from_static("keep-alive"))?;
    let parameters = parameters.to_str().ok()?.split(',');
    let seconds = parameters
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))
        .and_then(|(_, seconds)| seconds.trim().parse::<u64>().ok())?;
    Some(Duration::from_secs(seconds.saturating_sub(1)))
}
