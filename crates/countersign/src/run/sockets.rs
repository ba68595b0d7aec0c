//! The listening sockets of a process: all are bound before anything runs, so that issuers can name their port.

use super::RunError;
use crate::config::Config;
use countersign_net::{Listener, Listeners, runtime};
use std::net::SocketAddr;

/// Where the surfaces are, once they listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Identity, for browsers.
    pub identity: SocketAddr,
    /// Identity, for clients with certificates.
    pub identity_mtls: SocketAddr,
    /// The gateway.
    pub gateway: SocketAddr,
    /// The control API.
    pub control: SocketAddr,
    /// Metrics and health.
    pub telemetry: SocketAddr,
    /// The proxy for workloads, if one is configured.
    pub egress: Option<SocketAddr>,
}

impl Bound {
    /// All of them.
    pub(super) fn all(&self) -> Vec<SocketAddr> {
        let always = [
            self.identity,
            self.identity_mtls,
            self.gateway,
            self.control,
            self.telemetry,
        ];
        always.into_iter().chain(self.egress).collect()
    }
}

/// The sockets of every surface, bound and not yet served.
pub(super) struct Sockets {
    pub(super) identity: Listener,
    pub(super) identity_mtls: Listener,
    pub(super) gateway: Listeners,
    pub(super) control: Listener,
    pub(super) telemetry: Listener,
    pub(super) egress: Option<Listeners>,
}

impl Sockets {
    /// Binds them.
    ///
    /// # Errors
    /// When an address is in use or not ours.
    pub(super) fn bind(config: &Config) -> Result<Self, RunError> {
        let addresses = &config.listeners;
        let gateway = Listeners::bind(addresses.gateway, runtime::cores());
        Ok(Self {
            identity: one("identity", addresses.identity)?,
            identity_mtls: one("identity_mtls", addresses.identity_mtls)?,
            gateway: gateway.map_err(|cause| RunError::Bind {
                surface: "gateway",
                address: addresses.gateway,
                cause,
            })?,
            control: one("control", addresses.control)?,
            telemetry: one("telemetry", addresses.telemetry)?,
            egress: egress(config)?,
        })
    }

    /// Where they are.
    pub(super) fn bound(&self) -> Bound {
        Bound {
            identity: self.identity.address(),
            identity_mtls: self.identity_mtls.address(),
            gateway: self.gateway.address(),
            control: self.control.address(),
            telemetry: self.telemetry.address(),
            egress: self.egress.as_ref().map(Listeners::address),
        }
    }
}

/// One socket.
///
/// # Errors
/// When its address is in use or not ours.
pub(super) fn one(surface: &'static str, address: SocketAddr) -> Result<Listener, RunError> {
    Listener::bind(address).map_err(|cause| RunError::Bind {
        surface,
        address,
        cause,
    })
}

/// The sockets of the proxy for workloads, if one is configured.
///
/// # Errors
/// When its address is in use or not ours.
pub(super) fn egress(config: &Config) -> Result<Option<Listeners>, RunError> {
    let Some(proxy) = &config.egress.proxy else {
        return Ok(None);
    };
    let bound = Listeners::bind(proxy.listen, runtime::cores());
    bound.map(Some).map_err(|cause| RunError::Bind {
        surface: "egress",
        address: proxy.listen,
        cause,
    })
}
