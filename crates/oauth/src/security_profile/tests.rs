use super::*;
use crate::ResponseMode;
use crate::authorize::tests::query;
use crate::authorize::{
    AuthorizationRequest, Delivery, PageError, Parameters, Prepared, ReturnAddress, Via,
};
use crate::client::BindingRule;
use crate::error::OAuthError;
use crate::fixture::{NOW, after, asking, family, form, fresh, key, portal, standing, tenant};
use crate::refresh::RefreshHandle;
use crate::token::{Requester, TokenRequest};
use crate::{Binding, Change};
use countersign_base::limits;
use countersign_crypto::jose::Algorithm;

fn held_to(profile: SecurityProfile) -> ClientRecord {
    let mut client = portal();
    client.request_rules.profile = profile;
    client
}

fn parse(
    client: &ClientRecord,
    tenant: &TenantRecord,
    extra: &str,
    via: Via,
) -> Result<AuthorizationRequest, OAuthError> {
    let form = form(&query(extra));
    let address = ReturnAddress::find(&form, client, tenant).unwrap();
    AuthorizationRequest::parse(&Parameters::Plain(&form), client, &address, tenant, via)
}

#[test]
fn every_demand_stands_in_the_table_once() {
    let demands = [
        Demand::KeyAuthentication,
        Demand::HttpsRedirect,
        Demand::PushedRequest,
        Demand::RedirectUriNamed,
        Demand::SenderConstrained,
        Demand::SignedRequest,
        Demand::SignedResponse,
        Demand::StableRefreshToken,
    ];
    for demand in demands {
        let rows = CLAUSES
            .iter()
            .filter(|clause| matches!(clause.held, Held::From(_, held) if held == demand));
        assert_eq!(rows.count(), 1, "{demand:?}");
        assert!(!SecurityProfile::Standard.demands(demand));
        assert!(SecurityProfile::Fapi2MessageSigning.demands(demand));
    }
    assert!(!SecurityProfile::Fapi2.demands(Demand::SignedRequest));
    for clause in CLAUSES {
        assert!(
            !clause.source.is_empty() && !clause.statement.is_empty() && !clause.place.is_empty()
        );
    }
}

#[test]
fn what_holds_for_everybody_is_within_the_profile() {
    assert!(limits::CODE_LIFETIME.as_secs() <= 60);
    // PAR-16.
    assert!(limits::REQUEST_URI_LIFETIME.as_secs() < 600);
    assert!((10..=60).contains(&limits::CLIENT_SKEW_AHEAD.as_secs()));
    assert!(!countersign_authn::client::ASSERTION_ALGORITHMS.contains(&Algorithm::Rs256));
}

#[test]
fn the_stricter_of_client_and_tenant_counts() {
    let mut strict = tenant();
    strict.profile = SecurityProfile::Fapi2;
    assert_eq!(
        SecurityProfile::of(&portal(), &tenant()),
        SecurityProfile::Standard
    );
    assert_eq!(
        SecurityProfile::of(&portal(), &strict),
        SecurityProfile::Fapi2
    );
    let signing = held_to(SecurityProfile::Fapi2MessageSigning);
    assert_eq!(
        SecurityProfile::of(&signing, &strict),
        SecurityProfile::Fapi2MessageSigning
    );
}

#[test]
fn r9_par_10_under_fapi_a_request_that_was_not_pushed_is_refused() {
    let client = held_to(SecurityProfile::Fapi2);
    assert_eq!(
        parse(&client, &tenant(), "", Via::Browser),
        Err(OAuthError::PushRequired)
    );
    assert!(parse(&client, &tenant(), "", Via::Pushed).is_ok(), "pushed");
    assert!(
        parse(&portal(), &tenant(), "", Via::Browser).is_ok(),
        "no profile"
    );
    let mut strict = tenant();
    strict.profile = SecurityProfile::Fapi2;
    assert_eq!(
        parse(&portal(), &strict, "", Via::Browser),
        Err(OAuthError::PushRequired),
        "the tenant's"
    );
}

