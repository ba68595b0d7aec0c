//! Signed authorization responses (JARM, JWT Secured Authorization Response Mode §4.4): one parameter `response` that only the provider can have made.
//!
//! What comes out is an [`AuthorizationResponse`] like any other; its `state`, browser and issuer are still to be checked.

use crate::provider::ProviderRecord;
use crate::response::{AuthorizationResponse, ResponseRefusal};
use countersign_base::{Duration, Kid, UnixTime};
use countersign_crypto::Unverified;
use countersign_crypto::jose::{Algorithm, Claims, Jws, VerifyingKey};

/// How far clocks may differ.
const LEEWAY: Duration = Duration::from_secs(30);
/// The longest a response may live: the specification recommends at most ten minutes.
const LIFETIME_MAX: Duration = Duration::from_secs(600);

/// A signed response before its signature is checked.
pub struct SignedResponse {
    jws: Unverified<Jws>,
}

/// Why a signed response ends the sign-in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignedResponseRefusal {
    /// Not an algorithm that the provider may sign with; `none` is never one.
    #[error("the signed response uses an algorithm that is not accepted")]
    Algorithm,
    /// `aud` is missing, or not ours.
    #[error("the signed response is for somebody else")]
    Audience,
    /// `exp` is missing, over, or too far away.
    #[error("the signed response has expired, or says not when it does")]
    Expiry,
    /// `iss` is missing or another's.
    #[error("the signed response is another issuer's")]
    Issuer,
    /// Not a signed response.
    #[error("the signed response is malformed")]
    Malformed,
    /// What it says is no response.
    #[error(transparent)]
    Response(#[from] ResponseRefusal),
    /// The signature does not hold.
    #[error("the signature of the response does not hold")]
    Signature,
}

impl SignedResponseRefusal {
    /// The reason as records name it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Algorithm => "upstream_jarm_algorithm",
            Self::Audience => "upstream_jarm_audience",
            Self::Expiry => "upstream_jarm_expiry",
            Self::Issuer => "upstream_jarm_issuer",
            Self::Malformed => "upstream_jarm_malformed",
            Self::Response(refusal) => refusal.as_str(),
            Self::Signature => "upstream_jarm_signature",
        }
    }
}

impl SignedResponse {
    /// Reads the parameter `response`.
    ///
    /// # Errors
    /// When it is no signed token, or signed with an algorithm that the provider may not use.
    pub fn parse(text: &str, provider: &ProviderRecord) -> Result<Self, SignedResponseRefusal> {
        let jws = Jws::parse(text).map_err(|error| match error {
            countersign_crypto::jose::JoseError::AlgorithmUnknown => {
                SignedResponseRefusal::Algorithm
            }
            _ => SignedResponseRefusal::Malformed,
        })?;
        if provider.algorithms.contains(&jws.header().algorithm()) {
            Ok(Self { jws })
        } else {
            Err(SignedResponseRefusal::Algorithm)
        }
    }

    /// The key that is needed.
    #[must_use]
    pub fn key(&self) -> (Option<&Kid>, Algorithm) {
        (self.jws.header().kid(), self.jws.header().algorithm())
    }

    /// The response, after the signature was checked.
    ///
    /// # Errors
    /// When the signature does not hold, or the token is not from this provider, for us, and of now (RP-10).
    pub fn verify(
        self,
        key: &VerifyingKey,
        provider: &ProviderRecord,
        now: UnixTime,
    ) -> Result<AuthorizationResponse, SignedResponseRefusal> {
        let claims = self
            .jws
            .verify(key)
            .map_err(|_| SignedResponseRefusal::Signature)?
            .into_inner();
        let text = |name| {
            claims
                .text(name)
                .map_err(|_| SignedResponseRefusal::Malformed)
        };
        if text("iss")? != Some(provider.issuer.as_str()) {
            return Err(SignedResponseRefusal::Issuer);
        }
        audience(&claims, provider)?;
        let expires = claims
            .time("exp")
            .ok()
            .flatten()
            .ok_or(SignedResponseRefusal::Expiry)?;
        if now >= expires.plus(LEEWAY) || expires > now.plus(LIFETIME_MAX).plus(LEEWAY) {
            return Err(SignedResponseRefusal::Expiry);
        }
        let response = AuthorizationResponse::of_parts(
            text("state")?,
            text("iss")?,
            text("code")?,
            text("error")?,
        )?;
        Ok(response)
    }
}

