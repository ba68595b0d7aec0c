//! A connection's stream whose requests are read by [`Framing`] first, and whose end waits for a peer that is in the middle of one.

use super::{Blank, Framing, Part, Place, Wrong};
use crate::lingering::Lingering;
use crate::{Connection, limits};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is still to be done on a connection after a wrong byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ahead {
    End,
    Error,
    Reading,
}

/// A connection's stream whose requests are read by [`Framing`] first.
pub(crate) struct Framed<I> {
    inner: I,
    connection: Arc<Connection>,
    framing: Framing,
    ahead: Ahead,
    closing: Closing,
}

/// How far the connection's end has come.
enum Closing {
    /// Its end has not begun, or our half is being closed.
    Ours,
    /// Our half is closed; the peer's still brings what nobody will read.
    Theirs(Lingering),
    /// Both are, or the peer's does not matter.
    Done,
}

impl<I> Framed<I> {
    pub(crate) const fn new(inner: I, connection: Arc<Connection>) -> Self {
        Self {
            inner,
            connection,
            framing: Framing::new(),
            ahead: Ahead::Reading,
            closing: Closing::Ours,
        }
    }

    /// Whether the peer may be in the middle of a request that nobody reads to its end.
    fn is_unfinished(&self) -> bool {
        !self.connection.framing.handed_over.load(Ordering::Acquire)
            && (self.framing.part != Part::Request(Blank::Allowed) || self.ahead != Ahead::Reading)
    }

    /// Takes back what follows the last good byte. In a head, a NUL takes its place: no reader takes that for anything.
    fn cut(&mut self, buf: &mut ReadBuf<'_>, filled_before: usize, wrong: Wrong) -> io::Result<()> {
        self.connection.framing.told(wrong.fault);
        buf.set_filled(filled_before + wrong.at);
        match wrong.place {
            Place::Head => {
                buf.put_slice(&[0]);
                self.ahead = Ahead::End;
                Ok(())
            }
            Place::Body if wrong.at > 0 => {
                self.ahead = Ahead::Error;
                Ok(())
            }
            Place::Body => {
                self.ahead = Ahead::End;
                Err(broken())
            }
        }
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the framing is broken")
}

impl<I: AsyncRead + Unpin> AsyncRead for Framed<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.ahead {
            Ahead::End => return Poll::Ready(Ok(())),
            Ahead::Error => {
                this.ahead = Ahead::End;
                return Poll::Ready(Err(broken()));
            }
            Ahead::Reading => {}
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        if this.connection.framing.handed_over.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        let new = buf.filled().get(before..).unwrap_or_default();
        match this.framing.read(new) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(wrong) => Poll::Ready(this.cut(buf, before, wrong)),
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Framed<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            this.closing = match &mut this.closing {
                Closing::Ours => {
                    ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
                    if this.is_unfinished() {
                        Closing::Theirs(Lingering::new(
                            limits::LINGER_TIMEOUT,
                            limits::LINGER_BYTES_MAX,
                        ))
                    } else {
                        Closing::Done
                    }
                }
                Closing::Theirs(lingering) => {
                    ready!(lingering.poll(&mut this.inner, cx));
                    Closing::Done
                }
                Closing::Done => return Poll::Ready(Ok(())),
            };
        }
    }
}
