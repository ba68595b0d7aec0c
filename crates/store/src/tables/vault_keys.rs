//! The keys that seal what the vault keeps of a tenant, wrapped. The one of the highest term seals; all open.
//!
//! A key is followed by another, and what it sealed is sealed again, row by row, each only if it is still what was read: nothing that was deleted meanwhile comes back. It goes
//! in a transaction that finds nothing under it.

use crate::catalogue::{vault_entries as entries_sql, vault_keys as sql};
use crate::engine::args;
use crate::write::record_event;
use crate::{Connection, Store, StoreError, Transaction};
use countersign_audit::Record;
use countersign_base::{Tenant, UnixTime};
use countersign_keys::seal_count::SealCount;

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultKeyRow {
    /// Its id.
    pub key: Vec<u8>,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created: UnixTime,
    /// The how-manieth of its tenant it is.
    pub term: u64,
    /// What was taken of its limits: it has sealed no more.
    pub taken: SealCount,
}

/// A key that is to be added.
pub struct NewVaultKey {
    /// Its id.
    pub key: [u8; 8],
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
    /// When it is made.
    pub created: UnixTime,
    /// The how-manieth it is.
    pub term: u64,
}

/// An entry that is sealed again.
pub struct Resealed {
    /// Its name.
    pub name: String,
    /// What was read.
    pub old: Vec<u8>,
    /// What takes its place.
    pub new: Vec<u8>,
}

/// Stores a key; of two under one id the first stays.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    new: NewVaultKey,
) -> Result<(), StoreError> {
    let term = i64::try_from(new.term).unwrap_or(i64::MAX);
    let values = args![
        tenant.as_str(),
        new.key.as_slice(),
        new.wrapped,
        new.created.0,
        term
    ];
    tx.execute(&sql::ADD, values).await.map(drop)
}

/// All keys of a tenant; the one that seals last.
pub async fn all(
    connection: &mut Connection,
    tenant: &Tenant,
) -> Result<Vec<VaultKeyRow>, StoreError> {
    let rows = connection
        .fetch_all(&sql::ALL, args![tenant.as_str()])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(VaultKeyRow {
                key: row.get(0)?,
                wrapped: row.get(1)?,
                created: UnixTime(row.get(2)?),
                term: number(row.get(3)?),
                taken: SealCount {
                    messages: number(row.get(4)?),
                    bytes: number(row.get(5)?),
                },
            })
        })
        .collect()
}

/// How many entries of a tenant another key than `newest` sealed.
pub async fn count_older(
    connection: &mut Connection,
    tenant: &Tenant,
    newest: &[u8],
) -> Result<u64, StoreError> {
    let row = connection
        .fetch_optional(&entries_sql::OLDER_COUNT, args![tenant.as_str(), newest])
        .await?;
    row.map_or(Ok(0), |row| row.get(0)).map(number)
}

/// Up to `limit` entries after `name` that another key than `newest` sealed, with what stands there.
pub async fn older(
    connection: &mut Connection,
    tenant: &Tenant,
    name: &str,
    newest: &[u8],
    limit: u16,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let values = args![tenant.as_str(), name, newest, i64::from(limit)];
    let rows = connection.fetch_all(&entries_sql::OLDER, values).await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}

fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

impl Store {
    /// Lets another key follow the one that seals, with the event that reports it.
    ///
    /// # Errors
    /// [`StoreError::Superseded`] when another one seals than `after`.
    pub async fn follow_vault_key(
        &self,
        tenant: &Tenant,
        after: Vec<u8>,
        new: NewVaultKey,
        event: Record,
    ) -> Result<(), StoreError> {
        let tenant = tenant.clone();
        self.write(move |tx| {
            Box::pin(async move {
                // Who comes second waits here for the first, and then sees what it added.
                let place = args![tenant.as_str(), after.clone()];
                let _held = tx.fetch_optional(&sql::LOCK, place).await?;
                let newest = all(tx, &tenant).await?.pop();
                if newest.is_none_or(|newest| newest.key != after || newest.term >= new.term) {
                    return Err(StoreError::Superseded("vault_keys"));
                }
                add(tx, &tenant, new).await?;
                record_event(tx, &tenant, &event);
                Ok(())
            })
        })
        .await?;
        self.outbox_changed();
        Ok(())
    }

    /// Takes a block of a key's limits, durably; what is taken of them then.
    ///
    /// # Errors
    /// [`StoreError::Superseded`] when there is no such key any more.
    pub async fn take_seals(
        &self,
        tenant: &Tenant,
        key: [u8; 8],
        block: SealCount,
    ) -> Result<SealCount, StoreError> {
        let tenant = tenant.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let stored = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
                let (messages, bytes) = (stored(block.messages), stored(block.bytes));
                let values = args![tenant.as_str(), key.as_slice(), messages, bytes];
                tx.execute(&sql::COUNT, values).await?;
                let values = args![tenant.as_str(), key.as_slice()];
                let row = tx.fetch_optional(&sql::COUNTED, values).await?;
                let row = row.ok_or(StoreError::Superseded("vault_keys"))?;
                Ok(SealCount {
                    messages: number(row.get(0)?),
                    bytes: number(row.get(1)?),
                })
            })
        })
        .await
    }

    /// Writes entries that were sealed again, each if it is still what was read; how many were.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn reseal_entries(
        &self,
        tenant: &Tenant,
        entries: Vec<Resealed>,
    ) -> Result<u64, StoreError> {
        let tenant = tenant.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let mut written = 0;
                for Resealed { name, old, new } in entries {
                    let values = args![tenant.as_str(), name, new, old];
                    written += tx.execute(&entries_sql::RESEAL, values).await?;
                }
                Ok(written)
            })
        })
        .await
    }

    /// Destroys keys under which nothing is; how many. With the last of them goes the event that reports it.
    ///
    /// # Errors
    /// When the database fails; all of them stay then.
    pub async fn destroy_vault_keys(
        &self,
        tenant: &Tenant,
        older: Vec<Vec<u8>>,
        event: Record,
    ) -> Result<usize, StoreError> {
        let tenant = tenant.clone();
        let destroyed = self
            .write(move |tx| {
                Box::pin(async move {
                    let (mut destroyed, all) = (0, older.len());
                    for key in older {
                        let values = args![tenant.as_str(), key.as_slice()];
                        let named = tx
                            .fetch_optional(&entries_sql::NAMED, values.clone())
                            .await?;
                        if named.is_none() {
                            tx.execute(&sql::REMOVE, values).await?;
                            destroyed += 1;
                        }
                    }
                    if destroyed > 0 && destroyed == all {
                        record_event(tx, &tenant, &event);
                    }
                    Ok(destroyed)
                })
            })
            .await?;
        self.outbox_changed();
        Ok(destroyed)
    }
}
