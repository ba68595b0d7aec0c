//! Issuers that are not ours: each flaw beside the same request without it.

use super::*;
use crate::dpop::NoncePolicy;
use crate::fixtures::{Key, NOW, Nothing, Proof, TARGET, headers, jws, key, named_key, without};
use crate::resource::{
    Anonymous, Binding, Demand, Found, KeyAnswer, ResourceRequest, ResourceRules, TokenDemand,
    TrustedIssuer, demand, demand_kept, prove,
};
use crate::revocation::{Freshness, RevocationId, Revocations};
use crate::{Subject, danger, presented};
use countersign_base::{Conditional, NoTls, Secret, UnixTime};
use countersign_crypto::jose::JwkSet;
use http::{HeaderMap, Method};
use proptest::prelude::*;
use serde_json::json;

const OWN: &str = "https://id.example";
const PARTNER: &str = "https://login.partner.example";
const OTHER: &str = "https://login.other.example/";
const AUDIENCE: &str = "https://orders.example";
/// A person of ours, and a `sub` of theirs.
const ALICE: &str = "00112233445566778899aabbccddeeff";

fn spec(name: &str, iss: &str) -> OtherIssuerSpec {
    OtherIssuerSpec {
        name: name.to_owned(),
        iss: iss.to_owned(),
        audience: None,
        algorithms: [Algorithm::EdDsa].into(),
        leeway: LEEWAY_DEFAULT,
        form: TokenForm::AccessToken,
        believed: BTreeSet::new(),
        scopes: None,
    }
}

fn own_rules() -> ResourceRules {
    let own = TrustedIssuer {
        issuer: OWN.parse().unwrap(),
        tenant: "demo".parse().unwrap(),
        algorithms: Algorithm::ALL.to_vec(),
    };
    ResourceRules::new(
        AUDIENCE.parse().unwrap(),
        vec![own],
        Binding::Any,
        Anonymous::Allowed,
    )
}

fn trusting(specs: Vec<OtherIssuerSpec>) -> ResourceRules {
    let others = specs
        .into_iter()
        .map(|spec| Arc::new(OtherIssuer::new(spec).unwrap()));
    own_rules().trusting("demo".parse().unwrap(), others.collect())
}

/// A request with a token of the partner's, open to be broken.
struct Request {
    spec: OtherIssuerSpec,
    signing: Key,
    header: Value,
    claims: Value,
    proof: Option<Key>,
    now: UnixTime,
}

impl Request {
    fn good() -> Self {
        Self {
            spec: spec("partner", PARTNER),
            signing: key(Algorithm::EdDsa),
            header: json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "key-1" }),
            claims: json!({
                "iss": PARTNER, "sub": ALICE, "aud": AUDIENCE, "exp": NOW.0 + 300, "iat": NOW.0, "jti": "token-1", "client_id": "portal",
                "scope": "orders.read orders.write", "grant_id": "0000000000000001", "sid": "0000000000000002", "roles": ["admin"],
                "attrs": { "region": "eu" }, "auth_time": NOW.0 - 60, "acr": "urn:countersign:acr:3", "may_act": { "sub": "portal" },
            }),
            proof: None,
            now: NOW,
        }
    }

    fn bound() -> Self {
        let mut request = Self::good();
        let key = key(Algorithm::EdDsa);
        request.claims["cnf"] = json!({ "jkt": key.public_jwk().thumbprint().to_string() });
        request.proof = Some(key);
        request
    }

    fn rules(&self) -> ResourceRules {
        trusting(vec![self.spec.clone(), spec("other", OTHER)])
    }

    fn token(&self) -> String {
        jws(&self.signing, &self.header, &self.claims)
    }

    fn shown(&self, rules: &ResourceRules) -> Result<Demand, Reason> {
        let token = self.token();
        let headers = match &self.proof {
            None => headers(&[("authorization", &format!("Bearer {token}"))]),
            Some(key) => headers(&[
                ("authorization", &format!("DPoP {token}")),
                ("dpop", &Proof::good(key, Some(&token)).text()),
            ]),
        };
        demand(&bearing(&headers), rules).map_err(|refusal| refusal.reason())
    }

    fn demanded(&self, rules: &ResourceRules) -> Result<TokenDemand, Reason> {
        match self.shown(rules)? {
            Demand::Token(token) => Ok(token),
            Demand::Anonymous(_) => panic!("a token was sent"),
        }
    }

    /// Judged with the keys of whom the shell is asked for.
    fn judged(&self, revocations: &dyn Revocations) -> Result<Subject, Reason> {
        let token = self.demanded(&self.rules())?;
        let needed = token.key().map_err(|refusal| refusal.reason())?;
        assert_eq!(needed.other().map(Bounded::as_str), Some("partner"));
        assert_eq!(needed.tenant().as_str(), "demo");
        let set = JwkSet::single(self.signing.verifying_key().unwrap());
        let found = set.candidates(needed.kid(), needed.algorithm()).next();
        let answer = found.map_or(KeyAnswer::Unknown, |key| KeyAnswer::Key(key.clone()));
        prove(
            token,
            Found::Key(needed, answer),
            revocations,
            NoncePolicy::NotRequired,
            self.now,
        )
        .map(|proven| danger::spent(proven.subject))
        .map_err(|refusal| refusal.reason())
    }

    fn subject(&self) -> Subject {
        self.judged(&Nothing).unwrap()
    }
}

