//! Proofs of possession in the header `DPoP` (RFC 9449 §4), at the authorization server and at resources.
//!
//! The checks are those of §4.3 in that section's order. A proof is judged once and never cached: it ends in an [`Unspent`], whose one-time
//! value is the pair of key and `jti`.
//!
//! Not here: whether a proof is due (see [`crate::prove`] for tokens with `cnf.jkt`; the authorization server decides for clients).

mod htu;
mod nonce;
mod reason;

pub use htu::{Htu, HtuError};
pub use nonce::{Nonce, NoncePolicy, NonceUse, Nonces};
pub use reason::{DpopReason, DpopRefusal};

use crate::Unspent;
use crate::access_token::TokenHash;
use crate::credential::single_header;
use crate::replay::{ReplayEntry, ReplayKind};
use countersign_base::{Conditional, Duration, UnixTime, limits};
use countersign_crypto::jose::{Algorithm, Claims, JwkThumbprint, Jws, VerifyingKey};
use countersign_crypto::{Unverified, Verified};
use http::{HeaderMap, HeaderName, Method};

/// The header that carries a proof.
pub const DPOP_HEADER: HeaderName = HeaderName::from_static("dpop");
/// The header that carries a nonce for the next proof (RFC 9449 §8).
pub const DPOP_NONCE_HEADER: HeaderName = HeaderName::from_static("dpop-nonce");
/// What a proof may be signed with: FAPI 2.0 §5.4 without RS256.
pub const PROOF_ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256];
/// `PROOF_ALGORITHMS` as a challenge lists them (RFC 9449 §7.1).
pub const PROOF_ALGORITHM_NAMES: &str = "EdDSA ES256 PS256";
/// Bytes of a `jti`.
const JTI_BYTES_MAX: usize = 256;

/// Why a request carries no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoProof {
    /// There is no `DPoP` header.
    NoHeader,
}

/// A proof that was parsed and not yet judged.
pub struct DpopProof {
    jws: Unverified<Jws>,
    key: VerifyingKey,
    thumbprint: JwkThumbprint,
    method: Method,
    target: Htu,
}

impl DpopProof {
    /// The thumbprint of the key that the proof claims.
    #[must_use]
    pub const fn thumbprint(&self) -> &JwkThumbprint {
        &self.thumbprint
    }
}

impl std::fmt::Debug for DpopProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DpopProof({})", self.thumbprint)
    }
}

/// What a proof stands beside.
#[derive(Debug, Clone, Copy)]
pub enum ProofUse<'a> {
    /// A request to the authorization server, which carries no access token.
    AtServer,
    /// An access token: the proof must name its hash (`ath`).
    WithToken(&'a TokenHash),
}

/// Evidence that the sender of a request holds a private key.
#[derive(Debug)]
#[must_use]
pub struct DpopKey(JwkThumbprint);

impl DpopKey {
    /// The key's thumbprint (RFC 7638).
    #[must_use]
    pub const fn thumbprint(&self) -> &JwkThumbprint {
        &self.0
    }
}

/// Takes the proof out of a request's headers. `target_uri` is the address of the request as its sender knows it: scheme, authority and path.
///
/// # Errors
/// When there are two proofs, or one that is none (RFC 9449 §4.3, checks 1 to 5 and 7).
pub fn demand(
    headers: &HeaderMap,
    method: &Method,
    target_uri: &str,
) -> Result<Conditional<DpopProof, NoProof>, DpopRefusal> {
    let header = match single_header(headers, &DPOP_HEADER) {
        Conditional::Absent(()) => return Ok(Conditional::Absent(NoProof::NoHeader)),
        Conditional::Present(Ok(header)) => header,
        Conditional::Present(Err(())) => return Err(DpopReason::Repeated.into()),
    };
    let target = Htu::parse(target_uri).map_err(|_| DpopReason::HtuMismatch)?;
    let jws = Jws::parse(header).map_err(|_| DpopReason::Malformed)?;
    let header = jws.header();
    if !header.is_typ("dpop+jwt") {
        return Err(DpopReason::TypMismatch.into());
    }
    let algorithm = header.algorithm();
    if !PROOF_ALGORITHMS.contains(&algorithm) {
        return Err(DpopReason::AlgorithmNotAllowed.into());
    }
    let jwk = header
        .jwk()
        .map_err(|_| DpopReason::JwkUnusable)?
        .ok_or(DpopReason::JwkMissing)?;
    let thumbprint = jwk.thumbprint();
    let key = VerifyingKey::new(&jwk, algorithm, None).map_err(|_| DpopReason::JwkUnusable)?;
    Ok(Conditional::Present(DpopProof {
        jws,
        key,
        thumbprint,
        method: method.clone(),
        target,
    }))
}

