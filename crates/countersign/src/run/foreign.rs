//! From the configuration's trusted issuers to what tenants believe, and to where the keys of those issuers come from; and those of partners and of sources of webhooks.

use super::egress;
use crate::config::error::ConfigError;
use crate::config::key_places::KeyPlace;
use crate::config::partners::PartnerSection;
use crate::config::tenants::TenantSection;
use crate::config::trusted_issuers::{KeySource, Reach};
use crate::config::webhook_sources::WebhookSourceSection;
use crate::config::{Config, FILE};
use countersign_authn::jwks::JwksLimits;
use countersign_authn::trust::Profile;
use countersign_base::{Duration, UnixTime};
use countersign_control::{ForeignOrigin, ForeignSource, KeyFormat, KeysOf};
use countersign_crypto::Random;
use countersign_crypto::digest::sha256;
use countersign_crypto::x509::{CertificateAuthority, TrustAnchors};
use countersign_net::client::ClientOptions;
use countersign_net::tls::Alpn;
use countersign_net::{EgressPolicy, HttpClient, TlsClient, TrustRoots};
use countersign_oauth::tenant::TenantTrust;
use std::fs;
use std::path::Path;
use url::Url;

/// Time for fetching one set, all in all.
const FETCH_TIME: Duration = Duration::from_secs(5);
/// How the sets of partners and of sources of webhooks are kept: looked at again within these times, whatever their servers say, so that a key that was taken out soon
/// counts no more.
const FOLLOWED_MIN: Duration = Duration::from_secs(300);
const FOLLOWED_MAX: Duration = Duration::from_secs(900);

/// Whom a tenant believes.
///
/// # Errors
/// When its file of authorities cannot be used.
pub(super) fn trust(config: &Config, tenant: &TenantSection) -> Result<TenantTrust, ConfigError> {
    let refused = |message: String| {
        ConfigError::in_file(
            &config.dir.join(FILE),
            format!("tenant `{}`: {message}", tenant.name),
        )
    };
    let certificate_authorities = match &tenant.client_ca {
        None => None,
        Some(path) => {
            let path = config.dir.join(path);
            let pem = fs::read_to_string(&path).map_err(|error| {
                refused(format!(
                    "`{}` cannot be read: {}",
                    path.display(),
                    error.kind()
                ))
            })?;
            TrustAnchors::from_pem(pem.as_bytes()).map_err(|_| {
                refused(format!(
                    "`{}` holds no certificate of an authority in PEM",
                    path.display()
                ))
            })?;
            Some(pem)
        }
    };
    let issuers = config
        .trusted_issuers
        .iter()
        .filter(|section| section.tenant == tenant.name)
        .map(|section| section.issuer.clone());
    Ok(TenantTrust {
        certificate_authorities,
        secret_in_body: tenant.client_secret_post,
        issuers: issuers.collect(),
    })
}

/// Where the keys of every trusted issuer come from, the tenants' and the gateway's. `local` is the authority that is trusted where an entry names none.
///
/// # Errors
/// Every file that cannot be used.
pub(super) fn origins(
    config: &Config,
    local: &TrustRoots,
) -> Result<Vec<ForeignOrigin>, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut origins = Vec::new();
    let mut take = |what: &str, of: KeysOf, made: Result<Made, String>| match made {
        Ok(Made { source, identity }) => origins.push(ForeignOrigin {
            of,
            source,
            identity,
        }),
        Err(message) => errors.push(ConfigError::in_file(
            &config.dir.join(FILE),
            format!("{what}: {message}"),
        )),
    };
    for section in &config.trusted_issuers {
        let name = section.issuer.name.clone();
        let format = match &section.issuer.profile {
            Profile::Jwt { .. } | Profile::Kubernetes { .. } => KeyFormat::JwkSet,
            Profile::Spiffe { .. } => KeyFormat::SpiffeBundle,
        };
        let what = format!("trusted issuer `{name}`");
        let limits = JwksLimits::default();
        let made = source(&config.dir, &section.keys, format, limits, local);
        let tenant = section.tenant.clone();
        take(&what, KeysOf::Tenant { tenant, name }, made);
    }
    for section in &config.gateway.issuers {
        let of = KeysOf::Gateway {
            name: section.issuer.name().clone(),
            issuer: section.issuer.issuer().clone(),
        };
        let what = format!("issuer `{}` of the gateway", section.name());
        let format = KeyFormat::JwkSet;
        let made = source(&config.dir, &section.keys, format, section.limits, local);
        take(&what, of, made);
    }
    match followed(config) {
        Ok(followed) => origins.extend(followed),
        Err(error) => errors.push(error),
    }
    if errors.is_empty() {
        Ok(origins)
    } else {
        Err(errors)
    }
}

