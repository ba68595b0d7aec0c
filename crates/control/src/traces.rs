//! Traces of requests, sent to a collector over OTLP (OpenTelemetry protocol 1, `trace/v1`, binary over HTTP). Off unless configured.
//!
//! A span says what [`Span`] has fields for: each is a name that stands in the code or in the configuration, a number, or the id of an
//! event. There is no field for text of a caller, so no address, name or token can reach a collector. Context travels as W3C Trace
//! Context (`traceparent`): a new trace begins at the door unless callers are trusted to name theirs.
//!
//! Nothing here waits: a finished span goes into a bounded queue or is dropped and counted. While traces are off there are no spans at all.
//!
//! Not here: the bytes (`otlp`) and their way to the collector (`export`); logs ([`crate::telemetry`]) and metrics ([`crate::metrics`]).

mod context;
mod export;
mod otlp;

use crate::metrics::Metrics;
use context::Parent;
pub use context::{Onward, SampleRatio};
use countersign_audit::event::Verdict;
use countersign_base::{Clock, EventId, RouteId, Tenant, UnixMillis};
use countersign_crypto::random::Random;
use countersign_net::{HttpClient, TlsError};
use export::{Collector, Exporter};
use http::{HeaderMap, Method};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use url::Url;

/// Finished spans that wait for the collector; past it they are dropped and counted.
const QUEUE_MAX: usize = 2_048;

/// Whether what callers say about their trace counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Incoming {
    /// It is removed, and every request begins a trace.
    #[default]
    Removed,
    /// A trace goes on, sampled or not as its parent is; upstreams see it also while we send no spans.
    Trusted,
}

/// What traces are started with. `Default` is off.
#[derive(Debug, Clone, Default)]
pub struct TraceOptions {
    /// Whether callers' context counts.
    pub incoming: Incoming,
    /// Where spans go; without it there are none.
    pub export: Option<ExportOptions>,
}

/// Where spans go, and which.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The collector's base address, below which `v1/traces` stands.
    pub collector: Url,
    /// The certificate authority of its certificate in PEM; without one, the local development authority.
    pub ca: Option<Vec<u8>>,
    /// `service.name`.
    pub service: String,
    /// Which share of new traces is sampled.
    pub sample: SampleRatio,
}

/// The door that a span's request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// The admin API.
    Admin,
    /// The data plane.
    Gateway,
    /// The authorization server.
    Identity,
}

impl Surface {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Gateway => "gateway",
            Self::Identity => "identity",
        }
    }
}

/// What a request was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanRoute {
    /// A route of the configuration.
    Configured(RouteId),
    /// The pattern of one of our own endpoints.
    Endpoint(&'static str),
    /// Such a pattern where the router hands it out; it stands in the code all the same.
    Pattern(Arc<str>),
}

impl SpanRoute {
    fn as_str(&self) -> &str {
        match self {
            Self::Configured(route) => route.as_str(),
            Self::Endpoint(path) => path,
            Self::Pattern(path) => path,
        }
    }
}

/// One request. It is over, and sent, when this is dropped: also when the connection broke before there was an answer.
pub struct Span {
    context: context::Context,
    surface: Surface,
    method: &'static str,
    started: UnixMillis,
    since: Instant,
    sink: Sink,
    /// What it was for.
    pub route: Option<SpanRoute>,
    /// Whose it was.
    pub tenant: Option<Tenant>,
    /// What was decided.
    pub decision: Option<Verdict>,
    /// The audit event of the decision.
    pub event: Option<EventId>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why it failed: a code that stands in the sources.
    pub error: Option<&'static str>,
}

/// A span that has ended.
struct Finished {
    context: context::Context,
    surface: Surface,
    method: &'static str,
    started: UnixMillis,
    took: Duration,
    route: Option<SpanRoute>,
    tenant: Option<Tenant>,
    decision: Option<Verdict>,
    event: Option<EventId>,
    status: Option<u16>,
    error: Option<&'static str>,
}

/// Where finished spans go.
#[derive(Clone)]
struct Sink {
    queue: mpsc::Sender<Finished>,
    metrics: Metrics,
}

