//! Client authentication, by the ids of the suite. A refusal stands beside the same request without its flaw.

use super::{
    AuthenticatedBy, AuthenticatedClient, ClientReason, ClientRefusal, ClientRequest, ClientRules,
    ClientState, Method, Registration, demand, method_names, prove, secret_tag,
};
use crate::fixtures::{Key, NOW, headers, jws, key, named_key, without};
use crate::replay::{ReplayKind, ReplayLimits, ReplayMemory, Replayed};
use crate::trust::ClientTrust;
use crate::{Form, Unspent, danger};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_base::{ClientId, Issuer, Secret, Tenant};
use countersign_crypto::jose::{Algorithm, JwkSet};
use countersign_crypto::mac::MacKey;
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

const ISSUER: &str = "https://id.example";
const SECRET: &str = "s3cret+with %signs";

fn secrets() -> MacKey {
    MacKey::new(Secret::new([3; 32]))
}

fn client() -> ClientId {
    "portal".parse().unwrap()
}

fn tenant() -> Tenant {
    "demo".parse().unwrap()
}

fn registration(method: Method) -> Registration {
    Registration {
        id: client(),
        tenant: tenant(),
        method,
        state: ClientState::Enabled,
    }
}

fn with_secret() -> Registration {
    registration(Method::Secret(secret_tag(
        &secrets(),
        &tenant(),
        &client(),
        &Secret::new(SECRET.to_owned()),
    )))
}

type Answer = Result<Unspent<AuthenticatedClient>, ClientRefusal>;

fn authenticate(headers: &HeaderMap, form: &str, registration: Option<&Registration>) -> Answer {
    let issuer: Issuer = ISSUER.parse().unwrap();
    let (form, trust) = (
        Form::parse(form.as_bytes()).unwrap(),
        ClientTrust::default(),
    );
    let demanded = demand(&ClientRequest::without_certificate(headers, &form), &trust)?;
    prove(
        demanded,
        registration,
        &ClientRules {
            audience: &issuer,
            secrets: &secrets(),
            trust: &trust,
        },
        NOW,
    )
}

fn outcome(answer: Answer) -> Result<AuthenticatedBy, ClientReason> {
    answer
        .map(|unspent| danger::spent(unspent).method())
        .map_err(|refusal| refusal.reason())
}

fn basic(credentials: &str) -> HeaderMap {
    headers(&[(
        "authorization",
        &format!("Basic {}", STANDARD.encode(credentials)),
    )])
}

const ENCODED: &str = "portal:s3cret%2Bwith+%25signs";

/// An assertion with its parts.
struct Assertion {
    key: Key,
    header: Value,
    claims: Value,
    registered: Registration,
    client_id: Option<&'static str>,
}

impl Assertion {
    fn good(algorithm: Algorithm) -> Self {
        let key = key(algorithm);
        let registered = registration(Method::Keys(JwkSet::single(key.verifying_key().unwrap())));
        let header = json!({ "typ": "JWT", "alg": algorithm.name(), "kid": "key-1" });
        let claims = json!({ "iss": "portal", "sub": "portal", "aud": ISSUER, "exp": NOW.0 + 60, "iat": NOW.0, "jti": "assertion-1" });
        Self {
            key,
            header,
            claims,
            registered,
            client_id: None,
        }
    }

    fn form(&self) -> String {
        let assertion = jws(&self.key, &self.header, &self.claims);
        let client_id = self
            .client_id
            .map(|id| format!("&client_id={id}"))
            .unwrap_or_default();
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        format!("client_assertion={assertion}&client_assertion_type={kind}{client_id}")
    }

    fn send(&self) -> Answer {
        authenticate(&HeaderMap::new(), &self.form(), Some(&self.registered))
    }

    fn reason(&self) -> Option<ClientReason> {
        outcome(self.send()).err()
    }
}

