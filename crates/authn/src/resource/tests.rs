//! Access tokens at a resource: each flaw beside the same request without it.

use super::{
    Anonymous, Binding, Demand, Found, KeyAnswer, Proven, ResourceRequest, ResourceRules,
    TrustedIssuer, demand, prove,
};
use crate::dpop::{DpopReason, NoncePolicy, NonceUse, Nonces};
use crate::fixtures::{Key, NOW, Nothing, Proof, TARGET, headers, jws, key, named_key, without};
use crate::refusal::{Challenge, Reason, Refusal};
use crate::replay::{ReplayLimits, ReplayMemory, Replayed};
use crate::revocation::{Freshness, RevocationId, Revocations};
use crate::{Subject, SubjectId, VerifiedToken, danger};
use countersign_base::{ClientId, Conditional, Duration, NoTls, Scopes, Secret, Tenant, UnixTime};
use countersign_crypto::Random;
use countersign_crypto::jose::{Algorithm, JwkSet};
use countersign_crypto::mac::MacKey;
use countersign_crypto::x509::{
    CertificateAuthority, CertificateRequest, CertificateUsage, PeerCertificate,
};
use http::{HeaderMap, Method, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "https://orders.example";
const USER: &str = "00112233445566778899aabbccddeeff";

fn rules_with(audience: &str, binding: Binding, anonymous: Anonymous) -> ResourceRules {
    let trusted = |issuer: &str, tenant: &str| TrustedIssuer {
        issuer: issuer.parse().unwrap(),
        tenant: tenant.parse().unwrap(),
        algorithms: vec![Algorithm::Es256, Algorithm::EdDsa],
    };
    let issuers = vec![
        trusted(ISSUER, "demo"),
        trusted("https://other.example", "other"),
    ];
    ResourceRules::new(audience.parse().unwrap(), issuers, binding, anonymous)
}

fn rules() -> ResourceRules {
    rules_with(AUDIENCE, Binding::Any, Anonymous::Refused)
}

/// A request with all that it shows, open to be broken.
struct Request {
    signing: Key,
    header: Value,
    claims: Value,
    scheme: &'static str,
    proof: Option<Key>,
    peer: Option<PeerCertificate>,
    query: Option<&'static str>,
    rules: ResourceRules,
}

impl Request {
    fn bearer() -> Self {
        let signing = key(Algorithm::EdDsa);
        let claims = json!({
            "iss": ISSUER, "sub": USER, "aud": AUDIENCE, "exp": NOW.0 + 300, "iat": NOW.0, "jti": "token-1", "client_id": "portal",
            "scope": "orders.read orders.write", "grant_id": "0000000000000001", "sid": "0000000000000002", "roles": ["customer"],
            "attrs": { "region": "eu" }, "auth_time": NOW.0 - 60, "acr": "password",
        });
        let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "key-1" });
        Self {
            signing,
            header,
            claims,
            scheme: "Bearer",
            proof: None,
            peer: None,
            query: None,
            rules: rules(),
        }
    }

    fn dpop() -> Self {
        let mut request = Self::bearer();
        let key = key(Algorithm::EdDsa);
        request.claims["cnf"] = json!({ "jkt": key.public_jwk().thumbprint().to_string() });
        request.proof = Some(key);
        request.scheme = "DPoP";
        request
    }

    fn certificate() -> Self {
        let mut request = Self::bearer();
        let peer = certificate();
        request.claims["cnf"] = json!({ "x5t#S256": peer.thumbprint().to_string() });
        request.peer = Some(peer);
        request
    }

    fn token(&self) -> String {
        jws(&self.signing, &self.header, &self.claims)
    }

    fn headers(&self, token: &str) -> HeaderMap {
        let mut headers = headers(&[("authorization", &format!("{} {token}", self.scheme))]);
        if let Some(key) = &self.proof {
            headers.insert(
                "dpop",
                Proof::good(key, Some(token)).text().parse().unwrap(),
            );
        }
        headers
    }

    fn demand(&self, headers: &HeaderMap) -> Result<Demand, Refusal> {
        let peer = self.peer.as_ref().map_or(
            Conditional::Absent(NoTls::NoCertificate),
            Conditional::Present,
        );
        let request = ResourceRequest {
            method: &Method::GET,
            target_uri: TARGET,
            query: self.query,
            headers,
            peer,
            remote: None,
        };
        demand(&request, &self.rules)
    }

    fn prove(
        &self,
        revocations: &dyn Revocations,
        nonces: NoncePolicy<'_>,
        now: UnixTime,
    ) -> Result<Proven, Refusal> {
        let set = JwkSet::single(self.signing.verifying_key().unwrap());
        let Demand::Token(token) = self.demand(&self.headers(&self.token()))? else {
            panic!("a token was sent")
        };
        let needed = token.key()?;
        let answer = needed
            .kid()
            .and_then(|kid| set.find(kid, needed.algorithm()));
        let answer = answer.map_or(KeyAnswer::Unknown, |key| KeyAnswer::Key(key.clone()));
        prove(token, Found::Key(needed, answer), revocations, nonces, now)
    }

    fn at(&self, now: UnixTime) -> Result<Subject, Reason> {
        self.prove(&Nothing, NoncePolicy::NotRequired, now)
            .map(|proven| danger::spent(proven.subject))
            .map_err(|refusal| refusal.reason())
    }

    fn reason(&self) -> Option<Reason> {
        self.at(NOW).err()
    }
}

