//! The queries behind recorded decisions, sealed under the key of the person they are about.
//!
//! The log holds a salted commitment; the query itself goes through a bounded queue to the table `event_details`, in small batches and
//! at a bounded rate, so that explaining costs the data plane little. Past the bound a query is not kept, and its record has no commitment.
//! Erasing a person's key makes all their queries unreadable, and the log still verifies. Keys at hand are forgotten by every node as it learns of an erasure, and all of
//! them by a node that could not ask for longer than [`AT_HAND_UNASKED_MAX`].

use crate::subjects::{ForgetError, SubjectDataKey, SubjectKeyError, Subjects, outer_aad};
use crate::tables::erasures::{self, Erasure};
use crate::tables::event_details::{self, EventDetail};
use crate::tables::subject_keys::{self, SubjectKey};
use crate::{Store, StoreError};
use countersign_base::{Clock, Duration, EventId, Tenant, UnixTime, UserId};
use countersign_crypto::random::Random;
use countersign_keys::KeyId;
use countersign_keys::data_key_cache::{CacheKey, CacheLimits, CacheSubject, DataKeyCache, Kept};
use countersign_keys::envelope::{self, Aad, OpenError, Sealed};
use countersign_keys::hierarchy::KekSet;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Queries that may wait to be sealed.
const QUEUE_MAX: usize = 4096;
/// Queries that are sealed and stored in one unit.
const BATCH_MAX: usize = 256;
/// The pause after each batch: at most 2,560 queries a second are kept.
const PAUSE: Duration = Duration::from_millis(100);
/// What is kept at hand of unwrapped keys of people.
const AT_HAND: CacheLimits = CacheLimits {
    age_max: Duration::from_secs(60),
    uses_max: 1_000_000,
    bytes_max: 1 << 30,
    entries_max: 4096,
};

/// How often a key is read again because somebody was erased meanwhile.
const LOADS_MAX: usize = 8;

/// A node that could not ask who was erased for longer than this uses no key at hand.
pub const AT_HAND_UNASKED_MAX: Duration = Duration::from_secs(30);
/// How far back each look reads again: on PostgreSQL a lower sequence may be committed after a higher one, and clocks differ.
const OVERLAP: Duration = Duration::from_secs(60);
const PAGE: u16 = 500;

/// Answers the current key-encryption keys; they change when they rotate.
pub type Keks = Arc<dyn Fn() -> Arc<KekSet> + Send + Sync>;

/// A handle on the keeper of queries. Cloning it is cheap.
#[derive(Clone)]
pub struct Details {
    queue: mpsc::Sender<Message>,
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    subjects: Subjects,
    random: Random,
    clock: Clock,
    retention: Duration,
    keys: Mutex<DataKeyCache>,
    /// The last erasure that was read, and when it was asked for.
    sequence: AtomicI64,
    asked_at: AtomicI64,
}

enum Message {
    Query(Query),
    Settled(oneshot::Sender<()>),
}

struct Query {
    tenant: Tenant,
    user: Option<UserId>,
    event: EventId,
    salt: [u8; 16],
    text: String,
}

/// Why a query cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum DetailError {
    /// The key of the person was erased, and with it everything about them.
    #[error("the data of this person was erased")]
    Erased,
    /// The person's key cannot be unwrapped.
    #[error("the sealed query cannot be opened: {0}")]
    Key(SubjectKeyError),
    /// The sealed query cannot be opened.
    #[error("the sealed query cannot be opened")]
    Sealed(#[from] OpenError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is none: never kept, or past its retention.
    #[error("the query of this event is not kept")]
    Unknown,
}

impl From<SubjectKeyError> for DetailError {
    fn from(error: SubjectKeyError) -> Self {
        match error {
            SubjectKeyError::Erased => Self::Erased,
            SubjectKeyError::Open(_) | SubjectKeyError::Seal(_) => Self::Key(error),
        }
    }
}

/// Why erasures cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The epoch key still stands in its file; the next attempt goes on from there.
    #[error(transparent)]
    Forget(#[from] ForgetError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that writes the file ended.
    #[error("the epoch key was not stored: its thread ended")]
    Thread,
}

