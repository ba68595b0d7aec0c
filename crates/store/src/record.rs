//! Decisions become evidence here: what is [`Recorded`] stands in the log, or in a committed transaction that the log will take over.
//!
//! The record of a decision is made of the very target that was decided about, so that nothing is decided about one thing and
//! recorded about another. If the log cannot take a record, there is no [`Recorded`], and without it nothing is forwarded or minted:
//! the doors close.

mod sign_in;
mod vault;

use crate::audit::{AuditLog, AuditUnavailable};
use crate::details::Details;
use countersign_audit::event::{self, Verdict};
use countersign_audit::{Code, Count, Digest, Event, Names, Record, Text};
use countersign_base::{
    ClientId, Clock, Duration, EventId, GrantId, RequestId, RouteId, Tenant, UserId,
};
use countersign_crypto::digest::sha256_parts;
use countersign_crypto::random::Random;
use countersign_policy::{Decision, Denied, Permitted, PolicyId, Query, Target};
use std::net::IpAddr;

/// A decision that is recorded. Only this crate makes one: after the audit log took the record, or after the transaction that holds
/// it was committed.
///
/// ```compile_fail,E0451
/// fn forge<T>(permitted: countersign_policy::Permitted<T>, of: countersign_store::Recorded<()>) -> T {
///     countersign_store::Recorded { decision: permitted, receipt: of.receipt() }.into_target()
/// }
/// ```
#[derive(Debug)]
#[must_use = "a recorded decision that is dropped was recorded for nothing"]
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

impl<T> Recorded<Permitted<T>> {
    /// What is permitted: the only way from a permit to its target.
    pub fn into_target(self) -> T {
        countersign_policy::danger::into_target(self.decision)
    }
}

/// What a record says of a target beside the decision. No personal data: people by their id, things by their kind or route.
#[derive(Debug, Clone)]
pub struct About {
    /// In which tenant.
    pub tenant: Tenant,
    /// In which request.
    pub request: Option<RequestId>,
    /// Which door it came through (`gateway`, `admin`).
    pub surface: Code,
    /// The client that holds the token.
    pub client: Option<ClientId>,
    /// On whose behalf.
    pub user: Option<UserId>,
    /// The grant of the token.
    pub grant: Option<GrantId>,
    /// The route.
    pub route: Option<RouteId>,
    /// What is done, as policies name it.
    pub action: Text<128>,
    /// To what: a route or an entity type.
    pub resource: Text<256>,
    /// What else is to be seen at once, in words of the operator's own documents: the purpose of a request, the rules that matched; never what the caller sent.
    pub detail: Option<Text<256>>,
    /// Where an anonymous request came from: its denials are bounded by this source and the address is not recorded.
    pub anonymous_from: Option<IpAddr>,
}

impl About {
    /// A target of which only tenant and door are known.
    #[must_use]
    pub fn new(tenant: Tenant, surface: Code) -> Self {
        Self {
            tenant,
            request: None,
            surface,
            client: None,
            user: None,
            grant: None,
            route: None,
            action: Text::of(""),
            resource: Text::of(""),
            detail: None,
            anonymous_from: None,
        }
    }
}

/// A target that can say what its record says.
pub trait Recordable: Target {
    /// What the record says beside the decision.
    fn about(&self) -> About;
}

/// When a record counts as taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is on disk, behind an `fdatasync`.
    Durable,
    /// It is in the bounded queue; a power cut may lose it, a full queue refuses it.
    Queued,
}

/// The log did not take the record; whatever needed it must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the decision could not be recorded: {0}")]
pub struct RecordError(#[from] AuditUnavailable);

/// How a permitted request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Status of the response.
    pub status: u16,
    /// Bytes of the response body that were passed on.
    pub bytes: u64,
    /// From the decision to the last byte.
    pub took: Duration,
    /// What did not fit, though it was passed on, or why the answer was not; nothing that a caller or an upstream wrote.
    pub detail: Option<Text<256>>,
}

/// Records decisions and events in the audit log. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Recorder {
    log: AuditLog,
    clock: Clock,
    random: Random,
    details: Option<Details>,
}

impl Recorder {
    /// A recorder that writes `log`. With `details`, the sealed query of each decision is kept beside the log for `explain`.
    #[must_use]
    pub const fn new(
        log: AuditLog,
        clock: Clock,
        random: Random,
        details: Option<Details>,
    ) -> Self {
        Self {
            log,
            clock,
            random,
            details,
        }
    }

    /// The log.
    #[must_use]
    pub const fn log(&self) -> &AuditLog {
        &self.log
    }

    /// Records a permit. With [`Durability::Durable`] the record is on disk when this returns; with [`Durability::Queued`] it has its
    /// place in the queue.
    ///
    /// # Errors
    /// When the log cannot take it. The permit is gone with it: the request is refused.
    pub async fn record<T: Recordable>(
        &self,
        permitted: Permitted<T>,
        durability: Durability,
    ) -> Result<Recorded<Permitted<T>>, RecordError> {
        let record = self.permit(&permitted);
        let receipt = record.id;
        if let Some(taken) = self.begin(record, durability)? {
            taken.await?;
        }
        Ok(Recorded::new(permitted, receipt))
    }

    /// The record of a permit, for whoever commits it.
    pub(crate) fn permit<T: Recordable>(&self, permitted: &Permitted<T>) -> Record {
        let decided = Decided {
            verdict: Verdict::Allowed,
            reason: Code::of("permitted"),
            decision: permitted.decision(),
        };
        self.decision(permitted.target().about(), &decided, permitted.query())
    }

