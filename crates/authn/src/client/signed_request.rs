//! A request that its client signed (CIBA Core §7.1.1 with the rules of FAPI-CIBA §5.2.2): whose it is, for whom, for how long, and once.
//!
//! Every claim about the object has to be there. An hour is the longest it may live and the longest ago it may have begun; what begins ahead of our clock is refused
//! beyond the skew that clients are allowed.
//!
//! Not here: what the request asks for.

use super::ASSERTION_ALGORITHMS;
use crate::Unspent;
use crate::replay::{ReplayEntry, ReplayKind};
use countersign_base::{ClientId, Duration, Issuer, Tenant, UnixTime, limits};
use countersign_crypto::Verified;
use countersign_crypto::jose::{Claims, JoseError, JwkSet, Jws};

/// How long a request may live, and how long ago it may have begun.
const LIFETIME_MAX: Duration = Duration::from_secs(3600);
/// Bytes of a `jti`.
const JTI_BYTES_MAX: usize = 256;

/// Who must have signed a request, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct RequestSigner<'a> {
    /// The client's tenant.
    pub tenant: &'a Tenant,
    /// The client that authenticated.
    pub client: &'a ClientId,
    /// Its keys.
    pub keys: &'a JwkSet,
    /// The issuer that the request went to.
    pub issuer: &'a Issuer,
}

macro_rules! flaws {
    ($($(#[$doc:meta])* $name:ident = $reason:literal;)+) => {
        /// Why a signed request is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
        #[error("{}", self.reason())]
        pub enum SignedRequestFlaw {
            $($(#[$doc])* $name,)+
        }

        impl SignedRequestFlaw {
            /// The reason as the log names it.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)+
                }
            }
        }
    };
}

flaws! {
    /// An algorithm that is none, or none of ours (CIBA-15 to 17).
    Algorithm = "signed_request_algorithm";
    /// `aud` is missing or does not hold our issuer (CIBA-4, 10).
    Audience = "signed_request_audience";
    /// `exp` is missing or over (CIBA-5, 11).
    Expired = "signed_request_expired";
    /// `iat` is missing or ahead (CIBA-6).
    IssuedAt = "signed_request_issued_at";
    /// `iss` is missing or another client (CIBA-3, 9).
    Issuer = "signed_request_issuer";
    /// `jti` is missing or no name (CIBA-8).
    Jti = "signed_request_jti";
    /// It lives longer than an hour (CIBA-12).
    LivesTooLong = "signed_request_lives_too_long";
    /// It is no signed JWT, or a claim has the wrong type.
    Malformed = "signed_request_malformed";
    /// `nbf` is missing, ahead, or more than an hour back (CIBA-7, 13, 14).
    NotBefore = "signed_request_not_before";
    /// The signature holds under none of the client's keys (CIBA-18).
    Signature = "signed_request_signature";
    /// It is another kind of JWT.
    Typ = "signed_request_typ";
}

/// Checks a signed request. Its `jti` is still to be spent.
///
/// # Errors
/// The first thing that does not hold.
pub fn signed_request(
    text: &str,
    signer: &RequestSigner<'_>,
    now: UnixTime,
) -> Result<Unspent<Verified<Claims>>, SignedRequestFlaw> {
    let jws = Jws::parse(text).map_err(|error| {
        if error == JoseError::AlgorithmUnknown {
            SignedRequestFlaw::Algorithm
        } else {
            SignedRequestFlaw::Malformed
        }
    })?;
    let header = jws.header();
    // Another JWT of the client, an assertion above all, must not pass for a request.
    if header.typ().is_some() && !header.is_typ("JWT") && !header.is_typ("oauth-authz-req+jwt") {
        return Err(SignedRequestFlaw::Typ);
    }
    let algorithm = header.algorithm();
    if !ASSERTION_ALGORITHMS.contains(&algorithm) {
        return Err(SignedRequestFlaw::Algorithm);
    }
    let kid = header.kid().cloned();
    let claims = jws
        .verify_with_any(signer.keys.candidates(kid.as_ref(), algorithm))
        .map_err(|_| SignedRequestFlaw::Signature)?;
    let text = |name| claims.text(name).map_err(|_| SignedRequestFlaw::Malformed);
    if text("iss")? != Some(signer.client.as_str()) {
        return Err(SignedRequestFlaw::Issuer);
    }
    // An assertion that was stripped of its `typ` names its client here.
    if text("sub")? == Some(signer.client.as_str()) {
        return Err(SignedRequestFlaw::Typ);
    }
    let audience = claims
        .strings("aud")
        .map_err(|_| SignedRequestFlaw::Malformed)?
        .unwrap_or_default();
    if !audience.contains(&signer.issuer.as_str()) {
        return Err(SignedRequestFlaw::Audience);
    }
    let expires = check_times(&claims, now)?;
    let jti = text("jti")?
        .filter(|jti| !jti.is_empty() && jti.len() <= JTI_BYTES_MAX)
        .ok_or(SignedRequestFlaw::Jti)?;
    let owner = [
        signer.tenant.as_str().as_bytes(),
        signer.client.as_str().as_bytes(),
    ];
    let forgotten = expires.plus(Duration::from_secs(1));
    let entry = ReplayEntry::new(ReplayKind::SignedRequest, &owner, jti, forgotten);
    Ok(Unspent::new(claims, vec![entry]))
}

fn check_times(claims: &Verified<Claims>, now: UnixTime) -> Result<UnixTime, SignedRequestFlaw> {
    let time = |name| claims.time(name).map_err(|_| SignedRequestFlaw::Malformed);
    let ahead_max = now.plus(limits::CLIENT_SKEW_AHEAD);
    let begins = time("nbf")?
        .filter(|begins| *begins <= ahead_max && begins.plus(LIFETIME_MAX) >= now)
        .ok_or(SignedRequestFlaw::NotBefore)?;
    time("iat")?
        .filter(|issued| *issued <= ahead_max)
        .ok_or(SignedRequestFlaw::IssuedAt)?;
    let expires = time("exp")?
        .filter(|expires| *expires > now)
        .ok_or(SignedRequestFlaw::Expired)?;
    if expires > begins.plus(LIFETIME_MAX) {
        return Err(SignedRequestFlaw::LivesTooLong);
    }
    Ok(expires)
}

#[cfg(test)]
mod tests;
