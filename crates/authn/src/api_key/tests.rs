//! The form of keys, where they are taken, and what stands beside them.

use super::{ApiKeyField, SourceNetworks, generate, id_of};
use crate::access_token::AccessTokenClaims;
use crate::danger;
use crate::dpop::NoncePolicy;
use crate::fixtures::{NOW, Nothing, headers};
use crate::opaque::{StoredAnswer, StoredToken};
use crate::refusal::Reason;
use crate::resource::{
    Anonymous, Binding, Demand, Found, ResourceRequest, ResourceRules, TrustedIssuer, demand, prove,
};
use countersign_base::{Conditional, Duration, GrantId, NoTls, Secret, Tenant, UnixTime};
use countersign_crypto::jose::{Algorithm, Claims};
use http::Method;
use proptest::prelude::*;
use serde_json::json;
use std::net::IpAddr;

const AUDIENCE: &str = "https://orders.example";
const ID: GrantId = GrantId::from_u64(0x00c0_ffee);

fn key(id: GrantId) -> String {
    generate(id, &Secret::new([0xab; 32])).expose().clone()
}

fn rules(field: Option<ApiKeyField>) -> ResourceRules {
    let issuer = TrustedIssuer {
        issuer: "https://id.example".parse().unwrap(),
        tenant: Tenant::default_tenant(),
        algorithms: vec![Algorithm::Es256],
    };
    // Whatever is asked of tokens: keys are bound to nothing.
    let rules = ResourceRules::new(
        AUDIENCE.parse().unwrap(),
        vec![issuer],
        Binding::Required,
        Anonymous::Allowed,
    );
    field.map_or(rules.clone(), |field| rules.taking_api_keys(field))
}

fn claims(id: GrantId) -> AccessTokenClaims {
    let members = json!({
        "iss": "https://id.example", "sub": "partner", "aud": AUDIENCE, "exp": NOW.0 + 300, "iat": NOW.0, "jti": id.to_string(),
        "client_id": "partner", "scope": "orders.read", "grant_id": id.to_string(),
    });
    AccessTokenClaims::of(&Claims::from_members(members.as_object().unwrap().clone())).unwrap()
}

fn stored(key: &str, networks: &[&str]) -> StoredToken {
    let networks = networks
        .iter()
        .map(|block| block.parse().unwrap())
        .collect();
    danger::stored_api_key(
        Tenant::default_tenant(),
        key,
        claims(ID),
        SourceNetworks(networks),
    )
    .unwrap()
}

