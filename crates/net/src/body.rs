//! A request's body under a limit of bytes and a limit of patience.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The peer broke off or broke the framing.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    /// The next piece did not come in time.
    #[error("the body stopped arriving")]
    Idle,
    /// More bytes than allowed.
    #[error("the body is larger than allowed")]
    TooLarge,
}

/// An inbound body that ends with an error past its limits. Trailers are dropped: nothing downstream may trust them (HDR-8).
pub struct InboundBody {
    /// Absent if there never was one.
    inner: Option<Incoming>,
    left: u64,
    idle: Duration,
    // Made on the first wait: a body that is already there costs no timer.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl InboundBody {
    /// Limits `inner` to `bytes_max` bytes and `idle` between two pieces.
    #[must_use]
    pub const fn new(inner: Incoming, bytes_max: u64, idle: Duration) -> Self {
        Self {
            inner: Some(inner),
            left: bytes_max,
            idle,
            sleep: None,
        }
    }

    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            inner: None,
            left: 0,
            idle: Duration::ZERO,
            sleep: None,
        }
    }

    /// Whether the length that the peer announced is over the limit already.
    #[must_use]
    pub fn announced_too_large(&self) -> bool {
        self.size_hint().lower() > self.left
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let idle = self.idle;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(BodyError::Idle)
    }
}

impl Body for InboundBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            let Some(inner) = &mut this.inner else {
                return Poll::Ready(None);
            };
            let frame = match Pin::new(inner).poll_frame(cx) {
                Poll::Pending => return this.poll_idle(cx).map(|error| Some(Err(error))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(BodyError::Broken(error))));
                }
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            if let Some(sleep) = &mut this.sleep {
                sleep.as_mut().reset(Instant::now() + this.idle);
            }
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
            let Some(left) = this.left.checked_sub(length) else {
                return Poll::Ready(Some(Err(BodyError::TooLarge)));
            };
            this.left = left;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let none = || SizeHint::with_exact(0);
        self.inner.as_ref().map_or_else(none, Body::size_hint)
    }
}
