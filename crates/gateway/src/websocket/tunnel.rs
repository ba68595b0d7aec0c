//! A WebSocket that stands: bytes in both directions until a side ends it, nothing moves for too long, the gateway goes away, or what permitted it does so no
//! longer.
//!
//! Every [`ASKED_EVERY`] it is asked again, and at the moment its token ends: does the token stand, is the route still there and as it was, and, when policies
//! changed or [`DECIDED_EVERY`] has passed, do they permit it. What ends it then stands in the log, and both sides are told with a close frame if the last frame to them was whole; otherwise the connections are dropped.

use super::frames::{self, Frames, Sender};
use crate::canonical::CanonicalTarget;
use crate::pipeline::{SURFACE, Tail};
use crate::planes::Planes;
use crate::request::GatewayRequest;
use crate::routes::Upgrade;
use crate::service::Gateway;
use crate::upstream::PooledBody;
use countersign_audit::event::{self, Verdict};
use countersign_audit::{Code, Text};
use countersign_authn::{Anonymous, Standing, Subject};
use countersign_base::{RequestId, RouteId, Tenant};
use countersign_net::Hold;
use countersign_policy::{Query, Target, decide};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout};

/// How often a tunnel is asked again.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// How often unchanged policies are asked again: some look at the time.
const DECIDED_EVERY: Duration = Duration::from_secs(30);
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

/// What a tunnel stands on.
pub(crate) struct Ground {
    subject: Option<Subject>,
    query: Query,
    target: CanonicalTarget,
    route: RouteId,
    tenant: Tenant,
    request: RequestId,
    from: IpAddr,
    idle: Duration,
}

impl Ground {
    /// What was decided about this request.
    pub(crate) fn of(request: &GatewayRequest) -> Self {
        let route = &request.matched().route;
        Self {
            subject: request.caller().subject().cloned(),
            query: request.query(),
            target: request.target().clone(),
            route: route.id.clone(),
            tenant: route.tenant.clone(),
            request: request.id(),
            from: request.connection.remote.ip(),
            idle: route.idle.unwrap_or(super::IDLE),
        }
    }
}

/// Asked of the policies of now.
struct Again(Query);

impl Target for Again {
    fn query(&self) -> Query {
        self.0.clone()
    }
}

/// A tunnel whose sides have not switched yet.
pub(crate) struct Tunnel<P> {
    pub(crate) gateway: Arc<Gateway<P>>,
    pub(crate) ground: Ground,
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
    Withdrawn(&'static str),
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
            () = silence(&passed, ground.idle) => End::Away,
            reason = withdrawn(&gateway, &ground) => End::Withdrawn(reason),
        };
        tail.passed_on(usize::try_from(passed.bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX));
        let code = match end {
            End::Peers => None,
            End::Away => Some(GOING_AWAY),
            End::Withdrawn(reason) => {
                record(&gateway, &ground, reason);
                Some(POLICY_VIOLATION)
            }
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

/// Returns once the tunnel would not be permitted again, and says why.
async fn withdrawn<P: Planes>(gateway: &Gateway<P>, ground: &Ground) -> &'static str {
    let mut decided = (gateway.planes().policies(), Instant::now());
    loop {
        let planes = gateway.planes();
        let now = planes.clock().now();
        let left = ground
            .subject
            .as_ref()
            .map(|subject| subject.expires().since(now));
        let pause = left.map_or(ASKED_EVERY, |left| left.min(ASKED_EVERY));
        tokio::time::sleep(pause).await;
        if let Some(reason) = lost(gateway, ground) {
            return reason;
        }
        let (policies, now) = (planes.policies(), Instant::now());
        if Arc::ptr_eq(&policies, &decided.0) && now.duration_since(decided.1) < DECIDED_EVERY {
            continue;
        }
        if let Some(reason) = forbidden(gateway, ground) {
            return reason;
        }
        decided = (policies, now);
    }
}

/// What of its token and its route is gone.
fn lost<P: Planes>(gateway: &Gateway<P>, ground: &Ground) -> Option<&'static str> {
    let planes = gateway.planes();
    let now = planes.clock().now();
    if let Some(subject) = &ground.subject
        && let Standing::Ended(reason) = subject.standing(planes.revocations(), now)
    {
        return Some(reason.as_str());
    }
    let there = gateway.with_routes(|routes| still_there(routes, ground));
    (!there).then_some("route_changed")
}

/// Why policy would not permit it now.
fn forbidden<P: Planes>(gateway: &Gateway<P>, ground: &Ground) -> Option<&'static str> {
    let planes = gateway.planes();
    let now = planes.clock().now();
    let mut query = ground.query.clone();
    if let Some(time) = query.context.get_mut("time") {
        *time = now.0.into();
    }
    match decide(&planes.policies(), Again(query)) {
        Ok(_permitted) => None,
        Err(denied) => Some(denied.reason().as_str()),
    }
}

/// Whether the routes of now have the same route for the request, and it would take the same token.
fn still_there(routes: &crate::routes::Routes, ground: &Ground) -> bool {
    let Ok(matched) = routes.find(&ground.target) else {
        return false;
    };
    let rules = &matched.route.rules;
    let nobody = rules.anonymous() == Anonymous::Allowed;
    let token = ground.subject.as_ref().map_or(nobody, |subject| {
        let issuer = rules
            .issuers()
            .iter()
            .any(|trusted| trusted.issuer == *subject.issuer());
        issuer
            && rules.audience() == subject.audience()
            && subject.require_scopes(&matched.operation().scopes).is_ok()
    });
    let threats = matched.route.threats.as_ref();
    let place = threats.is_none_or(|threats| threats.admits(ground.from));
    token
        && place
        && matched.route.id == ground.route
        && matched.route.upgrade == Upgrade::WebSocket
}

fn record<P: Planes>(gateway: &Gateway<P>, ground: &Ground, reason: &'static str) {
    let mut decision = event::Decision::new(SURFACE, Verdict::Denied, Code::of(reason));
    decision.route = Some(ground.route.clone());
    decision.resource = Text::of(ground.route.as_str());
    let recorder = gateway.planes().recorder();
    let (tenant, request) = (&ground.tenant, Some(ground.request));
    if recorder
        .refused(ground.from, tenant, request, decision)
        .is_err()
    {
        tracing::error!("the end of a tunnel could not be recorded");
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
