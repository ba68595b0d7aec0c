//! Rotation of the keys that encrypt, while everything runs: a new version seals, older ones open, and what they sealed is sealed again in the background.
//!
//! The key-encryption key: [`Rotation::rotate_key_encryption`] stores a version, and each node reads it within a second; where several share the database it seals a few seconds
//! later, when all of them know it. From then on [`Rotation::turn`] walks what older versions sealed, of all nodes one at a time, and destroys them once nothing names them
//! and the time for late writers is over ([`countersign_store`] holds the state and says what a stop in between leaves: nothing to repair).
//!
//! Not here: signing keys ([`crate::keyring`]), and what a vault's own engines rotate.

use crate::secrets::{Secrets, SecretsError};
use countersign_audit::event::{Actor, KeyRotationBegan, KeyRotationEnded};
use countersign_audit::{Code, Count};
use countersign_base::{Clock, Duration, RequestId, Tenant, UnixTime};
use countersign_keys::KeyVersion;
use countersign_keys::rewrap::RewrapProgress;
use countersign_store::{
    Finished, KekProgress, KeksDestroyed, Recorder, RewrapTurn, Store, StoreError, kek_status,
};
use std::sync::Arc;

/// Pages of one turn: with the rows of a page, ten thousand rows a second at most.
const PAGES_PER_TURN: usize = 50;
/// The shortest time for which older versions stay: what was sealed before a rotation is committed by then.
pub const DESTROY_AFTER_MIN: Duration = Duration::from_secs(60);

/// How keys that encrypt are changed.
#[derive(Debug, Clone, Copy)]
pub struct HierarchyOptions {
    /// How long an older version of the key-encryption key stays after nothing is left under it.
    pub destroy_after: Duration,
}

impl Default for HierarchyOptions {
    /// A day.
    fn default() -> Self {
        Self {
            destroy_after: Duration::from_secs(86_400),
        }
    }
}

/// Why a key is not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// Another node rotates at this moment.
    #[error("another rotation began at the same moment")]
    Raced,
    /// The hierarchy.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// There are as many versions as may be.
    #[error("there are as many versions as may be: wait until older ones are destroyed")]
    VersionsMax,
}

impl From<StoreError> for RotationError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(..) => Self::Raced,
            StoreError::Full(_) => Self::VersionsMax,
            other => Self::Store(other),
        }
    }
}

/// One version of the key-encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KekVersion {
    /// Its number.
    pub version: u32,
    /// When it was made.
    pub created: UnixTime,
}

/// Where the key-encryption key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KekStatus {
    /// The versions that there are, oldest first.
    pub versions: Vec<KekVersion>,
    /// The one that this process seals by.
    pub sealing: u32,
    /// What is under way.
    pub under_way: UnderWay,
    /// The last rotation that came to its end.
    pub finished: Option<Finished>,
}

/// What of a rotation is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnderWay {
    /// Nothing.
    Nothing,
    /// Everything is under the newest version; older ones are destroyed at that time.
    Waiting(UnixTime),
    /// What older versions sealed is sealed again.
    Rewrapping(RewrapProgress),
}

/// Who asks for a rotation, and in which request.
#[derive(Debug, Clone)]
pub struct AskedBy {
    /// Who.
    pub by: Actor,
    /// In which request.
    pub request: Option<RequestId>,
    /// Why (`demand`, `age`, `use`).
    pub reason: Code,
}

/// The rotation of a running process.
pub struct Rotation {
    store: Store,
    secrets: Arc<Secrets>,
    clock: Clock,
    recorder: Recorder,
    options: HierarchyOptions,
}

impl Rotation {
    pub(crate) const fn new(
        store: Store,
        secrets: Arc<Secrets>,
        clock: Clock,
        recorder: Recorder,
        options: HierarchyOptions,
    ) -> Self {
        Self {
            store,
            secrets,
            clock,
            recorder,
            options,
        }
    }

