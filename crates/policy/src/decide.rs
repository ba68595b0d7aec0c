//! The one function that permits.

use crate::query::Query;
use crate::set::{Digest, PolicyId, PolicySet};
use std::fmt;

/// What a decision can be about: it says itself what is asked, so that nobody decides about one thing and acts on another.
pub trait Target {
    /// The question whether this may happen.
    fn query(&self) -> Query;
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
pub struct Permitted<T> {
    target: T,
    about: Box<About>,
}

/// What was asked and what decided; behind one pointer, because permits and denials travel by value.
struct About {
    query: Query,
    decision: Decision,
}

impl<T> Permitted<T> {
    /// What is permitted, to look at.
    pub const fn target(&self) -> &T {
        &self.target
    }

    /// What was asked.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.about.query
    }

    /// What decided.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.about.decision
    }

    pub(crate) fn into_target(self) -> T {
        self.target
    }
}

/// A refusal by policy, with what was refused.
#[must_use = "a denial has to be recorded"]
pub struct Denied<T> {
    target: T,
    about: Box<About>,
    reason: Box<DenialReason>,
}

impl<T> Denied<T> {
    /// What is denied.
    pub const fn target(&self) -> &T {
        &self.target
    }

    /// What was asked.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.about.query
    }

    /// What decided.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.about.decision
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &DenialReason {
        &self.reason
    }

    /// The target, for an answer that speaks of it.
    pub fn into_target(self) -> T {
        self.target
    }
}

/// The question holds personal data, so only the decision is shown.
impl<T> fmt::Debug for Permitted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permitted")
            .field("decision", &self.about.decision)
            .finish_non_exhaustive()
    }
}

/// As for [`Permitted`].
impl<T> fmt::Debug for Denied<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denied")
            .field("decision", &self.about.decision)
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
    /// No policy permits it.
    #[error("no policy permits it")]
    NothingPermits,
    /// A policy could not be evaluated; whatever its effect, that denies.
    #[error("a policy could not be evaluated")]
    PolicyFailed,
    /// The question does not fit the schema.
    #[error("the question does not fit the schema: {0}")]
    QueryInvalid(String),
}

impl DenialReason {
    /// The reason as records name it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ActionUnknown => "action_unknown",
            Self::Forbidden => "forbidden",
            Self::NothingPermits => "nothing_permits",
            Self::PolicyFailed => "policy_failed",
            Self::QueryInvalid(_) => "query_invalid",
        }
    }
}

/// What a set says to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) policies: Vec<PolicyId>,
    pub(crate) outcome: Result<(), DenialReason>,
}

/// Decides about `target`, and gives it back as permitted or denied.
///
/// # Errors
/// The denial: a policy forbids it, none permits it, one failed, or the question does not fit the schema.
pub fn decide<T: Target>(policies: &PolicySet, target: T) -> Result<Permitted<T>, Denied<T>> {
    let query = target.query();
    let verdict = policies.evaluate(&query);
    let decision = Decision {
        policies: verdict.policies,
        bundle: *policies.digest(),
    };
    let about = Box::new(About { query, decision });
    match verdict.outcome {
        Ok(()) => Ok(Permitted { target, about }),
        Err(reason) => Err(Denied {
            target,
            about,
            reason: Box::new(reason),
        }),
    }
}

#[cfg(test)]
mod tests;
