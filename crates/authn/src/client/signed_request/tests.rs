//! Signed requests, by the ids of the suite. Each row removes or changes one thing of a request that is accepted.

use super::*;
use crate::danger;
use crate::fixtures::{Key, NOW, jws, key, named_key, without};
use crate::replay::{ReplayLimits, ReplayMemory, Replayed};
use countersign_crypto::jose::Algorithm;
use serde_json::{Value, json};

const ISSUER: &str = "https://id.example";

struct Request {
    key: Key,
    registered: JwkSet,
    header: Value,
    claims: Value,
}

fn good(algorithm: Algorithm) -> Request {
    let key = key(algorithm);
    Request {
        registered: JwkSet::single(key.verifying_key().unwrap()),
        header: json!({ "alg": algorithm.name(), "kid": "key-1" }),
        claims: json!({
            "iss": "bank", "aud": ISSUER, "exp": NOW.0 + 300, "iat": NOW.0, "nbf": NOW.0, "jti": "request-1",
            "scope": "openid", "login_hint": "alice",
        }),
        key,
    }
}

fn read(request: &Request) -> Result<Unspent<Verified<Claims>>, SignedRequestFlaw> {
    let (tenant, client, issuer) = (
        "demo".parse().unwrap(),
        "bank".parse().unwrap(),
        ISSUER.parse().unwrap(),
    );
    let signer = RequestSigner {
        tenant: &tenant,
        client: &client,
        keys: &request.registered,
        issuer: &issuer,
    };
    signed_request(
        &jws(&request.key, &request.header, &request.claims),
        &signer,
        NOW,
    )
}

fn flaw(change: impl FnOnce(&mut Request)) -> Option<SignedRequestFlaw> {
    let mut request = good(Algorithm::Es256);
    change(&mut request);
    read(&request).err()
}

#[test]
fn a_signed_request_is_read_under_every_algorithm_of_clients() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256] {
        let claims = danger::spent(read(&good(algorithm)).unwrap());
        assert_eq!(claims.text("login_hint").unwrap(), Some("alice"));
    }
    for typ in ["JWT", "oauth-authz-req+jwt"] {
        assert_eq!(flaw(|request| request.header["typ"] = json!(typ)), None);
    }
    let several = json!([ISSUER, "https://other.example"]);
    assert_eq!(flaw(|request| request.claims["aud"] = several), None);
}

#[test]
fn ciba_3_ciba_4_ciba_5_ciba_6_ciba_7_ciba_8_every_claim_about_the_object_is_there() {
    assert_eq!(flaw(|_| {}), None, "the twin of every row");
    for (name, expected) in [
        ("iss", SignedRequestFlaw::Issuer),
        ("aud", SignedRequestFlaw::Audience),
        ("exp", SignedRequestFlaw::Expired),
        ("iat", SignedRequestFlaw::IssuedAt),
        ("nbf", SignedRequestFlaw::NotBefore),
        ("jti", SignedRequestFlaw::Jti),
    ] {
        assert_eq!(
            flaw(|request| without(&mut request.claims, name)),
            Some(expected),
            "{name}"
        );
    }
}

#[test]
fn ciba_9_ciba_10_ciba_11_ciba_12_ciba_13_ciba_14_whose_for_whom_and_when() {
    assert_eq!(flaw(|_| {}), None, "the twin of every row");
    let claim =
        |name: &'static str, value: Value| flaw(move |request| request.claims[name] = value);
    assert_eq!(
        claim("iss", json!("other")),
        Some(SignedRequestFlaw::Issuer)
    );
    assert_eq!(
        claim("aud", json!("https://other.example")),
        Some(SignedRequestFlaw::Audience)
    );
    assert_eq!(claim("exp", json!(NOW.0)), Some(SignedRequestFlaw::Expired));
    assert_eq!(
        claim("exp", json!(NOW.0 + 70 * 60)),
        Some(SignedRequestFlaw::LivesTooLong)
    );
    assert_eq!(claim("exp", json!(NOW.0 + 60 * 60)), None);
    assert_eq!(
        claim("nbf", json!(NOW.0 + 600)),
        Some(SignedRequestFlaw::NotBefore)
    );
    assert_eq!(claim("nbf", json!(NOW.0 + 10)), None);
    assert_eq!(
        claim("nbf", json!(NOW.0 - 70 * 60)),
        Some(SignedRequestFlaw::NotBefore)
    );
    assert_eq!(claim("nbf", json!(NOW.0 - 50 * 60)), None);
    assert_eq!(
        claim("iat", json!(NOW.0 + 600)),
        Some(SignedRequestFlaw::IssuedAt)
    );
    assert_eq!(
        claim("exp", json!("tomorrow")),
        Some(SignedRequestFlaw::Malformed)
    );
}

#[test]
fn ciba_15_ciba_16_ciba_17_ciba_18_only_the_clients_own_signature_counts() {
    assert_eq!(
        flaw(|request| request.header["alg"] = json!("none")),
        Some(SignedRequestFlaw::Algorithm)
    );
    assert_eq!(
        flaw(|request| request.header["alg"] = json!("HS256")),
        Some(SignedRequestFlaw::Algorithm)
    );
    let mut rs256 = good(Algorithm::Ps256);
    rs256.key = key(Algorithm::Rs256);
    rs256.registered = JwkSet::single(rs256.key.verifying_key().unwrap());
    rs256.header["alg"] = json!("RS256");
    assert_eq!(read(&rs256).err(), Some(SignedRequestFlaw::Algorithm));
    assert_eq!(
        flaw(|request| request.key = named_key(Algorithm::Es256, "key-1")),
        Some(SignedRequestFlaw::Signature),
        "signed by another client"
    );
    assert_eq!(
        flaw(|request| request.registered = JwkSet::from_keys(Vec::new())),
        Some(SignedRequestFlaw::Signature),
        "a client without keys"
    );
}

#[test]
fn another_jwt_of_the_client_is_no_request() {
    for typ in ["client-authentication+jwt", "dpop+jwt", "at+jwt"] {
        assert_eq!(
            flaw(|request| request.header["typ"] = json!(typ)),
            Some(SignedRequestFlaw::Typ)
        );
    }
    assert_eq!(
        flaw(|request| request.claims["sub"] = json!("bank")),
        Some(SignedRequestFlaw::Typ),
        "an assertion"
    );
    assert_eq!(flaw(|request| request.claims["sub"] = json!("alice")), None);
}

#[test]
fn a_signed_request_works_once() {
    let memory = ReplayMemory::new(ReplayLimits::default());
    let request = good(Algorithm::Es256);
    assert!(memory.spend(read(&request).unwrap(), NOW).is_ok());
    assert_eq!(
        memory.spend(read(&request).unwrap(), NOW).err(),
        Some(Replayed::AlreadyUsed(ReplayKind::SignedRequest))
    );
    let mut another = request;
    another.claims["jti"] = json!("request-2");
    assert!(memory.spend(read(&another).unwrap(), NOW).is_ok());
}
