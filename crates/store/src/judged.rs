//! What a judge decided, and how a transaction carries it out.

use crate::record::Recorded;
use crate::write::{Write, apply, record_event};
use crate::{StoreError, Transaction};
use countersign_audit::Record;
use countersign_base::{Tenant, UnixTime};
use countersign_oauth::Change;

/// What a judge decided.
pub enum Judged<P, E> {
    /// Yes: the writes and the event are committed, and the permit is handed out as recorded.
    Commit {
        /// What is permitted.
        permit: P,
        /// What changes with it.
        writes: Vec<Write>,
        /// What the audit log says about it.
        event: Record,
    },
    /// No, and something changes for it: the revocation of a family of which an old token came back.
    CommitRefusal {
        /// Why not.
        error: E,
        /// What changes.
        writes: Vec<Write>,
        /// What the audit log says about it.
        event: Record,
    },
    /// No. Nothing is written but what was taken; the caller records the refusal, so that refusals can be bounded.
    Refuse {
        /// Why not.
        error: E,
    },
}

impl<P, E> Judged<P, E> {
    /// Whether anything but the event is to be written.
    pub(crate) fn writes_something(&self) -> bool {
        match self {
            Self::Commit { writes, .. } | Self::CommitRefusal { writes, .. } => !writes.is_empty(),
            Self::Refuse { .. } => false,
        }
    }

    /// When the grant ends that this judgement begins, if it begins one.
    pub(crate) fn begun_grant(&self) -> Option<UnixTime> {
        let Self::Commit { writes, .. } = self else {
            return None;
        };
        writes.iter().find_map(|write| {
            if let Write::Apply(change) = write
                && let Change::GrantCreated(grant) = &**change
            {
                Some(grant.expires)
            } else {
                None
            }
        })
    }
}

/// What came of a transaction that was committed.
#[must_use]
pub enum Settled<P, E> {
    /// Yes, and it is recorded.
    Permitted(Recorded<P>),
    /// No, and it is recorded.
    Refused(Recorded<E>),
    /// No; the caller records it.
    RefusedUnrecorded(E),
}

/// Carries out a judgement: its writes and its event, in the transaction it was made in.
pub(crate) async fn settle<P, E>(
    tx: &mut Transaction,
    tenant: &Tenant,
    judged: Judged<P, E>,
    now: UnixTime,
) -> Result<Settled<P, E>, StoreError> {
    match judged {
        Judged::Commit {
            permit,
            writes,
            event,
        } => {
            apply(tx, tenant, &writes, now).await?;
            record_event(tx, tenant, &event);
            Ok(Settled::Permitted(Recorded::new(permit, event.id)))
        }
        Judged::CommitRefusal {
            error,
            writes,
            event,
        } => {
            apply(tx, tenant, &writes, now).await?;
            record_event(tx, tenant, &event);
            Ok(Settled::Refused(Recorded::new(error, event.id)))
        }
        Judged::Refuse { error } => Ok(Settled::RefusedUnrecorded(error)),
    }
}
