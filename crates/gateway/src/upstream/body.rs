//! Bodies on their way to and from an upstream.

use super::members::Load;
use super::pool::{Lease, PassError};
use bytes::Bytes;
use countersign_net::{BodyError, InboundBody};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// How far the body of a request got on its way to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All of it was read.
    Complete,
    /// Some is still to come, or was given up.
    Open,
    /// The caller sent more than the route allows.
    TooLarge,
}

const COMPLETE: u8 = 0;
const OPEN: u8 = 1;
const TOO_LARGE: u8 = 2;

/// Watches the body of a request. Absent for a request without body: most have none, and it costs nothing then.
#[derive(Clone, Default)]
pub(crate) struct ProgressWatch(Option<Arc<AtomicU8>>);

impl ProgressWatch {
    pub(crate) fn progress(&self) -> Progress {
        match self
            .0
            .as_ref()
            .map_or(COMPLETE, |state| state.load(Ordering::Relaxed))
        {
            COMPLETE => Progress::Complete,
            TOO_LARGE => Progress::TooLarge,
            _ => Progress::Open,
        }
    }

    fn set(&self, state: u8) {
        if let Some(progress) = &self.0 {
            progress.store(state, Ordering::Relaxed);
        }
    }
}

/// The body of a request before it is sent on.
pub(crate) enum RequestBody {
    /// As it arrives; it can be sent once.
    Arriving(InboundBody),
    /// All of it.
    Whole(Bytes),
}

impl RequestBody {
    /// The same, held in memory if it says that it has at most `bytes_max` bytes.
    pub(crate) async fn kept(self, bytes_max: u64) -> Result<Self, PassError> {
        match self {
            Self::Arriving(body)
                if body
                    .size_hint()
                    .exact()
                    .is_some_and(|length| length <= bytes_max) =>
            {
                Self::Arriving(body).whole().await.map(Self::Whole)
            }
            other => Ok(other),
        }
    }

    /// All of it, read to its end; its limits are those of the route.
    pub(crate) async fn whole(self) -> Result<Bytes, PassError> {
        match self {
            Self::Whole(bytes) => Ok(bytes),
            Self::Arriving(body) if body.is_end_stream() => Ok(Bytes::new()),
            Self::Arriving(body) => match body.collect().await {
                Ok(body) => Ok(body.to_bytes()),
                Err(BodyError::TooLarge) => Err(PassError::BodyTooLarge),
                Err(BodyError::Broken(_) | BodyError::Idle) => Err(PassError::Body),
            },
        }
    }
}

/// The body of a request as the upstream gets it.
pub struct OutboundBody {
    inner: Outbound,
    watch: ProgressWatch,
}

enum Outbound {
    Arriving(InboundBody),
    Whole(Option<Bytes>),
}

impl OutboundBody {
    pub(crate) fn new(body: RequestBody) -> Self {
        let inner = match body {
            RequestBody::Arriving(body) => Outbound::Arriving(body),
            RequestBody::Whole(bytes) => Outbound::Whole((!bytes.is_empty()).then_some(bytes)),
        };
        let arrives = match &inner {
            Outbound::Arriving(body) => !body.is_end_stream(),
            Outbound::Whole(bytes) => bytes.is_some(),
        };
        let open = arrives.then(|| Arc::new(AtomicU8::new(OPEN)));
        Self {
            inner,
            watch: ProgressWatch(open),
        }
    }

    pub(crate) fn watch(&self) -> ProgressWatch {
        self.watch.clone()
    }
}

impl Body for OutboundBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match &mut self.inner {
            Outbound::Arriving(body) => ready!(Pin::new(body).poll_frame(cx)),
            Outbound::Whole(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
        };
        match &frame {
            Some(Ok(_)) if self.is_end_stream() => self.watch.set(COMPLETE),
            Some(Ok(_)) | Some(Err(BodyError::Broken(_) | BodyError::Idle)) => {}
            Some(Err(BodyError::TooLarge)) => self.watch.set(TOO_LARGE),
            None => self.watch.set(COMPLETE),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Outbound::Arriving(body) => body.is_end_stream(),
            Outbound::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Outbound::Arriving(body) => body.size_hint(),
            Outbound::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

/// Why the body of an answer ended early.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The upstream broke off.
    #[error("the upstream broke off")]
    Broken(#[source] hyper::Error),
    /// The next piece did not come in time.
    #[error("the upstream stopped sending")]
    Idle,
}

/// The body of an answer. When it has been read to its end, its connection goes back to the pool; when it is dropped before, the
/// connection is closed with it.
pub struct PooledBody {
    inner: Incoming,
    lease: Option<Lease>,
    load: Option<Load>,
    idle: Duration,
    // Made on the first wait: an answer that is already there costs no timer.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl PooledBody {
    /// `idle` is the longest time between two pieces.
    pub(crate) fn new(inner: Incoming, lease: Lease, idle: Duration) -> Self {
        let mut body = Self {
            inner,
            lease: Some(lease),
            load: None,
            idle,
            sleep: None,
        };
        if body.inner.is_end_stream() {
            body.give_back();
        }
        body
    }

    /// The same, counted as under way at its address until its end.
    pub(crate) fn under(mut self, load: Load) -> Self {
        self.load = self.lease.is_some().then_some(load);
        self
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<AnswerError> {
        let idle = self.idle;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        ready!(sleep.as_mut().poll(cx));
        // Nothing more will come of it, and its connection is not used again.
        (self.lease, self.load) = (None, None);
        Poll::Ready(AnswerError::Idle)
    }

    fn give_back(&mut self) {
        self.load = None;
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) else {
            return self.poll_idle(cx).map(|error| Some(Err(error)));
        };
        let (idle, now) = (self.idle, Instant::now);
        if let Some(sleep) = &mut self.sleep {
            sleep.as_mut().reset(now() + idle);
        }
        match &frame {
            None => self.give_back(),
            Some(Ok(_)) if self.inner.is_end_stream() => self.give_back(),
            Some(Ok(_)) => {}
            // Its lease is dropped with it: a connection that broke is not used again.
            Some(Err(_)) => (self.lease, self.load) = (None, None),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(AnswerError::Broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
