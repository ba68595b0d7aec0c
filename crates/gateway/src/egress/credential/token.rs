//! Tokens of a destination's authorization server, got with the client credentials grant (RFC 6749 §4.4) and kept until shortly before they expire.
//!
//! One fetch at a time: whoever needs a token meanwhile waits for it. After a fetch that failed nobody asks again for a moment, and what waits is refused: nothing goes out without its
//! credential.

use super::super::answer::EgressRefusal;
use super::{CredentialError, checked, sensitive};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_base::Secret;
use countersign_net::{FetchRules, GuardedClient};
use http::header::{self, HeaderMap, HeaderValue};
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

/// Bytes of the endpoint's answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a token is kept whose life the answer does not tell (RFC 6749 §5.1 only recommends it).
const LIFETIME: Duration = Duration::from_secs(60);
/// The longest that one is kept.
const LIFETIME_MAX: Duration = Duration::from_secs(3_600);
/// How long nobody asks after a failure.
const PAUSE: Duration = Duration::from_secs(2);

/// An authorization server, and who we are there.
pub struct TokenSource {
    client: GuardedClient,
    endpoint: Url,
    authorization: HeaderValue,
    form: Bytes,
    kept: Mutex<Kept>,
}

enum Kept {
    Failed { again: Instant },
    Nothing,
    Token { value: HeaderValue, until: Instant },
}

/// RFC 6749 §5.1.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: Option<u64>,
}

impl TokenSource {
    /// Tokens of this `https` endpoint for this client, which authenticates with its secret (RFC 6749 §2.3.1).
    ///
    /// # Errors
    /// When the secret cannot be sent.
    pub fn new(
        client: GuardedClient,
        endpoint: Url,
        id: &str,
        secret: &Secret<String>,
        scope: Option<&str>,
    ) -> Result<Self, CredentialError> {
        let encoded = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        let pair = Secret::new(format!("{}:{}", encoded(id), encoded(checked(secret)?)));
        let basic = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = scope {
            form.append_pair("scope", scope);
        }
        Ok(Self {
            client,
            endpoint,
            authorization: sensitive(&basic)?,
            form: form.finish().into(),
            kept: Mutex::new(Kept::Nothing),
        })
    }

    /// `Bearer TOKEN`, of a token that lives.
    pub(super) async fn value(&self) -> Result<HeaderValue, EgressRefusal> {
        let mut kept = self.kept.lock().await;
        let now = Instant::now();
        match &*kept {
            Kept::Token { value, until } if *until > now => return Ok(value.clone()),
            Kept::Failed { again } if *again > now => return Err(EgressRefusal::CredentialSource),
            Kept::Failed { .. } | Kept::Nothing | Kept::Token { .. } => {}
        }
        match self.fetch().await {
            Some((value, lifetime)) => {
                *kept = Kept::Token {
                    value: value.clone(),
                    until: now + lifetime,
                };
                Ok(value)
            }
            None => {
                let again = Instant::now() + PAUSE;
                *kept = Kept::Failed { again };
                Err(EgressRefusal::CredentialSource)
            }
        }
    }

    async fn fetch(&self) -> Option<(HeaderValue, Duration)> {
        let headers = HeaderMap::from_iter([
            (header::AUTHORIZATION, self.authorization.clone()),
            (header::ACCEPT, HeaderValue::from_static("application/json")),
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            ),
        ]);
        let rules = FetchRules::json(ANSWER_BYTES_MAX);
        let asked = self
            .client
            .ask(&self.endpoint, headers, self.form.clone(), &rules);
        match asked.await {
            Ok(fetched) => read(&fetched.body),
            Err(error) => {
                tracing::warn!(reason = error.reason(), "no token for a destination");
                None
            }
        }
    }
}

/// The value of the field and how long it is kept: four fifths of the token's life.
fn read(body: &[u8]) -> Option<(HeaderValue, Duration)> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let token = Secret::new(answer.access_token);
    let text = checked(&token).ok()?;
    // A space would begin another parameter of the field (RFC 6750 §2.1).
    if text.contains(' ') || !answer.token_type.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let value = Secret::new(format!("Bearer {text}"));
    let lifetime = answer.expires_in.map_or(LIFETIME, Duration::from_secs);
    Some((
        sensitive(&value).ok()?,
        lifetime.min(LIFETIME_MAX).mul_f64(0.8),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_bearer_token_or_none() {
        for (body, lifetime) in [
            (
                r#"{"access_token":"a","token_type":"Bearer","expires_in":100}"#,
                Some(80),
            ),
            (r#"{"access_token":"a","token_type":"bearer"}"#, Some(48)),
            (
                r#"{"access_token":"a","token_type":"bearer","expires_in":999999999}"#,
                Some(2_880),
            ),
            (
                r#"{"access_token":"a","token_type":"DPoP","expires_in":100}"#,
                None,
            ),
            (r#"{"access_token":"","token_type":"Bearer"}"#, None),
            (r#"{"access_token":"a b","token_type":"Bearer"}"#, None),
            (r#"{"access_token":"a\nb","token_type":"Bearer"}"#, None),
            (r#"{"token_type":"Bearer"}"#, None),
            ("", None),
        ] {
            let read = read(body.as_bytes()).map(|(_, lifetime)| lifetime.as_secs());
            assert_eq!(read, lifetime, "{body}");
        }
    }
}
