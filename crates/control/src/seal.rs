//! A start whose root key is away: it asks the source of the unseal key, waits for shares, or makes a seal for an installation that has none.
//!
//! Nothing of the fabric runs meanwhile. An installation whose root key stood in a file or came from a passphrase is taken over by a source that the configuration names; not by shares, since whoever asks first is given those. Shares are gathered in this process alone and are gone with it. Of several nodes that are initialized at once the database
//! lets one be first; the others are told that there is a seal.
//!
//! Not here: doors ([`countersign_keys::seal`] has the machines, the process its listeners), and changing shares of an open installation ([`crate::vault::quorum`]).

pub mod held;
pub mod source;

use crate::root::{RootError, RootSource};
use crate::rotation::{HierarchyOptions, Rotation};
use crate::secrets::{Secrets, SecretsError};
use crate::vault::{Steps, VaultFailure};
use countersign_audit::event::SealOperation;
use countersign_audit::{Code, Count, Record};
use countersign_base::{Clock, ParseError, Secret, Tenant};
use countersign_crypto::random::Random;
use countersign_keys::seal::{
    Initialized, Seal, SealFault, SealPlan, SealRow, SealStatus, UnsealRefused, UnsealStep,
    Unsealing, adopt, initialize,
};
use countersign_keys::shamir::{Share, ShareRule, ShareRuleError};
use countersign_keys::{KekSet, RootKey};
use countersign_store::tables::keks::{self, KekRow};
use countersign_store::tables::settings::{self, Setting};
use countersign_store::{Store, StoreError, StoreOptions, record_event};
use countersign_vault::token::{self, RootLife};
use source::{Source, SourceError};
use std::path::PathBuf;
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
    /// Shares are given to a seal that has none.
    #[error("a source opens this seal; recovery keys open nothing")]
    OpensBySource,
    /// The root key from before.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The source gives no key.
    #[error(transparent)]
    Source(#[from] SourceError),
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

impl SealError {
    /// Its name in the log, which has no free text.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::AlreadyInitialized => "already_initialized",
            Self::AnotherSource => "another_source",
            Self::Fault(_) => "unseal_key_wrong",
            Self::Form(_) | Self::Refused(_) | Self::Rule(_) => "shares_refused",
            Self::NotInitialized => "not_initialized",
            Self::OpensBySource => "opens_by_source",
            Self::Root(_) => "root_key_unusable",
            Self::Secrets(_) => "secrets_not_opened",
            Self::Source(source) => source.reason(),
            Self::Store(_) => "store_failed",
            Self::Stored => "seal_unreadable",
            Self::Unfinished => "ended_unexpectedly",
            Self::Vault(_) => "vault_failed",
        }
    }
}

/// What opens the seal, as the configuration says.
#[derive(Clone)]
pub enum Way {
    /// Operators, by shares.
    Shares,
    /// A source.
    Source(Arc<Source>),
}

impl Way {
    fn kind(&self) -> &'static str {
        match self {
            Self::Shares => "shamir",
            Self::Source(source) => source.kind(),
        }
    }
}

/// Where the root key is of an installation that has no seal.
pub struct Former {
    /// File or passphrase.
    pub root: RootSource,
    /// The data directory.
    pub data: PathBuf,
}

/// The seal of a process whose root key is away.
pub struct ClosedSeal {
    way: Way,
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
    /// The source.
    Source,
}

enum State {
    /// Nobody has made a seal.
    Absent,
    /// Somebody is at it, or the machine is being moved.
    Busy,
    /// Shares are gathered.
    Gathering(Box<Unsealing>),
    /// The source has not given the key yet.
    Waiting(Box<SealRow>),
    /// The root key is here.
    Open(Arc<RootKey>, SealStatus, OpenedBy),
}

/// What whoever makes a seal is given, once.
pub struct FirstShares {
    /// The shares, in their order.
    pub shares: Vec<Share>,
    /// Recovery keys, where a source opens the seal.
    pub recovery: Vec<Share>,
    /// A root token without an end.
    pub root_token: Secret<String>,
}