/// Judges a proof.
///
/// # Errors
/// When a check of RFC 9449 §4.3 fails, or when a nonce is required and the proof has none of ours.
pub fn prove(
    proof: DpopProof,
    proof_use: ProofUse<'_>,
    nonces: NoncePolicy<'_>,
    now: UnixTime,
) -> Result<Unspent<DpopKey>, DpopRefusal> {
    let claims = proof
        .jws
        .verify(&proof.key)
        .map_err(|_| DpopReason::SignatureInvalid)?;
    if required_text(&claims, "htm", DpopReason::HtmMissing)? != proof.method.as_str() {
        return Err(DpopReason::HtmMismatch.into());
    }
    let htu = Htu::parse(required_text(&claims, "htu", DpopReason::HtuMissing)?)
        .map_err(|_| DpopReason::HtuMismatch)?;
    if htu != proof.target {
        return Err(DpopReason::HtuMismatch.into());
    }
    if let ProofUse::WithToken(token) = proof_use
        && required_text(&claims, "ath", DpopReason::AthMissing)? != token.to_base64url()
    {
        return Err(DpopReason::AthMismatch.into());
    }
    let issued_at = check_times(&claims, now)?;
    let jti = required_text(&claims, "jti", DpopReason::JtiMissing)?;
    if jti.is_empty() || jti.len() > JTI_BYTES_MAX {
        return Err(DpopReason::JtiMissing.into());
    }
    if let NoncePolicy::Required(nonces) = nonces {
        let nonce = claims.text("nonce").map_err(|_| DpopReason::Malformed)?;
        nonces.check(nonce, now)?;
    }
    let kind = match proof_use {
        ProofUse::AtServer => ReplayKind::ProofAtServer,
        ProofUse::WithToken(_) => ReplayKind::ProofWithToken,
    };
    let expires = issued_at
        .plus(limits::DPOP_PROOF_AGE_MAX)
        .plus(Duration::from_secs(1));
    let entry = ReplayEntry::new(
        kind,
        &[proof.thumbprint.to_string().as_bytes()],
        jti,
        expires,
    );
    Ok(Unspent::new(DpopKey(proof.thumbprint), vec![entry]))
}

fn required_text<'a>(
    claims: &'a Verified<Claims>,
    name: &'static str,
    missing: DpopReason,
) -> Result<&'a str, DpopRefusal> {
    claims
        .text(name)
        .map_err(|_| DpopReason::Malformed)?
        .ok_or_else(|| missing.into())
}

/// `iat` within its window; `nbf` and `exp`, which a proof need not have, if it has them.
fn check_times(claims: &Verified<Claims>, now: UnixTime) -> Result<UnixTime, DpopRefusal> {
    let time = |name| {
        claims
            .time(name)
            .map_err(|_| DpopRefusal::from(DpopReason::Malformed))
    };
    let issued_at = time("iat")?.ok_or(DpopReason::IatMissing)?;
    let ahead_max = now.plus(limits::CLIENT_SKEW_AHEAD);
    if issued_at > ahead_max {
        return Err(DpopReason::IatAhead.into());
    }
    if issued_at < now.minus(limits::DPOP_PROOF_AGE_MAX) {
        return Err(DpopReason::IatTooOld.into());
    }
    if time("nbf")?.is_some_and(|not_before| not_before > ahead_max) {
        return Err(DpopReason::IatAhead.into());
    }
    if time("exp")?.is_some_and(|expires| expires <= now) {
        return Err(DpopReason::IatTooOld.into());
    }
    Ok(issued_at)
}

#[cfg(test)]
mod tests;
