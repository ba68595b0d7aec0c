//! What an answer must say to count: the benchmark measures only servers that do their work.
//!
//! The claims of every access token are compared; the signature of one in [`VERIFIED_EVERY`] is verified, because verifying all of them would take the machine
//! from the server that is measured.

use crate::Failed;
use crate::clients::now;
use countersign_crypto::base64url;
use countersign_crypto::jose::{JwkSet, Jws};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Of so many tokens one has its signature verified.
pub const VERIFIED_EVERY: u64 = 16;

/// What every access token of one client must say (RFC 9068 §2.2).
#[derive(Clone)]
pub struct Expected {
    /// The issuer's published keys.
    pub keys: Arc<JwkSet>,
    /// `iss`.
    pub issuer: String,
    /// `client_id`.
    pub client: String,
    /// `aud`.
    pub audience: String,
    /// `scope`, in any order.
    pub scope: BTreeSet<String>,
    /// `sub`, if it is known.
    pub subject: Option<String>,
    /// How many tokens were looked at.
    seen: u64,
    /// `jti` of the last one.
    last: String,
}

impl Expected {
    /// What tokens of `client` with `scope` for `audience` must say.
    #[must_use]
    pub fn new(
        keys: &Arc<JwkSet>,
        issuer: String,
        client: &str,
        audience: &str,
        scope: &str,
    ) -> Self {
        Self {
            keys: Arc::clone(keys),
            issuer,
            client: client.to_owned(),
            audience: audience.to_owned(),
            scope: words(scope),
            subject: None,
            seen: 0,
            last: String::new(),
        }
    }

    /// Checks an answer of the token endpoint (RFC 6749 §5.1) and gives it back as JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, body: &[u8]) -> Result<Value, String> {
        let answer: Value = serde_json::from_slice(body).map_err(|_| "no JSON")?;
        let kind = text(&answer, "token_type")?;
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err(format!("token_type is `{kind}`"));
        }
        let token = text(&answer, "access_token")?;
        self.seen += 1;
        if self.seen % VERIFIED_EVERY == 1 {
            verified(token, &self.keys)?;
        }
        let claims = claims(token)?;
        self.compare(&claims)?;
        let id = text(&claims, "jti")?;
        if id == self.last {
            return Err("the same `jti` again".to_owned());
        }
        id.clone_into(&mut self.last);
        Ok(answer)
    }

    fn compare(&self, claims: &Value) -> Result<(), String> {
        for (name, expected) in [
            ("iss", &self.issuer),
            ("client_id", &self.client),
            ("aud", &self.audience),
        ] {
            let found = text(claims, name)?;
            if found != expected {
                return Err(format!("`{name}` is `{found}` instead of `{expected}`"));
            }
        }
        // Whether `openid` stands in a token for another audience is the server's choice.
        let mut found = words(text(claims, "scope")?);
        if self.scope.contains("openid") {
            found.insert("openid".to_owned());
        }
        if found != self.scope {
            return Err(format!("`scope` is {found:?}"));
        }
        let subject = text(claims, "sub")?;
        if let Some(expected) = &self.subject
            && subject != expected
        {
            return Err(format!("`sub` is `{subject}` instead of `{expected}`"));
        }
        let ends = claims.get("exp").and_then(Value::as_u64).unwrap_or(0);
        if ends <= now() {
            return Err("it has expired".to_owned());
        }
        Ok(())
    }
}

/// Checks the ID token of an answer (OpenID Connect Core §3.1.3.7): issuer, client, nonce. Its signature is as seldom verified as an access token's.
///
/// # Errors
/// What is wrong with it.
pub fn check_id_token(answer: &Value, expected: &Expected, nonce: &str) -> Result<(), String> {
    let token = text(answer, "id_token")?;
    if expected.seen % VERIFIED_EVERY == 1 {
        verified(token, &expected.keys)?;
    }
    let claims = claims(token)?;
    for (name, wanted) in [
        ("iss", expected.issuer.as_str()),
        ("aud", &expected.client),
        ("nonce", nonce),
    ] {
        if text(&claims, name)? != wanted {
            return Err(format!("`{name}` of the ID token is not `{wanted}`"));
        }
    }
    Ok(())
}

/// A member that must be a text.
///
/// # Errors
/// When there is none.
pub fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, String> {
    value
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("no `{name}`"))
}

/// The claims of a token, unverified.
///
/// # Errors
/// When it is no JWT.
pub fn claims(token: &str) -> Result<Value, String> {
    let payload = token.split('.').nth(1).ok_or("no JWT")?;
    let payload = base64url::decode(payload).map_err(|_| "no base64url")?;
    serde_json::from_slice(&payload).map_err(|_| "claims that are no JSON".to_owned())
}

fn verified(token: &str, keys: &JwkSet) -> Result<(), String> {
    let unverified = Jws::parse(token).map_err(|error| error.to_string())?;
    unverified
        .verify_with_any(keys.iter())
        .map(drop)
        .map_err(|error| error.to_string())
}

fn words(scope: &str) -> BTreeSet<String> {
    scope.split(' ').map(str::to_owned).collect()
}

/// Reads a JWK set that a server published.
///
/// # Errors
/// When it is none, or holds no key that can be used.
pub fn keys(body: &[u8]) -> Result<Arc<JwkSet>, Failed> {
    let (keys, _skipped) = JwkSet::parse(body)?;
    if keys.is_empty() {
        return Err("the server publishes no key".into());
    }
    Ok(Arc::new(keys))
}

#[cfg(test)]
mod tests {
    use super::Expected;
    use crate::clients::{new_key, now};
    use countersign_crypto::jose::{JwkSet, sign_jwt};
    use countersign_crypto::signing::{AccessToken, SigningKey};
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn answer(key: &SigningKey<AccessToken>, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut claims = json!({
            "iss": "https://localhost", "client_id": "c", "aud": "https://orders.example", "scope": "b a",
            "sub": "c", "jti": "1", "exp": now() + 60,
        });
        change(&mut claims);
        let token = sign_jwt(key, &claims).unwrap();
        json!({"access_token": token, "token_type": "Bearer"})
            .to_string()
            .into_bytes()
    }

    fn expected(key: &SigningKey<AccessToken>) -> Expected {
        let keys = Arc::new(JwkSet::single(key.verifying_key().unwrap()));
        let issuer = "https://localhost".to_owned();
        Expected::new(&keys, issuer, "c", "https://orders.example", "a b")
    }

    #[test]
    fn a_right_answer_counts() {
        let key = new_key("k").unwrap();
        assert!(expected(&key).check(&answer(&key, |_| {})).is_ok());
    }

    #[test]
    fn an_answer_with_one_flaw_does_not_count() {
        let key = new_key("k").unwrap();
        for (name, value) in [
            ("iss", json!("https://other")),
            ("client_id", json!("d")),
            ("aud", json!("https://billing.example")),
            ("scope", json!("a")),
            ("exp", json!(now() - 1)),
            ("jti", Value::Null),
        ] {
            let flawed = answer(&key, |claims| claims[name] = value);
            assert!(expected(&key).check(&flawed).is_err(), "{name}");
        }
        let stranger = new_key("k").unwrap();
        let forged = answer(&stranger, |_| {});
        assert!(expected(&key).check(&forged).is_err());
    }

    #[test]
    fn the_same_answer_does_not_count_twice() {
        let key = new_key("k").unwrap();
        let (mut expected, body) = (expected(&key), answer(&key, |_| {}));
        assert!(expected.check(&body).is_ok());
        assert!(expected.check(&body).is_err());
    }
}
