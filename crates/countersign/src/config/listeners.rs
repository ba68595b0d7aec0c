//! `[listeners]`: where each surface listens, and the issuer's base, which is a setting apart from the address.

use super::error::Mistakes;
use super::threats::{self, FromSection, Known, RawFrom};
use countersign_net::limits::{CONNECTIONS_PER_PEER_MAX, Limits};
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use toml::Spanned;

/// `[listeners]` as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawListeners {
    identity: Option<Spanned<SocketAddr>>,
    identity_mtls: Option<Spanned<SocketAddr>>,
    gateway: Option<Spanned<SocketAddr>>,
    control: Option<Spanned<SocketAddr>>,
    telemetry: Option<Spanned<SocketAddr>>,
    /// DNS names and addresses that the server certificates carry beside `localhost`.
    names: Vec<String>,
    /// `https://id.example.com`: what issuers begin with. Without it, `https://localhost:PORT` of the identity listener.
    issuer_base: Option<String>,
    /// Who may call the gateway from where, whatever the route.
    gateway_from: Option<Spanned<RawFrom>>,
    /// Connections that one peer keeps open at once.
    connections_per_peer: Option<Spanned<u32>>,
}

/// The addresses to bind; port 0 means any free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// Identity, for browsers and clients without certificates.
    pub identity: SocketAddr,
    /// Identity, for clients with certificates.
    pub identity_mtls: SocketAddr,
    /// The gateway.
    pub gateway: SocketAddr,
    /// The control API.
    pub control: SocketAddr,
    /// Metrics and health, plain HTTP on loopback.
    pub telemetry: SocketAddr,
    /// Further names of the server certificates.
    pub names: Vec<String>,
    /// What issuers begin with, if it is not the identity listener's own address.
    pub issuer_base: Option<String>,
    /// Who may call the gateway from where, whatever the route.
    pub gateway_from: Option<FromSection>,
    /// Connections that one peer (an IPv4 address, 64 bits of an IPv6 address) keeps open at once, at each listener.
    pub connections_per_peer: u32,
}

impl Default for Listeners {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            identity: loopback(8443),
            identity_mtls: loopback(8446),
            gateway: loopback(8444),
            control: loopback(8445),
            telemetry: loopback(9464),
            names: Vec::new(),
            issuer_base: None,
            gateway_from: None,
            connections_per_peer: CONNECTIONS_PER_PEER_MAX,
        }
    }
}

impl Listeners {
    /// The limits of each listener.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            connections_per_peer_max: self.connections_per_peer,
            ..Limits::default()
        }
    }

    /// Listeners without further settings on any free port of loopback.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self::default().on_free_ports()
    }

    /// The same listeners, with all that is said of them, on any free port of loopback.
    #[must_use]
    pub fn on_free_ports(self) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            identity: any,
            identity_mtls: any,
            gateway: any,
            control: any,
            telemetry: any,
            ..self
        }
    }
}

pub(super) fn check(
    raw: RawListeners,
    known: &Known<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Listeners {
    let default = Listeners::default();
    if let Some(telemetry) = &raw.telemetry
        && !telemetry.get_ref().ip().is_loopback()
    {
        mistakes.at(
            &telemetry.span(),
            "the telemetry listener speaks plain HTTP and must stay on loopback",
            "use 127.0.0.1 and let a collector on this machine read it",
        );
    }
    if let Some(most) = &raw.connections_per_peer
        && *most.get_ref() == 0
    {
        mistakes.at(&most.span(), "nobody could connect", "write 1 or more");
    }
    let address =
        |given: Option<Spanned<SocketAddr>>, default| given.map_or(default, Spanned::into_inner);
    Listeners {
        identity: address(raw.identity, default.identity),
        identity_mtls: address(raw.identity_mtls, default.identity_mtls),
        gateway: address(raw.gateway, default.gateway),
        control: address(raw.control, default.control),
        telemetry: address(raw.telemetry, default.telemetry),
        names: raw.names,
        issuer_base: raw.issuer_base,
        gateway_from: raw
            .gateway_from
            .map(|from| threats::of_place(from, known, mistakes)),
        connections_per_peer: raw
            .connections_per_peer
            .map_or(default.connections_per_peer, Spanned::into_inner),
    }
}
