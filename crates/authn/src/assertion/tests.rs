//! Assertions as grants: a refusal stands beside the same assertion without its flaw.

use super::{AssertionRules, GrantAssertion, ID_JAG_TYP, demand, prove};
use crate::danger;
use crate::fixtures::{Key, NOW, jws, key, without};
use crate::replay::{ReplayLimits, ReplayMemory};
use crate::resource::KeyAnswer;
use crate::trust::{
    AssertionFault, ForeignIssuer, ForeignUse, IssuerState, Profile, UserClaim, UserRule,
};
use countersign_base::{Bounded, ClientId, Issuer, Tenant};
use countersign_crypto::jose::Algorithm;
use proptest::prelude::*;
use serde_json::{Value, json};

const ISSUER: &str = "https://id.example";
const PARTNER: &str = "https://idp.partner.example";

fn partner(name: &str, issuer: &str) -> ForeignIssuer {
    let rule = |by, value: &str, user: &str| UserRule {
        by,
        value: Bounded::parse(value).unwrap(),
        user: user.parse().unwrap(),
    };
    ForeignIssuer {
        name: Bounded::parse(name).unwrap(),
        state: IssuerState::Enabled,
        profile: Profile::Jwt {
            issuer: Bounded::parse(issuer).unwrap(),
        },
        audience: None,
        algorithms: [Algorithm::Es256].into(),
        lifetime_max: 300,
        uses: [
            ForeignUse::AuthorizationGrant,
            ForeignUse::IdentityAssertion,
        ]
        .into(),
        clients: Vec::new(),
        users: vec![
            rule(UserClaim::Subject, "u-1", "alice"),
            rule(UserClaim::VerifiedEmail, "bob@example.com", "bob"),
        ],
    }
}

struct Case {
    key: Key,
    answer: KeyAnswer,
    header: Value,
    claims: Value,
    issuers: Vec<ForeignIssuer>,
    client: ClientId,
    tenant: Tenant,
}

impl Case {
    fn good() -> Self {
        let key = key(Algorithm::Es256);
        Self {
            answer: KeyAnswer::Key(key.verifying_key().unwrap()),
            header: json!({ "typ": "JWT", "alg": "ES256", "kid": "key-1" }),
            claims: json!({ "iss": PARTNER, "sub": "u-1", "aud": ISSUER, "exp": NOW.0 + 60, "iat": NOW.0, "jti": "a-1" }),
            issuers: vec![partner("partner", PARTNER)],
            client: "portal".parse().unwrap(),
            tenant: Tenant::default_tenant(),
            key,
        }
    }

    fn identity() -> Self {
        let mut case = Self::good();
        case.header["typ"] = json!(ID_JAG_TYP);
        case.claims["client_id"] = json!("portal");
        case.claims["scope"] = json!("orders:read");
        case.claims["resource"] = json!("https://orders.example");
        case
    }

    fn send(self) -> Result<crate::Unspent<GrantAssertion>, AssertionFault> {
        let demanded = demand(&jws(&self.key, &self.header, &self.claims), &self.issuers)?;
        let issuer: Issuer = ISSUER.parse().unwrap();
        let rules = AssertionRules {
            audience: &issuer,
            tenant: &self.tenant,
            client: &self.client,
        };
        prove(demanded, self.answer, &rules, NOW)
    }

    fn outcome(self) -> Result<GrantAssertion, AssertionFault> {
        self.send().map(danger::spent)
    }
}

fn refused(good: fn() -> Case, flaw: impl FnOnce(&mut Case), expected: AssertionFault) {
    assert!(good().outcome().is_ok(), "the twin");
    let mut case = good();
    flaw(&mut case);
    assert_eq!(case.outcome(), Err(expected));
}

macro_rules! refusals {
    ($(#[test] fn $name:ident() = $good:ident, $flaw:expr => $expected:ident;)+) => {$(
        #[test]
        fn $name() {
            refused(Case::$good, $flaw, AssertionFault::$expected);
        }
    )+};
}

