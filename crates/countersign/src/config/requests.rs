//! `[clients.requests]`: whether a client signs its authorization requests, and how it is answered.

use countersign_crypto::jose::Algorithm;
use countersign_oauth::ResponseMode;
use countersign_oauth::SecurityProfile;
use countersign_oauth::client::{RequestRules, ResponseEncryption, SignedRequestRule};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// `[clients.requests]` as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRequests {
    /// `required`: only signed request objects (RFC 9101) are accepted.
    signed: Option<SignedRequestRule>,
    /// What request objects may be signed with: of `EdDSA`, `ES256` and `PS256`, which is the default.
    algorithms: Option<BTreeSet<Algorithm>>,
    /// A file with the client's public JWK set for request objects and encrypted answers, if it is not the one it authenticates with.
    jwks: Option<PathBuf>,
    /// Of `query`, which is the default, `form_post`, `jwt` and `form_post.jwt`.
    response_modes: Option<BTreeSet<ResponseMode>>,
    /// How signed answers are encrypted to the client: `{ alg = "ECDH-ES+A256KW", enc = "A256GCM" }`.
    encrypt_responses: Option<ResponseEncryption>,
}

/// What a client's requests are held to.
#[derive(Debug, Clone)]
pub struct RequestsSection {
    /// The rules, the key set excepted.
    pub rules: RequestRules,
    /// Where the key set is.
    pub jwks: Option<PathBuf>,
}

pub(crate) fn check(raw: RawRequests, profile: Option<SecurityProfile>) -> RequestsSection {
    let defaults = RequestRules::default();
    RequestsSection {
        rules: RequestRules {
            profile: profile.unwrap_or(defaults.profile),
            response_modes: raw.response_modes.unwrap_or(defaults.response_modes),
            signed_requests: raw.signed.unwrap_or(defaults.signed_requests),
            request_object_algorithms: raw.algorithms.unwrap_or(defaults.request_object_algorithms),
            jwks: None,
            response_encryption: raw.encrypt_responses,
        },
        jwks: raw.jwks,
    }
}
