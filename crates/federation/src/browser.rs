//! Browsers that sign in at a gateway, which keeps their tokens: what it asks the issuer for, what it gets, and what it is told when a sign-in ends
//! (OAuth 2.0 for Browser-Based Applications, "backend for frontend"; OpenID Connect Back-Channel Logout 1.0).
//!
//! The request and its answer are those of a sign-in by an upstream provider ([`crate::login`], [`crate::response`], [`crate::id_token`]); here the access token is
//! what it is about.
//!
//! Not here: sending, sealing and storing.

use crate::login::LoginSecrets;
use crate::metadata::ProviderMetadata;
use crate::provider::ProviderRecord;
use countersign_base::{Audience, Duration, Kid, ParseError, Scopes, Secret, UnixTime};
use countersign_crypto::Unverified;
use countersign_crypto::digest::sha256_base64url;
use countersign_crypto::jose::{Algorithm, Jws, VerifyingKey};
use serde::Deserialize;
use std::str::FromStr;
use url::{Url, form_urlencoded};

/// Bytes of a path to return to.
const RETURN_BYTES_MAX: usize = 1024;
/// How far clocks may differ.
const LEEWAY: Duration = Duration::from_secs(60);
/// A logout token that was made longer ago than this is not read.
const LOGOUT_AGE_MAX: Duration = Duration::from_secs(120);
/// The one event of a logout token.
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Where a browser goes after its sign-in: a path of the same origin, with or without a query. Never a URL, and nothing that a browser would read as one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ReturnPath(String);

impl TryFrom<String> for ReturnPath {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl ReturnPath {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReturnPath {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = ParseError::expected("a path of this origin, which begins with one slash");
        // Browsers take `\` for `/`, and drop tabs and line ends.
        let harmless = text.len() <= RETURN_BYTES_MAX
            && text.starts_with('/')
            && !text.starts_with("//")
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#');
        let base = Url::parse("https://origin.invalid/").map_err(|_| error.clone())?;
        match base.join(text) {
            Ok(url) if harmless && url.origin() == base.origin() && url.path() != "" => {
                Ok(Self(text.to_owned()))
            }
            Ok(_) | Err(_) => Err(error),
        }
    }
}

/// What a sign-in asks for.
pub struct SignInRequest<'a> {
    /// The issuer, and our name there.
    pub provider: &'a ProviderRecord,
    /// Where the answer goes.
    pub redirect_uri: &'a str,
    /// The scopes, beside `openid`.
    pub scopes: &'a Scopes,
    /// The audience of the access token (RFC 8707).
    pub resource: &'a Audience,
    /// State, nonce and verifier.
    pub secrets: &'a LoginSecrets,
}

impl SignInRequest<'_> {
    /// The parameters of the authorization request, for its query or to be pushed (RFC 9126).
    #[must_use]
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let scope = if self.scopes.is_empty() {
            "openid".to_owned()
        } else {
            format!("openid {}", self.scopes)
        };
        vec![
            ("response_type", "code".to_owned()),
            ("client_id", self.provider.client_id.to_string()),
            ("redirect_uri", self.redirect_uri.to_owned()),
            ("scope", scope),
            ("resource", self.resource.to_string()),
            ("state", self.secrets.state().to_owned()),
            ("nonce", self.secrets.nonce().to_owned()),
            (
                "code_challenge",
                sha256_base64url(self.secrets.verifier().expose().as_bytes()),
            ),
            ("code_challenge_method", "S256".to_owned()),
        ]
    }

    /// Where the browser goes when the request was not pushed.
    #[must_use]
    pub fn url(&self, metadata: &ProviderMetadata) -> Url {
        let mut url = metadata.authorization_endpoint().clone();
        url.query_pairs_mut().extend_pairs(self.parameters());
        url
    }
}

/// Where the browser goes when the request was pushed.
#[must_use]
pub fn pushed_url(
    metadata: &ProviderMetadata,
    provider: &ProviderRecord,
    pushed: &PushedAnswer,
) -> Url {
    let mut url = metadata.authorization_endpoint().clone();
    url.query_pairs_mut()
        .append_pair("client_id", provider.client_id.as_str())
        .append_pair("request_uri", &pushed.request_uri);
    url
}

/// The answer to a pushed request (RFC 9126 §2.2).
#[derive(Debug, Deserialize)]
pub struct PushedAnswer {
    request_uri: String,
}