fn certificate() -> PeerCertificate {
    let authority = CertificateAuthority::generate("test", &Random::system(), NOW).unwrap();
    let request = CertificateRequest {
        dns: vec!["client.example".to_owned()],
        ips: Vec::new(),
        uris: Vec::new(),
        usage: CertificateUsage::Client,
        lifetime: Duration::from_secs(3600),
    };
    let issued = authority.issue(&request, NOW).unwrap();
    PeerCertificate::from_der(issued.chain_der.into_iter().next().unwrap()).unwrap()
}

/// The request is served; with the flaw it is refused for `expected`.
fn refused(mut request: Request, flaw: impl FnOnce(&mut Request), expected: Reason) {
    assert_eq!(request.reason(), None, "the twin");
    flaw(&mut request);
    assert_eq!(request.reason(), Some(expected));
}

macro_rules! refusals {
    ($(#[test] fn $name:ident() = $request:ident, $flaw:expr => $expected:expr;)+) => {$(
        #[test]
        fn $name() {
            refused(Request::$request(), $flaw, $expected);
        }
    )+};
}

refusals! {
    #[test]
    fn tok_1_g40_jwt_1_r48_alg_none() = bearer, |request| request.header["alg"] = json!("none") => Reason::TokenMalformed;
    #[test]
    fn tok_2_g40_jwt_2_hmac_with_the_public_key() = bearer, |request| request.header["alg"] = json!("HS256") => Reason::TokenMalformed;
    #[test]
    fn r48_an_algorithm_that_the_issuer_may_not_use() = bearer, |request| {
        request.signing = key(Algorithm::Ps256);
        request.header["alg"] = json!("PS256");
    } => Reason::AlgorithmNotAllowed;
    #[test]
    fn tok_3_jwt_3_kid_with_path_or_quotes() = bearer, |request| request.header["kid"] = json!("../../etc/passwd' OR 1=1") => Reason::TokenMalformed;
    #[test]
    fn tok_4_jwt_5_embedded_jwk_is_no_key() = bearer, |request| {
        let attacker = named_key(Algorithm::EdDsa, "attacker");
        request.header["jwk"] = attacker.public_jwk().to_json();
        request.header["kid"] = json!("attacker");
    } => Reason::KeyUnknown;
    #[test]
    fn tok_11_jwt_6_r50_a76_an_id_token() = bearer, |request| request.header["typ"] = json!("JWT") => Reason::TypMismatch;
    #[test]
    fn jwt_6_r50_a_logout_token() = bearer, |request| request.header["typ"] = json!("logout+jwt") => Reason::TypMismatch;
    #[test]
    fn jwt_6_r50_a_security_event() = bearer, |request| request.header["typ"] = json!("secevent+jwt") => Reason::TypMismatch;
    #[test]
    fn jwt_6_r50_a76_a_proof() = bearer, |request| request.header["typ"] = json!("dpop+jwt") => Reason::TypMismatch;
    #[test]
    fn jwt_6_r50_a_token_without_typ() = bearer, |request| without(&mut request.header, "typ") => Reason::TypMismatch;
    #[test]
    fn tok_10_jwt_7_r51_a65_exp_as_text() = bearer, |request| request.claims["exp"] = json!((NOW.0 + 300).to_string()) => Reason::ClaimBroken;
    #[test]
    fn jwt_7_r51_a65_exp_as_list() = bearer, |request| request.claims["exp"] = json!([NOW.0 + 300]) => Reason::ClaimBroken;
    #[test]
    fn jwt_7_r51_a65_exp_null() = bearer, |request| request.claims["exp"] = Value::Null => Reason::ClaimBroken;
    #[test]
    fn tok_10_jwt_7_r51_a65_exp_huge() = bearer, |request| request.claims["exp"] = json!(1e300) => Reason::ClaimBroken;
    #[test]
    fn jwt_7_r51_nbf_as_text() = bearer, |request| request.claims["nbf"] = json!("0") => Reason::ClaimBroken;
    #[test]
    fn a_token_without_exp() = bearer, |request| without(&mut request.claims, "exp") => Reason::ClaimMissing;
    #[test]
    fn a_token_without_client() = bearer, |request| without(&mut request.claims, "client_id") => Reason::ClaimMissing;
    #[test]
    fn a_token_without_jti() = bearer, |request| without(&mut request.claims, "jti") => Reason::ClaimMissing;
    #[test]
    fn an_expired_token() = bearer, |request| request.claims["exp"] = json!(NOW.0 - 31) => Reason::TokenExpired;
    #[test]
    fn tok_10_a_token_of_the_future() = bearer, |request| request.claims["nbf"] = json!(NOW.0 + 31) => Reason::NotYetValid;
    #[test]
    fn a_token_issued_in_the_future() = bearer, |request| request.claims["iat"] = json!(NOW.0 + 31) => Reason::IssuedAhead;
    #[test]
    fn another_signature() = bearer, |request| {
        let signed_elsewhere = request.token();
        request.signing = key(Algorithm::EdDsa);
        assert_ne!(request.token(), signed_elsewhere);
        request.header["kid"] = json!("key-2");
    } => Reason::KeyUnknown;
    #[test]
    fn tok_5_an_unknown_issuer() = bearer, |request| request.claims["iss"] = json!("https://evil.example") => Reason::IssuerUnknown;
    #[test]
    fn an_issuer_with_a_slash_more() = bearer, |request| request.claims["iss"] = json!("https://id.example/") => Reason::IssuerUnknown;
    #[test]
    fn an_issuer_in_capitals() = bearer, |request| request.claims["iss"] = json!("HTTPS://ID.EXAMPLE") => Reason::IssuerUnknown;
    #[test]
    fn tok_9_int_6_r46_another_audience() = bearer, |request| request.claims["aud"] = json!("https://billing.example") => Reason::AudienceMismatch;
    #[test]
    fn int_6_r46_no_audience() = bearer, |request| without(&mut request.claims, "aud") => Reason::ClaimMissing;
    #[test]
    fn tok_9_int_6_r46_ours_among_others() = bearer, |request| request.claims["aud"] = json!([AUDIENCE, "https://billing.example"]) => Reason::AudienceMismatch;
    #[test]
    fn int_6_r46_our_audience_with_a_slash() = bearer, |request| request.claims["aud"] = json!("https://orders.example/") => Reason::AudienceMismatch;
    #[test]
    fn int_7_a_token_in_the_query() = bearer, |request| request.query = Some("a=b&access_token=x") => Reason::TokenInQuery;
    #[test]
    fn int_7_a_token_in_the_query_escaped() = bearer, |request| request.query = Some("access%5Ftoken=x") => Reason::TokenInQuery;
    #[test]
    fn int_7_a_token_in_a_query_that_repeats() = bearer, |request| request.query = Some("a=1&a=2&%61ccess_token=x") => Reason::TokenInQuery;
    #[test]
    fn dpop_22_another_key_than_the_tokens() = dpop, |request| request.proof = Some(key(Algorithm::EdDsa)) => Reason::ProofKeyMismatch;
    #[test]
    fn tok_12_g54_dpop_23_int_5_no_proof() = dpop, |request| request.proof = None => Reason::ProofMissing;
    #[test]
    fn tok_12_g54_dpop_24_r44_proof_removed_and_scheme_changed() = dpop, |request| {
        request.proof = None;
        request.scheme = "Bearer";
    } => Reason::BoundTokenAsBearer;
    #[test]
    fn r44_scheme_changed_proof_kept() = dpop, |request| request.scheme = "Bearer" => Reason::ProofBesideBearer;
    #[test]
    fn dpop_28_r47_an_unbound_token_where_binding_is_required() = certificate, |request| {
        request.rules = rules_with(AUDIENCE, Binding::Required, Anonymous::Refused);
        without(&mut request.claims, "cnf");
    } => Reason::BindingRequired;
    #[test]
    fn an_unbound_token_with_a_proof() = dpop, |request| without(&mut request.claims, "cnf") => Reason::TokenNotBound;
    #[test]
    fn int_5_no_certificate() = certificate, |request| request.peer = None => Reason::CertificateMissing;
    #[test]
    fn another_certificate() = certificate, |request| request.peer = Some(certificate()) => Reason::CertificateMismatch;
    #[test]
    fn a_certificate_bound_token_with_a_proof() = certificate, |request| {
        request.proof = Some(key(Algorithm::EdDsa));
        request.scheme = "DPoP";
    } => Reason::TokenNotBound;
    #[test]
    fn an_unknown_kind_of_binding() = bearer, |request| request.claims["cnf"] = json!({ "kid": "x" }) => Reason::ConfirmationUnknown;
    #[test]
    fn an_unknown_binding_beside_a_known_one() = dpop, |request| request.claims["cnf"]["kid"] = json!("x") => Reason::ConfirmationUnknown;
    #[test]
    fn an_empty_binding() = bearer, |request| request.claims["cnf"] = json!({}) => Reason::ConfirmationUnknown;
    #[test]
    fn a_binding_that_is_no_object() = bearer, |request| request.claims["cnf"] = Value::Null => Reason::ClaimBroken;
    #[test]
    fn a_scheme_that_is_not_taken() = bearer, |request| request.scheme = "Token" => Reason::SchemeUnknown;
    #[test]
    fn roles_that_are_no_list() = bearer, |request| request.claims["roles"] = json!("admin") => Reason::ClaimBroken;
    #[test]
    fn an_attribute_that_is_an_object() = bearer, |request| request.claims["attrs"]["region"] = json!({}) => Reason::ClaimBroken;
    #[test]
    fn too_many_actors() = bearer, |request| {
        let chain = (0..5).fold(Value::Null, |inner, number| match inner {
            Value::Null => json!({ "sub": number.to_string() }),
            inner => json!({ "sub": number.to_string(), "act": inner }),
        });
        request.claims["act"] = chain;
    } => Reason::ActorsTooMany;
    #[test]
    fn a_huge_token() = bearer, |request| request.claims["attrs"]["filler"] = json!("x".repeat(9000)) => Reason::TokenTooLong;
}

