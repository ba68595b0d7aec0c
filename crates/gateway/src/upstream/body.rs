//! Bodies on their way to and from an upstream.

use super::pool::Lease;
use bytes::Bytes;
use countersign_net::{BodyError, InboundBody};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

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

/// The body of a request as the upstream gets it.
pub struct OutboundBody {
    inner: InboundBody,
    watch: ProgressWatch,
}

impl OutboundBody {
    pub(crate) fn new(inner: InboundBody) -> Self {
        let open = (!inner.is_end_stream()).then(|| Arc::new(AtomicU8::new(OPEN)));
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
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(_)) if self.inner.is_end_stream() => self.watch.set(COMPLETE),
            Some(Ok(_)) | Some(Err(BodyError::Broken(_) | BodyError::Idle)) => {}
            Some(Err(BodyError::TooLarge)) => self.watch.set(TOO_LARGE),
            None => self.watch.set(COMPLETE),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer. When it has been read to its end, its connection goes back to the pool; when it is dropped before, the
/// connection is closed with it.
pub struct PooledBody {
    inner: Incoming,
    lease: Option<Lease>,
}

impl PooledBody {
    pub(crate) fn new(inner: Incoming, lease: Lease) -> Self {
        let mut body = Self {
            inner,
            lease: Some(lease),
        };
        if body.inner.is_end_stream() {
            body.give_back();
        }
        body
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            None => self.give_back(),
            Some(Ok(_)) if self.inner.is_end_stream() => self.give_back(),
            Some(Ok(_)) => {}
            // Its lease is dropped with it: a connection that broke is not used again.
            Some(Err(_)) => self.lease = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
