//! The development certificate authority and the key of the audit log: made at the first start, sealed in the store, the same on every node.
//!
//! `ca.pem` in the data directory is a copy of the certificate for people and clients to trust; the private key is never written to a file.

use crate::root::replace_file;
use crate::secrets::Secrets;
use countersign_base::{Duration, Kid, Secret, UnixTime};
use countersign_crypto::jose::{Algorithm, JoseError};
use countersign_crypto::signing::{LogCheckpoint, SigningKey, generate_pkcs8};
use countersign_crypto::x509::{
    CertificateAuthority, CertificateRequest, CertificateUsage, IssuedCertificate, X509Error,
};
use countersign_keys::OpenError;
use countersign_keys::envelope::SealError;
use countersign_store::tables::settings::{self, Setting};
use countersign_store::{Store, StoreError};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// How long the certificates of our own listeners live; they are renewed at half of it.
pub const SERVER_CERTIFICATE_LIFETIME: Duration = Duration::from_secs(7 * 86_400);

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A certificate cannot be made or read.
    #[error(transparent)]
    Certificate(#[from] X509Error),
    /// The copy of the certificate cannot be written.
    #[error("`{}` cannot be written: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// A key cannot be made.
    #[error("a key cannot be made: {0}")]
    Key(#[from] JoseError),
    /// A sealed key does not open.
    #[error("a key of the installation cannot be opened: {0}")]
    Open(#[from] OpenError),
    /// A key cannot be sealed.
    #[error("a key of the installation cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// The stored value is not text.
    #[error("the stored certificate authority is not PEM")]
    Text,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The authority that certifies our own listeners, upstream identities and the local administrator.
pub struct Authority(CertificateAuthority);

impl Authority {
    /// Opens the authority; at the first start, makes it. Writes `ca.pem`.
    ///
    /// # Errors
    /// When the store fails, the key does not open, or `ca.pem` cannot be written.
    pub async fn open(
        store: &Store,
        secrets: &Secrets,
        data: &Path,
        now: UnixTime,
    ) -> Result<Self, AuthorityError> {
        let stored = {
            let mut connection = store.read().await?;
            let certificate =
                settings::find(&mut connection, Setting::AuthorityCertificate).await?;
            certificate.zip(settings::find(&mut connection, Setting::AuthorityKey).await?)
        };
        let (certificate, key) = match stored {
            Some(stored) => stored,
            None => make(store, secrets, now).await?,
        };
        let certificate = String::from_utf8(certificate).map_err(|_| AuthorityError::Text)?;
        let key = secrets.open_sealed("authority key", key)?;
        let key =
            Secret::new(String::from_utf8(key.expose().clone()).map_err(|_| AuthorityError::Text)?);
        let authority = CertificateAuthority::from_pem(&certificate, &key, secrets.random())?;
        let path = data.join("ca.pem");
        replace_file(&path, 0o644, certificate.as_bytes())
            .map_err(|cause| AuthorityError::File { path, cause })?;
        Ok(Self(authority))
    }

    /// The certificate to trust, in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        self.0.certificate_pem()
    }

    /// A certificate for a listener: `localhost`, the loopback addresses, and `names`.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn server(&self, names: &[String], now: UnixTime) -> Result<IssuedCertificate, X509Error> {
        let mut dns = vec!["localhost".to_owned()];
        let mut ips = vec![
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ];
        for name in names {
            match name.parse() {
                Ok(ip) => ips.push(ip),
                Err(_) => dns.push(name.clone()),
            }
        }
        let usage = CertificateUsage::Server;
        self.0.issue(
            &CertificateRequest {
                dns,
                ips,
                uris: Vec::new(),
                usage,
                lifetime: SERVER_CERTIFICATE_LIFETIME,
            },
            now,
        )
    }

    /// A client certificate that carries `uri`.
    ///
    /// # Errors
    /// When aws-lc fails.
    pub fn client(
        &self,
        uri: &str,
        lifetime: Duration,
        now: UnixTime,
    ) -> Result<IssuedCertificate, X509Error> {
        let request = CertificateRequest {
            dns: Vec::new(),
            ips: Vec::new(),
            uris: vec![uri.to_owned()],
            usage: CertificateUsage::Client,
            lifetime,
        };
        self.0.issue(&request, now)
    }
}

async fn make(
    store: &Store,
    secrets: &Secrets,
    now: UnixTime,
) -> Result<(Vec<u8>, Vec<u8>), AuthorityError> {
    let authority =
        CertificateAuthority::generate("Countersign development authority", secrets.random(), now)?;
    let certificate = authority.certificate_pem().as_bytes().to_vec();
    let key = secrets
        .seal(
            "authority key",
            authority.private_key_pem().expose().as_bytes(),
        )?
        .into_bytes();
    // Of several nodes that start together one decides, for both values at once.
    let stored = store
        .write(move |tx| {
            Box::pin(async move {
                let standing =
                    settings::put_first(tx, Setting::AuthorityCertificate, certificate.clone())
                        .await?;
                if standing == certificate {
                    settings::put(tx, Setting::AuthorityKey, key.clone()).await?;
                    return Ok((standing, key));
                }
                let key = settings::find(tx, Setting::AuthorityKey).await?;
                Ok((standing, key.unwrap_or_default()))
            })
        })
        .await?;
    Ok(stored)
}

/// Opens the key that signs checkpoints of the audit log; at the first start, makes it.
///
/// # Errors
/// When the store fails or the key does not open.
pub async fn log_key(
    store: &Store,
    secrets: &Secrets,
) -> Result<SigningKey<LogCheckpoint>, AuthorityError> {
    let stored = {
        let mut connection = store.read().await?;
        settings::find(&mut connection, Setting::LogKey).await?
    };
    let sealed = match stored {
        Some(sealed) => sealed,
        None => {
            let pkcs8 = generate_pkcs8(Algorithm::EdDsa)?;
            let sealed = secrets.seal("log key", pkcs8.expose())?.into_bytes();
            store
                .write(move |tx| {
                    Box::pin(async move { settings::put_first(tx, Setting::LogKey, sealed).await })
                })
                .await?
        }
    };
    let pkcs8 = secrets.open_sealed("log key", sealed)?;
    Ok(SigningKey::from_pkcs8(Algorithm::EdDsa, log_kid(), &pkcs8)?)
}

#[expect(
    clippy::expect_used,
    reason = "a constant that has the grammar of a key id"
)]
fn log_kid() -> Kid {
    "audit-log".parse().expect("a key id")
}