#[test]
fn what_a_token_says_is_what_the_subject_is() {
    let mut request = Request::dpop();
    request.claims["act"] = json!({ "sub": "billing", "act": { "sub": "portal" } });
    let subject = request.at(NOW).unwrap();
    assert_eq!(*subject.principal(), SubjectId::User(USER.parse().unwrap()));
    assert_eq!(
        (subject.tenant().as_str(), subject.client().as_str()),
        ("demo", "portal")
    );
    assert_eq!(subject.scopes().to_string(), "orders.read orders.write");
    assert_eq!(subject.grant().map(|grant| grant.as_u64()), Some(1));
    assert_eq!(subject.session().map(|session| session.as_u64()), Some(2));
    assert_eq!(
        subject
            .actors()
            .iter()
            .map(|actor| actor.sub.as_str())
            .collect::<Vec<_>>(),
        ["billing", "portal"]
    );
    assert_eq!(
        (subject.acr(), subject.auth_time(), subject.jti()),
        (Some("password"), Some(UnixTime(NOW.0 - 60)), "token-1")
    );
    assert!(subject.binding().is_some());
    // Minting serializes the type that was read here.
    assert_eq!(
        serde_json::to_value(subject.token().claims()).unwrap(),
        request.claims
    );
}

#[test]
fn debug_shows_nothing_of_whom_a_token_speaks() {
    let subject = Request::bearer().at(NOW).unwrap();
    assert_eq!(
        format!("{subject:?}"),
        "Subject { token: VerifiedToken(token-1) }"
    );
    assert_eq!(
        format!("{:?}", subject.token().claims()),
        "AccessTokenClaims(token-1)"
    );
}

