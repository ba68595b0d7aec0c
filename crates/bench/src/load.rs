//! A closed-loop load generator: each connection sends its next request when the answer to the last one is complete.

use crate::Failed;
use crate::report::Run;
use bytes::Bytes;
use countersign_net::tls::{Alpn, TlsClient, TrustRoots};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
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

/// A connection with what goes over it.
pub struct Line<S> {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    script: S,
    /// Since the last count.
    served: Served,
}

impl<S: Script> Line<S> {
    /// Connects; the script begins.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn connect(destination: &Destination, mut script: S) -> Result<Self, Failed> {
        script.begin();
        Ok(Self {
            sender: destination.connect().await?,
            host: destination.host.parse()?,
            script,
            served: Served::default(),
        })
    }

    /// What it sends next.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn request(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        let mut request = self.script.next()?;
        let headers = request.headers_mut();
        headers.insert(http::header::HOST, self.host.clone());
        Ok(request)
    }

    /// Sends a request, and has the answer judged and counted as one to what was to be sent at `sent`.
    ///
    /// # Errors
    /// When the connection breaks or the answer is wrong.
    pub async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        sent: Instant,
    ) -> Result<Wanted, Failed> {
        let (parts, body) = exchange(&mut self.sender, request).await?;
        let served = &mut self.served;
        let wanted = self.script.judge(parts.status, &parts.headers, &body);
        match &wanted {
            Wanted::Yes => {
                served.good += 1;
                let took = sent.elapsed().as_micros();
                served
                    .latencies
                    .push(u32::try_from(took).unwrap_or(u32::MAX));
            }
            Wanted::No => {
                served.bad += 1;
                served.first_bad.get_or_insert_with(|| {
                    format!("{}: {}", parts.status, String::from_utf8_lossy(&body))
                });
            }
            Wanted::Partly | Wanted::Retry => {}
            Wanted::Wrong(reason) => return Err(format!("a wrong answer: {reason}").into()),
        }
        Ok(wanted)
    }

    /// The script, to go on with over another connection.
    pub fn into_script(self) -> S {
        self.script
    }
}

/// Connects for each script.
///
/// # Errors
/// When there is no connection.
pub async fn connect<S: Script>(
    destination: &Destination,
    scripts: Vec<S>,
) -> Result<Vec<Line<S>>, Failed> {
    let mut lines = Vec::new();
    for script in scripts {
        lines.push(Line::connect(destination, script).await?);
    }
    Ok(lines)
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
    let lines = connect(destination, scripts).await?;
    let (served, lines) = drive_over(lines, duration).await?;
    Ok((served, lines.into_iter().map(Line::into_script).collect()))
}

/// The same over connections that are there.
///
/// # Errors
/// As [`drive`].
pub async fn drive_over<S: Script>(
    lines: Vec<Line<S>>,
    duration: Duration,
) -> Result<(Served, Vec<Line<S>>), Failed> {
    let deadline = Instant::now() + duration;
    let running = lines.into_iter().map(|line| one(line, deadline));
    together(running.map(tokio::spawn).collect()).await
}

async fn one<S: Script>(mut line: Line<S>, deadline: Instant) -> Result<Line<S>, Failed> {
    let mut begun: Option<Instant> = None;
    while Instant::now() < deadline {
        let request = line.request()?;
        let sent = begun.take().unwrap_or_else(Instant::now);
        if line.ask(request, sent).await? == Wanted::Partly {
            begun = Some(sent);
        }
    }
    Ok(line)
}

/// What all connections were served since the last count, and the connections.
pub(crate) async fn together<S: Script>(
    tasks: Vec<JoinHandle<Result<Line<S>, Failed>>>,
) -> Result<(Served, Vec<Line<S>>), Failed> {
    let (mut total, mut lines) = (Served::default(), Vec::new());
    for task in tasks {
        let mut line = task.await??;
        let served = std::mem::take(&mut line.served);
        total.good += served.good;
        total.bad += served.bad;
        total.latencies.extend(served.latencies);
        total.first_bad = total.first_bad.or(served.first_bad);
        lines.push(line);
    }
    Ok((total, lines))
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
            rate: None,
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
