//! Whom a tenant believes about its clients and people, as the store keeps it: client certificate authorities, issuers of workload identities and of
//! assertions.
//!
//! Not here: how a certificate or an assertion is judged (`authn`), and the keys of foreign issuers, which no record holds.

use countersign_authn::trust::{
    ClientTrust, ForeignIssuer, ForeignUse, IssuerState, Profile, SecretInBody,
};
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

    /// The methods of client authentication that are served, but for public clients', in the order of their names (RFC 8414 §2). Certificates are asked for at
    /// the listener `mtls` alone.
    #[must_use]
    pub fn methods(&self, mtls: Option<&str>) -> Vec<&'static str> {
        let workloads = |spiffe: bool| {
            self.issuers.iter().any(|issuer| {
                issuer.state == IssuerState::Enabled
                    && issuer.uses.contains(&ForeignUse::ClientAuthentication)
                    && matches!(issuer.profile, Profile::Spiffe { .. }) == spiffe
            })
        };
        let posted = self.secret_in_body == SecretInBody::Allowed;
        [
            ("client_secret_basic", true),
            ("client_secret_post", posted),
            ("federated_jwt", workloads(false)),
            ("private_key_jwt", true),
            ("self_signed_tls_client_auth", mtls.is_some()),
            ("spiffe_jwt", workloads(true)),
            ("tls_client_auth", mtls.is_some()),
        ]
        .into_iter()
        .filter_map(|(method, served)| served.then_some(method))
        .collect()
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
