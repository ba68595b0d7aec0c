//! Idempotency keys that outlive the process and that all nodes on one database share: one of them is the first under a key, and all of them can answer as it was answered.
//!
//! Names, callers and what was asked are in the table as keyed hashes; an answer is sealed under the key-encryption key for its row, together with what was asked. Taking a key is one
//! committed transaction before anything is passed on, and an answer goes out when it is committed.
//!
//! What became of a first request whose process died is not known, and it is not done again: its key says so from the moment a process finds it on a database that has one process,
//! and after [`RUNNING_MAX`] where nodes share one, since another node may still be at work.
//!
//! Not here: what a key is and what an answer says; callers that wait for each other within a process; the keys in a Redis ([`crate::redis::SharedKeys`]).

mod room;

use crate::redis::{Away, Found, KeyEnd, KeyHeld, RUNNING_MAX, SharedKey, SharedKeys};
use crate::tables::idempotency_keys::{
    self, KeyEnding, KeyRow, KeyState, NAME, NewKey, SEALED, Standing,
};
use crate::{Keks, Store, StoreError};
use countersign_base::{Clock, Duration, Secret, Tenant};
use countersign_crypto::Random;
use countersign_crypto::mac::MacKey;
use countersign_keys::envelope::{self, Aad, Sealed};
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use room::Room;
pub use room::{BYTES_CALLER_MAX, BYTES_TENANT_MAX, KEYS_CALLER_MAX, KEYS_TENANT_MAX};
use std::sync::Arc;
use tokio::sync::oneshot;

/// How much longer than [`RUNNING_MAX`] a key that runs is there.
const RUNNING_KEPT: Duration = Duration::from_secs(60);
/// How often a key that was swept while it was looked up is looked up again.
const TRIES: u8 = 3;

/// Where idempotency keys are kept for more than one process, or for longer than one lives.
#[derive(Clone)]
pub enum KeyRegistry {
    /// In a Redis, for all processes that share it.
    Redis(SharedKeys),
    /// In the database.
    Store(DurableKeys),
}

/// A key that this process took.
pub enum HeldKey {
    /// In a Redis.
    Redis(KeyHeld),
    /// In the database.
    Store(DurableHeld),
}

/// What became of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It is durable: whoever asks next, here or elsewhere, finds it.
    Durable,
    /// It is not: the key was not its own any more, or could not be written.
    Lost,
    /// It is on its way, and nobody waits for it.
    Sent,
}

