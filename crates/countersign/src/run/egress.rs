//! The guarded way out, made of `[egress]`: whom to believe, and which private hosts may be reached.

use crate::config::error::ConfigError;
use crate::config::{Config, FILE};
use countersign_net::tls::Alpn;
use countersign_net::{EgressPolicy, GuardedClient, TlsClient, TrustRoots};
use std::path::{Path, PathBuf};

/// Where machines keep the certificate authorities that they believe.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The client for everything that somebody else named.
///
/// # Errors
/// When the configured certificate authorities cannot be read. A machine without any believes nobody, so that nothing is fetched.
pub(super) fn client(config: &Config) -> Result<GuardedClient, ConfigError> {
    let section = &config.egress;
    let roots = match &section.ca {
        Some(path) => read(&config.dir.join(path))?,
        None => match BUNDLES.iter().map(PathBuf::from).find(|path| path.exists()) {
            Some(path) => {
                let pem = std::fs::read(path).unwrap_or_default();
                TrustRoots::from_bundle(&pem).or_else(|_none| nobody(config))?
            }
            None => nobody(config)?,
        },
    };
    let tls = TlsClient::new(&roots, None, Alpn::Http1).map_err(|error| whole(config, &error))?;
    let policy = section
        .allow
        .iter()
        .fold(EgressPolicy::public_only(), |policy, host| {
            policy.allowing(host)
        });
    Ok(GuardedClient::new(tls, policy))
}

fn read(path: &Path) -> Result<TrustRoots, ConfigError> {
    let pem = std::fs::read(path)
        .map_err(|error| ConfigError::in_file(path, format!("cannot be read: {}", error.kind())))?;
    TrustRoots::from_pem(&pem).map_err(|error| ConfigError::in_file(path, error.to_string()))
}

/// An authority that nobody has the key of.
fn nobody(config: &Config) -> Result<TrustRoots, ConfigError> {
    let nobody = countersign_crypto::x509::CertificateAuthority::generate(
        "nobody",
        &countersign_crypto::Random::system(),
        super::system_clock().now(),
    )
    .map_err(|error| whole(config, &error))?;
    TrustRoots::from_pem(nobody.certificate_pem().as_bytes()).map_err(|error| whole(config, &error))
}

fn whole(config: &Config, error: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::in_file(&config.dir.join(FILE), error.to_string())
}