impl ClosedSeal {
    /// Looks whether there is a seal. A root key that stood without one gets it, where a source is named.
    ///
    /// # Errors
    /// When the database cannot be opened, holds no seal that can be read, or one of another kind than the configuration names.
    pub async fn open(
        store: &StoreOptions,
        way: Way,
        former: Former,
        clock: Clock,
        random: Random,
    ) -> Result<Self, SealError> {
        let store = Store::open(store, clock.now()).await?;
        let (stored, keks) = {
            let mut connection = store.read().await?;
            let stored = settings::find(&mut connection, Setting::Seal).await?;
            (stored, keks::all(&mut connection).await?)
        };
        let seal = Self {
            way,
            store,
            clock,
            random,
            state: Mutex::new(State::Absent),
            refused: AtomicU64::new(0),
            opened: Notify::new(),
        };
        let row = match stored {
            None if keks.is_empty() => return Ok(seal),
            None => seal.take_over(former).await?,
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|_| SealError::Stored)?,
        };
        *seal.lock() = state_of(row, &seal.way)?;
        Ok(seal)
    }

    /// A seal over the root key of an installation that had none. What was sealed stays as it is; nobody holds recovery keys.
    async fn take_over(&self, former: Former) -> Result<SealRow, SealError> {
        let Way::Source(_) = &self.way else {
            return Err(SealError::AnotherSource);
        };
        let bytes = former.root.bytes(&former.data)?;
        let bytes = bytes.ok_or(SealError::AnotherSource)?;
        let root = RootSource::Unsealed(Arc::new(RootKey::from_bytes(&bytes)));
        let secrets = Secrets::open_existing(&self.store, &root, &self.random).await?;
        let plan = self.plan(None).await?;
        let Initialized { row, .. } = adopt(plan, &bytes, &secrets.keks(), &self.random)?;
        self.put_first(&row, None, "adopt").await?;
        tracing::info!(event = "root_key_sealed", name = row.seal().name());
        Ok(row)
    }

    /// What a new seal shall be.
    async fn plan(&self, holders: Option<ShareRule>) -> Result<SealPlan, SealError> {
        match (&self.way, holders) {
            (Way::Shares, Some(rule)) => Ok(SealPlan::Shamir(rule)),
            (Way::Shares, None) => {
                Err(ShareRule::new(0, 0).map_or_else(Into::into, |_| SealError::Unfinished))
            }
            (Way::Source(source), recovery) => {
                let (source, random) = (Arc::clone(source), self.random.clone());
                let created = tokio::task::spawn_blocking(move || source.create(&random)).await;
                let (source, key) = created.map_err(|_| SealError::Unfinished)??;
                Ok(SealPlan::Auto {
                    source,
                    key,
                    recovery,
                })
            }
        }
    }

    /// Asks the source for the unseal key, if one is named and the seal waits for it.
    ///
    /// # Errors
    /// When the source gives none, or another one. The seal stays closed.
    pub async fn open_by_source(&self) -> Result<(), SealError> {
        let (row, source) = match (&*self.lock(), &self.way) {
            (State::Waiting(row), Way::Source(source)) => (row.clone(), Arc::clone(source)),
            _ => return Ok(()),
        };
        let Seal::Auto { source: stored, .. } = row.seal().clone() else {
            return Err(SealError::Stored);
        };
        let given = tokio::task::spawn_blocking(move || source.open(&stored)).await;
        let key = given.map_err(|_| SealError::Unfinished)??;
        let root = row.open(&key).map_err(SealFault::from)?;
        let status = SealStatus::unsealed(&row);
        *self.lock() = State::Open(Arc::new(root), status, OpenedBy::Source);
        self.opened.notify_one();
        Ok(())
    }

    /// Whether a source opens it, so that there are recovery keys in the place of shares.
    #[must_use]
    pub const fn opens_by_source(&self) -> bool {
        matches!(self.way, Way::Source(_))
    }

    /// Whether the root key is here.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(&*self.lock(), State::Open(..))
    }

    /// For `sys/seal-status`.
    #[must_use]
    pub fn status(&self) -> SealStatus {
        match &*self.lock() {
            State::Absent | State::Busy => SealStatus {
                kind: self.way.kind(),
                recovery_seal: self.opens_by_source(),
                ..SealStatus::uninitialized()
            },
            State::Gathering(unsealing) => unsealing.status(),
            State::Waiting(row) => SealStatus::sealed(row),
            State::Open(_, status, _) => status.clone(),
        }
    }

    /// Makes the first seal, with shares or, where a source opens it, recovery keys. The process is open from then on.
    ///
    /// # Errors
    /// When there is one, or nothing could be stored; what was stored then holds no shares that anybody was given, and is made anew by nobody.
    pub async fn initialize(
        self: &Arc<Self>,
        holders: Option<(u8, u8)>,
    ) -> Result<FirstShares, SealError> {
        let rule = holders.map(|(shares, threshold)| ShareRule::new(shares, threshold));
        let rule = rule.transpose()?;
        self.begin()?;
        // It runs to its end, also if whoever asked goes away: else the door would say for ever that somebody is at it.
        let seal = Arc::clone(self);
        let made = tokio::spawn(async move { seal.initialized(rule).await });
        made.await.unwrap_or(Err(SealError::Unfinished))
    }

    async fn initialized(&self, rule: Option<ShareRule>) -> Result<FirstShares, SealError> {
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
            State::Busy | State::Gathering(_) | State::Open(..) | State::Waiting(_) => {
                Err(SealError::AlreadyInitialized)
            }
        }
    }

    async fn make(
        &self,
        holders: Option<ShareRule>,
    ) -> Result<(Arc<RootKey>, SealStatus, FirstShares), SealError> {
        let keks = KekSet::generate(&self.random);
        let Initialized {
            row,
            shares,
            recovery_shares,
            root_key,
        } = initialize(self.plan(holders).await?, &keks, &self.random)?;
        let kek = KekRow {
            version: 1,
            wrapped: keks
                .current()
                .wrap(&root_key, &self.random)
                .map_err(SealFault::from)?
                .into_bytes(),
            created: self.clock.now(),
        };
        self.put_first(&row, Some(kek), "init").await?;
        let root = Arc::new(root_key);
        let root_token = self.first_token(&root).await?;
        let first = FirstShares {
            shares,
            recovery: recovery_shares,
            root_token,
        };
        Ok((root, SealStatus::unsealed(&row), first))
    }

    /// Stores the first seal, with the first key-encryption key if there is none yet and with the record that says so.
    async fn put_first(
        &self,
        row: &SealRow,
        kek: Option<KekRow>,
        how: &'static str,
    ) -> Result<(), SealError> {
        let stored = serde_json::to_vec(row).map_err(|_| SealError::Stored)?;
        let record = self.made(row, how);
        let first = self.store.write(move |tx| {
            Box::pin(async move {
                let standing = settings::put_first(tx, Setting::Seal, stored.clone()).await?;
                if standing != stored {
                    return Err(StoreError::Superseded("settings"));
                }
                if let Some(kek) = kek {
                    keks::add(tx, &kek).await?;
                }
                record_event(tx, &record.tenant.clone(), &record);
                Ok(())
            })
        });
        match first.await {
            Err(StoreError::Superseded(_)) => Err(SealError::AlreadyInitialized),
            other => Ok(other?),
        }
    }

    /// That there is a seal now. It waits in the database until the log is open.
    fn made(&self, row: &SealRow, how: &'static str) -> Record {
        Record {
            id: self.random.event_id(),
            time: self.clock.millis(),
            tenant: Tenant::default_tenant(),
            request: None,
            event: SealOperation {
                generation: Some(Count::of(row.generation())),
                seal: Some(Code::of(row.seal().name())),
                ..SealOperation::new(Code::of(how), Code::of("done"))
            }
            .into(),
        }
    }

    async fn first_token(&self, root: &Arc<RootKey>) -> Result<Secret<String>, SealError> {
        let source = RootSource::Unsealed(Arc::clone(root));
        let secrets = Secrets::open_existing(&self.store, &source, &self.random).await?;
        let secrets = Arc::new(secrets);
        let rotation = Rotation::new(
            self.store.clone(),
            Arc::clone(&secrets),
            self.clock.clone(),
            HierarchyOptions::default(),
        );
        let steps = Steps::new(
            self.store.clone(),
            secrets,
            self.clock.clone(),
            self.random.clone(),
            Arc::new(rotation),
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
                    State::Waiting(_) => Err(SealError::OpensBySource),
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

/// What a stored seal waits for: only what the configuration names opens it.
fn state_of(row: SealRow, way: &Way) -> Result<State, SealError> {
    match (row.seal(), way) {
        (Seal::Shamir(_), Way::Shares) => Ok(State::Gathering(Box::new(Unsealing::new(row)?))),
        (Seal::Auto { source, .. }, Way::Source(named)) if source.name() == named.kind() => {
            Ok(State::Waiting(Box::new(row)))
        }
        (Seal::Auto { .. } | Seal::Shamir(_), Way::Shares | Way::Source(_)) => {
            Err(SourceError::AnotherKind {
                stored: row.seal().name(),
                configured: way.kind(),
            }
            .into())
        }
    }
}

#[cfg(test)]
mod tests;