fn bearing(headers: &HeaderMap) -> ResourceRequest<'_> {
    ResourceRequest {
        method: &Method::GET,
        target_uri: TARGET,
        query: None,
        headers,
        peer: Conditional::Absent(NoTls::NoCertificate),
        remote: None,
    }
}

/// The flaw is refused, and the same without it is not.
fn refused(of: fn() -> Request, flaw: impl FnOnce(&mut Request), expected: Reason) {
    let mut broken = of();
    flaw(&mut broken);
    assert_eq!(broken.judged(&Nothing).err(), Some(expected));
    assert_eq!(of().judged(&Nothing).err(), None, "the twin");
}

macro_rules! flaws {
    ($(#[test] fn $name:ident() = $of:expr, $flaw:expr => $expected:expr;)+) => {$(
        #[test]
        fn $name() {
            refused($of, $flaw, $expected);
        }
    )+};
}

flaws! {
    #[test]
    fn tok_5_g37_an_issuer_that_nobody_named() = Request::good, |request| request.claims["iss"] = json!("https://evil.example") => Reason::IssuerUnknown;
    #[test]
    fn tok_5_an_issuer_with_a_slash_more() = Request::good, |request| request.claims["iss"] = json!(format!("{PARTNER}/")) => Reason::IssuerUnknown;
    #[test]
    fn tok_5_an_issuer_with_a_slash_less() = Request::good, |request| request.claims["iss"] = json!(OTHER.trim_end_matches('/')) => Reason::IssuerUnknown;
    #[test]
    fn tok_5_an_issuer_in_capitals() = Request::good, |request| request.claims["iss"] = json!(PARTNER.to_uppercase()) => Reason::IssuerUnknown;
    #[test]
    fn tok_5_no_issuer() = Request::good, |request| without(&mut request.claims, "iss") => Reason::ClaimMissing;
    #[test]
    fn tok_2_g40_an_algorithm_that_this_issuer_may_not_use() = Request::good, |request| {
        request.signing = key(Algorithm::Es256);
        request.header["alg"] = json!("ES256");
    } => Reason::AlgorithmNotAllowed;
    #[test]
    fn tok_1_g40_alg_none() = Request::good, |request| request.header["alg"] = json!("none") => Reason::TokenMalformed;
    #[test]
    fn tok_2_g40_hmac() = Request::good, |request| request.header["alg"] = json!("HS256") => Reason::TokenMalformed;
    #[test]
    fn tok_11_an_id_token_of_another_issuer() = Request::good, |request| request.header["typ"] = json!("JWT") => Reason::TypMismatch;
    #[test]
    fn tok_11_a_token_of_another_issuer_without_typ() = Request::good, |request| without(&mut request.header, "typ") => Reason::TypMismatch;
    #[test]
    fn tok_9_another_audience() = Request::good, |request| request.claims["aud"] = json!("https://billing.example") => Reason::AudienceMismatch;
    #[test]
    fn tok_9_ours_among_others() = Request::good, |request| request.claims["aud"] = json!([AUDIENCE, "https://billing.example"]) => Reason::AudienceMismatch;
    #[test]
    fn tok_9_no_audience() = Request::good, |request| without(&mut request.claims, "aud") => Reason::ClaimMissing;
    #[test]
    fn tok_9_our_audience_where_the_issuer_has_one_of_its_own() = Request::good, |request| request.spec.audience = Some("api://orders".parse().unwrap()) => Reason::AudienceMismatch;
    #[test]
    fn tok_10_exp_as_text() = Request::good, |request| request.claims["exp"] = json!("1") => Reason::ClaimBroken;
    #[test]
    fn g53_an_issuer_whose_clock_is_61_seconds_behind() = Request::good, |request| request.now = NOW.plus(Duration::from_secs(361)) => Reason::TokenExpired;
    #[test]
    fn g53_an_issuer_whose_clock_is_61_seconds_ahead() = Request::good, |request| request.claims["iat"] = json!(NOW.0 + 61) => Reason::IssuedAhead;
    #[test]
    fn g53_tok_10_a_token_of_61_seconds_from_now() = Request::good, |request| request.claims["nbf"] = json!(NOW.0 + 61) => Reason::NotYetValid;
    #[test]
    fn tok_12_g54_a_bound_token_of_another_issuer_without_its_proof() = Request::bound, |request| request.proof = None => Reason::BoundTokenAsBearer;
    #[test]
    fn tok_12_g54_a_bound_token_of_another_issuer_with_another_key() = Request::bound, |request| request.proof = Some(key(Algorithm::EdDsa)) => Reason::ProofKeyMismatch;
    #[test]
    fn tok_12_a_binding_that_nobody_can_check() = Request::bound, |request| request.claims["cnf"] = json!({ "kid": "x" }) => Reason::ConfirmationUnknown;
    #[test]
    fn nobody() = Request::good, |request| request.claims["sub"] = json!("") => Reason::ClaimBroken;
    #[test]
    fn a_subject_that_no_header_field_carries() = Request::good, |request| request.claims["sub"] = json!("\u{fc}nal") => Reason::ClaimBroken;
    #[test]
    fn a_subject_that_a_header_field_would_trim() = Request::good, |request| request.claims["sub"] = json!("alice ") => Reason::ClaimBroken;
    #[test]
    fn no_client() = Request::good, |request| without(&mut request.claims, "client_id") => Reason::ClaimMissing;
    #[test]
    fn a_subject_of_256_bytes() = Request::good, |request| request.claims["sub"] = json!("x".repeat(256)) => Reason::ClaimBroken;
}

