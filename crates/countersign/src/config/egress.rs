//! `[egress]`: how this installation reaches addresses that somebody else named, and how workloads reach anything outside.
//!
//! What this installation itself fetches (keys and documents of clients, logout endpoints, other issuers) is reached over `https` alone, never inside a private or special
//! network unless its host or its network stands here, and without following redirects. `allow` and `ca` take effect at the next start. Workloads go out through a proxy
//! ([`proxy`]) that listens only where it is configured.

pub mod proxy;

use super::Tenants;
use super::error::Mistakes;
use countersign_net::Prefix;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use toml::Spanned;

/// `[egress]` as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawEgress {
    /// Hosts that may be reached although they lie in a private network: whole names or addresses, no patterns.
    allow: Vec<Spanned<String>>,
    /// A file with the certificate authorities to believe; without it, those of the machine.
    ca: Option<PathBuf>,
    /// Private networks that may be reached nevertheless, each with the reason.
    networks: Vec<Spanned<RawNetwork>>,
    /// The proxy for workloads.
    proxy: Option<Spanned<proxy::RawProxy>>,
    /// Workloads that show a key or a certificate to it.
    workloads: Vec<proxy::RawWorkload>,
    /// Its allow-list.
    rules: Vec<Spanned<proxy::RawRule>>,
}

/// One of `networks` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNetwork {
    network: String,
    reason: String,
}

/// A private network that may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSection {
    /// The network.
    pub network: Prefix,
    /// Why.
    pub reason: String,
}

/// `[egress]` as used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressSection {
    /// Hosts in private networks that may be reached.
    pub allow: BTreeSet<String>,
    /// The certificate authorities, if not the machine's.
    pub ca: Option<PathBuf>,
    /// Private networks that may be reached.
    pub networks: Vec<NetworkSection>,
    /// The proxy for workloads, if there is one.
    pub proxy: Option<proxy::ProxySection>,
}

/// Whether this is one host as it is written in addresses, and no pattern: hosts are compared whole, so a pattern would match nothing.
pub(super) fn is_host(text: &str) -> bool {
    let host = url::Url::parse(&format!("https://{text}/"))
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    host.as_deref() == Some(text) && !text.contains('*')
}

pub(crate) fn check(
    raw: RawEgress,
    tenants: &Tenants<'_>,
    mistakes: &mut Mistakes<'_>,
) -> EgressSection {
    for host in &raw.allow {
        if !is_host(host.get_ref()) {
            mistakes.at(
                &host.span(),
                "not a host",
                "write a whole host name in lower case or an address, without scheme, port and pattern",
            );
        }
    }
    let networks = raw
        .networks
        .iter()
        .filter_map(|network| check_network(network, mistakes));
    let networks = networks.collect();
    let proxy = proxy::check(raw.proxy, raw.workloads, raw.rules, tenants, mistakes);
    EgressSection {
        allow: raw.allow.into_iter().map(Spanned::into_inner).collect(),
        ca: raw.ca,
        networks,
        proxy,
    }
}

fn check_network(raw: &Spanned<RawNetwork>, mistakes: &mut Mistakes<'_>) -> Option<NetworkSection> {
    let RawNetwork { network, reason } = raw.get_ref();
    if reason.trim().is_empty() {
        mistakes.at(
            &raw.span(),
            "a private network that may be reached has a reason",
            "write `reason = \"...\"`: `countersign check` shows it to whoever asks",
        );
        return None;
    }
    match network.parse() {
        Ok(network) => Some(NetworkSection {
            network,
            reason: reason.trim().to_owned(),
        }),
        Err(error) => {
            let error: countersign_net::egress::PrefixError = error;
            mistakes.at(
                &raw.span(),
                error.to_string(),
                "write the network as it begins, and its length",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests;
