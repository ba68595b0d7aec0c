//! From the configuration's routes for webhooks to the gateway's, and from its sources to the services that get what they send.

use super::{OwnIdentity, believed};
use crate::config::error::ConfigError;
use crate::config::routes::{LimitsAway, WebhookRouteSection};
use crate::config::upstreams::GatewayIdentity;
use crate::config::webhook_sources::WebhookSourceSection;
use crate::config::{Config, FILE};
use crate::run::threats::Threats;
use countersign_base::{SourceName, Tenant};
use countersign_channels::webhook::dispatcher::Service;
use countersign_control::Fabric;
use countersign_gateway::webhooks::WebhookRouteSpec;
use countersign_net::{DeliveryTls, Receiver, TrustRoots};
use countersign_wire::webhook::standard::SigningSecret;
use url::Url;

/// While the counts of shared limits are away nothing comes in: these callers have nothing to be told apart by but their network, and they try again.
const LIMITS_AWAY: LimitsAway = LimitsAway::Closed;

pub(super) fn spec(
    section: &WebhookRouteSection,
    config: &Config,
    threats: &Threats,
) -> WebhookRouteSpec {
    let limits = section.limits.iter();
    let hosts = section.hosts.iter();
    WebhookRouteSpec {
        id: section.name.clone(),
        tenant: section.tenant.clone(),
        hosts: hosts.map(|host| host.to_ascii_lowercase()).collect(),
        path: section.path.clone(),
        source: section.source.clone(),
        media_types: section.media_types.clone(),
        limits: limits
            .map(|limit| super::limit(limit, LIMITS_AWAY, config))
            .collect(),
        threats: threats.around(section.from.as_ref()),
        concurrency: section.concurrency,
        idle: section.idle,
        body_bytes_max: section.body_bytes_max,
    }
}

/// Deliveries to one service at a time.
const AT_A_TIME: u16 = 16;

/// A service, and of whose source.
type Named = ((Tenant, SourceName), Service);

/// The services of the sources, reached as their upstreams are: with the same trust, and with the gateway's certificate where an upstream wants to see one.
///
/// # Errors
/// What cannot be read, or no certificate can be made.
pub(in crate::run) fn services(
    config: &Config,
    fabric: &Fabric,
) -> Result<Vec<Named>, Vec<ConfigError>> {
    if config.webhook_sources.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |message: String| vec![ConfigError::in_file(&config.dir.join(FILE), message)];
    let local = TrustRoots::from_pem(fabric.authority().certificate_pem().as_bytes())
        .map_err(|error| failed(error.to_string()))?;
    let own = OwnIdentity::issue(fabric).map_err(failed)?;
    let sources = config.webhook_sources.iter();
    let named = |section: &WebhookSourceSection| {
        let service = service(config, section, &local, &own)?;
        Ok(((section.tenant.clone(), section.name.clone()), service))
    };
    let services: Result<_, String> = sources.map(named).collect();
    services.map_err(failed)
}

/// What deliveries to a source's service are signed with.
///
/// # Errors
/// A secret that cannot be read or is none of Standard Webhooks.
pub(in crate::run) fn signing(
    config: &Config,
    section: &WebhookSourceSection,
) -> Result<Vec<SigningSecret>, String> {
    let references = section.deliver.sign.iter();
    let read = references.map(|reference| {
        let text = reference.read(&config.dir)?;
        SigningSecret::parse(&text).map_err(|error| format!("`sign`: {error}"))
    });
    read.collect()
}

fn service(
    config: &Config,
    section: &WebhookSourceSection,
    local: &TrustRoots,
    own: &OwnIdentity,
) -> Result<Service, String> {
    let wanted = &section.deliver.upstream;
    let mut upstreams = config.upstreams.iter();
    let upstream = upstreams.find(|upstream| upstream.name == *wanted);
    let upstream = upstream.ok_or_else(|| format!("no upstream `{wanted}`"))?;
    let roots = believed(config, upstream.ca.as_deref(), local)?;
    let identity = match upstream.identity {
        GatewayIdentity::Certificate => Some(&own.tls),
        GatewayIdentity::None => None,
    };
    let tls = DeliveryTls::new(&roots, identity).map_err(|error| error.to_string())?;
    let receiver = |url: &Url| {
        let mut url = url.clone();
        url.set_path(&section.deliver.path);
        let receiver = Receiver::new(url).with_tls(tls.clone());
        match &upstream.server_name {
            Some(name) => receiver.with_server_name(name),
            None => receiver,
        }
    };
    Ok(Service {
        receiver: receiver(&upstream.url),
        also: upstream.also.iter().map(receiver).collect(),
        signing: signing(config, section)?.into(),
        media_type: section.media_types.first().cloned().unwrap_or_default(),
        rate: None,
        concurrency: AT_A_TIME,
        retries: section.deliver.retries.clone(),
    })
}
