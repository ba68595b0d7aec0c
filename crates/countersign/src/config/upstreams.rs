//! `[[upstreams]]`: the services behind the gateway, always over TLS unless a line says why not.

use super::error::Mistakes;
use super::resilience::{
    BalanceSection, BreakerSection, ConcurrencySection, HealthSection, RawBreaker, RawConcurrency,
    RawHealth, RawRetries, RawTimeouts, RetriesSection, TimeoutsSection,
};
use countersign_base::RouteId;
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;
use url::Url;

/// One of `[[upstreams]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUpstream {
    name: Spanned<RouteId>,
    url: Spanned<String>,
    /// Further addresses that do the same.
    #[serde(default)]
    also: Vec<Spanned<String>>,
    /// The name its certificate must carry, if it is not the host of the URL.
    server_name: Option<String>,
    /// A file with the certificate authority of its certificate; without it, the local development authority.
    ca: Option<PathBuf>,
    /// Whether the gateway shows it a client certificate of the local authority.
    #[serde(default)]
    identity: GatewayIdentity,
    /// Why this upstream is reached without TLS; only then `http` is allowed, and only on loopback.
    plain_http_because: Option<String>,
    #[serde(default)]
    balance: BalanceSection,
    #[serde(default)]
    timeouts: RawTimeouts,
    retries: Option<RawRetries>,
    breaker: Option<RawBreaker>,
    health: Option<RawHealth>,
    concurrency: Option<RawConcurrency>,
    #[serde(default)]
    protocol: ProtocolSection,
}

/// Which HTTP an upstream is spoken to in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolSection {
    /// HTTP/2 over TLS if the upstream agrees to it, HTTP/1.1 otherwise.
    #[default]
    Negotiated,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: over TLS or not at all; on loopback without TLS it is spoken without asking.
    Http2,
}

/// What the gateway shows to an upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayIdentity {
    /// A client certificate from the local authority.
    #[default]
    Certificate,
    /// Nothing.
    None,
}

/// One upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSection {
    /// Its name, which routes use.
    pub name: RouteId,
    /// Scheme, host and port.
    pub url: Url,
    /// Further addresses that do the same.
    pub also: Vec<Url>,
    /// The name its certificates must carry, if not the host of each address.
    pub server_name: Option<String>,
    /// The certificate authority of its certificate, if not the local one.
    pub ca: Option<PathBuf>,
    /// What the gateway shows.
    pub identity: GatewayIdentity,
    /// Why it is reached without TLS.
    pub plain_http_because: Option<String>,
    /// How an address is chosen among several.
    pub balance: BalanceSection,
    /// How long each step may take.
    pub timeouts: TimeoutsSection,
    /// What is sent again.
    pub retries: Option<RetriesSection>,
    /// When an address is given up for a while.
    pub breaker: Option<BreakerSection>,
    /// How its addresses are asked whether they are well.
    pub health: Option<HealthSection>,
    /// How many requests may be under way at once.
    pub concurrency: Option<ConcurrencySection>,
    /// Which HTTP it is spoken to in.
    pub protocol: ProtocolSection,
}

pub(crate) fn check(raw: Vec<RawUpstream>, mistakes: &mut Mistakes<'_>) -> Vec<UpstreamSection> {
    let mut upstreams: Vec<UpstreamSection> = Vec::new();
    for upstream in raw {
        if upstreams
            .iter()
            .any(|earlier| earlier.name == *upstream.name.get_ref())
        {
            mistakes.at(
                &upstream.name.span(),
                format!(
                    "the upstream `{}` stands here twice",
                    upstream.name.get_ref()
                ),
                "remove one of them",
            );
            continue;
        }
        let plain = upstream.plain_http_because.as_ref();
        let Some(url) = address(&upstream.url, plain, mistakes) else {
            continue;
        };
        if upstream.also.len() > 31 {
            let help = "write 31 at most";
            mistakes.at(&upstream.url.span(), "too many further addresses", help);
        }
        upstreams.push(UpstreamSection {
            also: upstream
                .also
                .iter()
                .filter_map(|also| address(also, plain, mistakes))
                .collect(),
            name: upstream.name.into_inner(),
            server_name: upstream.server_name,
            url,
            ca: upstream.ca,
            identity: upstream.identity,
            plain_http_because: upstream.plain_http_because,
            balance: upstream.balance,
            timeouts: upstream.timeouts.checked(),
            retries: upstream.retries.map(|raw| raw.checked(mistakes)),
            breaker: upstream.breaker.map(|raw| raw.checked(mistakes)),
            health: upstream.health.and_then(|raw| raw.checked(mistakes)),
            concurrency: upstream.concurrency.map(|raw| raw.checked(mistakes)),
            protocol: upstream.protocol,
        });
    }
    upstreams
}

/// One address; absent when it is no URL with a host at all.
fn address(
    written: &Spanned<String>,
    plain_http_because: Option<&String>,
    mistakes: &mut Mistakes<'_>,
) -> Option<Url> {
    let span = written.span();
    let Some(url) = Url::parse(written.get_ref())
        .ok()
        .filter(|url| url.host_str().is_some())
    else {
        mistakes.at(
            &span,
            "not the URL of an upstream",
            "write `https://HOST:PORT`",
        );
        return None;
    };
    match (url.scheme(), plain_http_because) {
        ("https", _) => {}
        ("http", Some(_)) if is_loopback(&url) => {}
        ("http", _) => mistakes.at(
            &span,
            "plain HTTP to an upstream",
            "use https; or, on loopback alone, say why not with `plain_http_because = \"...\"`",
        ),
        _ => mistakes.at(
            &span,
            "the URL of an upstream begins with https",
            "write `https://HOST:PORT`",
        ),
    }
    if url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
    {
        mistakes.at(
            &span,
            "the URL of an upstream holds more than scheme, host and port",
            "paths come from the route",
        );
    }
    Some(url)
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