refusals! {
    #[test]
    fn tx_13_a23_an_issuer_that_is_switched_off() = good, |case| case.issuers[0].state = IssuerState::Disabled => IssuerDisabled;
    #[test]
    fn tx_13_a23_an_issuer_that_nobody_names() = good, |case| case.claims["iss"] = json!("https://evil.example") => IssuerUnknown;
    #[test]
    fn tx_15_a22_hmac_with_the_issuers_public_key() = good, |case| case.header["alg"] = json!("HS256") => Malformed;
    #[test]
    fn tx_15_a22_alg_none() = good, |case| case.header["alg"] = json!("none") => Malformed;
    #[test]
    fn tx_15_an_algorithm_that_is_not_the_issuers() = good, |case| case.header["alg"] = json!("RS256") => AlgorithmNotAllowed;
    #[test]
    fn tx_15_a_key_for_another_algorithm_than_the_header_says() = good, |case| {
        case.issuers[0].algorithms.insert(Algorithm::EdDsa);
        case.header["alg"] = json!("EdDSA");
    } => SignatureInvalid;
    #[test]
    fn a_key_of_somebody_else() = good, |case| case.answer = KeyAnswer::Key(key(Algorithm::Es256).verifying_key().unwrap()) => SignatureInvalid;
    #[test]
    fn a_key_that_the_issuer_does_not_have() = good, |case| case.answer = KeyAnswer::Unknown => KeyUnknown;
    #[test]
    fn keys_that_cannot_be_had() = good, |case| case.answer = KeyAnswer::Unavailable => KeysUnavailable;
    #[test]
    fn an_issuer_that_is_believed_for_workloads_only() = good, |case| case.issuers[0].uses = [ForeignUse::ClientAuthentication].into() => NotAccepted;
    #[test]
    fn an_issuer_that_is_believed_for_plain_assertions_only() = identity, |case| case.issuers[0].uses = [ForeignUse::AuthorizationGrant].into() => NotAccepted;
    #[test]
    fn aud_of_another_server() = good, |case| case.claims["aud"] = json!("https://evil.example") => AudienceMismatch;
    #[test]
    fn aud_of_the_token_endpoint() = good, |case| case.claims["aud"] = json!("https://id.example/token") => AudienceMismatch;
    #[test]
    fn aud_of_two_servers() = good, |case| case.claims["aud"] = json!([ISSUER, "https://evil.example"]) => AudienceMismatch;
    #[test]
    fn no_aud() = good, |case| without(&mut case.claims, "aud") => AudienceMismatch;
    #[test]
    fn no_exp() = good, |case| without(&mut case.claims, "exp") => ExpMissing;
    #[test]
    fn exp_over() = good, |case| case.claims["exp"] = json!(NOW.0) => Expired;
    #[test]
    fn r51_exp_as_text() = good, |case| case.claims["exp"] = json!("9999999999") => Malformed;
    #[test]
    fn exp_further_ahead_than_minutes() = good, |case| case.claims["exp"] = json!(NOW.0 + 301) => LivesTooLong;
    #[test]
    fn iat_over_ten_seconds_ahead() = good, |case| case.claims["iat"] = json!(NOW.0 + 11) => Ahead;
    #[test]
    fn no_jti() = good, |case| without(&mut case.claims, "jti") => JtiMissing;
    #[test]
    fn no_sub() = good, |case| without(&mut case.claims, "sub") => SubjectMalformed;
    #[test]
    fn a_subject_that_no_rule_names() = good, |case| case.claims["sub"] = json!("u-2") => SubjectUnknown;
    #[test]
    fn jwt_6_r50_an_access_token_as_assertion() = good, |case| case.header["typ"] = json!("at+jwt") => TypMismatch;
    #[test]
    fn jwt_6_r50_a_logout_token_as_assertion() = good, |case| case.header["typ"] = json!("logout+jwt") => TypMismatch;
    #[test]
    fn an_assertion_that_names_another_client() = good, |case| case.claims["client_id"] = json!("billing") => ClientMismatch;
    #[test]
    fn an_identity_assertion_for_another_client() = identity, |case| case.client = "billing".parse().unwrap() => ClientMismatch;
    #[test]
    fn an_identity_assertion_for_no_client() = identity, |case| without(&mut case.claims, "client_id") => ClientMismatch;
}

#[test]
fn an_identity_assertion_carries_its_limits() {
    let assertion = Case::identity().outcome().unwrap();
    assert_eq!(assertion.user.as_str(), "alice");
    assert_eq!(assertion.scopes, Some("orders:read".parse().unwrap()));
    assert_eq!(
        assertion.resources,
        Some(vec!["https://orders.example".parse().unwrap()])
    );
    let plain = Case::good().outcome().unwrap();
    assert_eq!(
        (plain.scopes, plain.resources, plain.auth_time),
        (None, None, None)
    );
}

#[test]
fn an_address_counts_only_if_the_issuer_vouches_for_it() {
    let with = |verified: Value| {
        let mut case = Case::good();
        case.claims["sub"] = json!("u-2");
        case.claims["email"] = json!("bob@example.com");
        case.claims["email_verified"] = verified;
        case.outcome().map(|assertion| assertion.user.to_string())
    };
    assert_eq!(with(json!(true)), Ok("bob".to_owned()));
    for not_vouched in [json!(false), json!("true"), json!(1), Value::Null] {
        assert_eq!(with(not_vouched), Err(AssertionFault::SubjectUnknown));
    }
}

#[test]
fn a_jti_is_spent_for_its_issuer_and_tenant_whichever_client_brings_it() {
    let memory = ReplayMemory::new(ReplayLimits::default());
    let spend = |case: Case| memory.spend(case.send().unwrap(), NOW).is_ok();
    assert!(spend(Case::good()));
    let mut by_another = Case::good();
    by_another.client = "billing".parse().unwrap();
    assert!(!spend(by_another), "the same value from another client");
    // Another issuer's value of the same name is another value, and so is another tenant's.
    let mut other_issuer = Case::good();
    other_issuer
        .issuers
        .push(partner("second", "https://second.example"));
    other_issuer.claims["iss"] = json!("https://second.example");
    assert!(spend(other_issuer));
    let mut other_tenant = Case::good();
    other_tenant.tenant = "acme".parse().unwrap();
    assert!(spend(other_tenant));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-zA-Z0-9_.-]{0,80}") {
        prop_assert!(demand(&text, &[partner("partner", PARTNER)]).is_err());
    }
}
