//! A tunnel that stands: bytes in both directions until one side ends it, a limit does, or what permitted it does so no longer.
//!
//! [`super::standing`] asks whether it is still permitted. A drain lets it finish up to the deadline and closes it then.

use super::rules::EgressLimits;
use super::standing::{ASKED_EVERY, Standing};
use super::tail::Tail;
use crate::planes::Planes;
use countersign_net::Hold;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Bytes on their way in one direction.
const BUFFER_BYTES: usize = 16 * 1024;
/// Time for the connection to become a tunnel once the answer is written.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// A tunnel that is connected and has not begun.
pub(super) struct Tunnel<P> {
    standing: Standing<P>,
    outside: TcpStream,
    upgrade: OnUpgrade,
}

/// Bytes that went through.
#[derive(Default)]
struct Passed(AtomicU64);

impl<P: Planes> Tunnel<P> {
    pub(super) const fn new(standing: Standing<P>, outside: TcpStream, upgrade: OnUpgrade) -> Self {
        Self {
            standing,
            outside,
            upgrade,
        }
    }

    /// Runs it on its own; `tail` ends with it, and the connection counts as open for as long.
    pub(super) fn begin(self, hold: Hold, tail: Tail) {
        tokio::spawn(self.run(hold, tail));
    }

    async fn run(self, hold: Hold, mut tail: Tail) {
        let Self {
            standing,
            outside,
            upgrade,
        } = self;
        let upgraded = tokio::time::timeout(UPGRADE_TIMEOUT, upgrade).await;
        let Ok(Ok(inside)) = upgraded else {
            return;
        };
        let passed = Passed::default();
        let limits = *standing.rules().limits();
        let mut drain = hold.drain();
        let withdrawn = tokio::select! {
            () = both_ways(inside, outside, &passed, limits.bytes_max) => None,
            () = drain.closing() => None,
            () = spent(&passed, &limits) => None,
            reason = standing.withdrawn() => Some(reason),
        };
        tail.passed_on(passed.0.load(Ordering::Relaxed));
        if let Some(reason) = withdrawn {
            tail.withdrawn(reason);
        }
        drop(hold);
    }
}

/// Returns at a limit of time.
async fn spent(passed: &Passed, limits: &EgressLimits) {
    let until = Instant::now() + limits.total;
    let (mut seen, mut seen_at) = (0, Instant::now());
    loop {
        tokio::time::sleep_until(until.min(Instant::now() + ASKED_EVERY)).await;
        let now = Instant::now();
        let bytes = passed.0.load(Ordering::Relaxed);
        if bytes != seen {
            (seen, seen_at) = (bytes, now);
        }
        if now >= until || now.duration_since(seen_at) >= limits.idle {
            return;
        }
    }
}

/// Passes bytes on until both sides have ended, one has broken off, or `bytes_max` is reached.
async fn both_ways(inside: Upgraded, outside: TcpStream, passed: &Passed, bytes_max: u64) {
    let (inside_read, inside_write) = tokio::io::split(TokioIo::new(inside));
    let (outside_read, outside_write) = outside.into_split();
    // One side that breaks off ends both; one that ends in order lets the other finish.
    let _ended = tokio::try_join!(
        pass(inside_read, outside_write, passed, bytes_max),
        pass(outside_read, inside_write, passed, bytes_max),
    );
}

async fn pass<R, W>(mut from: R, mut to: W, passed: &Passed, bytes_max: u64) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return to.shutdown().await;
        }
        let length = u64::try_from(count).unwrap_or(u64::MAX);
        if passed
            .0
            .fetch_add(length, Ordering::Relaxed)
            .saturating_add(length)
            > bytes_max
        {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        to.write_all(bytes).await?;
    }
}