#[test]
fn a_client_of_its_own_accord_is_its_own_subject() {
    let mut request = Request::bearer();
    request.claims["sub"] = json!("portal");
    let subject = request.at(NOW).unwrap();
    assert_eq!(
        *subject.principal(),
        SubjectId::Client("portal".parse().unwrap())
    );
    assert_eq!(subject.user(), None);
}

#[test]
fn tok_9_an_audience_may_be_a_list_of_one() {
    let mut request = Request::bearer();
    request.claims["aud"] = json!([AUDIENCE]);
    assert_eq!(request.reason(), None);
}

#[test]
fn clocks_may_differ_by_thirty_seconds() {
    let mut request = Request::bearer();
    request.claims["nbf"] = json!(NOW.0 + 30);
    request.claims["iat"] = json!(NOW.0 + 30);
    assert_eq!(request.reason(), None);
    assert!(request.at(UnixTime(NOW.0 + 329)).is_ok());
    assert_eq!(
        request.at(UnixTime(NOW.0 + 330)).err(),
        Some(Reason::TokenExpired)
    );
}

#[test]
fn dpop_34_scheme_in_any_case() {
    for scheme in ["dpop", "DPOP", "DPoP"] {
        let mut request = Request::dpop();
        request.scheme = scheme;
        assert_eq!(request.reason(), None);
    }
    let mut request = Request::bearer();
    request.scheme = "BEARER";
    assert_eq!(request.reason(), None);
}

#[test]
fn tok_4_jwt_4_r49_addresses_in_the_header_are_ignored() {
    let mut request = Request::bearer();
    request.header["jku"] = json!("https://attacker.example/keys");
    request.header["x5u"] = json!("https://attacker.example/chain");
    assert_eq!(
        request.reason(),
        None,
        "verified with the issuer's key, and nothing is fetched"
    );
}

