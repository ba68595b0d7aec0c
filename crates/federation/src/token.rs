//! The redemption of a code at the provider (RFC 6749 §4.1.3, OpenID Connect Core §3.1.3), and our own authentication there.
//!
//! Of the answer the ID token is used and nothing else: we ask the provider who somebody is and act for nobody there, so its access token is dropped unread.
//!
//! Not here: sending, and signing the assertion.

use crate::login::LoginSecrets;
use crate::provider::ProviderRecord;
use crate::response::CheckedCode;
use countersign_base::{Duration, Secret, UnixTime};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

/// Bytes of a token answer.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long our assertions live.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

/// The parameters of a token request, without those of our authentication.
#[must_use]
pub struct TokenRequest {
    parameters: Vec<(&'static str, Secret<String>)>,
}

impl TokenRequest {
    /// Redeems `code`, which thereby is gone.
    pub fn new(code: CheckedCode, redirect_uri: &str, secrets: &LoginSecrets) -> Self {
        let secret = |text: &str| Secret::new(text.to_owned());
        Self {
            parameters: vec![
                ("grant_type", secret("authorization_code")),
                ("code", code.into_code()),
                ("redirect_uri", secret(redirect_uri)),
                ("code_verifier", secret(secrets.verifier().expose())),
            ],
        }
    }

    /// Another request with our authentication: a refresh, a pushed authorization request, a revocation.
    pub const fn of(parameters: Vec<(&'static str, Secret<String>)>) -> Self {
        Self { parameters }
    }

    /// With a signed assertion of who we are (`private_key_jwt`, RFC 7523 §2.2).
    pub fn with_assertion(mut self, client_id: &str, assertion: String) -> Self {
        self.parameters.extend([
            ("client_id", Secret::new(client_id.to_owned())),
            (
                "client_assertion_type",
                Secret::new("urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()),
            ),
            ("client_assertion", Secret::new(assertion)),
        ]);
        self
    }

    /// As a form.
    #[must_use]
    pub fn body(&self) -> Secret<String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.parameters {
            form.append_pair(name, value.expose());
        }
        Secret::new(form.finish())
    }
}

/// What stands behind `Basic ` (RFC 6749 §2.3.1): both parts form-encoded first. The caller encodes it in base64.
#[must_use]
pub fn basic_credentials(client_id: &str, secret: &Secret<String>) -> Secret<String> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    Secret::new(format!("{}:{}", encode(client_id), encode(secret.expose())))
}

/// The claims of our assertion (RFC 7523 §3). Its audience is the issuer, so that it is good at no other server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssertionClaims {
    iss: String,
    sub: String,
    aud: String,
    jti: String,
    iat: i64,
    exp: i64,
}

impl AssertionClaims {
    /// An assertion of now. `jti` is fresh randomness.
    #[must_use]
    pub fn new(provider: &ProviderRecord, jti: String, now: UnixTime) -> Self {
        Self {
            iss: provider.client_id.to_string(),
            sub: provider.client_id.to_string(),
            aud: provider.issuer.to_string(),
            jti,
            iat: now.0,
            exp: now.plus(ASSERTION_LIFETIME).0,
        }
    }
}

/// A token answer: the ID token in it, unread.
pub struct TokenAnswer {
    id_token: String,
}

#[derive(Deserialize)]
struct Answer {
    token_type: Option<String>,
    id_token: Option<String>,
}

/// Why a token answer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenAnswerRefusal {
    /// Not the JSON object of RFC 6749 §5.1.
    #[error("the token answer is malformed")]
    Malformed,
    /// There is no ID token.
    #[error("the token answer holds no ID token")]
    NoIdToken,
    /// Larger than is looked at.
    #[error("the token answer is larger than accepted")]
    TooLong,
    /// `token_type` is not Bearer.
    #[error("the token answer is of a type that was not asked for")]
    TokenType,
}

impl TokenAnswerRefusal {
    /// The reason as records name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "upstream_token_malformed",
            Self::NoIdToken => "upstream_token_without_id_token",
            Self::TooLong => "upstream_token_too_long",
            Self::TokenType => "upstream_token_type",
        }
    }
}