#[test]
fn tok_5_a_key_of_one_issuer_never_verifies_a_token_of_another_even_under_the_same_name() {
    let request = Request::good();
    let of_other = named_key(Algorithm::EdDsa, "key-1");
    let judged = |signing: &Key, shown: &Key| {
        let token = Request {
            signing: signing.clone(),
            ..Request::good()
        };
        let token = token.demanded(&request.rules()).unwrap();
        let needed = token.key().unwrap();
        // The token says who its issuer is, and the shell is asked for that issuer's key alone.
        assert_eq!(needed.issuer().as_str(), PARTNER);
        let answer = KeyAnswer::Key(shown.verifying_key().unwrap());
        let proven = prove(
            token,
            Found::Key(needed, answer),
            &Nothing,
            NoncePolicy::NotRequired,
            NOW,
        );
        proven.err().map(|refusal| refusal.reason())
    };
    assert_eq!(
        judged(&of_other, &request.signing),
        Some(Reason::SignatureInvalid)
    );
    assert_eq!(judged(&request.signing, &request.signing), None);
}

#[test]
fn g37_a_token_of_an_unknown_issuer_is_never_an_absent_one() {
    let mut request = Request::good();
    request.claims["iss"] = json!("https://evil.example");
    let rules = request.rules();
    assert_eq!(rules.anonymous(), Anonymous::Allowed);
    let token = request.demanded(&rules).unwrap();
    assert_eq!(token.key().unwrap_err().reason(), Reason::IssuerUnknown);
    // The twin that is absent.
    let none = HeaderMap::new();
    let absent = demand(&bearing(&none), &rules).unwrap();
    assert!(matches!(absent, Demand::Anonymous(_)));
}

