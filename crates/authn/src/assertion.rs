//! Assertions as authorization grants (RFC 7521 §4.1, RFC 7523 §2.1), and identity assertion grants (ID-JAG, draft-ietf-oauth-identity-assertion-authz-grant).
//!
//! An issuer that the tenant trusts says who a person is; a rule of the configuration says which of our people that is. An assertion is addressed to our
//! issuer identifier alone, lives for minutes, and is spent by the transaction that issues a token for it. One that names a client is worth something to
//! that client only; an identity assertion always names one.
//!
//! Not here: scopes, audiences and whether the person may still do anything (`oauth`), and where the issuer's keys come from.

use crate::replay::{ReplayEntry, ReplayKind};
use crate::resource::KeyAnswer;
use crate::trust::{
    AssertionFault, Audiences, ForeignIssuer, ForeignKeyNeeded, ForeignUse, IssuerName, issuer_of,
    verify,
};
use crate::{Unspent, trust};
use countersign_base::{
    Audience, ClientId, Duration, Issuer, Scopes, Tenant, UnixTime, Username, limits,
};
use countersign_crypto::jose::{Claims, Jws};
use countersign_crypto::{Unverified, Verified};
use std::fmt;

/// The `typ` of an identity assertion.
pub const ID_JAG_TYP: &str = "oauth-id-jag+jwt";
/// Bytes of a `jti`.
const JTI_BYTES_MAX: usize = 256;

/// What kind of assertion it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssertionKind {
    /// RFC 7523 §2.1.
    AuthorizationGrant,
    /// An identity assertion authorization grant.
    IdentityAssertion,
}

/// An assertion that was presented in form, by an issuer of the tenant's list.
pub struct AssertionDemand {
    jws: Unverified<Jws>,
    issuer: ForeignIssuer,
    kind: AssertionKind,
}

impl AssertionDemand {
    /// The key that its signature demands.
    #[must_use]
    pub fn key(&self) -> ForeignKeyNeeded {
        ForeignKeyNeeded::of(&self.jws, &self.issuer)
    }
}

impl fmt::Debug for AssertionDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssertionDemand({}, {:?})", self.issuer.name, self.kind)
    }
}

/// Reads an assertion.
///
/// # Errors
/// When it is no JWT, of another kind, or of an issuer that the tenant does not know or has switched off.
pub fn demand(
    assertion: &str,
    issuers: &[ForeignIssuer],
) -> Result<AssertionDemand, AssertionFault> {
    if assertion.len() > limits::TOKEN_BYTES_MAX {
        return Err(AssertionFault::Malformed);
    }
    let jws = Jws::parse(assertion).map_err(|_| AssertionFault::Malformed)?;
    let header = jws.header();
    let kind = if header.is_typ(ID_JAG_TYP) {
        AssertionKind::IdentityAssertion
    } else if header.typ().is_none() || header.is_typ("JWT") {
        AssertionKind::AuthorizationGrant
    } else {
        return Err(AssertionFault::TypMismatch);
    };
    let issuer = issuer_of(issuers, jws.danger_unverified_claims())
        .ok_or(AssertionFault::IssuerUnknown)?
        .clone();
    // Before anybody fetches a key for it.
    if issuer.state == trust::IssuerState::Disabled {
        return Err(AssertionFault::IssuerDisabled);
    }
    if !issuer.algorithms.contains(&jws.header().algorithm()) {
        return Err(AssertionFault::AlgorithmNotAllowed);
    }
    Ok(AssertionDemand { jws, issuer, kind })
}

/// Who asks whom.
#[derive(Debug, Clone, Copy)]
pub struct AssertionRules<'a> {
    /// Our issuer identifier: the one audience of an assertion.
    pub audience: &'a Issuer,
    /// The tenant.
    pub tenant: &'a Tenant,
    /// The client that presents it.
    pub client: &'a ClientId,
}

