//! Settles what ended, as many together as ended meanwhile, and then gives the endpoints their turns back.
//!
//! Until an attempt is settled it counts as under way: so what waits to be settled is bounded, and of an ordered endpoint the next is taken when the one before it is durable.

use super::Context;
use super::attempt::Done;
use super::turns::Ended;
use super::verdict::Verdict;
use countersign_audit::event::WebhookEndpointDisabled;
use countersign_audit::{Code, Text};
use countersign_base::{Duration, UnixTime};
use countersign_store::StoreError;
use countersign_store::Write;
use countersign_store::tables::webhook_deliveries::{Taking, taking};
use countersign_store::tables::webhook_endpoints::{self, DisabledBecause, EndpointSwitch};
use countersign_store::webhooks::{Lane, WebhookOutcome, WebhookWrite};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Attempts that are settled in one unit.
const TOGETHER_MAX: usize = 512;

/// What the taker hears.
pub(super) type Settled = Vec<(Lane, Ended)>;

/// An endpoint that took nothing for so long is disabled. Where what was delivered is not kept for longer, nobody knows whether it did, and none is.
const FAILS_FOR: Duration = Duration::from_secs(5 * 86_400);
/// How often it is looked whether one does.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);
/// Endpoints of which it is remembered that it was looked.
const LOOKED_MAX: usize = 4_096;

/// Endpoints at which something died, and when it was looked last whether they take anything.
#[derive(Default)]
struct Failing(HashMap<Lane, UnixTime>);

impl Failing {
    /// Whether it is time to look.
    fn is_due(&mut self, lane: &Lane, now: UnixTime) -> bool {
        if self
            .0
            .get(lane)
            .is_some_and(|looked| now.since(*looked) < LOOK_EVERY)
        {
            return false;
        }
        if self.0.len() >= LOOKED_MAX {
            self.0.clear();
        }
        self.0.insert(lane.clone(), now);
        true
    }
}

/// Settles until nobody sends any more.
pub(super) async fn settle(
    cx: Arc<Context>,
    mut done: mpsc::Receiver<Done>,
    settled: mpsc::UnboundedSender<Settled>,
) {
    let mut together = Vec::new();
    let mut failing = Failing::default();
    while done.recv_many(&mut together, TOGETHER_MAX).await > 0 {
        let mut settlements = Vec::with_capacity(together.len());
        let mut ended = Vec::with_capacity(together.len());
        let (mut gone, mut died) = (BTreeMap::new(), BTreeSet::new());
        for done in together.drain(..) {
            if done.verdict == Verdict::Gone {
                gone.insert(
                    done.lane.clone(),
                    (DisabledBecause::Gone, done.endpoint_changed),
                );
            }
            if let WebhookOutcome::Dead { .. } = done.settlement.outcome {
                died.insert(done.lane.clone());
            }
            settlements.push(done.settlement);
            ended.push((done.lane, done.ended));
        }
        let now = cx.fabric.now();
        let (store, kept) = (cx.fabric.store(), cx.fabric.webhook_rules().kept);
        if let Err(error) = store.settle_webhooks(settlements, kept, now).await {
            // All of them are delivered again when their leases end; receivers tell by the id.
            tracing::warn!(event = "webhooks_not_settled", %error);
        }
        for lane in died {
            if failing.is_due(&lane, now)
                && let Some(changed) = fails_for_days(&cx, &lane, now).await
            {
                gone.insert(lane, (DisabledBecause::Failing, changed));
            }
        }
        for (lane, (because, changed)) in gone {
            if let Err(error) = disable(&cx, &lane, because, changed).await {
                tracing::warn!(event = "webhook_endpoint_not_disabled", %error);
            }
        }
        // Nobody hears it when the dispatcher has stopped.
        let _ = settled.send(ended);
    }
}

/// When an endpoint was changed last, if it has taken nothing for days. One that was changed or enabled since gets as many days anew. Where the store does not say, it is asked again at
/// the next death.
async fn fails_for_days(cx: &Context, lane: &Lane, now: UnixTime) -> Option<UnixTime> {
    let since = now.minus(FAILS_FOR);
    let known = now.minus(cx.fabric.webhook_rules().kept.delivered);
    let asked = async {
        let mut connection = cx.fabric.store().read().await?;
        let (tenant, id) = (&lane.tenant, lane.endpoint);
        let found = webhook_endpoints::find(&mut connection, tenant, id).await?;
        let Some(changed) = found.map(|row| row.changed).filter(|time| *time <= since) else {
            return Ok(None);
        };
        let taking = taking(&mut connection, tenant, id, (known, since)).await?;
        Ok::<_, StoreError>((taking == Taking::Nothing).then_some(changed))
    };
    asked.await.unwrap_or_default()
}

/// Disables an endpoint, with the event; one that is disabled already stays so, and so does one that was changed since: what its old address said, the new one did not.
async fn disable(
    cx: &Context,
    lane: &Lane,
    because: DisabledBecause,
    changed: UnixTime,
) -> Result<(), StoreError> {
    let mut connection = cx.fabric.store().read().await?;
    let found = webhook_endpoints::find(&mut connection, &lane.tenant, lane.endpoint).await?;
    drop(connection);
    if found.is_none_or(|row| row.changed != changed) {
        return Ok(());
    }
    let event = WebhookEndpointDisabled {
        endpoint: Text::of(&lane.endpoint.to_string()),
        reason: Code::of(because.as_str()),
    };
    let record = cx.fabric.recorder().about_event(&lane.tenant, None, event);
    let switch = WebhookWrite::SwitchEndpoint(lane.endpoint, EndpointSwitch::Disabled(because));
    let writes = vec![Write::Webhook(Box::new(switch))];
    let now = cx.fabric.now();
    let changed = cx.fabric.store().change(&lane.tenant, writes, record, now);
    match changed.await {
        Ok(_) | Err(StoreError::Superseded(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