#[test]
fn where_only_our_own_issuer_is_trusted_nobody_elses_token_is_taken() {
    let request = Request::good();
    let token = request.demanded(&own_rules()).unwrap();
    assert!(!token.trusts_others());
    assert_eq!(token.key().unwrap_err().reason(), Reason::IssuerUnknown);
    let token = request.demanded(&request.rules()).unwrap();
    assert!(token.trusts_others() && token.key().is_ok());
}

#[test]
fn subjects_of_two_issuers_never_meet() {
    let subject = Request::good().subject();
    // The same `sub` is a person of ours where our own issuer says it.
    assert_eq!(subject.user(), None);
    let theirs = subject.principal().to_string();
    assert_eq!(theirs, format!("{PARTNER} {ALICE}"));
    let mut request = Request::good();
    request.spec = spec("partner", OTHER);
    request.claims["iss"] = json!(OTHER);
    let rules = trusting(vec![request.spec.clone()]);
    let token = request.demanded(&rules).unwrap();
    let needed = token.key().unwrap();
    let answer = KeyAnswer::Key(request.signing.verifying_key().unwrap());
    let found = Found::Key(needed, answer);
    let proven = prove(token, found, &Nothing, NoncePolicy::NotRequired, NOW).unwrap();
    let others = danger::spent(proven.subject).principal().to_string();
    assert_ne!(theirs, others);
    assert!(!theirs.contains(' ') || theirs.split(' ').count() == 2);

    let mut request = Request::good();
    request.claims["sub"] = json!("portal");
    let subject = request.subject();
    assert!(
        matches!(subject.principal(), SubjectId::Foreign(_)),
        "not even where it is its own client"
    );
}

#[test]
fn clients_of_others_have_names_that_none_of_ours_has() {
    let id = |client: &str| {
        let mut request = Request::good();
        request.claims["client_id"] = json!(client);
        request
            .judged(&Nothing)
            .map(|subject| subject.client().as_str().to_owned())
    };
    assert_eq!(id("portal").unwrap(), "@partner/portal");
    assert_eq!(id("a:b").unwrap(), "@partner/a%3Ab");
    assert_eq!(id("a%3Ab").unwrap(), "@partner/a%253Ab");
    assert_eq!(id(&"x".repeat(120)), Err(Reason::ClaimBroken));
    assert!(id(&"x".repeat(119)).is_ok(), "the twin");
}

proptest! {
    #[test]
    fn two_clients_of_an_issuer_stay_two(one in "[ -~]{1,30}", other in "[ -~]{1,30}") {
        let id = |client: &str| {
            let mut request = Request::good();
            request.claims["client_id"] = json!(client);
            request.subject().client().clone()
        };
        prop_assert_eq!(one == other, id(&one) == id(&other));
    }
}

#[test]
fn what_an_issuer_is_not_believed_it_does_not_say() {
    let subject = Request::good().subject();
    assert!(subject.roles().is_empty() && subject.attributes().is_empty());
    assert_eq!((subject.acr(), subject.auth_time()), (None, None));
    assert_eq!((subject.grant(), subject.session()), (None, None));
    assert_eq!(subject.token().claims().may_act, None);

    let mut request = Request::good();
    request.spec.believed = [
        Believed::Attributes,
        Believed::Authentication,
        Believed::Roles,
    ]
    .into();
    let subject = request.subject();
    assert_eq!((subject.roles().len(), subject.attributes().len()), (1, 1));
    assert_eq!(subject.acr(), Some("urn:countersign:acr:3"));
    assert_eq!(subject.auth_time(), Some(UnixTime(NOW.0 - 60)));
    assert_eq!(
        (subject.grant(), subject.session()),
        (None, None),
        "grants and sign-ins are ours alone"
    );
}

#[test]
fn an_issuer_gives_the_scopes_that_it_may_give() {
    let scopes = |may_give: Option<&str>| {
        let mut request = Request::good();
        request.spec.scopes = may_give.map(|scopes| scopes.parse().unwrap());
        request.subject().scopes().to_string()
    };
    assert_eq!(scopes(None), "orders.read orders.write");
    assert_eq!(scopes(Some("orders.read billing.read")), "orders.read");
}

