//! The ID token of a provider (OpenID Connect Core §3.1.3.7): from a text to an identity that this provider vouches for, to us, for this very sign-in.
//!
//! Not here: userinfo and further claims. An upstream's word counts for who somebody is, and for nothing that they may do.

use crate::login::Freshness;
use crate::provider::{IssuerUrl, ProviderName, ProviderRecord};
use countersign_base::{Bounded, Duration, Kid, ParseError, UnixTime};
use countersign_crypto::Unverified;
use countersign_crypto::jose::{Algorithm, Claims, JoseError, Jws, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;

/// How far clocks may differ.
const LEEWAY: Duration = Duration::from_secs(60);
/// An ID token that was made longer ago than this is not of this sign-in.
const AGE_MAX: Duration = Duration::from_secs(600);

/// An ID token before its signature is checked.
pub struct IdToken {
    jws: Unverified<Jws>,
}

/// What an ID token has to match.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who vouches.
    pub provider: &'a ProviderRecord,
    /// The nonce of the sign-in.
    pub nonce: &'a str,
    /// Whether the person had to be asked anew.
    pub freshness: Freshness,
    /// When the browser was sent to the provider.
    pub begun: UnixTime,
}

/// Somebody's name at their provider: at most 255 bytes (OpenID Connect Core §2). Personal data.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UpstreamSubject(String);

impl UpstreamSubject {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UpstreamSubject {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        if (1..=255).contains(&text.len()) && !text.chars().any(char::is_control) {
            Ok(Self(text))
        } else {
            Err(ParseError::expected(
                "a subject of 1 to 255 bytes without control characters",
            ))
        }
    }
}

impl From<UpstreamSubject> for String {
    fn from(subject: UpstreamSubject) -> Self {
        subject.0
    }
}

impl fmt::Debug for UpstreamSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamSubject")
    }
}

/// Evidence that a provider vouches for somebody, to us and now. Only a verified ID token gives it.
#[must_use]
pub struct UpstreamIdentity {
    provider: ProviderName,
    issuer: IssuerUrl,
    subject: UpstreamSubject,
    email: Option<Bounded<254>>,
    auth_time: Option<UnixTime>,
    sid: Option<Bounded<256>>,
}

impl UpstreamIdentity {
    /// The provider's own name for the sign-in, if it says one (Back-Channel Logout §2.1).
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_ref().map(Bounded::as_str)
    }

    /// The provider's name with us.
    #[must_use]
    pub const fn provider(&self) -> &ProviderName {
        &self.provider
    }

    /// Its issuer.
    #[must_use]
    pub const fn issuer(&self) -> &IssuerUrl {
        &self.issuer
    }

    /// Who it is there.
    #[must_use]
    pub const fn subject(&self) -> &UpstreamSubject {
        &self.subject
    }

    /// When they proved who they are: now if they had to be asked anew, else when the provider says, if it does.
    #[must_use]
    pub const fn auth_time(&self) -> Option<UnixTime> {
        self.auth_time
    }

    /// Their e-mail address, if the provider says that it verified it. It names nobody here: no account is found by it (A53).
    #[must_use]
    pub fn verified_email(&self) -> Option<&str> {
        self.email.as_ref().map(Bounded::as_str)
    }
}

impl fmt::Debug for UpstreamIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamIdentity({})", self.provider)
    }
}

/// Why an ID token ends the sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenRefusal {
    /// Not an algorithm that the provider may sign with; `none` is never one (RP-6, RP-7).
    #[error("the ID token uses an algorithm that is not accepted")]
    Algorithm,
    /// `aud` is missing, is not ours, or names others too (RP-8).
    #[error("the ID token is for somebody else")]
    Audience,
    /// The person was not asked anew although that was asked for.
    #[error("the ID token does not say that the person was asked now")]
    AuthTime,
    /// `azp` is there and is another's.
    #[error("the ID token was given to another party")]
    AuthorizedParty,
    /// `exp` is missing or over (RP-8).
    #[error("the ID token has expired, or says not when it does")]
    Expiry,
    /// `iat` is missing, in the future or too long ago.
    #[error("the ID token was not made now")]
    IssuedAt,
    /// `iss` is missing or another's (RP-8).
    #[error("the ID token is another issuer's")]
    Issuer,
    /// The provider has no such key.
    #[error("the ID token names a key that the provider does not have")]
    KeyUnknown,
    /// Not a signed token, or a claim of the wrong type.
    #[error("the ID token is malformed")]
    Malformed,
    /// `nonce` is missing or another sign-in's (RP-9).
    #[error("the ID token is of another sign-in")]
    Nonce,
    /// `nbf` is in the future.
    #[error("the ID token is not valid yet")]
    NotYet,
    /// The signature does not hold.
    #[error("the signature of the ID token does not hold")]
    Signature,
    /// `sub` is missing, empty or too long.
    #[error("the ID token names nobody")]
    Subject,
    /// `typ` says that it is another kind of token.
    #[error("this is another kind of token")]
    Type,
}

impl IdTokenRefusal {
    /// The reason as records name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Algorithm => "upstream_id_token_algorithm",
            Self::Audience => "upstream_id_token_audience",
            Self::AuthTime => "upstream_id_token_auth_time",
            Self::AuthorizedParty => "upstream_id_token_azp",
            Self::Expiry => "upstream_id_token_expiry",
            Self::IssuedAt => "upstream_id_token_iat",
            Self::Issuer => "upstream_id_token_issuer",
            Self::KeyUnknown => "upstream_id_token_key",
            Self::Malformed => "upstream_id_token_malformed",
            Self::Nonce => "upstream_id_token_nonce",
            Self::NotYet => "upstream_id_token_nbf",
            Self::Signature => "upstream_id_token_signature",
            Self::Subject => "upstream_id_token_subject",
            Self::Type => "upstream_id_token_type",
        }
    }
}

