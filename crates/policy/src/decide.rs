//! The one function that permits.

use crate::obligation::{Duty, Obligations, WorkBits};
use crate::query::Query;
use crate::set::{Digest, PolicyId, PolicySet};
use countersign_authn::AuthenticationDemand;
use std::fmt;
use std::sync::Arc;

/// What a decision can be about: it says itself what is asked, so that nobody decides about one thing and acts on another.
pub trait Target {
    /// The question whether this may happen.
    fn query(&self) -> Query;

    /// What whoever acts on the permit does with the answer, if a policy obliges them to. A permit that asks for more is a denial.
    fn carries_out(&self) -> &[Duty] {
        &[]
    }
}

/// Which policies decided, and of which set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    policies: Vec<PolicyId>,
    bundle: Digest,
}

impl Decision {
    /// The policies that determined it, in the order of their ids: those that permit, those that forbid, or those that failed.
    #[must_use]
    pub fn policies(&self) -> &[PolicyId] {
        &self.policies
    }

    /// The digest of the set they stand in.
    #[must_use]
    pub const fn bundle(&self) -> &Digest {
        &self.bundle
    }
}

/// Evidence that policy permits `T`, with `T` inside. It cannot be copied or made elsewhere, and it is worth nothing until it is recorded.
#[must_use = "a permit that is not recorded permits nothing"]
pub struct Permitted<T>(Box<Decided<T>>);

/// What was decided about, what was asked and what decided; behind one pointer, because permits and denials travel by value.
struct Decided<T> {
    target: T,
    query: Query,
    decision: Decision,
    obligations: Option<Arc<Obligations>>,
}

impl<T> Permitted<T> {
    /// What is permitted, to look at.
    pub const fn target(&self) -> &T {
        &self.0.target
    }

    /// What was asked.
    #[must_use]
    pub const fn query(&self) -> &Query {
        &self.0.query
    }

    /// What decided.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        &self.0.decision
    }

    /// What the permit asks of whoever acts on it; all of it is among what the target [`carries_out`](Target::carries_out).
    #[must_use]
    pub const fn obligations(&self) -> Option<&Arc<Obligations>> {
        self.0.obligations.as_ref()
    }

    pub(crate) fn into_target(self) -> T {
        self.0.target
    }
}

/// A refusal by policy, with what was refused.
#[must_use = "a denial has to be recorded"]
pub struct Denied<T> {
    decided: Box<Decided<T>>,
    reason: Box<DenialReason>,
}

impl<T> Denied<T> {
    /// What is denied.
    pub const fn target(&self) -> &T {
        &self.decided.target
    }

    /// What was asked.
    #[must_use]
    pub const fn query(&self) -> &Query {
        &self.decided.query
    }

    /// What decided.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        &self.decided.decision
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> &DenialReason {
        &self.reason
    }

    /// The target, for an answer that speaks of it.
    pub fn into_target(self) -> T {
        self.decided.target
    }
}

/// The question holds personal data, so only the decision is shown.
impl<T> fmt::Debug for Permitted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permitted")
            .field("decision", &self.0.decision)
            .finish_non_exhaustive()
    }
}

