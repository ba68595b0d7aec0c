//! How a browser comes back from a provider (RFC 6749 §4.1.2, RFC 9207, RFC 9700 §4.4): from parameters that anybody may have written to a code that
//! this very provider gave for this very browser.
//!
//! Nothing of a response is used, its error neither, before `state`, browser and issuer are known to be right: mixing up two providers ends here, before any
//! of them is called (RP-3, RP-4).

use crate::login::PendingLogin;
use crate::provider::{IssuerUrl, ProviderName, ProviderRecord, ResponseIssuer};
use countersign_authn::Form;
use countersign_base::{Bounded, Secret, UnixTime};
use countersign_crypto::mac::Tag;

/// Bytes of a code.
const CODE_BYTES_MAX: usize = 4096;
/// Bytes of `state`: ours has 43.
const STATE_BYTES_MAX: usize = 64;

/// A response as it came, believed by nobody.
pub struct AuthorizationResponse {
    state: String,
    issuer: Option<String>,
    outcome: Outcome,
}

enum Outcome {
    Code(Secret<String>),
    Error(Bounded<64>),
}

/// A code that the provider of a pending sign-in gave for the browser that began it.
#[must_use = "a code that is not redeemed signs nobody in"]
pub struct CheckedCode {
    code: Secret<String>,
    provider: ProviderName,
    issuer: IssuerUrl,
}

/// Why a response ends the sign-in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResponseRefusal {
    /// It came to another browser than the one that was sent.
    #[error("another browser began this sign-in")]
    Browser,
    /// The provider is disabled, or is not the one it was.
    #[error("the provider may not be used any more")]
    Disabled,
    /// The provider says that there is no code.
    #[error("the provider refused: `{0}`")]
    Error(Bounded<64>),
    /// It took too long.
    #[error("the sign-in took too long")]
    Expired,
    /// `iss` is there and is another's (RP-4).
    #[error("the response is another issuer's")]
    IssuerDiffers,
    /// `iss` is not there, and the provider has to send it (RP-3).
    #[error("the response does not say whose it is")]
    IssuerMissing,
    /// Neither a code nor an error, or both, or too long.
    #[error("the response is malformed")]
    Malformed,
    /// It came to the address of another provider than the one that the browser was sent to (RFC 9700 §4.4).
    #[error("the response came to the address of another provider")]
    ProviderDiffers,
    /// `state` is not there (RP-1).
    #[error("the response has no state")]
    StateMissing,
    /// `state` is nobody's, or was used before (RP-2).
    #[error("the response has a state that nobody waits for")]
    StateUnknown,
}

impl ResponseRefusal {
    /// The reason as records name it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Browser => "upstream_browser_differs",
            Self::Disabled => "upstream_disabled",
            Self::Error(_) => "upstream_error",
            Self::Expired => "upstream_expired",
            Self::IssuerDiffers => "upstream_issuer_differs",
            Self::IssuerMissing => "upstream_issuer_missing",
            Self::Malformed => "upstream_response_malformed",
            Self::ProviderDiffers => "upstream_provider_differs",
            Self::StateMissing => "upstream_state_missing",
            Self::StateUnknown => "upstream_state_unknown",
        }
    }
}

impl AuthorizationResponse {
    /// Reads the parameters of a response.
    ///
    /// # Errors
    /// When `state` is missing, or what else is there is no response.
    pub fn parse(form: &Form) -> Result<Self, ResponseRefusal> {
        Self::of_parts(
            form.get("state"),
            form.get("iss"),
            form.get("code"),
            form.get("error"),
        )
    }

    pub(crate) fn of_parts(
        state: Option<&str>,
        issuer: Option<&str>,
        code: Option<&str>,
        error: Option<&str>,
    ) -> Result<Self, ResponseRefusal> {
        let state = state.ok_or(ResponseRefusal::StateMissing)?;
        if state.len() > STATE_BYTES_MAX {
            return Err(ResponseRefusal::StateUnknown);
        }
        let outcome = match (code, error) {
            (Some(code), None) if code.len() <= CODE_BYTES_MAX => {
                Outcome::Code(Secret::new(code.to_owned()))
            }
            (None, Some(error)) => {
                Outcome::Error(Bounded::parse(error).map_err(|_| ResponseRefusal::Malformed)?)
            }
            (Some(_) | None, _) => return Err(ResponseRefusal::Malformed),
        };
        Ok(Self {
            state: state.to_owned(),
            issuer: issuer.map(str::to_owned),
            outcome,
        })
    }

    /// What the pending sign-in is looked up by.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Checks it against the sign-in that was found, and spent, under its `state`. `address` is the provider that owns the address that it came to, as it
    /// stands now; `browser` is the tag of the browser that brought it.
    ///
    /// # Errors
    /// The first thing that is wrong; the sign-in is over then.
    pub fn check(
        self,
        pending: &PendingLogin,
        address: &ProviderRecord,
        browser: &Tag,
        now: UnixTime,
    ) -> Result<CheckedCode, ResponseRefusal> {
        if pending.browser.verify_same(browser).is_err() {
            return Err(ResponseRefusal::Browser);
        }
        if pending.provider != address.name {
            return Err(ResponseRefusal::ProviderDiffers);
        }
        if !address.is_enabled() || pending.issuer != address.issuer {
            return Err(ResponseRefusal::Disabled);
        }
        if now >= pending.expires() {
            return Err(ResponseRefusal::Expired);
        }
        match (&self.issuer, address.response_issuer) {
            (Some(issuer), _) if issuer.as_str() != address.issuer.as_str() => {
                return Err(ResponseRefusal::IssuerDiffers);
            }
            (None, ResponseIssuer::Required) => return Err(ResponseRefusal::IssuerMissing),
            (Some(_), ResponseIssuer::Required | ResponseIssuer::WhenSent)
            | (None, ResponseIssuer::WhenSent) => {}
        }
        match self.outcome {
            Outcome::Code(code) => Ok(CheckedCode {
                code,
                provider: address.name.clone(),
                issuer: address.issuer.clone(),
            }),
            Outcome::Error(error) => Err(ResponseRefusal::Error(error)),
        }
    }
}

impl CheckedCode {
    /// Whose code it is: it is redeemed there and nowhere else.
    #[must_use]
    pub const fn issuer(&self) -> &IssuerUrl {
        &self.issuer
    }

    /// The provider's name with us.
    #[must_use]
    pub const fn provider(&self) -> &ProviderName {
        &self.provider
    }

    pub(crate) fn into_code(self) -> Secret<String> {
        self.code
    }
}

#[cfg(test)]
mod tests;
