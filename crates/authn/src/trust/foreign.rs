//! A JWT of a foreign issuer: its signature, whom it is from, whom it is for, and when (RFC 7523 §3, JWT-SVID §3 and §4).
//!
//! The key is the configured issuer's own, for an algorithm of its list: what the token's header says can only agree (TX-15). Not here: what the token
//! may be used for, and who its subject is to us.

use super::{ForeignIssuer, ForeignUse, IssuerName, IssuerState, Profile, SpiffeId};
use crate::resource::KeyAnswer;
use countersign_base::{Kid, UnixTime, limits};
use countersign_crypto::jose::{Algorithm, Claims, Jws};
use countersign_crypto::{Unverified, Verified};

/// Which key a foreign token's signature demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKeyNeeded {
    /// Whose.
    pub issuer: IssuerName,
    /// Which.
    pub kid: Option<Kid>,
    /// For what.
    pub algorithm: Algorithm,
}

impl ForeignKeyNeeded {
    pub(crate) fn of(jws: &Unverified<Jws>, issuer: &ForeignIssuer) -> Self {
        let header = jws.header();
        Self {
            issuer: issuer.name.clone(),
            kid: header.kid().cloned(),
            algorithm: header.algorithm(),
        }
    }
}

/// Why a token of a foreign issuer is not believed. For the log; the caller hears one text for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AssertionFault {
    /// `iat` or `nbf` lies ahead.
    Ahead,
    /// Not one of the issuer's algorithms.
    AlgorithmNotAllowed,
    /// Addressed to somebody else, or to somebody else too.
    AudienceMismatch,
    /// It was made for another client.
    ClientMismatch,
    /// No `exp`.
    ExpMissing,
    /// `exp` is over.
    Expired,
    /// The issuer is switched off.
    IssuerDisabled,
    /// No issuer of the tenant's list.
    IssuerUnknown,
    /// No `jti`, an empty or an oversized one.
    JtiMissing,
    /// The issuer has no such key, or the token names none of several.
    KeyUnknown,
    /// The issuer's keys cannot be had now.
    KeysUnavailable,
    /// `exp` lies further ahead than the issuer may look.
    LivesTooLong,
    /// Not a JWT, or one with a claim of the wrong type.
    Malformed,
    /// The issuer is not believed for this.
    NotAccepted,
    /// The signature does not hold.
    SignatureInvalid,
    /// `sub` is not there, or not of the issuer's form.
    SubjectMalformed,
    /// No rule says who the subject is to us.
    SubjectUnknown,
    /// `typ` is that of another kind of JWT.
    TypMismatch,
}

impl AssertionFault {
    /// The fault as the log names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ahead => "foreign_token_ahead",
            Self::AlgorithmNotAllowed => "foreign_token_algorithm_not_allowed",
            Self::AudienceMismatch => "foreign_token_audience_mismatch",
            Self::ClientMismatch => "foreign_token_client_mismatch",
            Self::ExpMissing => "foreign_token_exp_missing",
            Self::Expired => "foreign_token_expired",
            Self::IssuerDisabled => "foreign_issuer_disabled",
            Self::IssuerUnknown => "foreign_issuer_unknown",
            Self::JtiMissing => "foreign_token_jti_missing",
            Self::KeyUnknown => "foreign_token_key_unknown",
            Self::KeysUnavailable => "foreign_keys_unavailable",
            Self::LivesTooLong => "foreign_token_lives_too_long",
            Self::Malformed => "foreign_token_malformed",
            Self::NotAccepted => "foreign_issuer_not_accepted_for_this",
            Self::SignatureInvalid => "foreign_token_signature_invalid",
            Self::SubjectMalformed => "foreign_token_subject_malformed",
            Self::SubjectUnknown => "foreign_token_subject_unknown",
            Self::TypMismatch => "foreign_token_typ_mismatch",
        }
    }
}

/// To whom a token must be addressed: exactly this, as a string or as a list of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audiences<'a>(pub(crate) &'a str);

/// A token that its issuer signed, for us, now.
pub(crate) struct ForeignClaims {
    pub(crate) claims: Verified<Claims>,
    pub(crate) expires: UnixTime,
}

