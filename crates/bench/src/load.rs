//! A closed-loop load generator: each connection sends its next request when the answer to the last one is complete.

use crate::Failed;
use crate::report::Run;
use bytes::Bytes;
use countersign_net::tls::{Alpn, TlsClient, TrustRoots};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use url::Url;

/// Where a load goes.
#[derive(Clone)]
pub struct Destination {
    address: String,
    host: String,
    tls: Option<TlsClient>,
}

/// What one connection sends next, and what it learns from the answers.
pub trait Script: Send + 'static {
    /// A run begins: what was under way when the last one ended is given up, as it may have grown old since.
    fn begin(&mut self) {}

    /// The next request; `Host` is added.
    ///
    /// # Errors
    /// When it cannot be built.
    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed>;

    /// Sees every answer and says whether it is what was wanted.
    fn judge(&mut self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Wanted;
}

/// Whether an answer counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// It counts as served.
    Yes,
    /// It is an error of the run.
    No,
    /// It is one of several that count together, as one that lasts until the last of them.
    Partly,
    /// It belongs to the protocol (a nonce was asked for) and counts as nothing.
    Retry,
    /// It was served, but says something else than it must: nothing that was measured counts.
    Wrong(String),
}

/// What came of a load.
#[derive(Debug, Default)]
pub struct Served {
    /// Answers that were wanted.
    pub good: u64,
    /// Answers that were not.
    pub bad: u64,
    /// Microseconds of each wanted answer.
    latencies: Vec<u32>,
    /// The first unwanted answer, for the report.
    pub first_bad: Option<String>,
}

impl<S: Script + ?Sized> Script for Box<S> {
    fn begin(&mut self) {
        (**self).begin();
    }

    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        (**self).next()
    }

    fn judge(&mut self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Wanted {
        (**self).judge(status, headers, body)
    }
}

impl Destination {
    /// The origin of `url`, over TLS with these roots if it says https.
    ///
    /// # Errors
    /// When the address has no host.
    pub fn new(url: &str, roots: &TrustRoots) -> Result<Self, Failed> {
        let url: Url = url.parse()?;
        let host = url.host_str().ok_or("no host")?.to_owned();
        let port = url.port_or_known_default().ok_or("no port")?;
        let tls = if url.scheme() == "https" {
            Some(TlsClient::new(roots, None, Alpn::Http1)?)
        } else {
            None
        };
        // A name would make every connection wait for a resolver; these are all on loopback.
        Ok(Self {
            address: format!("127.0.0.1:{port}"),
            host: format!("{host}:{port}"),
            tls,
        })
    }

    /// The `Host` of every request.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The origin, as a browser's `Origin` says it.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.host)
    }

    /// A new connection.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failed> {
        let tcp = TcpStream::connect(&self.address).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            let (sender, connection) = handshake(TokioIo::new(tcp)).await?;
            tokio::spawn(connection);
            return Ok(sender);
        };
        let name = self
            .host
            .rsplit_once(':')
            .map_or(self.host.as_str(), |(name, _)| name);
        let stream = tls
            .connector()
            .connect(ServerName::try_from(name.to_owned())?, tcp)
            .await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// Sends one request and reads the whole answer.
///
/// # Errors
/// When the connection breaks.
pub async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<(http::response::Parts, Bytes), Failed> {
    sender.ready().await?;
    let response: Response<Incoming> = sender.send_request(request).await?;
    let (parts, body) = response.into_parts();
    Ok((parts, body.collect().await?.to_bytes()))
}

/// Runs one script a connection for `duration` and adds up what came back.
///
/// # Errors
/// When a connection breaks or a request cannot be built.
pub async fn drive<S: Script>(
    destination: &Destination,
    scripts: Vec<S>,
    duration: Duration,
) -> Result<(Served, Vec<S>), Failed> {
    let deadline = Instant::now() + duration;
    let mut connections = Vec::new();
    for script in scripts {
        let destination = destination.clone();
        connections.push(tokio::spawn(one(destination, script, deadline)));
    }
    let (mut total, mut scripts) = (Served::default(), Vec::new());
    for connection in connections {
        let (served, script) = connection.await??;
        total.good += served.good;
        total.bad += served.bad;
        total.latencies.extend(served.latencies);
        total.first_bad = total.first_bad.or(served.first_bad);
        scripts.push(script);
    }
    Ok((total, scripts))
}

async fn one<S: Script>(
    destination: Destination,
    mut script: S,
    deadline: Instant,
) -> Result<(Served, S), Failed> {
    script.begin();
    let mut sender = destination.connect().await?;
    let host: Arc<http::HeaderValue> = Arc::new(destination.host.parse()?);
    let mut served = Served::default();
    let mut begun: Option<Instant> = None;
    while Instant::now() < deadline {
        let mut request = script.next()?;
        request
            .headers_mut()
            .insert(http::header::HOST, (*host).clone());
        let sent = begun.take().unwrap_or_else(Instant::now);
        let (parts, body) = exchange(&mut sender, request).await?;
        match script.judge(parts.status, &parts.headers, &body) {
            Wanted::Yes => {
                served.good += 1;
                served
                    .latencies
                    .push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Wanted::No => {
                served.bad += 1;
                served.first_bad.get_or_insert_with(|| {
                    format!("{}: {}", parts.status, String::from_utf8_lossy(&body))
                });
            }
            Wanted::Partly => begun = Some(sent),
            Wanted::Retry => {}
            Wanted::Wrong(reason) => return Err(format!("a wrong answer: {reason}").into()),
        }
    }
    Ok((served, script))
}

impl Served {
    /// The run: requests per second of `cpu`.
    ///
    /// # Errors
    /// When more than one answer in a thousand was not what was wanted.
    pub fn run(mut self, cpu: Duration, rss_mib: Option<f64>) -> Result<Run, Failed> {
        if self.bad * 1000 > self.good {
            let first = self.first_bad.unwrap_or_default();
            return Err(format!(
                "{} of {} answers were refusals, the first: {first}",
                self.bad,
                self.good + self.bad
            )
            .into());
        }
        self.latencies.sort_unstable();
        let good = f64::from(u32::try_from(self.good)?);
        Ok(Run {
            value: good / cpu.as_secs_f64().max(0.001),
            p50_us: Some(at(&self.latencies, 0.50)),
            p99_us: Some(at(&self.latencies, 0.99)),
            rss_mib,
        })
    }
}

/// The value below which `share` of the sorted `latencies` lie.
#[must_use]
pub fn at(latencies: &[u32], share: f64) -> f64 {
    let last = f64::from(u32::try_from(latencies.len().saturating_sub(1)).unwrap_or(u32::MAX));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length is a place in it"
    )]
    let place = (last * share).round() as usize;
    latencies.get(place).copied().map_or(0.0, f64::from)
}
