//! Path validation of a client's certificate (RFC 5280 §6), as rustls-webpki does it, against authorities that one tenant trusts.
//!
//! The listener for clients with certificates serves every tenant and lets any certificate in whose key the peer holds. Whether a certificate
//! authority stands behind it is asked here, for the tenant whose endpoint was called, at every request: a session that was resumed, or a
//! certificate that expired meanwhile, gets no further than a new one would.
//!
//! Not here: revocation lists. Certificates of clients are meant to live for hours.

use super::{PeerCertificate, X509Error};
use countersign_base::UnixTime;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor};
use std::fmt;
use webpki::aws_lc_rs as algorithms;
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What a certificate may be signed with: nothing of SHA-1, nothing under 2048 bits.
static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P521_SHA512,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Certificate authorities whose clients are believed. Empty by default, and then nobody is.
#[derive(Clone, Default)]
pub struct TrustAnchors(Vec<TrustAnchor<'static>>);

/// Evidence that a certificate comes from a trusted authority and is valid now for a client. Only [`TrustAnchors::verify`] makes one.
#[derive(Debug)]
#[must_use]
pub struct TrustedCertificate<'a>(&'a PeerCertificate);

impl<'a> TrustedCertificate<'a> {
    /// The certificate.
    #[must_use]
    pub const fn certificate(&self) -> &'a PeerCertificate {
        self.0
    }
}

impl TrustAnchors {
    /// The authorities in PEM text.
    ///
    /// # Errors
    /// When there is none, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, X509Error> {
        let mut anchors = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| X509Error::Certificate)?;
            let anchor =
                anchor_from_trusted_cert(&certificate).map_err(|_| X509Error::Certificate)?;
            anchors.push(anchor.to_owned());
        }
        if anchors.is_empty() {
            return Err(X509Error::Certificate);
        }
        Ok(Self(anchors))
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Finds a path from the certificate to one of the authorities, through the intermediates that the peer sent.
    ///
    /// # Errors
    /// When there is none, one of its certificates is not valid now, or the certificate is not for clients.
    pub fn verify<'a>(
        &self,
        certificate: &'a PeerCertificate,
        now: UnixTime,
    ) -> Result<TrustedCertificate<'a>, X509Error> {
        let time = u64::try_from(now.0).map_err(|_| X509Error::Untrusted)?;
        let time = rustls_pki_types::UnixTime::since_unix_epoch(
            countersign_base::Duration::from_secs(time),
        );
        let leaf = CertificateDer::from(certificate.der());
        let leaf = EndEntityCert::try_from(&leaf).map_err(|_| X509Error::Untrusted)?;
        let intermediates: Vec<CertificateDer<'_>> = certificate
            .intermediates()
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        leaf.verify_for_usage(
            ALGORITHMS,
            &self.0,
            &intermediates,
            time,
            KeyUsage::client_auth(),
            None,
            Some(&every_authority_may_sign),
        )
        .map(|_path| TrustedCertificate(certificate))
        .map_err(|_| X509Error::Untrusted)
    }
}

/// RFC 5280 §6.1.4 (n), which webpki leaves out: an intermediate that says what its key is for says that it signs certificates.
fn every_authority_may_sign(path: &VerifiedPath<'_>) -> Result<(), webpki::Error> {
    let may_sign = path.intermediate_certificates().all(|between| {
        let der = between.der();
        X509Certificate::from_der(&der).is_ok_and(|(_, certificate)| {
            certificate
                .key_usage()
                .is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()))
        })
    });
    if may_sign {
        Ok(())
    } else {
        Err(webpki::Error::UnknownIssuer)
    }
}

impl fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustAnchors({})", self.0.len())
    }
}

#[cfg(test)]
mod tests;