fn refused(flaw: impl FnOnce(&mut Assertion), expected: ClientReason) {
    let mut assertion = Assertion::good(Algorithm::EdDsa);
    assert_eq!(assertion.reason(), None, "the twin");
    flaw(&mut assertion);
    assert_eq!(assertion.reason(), Some(expected));
    let refusal = assertion.send().err().unwrap();
    assert_eq!(
        (refusal.error(), refusal.status()),
        ("invalid_client", StatusCode::UNAUTHORIZED)
    );
}

macro_rules! refusals {
    ($(#[test] fn $name:ident() = $flaw:expr => $expected:ident;)+) => {$(
        #[test]
        fn $name() {
            refused($flaw, ClientReason::$expected);
        }
    )+};
}

refusals! {
    #[test]
    fn ca_2_exp_five_minutes_past() = |assertion| assertion.claims["exp"] = json!(NOW.0 - 300) => AssertionExpired;
    #[test]
    fn ca_3_r32_no_sub() = |assertion| without(&mut assertion.claims, "sub") => AssertionSubjectMismatch;
    #[test]
    fn ca_4_r32_aud_is_the_token_endpoint() = |assertion| assertion.claims["aud"] = json!("https://id.example/token") => AssertionAudienceMismatch;
    #[test]
    fn ca_5_r32_aud_is_the_par_endpoint() = |assertion| assertion.claims["aud"] = json!("https://id.example/par") => AssertionAudienceMismatch;
    #[test]
    fn ca_6_r32_aud_is_a_list() = |assertion| assertion.claims["aud"] = json!([ISSUER]) => AssertionAudienceMismatch;
    #[test]
    fn ca_8_r33_iat_over_a_minute_ahead() = |assertion| assertion.claims["iat"] = json!(NOW.0 + 61) => AssertionAhead;
    #[test]
    fn ca_8_r33_nbf_over_a_minute_ahead() = |assertion| assertion.claims["nbf"] = json!(NOW.0 + 61) => AssertionAhead;
    #[test]
    fn ca_9_aud_of_another_server() = |assertion| assertion.claims["aud"] = json!("https://evil.example") => AssertionAudienceMismatch;
    #[test]
    fn ca_10_client_id_of_another_client() = |assertion| assertion.client_id = Some("billing") => ClientIdMismatch;
    #[test]
    fn ca_12_a_request_object_as_assertion() = |assertion| assertion.header["typ"] = json!("oauth-authz-req+jwt") => AssertionTypMismatch;
    #[test]
    fn ca_12_a_request_object_without_typ_has_no_sub() = |assertion| {
        without(&mut assertion.header, "typ");
        without(&mut assertion.claims, "sub");
    } => AssertionSubjectMismatch;
    #[test]
    fn jwt_6_r50_a76_an_access_token_as_assertion() = |assertion| assertion.header["typ"] = json!("at+jwt") => AssertionTypMismatch;
    #[test]
    fn jwt_6_r50_a_proof_as_assertion() = |assertion| assertion.header["typ"] = json!("dpop+jwt") => AssertionTypMismatch;
    #[test]
    fn ca_15_bad_members_in_aud() = |assertion| assertion.claims["aud"] = json!([ISSUER, 7]) => AssertionAudienceMismatch;
    #[test]
    fn r32_iss_of_another_client() = |assertion| assertion.claims["iss"] = json!("billing") => AssertionSubjectMismatch;
    #[test]
    fn r32_no_exp() = |assertion| without(&mut assertion.claims, "exp") => AssertionExpMissing;
    #[test]
    fn r32_no_jti() = |assertion| without(&mut assertion.claims, "jti") => AssertionJtiMissing;
    #[test]
    fn r32_an_empty_jti() = |assertion| assertion.claims["jti"] = json!("") => AssertionJtiMissing;
    #[test]
    fn r51_exp_as_text() = |assertion| assertion.claims["exp"] = json!("9999999999") => AssertionMalformed;
    #[test]
    fn an_exp_past_what_is_remembered() = |assertion| assertion.claims["exp"] = json!(NOW.0 + 3601) => AssertionLivesTooLong;
    #[test]
    fn a_key_that_is_not_registered() = |assertion| assertion.key = key(Algorithm::EdDsa) => AssertionSignatureInvalid;
    #[test]
    fn a_kid_that_is_not_registered() = |assertion| assertion.header["kid"] = json!("key-2") => AssertionSignatureInvalid;
    #[test]
    fn jwt_1_a72_alg_none() = |assertion| assertion.header["alg"] = json!("none") => AssertionMalformed;
    #[test]
    fn a22_hmac_with_the_public_key() = |assertion| assertion.header["alg"] = json!("HS256") => AssertionMalformed;
    #[test]
    fn a30_a_client_that_is_switched_off() = |assertion| assertion.registered.state = ClientState::Disabled => ClientDisabled;
    #[test]
    fn a_client_registered_for_another_method() = |assertion| assertion.registered = with_secret() => MethodNotRegistered;
}

