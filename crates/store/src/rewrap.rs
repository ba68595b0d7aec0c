//! The rotation of the key-encryption key at work: its state is one row, which whoever carries it on claims for the length of a transaction.
//!
//! ```text
//! begun -> walking, page by page, until a walk finds nothing below the new version -> waiting -> looked once more, and destroyed
//! ```
//!
//! A page is one transaction: the state is claimed, rows are read, what an older version sealed is replaced if it is still there, and the state moves on. Being killed
//! at any point repeats nothing and loses nothing; of several nodes one works at a time. Rows are updated and never made, so that what was deleted or erased meanwhile stays
//! so. A version is destroyed only in a transaction that has looked, column by column, and found nothing that names it; if anything does (a node that had not yet heard
//! of the new version wrote late), the walk begins anew.
//!
//! Not here: opening keys ([`countersign_keys`]), and when to call this (`control`).

mod columns;

pub use columns::{SEALED_COLUMNS, SealedColumn};

use crate::tables::keks::{self, KekRow};
use crate::tables::settings::{self, Setting};
use crate::write::record_event;
use crate::{Connection, Store, StoreError, Transaction};
use countersign_audit::Record;
use countersign_base::{Duration, Tenant, UnixTime};
use countersign_crypto::random::Random;
use countersign_keys::rewrap::{PageEnd, Rewrap, RewrapProgress, RewrapStep};
use countersign_keys::{KekSet, KeyId, KeyVersion};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Rows of one page.
const PAGE: u16 = 200;
/// Versions that may be there at once.
pub const KEK_VERSIONS_MAX: usize = 16;
/// How long a rewrap that met what does not open waits before it looks again.
const BLOCKED_FOR: Duration = Duration::from_secs(600);

/// The rotation of the key-encryption key, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    work: Work,
    last: Option<Finished>,
}

/// What is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Work {
    /// Nothing.
    Idle,
    /// A walk finished clean; older versions are kept for a while.
    Waiting {
        target: KeyVersion,
        rewrapped: u64,
        destroy_at: UnixTime,
    },
    /// A walk.
    Walking {
        rewrap: Box<Rewrap>,
        target: KeyVersion,
        not_before: UnixTime,
    },
}

/// A rotation that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// The version that everything is under.
    pub version: KeyVersion,
    /// What was sealed again.
    pub rewrapped: u64,
    /// When older versions were destroyed.
    pub at: UnixTime,
}

/// How far the rotation of the key-encryption key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KekProgress {
    /// There never was one, or the last one is over.
    Idle,
    /// Everything is under this version; older ones are destroyed then, if nothing names them.
    Waiting(KeyVersion, UnixTime),
    /// Under way to this version.
    Walking(KeyVersion, RewrapProgress),
}

/// What a turn of the rewrap did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewrapTurn {
    /// Another node is at it.
    Busy,
    /// There is nothing to do for now.
    Idle,
    /// A page was looked at; more follow.
    More,
    /// What is left does not open: how many rows. It is looked at again later.
    Blocked(u64),
    /// Everything is under this version.
    Walked(KeyVersion),
    /// Older versions may be destroyed.
    Due(KeyVersion),
}

/// What an attempt to destroy older versions did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeksDestroyed {
    /// Another node is at it, or it is not due.
    Not,
    /// Something in this table names one; the walk begins anew.
    Named(&'static str),
    /// These are gone.
    Gone(Vec<u32>),
}

/// Versions of the key-encryption key with how far their rotation is.
pub async fn kek_status(
    connection: &mut Connection,
) -> Result<(Vec<KekRow>, KekProgress, Option<Finished>), StoreError> {
    let rows = keks::all(connection).await?;
    let state = stored(settings::find(connection, Setting::KekRotation).await?)?;
    let progress = match state.work {
        Work::Idle => KekProgress::Idle,
        Work::Waiting {
            target, destroy_at, ..
        } => KekProgress::Waiting(target, destroy_at),
        Work::Walking { rewrap, target, .. } => KekProgress::Walking(target, rewrap.progress()),
    };
    Ok((rows, progress, state.last))
}

