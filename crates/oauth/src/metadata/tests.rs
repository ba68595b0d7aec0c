use super::*;
use crate::fixture::{ISSUER, tenant};

fn document(issuer: &str, mtls: Option<&str>) -> serde_json::Value {
    let mut tenant = tenant();
    tenant.issuer = issuer.parse().unwrap();
    document_of(&tenant, mtls)
}

fn document_of(tenant: &TenantRecord, mtls: Option<&str>) -> serde_json::Value {
    serde_json::to_value(Metadata::new(tenant, &[Algorithm::Es256], mtls)).unwrap()
}

#[test]
fn r8_r7_r6_metadata_says_what_is_served() {
    let document = document(ISSUER, None);
    assert_eq!(document["issuer"], ISSUER);
    assert_eq!(document["token_endpoint"], "https://id.example/token");
    assert_eq!(
        document["authorization_response_iss_parameter_supported"],
        true
    );
    assert_eq!(
        document["code_challenge_methods_supported"],
        serde_json::json!(["S256"])
    );
    assert_eq!(
        document["response_types_supported"],
        serde_json::json!(["code"])
    );
    assert_eq!(document["request_parameter_supported"], true);
    for (name, value) in document.as_object().unwrap() {
        assert!(
            !value.to_string().contains("\"none\"")
                || name == "prompt_values_supported"
                || name.ends_with("auth_methods_supported"),
            "{name}"
        );
    }
}

#[test]
fn r34_neither_rs256_nor_none_is_offered_for_assertions_and_proofs() {
    let document = document(ISSUER, None);
    for name in [
        "token_endpoint_auth_signing_alg_values_supported",
        "dpop_signing_alg_values_supported",
        "request_object_signing_alg_values_supported",
    ] {
        assert_eq!(
            document[name],
            serde_json::json!(["EdDSA", "ES256", "PS256"]),
            "{name}"
        );
    }
}

#[test]
fn the_aliases_of_a_tenant_keep_its_path() {
    let document = document(
        "https://id.example/t/acme",
        Some("https://mtls.example:8446"),
    );
    assert_eq!(
        document["jwks_uri"],
        "https://id.example/t/acme/.well-known/jwks.json"
    );
    assert_eq!(
        document["mtls_endpoint_aliases"]["token_endpoint"],
        "https://mtls.example:8446/t/acme/token"
    );
    assert_eq!(document["tls_client_certificate_bound_access_tokens"], true);
    assert_eq!(tenant_path(&"acme".parse().unwrap()), "/t/acme");
    assert_eq!(tenant_path(&Tenant::default_tenant()), "");
}

#[test]
fn r9_r31_a_profile_shows_in_the_metadata() {
    let plain = document(ISSUER, None);
    assert_eq!(plain["require_pushed_authorization_requests"], false);
    assert_eq!(plain["require_signed_request_object"], false);
    assert_eq!(
        plain["response_modes_supported"],
        serde_json::json!(["query", "form_post", "jwt", "query.jwt", "form_post.jwt"])
    );
    let mut tenant = tenant();
    tenant.profile = SecurityProfile::Fapi2;
    let fapi = document_of(&tenant, None);
    assert_eq!(fapi["require_pushed_authorization_requests"], true);
    assert_eq!(fapi["require_signed_request_object"], false);
    for (name, value) in fapi.as_object().unwrap() {
        if name.ends_with("_auth_methods_supported") {
            assert_eq!(value, &serde_json::json!(["private_key_jwt"]), "{name}");
        }
    }
    tenant.profile = SecurityProfile::Fapi2MessageSigning;
    let signing = document_of(&tenant, None);
    assert_eq!(signing["require_signed_request_object"], true);
    assert_eq!(
        signing["response_modes_supported"],
        serde_json::json!(["jwt", "query.jwt", "form_post.jwt"])
    );
}

#[test]
fn the_methods_of_clients_follow_listener_and_trust() {
    let methods = |tenant: &TenantRecord, mtls| {
        document_of(tenant, mtls)["token_endpoint_auth_methods_supported"].clone()
    };
    let mut tenant = tenant();
    assert_eq!(
        methods(&tenant, None),
        serde_json::json!(["client_secret_basic", "none", "private_key_jwt"])
    );
    tenant.trust.secret_in_body = countersign_authn::trust::SecretInBody::Allowed;
    assert_eq!(
        methods(&tenant, Some("https://mtls.example")),
        serde_json::json!([
            "client_secret_basic",
            "client_secret_post",
            "none",
            "private_key_jwt",
            "self_signed_tls_client_auth",
            "tls_client_auth"
        ])
    );
}
