//! The written form of claims. Reading them is tested where tokens are proven.

use super::{AccessTokenClaims, Act, AttributeValue, AuthorizationDetails, Confirmation};
use crate::refusal::Reason;
use crate::subject::{Actor, SubjectId};
use countersign_base::{Bounded, Scopes, UnixTime, limits};
use countersign_crypto::jose::JwkThumbprint;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

fn actor(sub: &str) -> Actor {
    Actor {
        sub: Bounded::parse(sub).unwrap(),
        iss: None,
    }
}

#[test]
fn absent_claims_are_left_out() {
    let claims = AccessTokenClaims {
        iss: "https://id.example".parse().unwrap(),
        sub: SubjectId::Client("portal".parse().unwrap()),
        aud: "https://orders.example".parse().unwrap(),
        exp: UnixTime(2),
        iat: UnixTime(1),
        nbf: None,
        jti: Bounded::parse("a").unwrap(),
        client_id: "portal".parse().unwrap(),
        scope: Scopes::none(),
        grant_id: None,
        sid: None,
        auth_time: None,
        acr: None,
        amr: BTreeSet::new(),
        roles: BTreeSet::new(),
        attrs: BTreeMap::new(),
        act: Act::none(),
        authorization_details: AuthorizationDetails::none(),
        may_act: None,
        cnf: None,
    };
    let mut expected = json!({
        "iss": "https://id.example", "sub": "portal", "aud": "https://orders.example", "exp": 2, "iat": 1, "jti": "a", "client_id": "portal",
    });
    assert_eq!(serde_json::to_value(&claims).unwrap(), expected);
    let more = AccessTokenClaims {
        scope: "b a".parse().unwrap(),
        attrs: BTreeMap::from([
            ("vip".to_owned(), AttributeValue::Bool(true)),
            ("level".to_owned(), AttributeValue::Long(3)),
        ]),
        act: Act::none()
            .by(actor("one"))
            .unwrap()
            .by(actor("two"))
            .unwrap(),
        cnf: Some(Confirmation::Dpop(JwkThumbprint::from_bytes([0; 32]))),
        ..claims
    };
    expected["scope"] = json!("a b");
    expected["attrs"] = json!({ "vip": true, "level": 3 });
    expected["act"] = json!({ "sub": "two", "act": { "sub": "one" } });
    expected["cnf"] = json!({ "jkt": "A".repeat(43) });
    assert_eq!(serde_json::to_value(&more).unwrap(), expected);
}

#[test]
fn a_chain_of_actors_has_an_end() {
    let chain = (0..limits::ACTORS_MAX).fold(Act::none(), |chain, number| {
        chain.by(actor(&number.to_string())).unwrap()
    });
    assert_eq!(chain.actors().len(), limits::ACTORS_MAX);
    assert_eq!(chain.by(actor("one more")), Err(Reason::ActorsTooMany));
}
