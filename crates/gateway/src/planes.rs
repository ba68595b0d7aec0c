//! What the data plane needs of the control plane, and nothing else of it.

use crate::exchange::{ExchangeError, ExchangeRequest, Exchanged};
use crate::limiter::LimitedBy;
use crate::messages::NotSpent;
use countersign_authn::dpop::Nonces;
use countersign_authn::opaque::StoredAnswer;
use countersign_authn::{KeyAnswer, KeyNeeded, Revocations, TrustedIssuer};
use countersign_base::{Clock, Tenant, UnixTime};
use countersign_control::Traces;
use countersign_control::browser_sessions::BrowserSessions;
use countersign_crypto::mac::MacKey;
use countersign_crypto::random::Random;
use countersign_policy::PolicySet;
use countersign_store::idempotency::KeyRegistry;
use countersign_store::redis::SharedCounters;
use countersign_store::{Recorder, ReplayMemory};
use countersign_wire::message::{Message, Unspent};
use http::StatusCode;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// What became of a request, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Policy denied it.
    Denied,
    /// It was permitted, whatever its upstream then said.
    Permitted,
    /// It was refused before there was anything to decide: target, route, credential, limit.
    Refused,
}

impl Seen {
    /// As metrics name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Permitted => "permitted",
            Self::Refused => "refused",
        }
    }
}

/// The control plane as a request sees it. Everything but [`Planes::key`], [`Planes::stored`], [`Planes::spend_message`] and
/// [`Planes::exchange`] answers from memory without waiting.
pub trait Planes: Send + Sync + 'static {
    /// The time.
    fn clock(&self) -> &Clock;

    /// Randomness.
    fn random(&self) -> &Random;

    /// The policies of this moment.
    fn policies(&self) -> Arc<PolicySet>;

    /// What was revoked.
    fn revocations(&self) -> &dyn Revocations;

    /// One-time values that were spent, one truth a process.
    fn replay(&self) -> &ReplayMemory;

    /// The nonces of proofs.
    fn nonces(&self) -> &Nonces;

    /// Makes decisions evidence.
    fn recorder(&self) -> &Recorder;

    /// The spans of requests.
    fn traces(&self) -> &Traces;

    /// A number that changes whenever a key of one of our own issuers comes or goes: verdicts of another generation don't count.
    fn key_generation(&self) -> u64;

    /// The same of the issuers that are not ours, also when their keys cease to serve. Asked for routes that trust one of those.
    fn other_key_generation(&self, now: UnixTime) -> u64;

    /// The key that a token's signature demands: of that issuer, and of no other.
    fn key(&self, needed: &KeyNeeded, now: UnixTime) -> impl Future<Output = KeyAnswer> + Send;

    /// What the store says of an opaque token that one of `issuers` may have made.
    fn stored(
        &self,
        token: &str,
        issuers: &[TrustedIssuer],
    ) -> impl Future<Output = StoredAnswer> + Send;

    /// Sessions of browsers; nothing where none are kept.
    fn browser_sessions(&self) -> Option<&BrowserSessions> {
        None
    }

    /// Counts a request: what became of it, the status of the answer, and the time to the answer's head.
    fn observe(&self, seen: Seen, status: StatusCode, took: Duration);

    /// The key of proofs of work at the routes of a tenant; nothing where none are taken.
    fn work_key(&self, _tenant: &Tenant) -> Option<MacKey> {
        None
    }

    /// The counts that several processes share; absent where there are none, which is as if they were away.
    fn counters(&self) -> Option<&SharedCounters> {
        None
    }

    /// Where idempotency keys are kept for longer than this process lives; absent where it has its own in memory.
    fn shared_keys(&self) -> Option<&KeyRegistry> {
        None
    }

    /// Marks a partner's message as used, for this process and every other of the installation, and over restarts. Where nobody keeps such a memory, no message is taken.
    fn spend_message(
        &self,
        _tenant: &Tenant,
        _unspent: Unspent<Message>,
    ) -> impl Future<Output = Result<Message, NotSpent>> + Send {
        async { Err(NotSpent::Unavailable) }
    }

    /// Counts who counted a request of a route with shared limits.
    fn limited(&self, _by: LimitedBy) {}

    /// Counts a request to the egress proxy.
    fn observe_egress(&self, seen: Seen, status: StatusCode);

    /// A token for the upstream (RFC 8693). Whoever implements it decides by policy and records.
    fn exchange(
        &self,
        request: ExchangeRequest<'_>,
    ) -> impl Future<Output = Result<Exchanged, ExchangeError>> + Send;
}