#[test]
fn ca_7_r34_assertion_signed_with_rs256() {
    assert_eq!(
        Assertion::good(Algorithm::Rs256).reason(),
        Some(ClientReason::AssertionAlgorithmNotAllowed)
    );
    assert_eq!(Assertion::good(Algorithm::Ps256).reason(), None);
    assert_eq!(Assertion::good(Algorithm::Es256).reason(), None);
}

#[test]
fn ca_1_no_assertion() {
    let answer = authenticate(&HeaderMap::new(), "grant_type=client_credentials", None);
    let refusal = answer.err().unwrap();
    assert_eq!(
        (refusal.reason(), refusal.error()),
        (ClientReason::NoCredential, "invalid_client")
    );
    // A name alone is a public client, and this one is not.
    let assertion = Assertion::good(Algorithm::EdDsa);
    let named = authenticate(
        &HeaderMap::new(),
        "client_id=portal",
        Some(&assertion.registered),
    );
    assert_eq!(outcome(named), Err(ClientReason::MethodNotRegistered));
    assert_eq!(assertion.reason(), None);
}

#[test]
fn ca_11_a28_a29_jti_used_before() {
    let (assertion, memory) = (
        Assertion::good(Algorithm::EdDsa),
        ReplayMemory::new(ReplayLimits::default()),
    );
    assert!(memory.spend(assertion.send().unwrap(), NOW).is_ok());
    assert!(matches!(
        memory.spend(assertion.send().unwrap(), NOW),
        Err(Replayed::AlreadyUsed(ReplayKind::ClientAssertion))
    ));
    // Signed anew, later, but with the same name.
    let mut again = Assertion {
        claims: assertion.claims.clone(),
        ..Assertion::good(Algorithm::EdDsa)
    };
    again.claims["exp"] = json!(NOW.0 + 120);
    assert!(matches!(
        memory.spend(again.send().unwrap(), NOW),
        Err(Replayed::AlreadyUsed(ReplayKind::ClientAssertion))
    ));
    again.claims["jti"] = json!("assertion-2");
    assert!(memory.spend(again.send().unwrap(), NOW).is_ok());
    // Another tenant's client of the same name has names of its own.
    let mut elsewhere = Assertion::good(Algorithm::EdDsa);
    elsewhere.registered.tenant = "other".parse().unwrap();
    assert!(memory.spend(elsewhere.send().unwrap(), NOW).is_ok());
}

#[test]
fn the_name_of_an_assertion_is_remembered_until_it_has_expired() {
    let assertion = Assertion::good(Algorithm::EdDsa);
    let unspent = assertion.send().unwrap();
    let [entry] = unspent.entries() else {
        panic!("one value to spend")
    };
    assert_eq!(
        (entry.kind, entry.expires.0),
        (ReplayKind::ClientAssertion, NOW.0 + 61)
    );
}

