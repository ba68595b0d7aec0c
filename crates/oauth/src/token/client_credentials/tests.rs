use super::*;
use crate::binding::Binding;
use crate::client::{BindingRule, ClientAuthentication};
use crate::fixture::{BILLING, NOW, ORDERS, after, asking, audience, form, fresh, key, portal};
use std::sync::Arc;

fn run(extra: &str, client: &ClientRecord, binding: &Binding) -> Result<Redeemed, Refused> {
    let request =
        match TokenRequest::parse(&form(&format!("grant_type=client_credentials{extra}")))? {
            TokenRequest::ClientCredentials(request) => request,
            _ => panic!("another grant"),
        };
    let standing = Standing {
        client: Some(Arc::new(client.clone())),
        ..Standing::default()
    };
    asking(client, binding, |requester| {
        request.redeem(&standing, requester, fresh(), NOW)
    })
}

fn error(extra: &str, client: &ClientRecord) -> OAuthError {
    run(extra, client, &Binding::Bearer).unwrap_err().error
}

#[test]
fn a_client_gets_its_own_scopes_for_its_own_audience_and_no_grant_row() {
    let Redeemed { issuance, changes } = run("", &portal(), &key(1)).unwrap();
    let claims = issuance.access_token_claims();
    assert_eq!(claims.sub.to_string(), "portal");
    assert_eq!(
        claims.scope.to_string(),
        "orders:read orders:write",
        "scopes that speak of a person are not the client's own"
    );
    assert_eq!(
        (claims.aud.as_str(), claims.exp, claims.cnf),
        (ORDERS, after(300), key(1).confirmation())
    );
    assert_eq!(
        (
            issuance.refresh(),
            issuance.id_token_claims(&crate::fixture::pairwise_key()),
            changes.len()
        ),
        (None, None, 0)
    );
}

#[test]
fn a34_r39_dev_3_unregistered_scopes_are_refused_and_not_dropped() {
    for scope in ["admin", "orders:read admin", "openid", "orders:read openid"] {
        assert_eq!(
            error(&format!("&scope={}", scope.replace(' ', "+")), &portal()),
            OAuthError::ScopeNotPermitted,
            "{scope}"
        );
    }
    assert_eq!(
        error("&scope=", &{
            let mut none = portal();
            none.audiences.clear();
            none
        }),
        OAuthError::AudienceMissing
    );
    assert_eq!(
        run("&scope=orders:read", &portal(), &Binding::Bearer)
            .unwrap()
            .issuance
            .scopes()
            .to_string(),
        "orders:read"
    );
}

#[test]
fn r46_exactly_one_registered_audience() {
    let mut two = portal();
    two.audiences.insert(audience(BILLING));
    assert_eq!(error("", &two), OAuthError::AudienceMissing);
    assert_eq!(
        error("&resource=https://other.example", &two),
        OAuthError::AudienceNotPermitted
    );
    assert_eq!(
        error("&resource=https://id.example", &two),
        OAuthError::AudienceNotPermitted
    );
    assert_eq!(
        run(&format!("&resource={BILLING}"), &two, &Binding::Bearer)
            .unwrap()
            .issuance
            .audience(),
        &audience(BILLING)
    );
}

#[test]
fn r26_a30_a_client_without_the_grant_or_disabled_gets_nothing() {
    let mut without = portal();
    without.grants.remove(&GrantType::ClientCredentials);
    assert_eq!(error("", &without).code().as_str(), "unauthorized_client");
    let mut disabled = portal();
    disabled.enabled = false;
    assert_eq!(error("", &disabled).code().as_str(), "invalid_client");
    let mut public = portal();
    public.authentication = ClientAuthentication::Public;
    assert_eq!(error("", &public), OAuthError::PublicClient);
    assert!(run("", &portal(), &Binding::Bearer).is_ok());
}

#[test]
fn r47_dpop_28_a_key_is_proven_where_one_is_required() {
    let mut client = portal();
    client.binding = BindingRule::Required;
    assert_eq!(error("", &client), OAuthError::KeyRequired);
    assert!(run("", &client, &key(1)).is_ok());
}

#[test]
fn r26_an_unknown_grant_is_unsupported_and_none_is_a_malformed_request() {
    let parse = |text: &str| {
        TokenRequest::parse(&form(text))
            .err()
            .map(|error| error.code().as_str())
    };
    for grant in [
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:saml2-bearer",
    ] {
        assert_eq!(
            parse(&format!("grant_type={grant}")),
            Some("unsupported_grant_type"),
            "{grant}"
        );
    }
    assert_eq!(parse("scope=a"), Some("invalid_request"));
    assert_eq!(parse("grant_type=client_credentials"), None);
}
