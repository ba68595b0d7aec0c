//! The dispatcher of webhooks in a running process: what it reaches, whom it believes, and as whom it appears.

use super::{Bound, RunError, egress, routes};
use crate::config::Config;
use countersign_base::Duration;
use countersign_channels::webhook::dispatcher::{
    Dispatcher, DispatcherOptions, LEASE, Services, Share, Trust,
};
use countersign_control::Fabric;
use countersign_control::fabric::StartError;
use countersign_control::webhooks::WebhookRules;
use countersign_net::{DeliveryPool, TlsIdentity};
use std::sync::Arc;

/// How long our certificate for receivers lives; a reload or a new start renews it.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(7 * 86_400);
/// Who we are to receivers that ask for a certificate.
const URI: &str = "urn:countersign:webhooks";

/// Lets the configuration's rules hold, and starts it. It reaches no listener of this process.
///
/// # Errors
/// When the configured authorities cannot be read, no certificate can be made, or the database fails.
pub(super) async fn start(
    config: &Config,
    fabric: &Arc<Fabric>,
    bound: &Bound,
) -> Result<Dispatcher, RunError> {
    fabric.replace_webhook_rules(rules(config));
    let options = DispatcherOptions {
        receivers: receivers(config, bound)?,
        trust: trust(config, fabric)?,
        inbound: services(config, fabric, bound)?,
        share: Share::of(config.webhooks.deliveries_max),
    };
    // The audit log lets one process have these data, so that what a killed one was sending nobody sends now.
    let store = fabric.store();
    let given_back = store.give_back_webhooks(LEASE, fabric.now());
    let given_back = given_back.await.map_err(StartError::from)?;
    if given_back > 0 {
        tracing::info!(event = "webhooks_given_back", number = given_back);
    }
    Ok(Dispatcher::start(fabric, options))
}

/// What the configuration says of webhooks, for all who need it.
pub(super) fn rules(config: &Config) -> WebhookRules {
    let section = &config.webhooks;
    WebhookRules {
        schedules: section.schedules.clone(),
        kept: section.kept,
        publishing: section.publishing,
    }
}

/// The connections to receivers elsewhere, which reach no listener of this process.
///
/// # Errors
/// As [`start`].
pub(super) fn receivers(config: &Config, bound: &Bound) -> Result<DeliveryPool, RunError> {
    let refused = |error| RunError::Config(vec![error]);
    let (receivers, _services) = egress::deliveries(config, &bound.all()).map_err(refused)?;
    Ok(receivers)
}

/// Where what comes in goes: the services of its sources, over connections that reach no listener of this process.
///
/// # Errors
/// As [`start`].
pub(super) fn services(
    config: &Config,
    fabric: &Fabric,
    bound: &Bound,
) -> Result<Services, RunError> {
    let refused = |error| RunError::Config(vec![error]);
    let (_receivers, pool) = egress::deliveries(config, &bound.all()).map_err(refused)?;
    let services = routes::services(config, fabric).map_err(RunError::Config)?;
    Ok(Services::new(pool, services))
}

/// Whom receivers' certificates have to come from, and a new certificate of ours.
///
/// # Errors
/// As [`start`].
pub(super) fn trust(config: &Config, fabric: &Fabric) -> Result<Trust, RunError> {
    let refused = |error| RunError::Config(vec![error]);
    let roots = egress::roots(config, config.egress.ca.as_deref()).map_err(refused)?;
    let issued = fabric
        .authority()
        .client(URI, CERTIFICATE_LIFETIME, fabric.now())?;
    let identity = TlsIdentity::from_issued(&issued)?;
    Ok(Trust::new(roots, Some(identity))?)
}
