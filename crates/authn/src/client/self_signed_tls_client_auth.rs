//! `self_signed_tls_client_auth`: a certificate that the client registered, or one on a key that it registered (RFC 8705 §2.2).
//!
//! No authority stands behind it; the handshake proved that the peer holds its key, and the registration that the key is the client's. One that has
//! ended by its own word is refused, so that making a new one is not forgotten.

use super::{ClientReason, ClientRefusal, Credential, Shown, tls_client_auth};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_base::{ClientId, Conditional, UnixTime};
use countersign_crypto::jose::{JWKS_BYTES_MAX, JWKS_KEYS_MAX, JwkThumbprint, PublicJwk};
use countersign_crypto::x509::{CertificateThumbprint, PeerCertificate};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// What a client registered for itself: whole certificates, or keys alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredCertificates {
    /// Certificates by their thumbprints.
    pub certificates: BTreeSet<CertificateThumbprint>,
    /// Keys by their thumbprints: whichever certificate is on one of them is the client's.
    #[serde(default)]
    pub keys: BTreeSet<JwkThumbprint>,
}

/// A registration that names no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRegistrationError {
    /// No JWK set, or one over the limits.
    #[error("expected a JWK set")]
    NoSet,
    /// No certificate and no key.
    #[error("expected at least one certificate or key")]
    Empty,
    /// A key that cannot be used, or one whose certificate is on another key.
    #[error(
        "expected public keys of type Ed25519, P-256 or RSA, each with its own certificate first in `x5c` or without one"
    )]
    Key,
}

impl RegisteredCertificates {
    /// The certificates in a client's JWK set: the first of each `x5c`, and keys that stand without one.
    ///
    /// # Errors
    /// When the set holds nothing, or something that can be no certificate of the client.
    pub fn from_jwks(jwks: &Value) -> Result<Self, CertificateRegistrationError> {
        let keys = jwks
            .get("keys")
            .and_then(Value::as_array)
            .filter(|keys| keys.len() <= JWKS_KEYS_MAX)
            .ok_or(CertificateRegistrationError::NoSet)?;
        let mut registered = Self::default();
        for key in keys {
            let jwk = PublicJwk::parse(key).map_err(|_| CertificateRegistrationError::Key)?;
            match key.get("x5c") {
                None => _ = registered.keys.insert(jwk.thumbprint()),
                Some(chain) => {
                    let certificate =
                        first_certificate(chain).ok_or(CertificateRegistrationError::Key)?;
                    if certificate.public_jwk().as_ref() != Some(&jwk) {
                        return Err(CertificateRegistrationError::Key);
                    }
                    registered.certificates.insert(certificate.thumbprint());
                }
            }
        }
        registered.not_empty()
    }

    /// Certificates as they are.
    ///
    /// # Errors
    /// When there is none.
    pub fn from_certificates(
        certificates: impl IntoIterator<Item = PeerCertificate>,
    ) -> Result<Self, CertificateRegistrationError> {
        let thumbprints = certificates
            .into_iter()
            .map(|certificate| certificate.thumbprint());
        Self {
            certificates: thumbprints.collect(),
            keys: BTreeSet::new(),
        }
        .not_empty()
    }

    fn not_empty(self) -> Result<Self, CertificateRegistrationError> {
        if self.certificates.is_empty() && self.keys.is_empty() {
            Err(CertificateRegistrationError::Empty)
        } else {
            Ok(self)
        }
    }

    fn holds(&self, certificate: &PeerCertificate) -> bool {
        if self.certificates.contains(&certificate.thumbprint()) {
            return true;
        }
        !self.keys.is_empty()
            && certificate
                .public_jwk()
                .is_some_and(|key| self.keys.contains(&key.thumbprint()))
    }
}

/// RFC 7517 §4.7: the certificate of the key comes first, in base64 and not base64url.
fn first_certificate(chain: &Value) -> Option<PeerCertificate> {
    let first = chain.as_array()?.first()?.as_str()?;
    let der = STANDARD
        .decode(first)
        .ok()
        .filter(|der| der.len() <= JWKS_BYTES_MAX)?;
    PeerCertificate::from_der(der).ok()
}

/// In a request it looks like `tls_client_auth`, which is asked first.
pub(super) fn read(
    shown: &Shown<'_>,
) -> Result<Conditional<(ClientId, Credential), ()>, ClientRefusal> {
    tls_client_auth::read(shown)
}

pub(super) fn check(
    certificate: &PeerCertificate,
    registered: &RegisteredCertificates,
    now: UnixTime,
) -> Result<(), ClientReason> {
    if !registered.holds(certificate) {
        return Err(ClientReason::CertificateNotRegistered);
    }
    if certificate.is_in_time(now) {
        Ok(())
    } else {
        Err(ClientReason::CertificateExpired)
    }
}
