//! From `[[browser_sessions]]` to what the fabric keeps and what the gateway answers at.

use super::identity_providers::pkcs8;
use crate::config::browser_sessions::SessionsSection;
use crate::config::error::ConfigError;
use crate::config::{Config, FILE};
use countersign_base::Bounded;
use countersign_control::browser_sessions::BrowserSessionOptions;
use countersign_control::{UpstreamCredential, UpstreamOptions};
use countersign_crypto::signing::SigningKey;
use countersign_federation::{IssuerUrl, ProviderRecord};
use countersign_gateway::sessions::{SessionDoor, SessionDoors, SessionPaths};
use countersign_net::client::ClientOptions;
use countersign_net::tls::Alpn;
use countersign_net::{EgressPolicy, HttpClient, TlsClient, TrustRoots};

/// What the fabric keeps sessions by. `base` is what issuers begin with, `gateway` the gateway's own address, `local` the local authority.
///
/// # Errors
/// Every key and certificate authority that cannot be read.
pub(super) fn options(
    config: &Config,
    base: &str,
    gateway: &str,
    local: &TrustRoots,
) -> Result<Vec<BrowserSessionOptions>, Vec<ConfigError>> {
    let (mut kinds, mut errors) = (Vec::new(), Vec::new());
    for section in &config.browser_sessions {
        match kind(config, section, base, gateway, local) {
            Ok(kind) => kinds.push(kind),
            Err(message) => errors.push(ConfigError::in_file(
                &config.dir.join(FILE),
                format!("sessions `{}`: {message}", section.name),
            )),
        }
    }
    if errors.is_empty() {
        Ok(kinds)
    } else {
        Err(errors)
    }
}

/// The addresses at which the gateway answers itself.
pub(super) fn doors(config: &Config, gateway: &str) -> SessionDoors {
    let doors = config.browser_sessions.iter().map(|section| {
        let paths = SessionPaths {
            login: section.login.clone(),
            callback: section.callback.clone(),
            logout: section.logout.clone(),
            backchannel: section.backchannel_logout.clone(),
        };
        SessionDoor::new(section.name.clone(), origin(section, gateway), paths)
    });
    SessionDoors::new(doors.collect())
}

fn origin(section: &SessionsSection, gateway: &str) -> String {
    section.origin.clone().unwrap_or_else(|| gateway.to_owned())
}

fn kind(
    config: &Config,
    section: &SessionsSection,
    base: &str,
    gateway: &str,
    local: &TrustRoots,
) -> Result<BrowserSessionOptions, String> {
    let tenant = config
        .tenants
        .iter()
        .find(|tenant| tenant.name == section.tenant)
        .ok_or("no such tenant")?;
    let issuer = tenant.issuer(base).map_err(|error| error.to_string())?;
    let issuer: IssuerUrl = issuer
        .as_str()
        .parse()
        .map_err(|_| "the tenant's issuer is no https address")?;
    let key = pkcs8(&section.client_key.read(&config.dir)?)?;
    let key = SigningKey::from_pkcs8(
        section.client_key_algorithm,
        section.client_key_id.clone(),
        &key,
    );
    let credential = UpstreamCredential::Key(key.map_err(|error| error.to_string())?);
    let bounded = |text: &str| Bounded::parse(text).map_err(|error| error.to_string());
    let host = issuer
        .discovery_url()
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .ok_or("the tenant's issuer has no host")?;
    let roots = match &section.ca {
        None => local.clone(),
        Some(path) => {
            let path = config.dir.join(path);
            let pem = std::fs::read(&path).map_err(|error| {
                format!("`{}` cannot be read: {}", path.display(), error.kind())
            })?;
            TrustRoots::from_pem(&pem).map_err(|error| format!("`{}`: {error}", path.display()))?
        }
    };
    let tls = TlsClient::new(&roots, None, Alpn::Http1).map_err(|error| error.to_string())?;
    // The issuer is a tenant of ours, wherever it listens.
    let egress = EgressPolicy::public_only().allowing(&host);
    let client = ClientOptions {
        body_bytes_max: 128 * 1024,
        ..ClientOptions::default()
    };
    let record = ProviderRecord::new(
        section.tenant.clone(),
        section.name.clone(),
        Bounded::parse(section.name.as_str()).map_err(|error| error.to_string())?,
        issuer,
        bounded(section.client.as_str())?,
    );
    Ok(BrowserSessionOptions {
        issuer: UpstreamOptions {
            record,
            credential,
            http: HttpClient::new(tls, egress, client),
        },
        origin: origin(section, gateway),
        callback: section.callback.clone(),
        scopes: section.scopes.iter().cloned().collect(),
        resource: section.audience.clone(),
        post_logout: section.post_logout.clone(),
        idle: section.idle,
        absolute: section.absolute,
    })
}
