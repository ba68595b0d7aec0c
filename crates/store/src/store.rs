//! The handle on the database: opening, reading, and sending units of work.

use crate::StoreError;
use crate::catalogue::Statement;
use crate::engine::{
    Connection, GroupCommit, Once, Readers, StoreOptions, StoreUrl, Transaction, Unit,
    open_postgres, open_sqlite, run_postgres,
};
use crate::parsed::ParsedClients;
use crate::tables::audit_outbox::{self, Waiting};
use crate::webhooks::Rooms;
use crate::write::{Write, apply, record_event};
use countersign_audit::Record;
use countersign_base::{EventId, Tenant, UnixTime};
use futures_util::future::BoxFuture;
use sqlx::{Executor as _, PgPool, SqlSafeStr as _};
use std::fmt;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify, Semaphore};

/// Units that may wait for PostgreSQL; one more is refused.
const POSTGRES_UNITS_MAX: usize = 1024;

/// A handle on the database. Cloning it is cheap; all clones share the writer and the pools.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    outbox_changed: Notify,
    webhooks_changed: Notify,
    webhook_rooms: Rooms,
    parsed_clients: Arc<ParsedClients>,
}

enum Engine {
    Postgres {
        pool: PgPool,
        permits: Arc<Semaphore>,
        runtime: Handle,
        /// The session that holds the lease of the outbox, while this node has it.
        lease: Mutex<Option<Connection>>,
    },
    Sqlite {
        writer: GroupCommit,
        readers: Readers,
    },
}

impl Store {
    /// Opens the database, makes it if it is a file that does not exist, and brings its schema to this program's.
    ///
    /// Call it inside a runtime that outlives the store: units run there, also for requests of other runtimes.
    ///
    /// # Errors
    /// When it cannot be reached, or its schema is newer than this program ([`StoreError::NewerSchema`]).
    pub async fn open(options: &StoreOptions, now: UnixTime) -> Result<Self, StoreError> {
        let parsed_clients = Arc::<ParsedClients>::default();
        let engine = match &options.url {
            StoreUrl::Postgres(url) => {
                let pool = open_postgres(url, options.schema.as_deref(), now).await?;
                Engine::Postgres {
                    pool,
                    permits: Arc::new(Semaphore::new(POSTGRES_UNITS_MAX)),
                    runtime: Handle::current(),
                    lease: Mutex::new(None),
                }
            }
            StoreUrl::Sqlite(path) => {
                let (writer, readers) = open_sqlite(path, now, Arc::clone(&parsed_clients)).await?;
                Engine::Sqlite { writer, readers }
            }
        };
        Ok(Self {
            shared: Arc::new(Shared {
                engine,
                outbox_changed: Notify::new(),
                webhooks_changed: Notify::new(),
                webhook_rooms: Rooms::default(),
                parsed_clients,
            }),
        })
    }

    /// A connection for reading. It sees what was committed before; give it back by dropping it.
    ///
    /// # Errors
    /// When none becomes free in time.
    pub async fn read(&self) -> Result<Connection, StoreError> {
        let parsed = Arc::clone(&self.shared.parsed_clients);
        Ok(match &self.shared.engine {
            Engine::Postgres { pool, .. } => {
                Connection::postgres_reader(Box::pin(pool.acquire()).await?, parsed)
            }
            Engine::Sqlite { readers, .. } => {
                Connection::sqlite_reader(readers.acquire().await?, parsed)
            }
        })
    }

    /// Runs `work` as one unit: all of it is durable when this returns, or nothing of it happened.
    ///
    /// The unit is sent at once and runs to its end even if the returned future is dropped. It must do nothing but database work.
    ///
    /// # Errors
    /// The unit's own error, or why the transaction could not be committed.
    pub fn write<R, F>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<R, StoreError>> + Send + use<R, F>
    where
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<R, StoreError>>
            + Send
            + 'static,
        R: Send + 'static,
    {
        self.run(Once::new(work))
    }

    /// A change that somebody authorized, with the event that reports it, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the change contradicts what is stored; in any case of error nothing happened.
    pub async fn change(
        &self,
        tenant: &Tenant,
        writes: Vec<Write>,
        event: Record,
        now: UnixTime,
    ) -> Result<EventId, StoreError> {
        let (tenant, id) = (tenant.clone(), event.id);
        self.write(move |tx| Box::pin(change(tx, tenant, writes, event, now)))
            .await?;
        self.outbox_changed();
        Ok(id)
    }

