//! How a client's authorization requests come and how they are answered: signed or not, in which response modes, under which profile.
//!
//! Not here: whether requests must be pushed, which is a setting of its own ([`super::PushedRequestRule`]).

use super::{ClientAuthentication, ClientRecord, RegistrationError};
use crate::response_mode::ResponseMode;
use crate::security_profile::SecurityProfile;
use countersign_authn::client::ASSERTION_ALGORITHMS;
use countersign_crypto::jose::{
    Algorithm, ContentEncryption, EncryptionKeySet, JwkSet, KeyManagement,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// The rules of one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestRules {
    /// The profile that it is held to; the tenant's may demand more.
    pub profile: SecurityProfile,
    /// The modes it may ask for (R13).
    pub response_modes: BTreeSet<ResponseMode>,
    /// Whether its requests must be signed (RFC 9101 §10.5).
    pub signed_requests: SignedRequestRule,
    /// What it may sign request objects with; of [`ASSERTION_ALGORITHMS`].
    pub request_object_algorithms: BTreeSet<Algorithm>,
    /// The client's JWK set for request objects and for encrypted answers, if it is not the one it authenticates with.
    pub jwks: Option<Value>,
    /// How signed answers to it are encrypted (JARM §2.2), if they are.
    pub response_encryption: Option<ResponseEncryption>,
}

impl Default for RequestRules {
    fn default() -> Self {
        Self {
            profile: SecurityProfile::default(),
            response_modes: [ResponseMode::Query].into(),
            signed_requests: SignedRequestRule::Optional,
            request_object_algorithms: ASSERTION_ALGORITHMS.into(),
            jwks: None,
            response_encryption: None,
        }
    }
}

/// Whether a client's requests must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignedRequestRule {
    /// Both kinds are accepted.
    Optional,
    /// Only signed ones are accepted (JAR-15).
    Required,
}

/// `authorization_encrypted_response_alg` and `_enc` (JARM §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseEncryption {
    /// How the content's key travels.
    pub alg: KeyManagement,
    /// How the content is encrypted.
    #[serde(default = "default_content")]
    pub enc: ContentEncryption,
}

const fn default_content() -> ContentEncryption {
    ContentEncryption::A256Gcm
}

impl ClientRecord {
    /// The JWK set that request objects and encrypted answers go by.
    fn request_jwks(&self) -> Option<&Value> {
        let own = self.request_rules.jwks.as_ref();
        own.or(match &self.authentication {
            ClientAuthentication::Keys { jwks } => Some(jwks),
            ClientAuthentication::Certificates { .. }
            | ClientAuthentication::PostedSecret { .. }
            | ClientAuthentication::Public
            | ClientAuthentication::Secret { .. }
            | ClientAuthentication::TlsSubject { .. }
            | ClientAuthentication::Workload { .. } => None,
        })
    }

    /// The keys that its request objects may be signed with. Keys that cannot be read are none: nothing verifies under them.
    #[must_use]
    pub fn request_keys(&self) -> JwkSet {
        self.request_jwks()
            .and_then(|jwks| JwkSet::parse(jwks.to_string().as_bytes()).ok())
            .map_or_else(|| JwkSet::from_keys(Vec::new()), |(keys, _skipped)| keys)
    }

    /// The keys that answers to it may be encrypted to.
    #[must_use]
    pub fn encryption_keys(&self) -> EncryptionKeySet {
        self.request_jwks()
            .and_then(|jwks| EncryptionKeySet::parse(jwks.to_string().as_bytes()).ok())
            .unwrap_or_default()
    }

    /// Checks what the rules say against each other and against the rest of the registration.
    pub(super) fn check_request_rules(&self) -> Result<(), RegistrationError> {
        let rules = &self.request_rules;
        let known = |algorithm: &Algorithm| ASSERTION_ALGORITHMS.contains(algorithm);
        if !rules.request_object_algorithms.iter().all(known) {
            return Err(RegistrationError::RequestObjectAlgorithm);
        }
        if rules.signed_requests == SignedRequestRule::Required && self.request_keys().is_empty() {
            return Err(RegistrationError::NoRequestKeys);
        }
        rules.profile.check(self)
    }
}