#[test]
fn a_signature_by_another_key_of_the_same_name_does_not_hold() {
    let request = Request::bearer();
    let Ok(Demand::Token(token)) = request.demand(&request.headers(&request.token())) else {
        panic!("a token was sent")
    };
    let foreign = key(Algorithm::EdDsa).verifying_key().unwrap();
    let proven = prove(
        token,
        Found::Key(Request::key_needed(&request), KeyAnswer::Key(foreign)),
        &Nothing,
        NoncePolicy::NotRequired,
        NOW,
    );
    assert_eq!(proven.err().unwrap().reason(), Reason::SignatureInvalid);
    assert_eq!(request.reason(), None);
}

impl Request {
    fn key_needed(request: &Self) -> super::KeyNeeded {
        match request.demand(&request.headers(&request.token())) {
            Ok(Demand::Token(token)) => token.key().unwrap(),
            Ok(Demand::Anonymous(_)) | Err(_) => panic!("a token was sent"),
        }
    }
}

#[test]
fn absent_present_and_broken_are_three_cases() {
    let token = Request::bearer().token();
    let bearer = format!("Bearer {token}");
    type Sent<'a> = &'a [(&'static str, &'a str)];
    let cases: [(Sent<'_>, Option<Reason>); 10] = [
        (&[], None),
        (
            &[("authorization", &bearer), ("authorization", &bearer)],
            Some(Reason::AuthorizationBroken),
        ),
        (&[("authorization", "")], Some(Reason::AuthorizationBroken)),
        (
            &[("authorization", "Bearer")],
            Some(Reason::AuthorizationBroken),
        ),
        (
            &[("authorization", "Bearer ")],
            Some(Reason::AuthorizationBroken),
        ),
        (
            &[("authorization", "Bearer  a.b.c")],
            Some(Reason::AuthorizationBroken),
        ),
        (
            &[("authorization", "Bearer a b")],
            Some(Reason::AuthorizationBroken),
        ),
        (
            &[("authorization", "Bearer a,b")],
            Some(Reason::AuthorizationBroken),
        ),
        (
            &[("authorization", "Basic YTpi")],
            Some(Reason::SchemeUnknown),
        ),
        (&[("dpop", "a.b.c")], Some(Reason::ProofWithoutToken)),
    ];
    for anonymous in [Anonymous::Allowed, Anonymous::Refused] {
        let mut request = Request::bearer();
        request.rules = rules_with(AUDIENCE, Binding::Any, anonymous);
        for (pairs, expected) in &cases {
            let got = request.demand(&headers(pairs));
            match (expected, anonymous) {
                (Some(expected), _) => assert_eq!(
                    got.unwrap_err().reason(),
                    *expected,
                    "{pairs:?}: broken is never absent"
                ),
                (None, Anonymous::Allowed) => assert!(matches!(got, Ok(Demand::Anonymous(_)))),
                (None, Anonymous::Refused) => {
                    assert_eq!(got.unwrap_err().reason(), Reason::NoCredential)
                }
            }
        }
        assert!(matches!(
            request.demand(&headers(&[("authorization", &bearer)])),
            Ok(Demand::Token(_))
        ));
    }
}

#[test]
fn dpop_1_two_proofs_at_a_resource() {
    let request = Request::dpop();
    let mut headers = request.headers(&request.token());
    assert!(request.demand(&headers).is_ok());
    headers.append("dpop", headers["dpop"].clone());
    assert_eq!(
        request.demand(&headers).unwrap_err().reason(),
        Reason::Dpop(DpopReason::Repeated)
    );
}

#[test]
fn dpop_20_a_proof_is_spent_once_at_a_resource() {
    let (request, memory) = (Request::dpop(), ReplayMemory::new(ReplayLimits::default()));
    let spend = || {
        memory
            .spend(
                request
                    .prove(&Nothing, NoncePolicy::NotRequired, NOW)
                    .unwrap()
                    .subject,
                NOW,
            )
            .map(|_| ())
    };
    assert_eq!(spend(), Ok(()));
    let replayed = spend().unwrap_err();
    assert!(matches!(replayed, Replayed::AlreadyUsed(_)));
    assert_eq!(Refusal::from(replayed).error(), Some("invalid_dpop_proof"));
    // A bearer token has nothing to spend.
    let bearer = Request::bearer();
    for _ in 0..2 {
        assert!(
            memory
                .spend(
                    bearer
                        .prove(&Nothing, NoncePolicy::NotRequired, NOW)
                        .unwrap()
                        .subject,
                    NOW
                )
                .is_ok()
        );
    }
}

#[test]
fn a_missing_nonce_is_asked_for_with_a_fresh_one() {
    let nonces = Nonces::new(
        MacKey::new(Secret::new([1; 32])),
        [1; 16],
        NOW,
        NonceUse::AfterStart,
    );
    let refusal = Request::dpop()
        .prove(&Nothing, nonces.policy(NOW), NOW)
        .err()
        .unwrap();
    assert_eq!(
        (refusal.error(), refusal.status()),
        (Some("use_dpop_nonce"), StatusCode::UNAUTHORIZED)
    );
    let mut headers = HeaderMap::new();
    refusal.write_headers(
        Challenge {
            binding: Binding::Any,
        },
        &mut headers,
    );
    assert_eq!(headers["dpop-nonce"], nonces.current(NOW).as_str());
    assert_eq!(
        headers["www-authenticate"],
        "DPoP error=\"use_dpop_nonce\", algs=\"EdDSA ES256 PS256\""
    );
}

/// One revocation.
struct One(RevocationOf, UnixTime);

#[derive(Clone, Copy, PartialEq)]
enum RevocationOf {
    Client,
    Grant,
    Session,
    Tenant,
    User,
}

impl Revocations for One {
    fn not_before(&self, id: RevocationId<'_>) -> Option<UnixTime> {
        let (tenant, client): (Tenant, ClientId) =
            ("demo".parse().unwrap(), "portal".parse().unwrap());
        let expected = match self.0 {
            RevocationOf::Client => id == RevocationId::Client(&tenant, &client),
            RevocationOf::Grant => {
                id == RevocationId::Grant(countersign_base::GrantId::from_u64(1))
            }
            RevocationOf::Session => {
                id == RevocationId::Session(countersign_base::SessionId::from_u64(2))
            }
            RevocationOf::Tenant => id == RevocationId::Tenant(&tenant),
            RevocationOf::User => id == RevocationId::User(USER.parse().unwrap()),
        };
        expected.then_some(self.1)
    }

    fn freshness(&self, _: UnixTime) -> Freshness {
        Freshness::Current
    }
}

const REVOCABLE: [RevocationOf; 5] = [
    RevocationOf::Client,
    RevocationOf::Grant,
    RevocationOf::Session,
    RevocationOf::Tenant,
    RevocationOf::User,
];

#[test]
fn int_1_a38_each_not_before_counts_by_itself() {
    let request = Request::dpop();
    for of in REVOCABLE {
        let at = |time| {
            request
                .prove(&One(of, time), NoncePolicy::NotRequired, NOW)
                .err()
                .map(|refusal| refusal.reason())
        };
        assert_eq!(
            at(NOW),
            Some(Reason::Revoked),
            "of the second in which the token was made"
        );
        assert_eq!(at(UnixTime(NOW.0 + 100)), Some(Reason::Revoked));
        let newer = match of {
            RevocationOf::Client | RevocationOf::Tenant | RevocationOf::User => None,
            // These never come back; the token is of a node whose clock is ahead.
            RevocationOf::Grant | RevocationOf::Session => Some(Reason::Revoked),
        };
        assert_eq!(at(UnixTime(NOW.0 - 1)), newer, "the token is newer");
    }
}

#[test]
fn a_table_of_revocations_that_is_cut_off_lets_nothing_through() {
    struct Stale;
    impl Revocations for Stale {
        fn not_before(&self, _: RevocationId<'_>) -> Option<UnixTime> {
            None
        }
        fn freshness(&self, _: UnixTime) -> Freshness {
            Freshness::Stale
        }
    }
    let refusal = Request::bearer()
        .prove(&Stale, NoncePolicy::NotRequired, NOW)
        .err()
        .unwrap();
    assert_eq!(
        (refusal.status(), refusal.error()),
        (StatusCode::SERVICE_UNAVAILABLE, None)
    );
    assert_eq!(Request::bearer().reason(), None);
}

/// The verdict of a first request, and the demand of a second one like it under `rules`.
fn warm(request: &mut Request, rules: ResourceRules) -> (Arc<VerifiedToken>, super::TokenDemand) {
    let verdict = request
        .prove(&Nothing, NoncePolicy::NotRequired, NOW)
        .unwrap()
        .verdict;
    request.rules = rules;
    match request.demand(&request.headers(&request.token())) {
        Ok(Demand::Token(token)) => (verdict, token),
        Ok(Demand::Anonymous(_)) | Err(_) => panic!("a token was sent"),
    }
}

#[test]
fn a_verdict_saves_the_signature_and_nothing_else() {
    let mut request = Request::dpop();
    let (verdict, token) = warm(&mut request, rules());
    assert_eq!(token.cache_key(), verdict.cache_key());
    assert!(
        prove(
            token,
            Found::Verdict(Arc::clone(&verdict)),
            &Nothing,
            NoncePolicy::NotRequired,
            NOW
        )
        .is_ok()
    );
    let again = |now, revocations: &dyn Revocations| {
        let (_, token) = warm(
            &mut Request {
                ..Request::like(&request)
            },
            rules(),
        );
        prove(
            token,
            Found::Verdict(Arc::clone(&verdict)),
            revocations,
            NoncePolicy::NotRequired,
            now,
        )
        .err()
        .map(|refusal| refusal.reason())
    };
    assert_eq!(again(NOW, &Nothing), None);
    assert_eq!(
        again(UnixTime(NOW.0 + 400), &Nothing),
        Some(Reason::TokenExpired)
    );
    assert_eq!(
        again(NOW, &One(RevocationOf::Grant, NOW)),
        Some(Reason::Revoked)
    );
}

impl Request {
    fn like(other: &Self) -> Self {
        Self {
            signing: other.signing.clone(),
            header: other.header.clone(),
            claims: other.claims.clone(),
            scheme: other.scheme,
            proof: other.proof.clone(),
            peer: other.peer.clone(),
            query: other.query,
            rules: other.rules.clone(),
        }
    }
}

#[test]
fn tok_6_g44_g45_int_3_a41_a_verdict_of_other_rules_is_not_taken() {
    let mut request = Request::bearer();
    let stricter = rules_with(AUDIENCE, Binding::Required, Anonymous::Refused);
    let (verdict, token) = warm(&mut request, stricter);
    assert_ne!(token.cache_key(), verdict.cache_key());
    let refusal = prove(
        token,
        Found::Verdict(verdict),
        &Nothing,
        NoncePolicy::NotRequired,
        NOW,
    )
    .err()
    .unwrap();
    assert_eq!(
        (refusal.reason(), refusal.status()),
        (Reason::VerdictMismatch, StatusCode::SERVICE_UNAVAILABLE)
    );
    assert_eq!(
        request.reason(),
        Some(Reason::BindingRequired),
        "and judged afresh it does not hold"
    );
}

#[test]
fn a_verdict_of_another_token_is_not_taken() {
    let mut request = Request::bearer();
    let (verdict, _) = warm(&mut request, rules());
    request.claims["jti"] = json!("token-2");
    let (own, token) = warm(&mut request, rules());
    let refusal = prove(
        token,
        Found::Verdict(verdict),
        &Nothing,
        NoncePolicy::NotRequired,
        NOW,
    )
    .err()
    .unwrap();
    assert_eq!(refusal.reason(), Reason::VerdictMismatch);
    let (_, token) = warm(&mut request, rules());
    assert!(
        prove(
            token,
            Found::Verdict(own),
            &Nothing,
            NoncePolicy::NotRequired,
            NOW
        )
        .is_ok()
    );
}

#[test]
fn int_2_a40_scopes_are_asked_of_the_subject_every_time() {
    let subject = Request::bearer().at(NOW).unwrap();
    let scopes = |text: &str| text.parse::<Scopes>().unwrap();
    assert!(subject.require_scopes(&scopes("orders.read")).is_ok());
    let refusal = subject
        .require_scopes(&scopes("orders.read orders.delete"))
        .unwrap_err();
    assert_eq!(
        (refusal.status(), refusal.error()),
        (StatusCode::FORBIDDEN, Some("insufficient_scope"))
    );
    let challenges = refusal.challenges(Challenge {
        binding: Binding::Any,
    });
    assert_eq!(
        challenges[1],
        "Bearer error=\"insufficient_scope\", scope=\"orders.delete orders.read\""
    );
}

#[test]
fn the_caller_is_told_the_code_and_the_log_the_reason() {
    let told = |reason: Reason, binding| {
        let refusal = Refusal::from(reason);
        let challenges: Vec<String> = refusal
            .challenges(Challenge { binding })
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
        (refusal.status().as_u16(), challenges)
    };
    assert_eq!(
        told(Reason::NoCredential, Binding::Any),
        (
            401,
            vec![
                "DPoP algs=\"EdDSA ES256 PS256\"".to_owned(),
                "Bearer".to_owned()
            ]
        )
    );
    assert_eq!(
        told(Reason::NoCredential, Binding::Required),
        (401, vec!["DPoP algs=\"EdDSA ES256 PS256\"".to_owned()])
    );
    for hidden in [
        Reason::Revoked,
        Reason::IssuerUnknown,
        Reason::AudienceMismatch,
        Reason::TokenExpired,
        Reason::KeyUnknown,
    ] {
        assert_eq!(
            told(hidden, Binding::Any),
            told(Reason::SignatureInvalid, Binding::Any),
            "the caller learns no reason"
        );
        assert_ne!(hidden.as_str(), Reason::SignatureInvalid.as_str());
    }
    assert_eq!(told(Reason::TokenInQuery, Binding::Any).0, 400);
    assert_eq!(
        told(Reason::KeysUnavailable, Binding::Any),
        (503, Vec::new())
    );
}

#[test]
fn an_issuer_whose_keys_cannot_be_had_is_not_the_callers_fault() {
    let request = Request::bearer();
    let Ok(Demand::Token(token)) = request.demand(&request.headers(&request.token())) else {
        panic!("a token was sent")
    };
    let needed = token.key().unwrap();
    assert_eq!(
        (needed.issuer().as_str(), needed.tenant().as_str()),
        (ISSUER, "demo")
    );
    let refusal = prove(
        token,
        Found::Key(needed, KeyAnswer::Unavailable),
        &Nothing,
        NoncePolicy::NotRequired,
        NOW,
    )
    .err()
    .unwrap();
    assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(request.reason(), None);
}

#[test]
fn a_token_of_one_issuer_cannot_claim_another() {
    let mut request = Request::bearer();
    request.claims["iss"] = json!("https://other.example");
    let subject = request.at(NOW).unwrap();
    assert_eq!(
        subject.tenant().as_str(),
        "other",
        "the tenant follows the issuer, never a claim"
    );
    request.claims["tenant"] = json!("demo");
    assert_eq!(request.at(NOW).unwrap().tenant().as_str(), "other");
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(authorization in "[ -~]{0,120}", query in "[ -~]{0,60}") {
        let request = Request { rules: rules_with(AUDIENCE, Binding::Any, Anonymous::Allowed), ..Request::bearer() };
        let headers = headers(&[("authorization", authorization.trim())]);
        let peer = Conditional::Absent(NoTls::Plaintext);
        let resource = ResourceRequest { method: &Method::GET, target_uri: TARGET, query: Some(&query), headers: &headers, peer, remote: None };
        let demanded = demand(&resource, &request.rules);
        prop_assert!(!matches!(demanded, Ok(Demand::Anonymous(_))), "a header that is there is never anonymous");
        if let Ok(Demand::Token(token)) = demanded {
            prop_assert!(token.key().is_err());
        }
    }

    #[test]
    fn no_claim_of_another_type_makes_it_panic(
        name in "iss|sub|aud|exp|iat|nbf|jti|client_id|scope|grant_id|auth_time|acr|roles|attrs|act|cnf",
        shape in 0_usize..6,
    ) {
        let mut request = Request::bearer();
        request.claims[name.as_str()] = [json!(true), json!(-1), json!({ "a": [1] }), json!([[]]), Value::Null, json!(1.5)][shape].clone();
        prop_assert!(request.reason().is_some(), "{name}");
    }
}

/// A token that the gateway kept for a browser is judged like any other, and needs no proof where tokens have to be bound.
#[test]
fn a_kept_token_is_judged_as_any_and_stands_alone() {
    let rules = ResourceRules::new(
        AUDIENCE.parse().unwrap(),
        rules().issuers().to_vec(),
        Binding::Required,
        Anonymous::Refused,
    );
    let judged = |change: &dyn Fn(&mut Request), fields: &[(&'static str, &str)], query| {
        let mut request = Request::bearer();
        change(&mut request);
        let token = countersign_base::Secret::new(request.token());
        let headers = headers(fields);
        let resource = ResourceRequest {
            method: &Method::GET,
            target_uri: TARGET,
            query,
            headers: &headers,
            peer: Conditional::Absent(NoTls::NoCertificate),
            remote: None,
        };
        let demand =
            super::demand_kept(&token, &resource, &rules).map_err(|refusal| refusal.reason())?;
        let Demand::Token(token) = demand else {
            panic!("a token was kept")
        };
        let needed = token.key().map_err(|refusal| refusal.reason())?;
        let answer = KeyAnswer::Key(request.signing.verifying_key().unwrap());
        let found = Found::Key(needed, answer);
        prove(token, found, &Nothing, NoncePolicy::NotRequired, NOW)
            .map(|_| ())
            .map_err(|refusal| refusal.reason())
    };
    assert_eq!(judged(&|_| {}, &[], None), Ok(()));
    let flawed = |change: &dyn Fn(&mut Request)| judged(change, &[], None).unwrap_err();
    assert_eq!(
        flawed(&|request| request.claims["aud"] = "https://elsewhere.example".into()),
        Reason::AudienceMismatch
    );
    assert_eq!(
        flawed(&|request| request.claims["exp"] = (NOW.0 - 31).into()),
        Reason::TokenExpired
    );
    let thumbprint = key(Algorithm::EdDsa).public_jwk().thumbprint().to_string();
    assert_eq!(
        flawed(&|request| request.claims["cnf"] = json!({ "jkt": thumbprint })),
        Reason::BoundTokenAsBearer
    );
    for beside in [("authorization", "Bearer a.b.c"), ("dpop", "a.b.c")] {
        assert_eq!(
            judged(&|_| {}, &[beside], None),
            Err(Reason::TwoCredentials)
        );
    }
    assert_eq!(
        judged(&|_| {}, &[], Some("access_token=a")),
        Err(Reason::TokenInQuery)
    );
}