fn audience(claims: &Claims, provider: &ProviderRecord) -> Result<(), SignedResponseRefusal> {
    let audiences = claims
        .strings("aud")
        .ok()
        .flatten()
        .ok_or(SignedResponseRefusal::Audience)?;
    if audiences == [provider.client_id.as_str()] {
        Ok(())
    } else {
        Err(SignedResponseRefusal::Audience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, provider, signing_key};
    use countersign_crypto::base64url;
    use countersign_crypto::jose::sign_jwt;
    use countersign_crypto::signing::{IdToken, SigningKey};
    use serde_json::{Value, json};

    fn claims() -> Value {
        json!({"iss": "https://corp.example", "aud": "countersign", "exp": NOW.0 + 60, "code": "c", "state": "s"})
    }

    fn signed(key: &SigningKey<IdToken>, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims();
        change(&mut claims);
        sign_jwt(key, &claims).unwrap()
    }

    fn opened(text: &str, key: &SigningKey<IdToken>) -> Result<String, SignedResponseRefusal> {
        SignedResponse::parse(text, &provider())?
            .verify(&key.verifying_key().unwrap(), &provider(), NOW)
            .map(|response| response.state().to_owned())
    }

    #[test]
    fn rp_10_a_signed_response_is_of_this_provider_for_us_and_of_now() {
        let key = signing_key(Algorithm::Es256, "corp-1");
        assert_eq!(
            opened(&signed(&key, |_| {}), &key).as_deref(),
            Ok("s"),
            "the twin"
        );
        type Flaw = fn(&mut Value);
        let rows: [(Flaw, SignedResponseRefusal); 9] = [
            (
                |c| c["iss"] = "https://evil.example".into(),
                SignedResponseRefusal::Issuer,
            ),
            (
                |c| drop(c.as_object_mut().unwrap().remove("iss")),
                SignedResponseRefusal::Issuer,
            ),
            (
                |c| c["aud"] = "another".into(),
                SignedResponseRefusal::Audience,
            ),
            (
                |c| c["aud"] = json!(["countersign", "another"]),
                SignedResponseRefusal::Audience,
            ),
            (
                |c| drop(c.as_object_mut().unwrap().remove("aud")),
                SignedResponseRefusal::Audience,
            ),
            (
                |c| c["exp"] = (NOW.0 - 30).into(),
                SignedResponseRefusal::Expiry,
            ),
            (
                |c| c["exp"] = (NOW.0 + 7200).into(),
                SignedResponseRefusal::Expiry,
            ),
            (|c| c["exp"] = "soon".into(), SignedResponseRefusal::Expiry),
            (
                |c| drop(c.as_object_mut().unwrap().remove("exp")),
                SignedResponseRefusal::Expiry,
            ),
        ];
        for (change, refusal) in rows {
            assert_eq!(opened(&signed(&key, change), &key), Err(refusal));
        }
        let stateless = signed(&key, |c| drop(c.as_object_mut().unwrap().remove("state")));
        assert_eq!(
            opened(&stateless, &key),
            Err(ResponseRefusal::StateMissing.into())
        );
    }

    #[test]
    fn rp_10_a_signed_response_is_signed_by_the_provider() {
        let key = signing_key(Algorithm::Es256, "corp-1");
        let other = signing_key(Algorithm::Es256, "corp-1");
        assert_eq!(
            opened(&signed(&other, |_| {}), &key),
            Err(SignedResponseRefusal::Signature)
        );
        let none = format!(
            "{}.{}.",
            base64url::encode(br#"{"alg":"none"}"#),
            base64url::encode(claims().to_string().as_bytes())
        );
        assert_eq!(opened(&none, &key), Err(SignedResponseRefusal::Algorithm));
        let mut strict = provider();
        strict.algorithms = [Algorithm::Ps256].into();
        assert!(matches!(
            SignedResponse::parse(&signed(&key, |_| {}), &strict),
            Err(SignedResponseRefusal::Algorithm)
        ));
        assert!(opened(&signed(&key, |_| {}), &key).is_ok(), "the twin");
    }
}
