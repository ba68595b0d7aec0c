//! What was revoked, exactly: grants, sessions, people and clients, each with a not-before, kept for as long as a token of theirs could still be alive.
//!
//! The table is filled from the store by sequence, once a second and at once after a change of this node. A node that could not read it for longer than
//! the tolerated staleness answers `Stale`, and then nothing is accepted.

use countersign_authn::{Freshness, RevocationId, Revocations};
use countersign_base::{ClientId, Duration, GrantId, SessionId, Tenant, UnixTime, UserId};
use countersign_crypto::digest::sha256_parts;
use countersign_store::tables::revocations::{self, Revocation, Revoked};
use countersign_store::{Store, StoreError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

/// Rows that are read again at each look, because on PostgreSQL a lower sequence may be committed after a higher one.
const OVERLAP: i64 = 200;
const PAGE: u16 = 1_000;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Id {
    /// A digest of tenant and client: the table holds no text.
    Client([u8; 32]),
    Grant(GrantId),
    Session(SessionId),
    Tenant([u8; 32]),
    User(UserId),
}

struct Entry {
    not_before: UnixTime,
    expires: UnixTime,
}

/// The table.
pub struct RevocationTable {
    entries: RwLock<HashMap<Id, Entry>>,
    sequence: AtomicI64,
    read_at: AtomicI64,
    staleness_max: Duration,
}

impl RevocationTable {
    /// An empty table that has never been filled, and therefore refuses.
    #[must_use]
    pub fn new(staleness_max: Duration) -> Self {
        Self {
            entries: RwLock::default(),
            sequence: AtomicI64::new(0),
            read_at: AtomicI64::new(i64::MIN),
            staleness_max,
        }
    }

    /// Reads what was added since the last look.
    ///
    /// # Errors
    /// When the store cannot be read; what is known stays.
    pub async fn refresh(&self, store: &Store, now: UnixTime) -> Result<(), StoreError> {
        let mut connection = store.read().await?;
        let mut after = self
            .sequence
            .load(Ordering::Acquire)
            .saturating_sub(OVERLAP);
        loop {
            let page = revocations::after(&mut connection, after, PAGE, now).await?;
            let Some(last) = page.last().map(|row| row.sequence) else {
                break;
            };
            page.iter().for_each(|row| self.insert(row));
            after = last;
            if page.len() < usize::from(PAGE) {
                break;
            }
        }
        self.sequence.fetch_max(after, Ordering::AcqRel);
        self.read_at.store(now.0, Ordering::Release);
        self.forget(now);
        Ok(())
    }

    /// How many revocations are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a revocation of this node up without waiting for the next look.
    pub fn revoke(
        &self,
        tenant: &Tenant,
        revoked: &Revoked,
        not_before: UnixTime,
        expires: UnixTime,
    ) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(id(tenant, revoked)).or_insert(Entry {
            not_before,
            expires,
        });
        entry.not_before = entry.not_before.max(not_before);
        entry.expires = entry.expires.max(expires);
    }

    fn insert(&self, row: &Revocation) {
        self.revoke(&row.tenant, &row.revoked, row.not_before, row.expires);
    }

    fn forget(&self, now: UnixTime) {
        self.entries
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, entry| entry.expires > now);
    }
}

impl Revocations for RevocationTable {
    fn not_before(&self, revoked: RevocationId<'_>) -> Option<UnixTime> {
        let id = match revoked {
            RevocationId::Client(tenant, client) => Id::Client(client_digest(tenant, client)),
            RevocationId::Grant(grant) => Id::Grant(grant),
            RevocationId::Session(session) => Id::Session(session),
            RevocationId::Tenant(tenant) => Id::Tenant(sha256_parts(&[tenant.as_str().as_bytes()])),
            RevocationId::User(user) => Id::User(user),
        };
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .map(|entry| entry.not_before)
    }

    fn freshness(&self, now: UnixTime) -> Freshness {
        let read_at = UnixTime(self.read_at.load(Ordering::Acquire));
        if now <= read_at.plus(self.staleness_max) {
            Freshness::Current
        } else {
            Freshness::Stale
        }
    }
}

fn id(tenant: &Tenant, revoked: &Revoked) -> Id {
    match revoked {
        Revoked::Client(client) => Id::Client(client_digest(tenant, client)),
        Revoked::Grant(grant) => Id::Grant(*grant),
        Revoked::Session(session) => Id::Session(*session),
        Revoked::User(user) => Id::User(*user),
    }
}

fn client_digest(tenant: &Tenant, client: &ClientId) -> [u8; 32] {
    // Neither grammar knows the zero byte.
    sha256_parts(&[
        tenant.as_str().as_bytes(),
        b"\0",
        client.as_str().as_bytes(),
    ])
}

#[cfg(test)]
mod tests;
