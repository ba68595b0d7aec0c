//! The dispatcher: takes what is due from the outbox of webhooks, signs it, sends it, and settles it.
//!
//! Three tasks. One takes: it looks for endpoints that something waits for, asks whose turn it is ([`turns`]), and takes as much as each has room for, with a lease. Each attempt
//! is a task of its own: it opens the body, signs and sends it ([`attempt`]). One settles what ended, as many together as ended meanwhile, and gives the endpoints their turns back.
//! Nothing of it is only in memory: what is not settled, because this process ended, is taken again when its lease ends, or when the
//! process of an embedded database starts again, and goes out with the same id. Where the store fails, settling is tried again for as long as the leases hold.
//!
//! Several processes may do this on one database: they share what waits by leases. The rate of an endpoint and its breaker each counts for itself.
//!
//! Not here: what is due and in which order (`store`), connections (`net`), and who wants what (`control`).

mod attempt;
mod breaker;
mod bucket;
mod endpoints;
mod outgoing;
mod pace;
mod settling;
mod taker;
mod to_service;
mod trust;
mod turns;
mod verdict;

pub use outgoing::webhook_id;
pub use trust::{Service, Services, Trust};
pub use turns::Share;

use arc_swap::ArcSwap;
use countersign_base::Duration;
use countersign_control::Fabric;
use countersign_net::DeliveryPool;
use endpoints::Endpoints;
use settling::Settled;
use std::sync::Arc;
use taker::Taker;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The longest that an attempt may take.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// How long a lease holds: longer than the slowest attempt and its settling take.
pub const LEASE: Duration = Duration::from_secs(90);
const _: () = assert!(LEASE.as_secs() >= TIMEOUT_MAX.as_secs() + 30);

/// What a dispatcher is started with.
pub struct DispatcherOptions {
    /// The connections to receivers elsewhere, each exchange of which takes [`TIMEOUT_MAX`] at most, as those to services do.
    pub receivers: DeliveryPool,
    /// Whom to believe and as whom to appear.
    pub trust: Trust,
    /// The services that take what comes in.
    pub inbound: Services,
    /// How much may be under way.
    pub share: Share,
}

/// What all its tasks share.
struct Context {
    fabric: Arc<Fabric>,
    receivers: ArcSwap<DeliveryPool>,
}

/// A running dispatcher. Dropping it ends it at once; what is under way then is delivered again.
pub struct Dispatcher {
    stop: watch::Sender<Running>,
    taking: JoinHandle<()>,
    settling: JoinHandle<()>,
    cx: Arc<Context>,
    trust: Arc<ArcSwap<Trust>>,
    inbound: Arc<ArcSwap<Services>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Running {
    /// Taking.
    Yes,
    /// Taking no more, and waiting until then for what is under way.
    Until(Instant),
}

impl Dispatcher {
    /// Starts it, in this runtime.
    #[must_use]
    pub fn start(fabric: &Arc<Fabric>, options: DispatcherOptions) -> Self {
        let trust = Arc::new(ArcSwap::from_pointee(options.trust));
        let inbound = Arc::new(ArcSwap::from_pointee(options.inbound));
        let cx = Arc::new(Context {
            fabric: Arc::clone(fabric),
            receivers: ArcSwap::from_pointee(options.receivers),
        });
        let (stop, stopping) = watch::channel(Running::Yes);
        let (done, ended) = mpsc::channel(options.share.all);
        let (settled, hears) = mpsc::unbounded_channel();
        let endpoints =
            Endpoints::new(Arc::clone(fabric), Arc::clone(&trust), Arc::clone(&inbound));
        let taker = Taker::new(Arc::clone(&cx), endpoints, options.share, done);
        let settling = settling::settle(Arc::clone(&cx), ended, settled, stopping.clone());
        Self {
            stop,
            taking: tokio::spawn(take(Arc::clone(&cx), taker, hears, stopping)),
            settling: tokio::spawn(settling),
            cx,
            trust,
            inbound,
        }
    }

    /// Reaches receivers by these connections from now on.
    pub fn replace_receivers(&self, receivers: DeliveryPool) {
        self.cx.receivers.store(Arc::new(receivers));
    }

    /// Believes and shows this from now on.
    pub fn replace_trust(&self, trust: Trust) {
        self.trust.store(Arc::new(trust));
    }

    /// Brings what comes in to these services from now on.
    pub fn replace_services(&self, services: Services) {
        self.inbound.store(Arc::new(services));
    }

    /// Takes no more, waits up to `deadline` for what is under way and until it is settled, and ends. What is under way then is delivered again by whoever takes it next.
    pub async fn stop(self, deadline: Duration) {
        let until = Instant::now() + deadline;
        self.stop.send_replace(Running::Until(until));
        // A task that panicked has ended too.
        let _ = self.taking.await;
        let _ = self.settling.await;
    }
}

async fn take(
    cx: Arc<Context>,
    mut taker: Taker,
    mut settled: mpsc::UnboundedReceiver<Settled>,
    mut stopping: watch::Receiver<Running>,
) {
    let store = cx.fabric.store();
    loop {
        let next = taker.take().await;
        cx.fabric.metrics().webhooks.under_way(taker.under_way());
        tokio::select! {
            biased;
            // An error means that nobody can stop it any more: it ends.
            _ = stopping.changed() => break,
            Some(ended) = settled.recv() => {
                taker.settled(ended);
                while let Ok(ended) = settled.try_recv() {
                    taker.settled(ended);
                }
            }
            () = store.webhooks_wait() => taker.woken(),
            () = tokio::time::sleep_until(next) => {}
        }
    }
    let until = match *stopping.borrow() {
        Running::Until(until) => until,
        Running::Yes => Instant::now(),
    };
    while taker.under_way() > 0 {
        match tokio::time::timeout_at(until, settled.recv()).await {
            Ok(Some(ended)) => taker.settled(ended),
            Ok(None) | Err(_) => break,
        }
    }
    taker.abort().await;
}

#[cfg(test)]
mod tests;
