//! A token that is a parameter of a request and not its credential: introspection (RFC 7662), revocation (RFC 7009) and token
//! exchange (RFC 8693). Mostly an access token; an exchange takes ID tokens and transaction tokens too.
//!
//! Signature, type, issuer, times and revocations are judged as for a credential. Audience and proof of possession are not: whoever shows
//! the token here is not its holder, and the caller decides by the claims what it may be used for.

mod id_token;

pub use id_token::IdTokenShown;

use crate::access_token::{TokenHash, VerifiedToken};
use crate::refusal::{Reason, Refusal};
use crate::resource::{
    ACCESS_TOKEN_TYP, KeyAnswer, KeyNeeded, TrustedIssuer, Trusting, VerdictKey, check_revocations,
};
use crate::revocation::Revocations;
use crate::transaction::{TRANSACTION_TOKEN_TYP, TransactionTokenClaims};
use countersign_base::{UnixTime, limits};

/// Which key would check the signature of a presented token.
///
/// # Errors
/// When the token is oversized, malformed, of another type, of another issuer, or signed in a way that its issuer may not.
pub fn demand(token: &str, issuer: &TrustedIssuer) -> Result<KeyNeeded, Refusal> {
    demand_typ(token, ACCESS_TOKEN_TYP, issuer)
}

fn demand_typ(
    token: &str,
    typ: &'static str,
    issuer: &TrustedIssuer,
) -> Result<KeyNeeded, Refusal> {
    if token.len() > limits::TOKEN_BYTES_MAX {
        return Err(Reason::TokenTooLong.into());
    }
    let cache_key = VerdictKey {
        token: TokenHash::of(token),
        rules: [0; 32],
    };
    let trusting = Trusting::own(typ, std::slice::from_ref(issuer));
    KeyNeeded::of(token, &trusting, cache_key)
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

/// Which key would check the signature of an ID token that this issuer is said to have made.
///
/// # Errors
/// As [`demand`].
pub fn demand_id_token(token: &str, issuer: &TrustedIssuer) -> Result<KeyNeeded, Refusal> {
    demand_typ(token, id_token::TYP, issuer)
}

/// Judges a presented ID token of ours.
///
/// # Errors
/// As [`prove`]; also when it does not name its grant.
pub fn prove_id_token(
    needed: KeyNeeded,
    answer: KeyAnswer,
    revocations: &dyn Revocations,
    now: UnixTime,
) -> Result<IdTokenShown, Refusal> {
    let hash = needed.token_hash();
    let (claims, trusted) = needed.verify_claims(answer)?;
    let token = IdTokenShown::read(&claims, trusted, hash)?;
    token.check(revocations, now)?;
    Ok(token)
}

/// Which key would check the signature of a transaction token that this issuer is said to have made.
///
/// # Errors
/// As [`demand`].
pub fn demand_transaction(token: &str, issuer: &TrustedIssuer) -> Result<KeyNeeded, Refusal> {
    demand_typ(token, TRANSACTION_TOKEN_TYP, issuer)
}

/// Judges a presented transaction token, whatever its trust domain.
///
/// # Errors
/// As [`prove`].
pub fn prove_transaction(
    needed: KeyNeeded,
    answer: KeyAnswer,
    revocations: &dyn Revocations,
    now: UnixTime,
) -> Result<TransactionTokenClaims, Refusal> {
    let (claims, trusted) = needed.verify_claims(answer)?;
    let claims = TransactionTokenClaims::read(&claims)?;
    claims.check(&trusted, revocations, now)?;
    Ok(claims)
}