#[test]
fn ca_13_r29_two_mechanisms_at_once() {
    let assertion = Assertion::good(Algorithm::EdDsa).form();
    for (headers, form) in [
        (basic(ENCODED), assertion.clone()),
        (
            basic(ENCODED),
            "client_secret=x&client_id=portal".to_owned(),
        ),
        (HeaderMap::new(), format!("{assertion}&client_secret=x")),
        (
            headers(&[("authorization", "Bearer a.b.c")]),
            assertion.clone(),
        ),
        (basic(ENCODED), "client_assertion_type=x".to_owned()),
    ] {
        let refusal = authenticate(&headers, &form, Some(&with_secret()))
            .err()
            .unwrap();
        assert_eq!(
            (refusal.reason(), refusal.error(), refusal.status().as_u16()),
            (ClientReason::SeveralMethods, "invalid_request", 400),
            "{form}"
        );
    }
    assert_eq!(
        outcome(authenticate(&basic(ENCODED), "", Some(&with_secret()))),
        Ok(AuthenticatedBy::ClientSecretBasic)
    );
}

#[test]
fn ca_17_r33_nbf_ten_seconds_ahead() {
    for ahead in [8, 10] {
        let mut assertion = Assertion::good(Algorithm::EdDsa);
        assertion.claims["nbf"] = json!(NOW.0 + ahead);
        assertion.claims["iat"] = json!(NOW.0 + ahead);
        assert_eq!(assertion.reason(), None);
    }
}

#[test]
fn ca_18_aud_is_the_issuer() {
    let assertion = Assertion {
        client_id: Some("portal"),
        ..Assertion::good(Algorithm::Es256)
    };
    let authenticated = danger::spent(assertion.send().unwrap());
    assert_eq!(
        (authenticated.id(), authenticated.tenant()),
        (&client(), &tenant())
    );
    assert_eq!(
        (authenticated.method(), authenticated.is_confidential()),
        (AuthenticatedBy::PrivateKeyJwt, true)
    );
}

#[test]
fn an_assertion_may_name_no_key_and_no_typ() {
    let mut assertion = Assertion::good(Algorithm::EdDsa);
    without(&mut assertion.header, "kid");
    without(&mut assertion.header, "typ");
    assert_eq!(assertion.reason(), None);
}

#[test]
fn rt_17_a_client_that_changed_its_key_is_known_by_the_new_one() {
    let mut assertion = Assertion::good(Algorithm::EdDsa);
    let new = named_key(Algorithm::EdDsa, "key-2");
    assertion.registered.method = Method::Keys(JwkSet::from_keys(vec![
        assertion.key.verifying_key().unwrap(),
        new.verifying_key().unwrap(),
    ]));
    assertion.key = new;
    assertion.header["kid"] = json!("key-2");
    assert_eq!(assertion.reason(), None);
}

#[test]
fn an_assertion_needs_its_type() {
    let form = Assertion::good(Algorithm::EdDsa).form();
    let (assertion, _) = form.split_once('&').unwrap();
    let answer = |form: &str| authenticate(&HeaderMap::new(), form, None).err().unwrap();
    assert_eq!(
        (answer(assertion).reason(), answer(assertion).error()),
        (ClientReason::AssertionIncomplete, "invalid_request")
    );
    let saml = format!(
        "{assertion}&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
    );
    assert_eq!(answer(&saml).reason(), ClientReason::MethodUnknown);
}

#[test]
fn a_secret_is_compared_with_its_tag() {
    let answer = authenticate(&basic(ENCODED), "client_id=portal", Some(&with_secret())).unwrap();
    assert!(answer.entries().is_empty());
    assert!(danger::spent(answer).is_confidential());
    let wrong = authenticate(&basic("portal:wrong"), "", Some(&with_secret()));
    assert_eq!(outcome(wrong), Err(ClientReason::SecretMismatch));
    let mut elsewhere = with_secret();
    elsewhere.tenant = "other".parse().unwrap();
    assert_eq!(
        outcome(authenticate(&basic(ENCODED), "", Some(&elsewhere))),
        Err(ClientReason::SecretMismatch),
        "a tag is of one tenant"
    );
}

