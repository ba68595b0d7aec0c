//! From `[[identity_providers]]` to what the fabric speaks with: secrets and keys read, a client for each.

use crate::config::error::ConfigError;
use crate::config::identity_providers::{ProviderCredential, ProviderSection};
use crate::config::{Config, FILE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_base::Secret;
use countersign_control::{UpstreamCredential, UpstreamOptions};
use countersign_crypto::signing::SigningKey;
use countersign_net::client::ClientOptions;
use countersign_net::tls::Alpn;
use countersign_net::{EgressPolicy, HttpClient, TlsClient, TrustRoots};
use std::fs;
use std::path::{Path, PathBuf};

/// Where systems keep the certificate authorities that they trust.
const SYSTEM_AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Every provider of the configuration.
///
/// # Errors
/// Every secret, key and certificate authority that cannot be read.
pub(super) fn upstreams(config: &Config) -> Result<Vec<UpstreamOptions>, Vec<ConfigError>> {
    let (mut upstreams, mut errors) = (Vec::new(), Vec::new());
    for section in &config.identity_providers {
        match upstream(config, section) {
            Ok(upstream) => upstreams.push(upstream),
            Err(message) => errors.push(ConfigError::in_file(
                &config.dir.join(FILE),
                format!("identity provider `{}`: {message}", section.record.name),
            )),
        }
    }
    if errors.is_empty() {
        Ok(upstreams)
    } else {
        Err(errors)
    }
}

fn upstream(config: &Config, section: &ProviderSection) -> Result<UpstreamOptions, String> {
    let credential = match &section.credential {
        ProviderCredential::Key { key, id, algorithm } => {
            let pkcs8 = pkcs8(&key.read(&config.dir)?)?;
            let key = SigningKey::from_pkcs8(*algorithm, id.clone(), &pkcs8);
            UpstreamCredential::Key(key.map_err(|error| error.to_string())?)
        }
        ProviderCredential::Secret(secret) => UpstreamCredential::Secret(secret.read(&config.dir)?),
    };
    let roots = authorities(section.ca.as_ref().map(|path| config.dir.join(path)))?;
    let tls = TlsClient::new(&roots, None, Alpn::Http1).map_err(|error| error.to_string())?;
    let host = section
        .record
        .issuer
        .discovery_url()
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    let egress = match (host, &section.private_address_because) {
        (Some(host), Some(_reason)) => EgressPolicy::public_only().allowing(&host),
        (Some(_), None) | (None, _) => EgressPolicy::public_only(),
    };
    let options = ClientOptions {
        body_bytes_max: 128 * 1024,
        ..ClientOptions::default()
    };
    Ok(UpstreamOptions {
        record: section.record.clone(),
        credential,
        http: HttpClient::new(tls, egress, options),
    })
}

/// The named certificate authorities, or the system's.
fn authorities(named: Option<PathBuf>) -> Result<TrustRoots, String> {
    let system = || {
        SYSTEM_AUTHORITIES
            .iter()
            .map(Path::new)
            .find(|path| path.exists())
            .map(Path::to_owned)
    };
    let path = named.or_else(system).ok_or(
        "this system has no list of certificate authorities: name the provider's own with `ca`",
    )?;
    let pem = fs::read(&path)
        .map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))?;
    TrustRoots::from_pem(&pem).map_err(|error| format!("`{}`: {error}", path.display()))
}

/// The bytes of a private key in PEM (RFC 7468 §10).
pub(super) fn pkcs8(pem: &Secret<String>) -> Result<Secret<Vec<u8>>, String> {
    let malformed = || "the key is not a PKCS#8 private key in PEM".to_owned();
    let body = pem
        .expose()
        .split_once("-----BEGIN PRIVATE KEY-----")
        .and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"))
        .map(|(body, _)| body)
        .ok_or_else(malformed)?;
    let body: Secret<String> = Secret::new(body.split_ascii_whitespace().collect());
    STANDARD
        .decode(body.expose())
        .map(Secret::new)
        .map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::jose::Algorithm;
    use countersign_crypto::signing::{ClientAssertion, generate_pkcs8};

    #[test]
    fn a_key_in_pem_is_read_and_anything_else_refused() {
        let der = generate_pkcs8(Algorithm::Es256).unwrap();
        let text = STANDARD.encode(der.expose());
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let pem = |label: &str| {
            let body = lines.join("\n");
            Secret::new(format!(
                "-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"
            ))
        };
        let read = pkcs8(&pem("PRIVATE KEY")).unwrap();
        let key = SigningKey::<ClientAssertion>::from_pkcs8(
            Algorithm::Es256,
            "k".parse().unwrap(),
            &read,
        );
        assert!(key.is_ok());
        assert!(pkcs8(&pem("EC PRIVATE KEY")).is_err());
        assert!(pkcs8(&Secret::new("hunter2".to_owned())).is_err());
    }
}
