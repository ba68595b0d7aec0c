use super::*;
use crate::fixture::{ISSUER, NOW, form, portal};
use crate::subject_identifier::SubjectIdentifier;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{AccessToken, IdToken, JwtPurpose, SigningKey, generate_pkcs8};
use serde_json::{Value, json};

struct Keys {
    pkcs8: countersign_base::Secret<Vec<u8>>,
}

impl Keys {
    fn new() -> Self {
        Self {
            pkcs8: generate_pkcs8(Algorithm::Es256).unwrap(),
        }
    }

    fn key<P: JwtPurpose>(&self) -> SigningKey<P> {
        SigningKey::from_pkcs8(Algorithm::Es256, "one".parse().unwrap(), &self.pkcs8).unwrap()
    }

    fn set(&self) -> JwkSet {
        JwkSet::single(self.key::<IdToken>().verifying_key().unwrap())
    }
}

fn claims(change: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "sub": "07".repeat(16), "aud": "portal", "iat": NOW.0, "exp": NOW.0 - 5,
        "sid": "00000000000000ff",
    });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn hinted(keys: &Keys, hint: &str, more: &str) -> Result<Hinted, HintRefused> {
    LogoutRequest::parse(&form(&format!("id_token_hint={hint}{more}")))
        .hinted(&ISSUER.parse().unwrap(), &keys.set())
}

#[test]
fn lo_1_lo_2_r58_a_hint_counts_only_when_we_signed_it() {
    let (ours, foreign) = (Keys::new(), Keys::new());
    let good = sign_jwt(&ours.key::<IdToken>(), &claims(&json!({}))).unwrap();
    let of = hinted(&ours, &good, "").unwrap();
    assert_eq!(
        of.client.as_str(),
        "portal",
        "an expired ID token is a hint"
    );
    assert_eq!(of.session, Some(SessionId::from_u64(0xff)));
    let payload = good.split('.').nth(1).unwrap();
    let none = countersign_crypto::base64url::encode(br#"{"alg":"none","typ":"JWT"}"#);
    for (hint, why) in [
        (
            sign_jwt(&foreign.key::<IdToken>(), &claims(&json!({}))).unwrap(),
            "a foreign signer",
        ),
        (format!("{none}.{payload}."), "alg none"),
        (
            sign_jwt(&ours.key::<AccessToken>(), &claims(&json!({}))).unwrap(),
            "an access token",
        ),
        (
            sign_jwt(
                &ours.key::<IdToken>(),
                &claims(&json!({"iss": "https://other.example"})),
            )
            .unwrap(),
            "another issuer",
        ),
        (
            sign_jwt(
                &ours.key::<IdToken>(),
                &claims(&json!({"aud": ["portal", "other"]})),
            )
            .unwrap(),
            "two audiences",
        ),
        ("rubbish".to_owned(), "no token"),
    ] {
        assert_eq!(
            hinted(&ours, &hint, "").unwrap_err(),
            HintRefused::NotOurs,
            "{why}"
        );
    }
    assert_eq!(
        hinted(&ours, &good, "&client_id=other").unwrap_err(),
        HintRefused::OfAnotherClient
    );
    assert!(
        hinted(&ours, &good, "&client_id=portal").is_ok(),
        "the twin"
    );
}

#[test]
fn lo_3_lo_4_lo_10_r58_only_registered_addresses_are_returned_to() {
    let mut client = portal();
    client.logout.post_logout_redirect_uris =
        ["https://portal.example/bye".parse().unwrap()].into();
    let back = |text: &str| LogoutRequest::parse(&form(text)).return_address(&client);
    for other in [
        "https://evil.example/bye",
        "https://portal.example/bye?x=1",
        "https://portal.example/bye/",
        "https://portal.example/BYE",
        "https://portal.example@evil.example/bye",
    ] {
        assert_eq!(
            back(&format!("post_logout_redirect_uri={other}")),
            None,
            "{other}"
        );
    }
    let uri = "post_logout_redirect_uri=https://portal.example/bye";
    assert_eq!(back(uri).unwrap().location(), "https://portal.example/bye");
    assert_eq!(
        back(&format!("{uri}&state=a%20b")).unwrap().location(),
        "https://portal.example/bye?state=a%20b"
    );
    assert_eq!(back("state=x"), None);
    client.enabled = false;
    assert_eq!(
        LogoutRequest::parse(&form(uri)).return_address(&client),
        None
    );
}

#[test]
fn lo_8_r59_a_logout_token_says_what_happened_and_lives_for_two_minutes() {
    let claims = LogoutTokenClaims::new(
        ISSUER.parse().unwrap(),
        "portal".parse().unwrap(),
        SubjectIdentifier::Pairwise("someone".to_owned()),
        Some(SessionId::from_u64(1)),
        "id".to_owned(),
        NOW,
    );
    let value = serde_json::to_value(&claims).unwrap();
    assert_eq!(
        value["events"],
        json!({"http://schemas.openid.net/event/backchannel-logout": {}})
    );
    let lifetime = value["exp"].as_i64().unwrap() - value["iat"].as_i64().unwrap();
    assert!((1..=120).contains(&lifetime));
    assert!(value.get("nonce").is_none());
    assert_eq!(
        (&value["sid"], &value["jti"], &value["aud"]),
        (&json!("0000000000000001"), &json!("id"), &json!("portal"))
    );
}
