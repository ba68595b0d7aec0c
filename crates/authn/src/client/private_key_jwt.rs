//! `private_key_jwt`: an assertion that the client signs (RFC 7521 §4.2, RFC 7523 §2.2), with the rules of FAPI 2.0 §5.3.2.1.
//!
//! `iss` and `sub` are the client, `aud` is our issuer as one string and nothing else, `exp` and an unused `jti` are there, `iat` and `nbf` lie at
//! most ten seconds ahead. `typ` keeps other JWTs of the client, request objects above all, from passing for an assertion.

use super::{ClientReason, ClientRefusal, ClientRules, Credential, Method, Registration, Shown};
use crate::replay::{ReplayEntry, ReplayKind};
use countersign_base::{ClientId, Conditional, Duration, UnixTime, limits};
use countersign_crypto::jose::{Algorithm, Claims, Jws};
use countersign_crypto::{Unverified, Verified};

/// What an assertion may be signed with (FAPI 2.0 §5.4).
pub const ASSERTION_ALGORITHMS: [Algorithm; 3] =
    [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256];
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far ahead `exp` may lie: for as long its `jti` is remembered.
const LIFETIME_MAX: Duration = Duration::from_secs(3600);
/// Bytes of a `jti`.
const JTI_BYTES_MAX: usize = 256;

pub(super) fn read(
    shown: &Shown<'_>,
) -> Result<Conditional<(ClientId, Credential), ()>, ClientRefusal> {
    let refuse = |reason| shown.refuse(reason);
    let assertion = match (
        shown.form.get("client_assertion"),
        shown.form.get("client_assertion_type"),
    ) {
        (None, None) => return Ok(Conditional::Absent(())),
        (Some(assertion), Some(ASSERTION_TYPE)) => assertion,
        (Some(_), Some(_)) => return Err(refuse(ClientReason::MethodUnknown)),
        (Some(_), None) | (None, Some(_)) => return Err(refuse(ClientReason::AssertionIncomplete)),
    };
    let jws = Jws::parse(assertion).map_err(|_| refuse(ClientReason::AssertionMalformed))?;
    let subject = jws
        .danger_unverified_claims()
        .text("sub")
        .map_err(|_| refuse(ClientReason::AssertionMalformed))?;
    let id = subject.ok_or_else(|| refuse(ClientReason::AssertionSubjectMismatch))?;
    let id = id
        .parse()
        .map_err(|_| refuse(ClientReason::ClientIdMalformed))?;
    Ok(Conditional::Present((
        id,
        Credential::Assertion(Box::new(jws)),
    )))
}

pub(super) fn check(
    assertion: Unverified<Jws>,
    id: &ClientId,
    registration: Option<&Registration>,
    rules: &ClientRules<'_>,
    now: UnixTime,
) -> Result<Vec<ReplayEntry>, ClientReason> {
    let registration = registration.ok_or(ClientReason::ClientUnknown)?;
    let keys = match &registration.method {
        Method::Keys(keys) => keys,
        Method::Certificates(_)
        | Method::PostedSecret(_)
        | Method::Public
        | Method::Secret(_)
        | Method::TlsSubject(_)
        | Method::Workload(_) => return Err(ClientReason::MethodNotRegistered),
    };
    let header = assertion.header();
    if header.typ().is_some()
        && !header.is_typ("JWT")
        && !header.is_typ("client-authentication+jwt")
    {
        return Err(ClientReason::AssertionTypMismatch);
    }
    let algorithm = header.algorithm();
    if !ASSERTION_ALGORITHMS.contains(&algorithm) {
        return Err(ClientReason::AssertionAlgorithmNotAllowed);
    }
    let kid = header.kid().cloned();
    let candidates = keys.candidates(kid.as_ref(), algorithm);
    let claims = assertion
        .verify_with_any(candidates)
        .map_err(|_| ClientReason::AssertionSignatureInvalid)?;
    for name in ["iss", "sub"] {
        if text(&claims, name)? != Some(id.as_str()) {
            return Err(ClientReason::AssertionSubjectMismatch);
        }
    }
    // A string: an array is refused even with one member (CA-6), because a second audience is a second place to replay it.
    if claims.text("aud").ok().flatten() != Some(rules.audience.as_str()) {
        return Err(ClientReason::AssertionAudienceMismatch);
    }
    let expires = check_times(&claims, now)?;
    let jti = text(&claims, "jti")?.filter(|jti| !jti.is_empty() && jti.len() <= JTI_BYTES_MAX);
    let jti = jti.ok_or(ClientReason::AssertionJtiMissing)?;
    let owner = [
        registration.tenant.as_str().as_bytes(),
        id.as_str().as_bytes(),
    ];
    Ok(vec![ReplayEntry::new(
        ReplayKind::ClientAssertion,
        &owner,
        jti,
        expires.plus(Duration::from_secs(1)),
    )])
}

fn text<'a>(
    claims: &'a Verified<Claims>,
    name: &'static str,
) -> Result<Option<&'a str>, ClientReason> {
    claims
        .text(name)
        .map_err(|_| ClientReason::AssertionMalformed)
}

fn check_times(claims: &Verified<Claims>, now: UnixTime) -> Result<UnixTime, ClientReason> {
    let time = |name| {
        claims
            .time(name)
            .map_err(|_| ClientReason::AssertionMalformed)
    };
    let expires = time("exp")?.ok_or(ClientReason::AssertionExpMissing)?;
    if expires <= now {
        return Err(ClientReason::AssertionExpired);
    }
    if expires > now.plus(LIFETIME_MAX) {
        return Err(ClientReason::AssertionLivesTooLong);
    }
    let ahead_max = now.plus(limits::CLIENT_SKEW_AHEAD);
    if time("iat")?.is_some_and(|issued| issued > ahead_max)
        || time("nbf")?.is_some_and(|not_before| not_before > ahead_max)
    {
        return Err(ClientReason::AssertionAhead);
    }
    Ok(expires)
}
