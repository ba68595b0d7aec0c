//! The certificate of the closed doors: the same at each start, so that whoever gives shares compares `sealed-ca.pem` once.
//!
//! The installation's own authority is sealed while these doors are open. So they have an authority of their own, which certifies once and is forgotten: its key is never
//! written. What lies in `keys/sealed-door.json` (mode 0600) is the key of the one certificate. Whoever reads it can take the place of the closed doors, and of nothing else.
//!
//! Not here: the doors ([`super::sealed`]).

use super::RunError;
use crate::run::Options;
use countersign_base::{Duration, Secret, UnixTime};
use countersign_control::root::{RootError, make_private_directory, read_private, replace_file};
use countersign_crypto::base64url;
use countersign_crypto::x509::{
    CertificateAuthority, CertificateRequest, CertificateUsage, IssuedCertificate,
};
use countersign_net::{ClientCertificates, ServerTls, TlsIdentity};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// How long the certificate lasts.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(2 * 365 * 86_400);
/// How long before its end another one is made: a start after that has one that nobody compared.
const RENEWED_BEFORE: Duration = Duration::from_secs(30 * 86_400);

/// What the file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The names it was made for.
    names: Vec<String>,
    /// The authority's certificate, in PEM.
    authority: String,
    /// The certificates that are shown, in base64url.
    chain: Vec<String>,
    /// The key, in base64url.
    key: String,
    /// When it ends.
    not_after: UnixTime,
}

/// The certificate of the closed doors, and the file with the authority to trust.
pub(super) fn certificate(
    options: &Options,
    names: &[String],
) -> Result<(ServerTls, PathBuf), RunError> {
    let now = options.clock.now();
    let path = options.data.join("keys").join("sealed-door.json");
    let kept = match taken_up(&path, names, now)? {
        Some(kept) => kept,
        None => made(options, names, &path)?,
    };
    let ca = options.data.join("sealed-ca.pem");
    replace_file(&ca, 0o644, kept.authority.as_bytes()).map_err(file(&ca))?;
    let issued = kept.issued().ok_or_else(|| RunError::SealedDoor {
        cause: RootError::Form(path),
    })?;
    let identity = TlsIdentity::from_issued(&issued)?;
    Ok((ServerTls::new(&identity, ClientCertificates::None)?, ca))
}

/// What a start before left. One that is for other names, ends soon or cannot be read is none.
fn taken_up(path: &Path, names: &[String], now: UnixTime) -> Result<Option<Kept>, RunError> {
    let text = read_private(path).map_err(|cause| RunError::SealedDoor { cause })?;
    let kept: Option<Kept> = text.and_then(|text| serde_json::from_str(&text).ok());
    Ok(kept.filter(|kept| kept.names == names && kept.not_after > now.plus(RENEWED_BEFORE)))
}

fn made(options: &Options, names: &[String], path: &Path) -> Result<Kept, RunError> {
    let now = options.clock.now();
    let authority =
        CertificateAuthority::generate("Countersign sealed doors", &options.random, now)?;
    let (mut dns, mut ips) = (
        vec!["localhost".to_owned()],
        vec![
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ],
    );
    for name in names {
        match name.parse() {
            Ok(ip) => ips.push(ip),
            Err(_) => dns.push(name.clone()),
        }
    }
    let request = CertificateRequest {
        dns,
        ips,
        uris: Vec::new(),
        usage: CertificateUsage::Server,
        lifetime: CERTIFICATE_LIFETIME,
    };
    let issued = authority.issue(&request, now)?;
    let kept = Kept {
        names: names.to_vec(),
        authority: authority.certificate_pem().to_owned(),
        chain: issued
            .chain_der
            .iter()
            .map(|der| base64url::encode(der))
            .collect(),
        key: base64url::encode(issued.key_der.expose()),
        not_after: issued.not_after,
    };
    let directory = options.data.join("keys");
    make_private_directory(&directory).map_err(file(&directory))?;
    let text = serde_json::to_string(&kept).map_err(|error| file(path)(error.into()))?;
    replace_file(path, 0o600, text.as_bytes()).map_err(file(path))?;
    Ok(kept)
}

impl Kept {
    fn issued(&self) -> Option<IssuedCertificate> {
        let chain = self.chain.iter().map(|text| base64url::decode(text).ok());
        Some(IssuedCertificate {
            chain_der: chain.collect::<Option<_>>()?,
            key_der: Secret::new(base64url::decode(&self.key).ok()?),
            not_after: self.not_after,
        })
    }
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> RunError + use<> {
    let path = path.to_owned();
    move |cause| RunError::SealedDoor {
        cause: RootError::File { path, cause },
    }
}

#[cfg(test)]
mod tests;
