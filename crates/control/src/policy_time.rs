//! The time of the signed bundle whose policies decide: what becomes of a process that runs beyond it.
//!
//! A bundle says until when it is for use, so that whoever keeps a later one from a process does not keep it at old policies for ever. A start and a reload refuse one whose time is over. A process
//! that runs goes on by it for [`OVERDUE_MAX`], so that a holiday does not stop a company, and says so in the log and the audit log every hour; then everything is denied until a reload
//! brings a bundle that is for use. Restarting wins no time: the start refuses it.
//!
//! Not here: signatures and versions ([`countersign_policy::bundle`]), and where the bundle comes from.

use crate::Fabric;
use countersign_audit::event::PoliciesOverdue;
use countersign_audit::{Code, Count, Digest};
use countersign_base::{Duration, UnixTime};
use countersign_policy::{PolicyError, PolicySet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::time::MissedTickBehavior;

/// How long a running process goes on by a bundle whose time is over.
pub const OVERDUE_MAX: Duration = Duration::from_secs(24 * 3600);
/// How often it says so.
const TOLD_EVERY: Duration = Duration::from_secs(3600);
/// How often it looks.
const LOOKED_EVERY: Duration = Duration::from_secs(30);
/// What decides afterwards, and how records name it.
const AFTER: [(&str, &str); 1] = [(
    "bundle",
    "@id(\"overdue\")\nforbid (principal, action, resource);\n",
)];

/// A bundle as the clock sees it.
pub struct Term {
    version: u64,
    expires: UnixTime,
    /// What decides when it may no more: made beforehand, so that nothing can fail then.
    after: PolicySet,
}

impl Term {
    /// A bundle of this version, for use until `expires`, whose policies fit `schema`.
    ///
    /// # Errors
    /// When the schema cannot be read.
    pub fn new(version: u64, expires: UnixTime, schema: &str) -> Result<Self, PolicyError> {
        let after = PolicySet::load(schema, &AFTER)?;
        Ok(Self {
            version,
            expires,
            after,
        })
    }

    /// The number that a later one has to reach.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }
}

/// What a bundle is worth at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its time is over and so is the grace: everything is denied.
    Denies,
    /// Its time is over; it decides for a while.
    GoesOn,
    /// It is for use, or what decides is no bundle.
    InTime,
}

impl Standing {
    /// What a bundle that is for use until `expires` is worth at `now`.
    #[must_use]
    pub fn at(expires: UnixTime, now: UnixTime) -> Self {
        if now.0 < expires.0 {
            Self::InTime
        } else if now.0 < expires.plus(OVERDUE_MAX).0 {
            Self::GoesOn
        } else {
            Self::Denies
        }
    }

    const fn code(self) -> Code {
        match self {
            Self::Denies => Code::of("denies"),
            Self::GoesOn => Code::of("goes_on"),
            Self::InTime => Code::of("in_time"),
        }
    }
}

/// The bundle that decides, and what was said of its time.
pub struct PolicyTime(Mutex<Option<Watched>>);

struct Watched {
    digest: [u8; 32],
    version: u64,
    expires: UnixTime,
    /// Absent once it decides.
    after: Option<PolicySet>,
    told: Option<UnixTime>,
}

impl PolicyTime {
    /// Lets these policies decide from now on, for as long as `term` says; without one, until others do.
    pub fn replace(&self, fabric: &Fabric, policies: PolicySet, term: Option<Term>) {
        let digest = *policies.digest().as_bytes();
        // Under the lock, so that nobody denies everything for the time of what was there before.
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fabric.replace_policies(policies);
        *watched = term.map(|term| Watched::new(digest, term));
    }

    /// Watches the policies that a fabric started with, for as long as it is there.
    #[must_use]
    pub fn start(fabric: &Arc<Fabric>, term: Option<Term>) -> Arc<Self> {
        let digest = *fabric.policies().digest().as_bytes();
        let watched = term.map(|term| Watched::new(digest, term));
        let time = Arc::new(Self(Mutex::new(watched)));
        tokio::spawn(Arc::clone(&time).keep(Arc::downgrade(fabric)));
        time
    }

    /// Looks at the clock, and does what is due: says that the time is over, or denies.
    pub async fn look(&self, fabric: &Fabric) -> Standing {
        let now = fabric.now();
        let (standing, due) = self.due(fabric, now);
        if let Some(event) = due {
            let record = fabric.event(event.into());
            if fabric.audit().append_durable(record).await.is_err() {
                tracing::error!(event = "policies_overdue_not_recorded");
            }
            match standing {
                Standing::Denies => tracing::error!(event = "policies_overdue_denied"),
                Standing::GoesOn => tracing::warn!(event = "policies_overdue"),
                Standing::InTime => {}
            }
        }
        standing
    }

    fn due(&self, fabric: &Fabric, now: UnixTime) -> (Standing, Option<PoliciesOverdue>) {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watched) = watched.as_mut() else {
            return (Standing::InTime, None);
        };
        let standing = match watched.after {
            // A clock that is set back brings nothing back.
            None => Standing::Denies,
            Some(_) => Standing::at(watched.expires, now),
        };
        let begins = match standing {
            Standing::Denies => watched.after.take(),
            Standing::GoesOn | Standing::InTime => None,
        };
        let is_told = watched
            .told
            .is_some_and(|told| now.0 < told.plus(TOLD_EVERY).0);
        let is_due = begins.is_some() || (standing != Standing::InTime && !is_told);
        if let Some(after) = begins {
            fabric.replace_policies(after);
        }
        if !is_due {
            return (standing, None);
        }
        watched.told = Some(now);
        let event = PoliciesOverdue {
            bundle: Digest::from_bytes(watched.digest),
            expired: Count::of(u64::try_from(watched.expires.0).unwrap_or_default()),
            standing: standing.code(),
            version: Count::of(watched.version),
        };
        (standing, Some(event))
    }

    async fn keep(self: Arc<Self>, fabric: Weak<Fabric>) {
        let mut ticks = tokio::time::interval(LOOKED_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(fabric) = fabric.upgrade() else {
                return;
            };
            self.look(&fabric).await;
        }
    }
}

impl Watched {
    fn new(digest: [u8; 32], term: Term) -> Self {
        Self {
            digest,
            version: term.version,
            expires: term.expires,
            after: Some(term.after),
            told: None,
        }
    }
}

#[cfg(test)]
mod tests;
