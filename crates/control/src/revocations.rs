//! What was revoked, exactly: grants, sessions, people and clients, each with a not-before, kept for as long as a token of theirs could still be alive.
//!
//! The table is filled from the store by sequence, once a second and at once after a change of this node. A node that could not read it for longer than
//! the tolerated staleness answers `Stale`, and then nothing is accepted.

mod feed;

pub use feed::{Feed, Page};

use countersign_authn::revocation_list::{RevokedEntry, RevokedThing};
use countersign_authn::{Freshness, RevocationId, Revocations};
use countersign_base::{ClientId, Duration, GrantId, SessionId, Tenant, UnixTime, UserId};
use countersign_crypto::digest::sha256_parts;
use countersign_store::tables::revocations::{self, Revocation, Revoked};
use countersign_store::{Store, StoreError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

/// How far back each look reads again: on PostgreSQL a lower sequence may be committed after a higher one, by as long as a transaction may take, and clocks differ.
const OVERLAP: Duration = Duration::from_secs(60);
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
    feed: Feed,
}

impl RevocationTable {
    /// An empty table that has never been filled, and therefore refuses.
    ///
    /// `boot` is drawn at random: it tells the cursors of this process from those of another.
    #[must_use]
    pub fn new(staleness_max: Duration, boot: u64) -> Self {
        Self {
            entries: RwLock::default(),
            sequence: AtomicI64::new(0),
            read_at: AtomicI64::new(i64::MIN),
            staleness_max,
            feed: Feed::new(boot),
        }
    }

    /// Reads what was added since the last look, and gives back the clients among it, whose registrations may be remembered elsewhere.
    ///
    /// # Errors
    /// When the store cannot be read; what is known stays.
    pub async fn refresh(
        &self,
        store: &Store,
        now: UnixTime,
    ) -> Result<Vec<(Tenant, ClientId)>, StoreError> {
        let mut connection = store.read().await?;
        let mut clients = Vec::new();
        let mut after = self.sequence.load(Ordering::Acquire);
        loop {
            let page = revocations::after(&mut connection, after, PAGE, now).await?;
            after = self.take(&page, &mut clients).unwrap_or(after);
            if page.len() < usize::from(PAGE) {
                break;
            }
        }
        let mut again = 0;
        loop {
            let page = revocations::recent(&mut connection, OVERLAP, again, PAGE, now).await?;
            again = self.take(&page, &mut clients).unwrap_or(again);
            if page.len() < usize::from(PAGE) {
                break;
            }
        }
        self.sequence.fetch_max(after, Ordering::AcqRel);
        self.read_at.fetch_max(now.0, Ordering::AcqRel);
        self.forget(now);
        Ok(clients)
    }

    /// Takes rows up; gives back the sequence of the last.
    fn take(&self, page: &[Revocation], clients: &mut Vec<(Tenant, ClientId)>) -> Option<i64> {
        for row in page {
            let news = self.revoke(&row.tenant, &row.revoked, row.not_before, row.expires);
            if let (News::Yes, Revoked::Client(client)) = (news, &row.revoked) {
                clients.push((row.tenant.clone(), client.clone()));
            }
        }
        page.last().map(|row| row.sequence)
    }

    /// As of when the table holds.
    #[must_use]
    pub fn as_of(&self) -> UnixTime {
        UnixTime(self.read_at.load(Ordering::Acquire))
    }

    /// What services are told.
    #[must_use]
    pub const fn feed(&self) -> &Feed {
        &self.feed
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

    /// Takes a revocation up.
    pub fn revoke(
        &self,
        tenant: &Tenant,
        revoked: &Revoked,
        not_before: UnixTime,
        expires: UnixTime,
    ) -> News {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let known = entries.get_mut(&id(tenant, revoked));
        match known {
            Some(entry) if not_before <= entry.not_before && expires <= entry.expires => {
                return News::No;
            }
            Some(entry) => {
                entry.not_before = entry.not_before.max(not_before);
                entry.expires = entry.expires.max(expires);
            }
            None => {
                let entry = Entry {
                    not_before,
                    expires,
                };
                entries.insert(id(tenant, revoked), entry);
            }
        }
        drop(entries);
        self.feed.add(
            tenant,
            RevokedEntry {
                what: thing(revoked),
                not_before,
                expires,
            },
        );
        News::Yes
    }

    fn forget(&self, now: UnixTime) {
        self.entries
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, entry| entry.expires > now);
        self.feed.forget(now);
    }
}

/// Whether a revocation says something that was not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It does not.
    No,
    /// It does.
    Yes,
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

fn thing(revoked: &Revoked) -> RevokedThing {
    match revoked {
        Revoked::Client(client) => RevokedThing::Client(client.clone()),
        Revoked::Grant(grant) => RevokedThing::Grant(*grant),
        Revoked::Session(session) => RevokedThing::Session(*session),
        Revoked::User(user) => RevokedThing::User(*user),
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
