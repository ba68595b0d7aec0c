//! A checked authorization request as a value (OpenID Connect Core §3.1.2.1): what is pushed, remembered over a sign-in, and turned into a code.
//!
//! Not here: how it is checked; that is [`crate::authorize`].

use crate::authentication::Acr;
use crate::particulars::Particulars;
use crate::pkce::CodeChallenge;
use crate::redirect::RedirectTarget;
use crate::response_mode::ResponseMode;
use countersign_base::{Audience, Bounded, ClientId, Scopes};
use countersign_crypto::jose::JwkThumbprint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Bytes of `state` that are echoed; longer is refused, never cut (R12, AR-17).
pub const STATE_BYTES_MAX: usize = 2048;
/// Bytes of `nonce` that are echoed (AR-16).
pub const NONCE_BYTES_MAX: usize = 512;

/// A checked authorization request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client: ClientId,
    /// Where the answer goes.
    pub redirect_uri: RedirectTarget,
    /// Whether the request named it, so that the token request has to (RFC 6749 §4.1.3).
    pub redirect_uri_sent: bool,
    /// How the answer travels.
    #[serde(default)]
    pub response_mode: ResponseMode,
    /// What is asked for: a subset of the client's.
    pub scopes: Scopes,
    /// For whom: the first is the audience of tokens that name none.
    pub audiences: Vec<Audience>,
    /// Echoed in every answer.
    pub state: Option<Bounded<STATE_BYTES_MAX>>,
    /// Echoed in the ID token.
    pub nonce: Option<Bounded<NONCE_BYTES_MAX>>,
    /// PKCE, always (R7).
    pub challenge: CodeChallenge,
    /// What the person has to be asked.
    pub prompt: BTreeSet<Prompt>,
    /// Seconds since the person last proved who they are, at most.
    pub max_age: Option<u32>,
    /// The classes that the client demands, any of which will do (RFC 9470 §4). Empty demands nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acr_values: Vec<Acr>,
    /// The DPoP key that must redeem the code (RFC 9449 §10).
    pub dpop_jkt: Option<JwkThumbprint>,
    /// Authorization details and single claims.
    #[serde(default)]
    pub particulars: Particulars,
}

/// A value of `prompt` (OpenID Connect Core §3.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Ask for consent even if it was given.
    Consent,
    /// Prove again who you are.
    Login,
    /// Ask nothing.
    None,
}

impl AuthorizationRequest {
    /// The weakest class that satisfies the request, by `acr_values` and by an essential `acr` alike: a stronger one than any that is named does too.
    #[must_use]
    pub fn acr_demanded(&self) -> Option<Acr> {
        let named = self.acr_values.iter().copied().min();
        let essential = self.particulars.claims.acr_essential();
        named.max(essential)
    }
}
