//! What is left to do when a permitted request or tunnel ends, however it ends: the record of its outcome, and its place.

use super::places::Place;
use super::request::EgressRequest;
use countersign_audit::event::{self, Verdict};
use countersign_audit::{Code, Text};
use countersign_base::{EventId, RequestId, Tenant};
use countersign_policy::Permitted;
use countersign_store::{Ending, Recorded, Recorder};
use http::StatusCode;
use std::time::Instant;

/// Nginx's status for a caller who went away before the answer; no registered one says it.
const CLIENT_CLOSED: u16 = 499;

/// Records the outcome when it is dropped.
pub(super) struct Tail(Option<Box<Inner>>);

struct Inner {
    recorder: Recorder,
    tenant: Tenant,
    request: RequestId,
    receipt: EventId,
    about: (
        countersign_base::ClientId,
        countersign_base::RouteId,
        String,
    ),
    started: Instant,
    status: u16,
    bytes: u64,
    /// Why it ended otherwise than by its sides.
    why: Option<&'static str>,
    _place: Place,
}

impl Tail {
    pub(super) fn of(
        recorder: Recorder,
        recorded: &Recorded<Permitted<EgressRequest>>,
        started: Instant,
        place: Place,
    ) -> Self {
        let request = recorded.decision().target();
        let rule = request.listed().rule();
        Self(Some(Box::new(Inner {
            recorder,
            tenant: rule.tenant.clone(),
            request: request.id(),
            receipt: recorded.receipt(),
            about: (
                request.workload().client().clone(),
                rule.id.clone(),
                request.listed().destination().to_string(),
            ),
            started,
            status: CLIENT_CLOSED,
            bytes: 0,
            why: None,
            _place: place,
        })))
    }

    /// Hands it on to what goes on after this request: the tunnel, or the body of the answer.
    pub(super) const fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    /// It ended without an answer of the destination.
    pub(super) fn failed(&mut self, status: StatusCode, why: &'static str) {
        self.status(status.as_u16());
        if let Some(inner) = &mut self.0 {
            inner.why = Some(why);
        }
    }

    pub(super) fn status(&mut self, status: u16) {
        if let Some(inner) = &mut self.0 {
            inner.status = status;
        }
    }

    /// Counts bytes.
    pub(super) fn passed_on(&mut self, bytes: u64) {
        if let Some(inner) = &mut self.0 {
            inner.bytes = inner.bytes.saturating_add(bytes);
        }
    }

    /// Records why a tunnel or an answer was cut off: something that had permitted it does so no longer.
    pub(super) fn withdrawn(&self, reason: &'static str) {
        let Some(inner) = &self.0 else {
            return;
        };
        let mut decision = event::Decision::new(super::SURFACE, Verdict::Denied, Code::of(reason));
        let (client, rule, destination) = &inner.about;
        decision.action = Text::of(super::request::ACTION);
        decision.client = Some(client.clone());
        decision.route = Some(rule.clone());
        decision.resource = Text::of(destination);
        let record = inner
            .recorder
            .about_event(&inner.tenant, Some(inner.request), decision);
        if inner.recorder.log().append_queued(record).is_err() {
            tracing::error!("the end of what was permitted could not be recorded");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let ending = Ending {
            status: self.status,
            bytes: self.bytes,
            took: self.started.elapsed(),
            detail: self.why.map(Text::of),
        };
        let outcome = self
            .recorder
            .outcome(&self.tenant, Some(self.request), self.receipt, ending);
        if outcome.is_err() {
            // The bytes have gone already. The next decision meets the same log and is refused.
            tracing::error!("an outcome could not be recorded");
        }
    }
}