#[test]
fn r28_failed_header_authentication_is_answered_with_a_challenge() {
    let refusal = authenticate(&basic("portal:wrong"), "", Some(&with_secret()))
        .err()
        .unwrap();
    assert_eq!(
        (refusal.status(), refusal.error()),
        (StatusCode::UNAUTHORIZED, "invalid_client")
    );
    assert!(refusal.challenge().unwrap().starts_with("Basic "));
    let unreadable = authenticate(&headers(&[("authorization", "Basic !")]), "", None)
        .err()
        .unwrap();
    assert_eq!(
        (unreadable.status(), unreadable.challenge().is_some()),
        (StatusCode::UNAUTHORIZED, true)
    );
    // Without the header there is nothing to challenge.
    let by_form = authenticate(&HeaderMap::new(), "client_id=portal", Some(&with_secret()))
        .err()
        .unwrap();
    assert_eq!(
        (by_form.status(), by_form.challenge()),
        (StatusCode::UNAUTHORIZED, None)
    );
    assert!(authenticate(&basic(ENCODED), "", Some(&with_secret())).is_ok());
}

#[test]
fn ca_15_a32_loosely_decodable_credentials() {
    for credentials in [
        "portal",
        "portal:",
        ":secret",
        "por%zztal:x",
        "portal:%",
        "portal:%F",
        "portal:a b",
        "portal:%00",
        "po:rtal%:x",
        "portal:é",
    ] {
        let refusal = authenticate(&basic(credentials), "", Some(&with_secret()))
            .err()
            .unwrap();
        assert_eq!(
            refusal.reason(),
            ClientReason::BasicMalformed,
            "{credentials}"
        );
    }
    let encoded = STANDARD.encode(ENCODED);
    assert!(
        encoded.ends_with('='),
        "so that there is a padding to leave out"
    );
    for text in [
        encoded.trim_end_matches('=').to_owned(),
        encoded.replace('=', ""),
        format!("{encoded}="),
        encoded.replacen('c', "-", 1),
    ] {
        let header = headers(&[("authorization", &format!("Basic {text}"))]);
        assert_eq!(
            outcome(authenticate(&header, "", Some(&with_secret()))),
            Err(ClientReason::BasicMalformed),
            "{text}"
        );
    }
    for scheme in ["Basic", "basic", "BASIC"] {
        let header = headers(&[("authorization", &format!("{scheme} {encoded}"))]);
        assert_eq!(
            outcome(authenticate(&header, "", Some(&with_secret()))),
            Ok(AuthenticatedBy::ClientSecretBasic)
        );
    }
}

#[test]
fn ca_15_an_assertion_that_is_not_strictly_compact() {
    let good = Assertion::good(Algorithm::EdDsa);
    let form = good.form();
    let (assertion, rest) = form.split_once('&').unwrap();
    for broken in [
        format!("{assertion}.x&{rest}"),
        format!("{assertion}%3D&{rest}"),
        form.replacen('.', "..", 1),
    ] {
        let refusal = authenticate(&HeaderMap::new(), &broken, Some(&good.registered))
            .err()
            .unwrap();
        assert_eq!(refusal.reason(), ClientReason::AssertionMalformed);
    }
    assert_eq!(good.reason(), None);
}

#[test]
fn ca_16_r30_a31_a78_an_unknown_client_is_told_what_a_wrong_secret_is_told() {
    let told = |registration: Option<&Registration>| {
        let refusal = authenticate(&basic("portal:wrong"), "", registration)
            .err()
            .unwrap();
        (refusal.error(), refusal.status(), refusal.challenge())
    };
    let wrong = told(Some(&with_secret()));
    assert_eq!(told(None), wrong);
    assert_eq!(told(Some(&registration(Method::Public))), wrong);
    assert_eq!(
        told(Some(&Registration {
            state: ClientState::Disabled,
            ..with_secret()
        })),
        wrong
    );
    // The log knows.
    let reason = |registration: Option<&Registration>| {
        outcome(authenticate(&basic("portal:wrong"), "", registration)).unwrap_err()
    };
    assert_eq!(
        (reason(None), reason(Some(&with_secret()))),
        (ClientReason::ClientUnknown, ClientReason::SecretMismatch)
    );
    // No secret is one of an unknown client, not even the one whose tag is all zeros would be.
    assert_eq!(
        outcome(authenticate(&basic(ENCODED), "", None)),
        Err(ClientReason::ClientUnknown)
    );
}

