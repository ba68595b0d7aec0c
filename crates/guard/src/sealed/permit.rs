//! Who may open what, and for which purpose: the service's rules, and the permits that come of them.
//!
//! A field opens for the purposes that its declaration lists, to callers for whom the service has a rule, and to nobody else. A permit is evidence: [`Disclosure`] alone
//! makes one, beside the decision; it is bound to the field by its type and to purpose, tenant and person by what it holds; it is moved into the opening that it
//! permits, so that it opens one value, once, and soon.
//!
//! Not here: the record of what was opened. A service writes that down itself, allowed and denied alike, where it keeps its other records.

use super::field::{Field, Purpose};
use super::place::{DataSubject, KeyOwner, Place};
use countersign_authn::{Subject, SubjectId};
use countersign_base::{Duration, Scopes, Tenant, UnixTime};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// How long a permit is good, if its caller's token does not end before: a permit is made for an opening that follows at once.
pub const PERMIT_LIFETIME: Duration = Duration::from_secs(60);

/// Whose data a rule lets its callers open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Anybody's in the caller's tenant.
    Anybody,
    /// The caller's own: a person of the issuer's, where rows are sealed under the key of the person with that user id ([`DataSubject`]).
    CallerAlone,
}

/// Whose data a permit is to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// Whoever's row it is.
    Anybody,
    /// One person's.
    Subject(DataSubject),
}

/// What is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// The mask, and no more.
    Mask,
    /// The value, for the purpose of that name.
    Value(&'static str),
}

#[derive(Debug)]
struct Rule {
    reach: Reach,
    scopes: Scopes,
}

/// The rules of a service: an empty set permits nothing.
#[derive(Debug, Default)]
pub struct Disclosure(BTreeMap<(&'static str, &'static str, Depth), Rule>);

impl Disclosure {
    /// No rules: nothing is opened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, opening the field `F` for `purpose` to callers whose token has all of `scopes`. A rule without scopes permits nobody; a later rule for the same field
    /// and purpose takes the place of an earlier one.
    #[must_use]
    pub fn allow<F: Field>(self, purpose: Purpose<F>, reach: Reach, scopes: Scopes) -> Self {
        self.rule::<F>(Depth::Value(purpose.name()), Rule { reach, scopes })
    }

    /// The same, showing the mask of the field `F` to callers whose token has all of `scopes`.
    #[must_use]
    pub fn allow_mask<F: Field>(self, reach: Reach, scopes: Scopes) -> Self {
        self.rule::<F>(Depth::Mask, Rule { reach, scopes })
    }

    fn rule<F: Field>(mut self, depth: Depth, rule: Rule) -> Self {
        self.0.insert((F::TABLE, F::COLUMN, depth), rule);
        self
    }

    /// Decides whether `caller` may open a value of the field `F` for `purpose`.
    ///
    /// # Errors
    /// When no rule says so.
    pub fn permit<F: Field>(
        &self,
        caller: &Subject,
        purpose: Purpose<F>,
        about: About,
        now: UnixTime,
    ) -> Result<OpenPermit<F>, Denied> {
        if !F::PURPOSES.contains(&purpose.name()) {
            return Err(Denied::of::<F>(DeniedReason::NoRule));
        }
        let bounds = self.decide::<F>(caller, Depth::Value(purpose.name()), about, now)?;
        Ok(OpenPermit { bounds, purpose })
    }

    /// Decides whether `caller` may see the mask of a value of the field `F`.
    ///
    /// # Errors
    /// When no rule says so.
    pub fn permit_mask<F: Field>(
        &self,
        caller: &Subject,
        about: About,
        now: UnixTime,
    ) -> Result<MaskPermit<F>, Denied> {
        let bounds = self.decide::<F>(caller, Depth::Mask, about, now)?;
        Ok(MaskPermit {
            bounds,
            field: PhantomData,
        })
    }

    fn decide<F: Field>(
        &self,
        caller: &Subject,
        depth: Depth,
        about: About,
        now: UnixTime,
    ) -> Result<Bounds, Denied> {
        let denied = |reason| Err(Denied::of::<F>(reason));
        let Some(rule) = self.0.get(&(F::TABLE, F::COLUMN, depth)) else {
            return denied(DeniedReason::NoRule);
        };
        // The scopes of another issuer mean what that issuer says.
        if caller.other().is_some() {
            return denied(DeniedReason::ForeignIssuer);
        }
        if rule.scopes.is_empty() || caller.require_scopes(&rule.scopes).is_err() {
            return denied(DeniedReason::Scope);
        }
        let ends = caller.ends(now).min(now.plus(PERMIT_LIFETIME));
        if ends <= now {
            return denied(DeniedReason::Expired);
        }
        let subject = match (rule.reach, about) {
            (Reach::Anybody, About::Anybody) => None,
            (Reach::Anybody, About::Subject(subject)) => Some(subject),
            (Reach::CallerAlone, about) => match (own(caller), about) {
                (Some(own), About::Anybody) => Some(own),
                (Some(own), About::Subject(subject)) if own == subject => Some(own),
                (Some(_) | None, _) => return denied(DeniedReason::NotTheirOwn),
            },
        };
        Ok(Bounds {
            tenant: caller.tenant().clone(),
            subject,
            ends,
        })
    }
}

