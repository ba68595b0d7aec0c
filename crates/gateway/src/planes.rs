//! What the data plane needs of the control plane, and nothing else of it.

use crate::exchange::{ExchangeError, ExchangeRequest, Exchanged};
use countersign_authn::dpop::Nonces;
use countersign_authn::{KeyAnswer, KeyNeeded, Revocations};
use countersign_base::{Clock, UnixTime};
use countersign_crypto::random::Random;
use countersign_policy::PolicySet;
use countersign_store::{Recorder, ReplayMemory};
use std::future::Future;
use std::sync::Arc;

/// The control plane as a request sees it. Everything but [`Planes::key`] and [`Planes::exchange`] answers from memory without waiting.
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

    /// A number that changes whenever a key of any trusted issuer comes or goes: verdicts of another generation don't count.
    fn key_generation(&self) -> u64;

    /// The key that a token's signature demands.
    fn key(&self, needed: &KeyNeeded, now: UnixTime) -> impl Future<Output = KeyAnswer> + Send;

    /// A token for the upstream (RFC 8693). Whoever implements it decides by policy and records.
    fn exchange(
        &self,
        request: ExchangeRequest<'_>,
    ) -> impl Future<Output = Result<Exchanged, ExchangeError>> + Send;
}