#[test]
fn a_public_client_has_a_name_and_says_so() {
    let answer = authenticate(
        &HeaderMap::new(),
        "client_id=portal",
        Some(&registration(Method::Public)),
    )
    .unwrap();
    let authenticated = danger::spent(answer);
    assert_eq!(
        (authenticated.method(), authenticated.is_confidential()),
        (AuthenticatedBy::None, false)
    );
    // A confidential client does not become public by leaving its secret out.
    assert_eq!(
        outcome(authenticate(
            &HeaderMap::new(),
            "client_id=portal",
            Some(&with_secret())
        )),
        Err(ClientReason::MethodNotRegistered)
    );
    assert_eq!(
        outcome(authenticate(&HeaderMap::new(), "client_id=portal", None)),
        Err(ClientReason::ClientUnknown)
    );
    assert_eq!(
        outcome(authenticate(&HeaderMap::new(), "client_id=a%20b", None)),
        Err(ClientReason::ClientIdMalformed)
    );
}

#[test]
fn a_broken_header_is_never_a_public_client() {
    let public = registration(Method::Public);
    let (token, two) = ("Basic cG9ydGFsOng=", "client_id=portal");
    for headers in [
        headers(&[("authorization", token), ("authorization", token)]),
        headers(&[("authorization", "")]),
        headers(&[("authorization", "Basic")]),
        headers(&[("authorization", "Bearer a.b.c")]),
    ] {
        let refusal = authenticate(&headers, two, Some(&public)).err().unwrap();
        assert_eq!(
            (refusal.error(), refusal.challenge().is_some()),
            ("invalid_client", true)
        );
    }
    assert!(authenticate(&HeaderMap::new(), two, Some(&public)).is_ok());
}

#[test]
fn a_secret_in_the_body_is_no_method() {
    let refusal = authenticate(
        &HeaderMap::new(),
        "client_id=portal&client_secret=x",
        Some(&with_secret()),
    )
    .err()
    .unwrap();
    assert_eq!(
        (refusal.reason(), refusal.error()),
        (ClientReason::MethodUnknown, "invalid_client")
    );
}

#[test]
fn a_registration_of_another_client_is_not_taken() {
    let other = Registration {
        id: "billing".parse().unwrap(),
        ..registration(Method::Public)
    };
    assert_eq!(
        outcome(authenticate(
            &HeaderMap::new(),
            "client_id=portal",
            Some(&other)
        )),
        Err(ClientReason::ClientIdMismatch)
    );
}

#[test]
fn metadata_lists_the_methods_that_exist() {
    assert_eq!(
        method_names().collect::<Vec<_>>(),
        [
            "client_secret_basic",
            "client_secret_post",
            "spiffe_jwt",
            "federated_jwt",
            "private_key_jwt",
            "tls_client_auth",
            "self_signed_tls_client_auth",
            "none"
        ]
    );
}

proptest! {
    #[test]
    fn no_header_and_form_make_it_panic(header in "[ -~]{0,60}", form in "[a-z_=&%0-9]{0,80}") {
        if let Ok(form) = Form::parse(form.as_bytes()) {
            let headers = headers(&[("authorization", header.trim())]);
            let _ = demand(&ClientRequest::without_certificate(&headers, &form), &ClientTrust::default());
        }
    }

    #[test]
    fn no_credentials_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), more in "[A-Za-z0-9+/=]{0,4}") {
        let header = format!("Basic {}{more}", STANDARD.encode(bytes));
        prop_assert!(authenticate(&headers(&[("authorization", header.trim())]), "", Some(&with_secret())).is_err());
    }

    #[test]
    fn every_secret_is_read_back_as_it_was(secret in "[^\\p{Cc}]{1,40}") {
        let encoded: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let tag = secret_tag(&secrets(), &tenant(), &client(), &Secret::new(secret));
        let answer = authenticate(&basic(&format!("portal:{encoded}")), "", Some(&registration(Method::Secret(tag))));
        prop_assert_eq!(outcome(answer), Ok(AuthenticatedBy::ClientSecretBasic));
    }
}
