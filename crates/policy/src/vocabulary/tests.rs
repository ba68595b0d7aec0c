//! From a proven token to the entities and the context of a question.

use super::{RequestContext, RouteAccess, anonymous, principal, route};
use crate::query::Query;
use crate::{DenialReason, PolicySet, Target, decide, defaults};
use countersign_authn::replay::{ReplayLimits, ReplayMemory};
use countersign_authn::{
    Anonymous, Binding, Demand, Found, Freshness, KeyAnswer, NoncePolicy, ResourceRequest,
    ResourceRules, RevocationId, Revocations, Subject, TrustedIssuer, demand, prove,
};
use countersign_base::{Conditional, NoTls, RouteId, Scopes, Tenant, UnixTime};
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{AccessToken, SigningKey, generate_pkcs8};
use http::{HeaderMap, Method};
use serde_json::{Value as Json, json};

const NOW: UnixTime = UnixTime(1_700_000_000);

struct Nothing;

impl Revocations for Nothing {
    fn not_before(&self, _: RevocationId<'_>) -> Option<UnixTime> {
        None
    }

    fn freshness(&self, _: UnixTime) -> Freshness {
        Freshness::Current
    }
}

/// The subject of a token with these claims, proven as any other.
fn subject(more: Json) -> Subject {
    let mut claims = json!({
        "iss": "https://id.example", "sub": "00112233445566778899aabbccddeeff", "aud": "https://orders.example", "exp": NOW.0 + 60, "iat": NOW.0,
        "jti": "1", "client_id": "portal", "scope": "orders.read",
    });
    claims
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let key: SigningKey<AccessToken> = SigningKey::from_pkcs8(
        Algorithm::EdDsa,
        "k".parse().unwrap(),
        &generate_pkcs8(Algorithm::EdDsa).unwrap(),
    )
    .unwrap();
    let token = sign_jwt(&key, &claims).unwrap();
    let trusted = TrustedIssuer {
        issuer: "https://id.example".parse().unwrap(),
        tenant: "demo".parse().unwrap(),
        algorithms: vec![Algorithm::EdDsa],
    };
    let rules = ResourceRules::new(
        "https://orders.example".parse().unwrap(),
        vec![trusted],
        Binding::Any,
        Anonymous::Refused,
    );
    let mut headers = HeaderMap::new();
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    let request = ResourceRequest {
        method: &Method::GET,
        target_uri: "https://orders.example/",
        query: None,
        headers: &headers,
        peer: Conditional::Absent(NoTls::Plaintext),
        remote: None,
    };
    let Demand::Token(demanded) = demand(&request, &rules).unwrap() else {
        panic!("a token was sent")
    };
    let needed = demanded.key().unwrap();
    let found = Found::Key(needed, KeyAnswer::Key(key.verifying_key().unwrap()));
    let proven = prove(demanded, found, &Nothing, NoncePolicy::NotRequired, NOW).unwrap();
    ReplayMemory::new(ReplayLimits::default())
        .spend(proven.subject, NOW)
        .unwrap()
}

struct Asked(Query);

impl Target for Asked {
    fn query(&self) -> Query {
        self.0.clone()
    }
}

fn request(subject: Option<&Subject>) -> Asked {
    let (id, tenant): (RouteId, Tenant) = ("orders".parse().unwrap(), "demo".parse().unwrap());
    let scopes: Scopes = "orders.read".parse().unwrap();
    let context = RequestContext {
        route: &id,
        method: "GET",
        host: "gateway.example",
        path: "/orders",
        subject,
        source: Some([10, 0, 0, 1].into()),
        purpose: None,
        now: NOW,
    };
    Asked(Query {
        principal: subject.map_or_else(|| anonymous(&tenant), principal),
        action: "request".to_owned(),
        resource: route(&id, &tenant, &scopes, RouteAccess::Authenticated),
        context: context.to_context(),
        others: Vec::new(),
    })
}

fn with(policy: &str) -> PolicySet {
    let sources: Vec<(&str, &str)> = defaults::POLICIES
        .into_iter()
        .chain([("own.cedar", policy)])
        .collect();
    PolicySet::load(defaults::SCHEMA, &sources).unwrap()
}

/// The question of a subject fits the default schema and is permitted; `forbid` then denies it where it holds.
fn holds(subject: &Subject, condition: &str) -> bool {
    assert!(decide(&with(""), request(Some(subject))).is_ok());
    let forbid = format!(
        r#"forbid (principal, action == Action::"request", resource is Route) when {{ {condition} }};"#
    );
    match decide(&with(&forbid), request(Some(subject))) {
        Ok(_) => false,
        Err(denied) => {
            assert_eq!(*denied.reason(), DenialReason::Forbidden, "{condition}");
            true
        }
    }
}

#[test]
fn roles_attributes_and_the_token_reach_policies() {
    let subject = subject(json!({
        "roles": ["auditor"], "attrs": { "region": "eu", "vip": true, "level": 3, "teams": ["red", "blue"] }, "acr": "mfa", "auth_time": 5,
        "act": { "sub": "billing" },
    }));
    for condition in [
        r#"principal in Role::"auditor""#,
        r#"principal is User && principal.hasTag("region") && principal.getTag("region") == "eu""#,
        r#"principal is User && principal.hasTag("vip") && principal.getTag("vip") == "true""#,
        r#"principal is User && principal.hasTag("level") && principal.getTag("level") == "3""#,
        r#"principal is User && principal.hasTag("teams:red")"#,
        r#"principal == User::"00112233445566778899aabbccddeeff""#,
        r#"principal.tenant == Tenant::"demo""#,
        r#"context has acr && context.acr == "mfa""#,
        r#"context has auth_time && context.auth_time == 5"#,
        r#"context has client && context.client == Client::"portal""#,
        r#"context.actors.contains("billing")"#,
        r#"context.binding == "none""#,
        r#"context.scopes.contains("orders.read")"#,
        r#"context has source && context.source.isInRange(ip("10.0.0.0/8"))"#,
        r#"context.time == 1700000000 && context.method == "GET" && context.path == "/orders" && context.route == "orders""#,
    ] {
        assert!(holds(&subject, condition), "{condition}");
    }
    for condition in [
        r#"principal in Role::"administrator""#,
        r#"principal is User && principal.hasTag("teams:green")"#,
        "context.scopes.isEmpty()",
    ] {
        assert!(!holds(&subject, condition), "{condition}");
    }
}

#[test]
fn a_client_and_somebody_from_elsewhere_are_principals_of_their_own_kind() {
    let client = subject(json!({ "sub": "portal" }));
    assert!(holds(&client, r#"principal == Client::"portal""#));
    let external = subject(json!({ "sub": "someone@elsewhere" }));
    assert!(holds(
        &external,
        r#"principal is External && principal.issuer == "https://id.example""#
    ));
    assert!(!holds(&external, "principal is User"));
}

#[test]
fn a_request_without_a_token_fits_the_schema_and_is_denied() {
    let denied = decide(&with(""), request(None)).unwrap_err();
    assert_eq!(*denied.reason(), DenialReason::NothingPermits);
    assert_eq!(denied.query().principal, request(None).query().principal);
}
