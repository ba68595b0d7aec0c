//! `[[upstreams]]`: the services behind the gateway, always over TLS unless a line says why not.

use super::error::Mistakes;
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
    /// The name its certificate must carry, if it is not the host of the URL.
    server_name: Option<String>,
    /// A file with the certificate authority of its certificate; without it, the local development authority.
    ca: Option<PathBuf>,
    /// Whether the gateway shows it a client certificate of the local authority.
    #[serde(default)]
    identity: GatewayIdentity,
    /// Why this upstream is reached without TLS; only then `http` is allowed, and only on loopback.
    plain_http_because: Option<String>,
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
    /// The name its certificate must carry.
    pub server_name: String,
    /// The certificate authority of its certificate, if not the local one.
    pub ca: Option<PathBuf>,
    /// What the gateway shows.
    pub identity: GatewayIdentity,
    /// Why it is reached without TLS.
    pub plain_http_because: Option<String>,
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
        let span = upstream.url.span();
        let Some((url, host)) = Url::parse(upstream.url.get_ref()).ok().and_then(|url| {
            let host = url.host_str()?.to_owned();
            Some((url, host))
        }) else {
            mistakes.at(
                &span,
                "not the URL of an upstream",
                "write `https://HOST:PORT`",
            );
            continue;
        };
        match (url.scheme(), &upstream.plain_http_because) {
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
        upstreams.push(UpstreamSection {
            name: upstream.name.into_inner(),
            server_name: upstream.server_name.unwrap_or(host),
            url,
            ca: upstream.ca,
            identity: upstream.identity,
            plain_http_because: upstream.plain_http_because,
        });
    }
    upstreams
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
