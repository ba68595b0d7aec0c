//! The proxy for workloads in a process of its own: a fabric behind it for keys, policies, revocations and the log, and no other door but telemetry.
//!
//! With a database of its own it knows workloads by keys and certificates; with the database that the issuers use (PostgreSQL) also by their tokens.

use super::declared::Chosen;
use super::egress_door::EgressDoor;
use super::{Options, RunError, bundle, fabric_options, issuer_base, sockets, spawn, telemetry};
use crate::config::Config;
use crate::config::error::ConfigError;
use countersign_audit::Code;
use countersign_control::Fabric;
use countersign_control::policy_time::PolicyTime;
use countersign_net::{Drain, DrainTrigger, Listener, Transport};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// A running proxy with what is behind it.
pub struct EgressNode {
    fabric: Arc<Fabric>,
    door: EgressDoor,
    telemetry: SocketAddr,
    policy_time: Arc<PolicyTime>,
    base: String,
    drain: DrainTrigger,
}

/// Starts the proxy; when this returns, it answers.
///
/// # Errors
/// When a part does not start, or the configuration has no proxy.
pub async fn serve_egress(options: Options) -> Result<EgressNode, RunError> {
    let config = options.config.clone();
    let listeners = sockets::egress(&config)?;
    let address = config.listeners.telemetry;
    let telemetry = Listener::bind(address).map_err(|cause| RunError::Bind {
        surface: "telemetry",
        address,
        cause,
    })?;
    let bound = telemetry.address();
    let base = issuer_base(&options, config.listeners.identity).await?;
    let Chosen { policies, term } = bundle::choose(&config, options.clock.now(), &options.data)?;
    let fabric = Fabric::start(fabric_options(options, &base, policies)?).await?;
    bundle::remember_version(&config, term.as_ref(), fabric.data())?;
    let policy_time = PolicyTime::start(&fabric, term);
    let own = listeners.as_ref().map(|listeners| listeners.address());
    let named = &config.listeners;
    let named = [
        named.identity,
        named.identity_mtls,
        named.gateway,
        named.control,
        named.telemetry,
    ];
    let named = named.into_iter().filter(|address| address.port() != 0);
    let own = own.into_iter().chain([bound]).chain(named).collect();
    let door = EgressDoor::serve(&config, &fabric, &base, listeners, own)?;
    let door = door.ok_or_else(|| RunError::Config(vec![absent(&config)]))?;
    let (drain, held) = Drain::new();
    spawn(
        telemetry,
        Transport::Plaintext,
        telemetry::router(Arc::clone(&fabric)),
        config.listeners.limits(),
        &held,
    );
    Ok(EgressNode {
        fabric,
        door,
        telemetry: bound,
        policy_time,
        base,
        drain,
    })
}

fn absent(config: &Config) -> ConfigError {
    let file = config.dir.join(crate::config::FILE);
    ConfigError::in_file(&file, "there is no `[egress.proxy]` to serve")
        .with_help("write `[egress.proxy]` with `listen = \"127.0.0.1:3128\"`")
}

impl EgressNode {
    /// The address of the proxy as workloads configure it.
    #[must_use]
    pub fn url(&self) -> String {
        self.door.url()
    }

    /// Where metrics and health are.
    #[must_use]
    pub const fn telemetry(&self) -> SocketAddr {
        self.telemetry
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.fabric.data()
    }

    /// Applies another configuration: policies and rules. Addresses, store and root key need a new start.
    ///
    /// # Errors
    /// When it is refused; then all of the old one stays.
    pub fn reload(&self, config: &Config) -> Result<(), RunError> {
        let Chosen { policies, term } =
            bundle::choose(config, self.fabric.now(), self.fabric.data())?;
        let rules = EgressDoor::rules(Some(&self.door), config, &self.base)?;
        bundle::remember_version(config, term.as_ref(), self.fabric.data())?;
        self.policy_time.replace(&self.fabric, policies, term);
        EgressDoor::replace_rules(Some(&self.door), rules);
        EgressDoor::renew(Some(&self.door), &self.fabric, &config.listeners.names)
    }

    /// Makes the listener's certificate anew.
    ///
    /// # Errors
    /// When it can't be made; the old one stays.
    pub fn renew_certificates(&self, names: &[String]) -> Result<(), RunError> {
        EgressDoor::renew(Some(&self.door), &self.fabric, names)
    }

    /// Lets what is under way finish, writes the last record, and closes everything.
    pub async fn stop(self, reason: Code) {
        EgressDoor::stop(Some(self.door), super::DRAIN_DEADLINE).await;
        let _drained = self.drain.drain(super::DRAIN_DEADLINE).await;
        self.fabric.stop(reason).await;
    }
}
