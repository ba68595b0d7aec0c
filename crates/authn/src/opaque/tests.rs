//! Opaque tokens at a resource and as parameters: the store's answer in the signature's place, and everything else as for signed ones.

use super::{StoredAnswer, StoredToken, is_opaque, prove_presented};
use crate::dpop::NoncePolicy;
use crate::fixtures::{NOW, Nothing, headers};
use crate::refusal::Reason;
use crate::resource::{
    Anonymous, Binding, Demand, Found, ResourceRequest, ResourceRules, TokenDemand, TrustedIssuer,
    demand, prove,
};
use countersign_base::{Conditional, Duration, NoTls, Tenant, UnixTime};
use countersign_crypto::jose::Algorithm;
use http::Method;
use serde_json::json;

const AUDIENCE: &str = "https://orders.example";

fn token(fill: char) -> String {
    format!("csat_{}", fill.to_string().repeat(43))
}

fn issuer(tenant: &str) -> TrustedIssuer {
    TrustedIssuer {
        issuer: "https://id.example".parse().unwrap(),
        tenant: tenant.parse().unwrap(),
        algorithms: vec![Algorithm::Es256],
    }
}

fn row() -> String {
    json!({
        "iss": "https://id.example", "sub": "portal", "aud": AUDIENCE, "exp": NOW.0 + 300, "iat": NOW.0, "jti": "a", "client_id": "portal",
        "scope": "orders:read",
    })
    .to_string()
}

fn stored(token: &str) -> StoredToken {
    StoredToken::read(Tenant::default_tenant(), token, &row()).unwrap()
}

fn shown(token: &str, tenant: &str) -> TokenDemand {
    let rules = ResourceRules::new(
        AUDIENCE.parse().unwrap(),
        vec![issuer(tenant)],
        Binding::Any,
        Anonymous::Refused,
    );
    let authorization = format!("Bearer {token}");
    let headers = headers(&[("authorization", &authorization)]);
    let request = ResourceRequest {
        method: &Method::GET,
        target_uri: "https://orders.example/1",
        query: None,
        headers: &headers,
        peer: Conditional::Absent(NoTls::NoCertificate),
        remote: None,
    };
    match demand(&request, &rules).unwrap() {
        Demand::Token(token) => token,
        Demand::Anonymous(_) => panic!("there is a token"),
    }
}

fn judge(demand: TokenDemand, answer: StoredAnswer, now: UnixTime) -> Result<String, Reason> {
    prove(
        demand,
        Found::Stored(answer),
        &Nothing,
        NoncePolicy::NotRequired,
        now,
    )
    .map(|proven| proven.verdict.claims().jti.as_str().to_owned())
    .map_err(|refusal| refusal.reason())
}

#[test]
fn only_its_own_form_is_an_opaque_token() {
    assert!(is_opaque(&token('A')));
    for other in ["", "csat_", "csat_a.b", "eyJ.eyJ.sig", &token('=')] {
        assert!(!is_opaque(other), "{other}");
    }
    assert!(!is_opaque(&token('A').replace("csat_", "")));
    assert!(!is_opaque(&format!("{}A", token('A'))));
}

#[test]
fn a_row_counts_for_its_own_token_tenant_and_time_alone() {
    let (mine, other) = (token('A'), token('B'));
    let found = |token: &str| StoredAnswer::Token(Box::new(stored(token)));
    assert_eq!(shown(&mine, "default").opaque(), Some(mine.as_str()));
    assert_eq!(
        judge(shown(&mine, "default"), found(&mine), NOW),
        Ok("a".to_owned())
    );
    assert_eq!(
        judge(shown(&mine, "default"), found(&other), NOW),
        Err(Reason::VerdictMismatch)
    );
    assert_eq!(
        judge(shown(&mine, "acme"), found(&mine), NOW),
        Err(Reason::IssuerUnknown)
    );
    assert_eq!(
        judge(shown(&mine, "default"), StoredAnswer::Unknown, NOW),
        Err(Reason::TokenUnknown)
    );
    assert_eq!(
        judge(shown(&mine, "default"), StoredAnswer::Unavailable, NOW),
        Err(Reason::KeysUnavailable)
    );
    assert_eq!(
        judge(
            shown(&mine, "default"),
            found(&mine),
            NOW.plus(Duration::from_secs(331))
        ),
        Err(Reason::TokenExpired)
    );
}

#[test]
fn as_a_parameter_it_is_judged_alike() {
    let mine = token('A');
    let judge = |tenant: &str, now: UnixTime| {
        let answer = StoredAnswer::Token(Box::new(stored(&mine)));
        prove_presented(answer, &issuer(tenant), &Nothing, now)
            .map(|_| ())
            .map_err(|refusal| refusal.reason())
    };
    assert_eq!(judge("default", NOW), Ok(()));
    assert_eq!(judge("acme", NOW), Err(Reason::IssuerUnknown));
    assert_eq!(
        judge("default", NOW.plus(Duration::from_secs(331))),
        Err(Reason::TokenExpired)
    );
}

#[test]
fn a_broken_row_is_no_token() {
    let read =
        |record: &str| StoredToken::read(Tenant::default_tenant(), &token('A'), record).map(|_| ());
    assert_eq!(read(&row()), Ok(()));
    assert_eq!(read("{"), Err(Reason::ClaimBroken));
    assert_eq!(read("{}"), Err(Reason::ClaimMissing));
}
