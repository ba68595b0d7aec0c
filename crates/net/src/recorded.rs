//! Keeps a copy of the first bytes of a connection while its handshake goes on, so that its ClientHello can be looked at. Afterwards it passes everything through.

use crate::ja4::{HELLO_BYTES_MAX, Ja4};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream and what came first on it.
pub(crate) struct Recorded<S> {
    inner: S,
    /// Absent once nobody needs it.
    first: Option<Vec<u8>>,
}

impl<S> Recorded<S> {
    pub(crate) const fn new(inner: S) -> Self {
        Self {
            inner,
            first: Some(Vec::new()),
        }
    }

    /// The fingerprint of what was recorded, which is given up with it.
    pub(crate) fn fingerprint(&mut self) -> Option<Ja4> {
        self.first.take().and_then(|first| Ja4::of(&first))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if let Some(first) = &mut self.first {
            let room = HELLO_BYTES_MAX.saturating_sub(first.len());
            let came = buf.filled().get(before..).unwrap_or_default();
            first.extend(came.iter().take(room));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
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
