//! What the vault keeps: sealed values under names, each with the number of its writing.
//!
//! What is committed names what it was made of: every entry that was read, with the writing that was seen. If one of them is another by then, nothing is written
//! ([`StoreError::Superseded`]) and the caller begins anew. Values come sealed and leave sealed; nothing here can read one.

use super::encode;
use crate::catalogue::vault_entries as sql;
use crate::engine::{Row, args};
use crate::record::{Recordable, Recorded, Recorder};
use crate::write::record_event;
use crate::{Connection, Store, StoreError, Transaction};
use countersign_audit::Record;
use countersign_base::{Tenant, UnixTime};
use countersign_policy::Permitted;

const TABLE: &str = "vault_entries";
/// Names that come after every other name with the same beginning.
const LAST: char = '\u{10FFFF}';

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// The number of its writing: random, so that a name which was deleted and written again never has one that it had before.
    pub revision: i64,
    /// The sealed value.
    pub sealed: Vec<u8>,
}

/// What is to become of a name.
#[derive(Debug, Clone)]
pub enum EntryChange {
    /// It goes.
    Delete,
    /// It is written.
    Put {
        /// The number of this writing.
        revision: i64,
        /// The sealed value.
        sealed: Vec<u8>,
        /// When somebody is to look at it again.
        due: Option<UnixTime>,
    },
}

/// What was read, and what is to be written because of it.
#[derive(Debug, Clone, Default)]
pub struct EntryCommit {
    /// Every name that was read, with the writing that was seen; none where nothing stood.
    pub read: Vec<(String, Option<i64>)>,
    /// Every name that is written.
    pub changes: Vec<(String, EntryChange)>,
}

/// What stands under a name.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    name: &str,
) -> Result<Option<StoredEntry>, StoreError> {
    let row = connection
        .fetch_optional(&sql::FIND, args![tenant.as_str(), name])
        .await?;
    row.map(|row| entry(&row, 0)).transpose()
}

/// What stands under these names, with the names; those under which nothing stands are left out.
pub async fn find_all(
    connection: &mut Connection,
    tenant: &Tenant,
    names: &[&str],
) -> Result<Vec<(String, StoredEntry)>, StoreError> {
    let names = encode(TABLE, &names)?;
    let rows = connection
        .fetch_all(&sql::FIND_ALL, args![tenant.as_str(), names])
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, entry(row, 1)?)))
        .collect()
}

fn entry(row: &Row, at: usize) -> Result<StoredEntry, StoreError> {
    Ok(StoredEntry {
        revision: row.get(at)?,
        sealed: row.get(at + 1)?,
    })
}

