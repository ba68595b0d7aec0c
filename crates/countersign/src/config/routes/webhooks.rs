//! A route for webhooks: `webhook = "SOURCE"`. It has no upstream, audience or actions: what comes in is signed by the source and goes on to the service of the source.

use super::{Anonymous, Others, Proof, RawRoute, Recording, UpgradeSection};
use crate::config::error::Mistakes;
use crate::config::limits::{self, LimitSection};
use crate::config::nearest;
use crate::config::resilience;
use crate::config::threats::{self, FromSection};
use countersign_base::{Duration, RouteId, SourceName, Tenant};
use countersign_store::webhooks::PAYLOAD_BYTES_MAX;
use std::collections::BTreeSet;
use toml::Spanned;

/// One route for webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRouteSection {
    /// Its name.
    pub name: RouteId,
    /// Whose it is: the tenant of the source.
    pub tenant: Tenant,
    /// Hosts it answers for.
    pub hosts: Vec<String>,
    /// The template of its path.
    pub path: String,
    /// Who sends.
    pub source: SourceName,
    /// The media types of bodies: those of the source.
    pub media_types: BTreeSet<String>,
    /// How often it may be called, if not as often as every route for webhooks.
    pub limits: Vec<LimitSection>,
    /// Who may call from where.
    pub from: Option<FromSection>,
    /// How many may be under way at once.
    pub concurrency: Option<u32>,
    /// How long nothing may move within a body.
    pub idle: Option<Duration>,
    /// Bytes of a body.
    pub body_bytes_max: u64,
}

pub(super) fn section(
    mut route: RawRoute,
    source: Spanned<SourceName>,
    tenant: Tenant,
    others: &Others<'_>,
    mistakes: &mut Mistakes<'_>,
) -> WebhookRouteSection {
    let meaningless = meaningless(&route);
    if !meaningless.is_empty() {
        mistakes.at(
            &source.span(),
            format!("a route for webhooks has no {}", meaningless.join(", ")),
            "remove it: its callers have no tokens, and what they send goes to the service of the source",
        );
    }
    let name = source.get_ref();
    let known = others.sources.iter().find(|known| known.name == *name);
    match known {
        None => {
            let names = others.sources.iter().map(|known| known.name.as_str());
            mistakes.at(
                &source.span(),
                format!("no source `{name}` among `[[webhook_sources]]`"),
                nearest(name.as_str(), names),
            );
        }
        Some(known) if known.tenant != tenant => mistakes.at(
            &source.span(),
            format!("the source `{name}` is of another tenant than the route"),
            "give both the same `tenant`",
        ),
        Some(_) => {}
    }
    let signals = std::mem::replace(&mut route.signals, super::no_signals());
    let from = route.from.take();
    let threats = threats::of_route(None, from, signals, None, others.threats, mistakes);
    let limits = limits::of_webhook_route(
        route.name.get_ref(),
        route.rate.take(),
        std::mem::take(&mut route.limits),
        others.limits,
        mistakes,
    );
    WebhookRouteSection {
        name: route.name.into_inner(),
        tenant,
        hosts: route.hosts,
        path: route.path.into_inner(),
        media_types: known.map_or_else(BTreeSet::new, |known| known.media_types.clone()),
        source: source.into_inner(),
        limits,
        from: threats.from,
        concurrency: resilience::places(route.concurrency, mistakes),
        idle: super::idle(route.idle, mistakes),
        body_bytes_max: body_bytes_max(route.body_bytes_max.as_ref(), mistakes),
    }
}

fn body_bytes_max(bytes: Option<&Spanned<u64>>, mistakes: &mut Mistakes<'_>) -> u64 {
    let max = u64::try_from(PAYLOAD_BYTES_MAX).unwrap_or(u64::MAX);
    let Some(bytes) = bytes else {
        return max;
    };
    if !(1..=max).contains(bytes.get_ref()) {
        mistakes.at(
            &bytes.span(),
            format!("a webhook has 1 to {max} bytes"),
            "write less, or leave it out",
        );
    }
    *bytes.get_ref()
}

/// The keys of this route that say nothing where webhooks come in.
fn meaningless(route: &RawRoute) -> Vec<&'static str> {
    let said = [
        ("`actions`", !route.actions.is_empty()),
        ("`anonymous`", route.anonymous != Anonymous::default()),
        ("`api_keys`", route.api_keys.is_some()),
        ("`audience`", route.audience.is_some()),
        ("`challenge`", route.challenge.is_some()),
        ("`cors`", route.cors.is_some()),
        ("`exchange`", route.exchange.is_some()),
        ("`idempotency`", route.idempotency.is_some()),
        ("`issuers`", route.issuers.is_some()),
        ("`limits_away`", route.limits_away.is_some()),
        ("`owner`", route.owner.is_some()),
        ("`proof`", route.proof != Proof::default()),
        ("`purposes`", !route.purposes.is_empty()),
        ("`record`", route.record != Recording::default()),
        ("`resource`", route.resource.is_some()),
        ("`schema`", route.schema.is_some()),
        ("`session`", route.session.is_some()),
        ("`signals`", !route.signals.get_ref().is_empty()),
        ("`unowned`", route.unowned.is_some()),
        ("`upgrade`", route.upgrade != UpgradeSection::default()),
        ("`upstream`", route.upstream.is_some()),
        ("`waf`", route.waf.is_some()),
    ];
    let said = said.into_iter().filter(|(_, is_said)| *is_said);
    said.map(|(key, _)| key).collect()
}