/// Why nothing may be passed on under a key.
#[derive(Debug, thiserror::Error)]
pub enum KeysAway {
    /// There is as much as a caller, or a tenant, may have.
    #[error("there is no room for another key")]
    NoRoom,
    /// The Redis.
    #[error(transparent)]
    Redis(#[from] Away),
    /// What is there is not what was sealed for this key.
    #[error("the answer under the key does not open")]
    Sealed,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl KeyRegistry {
    /// Looks a key up, and takes it for this process if it is new.
    ///
    /// # Errors
    /// When it cannot be known whether somebody else was first: then nothing may be passed on.
    pub async fn begin(
        &self,
        key: SharedKey<'_>,
        keep: Duration,
    ) -> Result<Found<HeldKey>, KeysAway> {
        match self {
            Self::Redis(keys) => Ok(keys.begin(key, keep).await?.map_held(HeldKey::Redis)),
            Self::Store(keys) => Ok(keys.begin(key, keep).await?.map_held(HeldKey::Store)),
        }
    }
}

impl HeldKey {
    /// Tells what became of it. It is sent at once; the future answers when it is known whether it stands.
    pub fn end(self, end: KeyEnd) -> BoxFuture<'static, Told> {
        match self {
            Self::Redis(held) => {
                held.end(end);
                ready(Told::Sent).boxed()
            }
            Self::Store(held) => held.end(end),
        }
    }
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct DurableKeys(Arc<Shared>);

struct Shared {
    store: Store,
    keks: Keks,
    names: MacKey,
    random: Random,
    clock: Clock,
    /// This life of this process: what another one of the same database, which has one process, left running is over.
    boot: [u8; 16],
    room: Room,
}

/// A key that this process took in the database.
pub struct DurableHeld {
    keys: DurableKeys,
    tenant: Tenant,
    name: [u8; 32],
    print: [u8; 32],
    owner: [u8; 32],
}

impl DurableKeys {
    /// Keys in `store`: hashed under `names`, sealed under `keks`.
    #[must_use]
    pub fn new(store: Store, keks: Keks, names: MacKey, random: Random, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            boot: random.bytes(),
            store,
            keks,
            names,
            random,
            clock,
            room: Room::default(),
        }))
    }

    /// Looks a key up, and takes it for this process if it is new. What is taken is committed when this returns.
    ///
    /// # Errors
    /// When the database failed, or there is no room: then nothing may be passed on.
    pub async fn begin(
        &self,
        key: SharedKey<'_>,
        keep: Duration,
    ) -> Result<Found<DurableHeld>, KeysAway> {
        let held = self.held(key);
        let caller = self.tag("idempotency caller", key.tenant, key.caller);
        let begun = self.0.clock.now();
        let store = &self.0.store;
        if !self
            .0
            .room
            .is_left(store, key.tenant, &caller, begun)
            .await?
        {
            return Err(KeysAway::NoRoom);
        }
        let expires = begun.plus(keep);
        let new = NewKey {
            name: held.name,
            caller,
            print: held.print,
            owner: held.owner,
            begun,
            expires,
            kept_until: expires.max(begun.plus(RUNNING_MAX).plus(RUNNING_KEPT)),
        };
        let (told, knows) = oneshot::channel();
        let (keys, tenant) = (self.clone(), key.tenant.clone());
        // A task of its own: whoever leaves before it is known leaves a key that is free, in this order on either database.
        tokio::spawn(async move {
            let unsent = Unsent(Some(held));
            let standing = keys.standing(&tenant, new).await;
            drop(told.send((standing, unsent)));
        });
        let (standing, unsent) = knows.await.map_err(|_| StoreError::Panicked)?;
        let standing = standing?;
        let Some(held) = unsent.take() else {
            return Ok(Found::Unknown);
        };
        match standing {
            Standing::Taken => {
                self.0.room.take(key.tenant, &caller);
                Ok(Found::Run(held))
            }
            Standing::Gone => Err(StoreError::corrupt(NAME, "a key comes and goes").into()),
            Standing::Known(row) => self.known(&held, row),
        }
    }

    async fn standing(&self, tenant: &Tenant, new: NewKey) -> Result<Standing, StoreError> {
        let mut tries = 1;
        loop {
            let (tenant, new) = (tenant.clone(), new.clone());
            let unit = self.0.store.write(move |tx| {
                Box::pin(async move { idempotency_keys::begin(tx, &tenant, &new).await })
            });
            match unit.await {
                Ok(Standing::Gone) | Err(StoreError::Contended(_)) if tries < TRIES => tries += 1,
                settled => return settled,
            }
        }
    }

    fn known(&self, held: &DurableHeld, row: KeyRow) -> Result<Found<DurableHeld>, KeysAway> {
        if row.print != held.print {
            return Ok(Found::Mismatch);
        }
        Ok(match row.state {
            KeyState::Answered => Found::Answered(self.opened(held, row.sealed)?),
            KeyState::NotKept => Found::NotKept,
            KeyState::Unknown => Found::Unknown,
            KeyState::Running if self.is_left_behind(&row) => Found::Unknown,
            KeyState::Running => Found::Running,
        })
    }

    /// Whether whoever took it has gone without a word.
    fn is_left_behind(&self, row: &KeyRow) -> bool {
        let of_another_life = !row.owner.starts_with(&self.0.boot);
        of_another_life && !self.0.store.is_shared()
            || self.0.clock.now() > row.begun.plus(RUNNING_MAX)
    }

    fn held(&self, key: SharedKey<'_>) -> DurableHeld {
        let name = self.tag("idempotency name", key.tenant, key.name);
        let print = self
            .0
            .names
            .tag("idempotency print", &[&name, key.fingerprint]);
        let mut owner = [0; 32];
        let token: [u8; 16] = self.0.random.bytes();
        for (to, from) in owner.iter_mut().zip(self.0.boot.iter().chain(&token)) {
            *to = *from;
        }
        DurableHeld {
            keys: self.clone(),
            tenant: key.tenant.clone(),
            name,
            print: *print.as_bytes(),
            owner,
        }
    }

    fn tag(&self, domain: &'static str, tenant: &Tenant, digest: &[u8; 32]) -> [u8; 32] {
        let parts = [tenant.as_str().as_bytes(), digest];
        *self.0.names.tag(domain, &parts).as_bytes()
    }

    fn opened(
        &self,
        held: &DurableHeld,
        sealed: Option<Vec<u8>>,
    ) -> Result<Secret<Vec<u8>>, KeysAway> {
        let sealed = Sealed::from_bytes(sealed.ok_or(KeysAway::Sealed)?);
        let opened = envelope::open(&*(self.0.keks)(), &held.place(), &sealed);
        let content = opened.map_err(|error| {
            tracing::error!(event = "idempotency_answer_not_ours", %error);
            KeysAway::Sealed
        })?;
        // What was asked is sealed with the answer: beside another question it is no answer.
        let answer = content.expose().strip_prefix(&held.print);
        answer
            .map(|answer| Secret::new(answer.to_vec()))
            .ok_or(KeysAway::Sealed)
    }
}

