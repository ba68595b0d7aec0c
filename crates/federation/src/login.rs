//! One sign-in at a provider under way: what the browser carries there, and what we remember until it comes back (OpenID Connect Core §3.1.2.1, RFC 7636).
//!
//! `state` is 256 random bits, stored as a keyed hash and spent by the first answer. `nonce` and the PKCE verifier are derived by key from it and from the
//! browser's cookie, so that nothing secret is stored and neither fits another browser (R60).

use crate::metadata::ProviderMetadata;
use crate::provider::{IssuerUrl, ProviderName, ProviderRecord, UpstreamResponseMode};
use countersign_base::{Duration, Secret, SessionId, UnixTime, UserId};
use countersign_crypto::base64url;
use countersign_crypto::digest::sha256_base64url;
use countersign_crypto::mac::{MacKey, Tag};
use serde::{Deserialize, Serialize};
use url::Url;

/// How long somebody may take at a provider.
pub const LOGIN_LIFETIME: Duration = Duration::from_secs(600);

/// What we remember of a sign-in under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PendingLogin {
    /// Where the browser was sent.
    pub provider: ProviderName,
    /// The provider's issuer at that time: one that was changed meanwhile gets no answer.
    pub issuer: IssuerUrl,
    /// A keyed hash of the browser's cookie.
    pub browser: Tag,
    /// What it is for.
    pub purpose: LoginPurpose,
    /// Whether the provider has to ask the person anew.
    pub freshness: Freshness,
    /// When the browser was sent.
    pub begun: UnixTime,
}

impl PendingLogin {
    /// When an answer comes too late.
    #[must_use]
    pub fn expires(&self) -> UnixTime {
        self.begun.plus(LOGIN_LIFETIME)
    }
}

/// What a sign-in at a provider is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginPurpose {
    /// To link the identity to the account of this session's person.
    Link {
        /// Who.
        user: UserId,
        /// The session in which they asked for it.
        session: SessionId,
    },
    /// To sign in, and to go on where the sealed ticket says.
    SignIn {
        /// The interaction's ticket, sealed for this browser.
        ticket: String,
    },
}

/// Whether somebody who is signed in at the provider is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// No.
    Any,
    /// Yes, and the ID token has to say when (`auth_time`).
    Now,
}

/// The secrets of one sign-in.
pub struct LoginSecrets {
    state: Secret<String>,
    nonce: String,
    verifier: Secret<String>,
}

impl LoginSecrets {
    /// Derives them from `state`, which is fresh randomness, and the browser's cookie.
    #[must_use]
    pub fn derive(key: &MacKey, state: Secret<String>, browser: &Secret<String>) -> Self {
        let parts: [&[u8]; 2] = [state.expose().as_bytes(), browser.expose().as_bytes()];
        let derived = |domain: &'static str| base64url::encode(key.tag(domain, &parts).as_bytes());
        Self {
            nonce: derived("upstream nonce"),
            verifier: Secret::new(derived("upstream code verifier")),
            state,
        }
    }

    /// What ties the browser's answer to its question.
    #[must_use]
    pub fn state(&self) -> &str {
        self.state.expose()
    }

    /// What ties the ID token to this sign-in.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// What redeems the code (RFC 7636 §4.5).
    #[must_use]
    pub const fn verifier(&self) -> &Secret<String> {
        &self.verifier
    }
}

/// The keyed hash of the browser's cookie that a [`PendingLogin`] remembers.
#[must_use]
pub fn browser_tag(key: &MacKey, browser: &Secret<String>) -> Tag {
    key.tag("upstream browser", &[browser.expose().as_bytes()])
}

/// Where the browser goes: the provider's authorization endpoint with a request for a code. `hint` is the address that somebody typed.
#[must_use]
pub fn authorization_url(
    provider: &ProviderRecord,
    metadata: &ProviderMetadata,
    redirect_uri: &str,
    secrets: &LoginSecrets,
    freshness: Freshness,
    hint: Option<&str>,
) -> Url {
    let mut url = metadata.authorization_endpoint().clone();
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", provider.client_id.as_str())
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", "openid email")
            .append_pair("state", secrets.state())
            .append_pair("nonce", secrets.nonce())
            .append_pair(
                "code_challenge",
                &sha256_base64url(secrets.verifier().expose().as_bytes()),
            )
            .append_pair("code_challenge_method", "S256");
        if provider.response_mode == UpstreamResponseMode::QueryJwt {
            query.append_pair("response_mode", "query.jwt");
        }
        if freshness == Freshness::Now {
            query
                .append_pair("prompt", "login")
                .append_pair("max_age", "0");
        }
        if let Some(hint) = hint {
            query.append_pair("login_hint", hint);
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{key, metadata, provider};
    use std::collections::BTreeMap;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn r60_nonce_and_verifier_are_those_of_one_state_in_one_browser() {
        let derive = |state: &str, browser: &str| {
            LoginSecrets::derive(&key(), secret(state), &secret(browser))
        };
        let one = derive("state", "browser");
        let again = derive("state", "browser");
        assert_eq!(one.nonce(), again.nonce());
        assert_eq!(one.verifier().expose(), again.verifier().expose());
        assert_ne!(one.nonce(), one.verifier().expose());
        for other in [derive("other", "browser"), derive("state", "other")] {
            assert_ne!(one.nonce(), other.nonce());
            assert_ne!(one.verifier().expose(), other.verifier().expose());
        }
    }

    #[test]
    fn r60_the_request_asks_for_a_code_with_pkce_state_and_nonce() {
        let secrets = LoginSecrets::derive(&key(), secret("the-state"), &secret("browser"));
        let url = authorization_url(
            &provider(),
            &metadata(),
            "https://id.test/federation/callback/corp",
            &secrets,
            Freshness::Any,
            Some("bob@corp.example&x=1"),
        );
        assert!(
            url.as_str()
                .starts_with("https://corp.example/authorize?p=1&")
        );
        let pairs: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let value = |name: &str| pairs.get(name).map(String::as_str);
        assert_eq!(value("response_type"), Some("code"));
        assert_eq!(value("state"), Some("the-state"));
        assert_eq!(value("nonce"), Some(secrets.nonce()));
        assert_eq!(value("code_challenge_method"), Some("S256"));
        assert_eq!(value("login_hint"), Some("bob@corp.example&x=1"));
        assert_eq!(
            (value("max_age"), value("prompt"), value("x")),
            (None, None, None)
        );
        let again = authorization_url(
            &provider(),
            &metadata(),
            "https://id.test/cb",
            &secrets,
            Freshness::Now,
            None,
        );
        let pairs: BTreeMap<String, String> = again.query_pairs().into_owned().collect();
        assert_eq!(pairs.get("max_age").map(String::as_str), Some("0"));
        assert_eq!(pairs.get("prompt").map(String::as_str), Some("login"));
    }
}
