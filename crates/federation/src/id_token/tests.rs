use super::*;
use crate::fixture::{NONCE, NOW, provider, signing_key};
use countersign_crypto::base64url;
use countersign_crypto::jose::sign_jwt;
use countersign_crypto::signing::{AccessToken, IdToken as Purpose, SigningKey, generate_pkcs8};
use serde_json::{Value, json};

fn claims() -> Value {
    json!({
        "iss": "https://corp.example", "aud": "countersign", "sub": "7", "nonce": NONCE,
        "iat": NOW.0, "exp": NOW.0 + 300, "email": "bob@corp.example", "email_verified": true,
    })
}

fn judged(
    key: &SigningKey<Purpose>,
    freshness: Freshness,
    change: impl FnOnce(&mut Value),
) -> Result<UpstreamIdentity, IdTokenRefusal> {
    let mut claims = claims();
    change(&mut claims);
    let provider = provider();
    let expected = Expected {
        provider: &provider,
        nonce: NONCE,
        freshness,
        begun: NOW,
    };
    IdToken::parse(&sign_jwt(key, &claims).unwrap(), &provider)?.verify(
        &key.verifying_key().unwrap(),
        &expected,
        NOW,
    )
}

fn refused(change: impl FnOnce(&mut Value)) -> IdTokenRefusal {
    let key = signing_key(Algorithm::Es256, "corp-1");
    judged(&key, Freshness::Any, change).unwrap_err()
}

fn accepted(change: impl FnOnce(&mut Value)) -> UpstreamIdentity {
    let key = signing_key(Algorithm::Es256, "corp-1");
    judged(&key, Freshness::Any, change).unwrap()
}

fn without(name: &'static str) -> impl FnOnce(&mut Value) {
    move |claims| drop(claims.as_object_mut().unwrap().remove(name))
}

#[test]
fn rp_6_an_id_token_with_algorithm_none_is_refused() {
    let payload = base64url::encode(claims().to_string().as_bytes());
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None","typ":"JWT"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"typ":"JWT"}"#,
    ] {
        let text = format!("{}.{payload}.", base64url::encode(header.as_bytes()));
        assert!(
            matches!(
                IdToken::parse(&text, &provider()),
                Err(IdTokenRefusal::Algorithm)
            ),
            "{header}"
        );
    }
    assert_eq!(accepted(|_| {}).subject().as_str(), "7", "the twin");
}

#[test]
fn rp_7_an_id_token_with_an_unexpected_algorithm_is_refused() {
    let key = signing_key(Algorithm::Es256, "corp-1");
    let text = sign_jwt(&key, &claims()).unwrap();
    let mut strict = provider();
    strict.algorithms = [Algorithm::Ps256, Algorithm::EdDsa].into();
    assert!(matches!(
        IdToken::parse(&text, &strict),
        Err(IdTokenRefusal::Algorithm)
    ));
    strict.algorithms.insert(Algorithm::Es256);
    assert!(IdToken::parse(&text, &strict).is_ok(), "the twin");
    let other = signing_key(Algorithm::Es256, "corp-1");
    let expected = Expected {
        provider: &strict,
        nonce: NONCE,
        freshness: Freshness::Any,
        begun: NOW,
    };
    let token = IdToken::parse(&text, &strict).unwrap();
    assert_eq!(
        token
            .verify(&other.verifying_key().unwrap(), &expected, NOW)
            .unwrap_err(),
        IdTokenRefusal::Signature
    );
}

#[test]
fn rp_8_issuer_audience_and_expiry_have_to_be_right() {
    for other in ["https://evil.example", "https://corp.example/", ""] {
        assert_eq!(refused(|c| c["iss"] = other.into()), IdTokenRefusal::Issuer);
    }
    assert_eq!(refused(without("iss")), IdTokenRefusal::Issuer);
    for other in [
        json!("another"),
        json!([]),
        json!(["another"]),
        json!(["countersign", "another"]),
        json!(7),
    ] {
        assert_eq!(refused(|c| c["aud"] = other), IdTokenRefusal::Audience);
    }
    assert_eq!(refused(without("aud")), IdTokenRefusal::Audience);
    assert_eq!(refused(without("exp")), IdTokenRefusal::Expiry);
    assert_eq!(
        refused(|c| c["exp"] = (NOW.0 - 60).into()),
        IdTokenRefusal::Expiry
    );
    assert_eq!(
        refused(|c| c["exp"] = "later".into()),
        IdTokenRefusal::Expiry
    );
    assert_eq!(
        refused(|c| c["azp"] = "another".into()),
        IdTokenRefusal::AuthorizedParty
    );
    let _twin = accepted(|c| c["azp"] = "countersign".into());
}

