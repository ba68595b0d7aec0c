use super::document::{FRESH_MAX, FRESH_MIN, freshness};
use super::metadata::{MethodDefault, object};
use super::*;
use crate::client::{Application, ClientAuthentication, GrantType, SignedRequestRule};
use crate::fixture::{ISSUER, NOW, ORDERS, audience, tenant};
use crate::security_profile::SecurityProfile;
use crate::tenant::registration::SoftwareIssuer;
use crate::tenant::{RegistrationRules, TenantRecord};
use countersign_base::{Bounded, Duration, Issuer};
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{ClientAssertion, SigningKey, generate_pkcs8};
use countersign_policy::{PolicySet, Target, decide, defaults};
use serde_json::{Value, json};

fn rules() -> RegistrationRules {
    RegistrationRules {
        scopes: "openid orders:read".parse().unwrap(),
        audiences: [audience(ORDERS)].into(),
        ..RegistrationRules::default()
    }
}

fn registering() -> TenantRecord {
    TenantRecord {
        registration: rules(),
        ..tenant()
    }
}

fn good() -> Value {
    json!({
        "client_name": "App",
        "redirect_uris": ["https://app.example/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": "openid orders:read",
    })
}

/// The good metadata with some members replaced; `null` takes one away.
fn with(change: &Value) -> Value {
    let mut metadata = good();
    for (name, value) in change.as_object().unwrap() {
        metadata[name] = value.clone();
    }
    metadata
}

fn read_under(
    rules: &RegistrationRules,
    value: &Value,
) -> Result<ClientMetadata, RegistrationRefusal> {
    let object = object(value.to_string().as_bytes())?;
    ClientMetadata::read(&object, rules, MethodDefault::Secret, Algorithm::Es256)
}

fn read(value: &Value) -> Result<ClientMetadata, RegistrationRefusal> {
    read_under(&rules(), value)
}

fn code(change: &Value) -> &'static str {
    match read(&with(change)) {
        Ok(_) => "taken",
        Err(refusal) => refusal.code(),
    }
}

fn propose(value: &Value, statement: Option<&ApprovedStatement>) -> Proposal {
    let how = (Operation::Add, Credential::Nothing);
    let id = "generated".parse().unwrap();
    Proposal::new(
        id,
        &registering(),
        read(value).unwrap(),
        statement,
        how,
        None,
        NOW,
    )
    .unwrap()
}

fn key() -> SigningKey<ClientAssertion> {
    let pkcs8 = generate_pkcs8(Algorithm::Es256).unwrap();
    SigningKey::from_pkcs8(Algorithm::Es256, "maker-1".parse().unwrap(), &pkcs8).unwrap()
}

fn jwks(key: &SigningKey<ClientAssertion>) -> Value {
    json!({"keys": [key.public_jwk().to_published_json(key.kid(), Algorithm::Es256)]})
}

#[test]
fn metadata_become_a_client_with_safe_defaults() {
    let proposal = propose(&good(), None);
    let record = proposal.record();
    assert_eq!(record.authentication, ClientAuthentication::Public);
    assert_eq!(record.application, Application::Web);
    assert_eq!(record.scopes, "openid orders:read".parse().unwrap());
    assert_eq!(record.audiences, [audience(ORDERS)].into());
    assert_eq!(
        record.grants,
        [GrantType::AuthorizationCode, GrantType::RefreshToken].into()
    );
    let minimal = json!({"redirect_uris": ["https://app.example/cb"]});
    let metadata = read(&minimal).unwrap();
    assert_eq!(
        metadata.authentication,
        AuthenticationMethod::Secret,
        "RFC 7591 §2"
    );
    assert_eq!(metadata.grants, [GrantType::AuthorizationCode].into());
}

