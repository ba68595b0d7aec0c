//! Decisions become evidence here: what is [`Recorded`] stands in the log, or in a committed transaction that the log will take over.

use countersign_base::EventId;

/// A decision that is recorded. Only this crate makes one: after the audit log took the record, or after the transaction that holds
/// it was committed.
#[derive(Debug)]
#[must_use]
pub struct Recorded<P> {
    decision: P,
    receipt: EventId,
}

impl<P> Recorded<P> {
    pub(crate) const fn new(decision: P, receipt: EventId) -> Self {
        Self { decision, receipt }
    }

    /// The event in the audit log.
    #[must_use]
    pub const fn receipt(&self) -> EventId {
        self.receipt
    }

    /// What was decided.
    pub const fn decision(&self) -> &P {
        &self.decision
    }

    /// What was decided, without the evidence that it is recorded.
    pub fn into_decision(self) -> P {
        self.decision
    }
}