/// Verifies a token with what the shell found for it.
pub(crate) fn verify(
    jws: Unverified<Jws>,
    issuer: &ForeignIssuer,
    foreign_use: ForeignUse,
    key: KeyAnswer,
    audience: Audiences<'_>,
    now: UnixTime,
) -> Result<ForeignClaims, AssertionFault> {
    if issuer.state == IssuerState::Disabled {
        return Err(AssertionFault::IssuerDisabled);
    }
    if !issuer.uses.contains(&foreign_use) {
        return Err(AssertionFault::NotAccepted);
    }
    if !issuer.algorithms.contains(&jws.header().algorithm()) {
        return Err(AssertionFault::AlgorithmNotAllowed);
    }
    let key = match key {
        KeyAnswer::Key(key) => key,
        KeyAnswer::Unavailable => return Err(AssertionFault::KeysUnavailable),
        KeyAnswer::Unknown => return Err(AssertionFault::KeyUnknown),
    };
    let claims = jws
        .verify(&key)
        .map_err(|_| AssertionFault::SignatureInvalid)?;
    check_issuer(&claims, issuer)?;
    check_audience(&claims, audience)?;
    let expires = check_times(&claims, issuer, now)?;
    Ok(ForeignClaims { claims, expires })
}

/// The key was chosen by these claims; after the signature holds, they must say the same.
fn check_issuer(claims: &Verified<Claims>, issuer: &ForeignIssuer) -> Result<(), AssertionFault> {
    let text = |name| claims.text(name).map_err(|_| AssertionFault::Malformed);
    let subject = text("sub")?
        .filter(|subject| !subject.is_empty())
        .ok_or(AssertionFault::SubjectMalformed)?;
    match (issuer.issuer(), text("iss")?) {
        (Some(expected), found) if found != Some(expected) => {
            return Err(AssertionFault::IssuerUnknown);
        }
        (Some(_), Some(_) | None) | (None, _) => {}
    }
    match &issuer.profile {
        Profile::Jwt { .. } => Ok(()),
        Profile::Kubernetes { .. } => check_service_account(claims, subject),
        Profile::Spiffe { trust_domain, .. } => {
            let id: SpiffeId = subject
                .parse()
                .map_err(|_| AssertionFault::SubjectMalformed)?;
            if id.trust_domain() == trust_domain {
                Ok(())
            } else {
                Err(AssertionFault::IssuerUnknown)
            }
        }
    }
}

/// `system:serviceaccount:NAMESPACE:NAME`, and the claim `kubernetes.io` says the same where it is there.
fn check_service_account(claims: &Verified<Claims>, subject: &str) -> Result<(), AssertionFault> {
    let account = subject
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'))
        .filter(|(namespace, name)| {
            !namespace.is_empty() && !name.is_empty() && !name.contains(':')
        });
    let (namespace, name) = account.ok_or(AssertionFault::SubjectMalformed)?;
    let Some(private) = claims
        .object("kubernetes.io")
        .map_err(|_| AssertionFault::Malformed)?
    else {
        return Ok(());
    };
    let said = (
        private.get("namespace").and_then(|value| value.as_str()),
        private
            .get("serviceaccount")
            .and_then(|account| account.get("name"))
            .and_then(|value| value.as_str()),
    );
    if said == (Some(namespace), Some(name)) {
        Ok(())
    } else {
        Err(AssertionFault::SubjectMalformed)
    }
}

/// A second audience is a second place that could replay the token here.
fn check_audience(
    claims: &Verified<Claims>,
    Audiences(expected): Audiences<'_>,
) -> Result<(), AssertionFault> {
    let named = claims
        .strings("aud")
        .map_err(|_| AssertionFault::Malformed)?
        .unwrap_or_default();
    if named == [expected] {
        Ok(())
    } else {
        Err(AssertionFault::AudienceMismatch)
    }
}

fn check_times(
    claims: &Verified<Claims>,
    issuer: &ForeignIssuer,
    now: UnixTime,
) -> Result<UnixTime, AssertionFault> {
    let time = |name| claims.time(name).map_err(|_| AssertionFault::Malformed);
    let expires = time("exp")?.ok_or(AssertionFault::ExpMissing)?;
    if expires <= now {
        return Err(AssertionFault::Expired);
    }
    if expires > now.plus(issuer.lifetime_max()) {
        return Err(AssertionFault::LivesTooLong);
    }
    let ahead_max = now.plus(limits::CLIENT_SKEW_AHEAD);
    if time("iat")?.is_some_and(|issued| issued > ahead_max)
        || time("nbf")?.is_some_and(|not_before| not_before > ahead_max)
    {
        return Err(AssertionFault::Ahead);
    }
    Ok(expires)
}