/// The address of a partner's set, and whose keys it holds.
pub(super) fn of_partner(partner: &PartnerSection) -> Option<(KeysOf, Url)> {
    let KeyPlace::Url(url) = &partner.keys else {
        return None;
    };
    let of = KeysOf::Partner {
        tenant: partner.tenant.clone(),
        name: partner.name.clone(),
        address: url.clone(),
    };
    Some((of, url.clone()))
}

/// The address of the set of a source of webhooks, and whose keys it holds.
pub(super) fn of_source(source: &WebhookSourceSection) -> Option<(KeysOf, Url)> {
    let Some(KeyPlace::Url(url)) = &source.jwks else {
        return None;
    };
    let of = KeysOf::WebhookSource {
        name: source.name.clone(),
        address: url.clone(),
    };
    Some((of, url.clone()))
}

/// Where the keys of partners and of sources of webhooks come from, if from an address: reached by the rules of `[egress]`, as every address of somebody else.
fn followed(config: &Config) -> Result<Vec<ForeignOrigin>, ConfigError> {
    let partners = config.partners.iter().filter_map(of_partner);
    let sources = config.webhook_sources.iter().filter_map(of_source);
    let mut named = partners.chain(sources).peekable();
    if named.peek().is_none() {
        return Ok(Vec::new());
    }
    let outside = egress::client(config)?;
    let limits = JwksLimits {
        lifetime_min: FOLLOWED_MIN,
        lifetime_max: FOLLOWED_MAX,
        ..JwksLimits::default()
    };
    let (allow, networks) = (&config.egress.allow, &config.egress.networks);
    let ca = config.egress.ca.as_ref();
    let ca = ca.map(|path| fs::read(config.dir.join(path)).unwrap_or_default());
    let origins = named.map(|(of, address)| {
        // What is reached, and whom we believe there, is part of it: a set that came under other rules is fetched anew.
        let identity = format!("{address} {allow:?} {networks:?} {ca:?} {limits:?}");
        ForeignOrigin {
            of,
            source: ForeignSource::Guarded {
                address,
                outside: outside.clone(),
                limits,
            },
            identity: sha256(identity.as_bytes()),
        }
    });
    Ok(origins.collect())
}

/// What [`origins`] would refuse, found out with an authority of nobody's: nothing has to run.
///
/// # Errors
/// As [`origins`].
pub(super) fn check(config: &Config, now: UnixTime) -> Result<(), Vec<ConfigError>> {
    let nobody = CertificateAuthority::generate("nobody", &Random::system(), now)
        .map_err(|error| error.to_string())
        .and_then(|authority| {
            TrustRoots::from_pem(authority.certificate_pem().as_bytes())
                .map_err(|error| error.to_string())
        });
    let nobody =
        nobody.map_err(|message| vec![ConfigError::in_file(&config.dir.join(FILE), message)])?;
    origins(config, &nobody).map(drop)
}

/// A source, and a digest of all that it was made of.
struct Made {
    source: ForeignSource,
    identity: [u8; 32],
}

fn source(
    dir: &Path,
    keys: &KeySource,
    format: KeyFormat,
    limits: JwksLimits,
    local: &TrustRoots,
) -> Result<Made, String> {
    match keys {
        KeySource::File(path) => {
            let path = dir.join(path);
            let bytes = read(&path)?;
            let set = format
                .read(&bytes)
                .map_err(|error| format!("`{}`: {error}", path.display()))?;
            if set.is_empty() {
                return Err(format!(
                    "`{}` holds no key that can be used",
                    path.display()
                ));
            }
            Ok(Made {
                source: ForeignSource::Fixed(set),
                identity: sha256(&bytes),
            })
        }
        KeySource::Url { url, ca, reach } => {
            let pem = ca.as_ref().map(|path| read(&dir.join(path))).transpose()?;
            let roots = match (&pem, ca) {
                (Some(pem), Some(path)) => TrustRoots::from_pem(pem)
                    .map_err(|error| format!("`{}`: {error}", dir.join(path).display()))?,
                (_, _) => local.clone(),
            };
            let tls =
                TlsClient::new(&roots, None, Alpn::Http1).map_err(|error| error.to_string())?;
            let egress = match (reach, url.host_str()) {
                (Reach::Private, Some(host)) => EgressPolicy::public_only().allowing(host),
                (Reach::Private, None) | (Reach::Public, _) => EgressPolicy::public_only(),
            };
            let options = ClientOptions {
                timeout: FETCH_TIME,
                ..ClientOptions::default()
            };
            let identity = format!("{url} {reach:?} {format:?} {limits:?} {pem:?}");
            Ok(Made {
                source: ForeignSource::Fetched {
                    address: url.clone(),
                    format,
                    http: Box::new(HttpClient::new(tls, egress, options)),
                    limits,
                },
                identity: sha256(identity.as_bytes()),
            })
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))
}