impl Store {
    /// Stores a new version of the key-encryption key, and begins to rewrap what older ones sealed: both or neither, with the event that reports it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another node was first; [`StoreError::Full`] while there are as many versions as may be.
    pub async fn begin_kek_rotation(
        &self,
        id: KeyId,
        new: KekRow,
        event: Record,
    ) -> Result<(), StoreError> {
        let mut connection = self.read().await?;
        let tables = columns::counted(&mut connection).await?;
        drop(connection);
        self.write(move |tx| {
            Box::pin(async move {
                if keks::all(tx).await?.len() >= KEK_VERSIONS_MAX {
                    return Err(StoreError::Full("keks"));
                }
                keks::add(tx, &new).await?;
                let mut state = stored(settings::find(tx, Setting::KekRotation).await?)?;
                let target = KeyVersion(new.version);
                state.work = Work::Walking {
                    rewrap: Box::new(Rewrap::start(id, target, tables)),
                    target,
                    not_before: new.created,
                };
                put(tx, &state).await?;
                record_event(tx, &Tenant::default_tenant(), &event);
                Ok(())
            })
        })
        .await?;
        self.outbox_changed();
        Ok(())
    }

    /// Puts every version of the key-encryption key under another root key, with the event that reports it. The rows are those that were read, each with its other
    /// wrapping; `seal` is the seal row that goes with them, in the place of the one that was read.
    ///
    /// # Errors
    /// [`StoreError::Superseded`] when a version came or went, or one or the seal is another than was read: then nothing happened.
    pub async fn change_root(
        &self,
        rows: Vec<(KekRow, Vec<u8>)>,
        seal: Option<(Vec<u8>, Vec<u8>)>,
        event: Record,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                if keks::all(tx).await?.len() != rows.len() {
                    return Err(StoreError::Superseded("keks"));
                }
                for (row, wrapped) in rows {
                    keks::rewrap(tx, &row, wrapped).await?;
                }
                if let Some((read, new)) = seal {
                    if settings::claim(tx, Setting::Seal).await? != Some(read) {
                        return Err(StoreError::Superseded("settings"));
                    }
                    settings::put(tx, Setting::Seal, new).await?;
                }
                record_event(tx, &Tenant::default_tenant(), &event);
                Ok(())
            })
        })
        .await?;
        self.outbox_changed();
        Ok(())
    }

    /// Carries the rewrap on by one page, if `keks` seals by its version already. What it replaced is durable with the place where it goes on.
    ///
    /// # Errors
    /// When the database fails; nothing moved on then.
    pub async fn rewrap_page(
        &self,
        keks: Arc<KekSet>,
        random: Random,
        destroy_after: Duration,
        now: UnixTime,
    ) -> Result<RewrapTurn, StoreError> {
        // Most of the time there is nothing to do, and no transaction to begin.
        let mut connection = self.read().await?;
        let found = settings::find(&mut connection, Setting::KekRotation).await?;
        drop(connection);
        match stored(found)?.work {
            Work::Idle => return Ok(RewrapTurn::Idle),
            Work::Waiting {
                target, destroy_at, ..
            } if destroy_at <= now => return Ok(RewrapTurn::Due(target)),
            Work::Waiting { .. } => return Ok(RewrapTurn::Idle),
            Work::Walking {
                target, not_before, ..
            } if not_before > now || keks.current().version() < target => {
                return Ok(RewrapTurn::Idle);
            }
            Work::Walking { .. } => {}
        }
        self.write(move |tx| {
            Box::pin(async move { page(tx, &keks, &random, destroy_after, now).await })
        })
        .await
    }

    /// Destroys the versions below the one that everything is under, if nothing names them.
    ///
    /// # Errors
    /// When the database fails; everything is as it was.
    pub async fn destroy_keks(
        &self,
        id: KeyId,
        event: impl FnOnce(Finished, usize) -> Record + Send + 'static,
        now: UnixTime,
    ) -> Result<KeksDestroyed, StoreError> {
        let destroyed = self
            .write(move |tx| Box::pin(async move { destroy(tx, id, event, now).await }))
            .await?;
        self.outbox_changed();
        Ok(destroyed)
    }
}