/// The caller as one whom data are about: persons of the issuer's alone. A client has no data, and a `sub` of somebody else's is no name of ours.
fn own(caller: &Subject) -> Option<DataSubject> {
    match caller.principal() {
        SubjectId::User(user) => DataSubject::try_from(*user).ok(),
        SubjectId::Client(_) | SubjectId::External(_) | SubjectId::Foreign(_) => None,
    }
}

/// What a permit is bound to beside the field and the purpose.
struct Bounds {
    tenant: Tenant,
    subject: Option<DataSubject>,
    ends: UnixTime,
}

/// Evidence that a permit is for a place.
#[must_use]
pub(super) struct Covered(());

impl Bounds {
    fn covers<F: Field>(&self, place: &Place<F>, now: UnixTime) -> Result<Covered, PermitMismatch> {
        if now >= self.ends {
            return Err(PermitMismatch::Ended);
        }
        if place.owner().tenant() != &self.tenant {
            return Err(PermitMismatch::Tenant);
        }
        let same = match (&self.subject, place.owner()) {
            (None, _) => true,
            (Some(subject), KeyOwner::Subject(_, owner)) => subject == owner,
            // Whose row it is, nothing says here.
            (Some(_), KeyOwner::Indexes(_) | KeyOwner::Tenant(_)) => false,
        };
        if same {
            Ok(Covered(()))
        } else {
            Err(PermitMismatch::Subject)
        }
    }
}

/// Evidence that a caller may open one value of the field `F` for a purpose. Single use: opening takes it.
#[must_use]
pub struct OpenPermit<F> {
    bounds: Bounds,
    purpose: Purpose<F>,
}

impl<F: Field> OpenPermit<F> {
    /// What it is for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose<F> {
        self.purpose
    }

    pub(super) fn covers(
        self,
        place: &Place<F>,
        purpose: Purpose<F>,
        now: UnixTime,
    ) -> Result<Covered, PermitMismatch> {
        if self.purpose != purpose {
            return Err(PermitMismatch::Purpose);
        }
        self.bounds.covers(place, now)
    }
}

impl<F: Field> fmt::Debug for OpenPermit<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let purpose = self.purpose.name();
        write!(f, "OpenPermit({}.{} for {purpose})", F::TABLE, F::COLUMN)
    }
}

/// Evidence that a caller may see the mask of one value of the field `F`. Single use: showing takes it.
#[must_use]
pub struct MaskPermit<F> {
    bounds: Bounds,
    field: PhantomData<fn() -> F>,
}

impl<F: Field> MaskPermit<F> {
    pub(super) fn covers(self, place: &Place<F>, now: UnixTime) -> Result<Covered, PermitMismatch> {
        self.bounds.covers(place, now)
    }
}

impl<F: Field> fmt::Debug for MaskPermit<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MaskPermit({}.{})", F::TABLE, F::COLUMN)
    }
}

/// A caller may not open a field. The text is the log's; the caller is answered 403 and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{table}.{column}` is not opened: {reason}")]
pub struct Denied {
    table: &'static str,
    column: &'static str,
    reason: DeniedReason,
}

impl Denied {
    const fn of<F: Field>(reason: DeniedReason) -> Self {
        Self {
            table: F::TABLE,
            column: F::COLUMN,
            reason,
        }
    }

    /// Why.
    #[must_use]
    pub const fn reason(self) -> DeniedReason {
        self.reason
    }
}

/// Why a caller may not open a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeniedReason {
    /// The caller's token has ended.
    #[error("the token has ended")]
    Expired,
    /// The token is of an issuer that is not ours.
    #[error("the token is of another issuer")]
    ForeignIssuer,
    /// No rule opens the field for this purpose.
    #[error("no rule opens it for this purpose")]
    NoRule,
    /// The rule opens the caller's own data, and these are not.
    #[error("the rule opens the caller's own data alone")]
    NotTheirOwn,
    /// The token lacks a scope.
    #[error("the token lacks a scope that the rule needs")]
    Scope,
}

/// A permit is not for what it was used on. It is spent all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PermitMismatch {
    /// It was used too late.
    #[error("the permit has ended")]
    Ended,
    /// It is for another purpose.
    #[error("the permit is for another purpose")]
    Purpose,
    /// It is for another person's data.
    #[error("the permit is for another person's data")]
    Subject,
    /// It is for another tenant.
    #[error("the permit is for another tenant")]
    Tenant,
}

#[cfg(test)]
mod tests;
