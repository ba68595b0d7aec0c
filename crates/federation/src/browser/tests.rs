//! Paths to return to, requests, answers, and logout tokens.

use super::{
    LogoutToken, PushedAnswer, ReturnPath, SignInRequest, TokenSet, logout_token_of, logout_url,
    pushed_url, refresh_parameters,
};
use crate::fixture::{NOW, key, metadata, provider};
use crate::login::LoginSecrets;
use countersign_base::{Duration, Secret};
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{
    IdToken, LogoutToken as LogoutTokenKey, SigningKey, generate_pkcs8,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::Url;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[test]
fn a_path_to_return_to_leads_nowhere_else() {
    for path in [
        "/",
        "/orders",
        "/orders/1?page=2&a=%2F%2Fevil",
        "/a//b",
        "/@evil.example",
    ] {
        assert_eq!(path.parse::<ReturnPath>().unwrap().as_str(), path);
    }
    for path in [
        "",
        "orders",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " /orders",
        "/a b",
        "/orders#part",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\u{e4}",
    ] {
        assert!(path.parse::<ReturnPath>().is_err(), "{path:?}");
    }
    assert!(
        format!("/{}", "a".repeat(1024))
            .parse::<ReturnPath>()
            .is_err()
    );
}

proptest! {
    #[test]
    fn whatever_is_taken_stays_at_its_origin(text in "[/\\\\?#@:a-z.%0-9 \t\n]{0,24}") {
        if let Ok(path) = text.parse::<ReturnPath>() {
            let base = Url::parse("https://portal.example/.countersign/callback").unwrap();
            let led = base.join(path.as_str()).unwrap();
            prop_assert_eq!(led.origin(), base.origin());
        }
    }
}

#[test]
fn r60_the_request_asks_for_a_code_of_one_audience_with_pkce() {
    let secrets = LoginSecrets::derive(&key(), secret("the-state"), &secret("browser"));
    let provider = provider();
    let (scopes, resource) = (
        "orders.read".parse().unwrap(),
        "https://orders.example".parse().unwrap(),
    );
    let request = SignInRequest {
        provider: &provider,
        redirect_uri: "https://portal.example/cb",
        scopes: &scopes,
        resource: &resource,
        secrets: &secrets,
    };
    let url = request.url(&metadata());
    let pairs: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("response_type", "code"),
        ("scope", "openid orders.read"),
        ("resource", "https://orders.example"),
        ("code_challenge_method", "S256"),
        ("state", "the-state"),
        ("redirect_uri", "https://portal.example/cb"),
    ] {
        assert_eq!(pairs.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(pairs["nonce"], secrets.nonce());
    assert_ne!(pairs["code_challenge"], *secrets.verifier().expose());
    let pushed = PushedAnswer::parse(br#"{"request_uri":"urn:a","expires_in":60}"#).unwrap();
    let url = pushed_url(&metadata(), &provider, &pushed);
    let pairs: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(pairs["request_uri"], "urn:a");
    assert!(
        !pairs.contains_key("state"),
        "what was pushed is not repeated"
    );
    assert!(PushedAnswer::parse(b"{}").is_none());
}

#[test]
fn a_token_answer_is_of_the_type_that_was_asked_for() {
    let parse = |answer: Value| TokenSet::parse(answer.to_string().as_bytes());
    let good = json!({
        "token_type": "bearer", "access_token": "a", "refresh_token": "r", "id_token": "i", "expires_in": 300,
    });
    let tokens = parse(good.clone()).unwrap();
    assert_eq!(tokens.access.expose(), "a");
    assert_eq!(tokens.expires_in, Duration::from_secs(300));
    for (member, flaw) in [
        ("token_type", json!("DPoP")),
        ("access_token", json!("")),
        ("access_token", json!(7)),
        ("expires_in", json!("soon")),
    ] {
        let mut flawed = good.clone();
        flawed[member] = flaw;
        assert!(parse(flawed).is_none(), "{member}");
    }
    let resource = "https://orders.example".parse().unwrap();
    let refresh = refresh_parameters(&secret("r"), &resource);
    assert_eq!(refresh[1].1.expose(), "r");
    assert!(logout_url(&metadata(), &provider(), None, None).is_none());
}

struct Said {
    key: SigningKey<LogoutTokenKey>,
    claims: Value,
}

fn said() -> Said {
    let pkcs8 = generate_pkcs8(Algorithm::Es256).unwrap();
    let key = SigningKey::from_pkcs8(Algorithm::Es256, "k".parse().unwrap(), &pkcs8).unwrap();
    let claims = json!({
        "iss": provider().issuer, "aud": provider().client_id, "iat": NOW.0, "exp": NOW.0 + 120, "jti": "j", "sid": "s", "sub": "u",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    Said { key, claims }
}

#[test]
fn r59_a_logout_token_is_the_issuers_for_us_and_of_now() {
    let judged = |claims: &Value, said: &Said| {
        let token = sign_jwt(&said.key, claims).unwrap();
        let token = LogoutToken::parse(&token, &provider())?;
        token.verify(&said.key.verifying_key().unwrap(), &provider(), NOW)
    };
    let said = said();
    let whole = judged(&said.claims, &said).unwrap();
    assert_eq!(
        (whole.sid.as_deref(), whole.sub.as_deref()),
        (Some("s"), Some("u"))
    );
    for (member, flaw) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("another")),
        ("aud", json!([provider().client_id, "another"])),
        ("iat", json!(NOW.0 - 121)),
        ("iat", json!(NOW.0 + 61)),
        ("exp", json!(NOW.0 - 60)),
        ("nonce", json!("n")),
        ("events", json!({})),
        (
            "events",
            json!({ "http://schemas.openid.net/event/backchannel-logout": true }),
        ),
    ] {
        let mut flawed = said.claims.clone();
        flawed[member] = flaw;
        assert_eq!(judged(&flawed, &said), None, "{member}");
    }
    let mut nobody = said.claims.clone();
    nobody.as_object_mut().unwrap().remove("sid");
    assert!(judged(&nobody, &said).is_some());
    nobody.as_object_mut().unwrap().remove("sub");
    assert_eq!(judged(&nobody, &said), None);
    let other = self::said();
    let token = sign_jwt(&said.key, &said.claims).unwrap();
    let token = LogoutToken::parse(&token, &provider()).unwrap();
    let other = other.key.verifying_key().unwrap();
    assert_eq!(token.verify(&other, &provider(), NOW), None);
}

#[test]
fn r59_no_other_token_is_a_logout_token() {
    let said = said();
    let pkcs8 = generate_pkcs8(Algorithm::Es256).unwrap();
    let id: SigningKey<IdToken> =
        SigningKey::from_pkcs8(Algorithm::Es256, "k".parse().unwrap(), &pkcs8).unwrap();
    let id_token = sign_jwt(&id, &said.claims).unwrap();
    assert!(LogoutToken::parse(&id_token, &provider()).is_none());
    assert!(LogoutToken::parse("a.b.c", &provider()).is_none());
    assert_eq!(
        logout_token_of(b"logout_token=a.b&x=y").as_deref(),
        Some("a.b")
    );
    assert_eq!(logout_token_of(b"logout_token=a&logout_token=b"), None);
    assert_eq!(logout_token_of(b"x=y"), None);
}
