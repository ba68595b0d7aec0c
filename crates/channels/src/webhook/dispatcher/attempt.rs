//! One attempt: open the body, make what is sent, send it, and say how it went and what is to be settled.

use super::endpoints::{Endpoint, Target};
use super::outgoing::outgoing;
use super::turns::{Ended, Rest};
use super::verdict::{Asks, Verdict};
use super::{Context, breaker::Said};
use countersign_audit::event::DeliveryEnded;
use countersign_audit::{Code, Count, Record, Text};
use countersign_base::{Duration, UnixMillis, UnixTime};
use countersign_keys::{Aad, Sealed, envelope};
use countersign_store::webhooks::{Lane, TakenWebhook, WebhookOutcome, WebhookSettlement};
use tokio::time::Instant;

/// When what was not tried is due again.
const RELEASED_FOR: Duration = Duration::from_secs(1);

/// An attempt that ended.
pub(super) struct Done {
    pub(super) lane: Lane,
    pub(super) settlement: WebhookSettlement,
    /// When others may take it.
    pub(super) held_until: UnixTime,
    pub(super) ended: Ended,
    pub(super) verdict: Verdict,
    /// When the endpoint as it was tried had been changed last.
    pub(super) endpoint_changed: UnixTime,
}

/// A delivery that is held until then.
pub(super) struct Held {
    pub(super) taken: TakenWebhook,
    pub(super) until: UnixTime,
}

/// Makes the attempt.
pub(super) async fn attempt(cx: &Context, endpoint: &Endpoint, held: Held) -> Done {
    let began = Instant::now();
    let verdict = send(cx, endpoint, &held.taken).await;
    let took_ms = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
    cx.fabric
        .metrics()
        .webhooks
        .attempted(verdict.outcome(), began.elapsed());
    done(cx, endpoint, held, verdict, took_ms)
}

async fn send(cx: &Context, endpoint: &Endpoint, taken: &TakenWebhook) -> Verdict {
    let (fabric, message) = (&cx.fabric, &taken.message);
    let id = message.id.as_bytes();
    let place = Aad::row(&message.tenant, "webhook_messages", "sealed", id);
    let sealed = Sealed::from_bytes(message.sealed.clone());
    let Ok(body) = envelope::open(&*fabric.secrets().keks(), &place, &sealed) else {
        return Verdict::failed("message_unreadable");
    };
    let now = fabric.now();
    let outgoing = match outgoing(endpoint, message, &body, fabric.random(), now) {
        Ok(outgoing) => outgoing,
        Err(reason) => return Verdict::failed(reason),
    };
    drop(body);
    let receivers = cx.receivers.load_full();
    let answered = match &endpoint.target {
        Target::Receiver(to) => {
            let sent = receivers.send(&to.receiver, outgoing.headers, outgoing.body);
            sent.await
        }
        Target::Service(to) => to.send(&outgoing).await,
        Target::Unusable(reason) => return Verdict::failed(reason),
    };
    Verdict::of(&answered)
}

fn done(
    cx: &Context,
    endpoint: &Endpoint,
    Held { taken, until }: Held,
    verdict: Verdict,
    took_ms: u32,
) -> Done {
    let now = cx.fabric.now();
    let outcome = outcome(cx, endpoint, &taken, verdict, took_ms);
    let event = match outcome {
        WebhookOutcome::Dead { reason, .. } => Some(event(cx, &taken, "dead", Some(reason))),
        WebhookOutcome::Delivered { .. } => Some(event(cx, &taken, "delivered", None)),
        WebhookOutcome::Later { .. } | WebhookOutcome::Released { .. } => None,
    };
    Done {
        ended: ended(endpoint, verdict, took_ms, now),
        lane: taken.lane,
        settlement: WebhookSettlement {
            ticket: taken.ticket,
            outcome,
            event,
        },
        held_until: until,
        verdict,
        endpoint_changed: endpoint.changed(),
    }
}

fn outcome(
    cx: &Context,
    endpoint: &Endpoint,
    taken: &TakenWebhook,
    verdict: Verdict,
    took_ms: u32,
) -> WebhookOutcome {
    let now = cx.fabric.now();
    let dead = |reason, status| WebhookOutcome::Dead {
        reason,
        status,
        took_ms,
    };
    match verdict {
        Verdict::Delivered { status } => WebhookOutcome::Delivered { status, took_ms },
        Verdict::Gone => dead("gone", Some(410)),
        Verdict::Never { reason } => dead(reason, None),
        Verdict::Untried => WebhookOutcome::Released {
            due: now.plus(RELEASED_FOR),
        },
        Verdict::Failed(failure) => {
            let (reason, status) = (failure.reason, failure.status);
            let rules = cx.fabric.webhook_rules();
            let schedule = rules.schedules.named(&endpoint.retries);
            let random = cx.fabric.random();
            match schedule.due(taken.attempt, failure.retry_after, random, now) {
                Some(due) => WebhookOutcome::Later {
                    due,
                    reason,
                    status,
                    took_ms,
                },
                None => dead(reason, status),
            }
        }
    }
}

/// What the attempt says of the endpoint.
fn ended(endpoint: &Endpoint, verdict: Verdict, took_ms: u32, now: UnixTime) -> Ended {
    let (said, rest) = match verdict {
        Verdict::Delivered { .. } => (Some(Said::Good), None),
        Verdict::Gone => (Some(Said::Bad), None),
        // Nothing was connected to: what can't be delivered dies as fast as it comes.
        Verdict::Never { .. } | Verdict::Untried => (None, None),
        Verdict::Failed(failure) => {
            let until = failure.retry_after.map(|asked| asked.time(now));
            let until = until.map(|time| UnixMillis(time.0.saturating_mul(1_000)));
            let rest = match failure.asks {
                Asks::Less => Some(Rest { until }),
                Asks::Nothing => None,
            };
            (Some(Said::Bad), rest)
        }
    };
    Ended {
        said,
        took: Duration::from_millis(took_ms.into()),
        concurrency: endpoint.wants.concurrency,
        rest,
    }
}

fn event(
    cx: &Context,
    taken: &TakenWebhook,
    outcome: &'static str,
    reason: Option<&'static str>,
) -> Record {
    let event = DeliveryEnded {
        attempts: Count::of(u64::from(taken.attempt)),
        delivery: Text::of(&taken.message.id.to_string()),
        destination: Text::of(&taken.lane.endpoint.to_string()),
        kind: Code::of("webhook"),
        outcome: Code::of(outcome),
        reason: reason.map(Code::of),
    };
    let tenant = &taken.lane.tenant;
    cx.fabric.recorder().about_event(tenant, None, event)
}
