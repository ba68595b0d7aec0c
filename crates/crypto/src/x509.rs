//! X.509: the development CA and the certificates it issues, certificates and requests of the vault's authorities, and what is read of a peer's certificate.
//!
//! The CA is for development and for the fabric's own connections on one machine; it keeps no list of what it issued, because its
//! certificates live for hours. Not here: path validation of servers, which is rustls's.

mod authority;
mod issuing;
mod name;
mod path;
mod peer;
mod signing_request;

pub use authority::{
    CertificateAuthority, CertificateRequest, CertificateUsage, IssuedCertificate,
};
pub use issuing::{
    IssuingAuthority, LeafKeyUsage, Locations, Purpose, Revoked, Serial, Standing, Subject,
    Template, certificate_pem, revocation_list_pem,
};
pub use name::{DistinguishedName, NotADistinguishedName};
pub use path::{TrustAnchors, TrustedCertificate};
pub use peer::{AlternativeNames, CertificateThumbprint, PeerCertificate};
pub use signing_request::{SigningRequest, SigningRequestFlaw};

/// Why a certificate cannot be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum X509Error {
    /// The certificate is not DER, or its names are not readable.
    #[error("the certificate cannot be read")]
    Certificate,
    /// aws-lc could not make a key, or a key in PEM is not one.
    #[error("the private key cannot be made or read")]
    Key,
    /// The lifetime ends after the year 9999, is zero, or `now` lies before 1970.
    #[error("the lifetime of the certificate is outside what X.509 can say")]
    Lifetime,
    /// A DNS name or URI holds characters that a certificate cannot.
    #[error("the name `{0}` cannot stand in a certificate")]
    Name(String),
    /// Signing failed.
    #[error("the certificate cannot be signed")]
    Signing,
    /// No path leads from the certificate to an authority that is trusted for it, now.
    #[error("no trusted authority stands behind the certificate")]
    Untrusted,
}

#[cfg(test)]
mod tests;
