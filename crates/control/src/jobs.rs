//! What runs beside the requests: reading revocations, rotating keys and rewrapping what older ones sealed, sweeping what expired, refreshing foreign keys, emptying the outbox.
//!
//! A job that fails is logged and tried again at its next turn; what its staleness means is decided where the data is used.

use crate::fabric::Fabric;
use countersign_base::{Duration, Tenant};
use countersign_store::Store;
use countersign_store::audit::AuditLog;
use std::sync::{Arc, Weak};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

const DELIVERIES_EVERY: Duration = Duration::from_secs(1);
const REVOCATIONS_EVERY: Duration = Duration::from_secs(1);
/// How long another node may have the key of somebody at hand who was erased here, and a little more.
const ERASURES_EVERY: Duration = Duration::from_secs(1);
/// How long another node may not know a version of a key that was made here, and a little more.
const HIERARCHY_EVERY: Duration = Duration::from_secs(1);
/// Keys from before there were epochs that one turn takes in, in so many units.
const TAKEN_IN: (u16, u16) = (200, 50);
const FOREIGN_KEYS_EVERY: Duration = Duration::from_secs(5);
const UPKEEP_EVERY: Duration = Duration::from_secs(60);

/// The running jobs.
pub(crate) struct Jobs {
    end: watch::Sender<()>,
    tasks: Vec<JoinHandle<()>>,
}

impl Jobs {
    pub(crate) fn start(fabric: &Arc<Fabric>) -> Self {
        let (end, ending) = watch::channel(());
        let tasks = vec![
            tokio::spawn(every(
                DELIVERIES_EVERY,
                Arc::downgrade(fabric),
                ending.clone(),
                deliveries,
            )),
            tokio::spawn(every(
                REVOCATIONS_EVERY,
                Arc::downgrade(fabric),
                ending.clone(),
                revocations,
            )),
            tokio::spawn(every(
                ERASURES_EVERY,
                Arc::downgrade(fabric),
                ending.clone(),
                erasures,
            )),
            tokio::spawn(every(
                FOREIGN_KEYS_EVERY,
                Arc::downgrade(fabric),
                ending.clone(),
                foreign_keys,
            )),
            tokio::spawn(every(
                UPKEEP_EVERY,
                Arc::downgrade(fabric),
                ending.clone(),
                upkeep,
            )),
            tokio::spawn(every(
                HIERARCHY_EVERY,
                Arc::downgrade(fabric),
                ending.clone(),
                hierarchy,
            )),
            tokio::spawn(wake_sequencer(
                fabric.store().clone(),
                fabric.audit().clone(),
                ending,
            )),
        ];
        Self { end, tasks }
    }

    /// Lets the turn that runs finish, and no other begin.
    pub(crate) async fn stop(self) {
        drop(self.end);
        for task in self.tasks {
            // A job that panicked has ended too.
            let _ = task.await;
        }
    }
}

/// Tells the audit log when a transaction put an event into the outbox, so that it is in the log at once and not at the next look.
async fn wake_sequencer(store: Store, audit: AuditLog, mut ending: watch::Receiver<()>) {
    loop {
        tokio::select! {
            biased;
            _ = ending.changed() => return,
            () = store.outbox_waits() => audit.outbox_changed(),
        }
    }
}

/// Runs `job` once an interval, for as long as the fabric is there. The first turn comes after one interval: start has done all of it once.
async fn every<F>(
    interval: Duration,
    fabric: Weak<Fabric>,
    mut ending: watch::Receiver<()>,
    job: impl Fn(Arc<Fabric>) -> F,
) where
    F: Future<Output = ()>,
{
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            biased;
            _ = ending.changed() => return,
            _ = ticks.tick() => {}
        }
        let Some(fabric) = fabric.upgrade() else {
            return;
        };
        job(fabric).await;
    }
}

async fn revocations(fabric: Arc<Fabric>) {
    match fabric
        .revocations()
        .refresh(fabric.store(), fabric.now())
        .await
    {
        // What another node revoked is not believed for another moment.
        Ok(clients) => clients
            .iter()
            .for_each(|(tenant, client)| fabric.directory().client_changed(tenant, client)),
        Err(_) => tracing::warn!(event = "revocations_not_read"),
    }
    fabric
        .metrics()
        .revocations
        .set(i64::try_from(fabric.revocations().len()).unwrap_or(i64::MAX));
}

/// What another node erased goes from this one too.
async fn erasures(fabric: Arc<Fabric>) {
    if fabric.details().take_erasures().await.is_err() {
        tracing::warn!(event = "erasures_not_taken_up");
    }
}

/// Versions that another node made are read, and what older ones sealed is sealed again.
async fn hierarchy(fabric: Arc<Fabric>) {
    if let Err(error) = fabric.rotation().turn().await {
        tracing::warn!(event = "hierarchy_not_rotated", %error);
    }
}

/// Keys from before there were epochs come under the epoch key, some at a time.
async fn take_in(fabric: &Fabric) {
    let (limit, units) = TAKEN_IN;
    for _ in 0..units {
        match fabric.details().take_in(limit).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(_) => {
                tracing::warn!(event = "subject_keys_not_taken_in");
                return;
            }
        }
    }
}

async fn deliveries(fabric: Arc<Fabric>) {
    if crate::deliveries::deliver_due(&fabric).await.is_err() {
        tracing::warn!(event = "deliveries_not_settled");
    }
}

/// Sets are renewed off the path of requests, and soon after they may be.
async fn foreign_keys(fabric: Arc<Fabric>) {
    fabric.foreign_keys().refresh().await;
}

async fn upkeep(fabric: Arc<Fabric>) {
    let tenants: Vec<Tenant> = fabric
        .directory()
        .tenants()
        .iter()
        .map(|tenant| tenant.name.clone())
        .collect();
    if fabric.keys().advance(&tenants, |_| {}).await.is_err() {
        tracing::warn!(event = "key_rotation_failed");
    }
    fabric
        .metrics()
        .signing_keys
        .set(i64::try_from(fabric.keys().len()).unwrap_or(i64::MAX));
    take_in(&fabric).await;
    if fabric.store().sweep_all(fabric.now()).await.is_err() {
        tracing::warn!(event = "sweep_failed");
    }
}