    /// Records a denial. Those of anonymous requests are recorded one by one up to the log's limit for their source, then counted.
    ///
    /// # Errors
    /// When the log cannot take it. The request is refused either way.
    pub fn record_denied<T: Recordable>(
        &self,
        denied: Denied<T>,
    ) -> Result<Recorded<Denied<T>>, RecordError> {
        let about = denied.target().about();
        let decided = Decided {
            verdict: Verdict::Denied,
            reason: Code::of(denied.reason().as_str()),
            decision: denied.decision(),
        };
        let from = about.anonymous_from;
        let record = self.decision(about, &decided, denied.query());
        let receipt = record.id;
        match from {
            Some(from) => self.refusal(from, record)?,
            None => drop(self.log.append_queued(record)?),
        }
        Ok(Recorded::new(denied, receipt))
    }

    /// Records an event that is no decision about a target.
    ///
    /// # Errors
    /// When the log cannot take it.
    pub async fn event(
        &self,
        tenant: &Tenant,
        request: Option<RequestId>,
        event: impl Into<Event>,
        durability: Durability,
    ) -> Result<EventId, RecordError> {
        let record = self.about_event(tenant, request, event);
        let receipt = record.id;
        if let Some(taken) = self.begin(record, durability)? {
            taken.await?;
        }
        Ok(receipt)
    }

    /// Records the refusal of a request before there was a target to decide about (no route, a broken credential), bounded by its source.
    ///
    /// # Errors
    /// When the log cannot take it. The request is refused either way.
    pub fn refused(
        &self,
        from: IpAddr,
        tenant: &Tenant,
        request: Option<RequestId>,
        event: impl Into<Event>,
    ) -> Result<(), RecordError> {
        let record = self.about_event(tenant, request, event);
        self.refusal(from, record)
    }

    /// Records how a permitted request ended. The receipt is that of its decision.
    ///
    /// # Errors
    /// When the log cannot take it; the next decision will meet the same log.
    pub fn outcome(
        &self,
        tenant: &Tenant,
        request: Option<RequestId>,
        receipt: EventId,
        ending: Ending,
    ) -> Result<(), RecordError> {
        let outcome = event::Outcome {
            bytes: Count::of(ending.bytes),
            detail: ending.detail,
            micros: Count::of(u64::try_from(ending.took.as_micros()).unwrap_or(u64::MAX)),
            of: receipt,
            status: ending.status,
        };
        let record = self.about_event(tenant, request, outcome);
        self.log.append_queued(record)?;
        Ok(())
    }

    /// A record with a fresh id and the time of now, for a transaction's outbox.
    #[must_use]
    pub fn about_event(
        &self,
        tenant: &Tenant,
        request: Option<RequestId>,
        event: impl Into<Event>,
    ) -> Record {
        Record {
            id: self.random.event_id(),
            time: self.clock.millis(),
            tenant: tenant.clone(),
            request,
            event: event.into(),
        }
    }

    /// Hands a record over, and answers with what is left to wait for. The record itself is in no future.
    fn begin(
        &self,
        record: Record,
        durability: Durability,
    ) -> Result<
        Option<impl Future<Output = Result<EventId, AuditUnavailable>> + Send + use<>>,
        AuditUnavailable,
    > {
        match durability {
            Durability::Durable => Ok(Some(self.log.append_durable(record))),
            Durability::Queued => self.log.append_queued(record).map(|_taken| None),
        }
    }

    fn refusal(&self, from: IpAddr, record: Record) -> Result<(), RecordError> {
        let _noted = self.log.bounded_refusal(&from.to_string(), record)?;
        Ok(())
    }

    fn decision(&self, about: About, decided: &Decided<'_>, query: &Query) -> Record {
        let id = self.random.event_id();
        let commitment = self.keep_query(&about.tenant, about.user, id, query);
        let event = event::Decision {
            action: about.action,
            bundle: Some(Digest::from_bytes(*decided.decision.bundle().as_bytes())),
            client: about.client,
            commitment,
            decision: decided.verdict,
            detail: about.detail,
            grant: about.grant,
            policies: Names::of(decided.decision.policies().iter().map(PolicyId::as_str)),
            reason: decided.reason.clone(),
            resource: about.resource,
            route: about.route,
            surface: about.surface,
            user: about.user,
        };
        Record {
            id,
            time: self.clock.millis(),
            tenant: about.tenant,
            request: about.request,
            event: event.into(),
        }
    }

    /// Commits to the query behind an event, and hands it to be sealed. A query that cannot be kept has no commitment either.
    #[must_use]
    pub fn keep_query(
        &self,
        tenant: &Tenant,
        user: Option<UserId>,
        event: EventId,
        query: &Query,
    ) -> Option<Digest> {
        let details = self.details.as_ref().filter(|details| details.has_room())?;
        let salt: [u8; 16] = self.random.bytes();
        let text = query.canonical_json();
        let commitment = commitment(&salt, &text);
        details
            .offer(tenant, user, event, salt, text)
            .then_some(commitment)
    }
}

struct Decided<'a> {
    verdict: Verdict,
    reason: Code,
    decision: &'a Decision,
}

/// SHA-256 over the 16 bytes of salt and the canonical JSON of the query.
#[must_use]
pub fn commitment(salt: &[u8; 16], canonical_query: &str) -> Digest {
    Digest::from_bytes(sha256_parts(&[salt, canonical_query.as_bytes()]))
}

#[cfg(test)]
mod tests;