#[test]
fn r31_under_fapi_only_a_key_or_a_certificate_authenticates() {
    let methods = [
        (AuthenticatedBy::ClientSecretBasic, false),
        (AuthenticatedBy::ClientSecretPost, false),
        // The gateway of this process: nobody else can be this.
        (AuthenticatedBy::Configured, true),
        (AuthenticatedBy::FederatedJwt, false),
        (AuthenticatedBy::None, false),
        (AuthenticatedBy::PrivateKeyJwt, true),
        (AuthenticatedBy::SelfSignedTlsClientAuth, true),
        (AuthenticatedBy::SpiffeJwt, false),
        (AuthenticatedBy::TlsClientAuth, true),
    ];
    for (method, admitted) in methods {
        assert_eq!(
            SecurityProfile::Fapi2.admits(method),
            admitted,
            "{method:?}"
        );
        assert!(SecurityProfile::Standard.admits(method));
    }
    for (name, admitted) in [
        ("tls_client_auth", true),
        ("self_signed_tls_client_auth", true),
        ("client_secret_post", false),
        ("client_secret_jwt", false),
        ("federated_jwt", false),
        ("spiffe_jwt", false),
    ] {
        assert_eq!(SecurityProfile::Fapi2.admits_name(name), admitted, "{name}");
    }
    // The registration says so before any request does.
    let mut client = held_to(SecurityProfile::Fapi2);
    assert_eq!(
        client.check(),
        Err(RegistrationError::ProfileAuthentication)
    );
    client.authentication = ClientAuthentication::Keys {
        jwks: serde_json::json!({"keys": []}),
    };
    assert_eq!(client.check(), Ok(()));
    // A workload shows a token that its issuer made; one with a certificate of its own has a key.
    client.authentication = ClientAuthentication::Workload {
        issuer: countersign_base::Bounded::parse("mesh").unwrap(),
    };
    assert_eq!(
        client.check(),
        Err(RegistrationError::ProfileAuthentication)
    );
    client.authentication = ClientAuthentication::TlsSubject {
        subject: "uri:spiffe://example.org/a".parse().unwrap(),
    };
    assert_eq!(client.check(), Ok(()));
}

#[test]
fn r31_the_token_endpoint_refuses_a_secret_under_fapi() {
    let judge = |client: &ClientRecord| {
        let request = TokenRequest::parse(&form("grant_type=client_credentials")).unwrap();
        let TokenRequest::ClientCredentials(request) = request else {
            panic!("another grant")
        };
        asking(client, &key(1), |requester| {
            request
                .redeem(&standing(client), requester, fresh(), NOW)
                .map(|_| ())
        })
    };
    assert_eq!(judge(&portal()), Ok(()), "the twin");
    let refused = judge(&held_to(SecurityProfile::Fapi2)).unwrap_err();
    assert_eq!(refused.error, OAuthError::ProfileAuthentication);
    assert_eq!(refused.error.code().as_str(), "invalid_client");
}

#[test]
fn under_fapi_answers_go_over_https_and_requests_name_their_address() {
    let mut client = held_to(SecurityProfile::Fapi2);
    client.application = crate::client::Application::Native;
    client.redirect_uris = ["http://127.0.0.1/done".parse().unwrap()].into();
    let sent = form(&query("redirect_uri=http://127.0.0.1:5000/done"));
    assert_eq!(
        ReturnAddress::find(&sent, &client, &tenant()),
        Err(PageError::RedirectUri)
    );
    let mut plain = client.clone();
    plain.request_rules.profile = SecurityProfile::Standard;
    assert!(
        ReturnAddress::find(&sent, &plain, &tenant()).is_ok(),
        "the twin"
    );
    let client = held_to(SecurityProfile::Fapi2);
    assert_eq!(
        parse(&client, &tenant(), "redirect_uri=", Via::Pushed),
        Err(OAuthError::ParameterMissing("redirect_uri"))
    );
    assert!(parse(&portal(), &tenant(), "redirect_uri=", Via::Pushed).is_ok());
}