#[test]
fn reg_1_reg_4_r3_r4_a5_redirect_uris_that_nobody_may_register() {
    for (uri, expected) in [
        ("https://app.example/cb#x", "invalid_redirect_uri"),
        ("http://app.example/cb", "invalid_redirect_uri"),
        ("http://127.0.0.1/cb", "invalid_redirect_uri"),
        ("javascript:alert(1)", "invalid_redirect_uri"),
        ("data:text/html,x", "invalid_redirect_uri"),
        ("https://u:p@app.example/cb", "invalid_redirect_uri"),
        ("cb", "invalid_redirect_uri"),
        ("https://app.example/cb?x=1", "taken"),
    ] {
        assert_eq!(code(&json!({"redirect_uris": [uri]})), expected, "{uri}");
        assert_eq!(
            code(&json!({"post_logout_redirect_uris": [uri]})),
            expected,
            "after logout: {uri}"
        );
    }
    let native = |uri: &str| json!({"application_type": "native", "redirect_uris": [uri]});
    assert_eq!(code(&native("http://127.0.0.1/cb")), "taken");
    assert_eq!(code(&native("com.example.app:/cb")), "taken");
    assert_eq!(code(&native("myapp:/cb")), "invalid_redirect_uri");
    assert_eq!(code(&native("http://10.0.0.1/cb")), "invalid_redirect_uri");
    assert_eq!(code(&json!({"redirect_uris": []})), "invalid_redirect_uri");
    assert_eq!(
        code(&json!({"redirect_uris": null})),
        "invalid_redirect_uri"
    );
}

#[test]
fn reg_3_an_address_over_plain_http_is_refused_wherever_it_stands() {
    for name in [
        "initiate_login_uri",
        "client_uri",
        "logo_uri",
        "policy_uri",
        "tos_uri",
        "sector_identifier_uri",
        "backchannel_logout_uri",
    ] {
        for bad in [
            "http://app.example/x",
            "https://u@app.example/x",
            "https://app.example/#x",
            "/x",
        ] {
            assert_eq!(
                code(&json!({name: bad})),
                "invalid_client_metadata",
                "{name} {bad}"
            );
        }
        assert_eq!(
            code(&json!({name: "https://app.example/x"})),
            "taken",
            "{name}"
        );
    }
}

#[test]
fn what_contradicts_itself_is_refused_and_what_is_unknown_ignored() {
    let keys = jwks(&key());
    for change in [
        json!({"response_types": ["token"]}),
        json!({"response_types": ["code", "id_token"]}),
        json!({"grant_types": ["implicit"]}),
        json!({"grant_types": ["password"]}),
        json!({"grant_types": "authorization_code"}),
        json!({"token_endpoint_auth_method": "client_secret_jwt"}),
        json!({"token_endpoint_auth_method": "private_key_jwt"}),
        json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}}),
        json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": keys, "jwks_uri": "https://app.example/jwks"}),
        json!({"subject_type": "hidden"}),
        json!({"id_token_signed_response_alg": "none"}),
        json!({"id_token_encrypted_response_alg": "RSA1_5"}),
        json!({"application_type": "desktop"}),
        json!({"client_name": "n".repeat(129)}),
        json!({"client_name": 7}),
        json!({"scope": "a\"b"}),
        json!({"redirect_uris": vec!["https://app.example/cb"; 17]}),
        json!({"dpop_bound_access_tokens": "yes"}),
    ] {
        assert_eq!(code(&change), "invalid_client_metadata", "{change}");
    }
    assert_eq!(
        code(&json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": keys})),
        "taken"
    );
    assert_eq!(
        code(&json!({"something_else": {"deep": [1]}, "client_name#ja": "x"})),
        "taken"
    );
    let twice = br#"{"redirect_uris":["https://app.example/cb"],"redirect_uris":["https://evil.example/cb"]}"#;
    assert_eq!(object(twice).unwrap_err().code(), "invalid_client_metadata");
    assert!(object(&vec![b' '; METADATA_BYTES_MAX + 1]).is_err());
}

#[test]
fn what_a_client_demands_of_itself_and_its_tenant_of_it_is_kept_or_refused() {
    let key = key();
    let signed = json!({"require_signed_request_object": true, "token_endpoint_auth_method": "private_key_jwt"});
    let judged = |tenant: &TenantRecord, change: &Value| {
        let how = (Operation::Add, Credential::Nothing);
        let metadata = read(&with(change)).unwrap();
        Proposal::new(
            "generated".parse().unwrap(),
            tenant,
            metadata,
            None,
            how,
            None,
            NOW,
        )
    };
    let mut keyed = signed.clone();
    keyed["jwks"] = jwks(&key);
    let taken = judged(&registering(), &keyed).unwrap();
    assert_eq!(
        taken.record().request_rules.signed_requests,
        SignedRequestRule::Required
    );
    let mut elsewhere = signed;
    elsewhere["jwks_uri"] = json!("https://app.example/jwks");
    assert_eq!(
        judged(&registering(), &elsewhere).unwrap_err(),
        RegistrationRefusal::Metadata("jwks"),
        "keys at an address authenticate and sign no requests"
    );
    let strict = TenantRecord {
        profile: SecurityProfile::Fapi2,
        ..registering()
    };
    assert_eq!(
        judged(&strict, &json!({})).unwrap_err(),
        RegistrationRefusal::Metadata("token_endpoint_auth_method"),
        "a public client under FAPI 2.0"
    );
    assert!(judged(&strict, &keyed).is_ok(), "the twin");
}

