//! A tunnel that stands: bytes in both directions until one side ends it, a limit does, or what permitted it does so no longer.
//!
//! Once a second it is asked again: is the token alive and not revoked, the key or certificate configured still, the destination listed, the policy of the same opinion. What ends it
//! stands in the log. A drain lets it finish up to the deadline and closes it then.

use super::Egress;
use super::request::{self, Arrived};
use super::rules::{EgressLimits, EgressRules, Listed};
use super::tail::Tail;
use super::who::{StillStands, Workload};
use crate::planes::Planes;
use countersign_net::Hold;
use countersign_policy::{PolicySet, Query, Target, decide};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How often a tunnel is asked again.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// How often policies are asked though they did not change: some speak of the time.
const DECIDED_EVERY: Duration = Duration::from_secs(30);
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

/// What a tunnel stands on.
struct Standing<P> {
    egress: Arc<Egress<P>>,
    rules: Arc<EgressRules>,
    policies: Option<Arc<PolicySet>>,
    /// When they were asked.
    decided: Instant,
    arrived: Arrived,
    workload: Workload,
    listed: Listed,
}

/// Bytes that went through.
#[derive(Default)]
struct Passed(AtomicU64);

/// Asked of the policies of now.
struct Again(Query);

impl Target for Again {
    fn query(&self) -> Query {
        self.0.clone()
    }
}

impl<P: Planes> Tunnel<P> {
    pub(super) fn new(
        egress: Arc<Egress<P>>,
        rules: Arc<EgressRules>,
        (arrived, workload, listed): (Arrived, Workload, Listed),
        outside: TcpStream,
        upgrade: OnUpgrade,
    ) -> Self {
        Self {
            standing: Standing {
                egress,
                rules,
                policies: None,
                decided: Instant::now(),
                arrived,
                workload,
                listed,
            },
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
            mut standing,
            outside,
            upgrade,
        } = self;
        let upgraded = tokio::time::timeout(UPGRADE_TIMEOUT, upgrade).await;
        let Ok(Ok(inside)) = upgraded else {
            return;
        };
        let passed = Passed::default();
        let limits = *standing.rules.limits();
        let mut drain = hold.drain();
        let withdrawn = tokio::select! {
            () = both_ways(inside, outside, &passed, limits.bytes_max) => None,
            () = drain.closing() => None,
            withdrawn = standing.withdrawn(&passed, &limits) => withdrawn,
        };
        tail.passed_on(passed.0.load(Ordering::Relaxed));
        if let Some(reason) = withdrawn {
            tail.withdrawn(reason);
        }
        drop(hold);
    }
}

impl<P: Planes> Standing<P> {
    /// Returns when the tunnel has to end: with a reason if somebody withdrew what it stands on, without one at a limit of time.
    async fn withdrawn(&mut self, passed: &Passed, limits: &EgressLimits) -> Option<&'static str> {
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
                return None;
            }
            match self.ask_again() {
                Ok(_stands) => {}
                Err(reason) => return Some(reason),
            }
        }
    }

    fn ask_again(&mut self) -> Result<StillStands, &'static str> {
        let planes = &self.egress.planes;
        let now = planes.clock().now();
        let rules = self.egress.rules.load_full();
        let stands = self.workload.standing(&**planes, &rules, now)?;
        let reloaded = !Arc::ptr_eq(&rules, &self.rules);
        if reloaded {
            self.listed = rules
                .find(&self.workload, &self.arrived.asked)
                .map_err(|refusal| refusal.code())?;
            self.rules = rules;
        }
        let policies = planes.policies();
        let same = self
            .policies
            .as_ref()
            .is_some_and(|earlier| Arc::ptr_eq(earlier, &policies));
        if reloaded || !same || self.decided.elapsed() >= DECIDED_EVERY {
            let mut query = request::query(&self.arrived, &self.workload, &self.listed);
            query.context.insert("time".to_owned(), now.0.into());
            let _permitted =
                decide(&policies, Again(query)).map_err(|denied| denied.reason().as_str())?;
            self.policies = Some(policies);
            self.decided = Instant::now();
        }
        Ok(stands)
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
