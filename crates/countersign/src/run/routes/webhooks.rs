//! From the configuration's routes for webhooks to the gateway's.

use crate::config::Config;
use crate::config::routes::{LimitsAway, WebhookRouteSection};
use crate::run::threats::Threats;
use countersign_gateway::webhooks::WebhookRouteSpec;

/// While the counts of shared limits are away nothing comes in: these callers have nothing to be told apart by but their network, and they try again.
const LIMITS_AWAY: LimitsAway = LimitsAway::Closed;

pub(super) fn spec(
    section: &WebhookRouteSection,
    config: &Config,
    threats: &Threats,
) -> WebhookRouteSpec {
    let limits = section.limits.iter();
    let hosts = section.hosts.iter();
    WebhookRouteSpec {
        id: section.name.clone(),
        tenant: section.tenant.clone(),
        hosts: hosts.map(|host| host.to_ascii_lowercase()).collect(),
        path: section.path.clone(),
        source: section.source.clone(),
        media_types: section.media_types.clone(),
        limits: limits
            .map(|limit| super::limit(limit, LIMITS_AWAY, config))
            .collect(),
        threats: threats.around(section.from.as_ref()),
        concurrency: section.concurrency,
        idle: section.idle,
        body_bytes_max: section.body_bytes_max,
    }
}