impl TokenAnswer {
    /// Reads the body of a successful answer.
    ///
    /// # Errors
    /// When it is none, or holds no ID token.
    pub fn parse(body: &[u8]) -> Result<Self, TokenAnswerRefusal> {
        if body.len() > ANSWER_BYTES_MAX {
            return Err(TokenAnswerRefusal::TooLong);
        }
        let answer: Answer =
            serde_json::from_slice(body).map_err(|_| TokenAnswerRefusal::Malformed)?;
        // Case has no meaning in it (RFC 6749 §5.1); RP-11.
        match &answer.token_type {
            Some(kind) if kind.eq_ignore_ascii_case("bearer") => {}
            Some(_) | None => return Err(TokenAnswerRefusal::TokenType),
        }
        let id_token = answer.id_token.ok_or(TokenAnswerRefusal::NoIdToken)?;
        Ok(Self { id_token })
    }

    /// The ID token, unread.
    #[must_use]
    pub fn id_token(&self) -> &str {
        &self.id_token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, key, provider};
    use crate::login::{Freshness, LoginPurpose, PendingLogin, browser_tag};
    use crate::response::AuthorizationResponse;
    use countersign_authn::Form;

    #[test]
    fn rp_11_harmless_variations_of_an_answer_are_accepted() {
        for body in [
            r#"{"access_token":"a","token_type":"Bearer","expires_in":60,"id_token":"x"}"#,
            r#"{"access_token":"a","token_type":"bearer","id_token":"x"}"#,
            r#"{"token_type":"BEARER","id_token":"x","more":[1]}"#,
        ] {
            assert_eq!(TokenAnswer::parse(body.as_bytes()).unwrap().id_token(), "x");
        }
        for (body, refusal) in [
            (r#"{"token_type":"Bearer"}"#, TokenAnswerRefusal::NoIdToken),
            (r#"{"id_token":"x"}"#, TokenAnswerRefusal::TokenType),
            (
                r#"{"token_type":"N_A","id_token":"x"}"#,
                TokenAnswerRefusal::TokenType,
            ),
            (
                r#"{"token_type":"Bearer","id_token":7}"#,
                TokenAnswerRefusal::Malformed,
            ),
            (
                r#"{"token_type":"Bearer","id_token":"x","id_token":"y"}"#,
                TokenAnswerRefusal::Malformed,
            ),
            ("[]", TokenAnswerRefusal::Malformed),
        ] {
            assert!(
                matches!(TokenAnswer::parse(body.as_bytes()), Err(found) if found == refusal),
                "{body}"
            );
        }
    }

    #[test]
    fn r60_the_request_carries_the_verifier_and_our_authentication() {
        let browser = Secret::new("browser".to_owned());
        let secrets = LoginSecrets::derive(&key(), Secret::new("s".to_owned()), &browser);
        let pending = PendingLogin {
            provider: provider().name,
            issuer: provider().issuer,
            browser: browser_tag(&key(), &browser),
            purpose: LoginPurpose::SignIn {
                ticket: String::new(),
            },
            freshness: Freshness::Any,
            begun: NOW,
        };
        let form = Form::parse(b"state=s&code=c%26d&iss=https://corp.example").unwrap();
        let code = AuthorizationResponse::parse(&form)
            .unwrap()
            .check(&pending, &provider(), &browser_tag(&key(), &browser), NOW)
            .unwrap();
        assert_eq!(code.issuer(), &provider().issuer);
        let request = TokenRequest::new(code, "https://id.test/cb", &secrets)
            .with_assertion("countersign", "jwt".to_owned());
        let body = Form::parse(request.body().expose().as_bytes()).unwrap();
        assert_eq!(body.get("code"), Some("c&d"));
        assert_eq!(
            body.get("code_verifier"),
            Some(secrets.verifier().expose().as_str())
        );
        assert_eq!(body.get("client_assertion"), Some("jwt"));
        let basic = basic_credentials("a:b", &Secret::new("p@ss w%".to_owned()));
        assert_eq!(basic.expose(), "a%3Ab:p%40ss+w%25");
        let claims = AssertionClaims::new(&provider(), "j".to_owned(), NOW);
        assert_eq!(
            (claims.aud.as_str(), claims.exp),
            ("https://corp.example", NOW.0 + 60)
        );
    }
}
