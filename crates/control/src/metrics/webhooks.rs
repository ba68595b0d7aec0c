//! What the dispatcher of webhooks does, in numbers.

use countersign_base::Duration;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// How an attempt to deliver a webhook ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WebhookLabels {
    /// `delivered`, `failed`, `gone`, `refused` (it can never be delivered there) or `untried` (there was no room).
    pub outcome: &'static str,
}

/// The numbers.
#[derive(Clone)]
pub struct WebhookMetrics {
    attempts: Family<WebhookLabels, Counter>,
    not_settled: Counter,
    seconds: Histogram,
    under_way: Gauge,
}

impl WebhookMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let metrics = Self {
            attempts: Family::default(),
            not_settled: Counter::default(),
            seconds: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            under_way: Gauge::default(),
        };
        registry.register(
            "webhook_attempts",
            "Attempts to deliver webhooks by outcome",
            metrics.attempts.clone(),
        );
        registry.register(
            "webhooks_not_settled",
            "Times that the store did not take how attempts to deliver webhooks ended",
            metrics.not_settled.clone(),
        );
        registry.register(
            "webhook_seconds",
            "Time of an attempt to deliver a webhook",
            metrics.seconds.clone(),
        );
        registry.register(
            "webhooks_sending",
            "Attempts to deliver webhooks that are under way",
            metrics.under_way.clone(),
        );
        metrics
    }

    /// Counts and measures an attempt.
    pub fn attempted(&self, outcome: &'static str, took: Duration) {
        self.attempts
            .get_or_create(&WebhookLabels { outcome })
            .inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts that the store did not take how attempts ended.
    pub fn not_settled(&self) {
        self.not_settled.inc();
    }

    /// So many attempts are under way.
    pub fn under_way(&self, attempts: usize) {
        self.under_way
            .set(i64::try_from(attempts).unwrap_or(i64::MAX));
    }
}