impl PushedAnswer {
    /// Reads it.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

/// What a session keeps of a token answer (RFC 6749 §5.1).
pub struct TokenSet {
    /// The access token.
    pub access: Secret<String>,
    /// The refresh token.
    pub refresh: Option<Secret<String>>,
    /// The ID token.
    pub id: Option<Secret<String>>,
    /// How long the access token lives.
    pub expires_in: Duration,
}

#[derive(Deserialize)]
struct Answer {
    token_type: String,
    access_token: String,
    refresh_token: Option<String>,
    id_token: Option<String>,
    expires_in: Option<u64>,
}

impl TokenSet {
    /// Reads a token answer. Without `expires_in` a token is taken to live a minute.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let answer: Answer = serde_json::from_slice(body).ok()?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") || answer.access_token.is_empty() {
            return None;
        }
        Some(Self {
            access: Secret::new(answer.access_token),
            refresh: answer.refresh_token.map(Secret::new),
            id: answer.id_token.map(Secret::new),
            expires_in: Duration::from_secs(answer.expires_in.unwrap_or(60)),
        })
    }
}

/// The parameters of a refresh (RFC 6749 §6), without those of our authentication.
#[must_use]
pub fn refresh_parameters(
    refresh: &Secret<String>,
    resource: &Audience,
) -> Vec<(&'static str, Secret<String>)> {
    let text = |text: &str| Secret::new(text.to_owned());
    vec![
        ("grant_type", text("refresh_token")),
        ("refresh_token", text(refresh.expose())),
        ("resource", text(resource.as_str())),
    ]
}

/// Where the browser goes to end the sign-in at the issuer too (OpenID Connect RP-Initiated Logout 1.0 §2).
#[must_use]
pub fn logout_url(
    metadata: &ProviderMetadata,
    provider: &ProviderRecord,
    id_token: Option<&Secret<String>>,
    post_logout: Option<&str>,
) -> Option<Url> {
    let mut url = metadata.end_session_endpoint()?.clone();
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("client_id", provider.client_id.as_str());
        if let Some(id_token) = id_token {
            query.append_pair("id_token_hint", id_token.expose());
        }
        if let Some(post_logout) = post_logout {
            query.append_pair("post_logout_redirect_uri", post_logout);
        }
    }
    Some(url)
}

/// The one parameter of a back-channel logout request, as its body has it.
#[must_use]
pub fn logout_token_of(body: &[u8]) -> Option<String> {
    let mut fields = form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    let (_, token) = fields.next()?;
    fields.next().is_none().then(|| token.into_owned())
}

/// A logout token before its signature is checked.
pub struct LogoutToken {
    jws: Unverified<Jws>,
}

/// Whose sign-in is over, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedOut {
    /// The sign-in, if it is one.
    pub sid: Option<String>,
    /// Whose.
    pub sub: Option<String>,
    /// When it was said.
    pub said: UnixTime,
}

impl LogoutToken {
    /// Reads a logout token: of its type alone, so that no ID token is taken for one, signed as the issuer may.
    #[must_use]
    pub fn parse(text: &str, provider: &ProviderRecord) -> Option<Self> {
        let jws = Jws::parse(text).ok()?;
        let header = jws.header();
        let fits = header.is_typ("logout+jwt") && provider.algorithms.contains(&header.algorithm());
        fits.then_some(Self { jws })
    }

    /// The key that is needed.
    #[must_use]
    pub fn key(&self) -> (Option<&Kid>, Algorithm) {
        (self.jws.header().kid(), self.jws.header().algorithm())
    }

    /// What it says, if it is the issuer's, for us, and of now (Back-Channel Logout §2.6).
    #[must_use]
    pub fn verify(
        self,
        key: &VerifyingKey,
        provider: &ProviderRecord,
        now: UnixTime,
    ) -> Option<LoggedOut> {
        let claims = self.jws.verify(key).ok()?.into_inner();
        let text = |name| claims.text(name).ok().flatten().map(str::to_owned);
        let ours = claims.strings("aud").ok().flatten()? == [provider.client_id.as_str()];
        let said = claims.time("iat").ok().flatten()?;
        let fresh = said <= now.plus(LEEWAY) && now <= said.plus(LOGOUT_AGE_MAX);
        let expired = claims
            .time("exp")
            .ok()
            .flatten()
            .is_none_or(|expires| now >= expires.plus(LEEWAY));
        let event = claims
            .raw()
            .get("events")
            .and_then(|events| events.get(LOGOUT_EVENT))
            .is_some_and(serde_json::Value::is_object);
        let (sid, sub) = (text("sid"), text("sub"));
        let holds = text("iss").as_deref() == Some(provider.issuer.as_str())
            && ours
            && fresh
            && !expired
            && event
            && claims.raw().get("nonce").is_none()
            && (sid.is_some() || sub.is_some());
        holds.then_some(LoggedOut { sid, sub, said })
    }
}

#[cfg(test)]
mod tests;
