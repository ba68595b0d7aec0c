//! Ends a connection whose peer takes nothing of what is written to it for too long: whoever stops reading would hold what its answer holds for as long as they like.
//!
//! A connection that takes everything at once costs nothing: the timer is made when the first write has to wait.

mod body;

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

pub(crate) use body::TakenBody;

/// A stream whose writes wait so long and no longer.
pub(crate) struct Taken<S> {
    inner: S,
    patience: Duration,
    /// Absent before the first write that waited.
    timer: Option<Pin<Box<Sleep>>>,
    peer: Peer,
}

/// What became of the last write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Takes,
    Waits,
}

impl<S> Taken<S> {
    pub(crate) const fn new(inner: S, patience: Duration) -> Self {
        Self {
            inner,
            patience,
            timer: None,
            peer: Peer::Takes,
        }
    }

    /// What is left of a write: while it waits, so does the timer.
    fn within<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.peer = Peer::Takes;
            return polled;
        }
        let timer = match (&mut self.timer, self.peer) {
            (Some(timer), Peer::Waits) => timer,
            (Some(timer), Peer::Takes) => {
                timer.as_mut().reset(Instant::now() + self.patience);
                timer
            }
            (none @ None, Peer::Takes | Peer::Waits) => {
                none.insert(Box::pin(tokio::time::sleep(self.patience)))
            }
        };
        self.peer = Peer::Waits;
        timer
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taken<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taken<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.within(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.within(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