impl Details {
    /// Starts the keeper on the current runtime; it ends with the last handle.
    #[must_use]
    pub fn start(
        store: Store,
        subjects: Subjects,
        random: Random,
        clock: Clock,
        retention: Duration,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let shared = Arc::new(Shared {
            store,
            subjects,
            asked_at: AtomicI64::new(clock.now().0),
            sequence: AtomicI64::new(0),
            random,
            clock,
            retention,
            keys: Mutex::new(DataKeyCache::new(AT_HAND)),
        });
        tokio::spawn(keep(Arc::clone(&shared), waiting));
        Self { queue, shared }
    }

    /// Whether a query would be taken now: writing one out that is then dropped is work for nothing.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.capacity() > 0
    }

    /// Hands a query over to be sealed; `false` if too many wait already.
    pub(crate) fn offer(
        &self,
        tenant: &Tenant,
        user: Option<UserId>,
        event: EventId,
        salt: [u8; 16],
        text: String,
    ) -> bool {
        self.queue
            .try_send(Message::Query(Query {
                tenant: tenant.clone(),
                user,
                event,
                salt,
                text,
            }))
            .is_ok()
    }

    /// Waits until every query handed over before is stored or given up.
    pub async fn settled(&self) {
        let (answer, answered) = oneshot::channel();
        if self.queue.send(Message::Settled(answer)).await.is_ok() {
            let _ended = answered.await;
        }
    }

    /// The salt and the canonical JSON of the query behind an event.
    ///
    /// # Errors
    /// When it is not kept, or was erased.
    pub async fn open(
        &self,
        tenant: &Tenant,
        event: EventId,
    ) -> Result<([u8; 16], String), DetailError> {
        let mut connection = self.shared.store.read().await?;
        let (user, salt, sealed) = event_details::find(&mut connection, tenant, event)
            .await?
            .ok_or(DetailError::Unknown)?;
        let (subjects, sealed) = (&self.shared.subjects, Sealed::from_bytes(sealed));
        let text = match user {
            None => envelope::open(&*(subjects.keks())(), &detail_aad(tenant, event), &sealed)?,
            Some(user) => match subject_keys::find(&mut connection, tenant, user).await? {
                SubjectKey::Wrapped(wrapped) => {
                    let key = subjects.unwrap(tenant, user, wrapped)?;
                    envelope::open(&key, &detail_aad(tenant, event), &sealed)?
                }
                SubjectKey::Absent | SubjectKey::Erased(_) => return Err(DetailError::Erased),
            },
        };
        let text = String::from_utf8(text.expose().clone())
            .map_err(|_| StoreError::corrupt("event_details", "a query is no text"))?;
        Ok((salt, text))
    }

    /// Erases a person's key, in the table, in the epoch key and at hand: no query about them can be read again. The caller records it.
    ///
    /// # Errors
    /// When the database failed: the key is as it was. When the file of the epoch key cannot be written: the key is erased here, and the next look completes it.
    pub async fn erase(&self, tenant: &Tenant, user: UserId) -> Result<(), EraseError> {
        let (of, now) = (tenant.clone(), self.shared.clock.now());
        self.shared
            .store
            .write(move |tx| {
                Box::pin(async move {
                    subject_keys::erase(tx, &of, user, now).await?;
                    erasures::add(tx, &of, user, now).await
                })
            })
            .await?;
        self.take_erasures().await
    }

    /// Takes up who was erased since the last look, by this node or another: their keys at hand go, and their places in the epoch key.
    ///
    /// # Errors
    /// When the database cannot be read or the file of the epoch key not be written; the next look goes on from there.
    pub async fn take_erasures(&self) -> Result<(), EraseError> {
        let (shared, now) = (&self.shared, self.shared.clock.now());
        let mut connection = shared.store.read().await?;
        let mut after = shared.sequence.load(Ordering::Acquire);
        let mut news = Vec::new();
        loop {
            let page = erasures::after(&mut connection, after, PAGE).await?;
            let ended = page.len() < usize::from(PAGE);
            after = page.last().map_or(after, |last| last.sequence);
            news.extend(page);
            if ended {
                break;
            }
        }
        let (since, mut again) = (now.minus(OVERLAP), 0);
        loop {
            let page = erasures::since(&mut connection, since, again, PAGE).await?;
            let ended = page.len() < usize::from(PAGE);
            again = page.last().map_or(again, |last| last.sequence);
            news.extend(page);
            if ended {
                break;
            }
        }
        drop(connection);
        shared.forget_at_hand(&news);
        let subjects = shared.subjects.clone();
        // It may write a file.
        tokio::task::spawn_blocking(move || {
            subjects.forget(news.iter().map(|erased| (&erased.tenant, erased.user)))
        })
        .await
        .map_err(|_| EraseError::Thread)??;
        shared.sequence.fetch_max(after, Ordering::AcqRel);
        shared.asked_at.fetch_max(now.0, Ordering::AcqRel);
        Ok(())
    }

    /// Puts keys from before there were epochs under the epoch key, `limit` at most; how many there were. A key that was erased or wrapped otherwise meanwhile stays as it is.
    ///
    /// # Errors
    /// When the database failed; what was done stays, and the next call goes on from there.
    pub async fn take_in(&self, limit: u16) -> Result<usize, StoreError> {
        let mut connection = self.shared.store.read().await?;
        let keys = subject_keys::outside_epochs(&mut connection, limit).await?;
        drop(connection);
        let count = keys.len();
        let mut wrapped = Vec::with_capacity(count);
        for key in keys {
            match self.shared.subjects.take_in(&key, &self.shared.random) {
                Ok((bytes, epoch)) => wrapped.push((key, bytes, epoch)),
                // Erased elsewhere: its row follows.
                Err(SubjectKeyError::Erased) => {}
                Err(error) => return Err(StoreError::corrupt("subject_keys", error)),
            }
        }
        let unit = async move |tx: &mut crate::Transaction| {
            for (key, bytes, epoch) in wrapped {
                subject_keys::take_in(tx, &key, bytes, epoch).await?;
            }
            Ok(())
        };
        self.shared
            .store
            .write(move |tx| Box::pin(async move { unit(tx).await }))
            .await?;
        Ok(count)
    }

    /// What wraps people's keys.
    #[must_use]
    pub fn subjects(&self) -> &Subjects {
        &self.shared.subjects
    }

    /// As of when this node knows who was erased.
    #[must_use]
    pub fn asked_at(&self) -> UnixTime {
        UnixTime(self.shared.asked_at.load(Ordering::Acquire))
    }

    /// Whether this person's key is at hand: for the tests of how long it may be.
    #[doc(hidden)]
    #[must_use]
    pub fn has_at_hand(&self, tenant: &Tenant, user: UserId) -> bool {
        self.shared.at_hand(tenant, user, 0).is_some()
    }
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Details")
    }
}

