//! The way of finished spans to the collector: batches by size or age, one at a time.
//!
//! A batch that the collector does not take is dropped and counted, and said once a minute: traces are for looking, not for evidence, and
//! keeping them for a collector that is away would take memory from what is.

use super::otlp::{self, Resource};
use super::{ExportOptions, Finished};
use crate::metrics::Metrics;
use bytes::Bytes;
use countersign_net::tls::Alpn;
use countersign_net::{
    ClientError, ClientOptions, EgressPolicy, HttpClient, TlsClient, TlsError, TrustRoots,
};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use url::Url;

/// Spans of one export.
const BATCH_MAX: usize = 512;
/// How long a span waits for others.
const BATCH_AGE_MAX: Duration = Duration::from_secs(1);
/// How often a collector that does not take spans is mentioned in the log.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// How long the end of the process waits for the last export.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// A client that reaches the collector and nothing else that is private.
pub(super) fn client(export: &ExportOptions, local_ca: &str) -> Result<HttpClient, TlsError> {
    let pem = export.ca.as_deref().unwrap_or(local_ca.as_bytes());
    let tls = TlsClient::new(&TrustRoots::from_pem(pem)?, None, Alpn::Http1)?;
    // The operator named this host; the egress guard is for addresses that others name.
    let egress = match export.collector.host_str() {
        Some(host) => EgressPolicy::public_only().allowing(host),
        None => EgressPolicy::public_only(),
    };
    let options = ClientOptions {
        timeout: Duration::from_secs(5),
        body_bytes_max: 64 * 1024,
        ..ClientOptions::default()
    };
    Ok(HttpClient::new(tls, egress, options))
}

/// The task that sends.
pub(super) struct Exporter {
    end: watch::Sender<()>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Exporter {
    pub(super) fn start(finished: mpsc::Receiver<Finished>, collector: Collector) -> Self {
        let (end, ending) = watch::channel(());
        let batches = Batches {
            queue: finished,
            ending,
        };
        Self {
            end,
            task: Mutex::new(Some(tokio::spawn(run(batches, collector)))),
        }
    }

    pub(super) async fn stop(&self) {
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut task) = task else { return };
        self.end.send_replace(());
        if tokio::time::timeout(STOP_WITHIN, &mut task).await.is_err() {
            task.abort();
        }
    }
}

async fn run(mut batches: Batches, mut collector: Collector) {
    while let Some(batch) = batches.next().await {
        collector.send(&batch).await;
    }
}

/// The queue's other end, in batches.
struct Batches {
    queue: mpsc::Receiver<Finished>,
    ending: watch::Receiver<()>,
}

impl Batches {
    /// The next batch; none once the queue is closed and empty.
    async fn next(&mut self) -> Option<Vec<Finished>> {
        let mut batch = vec![self.first().await?];
        let due = tokio::time::sleep(BATCH_AGE_MAX);
        tokio::pin!(due);
        while batch.len() < BATCH_MAX {
            let room = BATCH_MAX - batch.len();
            tokio::select! {
                biased;
                _ = self.ending.changed(), if !self.queue.is_closed() => self.queue.close(),
                taken = self.queue.recv_many(&mut batch, room) => if taken == 0 { break },
                () = &mut due => break,
            }
        }
        Some(batch)
    }

    async fn first(&mut self) -> Option<Finished> {
        loop {
            tokio::select! {
                biased;
                _ = self.ending.changed(), if !self.queue.is_closed() => self.queue.close(),
                first = self.queue.recv() => return first,
            }
        }
    }
}

/// Where spans go.
pub(super) struct Collector {
    client: HttpClient,
    url: Url,
    resource: Resource,
    metrics: Metrics,
    complaint: Complaint,
}

/// What was not said yet about exports that failed.
#[derive(Default)]
struct Complaint {
    spans: u64,
    said: Option<Instant>,
}

/// Why an export failed.
enum ExportError {
    Client(ClientError),
    Status(StatusCode),
}

impl ExportError {
    const fn code(&self) -> &'static str {
        match self {
            Self::Client(ClientError::BodyTooLarge) => "answer_too_large",
            Self::Client(ClientError::Connect(_)) => "connect_failed",
            Self::Client(ClientError::Egress(_)) => "egress_refused",
            Self::Client(ClientError::Http(_)) => "broke_off",
            Self::Client(ClientError::Timeout) => "timed_out",
            Self::Client(ClientError::Url) => "url_refused",
            Self::Status(_) => "status_refused",
        }
    }
}

impl Collector {
    pub(super) fn new(
        client: HttpClient,
        base: &Url,
        resource: Resource,
        metrics: Metrics,
    ) -> Self {
        let mut url = base.clone();
        url.set_path(&format!("{}/v1/traces", base.path().trim_end_matches('/')));
        Self {
            client,
            url,
            resource,
            metrics,
            complaint: Complaint::default(),
        }
    }

    async fn send(&mut self, batch: &[Finished]) {
        let count = batch.len() as u64;
        match self.export(batch).await {
            Ok(()) => self.metrics.spans_ended("exported", count),
            Err(error) => {
                self.metrics.spans_ended("failed", count);
                self.complaint.failed(count, &error);
            }
        }
    }

    async fn export(&self, batch: &[Finished]) -> Result<(), ExportError> {
        let body = Bytes::from(otlp::request(&self.resource, batch));
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf"),
        );
        let answer = self
            .client
            .send(Method::POST, &self.url, headers, body)
            .await
            .map_err(ExportError::Client)?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(ExportError::Status(answer.status))
        }
    }
}

impl Complaint {
    fn failed(&mut self, spans: u64, error: &ExportError) {
        self.spans = self.spans.saturating_add(spans);
        if self
            .said
            .is_some_and(|said| said.elapsed() < COMPLAIN_EVERY)
        {
            return;
        }
        let count = std::mem::take(&mut self.spans);
        self.said = Some(Instant::now());
        match error {
            ExportError::Client(_) => {
                tracing::warn!(event = "spans_not_exported", reason = error.code(), count);
            }
            ExportError::Status(status) => {
                let status = status.as_u16();
                tracing::warn!(
                    event = "spans_not_exported",
                    reason = error.code(),
                    count,
                    status
                );
            }
        }
    }
}
