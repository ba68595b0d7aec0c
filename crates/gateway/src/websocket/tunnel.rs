//! A WebSocket that stands: bytes in both directions until a side ends it, nothing moves for too long, the gateway goes away, or what permitted it does so no
//! longer ([`crate::ground`]). Then both sides are told with a close frame if the last frame to them was whole; otherwise the connections are dropped.

use super::frames::{self, Frames, Sender};
use crate::ground::{self, Ground};
use crate::pipeline::Tail;
use crate::planes::Planes;
use crate::service::Gateway;
use crate::upstream::PooledBody;
use countersign_net::Hold;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout};

/// Bytes on their way in one direction.
const BUFFER_BYTES: usize = 16 * 1024;
/// Time for both connections to switch once the answer is written.
const SWITCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a side to read the close and end its connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// `GOING_AWAY` (RFC 6455 §7.4.1).
const GOING_AWAY: u16 = 1001;
/// `POLICY_VIOLATION`.
const POLICY_VIOLATION: u16 = 1008;

/// A tunnel whose sides have not switched yet.
pub(crate) struct Tunnel<P> {
    pub(crate) gateway: Arc<Gateway<P>>,
    pub(crate) ground: Ground,
    /// How long neither side may send anything.
    pub(crate) idle: Duration,
    pub(crate) hold: Hold,
    pub(crate) caller: OnUpgrade,
    pub(crate) upstream: OnUpgrade,
    /// Holds the place at the upstream.
    pub(crate) answer: PooledBody,
    /// Ends with the tunnel.
    pub(crate) tail: Box<Tail>,
}

/// What both directions share.
struct Passed {
    began: Instant,
    bytes: AtomicU64,
    /// When the last of them passed, in milliseconds since `began`.
    last: AtomicU64,
}

impl Passed {
    fn count(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

/// One direction: from where, to where, and where in a frame it is.
struct Direction {
    from: ReadHalf<TokioIo<Upgraded>>,
    to: WriteHalf<TokioIo<Upgraded>>,
    frames: Frames,
}

/// Why a tunnel ends.
enum End {
    /// Nothing moved for too long, or the gateway goes away.
    Away,
    /// A side ended it.
    Peers,
    /// What permitted it does so no longer.
    Withdrawn,
}

impl<P: Planes> Tunnel<P> {
    /// Runs it on its own.
    pub(crate) fn begin(self) {
        tokio::spawn(self.run());
    }

    async fn run(self) {
        let Self {
            gateway,
            ground,
            idle,
            hold,
            caller,
            upstream,
            answer,
            mut tail,
        } = self;
        let both = async { tokio::try_join!(caller, upstream) };
        let Ok(Ok((caller, upstream))) = timeout(SWITCH_TIMEOUT, both).await else {
            return;
        };
        let (from_caller, to_caller) = tokio::io::split(TokioIo::new(caller));
        let (from_upstream, to_upstream) = tokio::io::split(TokioIo::new(upstream));
        let mut up = Direction::new(from_caller, to_upstream);
        let mut down = Direction::new(from_upstream, to_caller);
        let passed = Passed {
            began: Instant::now(),
            bytes: AtomicU64::new(0),
            last: AtomicU64::new(0),
        };
        let mut drain = hold.drain();
        let end = tokio::select! {
            ((), ()) = async { tokio::join!(up.pump(&passed), down.pump(&passed)) } => End::Peers,
            () = drain.begun() => End::Away,
            () = silence(&passed, idle) => End::Away,
            _lost = ground::lost(gateway, ground) => End::Withdrawn,
        };
        tail.passed_on(usize::try_from(passed.bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX));
        let code = match end {
            End::Peers => None,
            End::Away => Some(GOING_AWAY),
            End::Withdrawn => Some(POLICY_VIOLATION),
        };
        if let Some(code) = code {
            // The last bytes may take their time; nobody waits longer for them than for this.
            let closing = close(code, up, down);
            let closed = tokio::select! {
                closed = timeout(CLOSE_TIMEOUT, closing) => closed,
                () = drain.closing() => Ok(()),
            };
            if closed.is_err() {
                tracing::debug!("a side of a tunnel did not end its connection");
            }
        }
        drop((tail, answer, hold));
    }
}

/// Returns once neither side has sent anything for `idle`.
async fn silence(passed: &Passed, idle: Duration) {
    loop {
        let until = passed.last() + idle;
        if until <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(until).await;
    }
}

impl Direction {
    fn new(from: ReadHalf<TokioIo<Upgraded>>, to: WriteHalf<TokioIo<Upgraded>>) -> Self {
        Self {
            from,
            to,
            frames: Frames::default(),
        }
    }

    /// Carries bytes until this side ends, and tells the other. An error is an end.
    async fn pump(&mut self, passed: &Passed) {
        let Self { from, to, frames } = self;
        if carry(from, to, frames, passed).await.is_err() {
            tracing::debug!("a side of a tunnel broke off");
        }
        // It may be gone already.
        let _ = to.shutdown().await;
    }

    /// Tells where it goes to that this is the end, if the last frame is whole.
    async fn close(&mut self, code: u16, sender: Sender) {
        if self.frames.is_between() {
            // Whoever does not take it is dropped without.
            let _ = self.to.write_all(&frames::close(code, sender)).await;
        }
        let _ = self.to.shutdown().await;
    }
}

async fn carry<R, W>(
    from: &mut R,
    to: &mut W,
    frames: &mut Frames,
    passed: &Passed,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = from.read(&mut buffer).await?;
        let mut left = buffer.get(..length).unwrap_or_default();
        if left.is_empty() {
            return Ok(());
        }
        while !left.is_empty() {
            // Counted as they are taken: this may be given up between two pieces.
            let written = to.write(left).await?;
            let (gone, rest) = left.split_at_checked(written).unwrap_or((left, &[]));
            if gone.is_empty() {
                return Err(io::ErrorKind::WriteZero.into());
            }
            frames.read(gone);
            passed.count(gone.len());
            left = rest;
        }
        to.flush().await?;
    }
}

/// Tells both sides, and reads what they still send until they end: bytes that nobody reads would take the close with them (RFC 9293 §3.6.1).
async fn close(code: u16, mut up: Direction, mut down: Direction) {
    tokio::join!(
        up.close(code, Sender::Client),
        down.close(code, Sender::Server)
    );
    let rest = async |from: &mut ReadHalf<TokioIo<Upgraded>>| {
        let _ = tokio::io::copy(from, &mut tokio::io::sink()).await;
    };
    tokio::join!(rest(&mut up.from), rest(&mut down.from));
}
