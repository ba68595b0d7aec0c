//! From the configuration's trusted issuers to what tenants believe, and to where the keys of those issuers come from.

use crate::config::error::ConfigError;
use crate::config::tenants::TenantSection;
use crate::config::trusted_issuers::{KeySource, Reach, TrustedIssuerSection};
use crate::config::{Config, FILE};
use countersign_authn::trust::Profile;
use countersign_base::UnixTime;
use countersign_control::{ForeignOrigin, ForeignSource, KeyFormat};
use countersign_crypto::Random;
use countersign_crypto::x509::{CertificateAuthority, TrustAnchors};
use countersign_net::client::ClientOptions;
use countersign_net::tls::Alpn;
use countersign_net::{EgressPolicy, HttpClient, TlsClient, TrustRoots};
use countersign_oauth::tenant::TenantTrust;
use std::fs;
use std::path::Path;

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

/// Where the keys of every trusted issuer come from. `local` is the authority that is trusted where an entry names none.
///
/// # Errors
/// Every file that cannot be used.
pub(super) fn origins(
    config: &Config,
    local: &TrustRoots,
) -> Result<Vec<ForeignOrigin>, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut origins = Vec::new();
    for section in &config.trusted_issuers {
        match source(&config.dir, section, local) {
            Ok(source) => origins.push(ForeignOrigin {
                tenant: section.tenant.clone(),
                name: section.issuer.name.clone(),
                source,
            }),
            Err(message) => errors.push(ConfigError::in_file(
                &config.dir.join(FILE),
                format!("trusted issuer `{}`: {message}", section.issuer.name),
            )),
        }
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

fn source(
    dir: &Path,
    section: &TrustedIssuerSection,
    local: &TrustRoots,
) -> Result<ForeignSource, String> {
    let format = match &section.issuer.profile {
        Profile::Jwt { .. } | Profile::Kubernetes { .. } => KeyFormat::JwkSet,
        Profile::Spiffe { .. } => KeyFormat::SpiffeBundle,
    };
    match &section.keys {
        KeySource::File(path) => {
            let path = dir.join(path);
            let set = format
                .read(&read(&path)?)
                .map_err(|error| format!("`{}`: {error}", path.display()))?;
            if set.is_empty() {
                return Err(format!(
                    "`{}` holds no key that can be used",
                    path.display()
                ));
            }
            Ok(ForeignSource::Fixed(set))
        }
        KeySource::Url { url, ca, reach } => {
            let roots = match ca {
                None => local.clone(),
                Some(path) => {
                    let path = dir.join(path);
                    TrustRoots::from_pem(&read(&path)?)
                        .map_err(|error| format!("`{}`: {error}", path.display()))?
                }
            };
            let tls =
                TlsClient::new(&roots, None, Alpn::Http1).map_err(|error| error.to_string())?;
            let egress = match (reach, url.host_str()) {
                (Reach::Private, Some(host)) => EgressPolicy::public_only().allowing(host),
                (Reach::Private, None) | (Reach::Public, _) => EgressPolicy::public_only(),
            };
            let http = HttpClient::new(tls, egress, ClientOptions::default());
            Ok(ForeignSource::Fetched {
                address: url.clone(),
                format,
                http: Box::new(http),
            })
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))
}
