//! The queries behind recorded decisions, sealed under the key of the person they are about.
//!
//! The log holds a salted commitment; the query itself goes through a bounded queue to the table `event_details`, in small batches and
//! at a bounded rate, so that explaining costs the data plane little. Past the bound a query is not kept, and its record has no commitment.
//! Erasing a person's key makes all their queries unreadable, and the log still verifies.

use crate::tables::event_details::{self, EventDetail};
use crate::tables::subject_keys::{self, SubjectKey};
use crate::{Store, StoreError};
use countersign_base::{Clock, Duration, EventId, Tenant, UserId};
use countersign_crypto::random::Random;
use countersign_keys::envelope::{self, Aad, OpenError, Sealed};
use countersign_keys::hierarchy::{DataKey, KekSet};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Queries that may wait to be sealed.
const QUEUE_MAX: usize = 4096;
/// Queries that are sealed and stored in one unit.
const BATCH_MAX: usize = 256;
/// The pause after each batch: at most 2,560 queries a second are kept.
const PAUSE: Duration = Duration::from_millis(100);
/// Unwrapped keys of people that are kept at hand.
const KEYS_MAX: usize = 4096;

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
    keks: Keks,
    random: Random,
    clock: Clock,
    retention: Duration,
    keys: Mutex<HashMap<(Tenant, UserId), Arc<DataKey>>>,
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

impl Details {
    /// Starts the keeper on the current runtime; it ends with the last handle.
    #[must_use]
    pub fn start(
        store: Store,
        keks: Keks,
        random: Random,
        clock: Clock,
        retention: Duration,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let shared = Arc::new(Shared {
            store,
            keks,
            random,
            clock,
            retention,
            keys: Mutex::default(),
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
        let (keks, sealed) = ((self.shared.keks)(), Sealed::from_bytes(sealed));
        let text = match user {
            None => envelope::open(&*keks, &detail_aad(tenant, event), &sealed)?,
            Some(user) => match subject_keys::find(&mut connection, tenant, user).await? {
                SubjectKey::Wrapped(wrapped) => {
                    let key = DataKey::unwrap(
                        &keks,
                        &key_aad(tenant, user),
                        &Sealed::from_bytes(wrapped),
                    )?;
                    envelope::open(&key, &detail_aad(tenant, event), &sealed)?
                }
                SubjectKey::Absent | SubjectKey::Erased(_) => return Err(DetailError::Erased),
            },
        };
        let text = String::from_utf8(text.expose().clone())
            .map_err(|_| StoreError::corrupt("event_details", "a query is no text"))?;
        Ok((salt, text))
    }

    /// Erases a person's key, in the table and at hand: no query about them can be read again. The caller records it.
    ///
    /// # Errors
    /// When the database failed; the key is as it was.
    pub async fn erase(&self, tenant: &Tenant, user: UserId) -> Result<(), StoreError> {
        let (of, now) = (tenant.clone(), self.shared.clock.now());
        self.shared
            .store
            .write(move |tx| Box::pin(async move { subject_keys::erase(tx, &of, user, now).await }))
            .await?;
        self.shared
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(tenant.clone(), user));
        Ok(())
    }
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Details")
    }
}

fn detail_aad(tenant: &Tenant, event: EventId) -> Aad {
    Aad::row(tenant, "event_details", "sealed", event.as_bytes())
}

fn key_aad(tenant: &Tenant, user: UserId) -> Aad {
    Aad::row(tenant, "subject_keys", "wrapped", user.as_bytes())
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
            None => envelope::seal(&*(self.keks)(), &aad, query.text.as_bytes(), &self.random)
                .map_err(failed)?,
            Some(user) => {
                let Some(key) = self.key(&query.tenant, user).await? else {
                    return Ok(None);
                };
                envelope::seal(&*key, &aad, query.text.as_bytes(), &self.random).map_err(failed)?
            }
        };
        Ok(Some(sealed.into_bytes()))
    }

    /// The person's key, made at their first query; nothing if it was erased.
    async fn key(&self, tenant: &Tenant, user: UserId) -> Result<Option<Arc<DataKey>>, StoreError> {
        let at_hand = self
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(tenant.clone(), user))
            .cloned();
        if at_hand.is_some() {
            return Ok(at_hand);
        }
        let (keks, aad) = ((self.keks)(), key_aad(tenant, user));
        let failed = |error: &dyn fmt::Display| {
            StoreError::corrupt(
                "subject_keys",
                format_args!("a key cannot be used: {error}"),
            )
        };
        let fresh = DataKey::generate(&self.random);
        let wrapped = fresh
            .wrap(&keks, &aad, &self.random)
            .map_err(|error| failed(&error))?
            .into_bytes();
        let (of, now) = (tenant.clone(), self.clock.now());
        let found = self
            .store
            .write(move |tx| {
                Box::pin(async move { subject_keys::put_first(tx, &of, user, wrapped, now).await })
            })
            .await?;
        let key = match found {
            SubjectKey::Wrapped(wrapped) => Arc::new(
                DataKey::unwrap(&keks, &aad, &Sealed::from_bytes(wrapped))
                    .map_err(|error| failed(&error))?,
            ),
            SubjectKey::Absent | SubjectKey::Erased(_) => return Ok(None),
        };
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert((tenant.clone(), user), Arc::clone(&key));
        Ok(Some(key))
    }
}
