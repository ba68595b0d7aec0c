//! The proxy for workloads in a running process: its threads, its rules and its certificate.

use super::{Bound, LocalPlanes, RunError, egress};
use crate::config::Config;
use countersign_control::Fabric;
use countersign_gateway::egress::{Egress, EgressRules, RunningEgress};
use countersign_net::{Listeners, ServerTls, TlsIdentity};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A proxy that listens.
pub(super) struct EgressDoor {
    proxy: Arc<Egress<LocalPlanes>>,
    running: RunningEgress,
    tls: Option<ServerTls>,
    /// The listeners of this process, which no workload reaches by it.
    own: Vec<SocketAddr>,
}

impl EgressDoor {
    /// Serves the proxy where it is configured.
    pub(super) fn start(
        config: &Config,
        fabric: &Arc<Fabric>,
        base: &str,
        listeners: Option<Listeners>,
        bound: &Bound,
    ) -> Result<Option<Self>, RunError> {
        let own = bound.all();
        Self::serve(config, fabric, base, listeners, own)
    }

    /// The same in a process of its own.
    pub(super) fn serve(
        config: &Config,
        fabric: &Arc<Fabric>,
        base: &str,
        listeners: Option<Listeners>,
        own: Vec<SocketAddr>,
    ) -> Result<Option<Self>, RunError> {
        let rules = egress::rules(config, base, &own).map_err(RunError::Config)?;
        let (Some(section), Some(listeners), Some(rules)) =
            (&config.egress.proxy, listeners, rules)
        else {
            return Ok(None);
        };
        let (options, tls) = egress::options(section, fabric, &config.listeners.names)?;
        let planes = Arc::new(LocalPlanes::new(Arc::clone(fabric)));
        let proxy = Egress::new(planes, rules);
        let running = Arc::clone(&proxy)
            .start(listeners, options)
            .map_err(RunError::Threads)?;
        tracing::info!(event = "egress_ready", address = %running.address());
        Ok(Some(Self {
            proxy,
            running,
            tls,
            own,
        }))
    }

    /// The rules of another configuration. One that has no proxy any more lists nothing.
    pub(super) fn rules(
        door: Option<&Self>,
        config: &Config,
        base: &str,
    ) -> Result<Option<EgressRules>, RunError> {
        let own = door.map(|door| door.own.as_slice()).unwrap_or_default();
        egress::rules(config, base, own).map_err(RunError::Config)
    }

    /// Puts them in place. Addresses need a new start: a proxy that is configured anew does not listen before.
    pub(super) fn replace_rules(door: Option<&Self>, rules: Option<EgressRules>) {
        match (door, rules) {
            (Some(door), Some(rules)) => door.proxy.replace_rules(rules),
            (Some(door), None) => door.proxy.replace_rules(EgressRules::nothing()),
            (None, Some(_)) => tracing::warn!(event = "egress_needs_a_new_start"),
            (None, None) => {}
        }
    }

    /// Makes its certificate anew.
    pub(super) fn renew(
        door: Option<&Self>,
        fabric: &Fabric,
        names: &[String],
    ) -> Result<(), RunError> {
        if let Some(tls) = door.and_then(|door| door.tls.as_ref()) {
            let issued = fabric.authority().server(names, fabric.now())?;
            tls.replace(&TlsIdentity::from_issued(&issued)?);
        }
        Ok(())
    }

    /// Its address as workloads configure it.
    pub(super) fn url(&self) -> String {
        let address = self.running.address();
        match &self.tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        }
    }

    /// Lets what is under way finish, up to the deadline.
    pub(super) async fn stop(door: Option<Self>, deadline: Duration) {
        if let Some(door) = door {
            let _drained = door.running.stop(deadline).await;
        }
    }
}