/// As for [`Permitted`].
impl<T> fmt::Debug for Denied<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denied")
            .field("decision", &self.decided.decision)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// Why policy denies: for the log. Callers are told nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DenialReason {
    /// The schema has no such action.
    #[error("the schema has no action of this name")]
    ActionUnknown,
    /// A policy forbids it.
    #[error("a policy forbids it")]
    Forbidden,
    /// The policies that permit it ask for what excludes each other.
    #[error("the policies that permit it ask for purposes that exclude each other")]
    ObligationsContradict,
    /// Whoever would act on the permit cannot do what it asks.
    #[error("the permit asks for `{}`, which is not carried out here", .0.as_str())]
    ObligationNotCarriedOut(Duty),
    /// No policy permits it.
    #[error("no policy permits it")]
    NothingPermits,
    /// A policy could not be evaluated; whatever its effect, that denies.
    #[error("a policy could not be evaluated")]
    PolicyFailed,
    /// It would be permitted to a caller whose program has done some work.
    #[error("it is permitted after a proof of work of {} bits", .0.get())]
    ProofOfWorkRequired(WorkBits),
    /// It is permitted for a purpose that the request does not name.
    #[error("it is permitted for a purpose that the request does not name")]
    PurposeRequired,
    /// The question does not fit the schema.
    #[error("the question does not fit the schema: {0}")]
    QueryInvalid(String),
    /// It would be permitted after a sign-in that is stronger or later (RFC 9470).
    #[error("it is permitted after a stronger or later sign-in")]
    StepUpRequired(AuthenticationDemand),
}

impl DenialReason {
    /// The sign-in that would lift it, if one would: whoever was denied is asked for it (RFC 9470).
    #[must_use]
    pub const fn step_up(&self) -> Option<AuthenticationDemand> {
        match self {
            Self::StepUpRequired(demand) => Some(*demand),
            Self::ActionUnknown
            | Self::Forbidden
            | Self::NothingPermits
            | Self::ObligationNotCarriedOut(_)
            | Self::ObligationsContradict
            | Self::PolicyFailed
            | Self::ProofOfWorkRequired(_)
            | Self::PurposeRequired
            | Self::QueryInvalid(_) => None,
        }
    }

    /// The reason as records name it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ActionUnknown => "action_unknown",
            Self::Forbidden => "forbidden",
            Self::NothingPermits => "nothing_permits",
            Self::ObligationNotCarriedOut(_) => "obligation_not_carried_out",
            Self::ObligationsContradict => "obligations_contradict",
            Self::PolicyFailed => "policy_failed",
            Self::ProofOfWorkRequired(_) => "proof_of_work_required",
            Self::PurposeRequired => "purpose_required",
            Self::QueryInvalid(_) => "query_invalid",
            Self::StepUpRequired(_) => "step_up_required",
        }
    }
}

/// What a set says to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) policies: Vec<PolicyId>,
    pub(crate) outcome: Result<Option<Arc<Obligations>>, DenialReason>,
}

/// Decides about `target`, and gives it back as permitted or denied.
///
/// # Errors
/// The denial: a policy forbids it, none permits it, one failed, the question does not fit the schema, or the permit asks for what is not given or not carried out.
pub fn decide<T: Target>(policies: &PolicySet, target: T) -> Result<Permitted<T>, Denied<T>> {
    let query = target.query();
    let verdict = policies.evaluate(&query);
    let outcome = match verdict.outcome {
        Ok(obligations) => carried_out(obligations, target.carries_out()),
        Err(reason) => Err(reason),
    };
    let decision = Decision {
        policies: verdict.policies,
        bundle: *policies.digest(),
    };
    let decided = |obligations| {
        Box::new(Decided {
            target,
            query,
            decision,
            obligations,
        })
    };
    match outcome {
        Ok(obligations) => Ok(Permitted(decided(obligations))),
        Err(reason) => Err(Denied {
            decided: decided(None),
            reason: Box::new(reason),
        }),
    }
}

/// The obligations, if all of them are carried out; nothing if nothing is left of them to do.
fn carried_out(
    obligations: Option<Arc<Obligations>>,
    able: &[Duty],
) -> Result<Option<Arc<Obligations>>, DenialReason> {
    let Some(obligations) = obligations else {
        return Ok(None);
    };
    let mut duties = obligations.duties().peekable();
    if duties.peek().is_none() {
        return Ok(None);
    }
    if let Some(duty) = duties.find(|duty| !able.contains(duty)) {
        return Err(DenialReason::ObligationNotCarriedOut(duty));
    }
    drop(duties);
    Ok(Some(obligations))
}

#[cfg(test)]
mod tests;