/// The names that begin with `prefix` and come after `after`, in order.
pub async fn names(
    connection: &mut Connection,
    tenant: &Tenant,
    prefix: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    let from = after.filter(|after| *after > prefix).unwrap_or(prefix);
    let to = format!("{prefix}{LAST}");
    let values = args![tenant.as_str(), from, to, i64::from(limit)];
    let rows = connection.fetch_all(&sql::NAMES, values).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Entries that are to be looked at by now, those that wait longest first.
pub async fn due(
    connection: &mut Connection,
    now: UnixTime,
    limit: u32,
) -> Result<Vec<(Tenant, String)>, StoreError> {
    let rows = connection
        .fetch_all(&sql::DUE, args![now.0, i64::from(limit)])
        .await?;
    rows.iter()
        .map(|row| Ok((super::parsed(TABLE, &row.get::<String>(0)?)?, row.get(1)?)))
        .collect()
}

impl Store {
    /// Commits a change of entries.
    ///
    /// # Errors
    /// [`StoreError::Superseded`] when something that was read has changed meanwhile; in any case of error nothing was written.
    pub async fn commit_entries(
        &self,
        tenant: &Tenant,
        commit: EntryCommit,
    ) -> Result<(), StoreError> {
        let tenant = tenant.clone();
        self.write(move |tx| Box::pin(async move { carry_out(tx, &tenant, &commit).await }))
            .await
    }

    /// Commits what a permitted call changes, together with the record of the decision that permits it: one transaction, and the only way to a
    /// [`Recorded`] permit of a call that changes something.
    ///
    /// # Errors
    /// As [`Store::commit_entries`]. The permit comes back with [`StoreError::Superseded`], so that the call can be tried on what is there now.
    pub async fn commit_permitted<T: Recordable>(
        &self,
        recorder: &Recorder,
        tenant: &Tenant,
        permitted: Permitted<T>,
        commit: EntryCommit,
    ) -> Result<Recorded<Permitted<T>>, (StoreError, Permitted<T>)> {
        let record = recorder.permit(&permitted);
        let (of, receipt) = (tenant.clone(), record.id);
        let committed = self
            .write(move |tx| Box::pin(async move { recorded(tx, &of, &commit, &record).await }))
            .await;
        match committed {
            Ok(()) => {
                self.outbox_changed();
                Ok(Recorded::new(permitted, receipt))
            }
            Err(error) => Err((error, permitted)),
        }
    }
}

async fn recorded(
    tx: &mut Transaction,
    tenant: &Tenant,
    commit: &EntryCommit,
    record: &Record,
) -> Result<(), StoreError> {
    carry_out(tx, tenant, commit).await?;
    record_event(tx, tenant, record);
    Ok(())
}

async fn carry_out(
    tx: &mut Transaction,
    tenant: &Tenant,
    commit: &EntryCommit,
) -> Result<(), StoreError> {
    // In one order in every transaction, so that two of them never wait for each other.
    let written = |name: &str| {
        commit
            .changes
            .iter()
            .any(|(changed, _)| changed.as_str() == name)
    };
    for (name, seen) in &commit.read {
        if !written(name) {
            hold(tx, tenant, name, *seen).await?;
        }
    }
    for (name, change) in &commit.changes {
        let seen = commit
            .read
            .iter()
            .find(|(read, _)| read == name)
            .map(|(_, seen)| *seen);
        write(tx, tenant, name, seen, change).await?;
    }
    Ok(())
}

/// Lets what was read stay as it is until the commit.
async fn hold(
    tx: &mut Transaction,
    tenant: &Tenant,
    name: &str,
    seen: Option<i64>,
) -> Result<(), StoreError> {
    let row = tx
        .fetch_optional(&sql::HOLD, args![tenant.as_str(), name])
        .await?;
    let stands: Option<i64> = row.map(|row| row.get(0)).transpose()?;
    if stands == seen {
        Ok(())
    } else {
        Err(StoreError::Superseded(TABLE))
    }
}

/// Writes a name. `seen` is what was read of it, if it was read.
async fn write(
    tx: &mut Transaction,
    tenant: &Tenant,
    name: &str,
    seen: Option<Option<i64>>,
    change: &EntryChange,
) -> Result<(), StoreError> {
    let tenant = tenant.as_str();
    let changed = match (change, seen) {
        (EntryChange::Delete, None | Some(None)) => {
            tx.execute(&sql::DELETE, args![tenant, name]).await?;
            return Ok(());
        }
        (EntryChange::Delete, Some(Some(seen))) => {
            tx.execute(&sql::TAKE, args![tenant, name, seen]).await?
        }
        (
            EntryChange::Put {
                revision,
                sealed,
                due,
            },
            seen,
        ) => {
            let (sealed, due) = (sealed.clone(), due.map(|due| due.0));
            match seen {
                None => {
                    let values = args![tenant, name, *revision, sealed, due];
                    tx.execute(&sql::PUT, values).await?
                }
                Some(None) => {
                    let values = args![tenant, name, *revision, sealed, due];
                    match tx.execute(&sql::ADD, values).await {
                        Err(StoreError::Conflict(..)) => {
                            return Err(StoreError::Superseded(TABLE));
                        }
                        other => other?,
                    }
                }
                Some(Some(seen)) => {
                    let values = args![tenant, name, seen, *revision, sealed, due];
                    tx.execute(&sql::REPLACE, values).await?
                }
            }
        }
    };
    if changed == 0 {
        Err(StoreError::Superseded(TABLE))
    } else {
        Ok(())
    }
}
