//! Counters and latencies in the Prometheus text format. Labels come from closed sets: no tenant's user, client or path is ever a label.

mod webhooks;

pub use webhooks::{WebhookLabels, WebhookMetrics};

use crate::TokenSet;
use countersign_oauth::client::AccessTokenFormat;
use countersign_oauth::issuance::AudienceKind;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::Arc;

/// Which door a request came through.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SurfaceLabels {
    /// `identity`, `gateway` or `control`.
    pub surface: &'static str,
    /// `2xx` to `5xx`.
    pub status: &'static str,
}

/// What was decided about whom to let through.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DecisionLabels {
    /// `token`, `gateway` or `admin`.
    pub surface: &'static str,
    /// `permitted`, `denied` or `refused`.
    pub outcome: &'static str,
}

/// What was minted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GrantLabels {
    /// The grant type, in the words of the registry of grants.
    pub grant: &'static str,
}

/// How large a token is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TokenSizeLabels {
    /// `access_token_jwt`, `access_token_opaque`, `id_token` or `refresh_token`.
    pub kind: &'static str,
    /// `issuer`, `service`, or `client` for what is for the client itself.
    pub audience: &'static str,
}

/// What became of spans.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SpanLabels {
    /// `exported`, `failed` (the collector did not take them) or `dropped` (the queue was full).
    pub outcome: &'static str,
}

/// Who counted a request of a route whose limits processes share.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LimitedLabels {
    /// `processes`, or while the shared counts were away `share`, `closed` or `open`.
    pub by: &'static str,
}

/// Every metric of the process.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Answers.
    pub responses: Family<SurfaceLabels, Counter>,
    /// Decisions.
    pub decisions: Family<DecisionLabels, Counter>,
    /// Tokens.
    pub tokens: Family<GrantLabels, Counter>,
    /// Bytes of the tokens that were minted.
    pub token_bytes: Family<TokenSizeLabels, Histogram>,
    /// Requests of routes with shared limits.
    pub limited: Family<LimitedLabels, Counter>,
    /// 1 while the shared counts are there, 0 while they are away.
    pub shared_limits_there: Gauge,
    /// Spans of traces.
    pub spans: Family<SpanLabels, Counter>,
    /// Seconds from the first byte of a request to the answer's head, at the gateway.
    pub gateway_seconds: Histogram,
    /// Webhooks.
    pub webhooks: WebhookMetrics,
    /// Signing keys in the ring.
    pub signing_keys: Gauge,
    /// Revocations in memory.
    pub revocations: Gauge,
}

impl Metrics {
    /// Fresh metrics, all zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("countersign");
        let responses = Family::<SurfaceLabels, Counter>::default();
        let decisions = Family::<DecisionLabels, Counter>::default();
        let tokens = Family::<GrantLabels, Counter>::default();
        let token_bytes = Family::<TokenSizeLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(64.0, 2.0, 9))
        });
        let limited = Family::<LimitedLabels, Counter>::default();
        let shared_limits_there = Gauge::default();
        let spans = Family::<SpanLabels, Counter>::default();
        let gateway_seconds = Histogram::new(exponential_buckets(0.000_1, 2.0, 16));
        let signing_keys = Gauge::default();
        let revocations = Gauge::default();
        registry.register(
            "responses",
            "Answers by surface and class of status",
            responses.clone(),
        );
        registry.register(
            "decisions",
            "Decisions by surface and outcome",
            decisions.clone(),
        );
        registry.register("tokens", "Tokens minted by grant", tokens.clone());
        registry.register(
            "token_bytes",
            "Bytes of minted tokens by kind and audience",
            token_bytes.clone(),
        );
        registry.register(
            "limited",
            "Requests of routes with shared limits by who counted them",
            limited.clone(),
        );
        registry.register(
            "shared_limits_there",
            "1 while the counts that processes share are there",
            shared_limits_there.clone(),
        );
        registry.register("spans", "Spans of traces by outcome", spans.clone());
        registry.register(
            "gateway_seconds",
            "Time to the head of the gateway's answer",
            gateway_seconds.clone(),
        );
        registry.register(
            "signing_keys",
            "Signing keys in the ring",
            signing_keys.clone(),
        );
        registry.register(
            "revocations",
            "Revocations kept in memory",
            revocations.clone(),
        );
        let webhooks = WebhookMetrics::registered(&mut registry);
        Self {
            registry: Arc::new(registry),
            responses,
            decisions,
            tokens,
            token_bytes,
            limited,
            shared_limits_there,
            spans,
            gateway_seconds,
            webhooks,
            signing_keys,
            revocations,
        }
    }

    /// Counts an answer.
    pub fn answered(&self, surface: &'static str, status: u16) {
        let status = match status {
            ..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        };
        self.responses
            .get_or_create(&SurfaceLabels { surface, status })
            .inc();
    }

    /// Counts a decision.
    pub fn decided(&self, surface: &'static str, outcome: &'static str) {
        self.decisions
            .get_or_create(&DecisionLabels { surface, outcome })
            .inc();
    }

    /// Counts a request of a route with shared limits.
    pub fn limited_by(&self, by: &'static str) {
        self.limited.get_or_create(&LimitedLabels { by }).inc();
    }

    /// Counts a minted token.
    pub fn minted(&self, grant: &'static str) {
        self.tokens.get_or_create(&GrantLabels { grant }).inc();
    }

    /// Measures the tokens of one answer.
    pub fn sized(&self, tokens: &TokenSet) {
        let kind = match tokens.format {
            AccessTokenFormat::Jwt => "access_token_jwt",
            AccessTokenFormat::Opaque => "access_token_opaque",
        };
        let audience = match tokens.audience_kind {
            AudienceKind::Issuer => "issuer",
            AudienceKind::Service => "service",
        };
        self.token_size(kind, audience, tokens.access_token.expose().len());
        if let Some(token) = &tokens.id_token {
            self.token_size("id_token", "client", token.expose().len());
        }
        if let Some(token) = &tokens.refresh_token {
            self.token_size("refresh_token", "client", token.expose().len());
        }
    }

    fn token_size(&self, kind: &'static str, audience: &'static str, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.token_bytes
            .get_or_create(&TokenSizeLabels { kind, audience })
            .observe(f64::from(bytes));
    }

    /// Counts spans that were sent or given up.
    pub fn spans_ended(&self, outcome: &'static str, count: u64) {
        self.spans
            .get_or_create(&SpanLabels { outcome })
            .inc_by(count);
    }

    /// Everything in the OpenMetrics text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail; an empty page is the honest answer if it did.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;
    use countersign_base::Duration;

    #[test]
    fn what_was_counted_is_rendered() {
        let metrics = Metrics::new();
        metrics.answered("gateway", 403);
        metrics.minted("refresh_token");
        metrics.token_size("id_token", "client", 700);
        metrics
            .webhooks
            .attempted("delivered", Duration::from_millis(5));
        metrics.webhooks.under_way(3);
        metrics.webhooks.not_settled();
        let text = metrics.render();
        assert!(
            text.contains("countersign_webhook_attempts_total{outcome=\"delivered\"} 1"),
            "{text}"
        );
        assert!(text.contains("countersign_webhooks_sending 3"), "{text}");
        assert!(
            text.contains("countersign_webhooks_not_settled_total 1"),
            "{text}"
        );
        assert!(
            text.contains("countersign_responses_total{surface=\"gateway\",status=\"4xx\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("countersign_tokens_total{grant=\"refresh_token\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("countersign_token_bytes_bucket{le=\"1024.0\",kind=\"id_token\",audience=\"client\"} 1"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
    }
}
