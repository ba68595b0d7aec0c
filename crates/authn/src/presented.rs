//! An access token that is a parameter of a request and not its credential: introspection (RFC 7662), revocation (RFC 7009) and token
//! exchange (RFC 8693).
//!
//! Signature, type, issuer, times and revocations are judged as for a credential. Audience and proof of possession are not: whoever shows
//! the token here is not its holder, and the caller decides by the claims what it may be used for.

use crate::access_token::{TokenHash, VerifiedToken};
use crate::refusal::{Reason, Refusal};
use crate::resource::{KeyAnswer, KeyNeeded, TrustedIssuer, VerdictKey, check_revocations};
use crate::revocation::Revocations;
use countersign_base::{UnixTime, limits};

/// Which key would check the signature of a presented token.
///
/// # Errors
/// When the token is oversized, malformed, of another type, of another issuer, or signed in a way that its issuer may not.
pub fn demand(token: &str, issuer: &TrustedIssuer) -> Result<KeyNeeded, Refusal> {
    if token.len() > limits::TOKEN_BYTES_MAX {
        return Err(Reason::TokenTooLong.into());
    }
    let cache_key = VerdictKey {
        token: TokenHash::of(token),
        rules: [0; 32],
    };
    KeyNeeded::of(token, std::slice::from_ref(issuer), cache_key)
}

/// Judges a presented token.
///
/// # Errors
/// When the signature, the claims, the times or a revocation says no, or when it cannot be told.
pub fn prove(
    needed: KeyNeeded,
    answer: KeyAnswer,
    revocations: &dyn Revocations,
    now: UnixTime,
) -> Result<VerifiedToken, Refusal> {
    let token = needed.verify(answer)?;
    token.check(&token.claims().aud, now)?;
    check_revocations(&token, revocations, now)?;
    Ok(token)
}