/// A person has one key, whose place names it.
fn cache_key(tenant: &Tenant, user: UserId) -> CacheKey {
    CacheKey::new(tenant, &outer_aad(tenant, user), KeyId::from_bytes([0; 8]))
}

fn detail_aad(tenant: &Tenant, event: EventId) -> Aad {
    Aad::row(tenant, "event_details", "sealed", event.as_bytes())
}

async fn keep(shared: Arc<Shared>, mut waiting: mpsc::Receiver<Message>) {
    let mut messages = Vec::new();
    while waiting.recv_many(&mut messages, BATCH_MAX).await > 0 {
        let (mut batch, mut asked) = (Vec::new(), Vec::new());
        for message in messages.drain(..) {
            match message {
                Message::Query(query) => batch.push(query),
                Message::Settled(answer) => asked.push(answer),
            }
        }
        let count = batch.len();
        if let Err(error) = shared.store_batch(batch).await {
            tracing::warn!(count, %error, "queries behind recorded decisions could not be kept; their records stand");
        }
        for answer in asked {
            let _nobody_waits = answer.send(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Shared {
    async fn store_batch(&self, batch: Vec<Query>) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(batch.len());
        if batch.is_empty() {
            return Ok(());
        }
        for query in batch {
            if let Some(sealed) = self.seal(&query).await? {
                let expires = self.clock.now().plus(self.retention);
                let detail = EventDetail {
                    event: query.event,
                    user: query.user,
                    salt: query.salt,
                    sealed,
                    expires,
                };
                rows.push((query.tenant, detail));
            }
        }
        let unit = async move |tx: &mut crate::Transaction| event_details::add_all(tx, &rows).await;
        self.store
            .write(move |tx| Box::pin(async move { unit(tx).await }))
            .await
    }

    /// The sealed query, or nothing if the person's key was erased.
    async fn seal(&self, query: &Query) -> Result<Option<Vec<u8>>, StoreError> {
        let aad = detail_aad(&query.tenant, query.event);
        let failed = |error| {
            StoreError::corrupt(
                "event_details",
                format_args!("a query cannot be sealed: {error}"),
            )
        };
        let sealed = match query.user {
            None => {
                let keks = (self.subjects.keks())();
                envelope::seal(&*keks, &aad, query.text.as_bytes(), &self.random).map_err(failed)?
            }
            Some(user) => {
                let bytes = u64::try_from(query.text.len()).unwrap_or(u64::MAX);
                let Some(key) = self.key(&query.tenant, user, bytes).await? else {
                    return Ok(None);
                };
                envelope::seal(&*key, &aad, query.text.as_bytes(), &self.random).map_err(failed)?
            }
        };
        Ok(Some(sealed.into_bytes()))
    }

    fn at_hand(&self, tenant: &Tenant, user: UserId, bytes: u64) -> Option<Arc<SubjectDataKey>> {
        let (asked, now) = (
            UnixTime(self.asked_at.load(Ordering::Acquire)),
            self.clock.now(),
        );
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if now > asked.plus(AT_HAND_UNASKED_MAX) {
            keys.clear_all();
        }
        keys.take(&cache_key(tenant, user), bytes, now)
    }

    fn forget_at_hand(&self, erased: &[Erasure]) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        for erasure in erased {
            let subject = CacheSubject::new(erasure.user.as_bytes());
            keys.clear_subject(&erasure.tenant, &subject);
        }
        // Every node looks once a second: keys that nobody asks for any more go as well.
        keys.expire(self.clock.now());
    }

    /// The person's key, made at their first query; nothing if it was erased.
    async fn key(
        &self,
        tenant: &Tenant,
        user: UserId,
        bytes: u64,
    ) -> Result<Option<Arc<SubjectDataKey>>, StoreError> {
        let at_hand = self.at_hand(tenant, user, bytes);
        if at_hand.is_some() {
            return Ok(at_hand);
        }
        for _ in 0..LOADS_MAX {
            match self.load(tenant, user, bytes).await? {
                Some(Kept::Kept(key)) => return Ok(Some(key)),
                Some(Kept::Stale) => {}
                None => return Ok(None),
            }
        }
        Err(StoreError::Superseded("subject_keys"))
    }

    /// The person's key, read and kept; nothing if it was erased.
    async fn load(
        &self,
        tenant: &Tenant,
        user: UserId,
        bytes: u64,
    ) -> Result<Option<Kept>, StoreError> {
        // An erasure that is heard of while the row is read keeps what was read from being kept.
        let ticket = {
            let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            keys.ticket()
        };
        let failed = |error: SubjectKeyError| match error {
            SubjectKeyError::Erased => Ok(None),
            SubjectKeyError::Open(_) | SubjectKeyError::Seal(_) => Err(StoreError::corrupt(
                "subject_keys",
                format_args!("a key cannot be used: {error}"),
            )),
        };
        let wrapped = match self.subjects.generate(tenant, user, &self.random) {
            Ok(wrapped) => wrapped,
            Err(error) => return failed(error),
        };
        let (of, now) = (tenant.clone(), self.clock.now());
        let found = self
            .store
            .write(move |tx| {
                Box::pin(async move { subject_keys::put_first(tx, &of, user, wrapped, now).await })
            })
            .await?;
        let key = match found {
            SubjectKey::Wrapped(wrapped) => match self.subjects.unwrap(tenant, user, wrapped) {
                Ok(key) => key,
                Err(error) => return failed(error),
            },
            SubjectKey::Absent | SubjectKey::Erased(_) => return Ok(None),
        };
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (place, subject) = (cache_key(tenant, user), CacheSubject::new(user.as_bytes()));
        Ok(Some(keys.keep(
            ticket,
            place,
            Some(subject),
            key,
            bytes,
            self.clock.now(),
        )))
    }
}
