//! What is read of a certificate that a peer presented and rustls validated.

use super::X509Error;
use crate::{base64url, digest};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// SHA-256 of a certificate in DER: `x5t#S256` (RFC 8705 §3.1). Written as base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificateThumbprint([u8; 32]);

base64url::digest_text!(CertificateThumbprint);

/// A peer's certificate, read once. Cloning it is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificate(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    der: Vec<u8>,
    thumbprint: CertificateThumbprint,
    dns: Vec<String>,
    uris: Vec<String>,
}

impl PeerCertificate {
    /// Reads the leaf certificate. Its path was validated by whoever took the connection.
    ///
    /// # Errors
    /// When it is not one certificate in DER, or its names cannot be read.
    pub fn from_der(der: Vec<u8>) -> Result<Self, X509Error> {
        let (rest, certificate) =
            X509Certificate::from_der(&der).map_err(|_| X509Error::Certificate)?;
        if !rest.is_empty() {
            return Err(X509Error::Certificate);
        }
        let (mut dns, mut uris) = (Vec::new(), Vec::new());
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| X509Error::Certificate)?;
        for name in names
            .iter()
            .flat_map(|extension| &extension.value.general_names)
        {
            match name {
                GeneralName::DNSName(name) => dns.push((*name).to_owned()),
                GeneralName::URI(name) => uris.push((*name).to_owned()),
                _ => {}
            }
        }
        let thumbprint = CertificateThumbprint(digest::sha256(&der));
        Ok(Self(Arc::new(Inner {
            der,
            thumbprint,
            dns,
            uris,
        })))
    }

    /// The certificate.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// What a bound token names it by.
    #[must_use]
    pub fn thumbprint(&self) -> CertificateThumbprint {
        self.0.thumbprint
    }

    /// The DNS names it is for.
    #[must_use]
    pub fn dns_sans(&self) -> &[String] {
        &self.0.dns
    }

    /// The URIs it is for: a SPIFFE id, for one.
    #[must_use]
    pub fn uri_sans(&self) -> &[String] {
        &self.0.uris
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerCertificate({})", self.0.thumbprint)
    }
}