#[derive(Default)]
struct Sent {
    fields: Vec<(&'static str, String)>,
    query: Option<String>,
    remote: Option<&'static str>,
}

fn fields(fields: &[(&'static str, &str)]) -> Sent {
    Sent {
        fields: fields
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        ..Sent::default()
    }
}

fn demanded(sent: &Sent, rules: &ResourceRules) -> Result<Demand, Reason> {
    let fields: Vec<(&'static str, &str)> = sent
        .fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let headers = headers(&fields);
    let request = ResourceRequest {
        method: &Method::GET,
        target_uri: "https://orders.example/1",
        query: sent.query.as_deref(),
        headers: &headers,
        peer: Conditional::Absent(NoTls::NoCertificate),
        remote: sent.remote.map(|remote| remote.parse::<IpAddr>().unwrap()),
    };
    demand(&request, rules).map_err(|refusal| refusal.reason())
}

fn judged(
    sent: &Sent,
    rules: &ResourceRules,
    answer: StoredAnswer,
    now: UnixTime,
) -> Result<(), Reason> {
    let Demand::Token(token) = demanded(sent, rules)? else {
        panic!("a key was sent")
    };
    assert!(token.opaque().is_some() && token.is_api_key());
    let found = Found::Stored(answer);
    prove(token, found, &Nothing, NoncePolicy::NotRequired, now)
        .map(|_| ())
        .map_err(|refusal| refusal.reason())
}

#[test]
fn a_key_has_one_form_and_tells_its_id() {
    let key = key(ID);
    assert!(key.starts_with("csk_0000000000c0ffee_abab"), "{key}");
    assert_eq!(id_of(&key), Some(ID));
    for broken in [
        String::new(),
        "csk_".to_owned(),
        key.to_uppercase(),
        key.replace("csk_", "csat_"),
        format!("{key}0"),
        key.chars().take(key.len() - 1).collect(),
        format!(" {key}"),
    ] {
        assert_eq!(id_of(&broken), None, "{broken}");
    }
}

proptest! {
    #[test]
    fn no_change_of_one_character_leaves_it_a_key(position in 0_usize..93, to in "[0-9a-zA-Z_]") {
        let key = key(ID);
        let mut changed = key.clone();
        changed.replace_range(position..=position, &to);
        prop_assert_eq!(id_of(&changed).is_some(), changed == key);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in ".*") {
        let _ = id_of(&text);
        let _ = id_of(&format!("csk_{text}"));
    }
}

#[test]
fn a_key_is_taken_where_a_route_says_so_and_nowhere_else() {
    let key = key(ID);
    let bearer = format!("Bearer {key}");
    let in_authorization = fields(&[("authorization", &bearer)]);
    let in_its_own = fields(&[("x-api-key", &key)]);
    let found = || StoredAnswer::Token(Box::new(stored(&key, &[])));
    let (own, authorization) = (
        rules(Some(ApiKeyField::ApiKey)),
        rules(Some(ApiKeyField::Authorization)),
    );
    assert_eq!(
        judged(&in_authorization, &authorization, found(), NOW),
        Ok(())
    );
    assert_eq!(judged(&in_its_own, &own, found(), NOW), Ok(()));
    let refused = |sent: &Sent, rules: &ResourceRules| demanded(sent, rules).err();
    assert_eq!(
        refused(&in_authorization, &rules(None)),
        Some(Reason::ApiKeyNotTaken)
    );
    assert_eq!(
        refused(&in_authorization, &own),
        Some(Reason::ApiKeyNotTaken)
    );
    // In a field that the route does not name a key is misplaced; what is no key of ours is a field like any other.
    assert_eq!(
        refused(&in_its_own, &authorization),
        Some(Reason::ApiKeyNotTaken)
    );
    assert_eq!(
        refused(&in_its_own, &rules(None)),
        Some(Reason::ApiKeyNotTaken)
    );
    assert!(matches!(
        demanded(&fields(&[("x-api-key", "theirs")]), &authorization),
        Ok(Demand::Anonymous(_))
    ));
}

#[test]
fn two_credentials_are_none() {
    let key = key(ID);
    let own = rules(Some(ApiKeyField::ApiKey));
    let bearer = format!("Bearer {key}");
    let reason = |sent: &[(&'static str, &str)]| demanded(&fields(sent), &own).err();
    assert_eq!(reason(&[("x-api-key", &key)]), None);
    for beside in [
        ("authorization", "Bearer abc"),
        ("authorization", bearer.as_str()),
        ("authorization", "Basic YTpi"),
        ("dpop", "e30.e30.e30"),
    ] {
        assert_eq!(
            reason(&[("x-api-key", &key), beside]),
            Some(Reason::TwoCredentials)
        );
    }
    assert_eq!(
        reason(&[("x-api-key", &key), ("x-api-key", &key)]),
        Some(Reason::AuthorizationBroken)
    );
    let authorization = rules(Some(ApiKeyField::Authorization));
    let dpop = format!("DPoP {key}");
    for (sent, expected) in [
        (
            vec![("authorization", bearer.as_str()), ("dpop", "e30.e30.e30")],
            Reason::ProofBesideBearer,
        ),
        (vec![("authorization", dpop.as_str())], Reason::ProofMissing),
    ] {
        assert_eq!(
            demanded(&fields(&sent), &authorization).err(),
            Some(expected)
        );
    }
}

#[test]
fn a_key_in_the_query_is_refused_however_it_is_written() {
    let key = key(ID);
    let own = rules(Some(ApiKeyField::ApiKey));
    for query in [
        format!("api_key={key}"),
        format!("a=b&x={key}&c=d"),
        key.replace('_', "%5f"),
        key.replace("csk", "%63sk"),
    ] {
        let sent = Sent {
            query: Some(query.clone()),
            ..fields(&[("x-api-key", &key)])
        };
        assert_eq!(
            demanded(&sent, &own).err(),
            Some(Reason::TokenInQuery),
            "{query}"
        );
    }
    let sent = Sent {
        query: Some("q=csk_&page=2".to_owned()),
        ..fields(&[("x-api-key", &key)])
    };
    assert!(demanded(&sent, &own).is_ok());
}

#[test]
fn what_is_broken_unknown_or_over_is_told_alike() {
    let key = key(ID);
    let own = rules(Some(ApiKeyField::ApiKey));
    let sent = fields(&[("x-api-key", &key)]);
    let found = || StoredAnswer::Token(Box::new(stored(&key, &[])));
    let over = NOW.plus(Duration::from_secs(331));
    let broken = key.replace('a', "b");
    let refusals = [
        demanded(&fields(&[("x-api-key", &broken)]), &own).err(),
        demanded(&fields(&[("x-api-key", "anything")]), &own).err(),
        judged(&sent, &own, StoredAnswer::Unknown, NOW).err(),
        judged(&sent, &own, found(), over).err(),
    ];
    for refusal in refusals {
        let refusal: crate::Refusal = refusal.unwrap().into();
        assert_eq!(
            (refusal.status().as_u16(), refusal.error()),
            (401, Some("invalid_token"))
        );
    }
    assert_eq!(judged(&sent, &own, found(), NOW), Ok(()));
}

#[test]
fn a_key_comes_from_its_own_networks() {
    let key = key(ID);
    let own = rules(Some(ApiKeyField::ApiKey));
    let from = |remote: Option<&'static str>| {
        let sent = Sent {
            remote,
            ..fields(&[("x-api-key", &key)])
        };
        let answer =
            StoredAnswer::Token(Box::new(stored(&key, &["192.0.2.0/24", "2001:db8::/32"])));
        judged(&sent, &own, answer, NOW)
    };
    assert_eq!(from(Some("192.0.2.77")), Ok(()));
    assert_eq!(from(Some("::ffff:192.0.2.77")), Ok(()));
    assert_eq!(from(Some("2001:db8::7")), Ok(()));
    for elsewhere in [Some("192.0.3.1"), Some("2001:db9::1"), None] {
        assert_eq!(from(elsewhere), Err(Reason::ApiKeyNetwork));
    }
}

#[test]
fn a_row_counts_for_its_own_key_alone() {
    let (mine, other) = (key(ID), key(GrantId::from_u64(7)));
    let own = rules(Some(ApiKeyField::ApiKey));
    let answer = StoredAnswer::Token(Box::new(stored(&mine, &[])));
    let sent = fields(&[("x-api-key", &other)]);
    assert_eq!(
        judged(&sent, &own, answer, NOW),
        Err(Reason::VerdictMismatch)
    );
    let networks = SourceNetworks::default();
    let of_another = danger::stored_api_key(Tenant::default_tenant(), &other, claims(ID), networks);
    assert!(of_another.is_err());
    // A row of a token is no key's.
    let record = serde_json::to_string(&claims(ID)).unwrap();
    let token = danger::stored_token(Tenant::default_tenant(), &mine, &record).unwrap();
    let answer = StoredAnswer::Token(Box::new(token));
    let sent = fields(&[("x-api-key", &mine)]);
    assert_eq!(
        judged(&sent, &own, answer, NOW),
        Err(Reason::VerdictMismatch)
    );
}
