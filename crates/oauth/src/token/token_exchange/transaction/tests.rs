use super::super::tests::{gateway, parsed, subject};
use super::*;
use crate::client::ClientRecord;
use crate::fixture::{NOW, after, asking, audience, bounded, fresh, key, standing};
use crate::token::{Redeemed, Refused, SubjectToken, TokenExchangeRequest, TokenType};
use countersign_policy::{PolicySet, decide, defaults};
use serde_json::json;

const DOMAIN: &str = "https://shop.internal";

fn workload(id: &str) -> ClientRecord {
    let mut client = gateway();
    client.id = id.parse().unwrap();
    client.delegation.trust_domains = [audience(DOMAIN)].into();
    client
}

fn request(extra: &str) -> Result<TokenExchangeRequest, OAuthError> {
    let mut request = parsed(extra)?;
    request.requested = TokenType::TransactionToken;
    Ok(request)
}

fn run(
    client: &ClientRecord,
    extra: &str,
    subject: SubjectToken<'_>,
    now: UnixTime,
) -> Result<Redeemed, Refused> {
    let request = request(extra)?;
    asking(client, &Binding::Bearer, |requester| {
        request.redeem(subject, None, &standing(client), requester, fresh(), now)
    })
}

const GOOD: &str =
    "&audience=https://shop.internal&scope=orders:read&request_details={\"order\":4711}";

fn begun(extra: &str) -> Result<Redeemed, Refused> {
    run(
        &workload("gateway"),
        extra,
        SubjectToken::AccessToken(&subject()),
        NOW,
    )
}

fn claims(redeemed: &Redeemed) -> TransactionTokenClaims {
    match redeemed.issuance.issued_as() {
        Issued::TransactionToken(claims) => (**claims).clone(),
        Issued::AccessToken | Issued::IdentityAssertion(_) => panic!("a transaction token"),
    }
}

fn replace(
    token: &TransactionTokenClaims,
    extra: &str,
    now: UnixTime,
) -> Result<Redeemed, Refused> {
    run(
        &workload("warehouse"),
        extra,
        SubjectToken::TransactionToken(token),
        now,
    )
}

#[test]
fn a_transaction_says_what_it_is_about_and_lives_for_a_minute() {
    let redeemed = begun(GOOD).unwrap();
    let claims = claims(&redeemed);
    assert_eq!((claims.aud.as_str(), claims.exp), (DOMAIN, after(60)));
    assert_eq!(claims.tctx["order"], json!(4711));
    assert_eq!(claims.req_wl.as_str(), "gateway");
    assert_eq!(claims.grant_id, subject().grant);
    assert_eq!(redeemed.issuance.token_type(), "N_A");
    let policies = PolicySet::load(defaults::SCHEMA, &defaults::POLICIES).unwrap();
    assert!(decide(&policies, redeemed.issuance).is_ok());
}

#[test]
fn tx_1_tx_2_only_registered_workloads_and_purposes_within_the_token() {
    for (extra, error) in [
        (
            "&audience=https://elsewhere.internal&scope=orders:read",
            OAuthError::AudienceNotPermitted,
        ),
        ("&scope=orders:read", OAuthError::AudienceMissing),
        (
            "&audience=https://shop.internal",
            OAuthError::ParameterMissing("scope"),
        ),
        (
            "&audience=https://shop.internal&scope=admin",
            OAuthError::ScopeNotPermitted,
        ),
    ] {
        assert_eq!(begun(extra).unwrap_err().error, error, "{extra}");
    }
    let stranger = run(&gateway(), GOOD, SubjectToken::AccessToken(&subject()), NOW);
    assert_eq!(
        stranger.unwrap_err().error,
        OAuthError::AudienceNotPermitted
    );
    assert!(begun(GOOD).is_ok());
}

#[test]
fn tx_4_a_bound_token_needs_a_key_here_too() {
    let mut bound = subject();
    bound.binding = key(1);
    let refused = run(
        &workload("gateway"),
        GOOD,
        SubjectToken::AccessToken(&bound),
        NOW,
    );
    assert_eq!(refused.unwrap_err().error, OAuthError::KeyRequired);
}

#[test]
fn r53_tx_3_a_replacement_never_widens() {
    let first = claims(&begun(GOOD).unwrap());
    let narrow = "&audience=https://shop.internal&scope=orders:read";
    let second = claims(&replace(&first, narrow, after(20)).unwrap());
    assert_eq!(
        (&second.txn, &second.sub, &second.tctx, &second.aud),
        (&first.txn, &first.sub, &first.tctx, &first.aud)
    );
    assert_eq!(second.exp, first.exp, "no later end");
    assert_eq!(second.req_wl.as_str(), "gateway,warehouse");
    for (extra, error) in [
        (
            "&audience=https://shop.internal&scope=orders:read+orders:write",
            OAuthError::ScopeNotPermitted,
        ),
        (
            "&audience=https://shop.internal&scope=orders:read&request_details={\"order\":1}",
            OAuthError::ParameterMalformed("request_details"),
        ),
        (
            "&audience=https://billing.example&scope=orders:read",
            OAuthError::AudienceNotPermitted,
        ),
    ] {
        assert_eq!(
            replace(&first, extra, NOW).unwrap_err().error,
            error,
            "{extra}"
        );
    }
    assert_eq!(
        replace(&first, narrow, after(60)).unwrap_err().error,
        OAuthError::SubjectTokenRefused,
        "over"
    );
}

#[test]
fn a_transaction_passes_a_bounded_number_of_workloads() {
    let mut token = claims(&begun(GOOD).unwrap());
    token.req_wl = bounded("a,b,c,d,e,f,g");
    let narrow = "&audience=https://shop.internal&scope=orders:read";
    token = claims(&replace(&token, narrow, NOW).unwrap());
    assert_eq!(token.workloads().count(), WORKLOADS_MAX);
    assert_eq!(
        replace(&token, narrow, NOW).unwrap_err().error,
        OAuthError::ActorChainTooLong
    );
}

#[test]
fn contexts_are_small_flat_objects_as_they_stand_or_in_base64url() {
    let encoded = base64url::encode(br#"{"ip":"127.0.0.1"}"#);
    let request = request(&format!("&request_context={encoded}")).unwrap();
    assert_eq!(request.request_context["ip"], json!("127.0.0.1"));
    for bad in [
        "[1]".to_owned(),
        "{".to_owned(),
        "not base64!".to_owned(),
        base64url::encode(b"[]"),
        r#"{"a":[[[[1]]]]}"#.to_owned(),
        format!("{{\"a\":\"{}\"}}", "x".repeat(2048)),
    ] {
        assert_eq!(
            self::request(&format!("&request_details={bad}")).err(),
            Some(OAuthError::ParameterMalformed("request_details")),
            "{bad}"
        );
    }
}
