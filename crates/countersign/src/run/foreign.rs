//! From the configuration's trusted issuers to what tenants believe, and to where the keys of those issuers come from.

use crate::config::error::ConfigError;
use crate::config::tenants::TenantSection;
use crate::config::trusted_issuers::{KeySource, Reach};
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

/// Time for fetching one set, all in all.
const FETCH_TIME: Duration = Duration::from_secs(5);

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
    if errors.is_empty() {
        Ok(origins)
    } else {
        Err(errors)
    }
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