impl Drop for Span {
    fn drop(&mut self) {
        if !self.context.sampled() {
            return;
        }
        let finished = Finished {
            context: self.context.clone(),
            surface: self.surface,
            method: self.method,
            started: self.started,
            took: self.since.elapsed(),
            route: self.route.take(),
            tenant: self.tenant.take(),
            decision: self.decision,
            event: self.event,
            status: self.status,
            error: self.error,
        };
        if self.sink.queue.try_send(finished).is_err() {
            self.sink.metrics.spans_ended("dropped", 1);
        }
    }
}

/// Begins spans, and says what upstreams learn of them.
pub struct Traces {
    incoming: Incoming,
    on: Option<On>,
}

struct On {
    sink: Sink,
    sample: SampleRatio,
    clock: Clock,
    random: Random,
    /// Absent where a test reads the queue itself.
    exporter: Option<Exporter>,
}

impl Traces {
    /// No spans.
    #[must_use]
    pub const fn off(incoming: Incoming) -> Self {
        Self { incoming, on: None }
    }

    /// What `options` say, in a runtime that outlives it. `local_ca` is the authority of collectors that name none, in PEM.
    ///
    /// # Errors
    /// When the collector's authority is not one.
    pub fn start(
        options: TraceOptions,
        local_ca: &str,
        clock: Clock,
        random: Random,
        metrics: Metrics,
    ) -> Result<Self, TlsError> {
        let Some(export) = options.export else {
            return Ok(Self::off(options.incoming));
        };
        let client = export::client(&export, local_ca)?;
        let (queue, finished) = mpsc::channel(QUEUE_MAX);
        let sink = Sink { queue, metrics };
        let exporter = exporter(&export, client, finished, sink.metrics.clone());
        Ok(Self {
            incoming: options.incoming,
            on: Some(On {
                sink,
                sample: export.sample,
                clock,
                random,
                exporter: Some(exporter),
            }),
        })
    }

    /// Begins the span of a request; `None`, at the cost of one comparison, while traces are off.
    #[must_use]
    pub fn begin(
        &self,
        surface: Surface,
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<Box<Span>> {
        let on = self.on.as_ref()?;
        let parent = match self.incoming {
            Incoming::Removed => None,
            Incoming::Trusted => Parent::of(headers),
        };
        Some(Box::new(Span {
            context: context::Context::begin(parent, on.sample, &on.random),
            surface,
            method: known_method(method),
            started: on.clock.millis(),
            since: Instant::now(),
            sink: on.sink.clone(),
            route: None,
            tenant: None,
            decision: None,
            event: None,
            status: None,
            error: None,
        }))
    }

    /// What an upstream learns of the trace.
    #[must_use]
    pub fn onward(&self, span: Option<&Span>) -> Onward {
        match (self.incoming, span) {
            (Incoming::Removed, None) => Onward::removed(),
            (Incoming::Trusted, None) => Onward::untouched(),
            (Incoming::Removed | Incoming::Trusted, Some(span)) => span.context.onward(),
        }
    }

    /// Sends what waits, for a moment at most, and ends. Spans that end later are dropped and counted.
    pub async fn stop(&self) {
        if let Some(exporter) = self.on.as_ref().and_then(|on| on.exporter.as_ref()) {
            exporter.stop().await;
        }
    }
}

fn exporter(
    export: &ExportOptions,
    client: HttpClient,
    finished: mpsc::Receiver<Finished>,
    metrics: Metrics,
) -> Exporter {
    let resource = otlp::Resource {
        service: export.service.clone(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let collector = Collector::new(client, &export.collector, resource, metrics);
    Exporter::start(finished, collector)
}

/// A method of RFC 9110 or 5789 by name; any other is a caller's text.
fn known_method(method: &Method) -> &'static str {
    const KNOWN: [(Method, &str); 9] = [
        (Method::CONNECT, "CONNECT"),
        (Method::DELETE, "DELETE"),
        (Method::GET, "GET"),
        (Method::HEAD, "HEAD"),
        (Method::OPTIONS, "OPTIONS"),
        (Method::PATCH, "PATCH"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::TRACE, "TRACE"),
    ];
    KNOWN
        .iter()
        .find(|(known, _)| known == method)
        .map_or("_OTHER", |(_, name)| name)
}

#[cfg(test)]
mod tests;
