//! A start whose root key is away: it waits for shares, or makes them for an installation that has none.
//!
//! Nothing of the fabric runs meanwhile. Shares are gathered in this process alone and are gone with it. Of several nodes that are initialized at once the database
//! lets one be first; the others are told that there is a seal.
//!
//! Not here: doors ([`countersign_keys::seal`] has the machines, the process its listeners), and changing shares of an open installation ([`crate::vault::quorum`]).

pub mod held;

use crate::root::RootSource;
use crate::secrets::{Secrets, SecretsError};
use crate::vault::{Steps, VaultFailure};
use countersign_audit::event::SealOperation;
use countersign_audit::{Code, Count, Record};
use countersign_base::{Clock, ParseError, Secret, Tenant};
use countersign_crypto::random::Random;
use countersign_keys::seal::{
    Initialized, SealFault, SealPlan, SealRow, SealStatus, UnsealRefused, UnsealStep, Unsealing,
    initialize,
};
use countersign_keys::shamir::{Share, ShareRule, ShareRuleError};
use countersign_keys::{KekSet, RootKey};
use countersign_store::tables::keks::{self, KekRow};
use countersign_store::tables::settings::{self, Setting};
use countersign_store::{Store, StoreError, StoreOptions, record_event};
use countersign_vault::token::{self, RootLife};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Why the seal does not do what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// There is a seal already.
    #[error("Vault is already initialized")]
    AlreadyInitialized,
    /// The installation was begun with a file or a passphrase.
    #[error(
        "the root key of this installation comes from a file or a passphrase: take `seal` out of `[keys]`, or begin with an empty data directory"
    )]
    AnotherSource,
    /// A share is none.
    #[error(transparent)]
    Form(#[from] ParseError),
    /// The numbers of shares do not fit.
    #[error(transparent)]
    Rule(#[from] ShareRuleError),
    /// The stored seal cannot be read.
    #[error("the stored seal cannot be read")]
    Stored,
    /// Making the seal ended before it was known whether there is one now.
    #[error("making the seal ended unexpectedly; restart to see whether there is one")]
    Unfinished,
    /// The machine refuses.
    #[error(transparent)]
    Fault(#[from] SealFault),
    /// There is none yet.
    #[error("Vault is not initialized")]
    NotInitialized,
    /// The shares are wrong, and all were dropped.
    #[error(transparent)]
    Refused(#[from] UnsealRefused),
    /// The hierarchy below the root key.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The first token.
    #[error(transparent)]
    Vault(#[from] VaultFailure),
}

/// The seal of a process whose root key is away.
pub struct ClosedSeal {
    store: Store,
    clock: Clock,
    random: Random,
    state: Mutex<State>,
    /// Sets of shares that were refused: recorded once the log is open.
    refused: AtomicU64,
    opened: Notify,
}

/// How a seal came to be open, for the record.
#[derive(Debug, Clone)]
pub struct Opening {
    /// By what.
    pub by: OpenedBy,
    /// Sets of shares that were refused before.
    pub refused: u64,
}

/// By what a seal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenedBy {
    /// It was made, and is recorded already.
    Making,
    /// Shares.
    Shares,
}

enum State {
    /// Nobody has made a seal.
    Absent,
    /// Somebody is at it, or the machine is being moved.
    Busy,
    /// Shares are gathered.
    Gathering(Box<Unsealing>),
    /// The root key is here.
    Open(Arc<RootKey>, SealStatus, OpenedBy),
}

/// What whoever makes a seal is given, once.
pub struct FirstShares {
    /// The shares, in their order.
    pub shares: Vec<Share>,
    /// A root token without an end.
    pub root_token: Secret<String>,
}

impl ClosedSeal {
    /// Looks whether there is a seal.
    ///
    /// # Errors
    /// When the database cannot be opened, or holds no seal that can be read.
    pub async fn open(
        store: &StoreOptions,
        clock: Clock,
        random: Random,
    ) -> Result<Self, SealError> {
        let store = Store::open(store, clock.now()).await?;
        let (stored, keks) = {
            let mut connection = store.read().await?;
            let stored = settings::find(&mut connection, Setting::Seal).await?;
            (stored, keks::all(&mut connection).await?)
        };
        let state = match stored {
            None if !keks.is_empty() => return Err(SealError::AnotherSource),
            None => State::Absent,
            Some(bytes) => {
                let row: SealRow = serde_json::from_slice(&bytes).map_err(|_| SealError::Stored)?;
                State::Gathering(Box::new(Unsealing::new(row)?))
            }
        };
        Ok(Self {
            store,
            clock,
            random,
            state: Mutex::new(state),
            refused: AtomicU64::new(0),
            opened: Notify::new(),
        })
    }

    /// For `sys/seal-status`.
    #[must_use]
    pub fn status(&self) -> SealStatus {
        match &*self.lock() {
            State::Absent | State::Busy => SealStatus::uninitialized(),
            State::Gathering(unsealing) => unsealing.status(),
            State::Open(_, status, _) => status.clone(),
        }
    }

    /// Makes the first seal. The process is open from then on.
    ///
    /// # Errors
    /// When there is one, or nothing could be stored; what was stored then holds no shares that anybody was given, and is made anew by nobody.
    pub async fn initialize(
        self: &Arc<Self>,
        shares: u8,
        threshold: u8,
    ) -> Result<FirstShares, SealError> {
        let rule = ShareRule::new(shares, threshold)?;
        self.begin()?;
        // It runs to its end, also if whoever asked goes away: else the door would say for ever that somebody is at it.
        let seal = Arc::clone(self);
        let made = tokio::spawn(async move { seal.initialized(rule).await });
        made.await.unwrap_or(Err(SealError::Unfinished))
    }

    async fn initialized(&self, rule: ShareRule) -> Result<FirstShares, SealError> {
        let made = self.make(rule).await;
        let mut state = self.lock();
        match made {
            Ok((root, status, first)) => {
                *state = State::Open(root, status, OpenedBy::Making);
                self.opened.notify_one();
                Ok(first)
            }
            Err(error) => {
                *state = State::Absent;
                Err(error)
            }
        }
    }

    fn begin(&self) -> Result<(), SealError> {
        let mut state = self.lock();
        match &*state {
            State::Absent => {
                *state = State::Busy;
                Ok(())
            }
            State::Busy | State::Gathering(_) | State::Open(..) => {
                Err(SealError::AlreadyInitialized)
            }
        }
    }

    async fn make(
        &self,
        rule: ShareRule,
    ) -> Result<(Arc<RootKey>, SealStatus, FirstShares), SealError> {
        let keks = KekSet::generate(&self.random);
        let Initialized {
            row,
            shares,
            recovery_shares: _,
            root_key,
        } = initialize(SealPlan::Shamir(rule), &keks, &self.random)?;
        let kek = KekRow {
            version: 1,
            wrapped: keks
                .current()
                .wrap(&root_key, &self.random)
                .map_err(SealFault::from)?
                .into_bytes(),
            created: self.clock.now(),
        };
        let stored = serde_json::to_vec(&row).map_err(|_| SealError::Stored)?;
        let record = self.made(&row);
        let first = self.store.write(move |tx| {
            Box::pin(async move {
                let standing = settings::put_first(tx, Setting::Seal, stored.clone()).await?;
                if standing != stored {
                    return Err(StoreError::Superseded("settings"));
                }
                keks::add(tx, &kek).await?;
                record_event(tx, &record.tenant.clone(), &record);
                Ok(())
            })
        });
        match first.await {
            Err(StoreError::Superseded(_)) => return Err(SealError::AlreadyInitialized),
            other => other?,
        }
        let root = Arc::new(root_key);
        let root_token = self.first_token(&root).await?;
        let first = FirstShares { shares, root_token };
        Ok((root, SealStatus::unsealed(&row), first))
    }

    /// That there is a seal now. It waits in the database until the log is open.
    fn made(&self, row: &SealRow) -> Record {
        Record {
            id: self.random.event_id(),
            time: self.clock.millis(),
            tenant: Tenant::default_tenant(),
            request: None,
            event: SealOperation {
                generation: Some(Count::of(row.generation())),
                seal: Some(Code::of(row.seal().name())),
                ..SealOperation::new(Code::of("init"), Code::of("done"))
            }
            .into(),
        }
    }

    async fn first_token(&self, root: &Arc<RootKey>) -> Result<Secret<String>, SealError> {
        let source = RootSource::Unsealed(Arc::clone(root));
        let secrets = Secrets::open_existing(&self.store, &source, &self.random).await?;
        let steps = Steps::new(
            self.store.clone(),
            Arc::new(secrets),
            self.clock.clone(),
            self.random.clone(),
            None,
        );
        let tenant = Tenant::default_tenant();
        steps.prepare(&tenant).await?;
        let made = steps.internally(&tenant, |work, cx| {
            token::first_root(RootLife::Endless, work, cx)
        });
        Ok(made.await?.client_token)
    }

    /// Takes a share, and answers what is known then.
    ///
    /// # Errors
    /// When there is no seal, the text is no share, or the shares together are wrong: then all are dropped.
    pub fn unseal(&self, share: &Secret<String>) -> Result<SealStatus, SealError> {
        let share = Share::parse(share)?;
        let mut state = self.lock();
        let unsealing = match std::mem::replace(&mut *state, State::Busy) {
            State::Gathering(unsealing) => unsealing,
            other => {
                let status = match &other {
                    State::Open(_, status, _) => Ok(status.clone()),
                    State::Absent | State::Busy | State::Gathering(_) => {
                        Err(SealError::NotInitialized)
                    }
                };
                *state = other;
                return status;
            }
        };
        match unsealing.provide(share, &self.random) {
            UnsealStep::More(unsealing) => {
                let status = unsealing.status();
                *state = State::Gathering(Box::new(unsealing));
                Ok(status)
            }
            UnsealStep::Refused(unsealing, refused) => {
                *state = State::Gathering(Box::new(unsealing));
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(refused.into())
            }
            UnsealStep::Unsealed(root, row) => {
                let status = SealStatus::unsealed(&row);
                *state = State::Open(Arc::new(root), status.clone(), OpenedBy::Shares);
                self.opened.notify_one();
                Ok(status)
            }
        }
    }

    /// Drops the shares that were given.
    #[must_use]
    pub fn reset(&self) -> SealStatus {
        let mut state = self.lock();
        *state = match std::mem::replace(&mut *state, State::Busy) {
            State::Gathering(unsealing) => State::Gathering(Box::new(unsealing.reset())),
            other => other,
        };
        drop(state);
        self.status()
    }

    /// Waits until the root key is here.
    pub async fn opened(&self) -> (Arc<RootKey>, Opening) {
        loop {
            if let State::Open(root, _, by) = &*self.lock() {
                let refused = self.refused.load(Ordering::Relaxed);
                return (Arc::clone(root), Opening { by: *by, refused });
            }
            self.opened.notified().await;
        }
    }

    /// Closes the database: whoever goes on with the root key opens it anew.
    pub async fn close(&self) {
        self.store.close().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