#[test]
fn who_acts_for_somebody_of_theirs_is_named_by_their_issuer() {
    let mut request = Request::good();
    request.claims["act"] = json!({ "sub": "agent", "act": { "sub": "first" } });
    let subject = request.subject();
    let actors = subject.actors().iter().map(|actor| actor.sub.as_str());
    assert_eq!(
        actors.collect::<Vec<_>>(),
        ["@partner/agent", "@partner/first"]
    );
}

#[test]
fn tokens_that_know_nothing_better_are_read_where_the_entry_says_so() {
    let mut request = Request::good();
    request.spec.form = TokenForm::Jwt;
    request.header["typ"] = json!("JWT");
    for name in ["client_id", "jti", "scope"] {
        without(&mut request.claims, name);
    }
    request.claims["azp"] = json!("portal");
    request.claims["scp"] = json!(["orders.read"]);
    let subject = request.subject();
    assert_eq!(subject.client().as_str(), "@partner/portal");
    assert_eq!(subject.scopes().to_string(), "orders.read");
    assert!(!subject.jti().is_empty());
    request.claims["scp"] = json!("orders.read orders.write");
    assert_eq!(
        request.subject().scopes().to_string(),
        "orders.read orders.write"
    );
    without(&mut request.header, "typ");
    assert!(request.judged(&Nothing).is_ok());
    // What is of another kind by its own word stays so.
    for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt"] {
        request.header["typ"] = json!(typ);
        assert_eq!(request.judged(&Nothing).err(), Some(Reason::TypMismatch));
    }
}

#[test]
fn g53_clocks_may_differ_by_what_the_entry_says_and_by_300_seconds_at_most() {
    for (leeway, late, taken) in [
        (60, 59, true),
        (60, 60, false),
        (0, 0, false),
        (300, 299, true),
    ] {
        let mut request = Request::good();
        request.spec.leeway = Duration::from_secs(leeway);
        request.now = NOW.plus(Duration::from_secs(300 + late));
        let expected = (!taken).then_some(Reason::TokenExpired);
        assert_eq!(request.judged(&Nothing).err(), expected, "{leeway} {late}");
    }
    for (ahead, expected) in [(60, None), (61, Some(Reason::IssuedAhead))] {
        let mut request = Request::good();
        request.claims["iat"] = json!(NOW.0 + ahead);
        assert_eq!(request.judged(&Nothing).err(), expected);
    }
    let mut wide = spec("partner", PARTNER);
    wide.leeway = Duration::from_secs(301);
    assert_eq!(OtherIssuer::new(wide), Err(IssuerMistake::Leeway));
}

#[test]
fn entries_that_say_too_little_are_none() {
    let mistake = |change: fn(&mut OtherIssuerSpec)| {
        let mut spec = spec("partner", PARTNER);
        change(&mut spec);
        OtherIssuer::new(spec).err()
    };
    assert_eq!(mistake(|_| ()), None);
    for name in ["", "own", "Partner", "a/b", "a b"] {
        let mut named = spec("partner", PARTNER);
        named.name = name.to_owned();
        assert_eq!(OtherIssuer::new(named), Err(IssuerMistake::Name), "{name}");
    }
    assert_eq!(
        mistake(|spec| spec.iss = "http://login.partner.example".to_owned()),
        Some(IssuerMistake::Iss)
    );
    assert_eq!(
        mistake(|spec| spec.algorithms.clear()),
        Some(IssuerMistake::NoAlgorithm)
    );
}