async fn page(
    tx: &mut Transaction,
    keks: &KekSet,
    random: &Random,
    destroy_after: Duration,
    now: UnixTime,
) -> Result<RewrapTurn, StoreError> {
    let Some(bytes) = settings::claim(tx, Setting::KekRotation).await? else {
        return Ok(RewrapTurn::Busy);
    };
    let mut state = stored(Some(bytes))?;
    let Work::Walking { rewrap, target, .. } = state.work else {
        return Ok(RewrapTurn::Busy);
    };
    let (read, column) = match rewrap.position() {
        None => (None, None),
        Some((table, cursor)) => {
            let column = columns::named(table)?;
            (Some(column.page(tx, cursor, PAGE).await?), Some(column))
        }
    };
    let mut read = read;
    let rows = read.as_mut().map(|read| std::mem::take(&mut read.rows));
    let rows = rows.unwrap_or_default();
    let end = if rows.len() < usize::from(PAGE) {
        PageEnd::TableEnds
    } else {
        PageEnd::More
    };
    let page = rewrap.page(rows, keks, random);
    let mut written = 0;
    if let (Some(read), Some(column)) = (&read, column) {
        for replacement in &page.replacements {
            written += u64::from(column.reseal(tx, read, replacement).await?);
        }
    }
    for (_cursor, error) in &page.unreadable {
        tracing::warn!(event = "rewrap_unreadable", table = column.map(|column| column.table), %error);
    }
    let unreadable = u64::try_from(page.unreadable.len()).unwrap_or(u64::MAX);
    let unreadable = rewrap.progress().unreadable.saturating_add(unreadable);
    let (work, turn) = match rewrap.advance(&page, written, end) {
        RewrapStep::More(rewrap) => (walking(rewrap, target, now), RewrapTurn::More),
        RewrapStep::Blocked(rewrap) => (
            walking(rewrap, target, now.plus(BLOCKED_FOR)),
            RewrapTurn::Blocked(unreadable),
        ),
        RewrapStep::Ended(ended) => (
            Work::Waiting {
                target: ended.target(),
                rewrapped: ended.rewrapped(),
                destroy_at: now.plus(destroy_after),
            },
            RewrapTurn::Walked(ended.target()),
        ),
    };
    state.work = work;
    put(tx, &state).await?;
    Ok(turn)
}

fn walking(rewrap: Rewrap, target: KeyVersion, not_before: UnixTime) -> Work {
    Work::Walking {
        rewrap: Box::new(rewrap),
        target,
        not_before,
    }
}

async fn destroy(
    tx: &mut Transaction,
    id: KeyId,
    event: impl FnOnce(Finished, usize) -> Record + Send,
    now: UnixTime,
) -> Result<KeksDestroyed, StoreError> {
    let Some(bytes) = settings::claim(tx, Setting::KekRotation).await? else {
        return Ok(KeksDestroyed::Not);
    };
    let mut state = stored(Some(bytes))?;
    let (target, rewrapped) = match state.work {
        Work::Waiting {
            target,
            rewrapped,
            destroy_at,
        } if destroy_at <= now => (target, rewrapped),
        Work::Idle | Work::Waiting { .. } | Work::Walking { .. } => return Ok(KeksDestroyed::Not),
    };
    let versions = keks::all(tx).await?.into_iter().map(|row| row.version);
    let older: Vec<u32> = versions.filter(|version| *version < target.0).collect();
    for version in &older {
        if let Some(table) = columns::naming(tx, id, KeyVersion(*version), PAGE).await? {
            let tables = columns::counted(tx).await?;
            state.work = walking(Rewrap::start(id, target, tables), target, now);
            put(tx, &state).await?;
            return Ok(KeksDestroyed::Named(table));
        }
    }
    for version in &older {
        keks::remove(tx, *version).await?;
    }
    let finished = Finished {
        version: target,
        rewrapped,
        at: now,
    };
    state.work = Work::Idle;
    state.last = Some(finished);
    put(tx, &state).await?;
    record_event(tx, &Tenant::default_tenant(), &event(finished, older.len()));
    Ok(KeksDestroyed::Gone(older))
}

fn stored(bytes: Option<Vec<u8>>) -> Result<State, StoreError> {
    match bytes {
        None => Ok(State {
            work: Work::Idle,
            last: None,
        }),
        Some(bytes) => {
            serde_json::from_slice(&bytes).map_err(|error| StoreError::corrupt("settings", error))
        }
    }
}

async fn put(tx: &mut Transaction, state: &State) -> Result<(), StoreError> {
    let bytes =
        serde_json::to_vec(state).map_err(|error| StoreError::corrupt("settings", error))?;
    settings::put(tx, Setting::KekRotation, bytes).await
}