/// As a client that showed a key would ask.
fn asking_keyed<R>(
    client: &ClientRecord,
    binding: &Binding,
    judge: impl FnOnce(&Requester<'_>) -> R,
) -> R {
    let unspent =
        countersign_authn::danger::configured_client(client.tenant.clone(), client.id.clone());
    let tenant = tenant();
    judge(&Requester {
        client: &countersign_authn::danger::spent(unspent),
        binding,
        tenant: &tenant,
    })
}

#[test]
fn under_fapi_refresh_tokens_stay_the_same() {
    let request = TokenRequest::parse(&form("grant_type=refresh_token&refresh_token=x")).unwrap();
    let TokenRequest::RefreshToken(request) = request else {
        panic!("another grant")
    };
    let family = family(key(1));
    let order = crate::refresh::RefreshOrder {
        family: family.id,
        generation: family.generation,
    };
    let mac = countersign_crypto::mac::MacKey::new(countersign_base::Secret::new([7; 32]));
    let turned = |profile| {
        let client = held_to(profile);
        let handle = RefreshHandle::parse(order.derive(&mac).expose(), &mac).unwrap();
        let family = Some(family.clone());
        asking_keyed(&client, &key(1), |requester| {
            request
                .redeem(
                    handle,
                    family,
                    &standing(&client),
                    requester,
                    fresh(),
                    after(60),
                )
                .unwrap()
        })
    };
    let rotated = turned(SecurityProfile::Standard);
    assert!(matches!(
        rotated.changes.as_slice(),
        [Change::FamilyRotated(_)]
    ));
    assert_eq!(
        rotated.issuance.refresh().unwrap().generation,
        family.generation + 1
    );
    let stable = turned(SecurityProfile::Fapi2);
    assert!(stable.changes.is_empty());
    assert_eq!(
        stable.issuance.refresh().unwrap().generation,
        family.generation
    );
}

#[test]
fn r13_ar_20_message_signing_answers_signed_or_not_at_all() {
    let mut client = held_to(SecurityProfile::Fapi2MessageSigning);
    client.request_rules.response_modes = [ResponseMode::Query, ResponseMode::QueryJwt].into();
    let sent = form(&query(""));
    let address = ReturnAddress::find(&sent, &client, &tenant()).unwrap();
    assert_eq!(
        address.mode(),
        ResponseMode::QueryJwt,
        "even the refusal is signed"
    );
    match address.error(OAuthError::ResponseMode).prepare(NOW) {
        Prepared::ToSign(_) => {}
        Prepared::Ready(Delivery::Redirect(_) | Delivery::Form { .. }) => panic!("unsigned"),
    }
    client.request_rules.profile = SecurityProfile::Fapi2;
    let address = ReturnAddress::find(&sent, &client, &tenant()).unwrap();
    assert_eq!(address.mode(), ResponseMode::Query, "the twin");
}

#[test]
fn r47_dpop_28_under_fapi_a_token_without_a_key_is_refused() {
    let request = TokenRequest::parse(&form("grant_type=client_credentials")).unwrap();
    let TokenRequest::ClientCredentials(request) = request else {
        panic!("another grant")
    };
    let judge = |profile, binding: &Binding| {
        let mut client = held_to(profile);
        client.binding = BindingRule::Optional;
        asking_keyed(&client, binding, |requester| {
            request
                .redeem(&standing(&client), requester, fresh(), NOW)
                .map(|_| ())
                .map_err(|refused| refused.error)
        })
    };
    assert_eq!(
        judge(SecurityProfile::Fapi2, &Binding::Bearer),
        Err(OAuthError::KeyRequired)
    );
    assert_eq!(judge(SecurityProfile::Fapi2, &key(1)), Ok(()));
    assert_eq!(judge(SecurityProfile::Standard, &Binding::Bearer), Ok(()));
}
