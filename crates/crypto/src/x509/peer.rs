//! What is read of a certificate whose key a peer holds. Whether an authority stands behind it, see [`super::TrustAnchors`].

use super::{DistinguishedName, X509Error};
use crate::jose::PublicJwk;
use crate::{base64url, digest};
use countersign_base::UnixTime;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
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
    intermediates: Vec<Vec<u8>>,
    thumbprint: CertificateThumbprint,
    subject: Option<DistinguishedName>,
    names: AlternativeNames,
    not_before: UnixTime,
    not_after: UnixTime,
}

/// Certificates that a peer may send with its own; a chain that is longer is not looked at.
const INTERMEDIATES_MAX: usize = 8;

/// The names in the extension `subjectAltName` that have a meaning here (RFC 5280 §4.2.1.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlternativeNames {
    /// Host names.
    pub dns: Vec<String>,
    /// Mail addresses.
    pub emails: Vec<String>,
    /// Addresses.
    pub ips: Vec<IpAddr>,
    /// URIs: a SPIFFE id, for one.
    pub uris: Vec<String>,
}

impl PeerCertificate {
    /// Reads a certificate that came alone.
    ///
    /// # Errors
    /// When it is not one certificate in DER, or its names cannot be read.
    pub fn from_der(der: Vec<u8>) -> Result<Self, X509Error> {
        Self::from_chain(der, Vec::new())
    }

    /// Reads the certificates in PEM text, each for itself.
    ///
    /// # Errors
    /// When there is none, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Vec<Self>, X509Error> {
        let certificates: Result<Vec<Self>, X509Error> = CertificateDer::pem_slice_iter(pem)
            .map(|certificate| {
                let certificate = certificate.map_err(|_| X509Error::Certificate)?;
                Self::from_der(certificate.as_ref().to_vec())
            })
            .collect();
        certificates.and_then(|found| {
            if found.is_empty() {
                Err(X509Error::Certificate)
            } else {
                Ok(found)
            }
        })
    }

    /// Reads a certificate, with those that the peer sent for the way to its authority. Nothing of them is believed yet.
    ///
    /// # Errors
    /// When it is not one certificate in DER, its names cannot be read, or the chain is longer than is looked at.
    pub fn from_chain(der: Vec<u8>, intermediates: Vec<Vec<u8>>) -> Result<Self, X509Error> {
        let (rest, certificate) =
            X509Certificate::from_der(&der).map_err(|_| X509Error::Certificate)?;
        if !rest.is_empty() || intermediates.len() > INTERMEDIATES_MAX {
            return Err(X509Error::Certificate);
        }
        let names = alternative_names(&certificate)?;
        let subject = DistinguishedName::of(certificate.subject());
        let validity = certificate.validity();
        let (not_before, not_after) = (
            UnixTime(validity.not_before.timestamp()),
            UnixTime(validity.not_after.timestamp()),
        );
        let thumbprint = CertificateThumbprint(digest::sha256(&der));
        Ok(Self(Arc::new(Inner {
            der,
            intermediates,
            thumbprint,
            subject,
            names,
            not_before,
            not_after,
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

    /// The certificates that the peer sent for the way to its authority.
    #[must_use]
    pub fn intermediates(&self) -> &[Vec<u8>] {
        &self.0.intermediates
    }

    /// Its subject, if it has one that is text.
    #[must_use]
    pub fn subject(&self) -> Option<&DistinguishedName> {
        self.0.subject.as_ref()
    }

    /// The names it is for.
    #[must_use]
    pub fn alternative_names(&self) -> &AlternativeNames {
        &self.0.names
    }

    /// The DNS names it is for.
    #[must_use]
    pub fn dns_sans(&self) -> &[String] {
        &self.0.names.dns
    }

    /// The URIs it is for: a SPIFFE id, for one.
    #[must_use]
    pub fn uri_sans(&self) -> &[String] {
        &self.0.names.uris
    }

    /// Its public key, if it is of a kind that is known here.
    #[must_use]
    pub fn public_jwk(&self) -> Option<PublicJwk> {
        let (_, certificate) = X509Certificate::from_der(&self.0.der).ok()?;
        let key = certificate.public_key();
        let algorithm = key.algorithm.algorithm.to_id_string();
        PublicJwk::from_spki(&algorithm, &key.subject_public_key.data).ok()
    }

    /// Whether another's key signed it, and the other bears the name of its issuer. Nothing more is looked at.
    #[must_use]
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        let own = X509Certificate::from_der(&self.0.der);
        let issuer = X509Certificate::from_der(&issuer.0.der);
        let (Ok((_, own)), Ok((_, issuer))) = (own, issuer) else {
            return false;
        };
        own.issuer().as_raw() == issuer.subject().as_raw()
            && own.verify_signature(Some(issuer.public_key())).is_ok()
    }

    /// Whether it says that it is an authority's (RFC 5280 §4.2.1.9): one that does not never stands behind another.
    #[must_use]
    pub fn is_authority(&self) -> bool {
        X509Certificate::from_der(&self.0.der).is_ok_and(|(_, certificate)| certificate.is_ca())
    }

    /// The value of an extension, in DER; the identifier is written with dots.
    #[must_use]
    pub fn extension(&self, id: &str) -> Option<Vec<u8>> {
        let (_, certificate) = X509Certificate::from_der(&self.0.der).ok()?;
        let mut extensions = certificate.extensions().iter();
        let found = extensions.find(|extension| extension.oid.to_id_string() == id)?;
        Some(found.value.to_vec())
    }

    /// Whether it has begun and not ended by its own word.
    #[must_use]
    pub fn is_in_time(&self, now: UnixTime) -> bool {
        self.0.not_before <= now && now <= self.0.not_after
    }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Result<AlternativeNames, X509Error> {
    let extension = certificate
        .subject_alternative_name()
        .map_err(|_| X509Error::Certificate)?;
    let mut names = AlternativeNames::default();
    for name in extension
        .iter()
        .flat_map(|extension| &extension.value.general_names)
    {
        match name {
            GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
            GeneralName::IPAddress(octets) => {
                names
                    .ips
                    .push(address(octets).ok_or(X509Error::Certificate)?);
            }
            GeneralName::RFC822Name(name) => names.emails.push((*name).to_owned()),
            GeneralName::URI(name) => names.uris.push((*name).to_owned()),
            _ => {}
        }
    }
    Ok(names)
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets)
            .ok()
            .map(|octets| Ipv4Addr::from(octets).into()),
        16 => <[u8; 16]>::try_from(octets)
            .ok()
            .map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerCertificate({})", self.0.thumbprint)
    }
}
