//! Whom a tenant believes about its clients and people, as the store keeps it: client certificate authorities, issuers of workload identities and of
//! assertions.
//!
//! Not here: how a certificate or an assertion is judged (`authn`), and the keys of foreign issuers, which no record holds.

use countersign_authn::trust::{ClientTrust, ForeignIssuer, SecretInBody};
use countersign_crypto::x509::TrustAnchors;
use serde::{Deserialize, Serialize};

/// A tenant's trust.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantTrust {
    /// The authorities of clients' certificates (RFC 8705 §2.1), in PEM. Where none is named, the installation's own authority.
    pub certificate_authorities: Option<String>,
    /// Whether `client_secret_post` is served.
    pub secret_in_body: SecretInBody,
    /// Issuers that are not ours, each under a name of its own.
    pub issuers: Vec<ForeignIssuer>,
}

impl TenantTrust {
    /// Nobody but the installation itself.
    #[must_use]
    pub const fn nobody() -> Self {
        Self {
            certificate_authorities: None,
            secret_in_body: SecretInBody::Refused,
            issuers: Vec::new(),
        }
    }

    /// What `authn` judges clients by. Authorities that cannot be read are nobody's.
    #[must_use]
    pub fn clients(&self, own_authority: &TrustAnchors) -> ClientTrust {
        let authorities = match &self.certificate_authorities {
            None => own_authority.clone(),
            Some(pem) => TrustAnchors::from_pem(pem.as_bytes()).unwrap_or_default(),
        };
        ClientTrust {
            authorities,
            issuers: self.issuers.clone(),
            secret_in_body: self.secret_in_body,
        }
    }
}
