//! The dispatcher of webhooks in a running process: what it reaches, whom it believes, and as whom it appears.

use super::{Bound, RunError, egress, routes};
use crate::config::Config;
use countersign_base::Duration;
use countersign_channels::webhook::dispatcher::{
    Dispatcher, DispatcherOptions, LEASE, Schedules, Services, Share, Trust,
};
use countersign_control::Fabric;
use countersign_control::fabric::StartError;
use countersign_net::TlsIdentity;
use countersign_store::webhooks::WebhookKept;
use std::sync::Arc;

/// Attempts that are under way at once. Each holds its body in memory, and a connection.
const UNDER_WAY: usize = 1_024;
/// How long our certificate for receivers lives; a reload or a new start renews it.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(7 * 86_400);
/// Who we are to receivers that ask for a certificate.
const URI: &str = "urn:countersign:webhooks";

/// Starts it. It reaches no listener of this process.
///
/// # Errors
/// When the configured authorities cannot be read, no certificate can be made, or the database fails.
pub(super) async fn start(
    config: &Config,
    fabric: &Arc<Fabric>,
    bound: &Bound,
) -> Result<Dispatcher, RunError> {
    let refused = |error| RunError::Config(vec![error]);
    let (receivers, _services) = egress::deliveries(config, &bound.all()).map_err(refused)?;
    let options = DispatcherOptions {
        receivers,
        trust: trust(config, fabric)?,
        inbound: services(config, fabric, bound)?,
        schedules: Schedules::default(),
        share: Share::of(UNDER_WAY),
        kept: WebhookKept::default(),
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