#[test]
fn tok_6_everything_that_an_entry_says_is_part_of_what_a_verdict_is_kept_under() {
    let request = Request::good();
    let key = |change: fn(&mut OtherIssuerSpec)| {
        let mut spec = spec("partner", PARTNER);
        change(&mut spec);
        let rules = trusting(vec![spec]);
        request.demanded(&rules).unwrap().cache_key()
    };
    let changes: [fn(&mut OtherIssuerSpec); 8] = [
        |_| (),
        |spec| spec.name = "other".to_owned(),
        |spec| spec.audience = Some("api://orders".parse().unwrap()),
        |spec| spec.algorithms = [Algorithm::Es256].into(),
        |spec| spec.leeway = Duration::from_secs(1),
        |spec| spec.form = TokenForm::Jwt,
        |spec| spec.believed = [Believed::Roles].into(),
        |spec| spec.scopes = Some("a".parse().unwrap()),
    ];
    let keys: BTreeSet<_> = changes.iter().map(|change| key(*change)).collect();
    assert_eq!(keys.len(), changes.len());
    let own = request.demanded(&own_rules()).unwrap().cache_key();
    assert!(!keys.contains(&own));
    assert_eq!(key(|_| ()), key(|_| ()), "the twin");
}

#[test]
fn tok_6_a_verdict_under_other_rules_is_none() {
    let request = Request::good();
    let mut narrower = request.spec.clone();
    narrower.scopes = Some("orders.read".parse().unwrap());
    let verdict = Arc::clone(request.subject().token());
    let judged = |rules: &ResourceRules| {
        let token = request.demanded(rules).unwrap();
        let found = Found::Verdict(Arc::clone(&verdict));
        let proven = prove(token, found, &Nothing, NoncePolicy::NotRequired, NOW);
        proven.err().map(|refusal| refusal.reason())
    };
    let narrower = trusting(vec![narrower, spec("other", OTHER)]);
    assert_eq!(judged(&narrower), Some(Reason::VerdictMismatch));
    assert_eq!(judged(&request.rules()), None);
}

#[test]
fn what_the_gateway_keeps_for_browsers_is_ours() {
    let request = Request::good();
    let token = Secret::new(request.token());
    let none = HeaderMap::new();
    let kept = demand_kept(&token, &bearing(&none), &request.rules()).unwrap();
    let Demand::Token(kept) = kept else {
        panic!("a token was kept")
    };
    assert_eq!(kept.key().unwrap_err().reason(), Reason::IssuerUnknown);
    assert!(request.demanded(&request.rules()).unwrap().key().is_ok());
}

#[test]
fn nobody_introspects_or_exchanges_what_another_issuer_made() {
    let own = &own_rules().issuers()[0].clone();
    let request = Request::good();
    let shown = presented::demand(&request.token(), own);
    assert_eq!(shown.unwrap_err().reason(), Reason::IssuerUnknown);
    let mut ours = Request::good();
    ours.claims["iss"] = json!(OWN);
    assert!(presented::demand(&ours.token(), own).is_ok());
}

/// Everybody and everything of ours is revoked, or the tenant alone.
struct Revoked {
    tenant: bool,
}

impl Revocations for Revoked {
    fn not_before(&self, id: RevocationId<'_>) -> Option<UnixTime> {
        let is_tenant = matches!(id, RevocationId::Tenant(_));
        (is_tenant == self.tenant).then_some(UnixTime(i64::MAX))
    }

    fn freshness(&self, _: UnixTime) -> Freshness {
        Freshness::Current
    }
}

#[test]
fn revoking_people_grants_and_sessions_of_ours_means_nothing_to_theirs_and_ending_the_tenant_does()
{
    let mut request = Request::good();
    request.claims["act"] = json!({ "sub": ALICE });
    // The client has a name of its own, under which it could be revoked; nobody did.
    struct Ours;
    impl Revocations for Ours {
        fn not_before(&self, id: RevocationId<'_>) -> Option<UnixTime> {
            match id {
                RevocationId::Client(_, client) => {
                    (!client.as_str().starts_with(FOREIGN_CLIENT_MARK))
                        .then_some(UnixTime(i64::MAX))
                }
                RevocationId::Tenant(_) => None,
                RevocationId::Grant(_) | RevocationId::Session(_) | RevocationId::User(_) => {
                    Some(UnixTime(i64::MAX))
                }
            }
        }

        fn freshness(&self, _: UnixTime) -> Freshness {
            Freshness::Current
        }
    }
    assert!(request.judged(&Ours).is_ok());
    assert_eq!(
        request.judged(&Revoked { tenant: true }).err(),
        Some(Reason::Revoked)
    );
    assert_eq!(
        request.judged(&Revoked { tenant: false }).err(),
        Some(Reason::Revoked),
        "its client"
    );
}
