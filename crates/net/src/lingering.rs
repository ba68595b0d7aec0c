//! The last moments of a connection that is closed while its peer still sends (RFC 9112 §9.6).
//!
//! A socket that is closed with bytes unread answers the next ones with a reset, and a reset can overtake the answer that was written before it: whoever sends a body that is too large
//! would be told that the connection broke, and would send it again. So our half is closed first, and what still comes is thrown away unread until the peer has closed its own, within
//! limits: what a refusal costs stays known.

use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Sleep;

/// Bytes thrown away in one go.
const PIECE_BYTES: usize = 8 * 1024;

/// How long and how much a connection still takes after its last answer.
pub(crate) struct Lingering {
    over: Pin<Box<Sleep>>,
    left: usize,
}

impl Lingering {
    /// Begins now.
    pub(crate) fn new(timeout: Duration, bytes_max: usize) -> Self {
        Self {
            over: Box::pin(tokio::time::sleep(timeout)),
            left: bytes_max,
        }
    }

    /// Throws away what comes, until nothing more can come or a limit is reached.
    pub(crate) fn poll<I: AsyncRead + Unpin>(
        &mut self,
        inner: &mut I,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut piece = [MaybeUninit::uninit(); PIECE_BYTES];
        while self.left > 0 && self.over.as_mut().poll(cx).is_pending() {
            let mut thrown_away = ReadBuf::uninit(&mut piece);
            match Pin::new(&mut *inner).poll_read(cx, &mut thrown_away) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !thrown_away.filled().is_empty() => {
                    self.left = self.left.saturating_sub(thrown_away.filled().len());
                }
                // The end, or an error, which is one too.
                Poll::Ready(Ok(()) | Err(_)) => break,
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests;