impl DurableHeld {
    fn place(&self) -> Aad {
        Aad::row(&self.tenant, NAME, SEALED, &self.name)
    }

    fn sealed(&self, answer: &[u8]) -> Option<Vec<u8>> {
        let content = Secret::new([&self.print, answer].concat());
        let shared = &self.keys.0;
        envelope::seal(
            &*(shared.keks)(),
            &self.place(),
            content.expose(),
            &shared.random,
        )
        .map(Sealed::into_bytes)
        .ok()
    }

    /// Writes what became of it. It is sent at once and happens even if nobody waits; the future answers when it is committed.
    pub fn end(self, end: KeyEnd) -> BoxFuture<'static, Told> {
        let ending = match end {
            KeyEnd::Free => None,
            KeyEnd::NotKept => Some((KeyState::NotKept, None)),
            KeyEnd::Unknown => Some((KeyState::Unknown, None)),
            KeyEnd::Answered(answer) => Some(match self.sealed(&answer) {
                Some(sealed) => (KeyState::Answered, Some(sealed)),
                None => (KeyState::NotKept, None),
            }),
        };
        let Self {
            keys,
            tenant,
            name,
            owner,
            ..
        } = self;
        let written = keys.0.store.write(move |tx| {
            Box::pin(async move {
                let held = (&name, &owner);
                match ending {
                    None => idempotency_keys::free(tx, &tenant, held).await,
                    Some((state, sealed)) => {
                        let ending = KeyEnding { state, sealed };
                        idempotency_keys::end(tx, &tenant, held, &ending).await
                    }
                }
            })
        });
        async move {
            match written.await {
                Ok(true) => Told::Durable,
                Ok(false) => Told::Lost,
                Err(error) => {
                    tracing::warn!(event = "idempotency_end_not_written", %error);
                    Told::Lost
                }
            }
        }
        .boxed()
    }
}

/// A key that may have been taken, as long as nothing has gone on: dropped, it is free.
struct Unsent(Option<DurableHeld>);

impl Unsent {
    fn take(mut self) -> Option<DurableHeld> {
        self.0.take()
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        if let Some(held) = self.0.take() {
            // Sent with the call; nobody waits for it.
            drop(held.end(KeyEnd::Free));
        }
    }
}