impl IdToken {
    /// Reads an ID token.
    ///
    /// # Errors
    /// When it is no signed token, another kind of token, or signed with an algorithm that the provider may not use.
    pub fn parse(text: &str, provider: &ProviderRecord) -> Result<Self, IdTokenRefusal> {
        let jws = Jws::parse(text).map_err(|error| match error {
            JoseError::AlgorithmUnknown => IdTokenRefusal::Algorithm,
            _ => IdTokenRefusal::Malformed,
        })?;
        let header = jws.header();
        if header.typ().is_some() && !header.is_typ("JWT") {
            return Err(IdTokenRefusal::Type);
        }
        if provider.algorithms.contains(&header.algorithm()) {
            Ok(Self { jws })
        } else {
            Err(IdTokenRefusal::Algorithm)
        }
    }

    /// The key that is needed.
    #[must_use]
    pub fn key(&self) -> (Option<&Kid>, Algorithm) {
        (self.jws.header().kid(), self.jws.header().algorithm())
    }

    /// Who it is.
    ///
    /// # Errors
    /// The first thing that does not match.
    pub fn verify(
        self,
        key: &VerifyingKey,
        expected: &Expected<'_>,
        now: UnixTime,
    ) -> Result<UpstreamIdentity, IdTokenRefusal> {
        let claims = self
            .jws
            .verify(key)
            .map_err(|_| IdTokenRefusal::Signature)?
            .into_inner();
        whose(&claims, expected.provider)?;
        let auth_time = times(&claims, expected, now)?;
        let nonce = text(&claims, "nonce")?.ok_or(IdTokenRefusal::Nonce)?;
        if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
            return Err(IdTokenRefusal::Nonce);
        }
        let subject = text(&claims, "sub")?.ok_or(IdTokenRefusal::Subject)?;
        Ok(UpstreamIdentity {
            provider: expected.provider.name.clone(),
            issuer: expected.provider.issuer.clone(),
            subject: subject
                .to_owned()
                .try_into()
                .map_err(|_| IdTokenRefusal::Subject)?,
            email: email(&claims),
            sid: text(&claims, "sid")?.and_then(|sid| Bounded::parse(sid).ok()),
            auth_time,
        })
    }
}

fn text<'a>(claims: &'a Claims, name: &'static str) -> Result<Option<&'a str>, IdTokenRefusal> {
    claims.text(name).map_err(|_| IdTokenRefusal::Malformed)
}

/// `iss`, `aud`, `azp`.
fn whose(claims: &Claims, provider: &ProviderRecord) -> Result<(), IdTokenRefusal> {
    if text(claims, "iss")? != Some(provider.issuer.as_str()) {
        return Err(IdTokenRefusal::Issuer);
    }
    let ours = provider.client_id.as_str();
    // One string and an array of one are the same (RP-11); we trust no further audience.
    let audiences = claims
        .strings("aud")
        .map_err(|_| IdTokenRefusal::Audience)?
        .ok_or(IdTokenRefusal::Audience)?;
    if audiences != [ours] {
        return Err(IdTokenRefusal::Audience);
    }
    match text(claims, "azp")? {
        Some(party) if party != ours => Err(IdTokenRefusal::AuthorizedParty),
        Some(_) | None => Ok(()),
    }
}

/// `exp`, `iat`, `nbf`, `auth_time`; when the person proved who they are comes back.
fn times(
    claims: &Claims,
    expected: &Expected<'_>,
    now: UnixTime,
) -> Result<Option<UnixTime>, IdTokenRefusal> {
    let time = |name, refusal| claims.time(name).map_err(|_| refusal);
    let expires = time("exp", IdTokenRefusal::Expiry)?.ok_or(IdTokenRefusal::Expiry)?;
    if now >= expires.plus(LEEWAY) {
        return Err(IdTokenRefusal::Expiry);
    }
    let issued = time("iat", IdTokenRefusal::IssuedAt)?.ok_or(IdTokenRefusal::IssuedAt)?;
    if issued > now.plus(LEEWAY) || now > issued.plus(AGE_MAX) {
        return Err(IdTokenRefusal::IssuedAt);
    }
    if time("nbf", IdTokenRefusal::NotYet)?.is_some_and(|from| from > now.plus(LEEWAY)) {
        return Err(IdTokenRefusal::NotYet);
    }
    let asked = time("auth_time", IdTokenRefusal::AuthTime)?;
    match expected.freshness {
        Freshness::Any => Ok(asked.map(|at| at.min(now))),
        Freshness::Now if asked.is_some_and(|at| at.plus(LEEWAY) >= expected.begun) => {
            Ok(Some(now))
        }
        Freshness::Now => Err(IdTokenRefusal::AuthTime),
    }
}

/// An address only if the provider says that it verified it; some say it as a string, which is not `true`.
fn email(claims: &Claims) -> Option<Bounded<254>> {
    match claims.flag("email_verified") {
        Ok(Some(true)) => {
            let address = claims.text("email").ok().flatten()?;
            Bounded::parse(address).ok()
        }
        Ok(Some(false) | None) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