#[test]
fn rp_9_the_nonce_has_to_be_that_of_the_sign_in() {
    assert_eq!(refused(without("nonce")), IdTokenRefusal::Nonce);
    assert_eq!(
        refused(|c| c["nonce"] = "another".into()),
        IdTokenRefusal::Nonce
    );
    assert_eq!(refused(|c| c["nonce"] = "".into()), IdTokenRefusal::Nonce);
    let _twin = accepted(|_| {});
}

#[test]
fn rp_11_an_array_of_one_audience_is_accepted() {
    let _same = accepted(|c| c["aud"] = json!(["countersign"]));
}

#[test]
fn r60_a_token_is_of_now_and_names_somebody() {
    assert_eq!(refused(without("iat")), IdTokenRefusal::IssuedAt);
    assert_eq!(
        refused(|c| c["iat"] = (NOW.0 + 61).into()),
        IdTokenRefusal::IssuedAt
    );
    assert_eq!(
        refused(|c| c["iat"] = (NOW.0 - 601).into()),
        IdTokenRefusal::IssuedAt
    );
    assert_eq!(
        refused(|c| c["nbf"] = (NOW.0 + 61).into()),
        IdTokenRefusal::NotYet
    );
    assert_eq!(refused(without("sub")), IdTokenRefusal::Subject);
    assert_eq!(refused(|c| c["sub"] = "".into()), IdTokenRefusal::Subject);
    assert_eq!(
        refused(|c| c["sub"] = "s".repeat(256).into()),
        IdTokenRefusal::Subject
    );
    assert_eq!(refused(|c| c["sub"] = 7.into()), IdTokenRefusal::Malformed);
    let _twin = accepted(|c| c["sub"] = "s".repeat(255).into());
}

#[test]
fn r60_another_kind_of_token_is_no_id_token() {
    let pkcs8 = generate_pkcs8(Algorithm::Es256).unwrap();
    let key: SigningKey<AccessToken> =
        SigningKey::from_pkcs8(Algorithm::Es256, "corp-1".parse().unwrap(), &pkcs8).unwrap();
    let text = sign_jwt(&key, &claims()).unwrap();
    assert!(matches!(
        IdToken::parse(&text, &provider()),
        Err(IdTokenRefusal::Type)
    ));
}

#[test]
fn r60_who_has_to_be_asked_anew_was_asked_anew() {
    let key = signing_key(Algorithm::Es256, "corp-1");
    let fresh = |change: fn(&mut Value)| judged(&key, Freshness::Now, change).map(drop);
    assert_eq!(fresh(|_| {}), Err(IdTokenRefusal::AuthTime));
    assert_eq!(
        fresh(|c| c["auth_time"] = (NOW.0 - 61).into()),
        Err(IdTokenRefusal::AuthTime)
    );
    assert_eq!(fresh(|c| c["auth_time"] = NOW.0.into()), Ok(()), "the twin");
}

#[test]
fn a53_an_address_counts_only_if_the_provider_verified_it() {
    assert_eq!(accepted(|_| {}).verified_email(), Some("bob@corp.example"));
    for value in [json!(false), json!("true"), json!(1)] {
        assert_eq!(
            accepted(|c| c["email_verified"] = value).verified_email(),
            None
        );
    }
    assert_eq!(accepted(without("email_verified")).verified_email(), None);
}

#[test]
fn a53_r15_a_provider_says_when_it_asked() {
    let at = |change: fn(&mut Value)| accepted(change).auth_time();
    assert_eq!(at(|_| {}), None);
    assert_eq!(
        at(|c| c["auth_time"] = (NOW.0 - 3_600).into()),
        Some(UnixTime(NOW.0 - 3_600))
    );
    assert_eq!(
        at(|c| c["auth_time"] = (NOW.0 + 3_600).into()),
        Some(NOW),
        "never later than now"
    );
    let key = signing_key(Algorithm::Es256, "corp-1");
    let anew = judged(&key, Freshness::Now, |c| {
        c["auth_time"] = (NOW.0 - 5).into()
    });
    assert_eq!(anew.unwrap().auth_time(), Some(NOW));
}
