use super::*;
use crate::fixture::{CALLBACK, CHALLENGE, ISSUER, ORDERS, form, portal, tenant};
use countersign_base::Secret;

/// A good request with `extra` parameters; a parameter named in `extra` replaces the good one, and one given as `name=` alone is left out.
pub(crate) fn query(extra: &str) -> String {
    let good = [
        ("client_id", "portal".to_owned()),
        ("redirect_uri", escape(CALLBACK)),
        ("response_type", "code".to_owned()),
        ("scope", "openid+orders:read".to_owned()),
        ("state", "s1".to_owned()),
        ("nonce", "n1".to_owned()),
        ("code_challenge", CHALLENGE.to_owned()),
        ("code_challenge_method", "S256".to_owned()),
    ];
    let replaced = |name: &str| {
        extra
            .split('&')
            .any(|field| field.split('=').next() == Some(name))
    };
    let mut fields: Vec<String> = good
        .iter()
        .filter(|(name, _)| !replaced(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    fields.extend(
        extra
            .split('&')
            .filter(|field| !field.is_empty() && !field.ends_with('='))
            .map(str::to_owned),
    );
    fields.join("&")
}

fn escape(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn parse(extra: &str, client: &ClientRecord, via: Via) -> Result<AuthorizationRequest, OAuthError> {
    let form = form(&query(extra));
    let tenant = tenant();
    let address = ReturnAddress::find(&form, client, &tenant).unwrap();
    AuthorizationRequest::parse(&Parameters::Plain(&form), client, &address, &tenant, via)
}

pub(crate) fn request(
    extra: &str,
    client: &ClientRecord,
) -> Result<AuthorizationRequest, OAuthError> {
    parse(extra, client, Via::Pushed)
}

/// Where an answer that needs no signature sends the browser.
pub(crate) fn location(response: AuthorizationResponse) -> String {
    match response.prepare(crate::fixture::NOW) {
        Prepared::Ready(Delivery::Redirect(location)) => location,
        Prepared::Ready(Delivery::Form { .. }) | Prepared::ToSign(_) => panic!("not a redirect"),
    }
}

fn address(extra: &str) -> Result<ReturnAddress, PageError> {
    ReturnAddress::find(&form(&query(extra)), &portal(), &tenant())
}

/// Each row's flaw is refused with the row's error; the same request without it is accepted.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn flawed_requests_are_refused_and_their_twins_accepted() {
    assert!(request("", &portal()).is_ok(), "the twin of every row");
    let rows = [
        (
            "r6_ar_7",
            "response_type=",
            OAuthError::ParameterMissing("response_type"),
        ),
        ("r6_ar_8", "response_type=token", OAuthError::ResponseType),
        (
            "r6_ar_9",
            "response_type=code+id_token",
            OAuthError::ResponseType,
        ),
        (
            "r7_par_1",
            "code_challenge=",
            OAuthError::ParameterMissing("code_challenge"),
        ),
        (
            "r7_par_1",
            "code_challenge=short",
            OAuthError::ParameterMalformed("code_challenge"),
        ),
        (
            "r7_par_2",
            "code_challenge_method=plain",
            OAuthError::PkceMethod,
        ),
        ("r7_par_2", "code_challenge_method=", OAuthError::PkceMethod),
        (
            "r13_ar_20",
            "response_mode=fragment",
            OAuthError::ResponseMode,
        ),
        (
            "r13_ar_20",
            "response_mode=form_post",
            OAuthError::ResponseMode,
        ),
        (
            "r13_ar_20",
            "response_mode=form_post.jwt",
            OAuthError::ResponseMode,
        ),
        (
            "r18_par_3",
            "request_uri=urn:ietf:params:oauth:request_uri:x",
            OAuthError::RequestUriPushed,
        ),
        (
            "ar_14",
            "request=eyJhbGciOiJub25lIn0..",
            OAuthError::RequestObject,
        ),
        ("r39", "scope=openid+admin", OAuthError::ScopeNotPermitted),
        (
            "r46",
            "resource=https://other.example",
            OAuthError::AudienceNotPermitted,
        ),
        ("r46", "resource=relative", OAuthError::AudienceNotPermitted),
        (
            "prompt",
            "prompt=none+login",
            OAuthError::ParameterMalformed("prompt"),
        ),
        (
            "prompt",
            "prompt=create",
            OAuthError::ParameterMalformed("prompt"),
        ),
        (
            "max_age",
            "max_age=-1",
            OAuthError::ParameterMalformed("max_age"),
        ),
        (
            "dpop_jkt",
            "dpop_jkt=short",
            OAuthError::ParameterMalformed("dpop_jkt"),
        ),
        (
            "r12_ar_16",
            &format!("nonce={}", "n".repeat(513)),
            OAuthError::ParameterMalformed("nonce"),
        ),
    ];
    for (id, extra, error) in rows {
        assert_eq!(request(extra, &portal()), Err(error), "{id}: {extra}");
    }
}

#[test]
fn r6_ar_7_ar_8_ar_9_only_code_is_served() {
    for response_type in [
        "token",
        "id_token",
        "code+id_token",
        "code+token",
        "none",
        "Code",
    ] {
        assert_eq!(
            request(&format!("response_type={response_type}"), &portal()),
            Err(OAuthError::ResponseType),
            "{response_type}"
        );
    }
    assert!(request("response_type=code", &portal()).is_ok());
}

#[test]
fn r7_par_1_par_2_a12_a13_pkce_is_not_optional_and_not_plain() {
    let mut public = portal();
    public.authentication = crate::client::ClientAuthentication::Public;
    for client in [portal(), public] {
        assert_eq!(
            request("code_challenge=", &client),
            Err(OAuthError::ParameterMissing("code_challenge"))
        );
        assert_eq!(
            request("code_challenge_method=plain", &client),
            Err(OAuthError::PkceMethod)
        );
        assert_eq!(
            request("code_challenge=&code_challenge_method=", &client),
            Err(OAuthError::ParameterMissing("code_challenge"))
        );
        assert!(request("", &client).is_ok());
    }
}

#[test]
fn r2_r5_ar_1_ar_4_ar_6_a4_a6_an_unregistered_address_is_a_page_under_every_response_mode() {
    for mode in [
        "",
        "&response_mode=query",
        "&response_mode=fragment",
        "&response_mode=form_post",
        "&response_mode=form_post.jwt",
        "&response_mode=jwt",
    ] {
        for uri in [
            "https://evil.example/",
            "https://portal.example/callback%3Fx=1",
            "https://portal.example/callback%252f",
            "javascript:alert(1)",
        ] {
            assert_eq!(
                address(&format!("redirect_uri={uri}{mode}")),
                Err(PageError::RedirectUri),
                "{uri} {mode}"
            );
        }
        assert!(address(mode.trim_start_matches('&')).is_ok());
    }
    let mut two = portal();
    two.redirect_uris
        .insert("https://portal.example/second".parse().unwrap());
    let none_sent = form(&query("redirect_uri="));
    assert_eq!(
        ReturnAddress::find(&none_sent, &two, &tenant()),
        Err(PageError::RedirectUri)
    );
    assert!(ReturnAddress::find(&none_sent, &portal(), &tenant()).is_ok());
}

#[test]
fn a_disabled_client_gets_a_page() {
    let mut disabled = portal();
    disabled.enabled = false;
    let form = form(&query(""));
    assert_eq!(
        ReturnAddress::find(&form, &disabled, &tenant()),
        Err(PageError::ClientUnknown)
    );
}

#[test]
fn r8_ar_19_every_answer_names_the_issuer() {
    let issuer = escape(ISSUER);
    let good = location(
        address("")
            .unwrap()
            .code(Secret::new("the-code".to_owned())),
    );
    assert_eq!(
        good,
        format!("{CALLBACK}?code=the%2Dcode&state=s1&iss={issuer}")
    );
    let bad = location(address("").unwrap().error(OAuthError::ConsentDenied));
    assert!(
        bad.starts_with(&format!("{CALLBACK}?error=access%5Fdenied&")),
        "{bad}"
    );
    assert!(bad.ends_with(&format!("&state=s1&iss={issuer}")), "{bad}");
}

#[test]
fn ar_18_a_denial_is_access_denied_at_the_registered_address() {
    let response = address("").unwrap().error(OAuthError::ConsentDenied);
    let location = location(response);
    assert!(location.starts_with(&format!("{CALLBACK}?error=access%5Fdenied&")));
}

#[test]
fn r12_ar_16_ar_17_ar_25_state_and_nonce_are_whole_or_refused() {
    let long_state = "s".repeat(STATE_BYTES_MAX);
    let good = address(&format!("state={long_state}")).unwrap();
    assert!(
        location(good.error(OAuthError::ConsentDenied)).contains(&format!("state={long_state}&"))
    );
    assert_eq!(
        address(&format!("state={long_state}s")),
        Err(PageError::Malformed)
    );
    for length in [64, 384, NONCE_BYTES_MAX] {
        let nonce = "n".repeat(length);
        assert_eq!(
            request(&format!("nonce={nonce}"), &portal())
                .unwrap()
                .nonce
                .unwrap()
                .as_str(),
            nonce
        );
    }
    let odd = address("state=a%2Bb%20c%26d%3D%C3%BC%22%3C").unwrap();
    assert!(
        location(odd.error(OAuthError::ConsentDenied))
            .contains("state=a%2Bb%20c%26d%3D%C3%BC%22%3C&"),
        "byte for byte"
    );
}

#[test]
fn r12_ar_26_neither_state_nor_nonce_is_made_up() {
    let bare = address("state=").unwrap();
    assert!(!location(bare.code(Secret::new("c".to_owned()))).contains("state"));
    assert_eq!(request("nonce=&state=", &portal()).unwrap().nonce, None);
}

#[test]
fn r9_par_10_ar_push_required_means_pushed() {
    let mut client = portal();
    client.pushed_requests = PushedRequestRule::Required;
    assert_eq!(
        parse("", &client, Via::Browser),
        Err(OAuthError::PushRequired)
    );
    assert!(parse("", &client, Via::Pushed).is_ok());
    assert!(parse("", &portal(), Via::Browser).is_ok());
}

#[test]
fn ar_23_ar_24_unknown_parameters_and_any_scope_order_are_fine() {
    let plain = request("", &portal()).unwrap();
    assert_eq!(request("foo=bar&ui_locales=de", &portal()).unwrap(), plain);
    assert_eq!(
        request("scope=orders:read+openid", &portal()).unwrap(),
        plain
    );
}

#[test]
fn r26_ar_8_a_client_without_the_grant_gets_unauthorized_client() {
    let mut client = portal();
    client.grants.remove(&GrantType::AuthorizationCode);
    let refused = request("", &client).unwrap_err();
    assert_eq!(refused.code().as_str(), "unauthorized_client");
    assert!(request("", &portal()).is_ok());
}

#[test]
fn r46_a_request_has_one_audience_and_userinfo_comes_with_openid() {
    let own: Audience = ISSUER.parse().unwrap();
    let orders: Audience = ORDERS.parse().unwrap();
    assert_eq!(
        request("", &portal()).unwrap().audiences,
        vec![orders.clone(), own.clone()]
    );
    assert_eq!(
        request("scope=orders:read", &portal()).unwrap().audiences,
        vec![orders.clone()]
    );
    assert_eq!(
        request(&format!("resource={ISSUER}"), &portal())
            .unwrap()
            .audiences,
        vec![own.clone()]
    );
    let mut two = portal();
    two.audiences
        .insert("https://second.example".parse().unwrap());
    assert_eq!(request("", &two), Err(OAuthError::AudienceMissing));
    assert_eq!(
        request(&format!("resource={ORDERS}&scope=orders:read"), &two)
            .unwrap()
            .audiences,
        vec![orders]
    );
    let mut none = portal();
    none.audiences.clear();
    assert_eq!(request("", &none).unwrap().audiences, vec![own]);
    assert_eq!(
        request("scope=orders:read", &none),
        Err(OAuthError::AudienceMissing)
    );
}

#[test]
fn a_stored_request_is_judged_again_by_the_registration_of_today() {
    let stored = request("", &portal()).unwrap();
    assert_eq!(stored.still_allowed(&portal(), &tenant()), Ok(()));
    let changed = |change: fn(&mut ClientRecord)| {
        let mut client = portal();
        change(&mut client);
        stored.still_allowed(&client, &tenant())
    };
    assert_eq!(
        changed(|client| client.redirect_uris.clear()),
        Err(StaleRequest::Address)
    );
    assert_eq!(
        changed(|client| client.enabled = false),
        Err(StaleRequest::Address)
    );
    assert_eq!(
        changed(|client| client.scopes = Scopes::none()),
        Err(StaleRequest::Parameters(OAuthError::ScopeNotPermitted))
    );
    assert_eq!(
        changed(|client| client.audiences.clear()),
        Err(StaleRequest::Parameters(OAuthError::AudienceNotPermitted))
    );
    assert_eq!(
        changed(|client| client.grants.clear()),
        Err(StaleRequest::Parameters(OAuthError::GrantTypeNotRegistered))
    );
}

#[test]
fn several_resources_are_the_grants_audiences() {
    let mut two = portal();
    let billing: Audience = crate::fixture::BILLING.parse().unwrap();
    two.audiences.insert(billing.clone());
    let both = format!(
        "resource={}&resource={}&resource={}&scope=orders:read",
        crate::fixture::BILLING,
        ORDERS,
        ORDERS
    );
    assert_eq!(
        request(&both, &two).unwrap().audiences,
        vec![billing, ORDERS.parse().unwrap()],
        "in the order of the request, each once"
    );
    assert_eq!(
        request(&both, &portal()),
        Err(OAuthError::AudienceNotPermitted),
        "one of them is not registered"
    );
    let many: String = (0..9)
        .map(|number| format!("resource=https://{number}.example&"))
        .collect();
    assert_eq!(request(&many, &two), Err(OAuthError::AudienceRepeated));
}

#[test]
fn the_claims_parameter_is_read_with_openid_and_left_alone_without() {
    let mut client = portal();
    client.scopes = "openid email orders:read".parse().unwrap();
    let claims = |extra: &str| {
        request(extra, &client).map(|request| request.particulars.claims.userinfo.len())
    };
    let email = "claims=%7B%22userinfo%22%3A%7B%22email%22%3Anull%7D%7D";
    assert_eq!(claims(email), Ok(1));
    assert_eq!(claims(&format!("{email}&scope=orders:read")), Ok(0));
    assert_eq!(
        claims("claims=%5B%5D"),
        Err(OAuthError::ParameterMalformed("claims"))
    );
}