#[test]
fn reg_8_a45_hosts_are_compared_whole() {
    let rules = RegistrationRules {
        hosts: [Bounded::parse("app.example").unwrap()].into(),
        ..rules()
    };
    for host in [
        "app.example.evil.test",
        "evilapp.example",
        "evil.test/app.example",
        "app-example",
        "sub.app.example",
        "app.example.",
    ] {
        let uri = format!("https://{host}/cb");
        for name in ["redirect_uris", "post_logout_redirect_uris"] {
            let refused = read_under(&rules, &with(&json!({name: [uri]})));
            assert_eq!(
                refused.unwrap_err(),
                RegistrationRefusal::Host,
                "{name} {uri}"
            );
        }
        let refused = read_under(&rules, &with(&json!({"client_uri": uri})));
        assert_eq!(refused.unwrap_err(), RegistrationRefusal::Host, "{uri}");
    }
    assert!(read_under(&rules, &good()).is_ok(), "the twin");
}

#[test]
fn reg_2_a_sector_document_lists_every_redirect_uri() {
    let uris = [
        "https://a.example/cb".parse().unwrap(),
        "https://b.example/cb".parse().unwrap(),
    ]
    .into();
    let check = |document: &Value| sector::check(document.to_string().as_bytes(), &uris);
    assert!(
        check(&json!([
            "https://b.example/cb",
            "https://a.example/cb",
            "https://c.example/"
        ]))
        .is_ok()
    );
    for bad in [
        json!(["https://a.example/cb"]),
        json!(["https://a.example/cb", "https://b.example/cb/"]),
        json!({"a": 1}),
        json!([1]),
    ] {
        assert_eq!(
            check(&bad).unwrap_err().code(),
            "invalid_client_metadata",
            "{bad}"
        );
    }
}

fn statement(key: &SigningKey<ClientAssertion>, change: &Value) -> String {
    let mut claims = json!({
        "iss": "https://maker.example", "software_id": "maker-app", "client_name": "Approved",
        "redirect_uris": ["https://approved.example/cb"], "iat": NOW.0,
    });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    sign_jwt(key, &claims).unwrap()
}

