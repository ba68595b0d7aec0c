//! What is left to do when a permitted request ends, however it ends: the record of its outcome.

use crate::upstream::Place;
use countersign_audit::Text;
use countersign_base::{EventId, RequestId, Tenant};
use countersign_control::traces::Span;
use countersign_store::{Ending, Recorder};
use std::time::Instant;

/// Nginx's status for a caller who went away before the answer; no registered one says it.
pub(super) const CLIENT_CLOSED: u16 = 499;

/// The places that a request has among those under way, until its answer ends.
#[derive(Default)]
pub(crate) struct Places {
    pub(super) _route: Option<Place>,
    pub(super) upstream: Option<Place>,
}

/// What is left to do when a permitted request ends, however it ends: the record of its outcome, written when this is dropped.
pub(crate) struct Tail {
    pub(super) recorder: Recorder,
    pub(super) tenant: Tenant,
    pub(super) request: RequestId,
    pub(super) receipt: EventId,
    pub(super) started: Instant,
    pub(super) status: u16,
    pub(super) bytes: u64,
    /// What did not fit: of the request, then of the answer.
    pub(super) detail: Option<Text<256>>,
    /// Ends with this.
    pub(super) span: Option<Box<Span>>,
    /// Free again with this.
    pub(super) places: Places,
}

impl Tail {
    /// Counts bytes of the answer's body.
    pub(crate) fn passed_on(&mut self, bytes: usize) {
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Notes what did not fit of the answer, behind what did not fit of its request; where both are too long for a record, the request's stays.
    pub(super) fn unfit(&mut self, detail: &str) {
        let both = match &self.detail {
            None => Text::of(detail),
            Some(earlier) => match earlier.kept() {
                None => return,
                Some(earlier) => Text::of(&format!("{earlier}; {detail}")),
            },
        };
        if self.detail.is_none() || both.kept().is_some() {
            self.detail = Some(both);
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        if let Some(span) = &mut self.span {
            span.status = Some(self.status);
        }
        let ending = Ending {
            status: self.status,
            bytes: self.bytes,
            took: self.started.elapsed(),
            detail: self.detail.take(),
        };
        let request = Some(self.request);
        let outcome = self
            .recorder
            .outcome(&self.tenant, request, self.receipt, ending);
        if outcome.is_err() {
            // The answer has gone out already. The next decision meets the same log and is refused.
            tracing::error!("an outcome could not be recorded");
        }
    }
}
