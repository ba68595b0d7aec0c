//! `tls_client_auth`: a certificate of an authority that the tenant trusts, with the one name that the client registered (RFC 8705 §2.1).
//!
//! Names are compared as they stand, host names without regard to case; a wildcard in a certificate is a name like any other and matches nothing but itself.

use super::{ClientReason, ClientRefusal, ClientRules, Credential, Shown};
use countersign_base::{Bounded, ClientId, Conditional, UnixTime};
use countersign_crypto::x509::{DistinguishedName, PeerCertificate};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The one name of a client's certificates (RFC 8705 §2.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsSubject {
    /// `tls_client_auth_subject_dn`: its whole subject (RFC 4514).
    Dn(DistinguishedName),
    /// `tls_client_auth_san_dns`.
    Dns(Bounded<255>),
    /// `tls_client_auth_san_email`.
    Email(Bounded<255>),
    /// `tls_client_auth_san_ip`.
    Ip(IpAddr),
    /// `tls_client_auth_san_uri`: a SPIFFE id, for one.
    Uri(Bounded<2048>),
}

/// A text that names no subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `dn:CN=billing,O=Example`, `dns:billing.example`, `uri:spiffe://example/billing`, `ip:192.0.2.1` or `email:billing@example.com`"
)]
pub struct NotATlsSubject;

impl std::str::FromStr for TlsSubject {
    type Err = NotATlsSubject;

    /// A kind and a name, as the command line and configurations write it.
    fn from_str(text: &str) -> Result<Self, NotATlsSubject> {
        let (kind, name) = text
            .split_once(':')
            .filter(|(_, name)| !name.is_empty() && name.trim() == *name)
            .ok_or(NotATlsSubject)?;
        match kind {
            "dn" => name.parse().map(Self::Dn).map_err(|_| NotATlsSubject),
            "dns" => Bounded::parse(name)
                .map(Self::Dns)
                .map_err(|_| NotATlsSubject),
            "email" if name.contains('@') => Bounded::parse(name)
                .map(Self::Email)
                .map_err(|_| NotATlsSubject),
            "ip" => name.parse().map(Self::Ip).map_err(|_| NotATlsSubject),
            "uri" if name.contains(':') => Bounded::parse(name)
                .map(Self::Uri)
                .map_err(|_| NotATlsSubject),
            _ => Err(NotATlsSubject),
        }
    }
}

impl TlsSubject {
    fn is_of(&self, certificate: &PeerCertificate) -> bool {
        let names = certificate.alternative_names();
        match self {
            Self::Dn(name) => certificate.subject() == Some(name),
            Self::Dns(name) => names
                .dns
                .iter()
                .any(|found| found.eq_ignore_ascii_case(name.as_str())),
            Self::Email(address) => names.emails.iter().any(|found| found == address.as_str()),
            Self::Ip(address) => names.ips.contains(address),
            Self::Uri(uri) => names.uris.iter().any(|found| found == uri.as_str()),
        }
    }
}

/// A name beside a certificate; the registration says which method it is.
pub(super) fn read(
    shown: &Shown<'_>,
) -> Result<Conditional<(ClientId, Credential), ()>, ClientRefusal> {
    let Conditional::Present(certificate) = shown.peer else {
        return Ok(Conditional::Absent(()));
    };
    Ok(match shown.named()? {
        Conditional::Absent(()) => Conditional::Absent(()),
        Conditional::Present(id) => {
            Conditional::Present((id, Credential::Certificate(certificate.clone())))
        }
    })
}

pub(super) fn check(
    certificate: &PeerCertificate,
    subject: &TlsSubject,
    rules: &ClientRules<'_>,
    now: UnixTime,
) -> Result<(), ClientReason> {
    let trusted = rules
        .trust
        .authorities
        .verify(certificate, now)
        .map_err(|_| ClientReason::CertificateUntrusted)?;
    if subject.is_of(trusted.certificate()) {
        Ok(())
    } else {
        Err(ClientReason::CertificateSubjectMismatch)
    }
}

#[cfg(test)]
mod tests;
