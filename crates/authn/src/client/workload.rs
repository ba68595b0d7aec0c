//! Workloads that show what their platform gave them: `spiffe_jwt`, a JWT-SVID (draft-ietf-oauth-spiffe-client-auth), and `federated_jwt`, the
//! token of a Kubernetes service account or of another issuer whose `sub` is not our client id (RFC 7523 §3).
//!
//! Who the subject is to us, the tenant's list of issuers says; `client_id` may be left out, and must agree where it is sent. Such a token is shown
//! again and again for as long as it lives, so it is not spent; its issuer bounds its life, and its audience is this server alone.

use super::{ClientReason, ClientRefusal, ClientRules, Credential, Method, Registration, Shown};
use crate::resource::KeyAnswer;
use crate::trust::{
    Audiences, ForeignIssuer, ForeignKeyNeeded, ForeignUse, IssuerState, Profile, issuer_of, verify,
};
use countersign_base::{Bounded, ClientId, Conditional, UnixTime};
use countersign_crypto::Unverified;
use countersign_crypto::jose::Jws;

const SPIFFE_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
const BEARER_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A token that was presented in form, by an issuer of the tenant's list.
pub(super) struct WorkloadToken {
    jws: Unverified<Jws>,
    issuer: ForeignIssuer,
    pub(super) answer: KeyAnswer,
}

impl WorkloadToken {
    pub(super) fn key(&self) -> ForeignKeyNeeded {
        ForeignKeyNeeded::of(&self.jws, &self.issuer)
    }
}

type Found = Result<Conditional<(ClientId, Credential), ()>, ClientRefusal>;

/// A JWT-SVID by its assertion type, or by the trust domain that it comes from.
pub(super) fn read_svid(shown: &Shown<'_>) -> Found {
    match (
        shown.form.get("client_assertion"),
        shown.form.get("client_assertion_type"),
    ) {
        (Some(assertion), Some(SPIFFE_TYPE)) => match of_workload(shown, assertion)? {
            Conditional::Present((issuer, jws)) if is_spiffe(issuer) => found(shown, issuer, jws),
            Conditional::Present(_) | Conditional::Absent(()) => Err(shown.refuse(
                ClientReason::Foreign(crate::trust::AssertionFault::IssuerUnknown),
            )),
        },
        (Some(assertion), Some(BEARER_TYPE)) => match of_workload(shown, assertion)? {
            Conditional::Present((issuer, jws)) if is_spiffe(issuer) => found(shown, issuer, jws),
            Conditional::Present(_) | Conditional::Absent(()) => Ok(Conditional::Absent(())),
        },
        (_, _) => Ok(Conditional::Absent(())),
    }
}

/// Another workload's token, under the assertion type that it shares with `private_key_jwt`.
pub(super) fn read_token(shown: &Shown<'_>) -> Found {
    match (
        shown.form.get("client_assertion"),
        shown.form.get("client_assertion_type"),
    ) {
        (Some(assertion), Some(BEARER_TYPE)) => match of_workload(shown, assertion)? {
            Conditional::Present((issuer, jws)) if !is_spiffe(issuer) => found(shown, issuer, jws),
            Conditional::Present(_) | Conditional::Absent(()) => Ok(Conditional::Absent(())),
        },
        (_, _) => Ok(Conditional::Absent(())),
    }
}

const fn is_spiffe(issuer: &ForeignIssuer) -> bool {
    match issuer.profile {
        Profile::Spiffe { .. } => true,
        Profile::Jwt { .. } | Profile::Kubernetes { .. } => false,
    }
}

/// An assertion of an issuer of the list. One whose issuer and subject are the same is the client's own.
fn of_workload<'a>(
    shown: &Shown<'a>,
    assertion: &str,
) -> Result<Conditional<(&'a ForeignIssuer, Unverified<Jws>), ()>, ClientRefusal> {
    if shown.trust.issuers.is_empty() {
        return Ok(Conditional::Absent(()));
    }
    let jws = Jws::parse(assertion).map_err(|_| shown.refuse(ClientReason::AssertionMalformed))?;
    let claims = jws.danger_unverified_claims();
    let text = |name| claims.text(name).ok().flatten();
    if text("iss").is_some() && text("iss") == text("sub") {
        return Ok(Conditional::Absent(()));
    }
    Ok(match issuer_of(&shown.trust.issuers, claims) {
        None => Conditional::Absent(()),
        Some(issuer) => Conditional::Present((issuer, jws)),
    })
}

fn found(shown: &Shown<'_>, issuer: &ForeignIssuer, jws: Unverified<Jws>) -> Found {
    let refuse = |fault| shown.refuse(ClientReason::Foreign(fault));
    // Before anybody fetches a key for it.
    if issuer.state == IssuerState::Disabled {
        return Err(refuse(crate::trust::AssertionFault::IssuerDisabled));
    }
    if !issuer.algorithms.contains(&jws.header().algorithm()) {
        return Err(refuse(crate::trust::AssertionFault::AlgorithmNotAllowed));
    }
    let subject = jws.danger_unverified_claims().text("sub").ok().flatten();
    let id = subject
        .and_then(|subject| issuer.client_of(subject))
        .ok_or_else(|| refuse(crate::trust::AssertionFault::SubjectUnknown))?
        .clone();
    let token = WorkloadToken {
        jws,
        issuer: issuer.clone(),
        answer: KeyAnswer::Unknown,
    };
    Ok(Conditional::Present((
        id,
        Credential::Workload(Box::new(token)),
    )))
}

pub(super) fn check(
    token: WorkloadToken,
    id: &ClientId,
    registration: Option<&Registration>,
    rules: &ClientRules<'_>,
    now: UnixTime,
) -> Result<(), ClientReason> {
    let WorkloadToken {
        jws,
        issuer,
        answer,
    } = token;
    let registration = registration.ok_or(ClientReason::ClientUnknown)?;
    match &registration.method {
        Method::Workload(registered) if *registered == issuer.name => {}
        Method::Certificates(_)
        | Method::Keys(_)
        | Method::PostedSecret(_)
        | Method::Public
        | Method::Secret(_)
        | Method::TlsSubject(_)
        | Method::Workload(_) => return Err(ClientReason::MethodNotRegistered),
    }
    if !has_fitting_typ(&jws, &issuer) {
        return Err(ClientReason::AssertionTypMismatch);
    }
    let audience = issuer
        .audience
        .as_ref()
        .map_or(rules.audience.as_str(), Bounded::as_str);
    let verified = verify(
        jws,
        &issuer,
        ForeignUse::ClientAuthentication,
        answer,
        Audiences(audience),
        now,
    )
    .map_err(ClientReason::Foreign)?;
    let subject = verified.claims.text("sub").ok().flatten();
    if subject.and_then(|subject| issuer.client_of(subject)) == Some(id) {
        Ok(())
    } else {
        Err(ClientReason::AssertionSubjectMismatch)
    }
}

/// A JWT-SVID's header holds `alg`, `kid` and `typ`, which is `JWT` or `JOSE`, and nothing else (JWT-SVID §2); every other kind of JWT of the same issuer is
/// none.
fn has_fitting_typ(jws: &Unverified<Jws>, issuer: &ForeignIssuer) -> bool {
    let header = jws.header();
    let svid = is_spiffe(issuer);
    let typ = header.typ().is_none() || header.is_typ("JWT") || (svid && header.is_typ("JOSE"));
    typ && (!svid || header.is_plain())
}