    pub(crate) fn run<U: Unit>(
        &self,
        unit: U,
    ) -> BoxFuture<'static, Result<U::Output, StoreError>> {
        match &self.shared.engine {
            Engine::Postgres {
                pool,
                permits,
                runtime,
                ..
            } => {
                let Ok(permit) = permits.clone().try_acquire_owned() else {
                    return Box::pin(async { Err(StoreError::Overloaded(POSTGRES_UNITS_MAX)) });
                };
                let pool = pool.clone();
                let parsed = Arc::clone(&self.shared.parsed_clients);
                let task = runtime.spawn(async move {
                    let result = run_postgres(&pool, &parsed, unit).await;
                    drop(permit);
                    result
                });
                Box::pin(async { task.await.unwrap_or(Err(StoreError::Closed)) })
            }
            Engine::Sqlite { writer, .. } => Box::pin(writer.run(unit)),
        }
    }

    /// Reads the oldest rows of the outbox, if it is this node that takes them into its log.
    ///
    /// Of several nodes on one PostgreSQL one does, for as long as its session lives: the lease is a lock of that session, so that it
    /// ends with the node and needs no clock. A SQLite file has one process.
    pub(crate) async fn outbox(&self, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        match &self.shared.engine {
            Engine::Postgres { pool, lease, .. } => {
                let mut lease = lease.lock().await;
                let mut held = match lease.take() {
                    Some(held) => held,
                    None => {
                        let parsed = Arc::clone(&self.shared.parsed_clients);
                        let mut session =
                            Connection::postgres_owned(pool.acquire().await?.detach(), parsed);
                        if !audit_outbox::lease(&mut session).await? {
                            return Ok(Vec::new());
                        }
                        session
                    }
                };
                // Read over the session that holds the lease: if it broke, the lease is gone and nothing is read.
                let rows = audit_outbox::oldest(&mut held, limit).await?;
                *lease = Some(held);
                Ok(rows)
            }
            Engine::Sqlite { .. } => audit_outbox::oldest(&mut self.read().await?, limit).await,
        }
    }

    /// Wakes whoever waits in [`Store::outbox_waits`].
    pub(crate) fn outbox_changed(&self) {
        self.shared.outbox_changed.notify_one();
    }

    /// Waits until a unit put an event into the outbox; the sequencer's wake-up call.
    pub async fn outbox_waits(&self) {
        self.shared.outbox_changed.notified().await;
    }

    /// Wakes whoever waits in [`Store::webhooks_wait`].
    pub(crate) fn webhooks_changed(&self) {
        self.shared.webhooks_changed.notify_one();
    }

    /// Waits until a unit of this process made a webhook due; the dispatcher's wake-up call. What other processes make due it finds by looking.
    pub async fn webhooks_wait(&self) {
        self.shared.webhooks_changed.notified().await;
    }

    pub(crate) fn webhook_rooms(&self) -> &Rooms {
        &self.shared.webhook_rooms
    }

    /// Lets queued units finish, then closes the database. Later units are refused.
    pub async fn close(&self) {
        match &self.shared.engine {
            Engine::Postgres { pool, lease, .. } => {
                // The session ends, and with it the lease.
                drop(lease.lock().await.take());
                pool.close().await;
            }
            Engine::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }

    /// Whether other processes may be at work on the same database.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match &self.shared.engine {
            Engine::Postgres { .. } => true,
            Engine::Sqlite { .. } => false,
        }
    }

    /// Asks the database to make `statement` ready and runs nothing: for the test that every statement of the catalogue is one.
    #[doc(hidden)]
    pub async fn prepare(&self, statement: &'static Statement) -> Result<(), StoreError> {
        match &self.shared.engine {
            Engine::Postgres { pool, .. } => {
                let text = statement.postgres.into_sql_str();
                let mut connection = pool.acquire().await?;
                (*connection).prepare(text).await?;
                Ok(())
            }
            Engine::Sqlite { readers, .. } => {
                let mut reader = readers.acquire().await?;
                Ok(reader.connection()?.prepare(statement.sqlite)?)
            }
        }
    }
}

async fn change(
    tx: &mut Transaction,
    tenant: Tenant,
    writes: Vec<Write>,
    event: Record,
    now: UnixTime,
) -> Result<(), StoreError> {
    apply(tx, &tenant, &writes, now).await?;
    record_event(tx, &tenant, &event);
    Ok(())
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.shared.engine {
            Engine::Postgres { .. } => "Store(PostgreSQL)",
            Engine::Sqlite { .. } => "Store(SQLite)",
        })
    }
}
