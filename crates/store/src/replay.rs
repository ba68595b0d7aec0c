//! The process's memory of one-time credentials that live shorter than a restart matters: DPoP proofs.
//!
//! The memory itself is [`countersign_authn::replay`]; here is the door through which the shell spends. Where several processes share a database, the
//! authorization server spends proofs there too ([`Store::spend_proof`]), and signed requests, which live up to an hour, always
//! ([`Store::spend_signed_request`]). Client assertions are spent in the transaction that uses them ([`crate::Store::issue`]).

use crate::tables::assertions::Assertion;
use crate::tables::used_proofs;
use crate::{Store, StoreError};
use countersign_authn::Unspent;
use countersign_authn::replay::{ReplayEntry, ReplayLimits, Replayed};
use countersign_base::{Tenant, UnixTime};
use countersign_wire::message::{self, Message};

/// A partner's message that was taken before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message was taken before")]
pub struct MessageReplayed;

/// One per process, shared by every core: a proof that was sent to one core is known on all.
#[derive(Debug)]
pub struct ReplayMemory(countersign_authn::replay::ReplayMemory);

impl ReplayMemory {
    /// An empty memory.
    #[must_use]
    pub fn new(limits: ReplayLimits) -> Self {
        Self(countersign_authn::replay::ReplayMemory::new(limits))
    }

    /// Spends the one-time values of a credential and opens it. Of any number of calls with the same value, one succeeds.
    ///
    /// # Errors
    /// When it was used before, is past its time, or its owner has used more than is remembered; nothing is evicted to make room.
    pub fn spend_replay<T>(&self, unspent: Unspent<T>, now: UnixTime) -> Result<T, Replayed> {
        self.0.spend(unspent, now)
    }
}

impl Store {
    /// Spends a proof of possession: in the memory of this process, and where others share the database, there too (RFC 9449 §11.1). Of any number of calls
    /// with the same proof at all processes, one succeeds.
    ///
    /// # Errors
    /// [`StoreError`] when the database failed; the proof is spent all the same. The inner error is a replay.
    pub async fn spend_proof<T>(
        &self,
        memory: &ReplayMemory,
        tenant: &Tenant,
        unspent: Unspent<T>,
        now: UnixTime,
    ) -> Result<Result<T, Replayed>, StoreError> {
        let entries = unspent.entries().to_vec();
        // First the memory: what comes again to this process costs no transaction, and the memory's bounds are those of the table.
        let spent = match memory.spend_replay(unspent, now) {
            Ok(spent) => spent,
            Err(replayed) => return Ok(Err(replayed)),
        };
        if self.is_shared() && !entries.is_empty() {
            let remembered = self.remember(tenant, entries).await?;
            return Ok(remembered.map(|()| spent));
        }
        Ok(Ok(spent))
    }

    /// Spends a request that its client signed, in the database, so that neither another process nor a restart takes it again.
    ///
    /// # Errors
    /// As [`Store::spend_proof`].
    pub async fn spend_signed_request<T>(
        &self,
        tenant: &Tenant,
        unspent: Unspent<T>,
    ) -> Result<Result<T, Replayed>, StoreError> {
        let entries = unspent.entries().to_vec();
        // Handed out below only after the transaction that inserted its entries was committed.
        let request = countersign_authn::danger::spent(unspent);
        let remembered = self.remember(tenant, entries).await?;
        Ok(remembered.map(|()| request))
    }

    /// Spends a partner's message, in the database, so that neither another process nor a restart takes it again.
    ///
    /// # Errors
    /// [`StoreError`] when the database failed. The inner error is a replay.
    pub async fn spend_message(
        &self,
        tenant: &Tenant,
        unspent: message::Unspent<Message>,
    ) -> Result<Result<Message, MessageReplayed>, StoreError> {
        let one_time = *unspent.one_time();
        let tenant = tenant.clone();
        let spent = self.write(move |tx| {
            Box::pin(async move {
                used_proofs::spend(tx, &tenant, &one_time.key, one_time.expires).await
            })
        });
        // Handed out below only after the transaction that remembers it was committed.
        match spent.await? {
            Assertion::Fresh => Ok(Ok(message::danger::spent(unspent))),
            Assertion::Replayed => Ok(Err(MessageReplayed)),
        }
    }

    async fn remember(
        &self,
        tenant: &Tenant,
        entries: Vec<ReplayEntry>,
    ) -> Result<Result<(), Replayed>, StoreError> {
        let tenant = tenant.clone();
        self.write(move |tx| {
            Box::pin(async move {
                for entry in entries {
                    match used_proofs::spend(tx, &tenant, &entry.key, entry.expires).await? {
                        Assertion::Fresh => {}
                        Assertion::Replayed => {
                            return Ok(Err(Replayed::AlreadyUsed(entry.kind)));
                        }
                    }
                }
                Ok(Ok(()))
            })
        })
        .await
    }
}