    /// Makes a version of the key-encryption key, and begins to seal again under it what older ones sealed; its number. When this returns it is durable, and this process
    /// goes on to it as soon as every other one knows it.
    ///
    /// # Errors
    /// When another node was first, there are too many versions, or the store fails: then nothing happened.
    pub async fn rotate_key_encryption(&self, asked: AskedBy) -> Result<u32, RotationError> {
        let now = self.clock.now();
        let row = self.secrets.next_version(&self.store, now).await?;
        let version = row.version;
        let began = KeyRotationBegan {
            by: asked.by,
            key: Code::of("key-encryption"),
            reason: asked.reason,
            version: Count::of(u64::from(version)),
        };
        let tenant = Tenant::default_tenant();
        let event = self.recorder.about_event(&tenant, asked.request, began);
        let id = self.secrets.keks().current().id();
        self.store.begin_kek_rotation(id, row, event).await?;
        self.secrets.refresh(&self.store, now).await?;
        tracing::info!(event = "key_encryption_key_rotated", version);
        Ok(version)
    }

    /// Where the key-encryption key stands.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn key_encryption(&self) -> Result<KekStatus, StoreError> {
        let mut connection = self.store.read().await?;
        let (rows, progress, finished) = kek_status(&mut connection).await?;
        let version = |row: countersign_store::tables::keks::KekRow| KekVersion {
            version: row.version,
            created: row.created,
        };
        Ok(KekStatus {
            versions: rows.into_iter().map(version).collect(),
            sealing: self.secrets.keks().current().version().0,
            under_way: match progress {
                KekProgress::Idle => UnderWay::Nothing,
                KekProgress::Waiting(_version, at) => UnderWay::Waiting(at),
                KekProgress::Walking(_version, progress) => UnderWay::Rewrapping(progress),
            },
            finished,
        })
    }

    /// Reads versions that another node made, and carries a rewrap on for a bounded number of pages.
    ///
    /// # Errors
    /// When the store fails; the next turn goes on from there.
    pub async fn turn(&self) -> Result<(), RotationError> {
        let now = self.clock.now();
        self.secrets.refresh(&self.store, now).await?;
        for _ in 0..PAGES_PER_TURN {
            match self.page(now).await? {
                RewrapTurn::More => {}
                RewrapTurn::Blocked(unreadable) => {
                    tracing::error!(event = "rewrap_blocked", unreadable);
                    return Ok(());
                }
                RewrapTurn::Walked(KeyVersion(version)) => {
                    tracing::info!(event = "rewrap_walked", version);
                    return Ok(());
                }
                RewrapTurn::Due(_version) => return self.destroy(now).await,
                RewrapTurn::Busy | RewrapTurn::Idle => return Ok(()),
            }
        }
        Ok(())
    }

    /// One page of the rewrap: for tests that stop between two.
    #[doc(hidden)]
    pub async fn page(&self, now: UnixTime) -> Result<RewrapTurn, StoreError> {
        self.store
            .rewrap_page(
                self.secrets.keks(),
                self.secrets.random().clone(),
                self.options.destroy_after.max(DESTROY_AFTER_MIN),
                now,
            )
            .await
    }

    async fn destroy(&self, now: UnixTime) -> Result<(), RotationError> {
        let recorder = self.recorder.clone();
        let event = move |finished: Finished, destroyed: usize| {
            let ended = KeyRotationEnded {
                destroyed: Count::of(u64::try_from(destroyed).unwrap_or(u64::MAX)),
                key: Code::of("key-encryption"),
                rewrapped: Count::of(finished.rewrapped),
                version: Count::of(u64::from(finished.version.0)),
            };
            recorder.about_event(&Tenant::default_tenant(), None, ended)
        };
        let id = self.secrets.keks().current().id();
        match self.store.destroy_keks(id, event, now).await? {
            KeksDestroyed::Not => {}
            KeksDestroyed::Named(table) => {
                tracing::warn!(event = "older_key_still_named", table);
            }
            KeksDestroyed::Gone(versions) => {
                tracing::info!(event = "older_keys_destroyed", ?versions);
                self.secrets.refresh(&self.store, now).await?;
            }
        }
        Ok(())
    }
}
