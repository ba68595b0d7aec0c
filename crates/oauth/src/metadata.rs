//! Authorization server metadata (RFC 8414, OpenID Connect Discovery §3, RFC 8705 §5, RFC 9126 §5, RFC 9207 §3, RFC 9449 §5.1).
//!
//! One document serves both well-known names; it says what is served and nothing that is not.

use crate::authentication::Acr;
use crate::authorization_details::DetailTypes;
use crate::authorize::{REQUEST_OBJECT_CONTENT, REQUEST_OBJECT_KEY_MANAGEMENT};
use crate::client::GrantType;
use crate::profile::Claim;
use crate::response_mode::ResponseMode;
use crate::security_profile::{Demand, SecurityProfile};
use crate::tenant::RegistrationRules;
use crate::tenant::TenantRecord;
use crate::tenant::registration::{MetadataDocuments, RegistrationMode};
use countersign_base::{Issuer, Tenant};
use countersign_crypto::jose::{Algorithm, ContentEncryption, KeyManagement};
use serde::Serialize;

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Metadata {
    issuer: Issuer,
    authorization_endpoint: String,
    token_endpoint: String,
    pushed_authorization_request_endpoint: String,
    device_authorization_endpoint: String,
    backchannel_authentication_endpoint: String,
    introspection_endpoint: String,
    revocation_endpoint: String,
    userinfo_endpoint: String,
    jwks_uri: String,
    response_types_supported: [&'static str; 1],
    response_modes_supported: Vec<&'static str>,
    grant_types_supported: Vec<&'static str>,
    code_challenge_methods_supported: [&'static str; 1],
    scopes_supported: [&'static str; 6],
    subject_types_supported: [&'static str; 2],
    acr_values_supported: [&'static str; 3],
    claims_supported: Vec<&'static str>,
    prompt_values_supported: [&'static str; 3],
    id_token_signing_alg_values_supported: Vec<&'static str>,
    id_token_encryption_alg_values_supported: Vec<&'static str>,
    id_token_encryption_enc_values_supported: Vec<&'static str>,
    userinfo_signing_alg_values_supported: Vec<&'static str>,
    userinfo_encryption_alg_values_supported: Vec<&'static str>,
    userinfo_encryption_enc_values_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    token_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    introspection_signing_alg_values_supported: Vec<&'static str>,
    introspection_encryption_alg_values_supported: Vec<&'static str>,
    introspection_encryption_enc_values_supported: Vec<&'static str>,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    revocation_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    backchannel_token_delivery_modes_supported: [&'static str; 2],
    backchannel_authentication_request_signing_alg_values_supported: Vec<&'static str>,
    backchannel_user_code_parameter_supported: bool,
    dpop_signing_alg_values_supported: Vec<&'static str>,
    authorization_response_iss_parameter_supported: bool,
    require_pushed_authorization_requests: bool,
    request_parameter_supported: bool,
    require_signed_request_object: bool,
    request_object_signing_alg_values_supported: Vec<&'static str>,
    request_object_encryption_alg_values_supported: Vec<&'static str>,
    request_object_encryption_enc_values_supported: Vec<&'static str>,
    authorization_signing_alg_values_supported: Vec<&'static str>,
    authorization_encryption_alg_values_supported: Vec<&'static str>,
    authorization_encryption_enc_values_supported: Vec<&'static str>,
    request_uri_parameter_supported: bool,
    claims_parameter_supported: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_details_types_supported: Vec<String>,
    tls_client_certificate_bound_access_tokens: bool,
    end_session_endpoint: String,
    backchannel_logout_supported: bool,
    backchannel_logout_session_supported: bool,
    client_id_metadata_document_supported: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtls_endpoint_aliases: Option<MtlsAliases>,
}

/// The same endpoints where a client certificate is asked for (RFC 8705 §5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MtlsAliases {
    token_endpoint: String,
    pushed_authorization_request_endpoint: String,
    device_authorization_endpoint: String,
    backchannel_authentication_endpoint: String,
    introspection_endpoint: String,
    revocation_endpoint: String,
    userinfo_endpoint: String,
}

/// The algorithms that clients may sign assertions and proofs with (R34).
pub const CLIENT_ALGORITHMS: [Algorithm; 3] =
    [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256];

impl Metadata {
    /// The document of a tenant. `id_token_algorithms` are those of its keys; `mtls` is the origin of the listener that asks for certificates.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one document")]
    pub fn new(
        tenant: &TenantRecord,
        id_token_algorithms: &[Algorithm],
        mtls: Option<&str>,
    ) -> Self {
        let issuer = &tenant.issuer;
        let profile = tenant.profile;
        let at = |path: &str| format!("{issuer}{path}");
        let admitted = |mut methods: Vec<&'static str>| {
            methods.retain(|method| profile.admits_name(method));
            methods
        };
        let authentication = || admitted(tenant.trust.methods(mtls));
        let also_public = || {
            let mut methods = tenant.trust.methods(mtls);
            methods.push("none");
            methods.sort_unstable();
            admitted(methods)
        };
        let own_algorithms = || {
            id_token_algorithms
                .iter()
                .map(|algorithm| algorithm.name())
                .collect::<Vec<_>>()
        };
        let to_clients = || key_managements(&KeyManagement::ALL);
        let content = || contents(&ContentEncryption::ALL);
        let algorithms = || {
            CLIENT_ALGORITHMS
                .iter()
                .map(|algorithm| algorithm.name())
                .collect::<Vec<_>>()
        };
        Self {
            authorization_endpoint: at("/authorize"),
            token_endpoint: at("/token"),
            pushed_authorization_request_endpoint: at("/par"),
            device_authorization_endpoint: at("/device_authorization"),
            backchannel_authentication_endpoint: at("/bc-authorize"),
            introspection_endpoint: at("/introspect"),
            revocation_endpoint: at("/revoke"),
            userinfo_endpoint: at("/userinfo"),
            jwks_uri: at("/.well-known/jwks.json"),
            response_types_supported: ["code"],
            response_modes_supported: response_modes(profile),
            grant_types_supported: GrantType::ALL.iter().map(|grant| grant.as_str()).collect(),
            code_challenge_methods_supported: ["S256"],
            scopes_supported: [
                "openid",
                "profile",
                "email",
                "address",
                "phone",
                "offline_access",
            ],
            subject_types_supported: ["pairwise", "public"],
            acr_values_supported: Acr::ALL.map(Acr::as_str),
            claims_supported: [
                "iss",
                "sub",
                "aud",
                "exp",
                "iat",
                "auth_time",
                "acr",
                "amr",
                "nonce",
                "sid",
            ]
            .into_iter()
            .chain(Claim::ALL.iter().map(|claim| claim.as_str()))
            .collect(),
            prompt_values_supported: ["none", "login", "consent"],
            id_token_signing_alg_values_supported: own_algorithms(),
            id_token_encryption_alg_values_supported: to_clients(),
            id_token_encryption_enc_values_supported: content(),
            userinfo_signing_alg_values_supported: own_algorithms(),
            userinfo_encryption_alg_values_supported: to_clients(),
            userinfo_encryption_enc_values_supported: content(),
            token_endpoint_auth_methods_supported: also_public(),
            token_endpoint_auth_signing_alg_values_supported: algorithms(),
            introspection_endpoint_auth_methods_supported: authentication(),
            introspection_endpoint_auth_signing_alg_values_supported: algorithms(),
            introspection_signing_alg_values_supported: own_algorithms(),
            introspection_encryption_alg_values_supported: to_clients(),
            introspection_encryption_enc_values_supported: content(),
            revocation_endpoint_auth_methods_supported: also_public(),
            revocation_endpoint_auth_signing_alg_values_supported: algorithms(),
            backchannel_token_delivery_modes_supported: ["poll", "ping"],
            backchannel_authentication_request_signing_alg_values_supported: algorithms(),
            backchannel_user_code_parameter_supported: false,
            dpop_signing_alg_values_supported: algorithms(),
            authorization_response_iss_parameter_supported: true,
            require_pushed_authorization_requests: profile.demands(Demand::PushedRequest),
            request_parameter_supported: true,
            require_signed_request_object: profile.demands(Demand::SignedRequest),
            request_object_signing_alg_values_supported: algorithms(),
            request_object_encryption_alg_values_supported: key_managements(
                &REQUEST_OBJECT_KEY_MANAGEMENT,
            ),
            request_object_encryption_enc_values_supported: contents(&REQUEST_OBJECT_CONTENT),
            authorization_signing_alg_values_supported: own_algorithms(),
            authorization_encryption_alg_values_supported: to_clients(),
            authorization_encryption_enc_values_supported: content(),
            request_uri_parameter_supported: false,
            claims_parameter_supported: true,
            authorization_details_types_supported: Vec::new(),
            tls_client_certificate_bound_access_tokens: mtls.is_some(),
            end_session_endpoint: at("/logout"),
            backchannel_logout_supported: true,
            backchannel_logout_session_supported: true,
            client_id_metadata_document_supported: false,
            registration_endpoint: None,
            mtls_endpoint_aliases: mtls.map(|origin| MtlsAliases::new(issuer, origin)),
            issuer: issuer.clone(),
        }
    }
}

impl Metadata {
    /// The same document with the tenant's types of authorization details (RFC 9396 §10).
    #[must_use]
    pub fn with_detail_types(mut self, types: &DetailTypes) -> Self {
        self.authorization_details_types_supported = types.names().map(str::to_owned).collect();
        self
    }

    /// With what a tenant lets clients do by themselves.
    #[must_use]
    pub fn with_registration(mut self, rules: &RegistrationRules) -> Self {
        self.client_id_metadata_document_supported = rules.documents == MetadataDocuments::Accepted;
        if rules.mode != RegistrationMode::Closed {
            self.registration_endpoint = Some(format!("{}/register", self.issuer));
        }
        self
    }
}

fn response_modes(profile: SecurityProfile) -> Vec<&'static str> {
    let signed_only = profile.demands(Demand::SignedResponse);
    let served = |name: &&str| {
        ResponseMode::from_parameter(name).is_some_and(|mode| mode.is_signed() || !signed_only)
    };
    ResponseMode::NAMES.into_iter().filter(served).collect()
}

fn key_managements(known: &[KeyManagement]) -> Vec<&'static str> {
    known.iter().map(|management| management.name()).collect()
}

fn contents(known: &[ContentEncryption]) -> Vec<&'static str> {
    known.iter().map(|content| content.name()).collect()
}

impl MtlsAliases {
    fn new(issuer: &Issuer, origin: &str) -> Self {
        let path = url::Url::parse(issuer.as_str())
            .map(|url| url.path().trim_end_matches('/').to_owned())
            .unwrap_or_default();
        let at = |endpoint: &str| format!("{origin}{path}{endpoint}");
        Self {
            token_endpoint: at("/token"),
            pushed_authorization_request_endpoint: at("/par"),
            device_authorization_endpoint: at("/device_authorization"),
            backchannel_authentication_endpoint: at("/bc-authorize"),
            introspection_endpoint: at("/introspect"),
            revocation_endpoint: at("/revoke"),
            userinfo_endpoint: at("/userinfo"),
        }
    }
}

/// The path of a tenant's issuer below the origin: nothing for the default tenant, `/t/NAME` for every other.
#[must_use]
pub fn tenant_path(tenant: &Tenant) -> String {
    if tenant.is_default() {
        String::new()
    } else {
        format!("/t/{tenant}")
    }
}

#[cfg(test)]
mod tests;
