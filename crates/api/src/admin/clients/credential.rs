//! How a client that is added authenticates: one method with the one thing that it needs, and nothing of another method beside it.

use super::super::Admin;
use super::super::answer::AdminError;
use countersign_authn::client::{RegisteredCertificates, TlsSubject, secret_tag};
use countersign_authn::trust::{ForeignUse, IssuerName, SecretInBody};
use countersign_base::{ClientId, Secret, Tenant};
use countersign_crypto::jose::{EncryptionKeySet, JwkSet};
use countersign_crypto::x509::PeerCertificate;
use countersign_oauth::ClientAuthentication;
use countersign_oauth::tenant::TenantTrust;
use serde::Deserialize;
use serde_json::Value;

/// The members of the body that say how the client authenticates.
pub(super) struct Credential {
    pub(super) method: Method,
    /// The public keys, with method `jwks`.
    pub(super) jwks: Option<Value>,
    /// `KIND:NAME`, with method `tls_subject`.
    pub(super) tls_subject: Option<String>,
    /// A JWK set, or text in PEM, with method `tls_certificates`.
    pub(super) tls_certificates: Option<Value>,
    /// The name of a trusted issuer, with method `workload`.
    pub(super) workload: Option<IssuerName>,
}

/// The one method of a client.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Method {
    Jwks,
    Public,
    Secret,
    SecretPost,
    TlsCertificates,
    TlsSubject,
    Workload,
}

/// What is kept, and the secret that is told once.
pub(super) type Registered = (ClientAuthentication, Option<Secret<String>>);

impl Credential {
    /// What is kept of it.
    pub(super) fn register(
        self,
        admin: &Admin,
        tenant: &Tenant,
        client: &ClientId,
    ) -> Result<Registered, AdminError> {
        let trust = admin.fabric.directory().tenant(tenant);
        let trust = trust.map(|tenant| tenant.trust.clone()).unwrap_or_default();
        let Self {
            method,
            jwks,
            tls_subject,
            tls_certificates,
            workload,
        } = self;
        let without_secret = |authentication| Ok((authentication, None));
        match (method, jwks, tls_subject, tls_certificates, workload) {
            (Method::Public, None, None, None, None) => {
                without_secret(ClientAuthentication::Public)
            }
            (Method::Jwks, Some(jwks), None, None, None) => {
                without_secret(ClientAuthentication::Keys {
                    jwks: public_keys(jwks)?,
                })
            }
            (Method::Secret, None, None, None, None) => {
                let (tag, secret) = draw(admin, tenant, client);
                Ok((ClientAuthentication::Secret { tag }, Some(secret)))
            }
            (Method::SecretPost, None, None, None, None) => {
                if trust.secret_in_body == SecretInBody::Refused {
                    return Err(invalid(
                        "the tenant takes no secrets in the body of a request: see `client_secret_post` of `[[tenants]]`",
                    ));
                }
                let (tag, secret) = draw(admin, tenant, client);
                Ok((ClientAuthentication::PostedSecret { tag }, Some(secret)))
            }
            (Method::TlsSubject, None, Some(subject), None, None) => {
                let subject = subject.parse::<TlsSubject>();
                let subject = subject.map_err(|error| AdminError::Invalid(error.to_string()))?;
                without_secret(ClientAuthentication::TlsSubject { subject })
            }
            (Method::TlsCertificates, None, None, Some(written), None) => {
                without_secret(ClientAuthentication::Certificates {
                    registered: certificates(&written)?,
                })
            }
            (Method::Workload, None, None, None, Some(issuer)) => {
                without_secret(workload_of(issuer, &trust)?)
            }
            (
                Method::Jwks
                | Method::Public
                | Method::Secret
                | Method::SecretPost
                | Method::TlsCertificates
                | Method::TlsSubject
                | Method::Workload,
                ..,
            ) => Err(invalid(
                "expected the member that is named like the method (`jwks`, `tls_subject`, `tls_certificates`, `workload`), and none of another method",
            )),
        }
    }
}

fn invalid(message: &str) -> AdminError {
    AdminError::Invalid(message.to_owned())
}

/// The tag of a new secret, and the secret.
fn draw(admin: &Admin, tenant: &Tenant, client: &ClientId) -> (Vec<u8>, Secret<String>) {
    let secret = admin.fabric.random().token();
    let key = admin.fabric.secrets().client_secret_key(tenant);
    let tag = secret_tag(&key, tenant, client, &secret);
    (tag.as_bytes().to_vec(), secret)
}

/// A JWK set in which every key can be used.
fn public_keys(jwks: Value) -> Result<Value, AdminError> {
    let text = serde_json::to_vec(&jwks).unwrap_or_default();
    match JwkSet::parse(&text) {
        Ok((set, skipped)) if !set.is_empty() && skipped.is_empty() => Ok(jwks),
        Ok(_) | Err(_) => Err(invalid(
            "expected a JWK set of public signing keys, each with `kid` and `alg`",
        )),
    }
}

/// A JWK set of keys for signatures, for encryption, or both.
pub(super) fn request_keys(jwks: Value) -> Result<Value, AdminError> {
    let text = serde_json::to_vec(&jwks).unwrap_or_default();
    let signing =
        JwkSet::parse(&text).is_ok_and(|(set, skipped)| !set.is_empty() && skipped.is_empty());
    let encryption = EncryptionKeySet::parse(&text).is_ok_and(|set| !set.is_empty());
    if signing || encryption {
        Ok(jwks)
    } else {
        Err(invalid(
            "expected a JWK set of public keys, those for encryption with `use` `enc`",
        ))
    }
}

fn certificates(written: &Value) -> Result<RegisteredCertificates, AdminError> {
    let registered = match written.as_str() {
        None => RegisteredCertificates::from_jwks(written),
        Some(pem) => {
            let certificates = PeerCertificate::from_pem(pem.as_bytes());
            let certificates =
                certificates.map_err(|_| invalid("expected certificates in PEM, or a JWK set"))?;
            RegisteredCertificates::from_certificates(certificates)
        }
    };
    registered.map_err(|error| AdminError::Invalid(error.to_string()))
}

/// An issuer that says who its workloads are. Which subject is this client stands in its entry (`clients`).
fn workload_of(
    issuer: IssuerName,
    trust: &TenantTrust,
) -> Result<ClientAuthentication, AdminError> {
    let known = trust.issuers.iter().any(|entry| {
        entry.name == issuer && entry.uses.contains(&ForeignUse::ClientAuthentication)
    });
    if known {
        Ok(ClientAuthentication::Workload { issuer })
    } else {
        Err(invalid(
            "no trusted issuer of this name has the use `client_authentication`",
        ))
    }
}