/// An assertion that holds, about one of our people.
#[derive(Clone, PartialEq, Eq)]
pub struct GrantAssertion {
    /// What the configuration calls its issuer.
    pub issuer: IssuerName,
    /// What kind it is.
    pub kind: AssertionKind,
    /// Whom it is about, to us.
    pub user: Username,
    /// The scopes that it is limited to, if it is.
    pub scopes: Option<Scopes>,
    /// The audiences that it is limited to, if it is.
    pub resources: Option<Vec<Audience>>,
    /// When the person proved to its issuer who they are, if it says so.
    pub auth_time: Option<UnixTime>,
    /// When it expires.
    pub expires: UnixTime,
}

/// A person's name is in it, so only the issuer is shown.
impl fmt::Debug for GrantAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantAssertion({}, {:?})", self.issuer, self.kind)
    }
}

/// Judges an assertion. What comes out is spent by the store's transaction.
///
/// # Errors
/// When the signature, the claims, the times or the mapping say no, or when it cannot be told.
pub fn prove(
    demand: AssertionDemand,
    key: KeyAnswer,
    rules: &AssertionRules<'_>,
    now: UnixTime,
) -> Result<Unspent<GrantAssertion>, AssertionFault> {
    let AssertionDemand { jws, issuer, kind } = demand;
    let foreign_use = match kind {
        AssertionKind::AuthorizationGrant => ForeignUse::AuthorizationGrant,
        AssertionKind::IdentityAssertion => ForeignUse::IdentityAssertion,
    };
    let audience = Audiences(rules.audience.as_str());
    let verified = verify(jws, &issuer, foreign_use, key, audience, now)?;
    let claims = &verified.claims;
    check_client(claims, kind, rules.client)?;
    let jti = text(claims, "jti")?.filter(|jti| !jti.is_empty() && jti.len() <= JTI_BYTES_MAX);
    let jti = jti.ok_or(AssertionFault::JtiMissing)?;
    let user = issuer
        .user_of(claims)
        .ok_or(AssertionFault::SubjectUnknown)?
        .clone();
    // The name of an issuer is unique in its tenant, so no issuer can use up another's values.
    let owner = [
        rules.tenant.as_str().as_bytes(),
        issuer.name.as_str().as_bytes(),
    ];
    let entry = ReplayEntry::new(
        ReplayKind::GrantAssertion,
        &owner,
        jti,
        verified.expires.plus(Duration::from_secs(1)),
    );
    let assertion = GrantAssertion {
        issuer: issuer.name.clone(),
        kind,
        user,
        scopes: scopes(claims)?,
        resources: resources(claims)?,
        auth_time: auth_time(claims, now)?,
        expires: verified.expires,
    };
    Ok(Unspent::new(assertion, vec![entry]))
}

fn text<'a>(
    claims: &'a Verified<Claims>,
    name: &'static str,
) -> Result<Option<&'a str>, AssertionFault> {
    claims.text(name).map_err(|_| AssertionFault::Malformed)
}

/// An identity assertion must name its client (§ 5.1 of the draft); another one may, and is then good for nobody else.
fn check_client(
    claims: &Verified<Claims>,
    kind: AssertionKind,
    client: &ClientId,
) -> Result<(), AssertionFault> {
    match (kind, text(claims, "client_id")?) {
        (_, Some(named)) if named == client.as_str() => Ok(()),
        (AssertionKind::AuthorizationGrant, None) => Ok(()),
        (AssertionKind::IdentityAssertion, None) | (_, Some(_)) => {
            Err(AssertionFault::ClientMismatch)
        }
    }
}

fn scopes(claims: &Verified<Claims>) -> Result<Option<Scopes>, AssertionFault> {
    text(claims, "scope")?
        .map(str::parse)
        .transpose()
        .map_err(|_| AssertionFault::Malformed)
}

fn resources(claims: &Verified<Claims>) -> Result<Option<Vec<Audience>>, AssertionFault> {
    let named = claims
        .strings("resource")
        .map_err(|_| AssertionFault::Malformed)?;
    named
        .map(|named| named.into_iter().map(str::parse).collect())
        .transpose()
        .map_err(|_| AssertionFault::Malformed)
}

fn auth_time(claims: &Verified<Claims>, now: UnixTime) -> Result<Option<UnixTime>, AssertionFault> {
    let claimed = claims
        .time("auth_time")
        .map_err(|_| AssertionFault::Malformed)?;
    Ok(claimed.map(|at| at.min(now)))
}

#[cfg(test)]
mod tests;