#[test]
fn software_statements_count_only_when_somebody_trusted_signed_them() {
    let (maker, stranger) = (key(), key());
    let issuers = [SoftwareIssuer {
        issuer: Bounded::parse("https://maker.example").unwrap(),
        jwks: jwks(&maker),
    }];
    let ours: Issuer = ISSUER.parse().unwrap();
    let verify = |text: &str| ApprovedStatement::verify(text, &issuers, &ours, NOW);
    let approved = verify(&statement(&maker, &json!({}))).unwrap();
    assert_eq!(approved.software().as_str(), "maker-app");
    let good = statement(&maker, &json!({}));
    let (header, rest) = good.split_once('.').unwrap();
    let (payload, _) = rest.split_once('.').unwrap();
    let none = countersign_crypto::base64url::encode(br#"{"alg":"none"}"#);
    for (text, expected) in [
        (
            statement(&stranger, &json!({})),
            "unapproved_software_statement",
        ),
        (
            statement(&maker, &json!({"iss": "https://other.example"})),
            "unapproved_software_statement",
        ),
        (
            statement(&maker, &json!({"exp": NOW.0 - 1})),
            "invalid_software_statement",
        ),
        (
            statement(&maker, &json!({"nbf": NOW.0 + 60})),
            "invalid_software_statement",
        ),
        (
            statement(&maker, &json!({"aud": "https://elsewhere.example"})),
            "invalid_software_statement",
        ),
        (
            statement(&maker, &json!({"software_id": null})),
            "invalid_software_statement",
        ),
        (format!("{none}.{payload}."), "invalid_software_statement"),
        (
            format!("{header}.{payload}.AAAA"),
            "unapproved_software_statement",
        ),
        ("rubbish".to_owned(), "invalid_software_statement"),
    ] {
        assert_eq!(verify(&text).unwrap_err().code(), expected, "{text}");
    }
    assert!(
        verify(&statement(
            &maker,
            &json!({"aud": [ISSUER], "exp": NOW.0 + 60})
        ))
        .is_ok()
    );
    let beside = object(self::good().to_string().as_bytes()).unwrap();
    let merged = Value::Object(approved.over(beside));
    assert_eq!(merged["client_name"], "Approved", "the statement wins");
    assert_eq!(
        merged["redirect_uris"],
        json!(["https://approved.example/cb"])
    );
    assert_eq!(
        merged["grant_types"],
        self::good()["grant_types"],
        "the rest stays"
    );
}

#[test]
fn policy_permits_what_a_fresh_installation_lets_register_and_nothing_else() {
    let policies = PolicySet::load(defaults::SCHEMA, &defaults::POLICIES).unwrap();
    let permitted = |change: &Value| decide(&policies, propose(&with(change), None)).is_ok();
    assert!(permitted(&json!({})));
    assert!(permitted(
        &json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(&key())})
    ));
    for change in [
        json!({"token_endpoint_auth_method": "client_secret_basic"}),
        json!({"grant_types": ["client_credentials"], "response_types": null, "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(&key())}),
        json!({"scope": "openid admin"}),
    ] {
        assert!(!permitted(&change), "{change}");
    }
    let query = propose(&good(), None).query();
    assert_eq!(
        (query.action.as_str(), query.resource.id().kind()),
        ("register", "Client")
    );
}

#[test]
fn a_change_keeps_what_an_administrator_said() {
    let mut stored = propose(&good(), None).into_record();
    stored.consent = crate::client::ConsentRule::Implied;
    stored.access_token_lifetime = 60;
    let changed = propose(&with(&json!({"client_name": "New"})), None).over(stored.clone());
    assert_eq!(changed.name.as_str(), "New");
    assert_eq!(
        (changed.consent, changed.access_token_lifetime, &changed.id),
        (stored.consent, 60, &stored.id)
    );
}

#[test]
fn the_information_holds_no_credential() {
    let mut proposal = propose(
        &with(&json!({"token_endpoint_auth_method": "client_secret_basic"})),
        None,
    );
    proposal.credentials(Some(vec![1; 32]), vec![2; 32]);
    let text =
        Value::Object(ClientInformation::of(proposal.record()).members().clone()).to_string();
    for word in [
        "client_secret\"",
        "registration_access",
        "tag",
        "[1,1",
        "[2,2",
    ] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    assert!(text.contains("\"token_endpoint_auth_method\":\"client_secret_basic\""));
}

const DOCUMENT: &str = "https://app.example/client.json";

fn document(change: &Value) -> Result<Proposal, RegistrationRefusal> {
    let mut document = json!({"client_id": DOCUMENT, "client_name": "App", "redirect_uris": ["https://app.example/cb"]});
    for (name, value) in change.as_object().unwrap() {
        document[name] = value.clone();
    }
    document_client(
        &DOCUMENT.parse().unwrap(),
        document.to_string().as_bytes(),
        &registering(),
        Algorithm::Es256,
        Duration::from_secs(60),
        NOW,
    )
}

#[test]
fn a_document_describes_its_own_client_and_holds_no_secret() {
    let client = document(&json!({})).unwrap();
    assert_eq!(client.record().id.as_str(), DOCUMENT);
    assert_eq!(client.record().authentication, ClientAuthentication::Public);
    assert!(
        document(&json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(&key())}))
            .is_ok()
    );
    for change in [
        json!({"client_id": "https://app.example/other.json"}),
        json!({"client_id": "https://app.example/client.json/"}),
        json!({"client_id": null}),
        json!({"client_secret": "x"}),
        json!({"client_secret_expires_at": 0}),
        json!({"token_endpoint_auth_method": "client_secret_basic"}),
        json!({"token_endpoint_auth_method": "client_secret_post"}),
        json!({"token_endpoint_auth_method": "client_secret_jwt"}),
        json!({"redirect_uris": []}),
        json!({"redirect_uris": ["javascript:alert(1)"]}),
        json!({"client_name": "x".repeat(DOCUMENT_BYTES_MAX)}),
    ] {
        assert!(document(&change).is_err(), "{change}");
    }
}

#[test]
fn a_document_is_believed_for_half_a_minute_to_a_day() {
    assert_eq!(freshness(Some(Duration::from_secs(1))), FRESH_MIN);
    assert_eq!(
        freshness(Some(Duration::from_secs(600))),
        Duration::from_secs(600)
    );
    assert_eq!(freshness(Some(Duration::from_secs(10_000_000))), FRESH_MAX);
    assert!(freshness(None) < FRESH_MAX);
}
