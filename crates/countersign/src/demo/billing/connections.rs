//! A pool of connections whose password is the vault's: read when it is needed, and read again when the database refuses the one that is known.
//!
//! A connection lives half a second, so that the service signs in again and again, and a password that does not hold any more is noticed. Between the moment when the database
//! has a new password and the one when the vault knows that it has, both say no: then it is asked again, and the request waits.

use super::super::http::Failure;
use super::super::ledger::Ledger;
use super::super::vault::VaultCaller;
use super::card;
use super::keys;
use countersign_base::Secret;
use http::Method;
use serde_json::Value;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor as _, PgConnection, PgPool, Postgres};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long one is used.
const LIFETIME: Duration = Duration::from_millis(500);
/// How many there are at once.
const CONNECTIONS_MAX: u32 = 4;
/// How long a request waits for one.
const WAIT: Duration = Duration::from_secs(15);
/// How often the vault is asked again for a password that the database takes, and how long after the last time.
const TRIES: u32 = 400;
const PAUSE: Duration = Duration::from_millis(25);
/// The database does not take the password.
const REFUSED: [&str; 2] = ["28P01", "28000"];

/// The connections of one node.
pub(in crate::demo) struct Connections {
    pool: PgPool,
    ledger: Arc<Ledger>,
    vault: Arc<VaultCaller>,
    password: Mutex<Secret<String>>,
    opened: Arc<AtomicU64>,
    passwords: AtomicU64,
}

impl Connections {
    /// None yet; the first request makes one.
    pub(in crate::demo) fn new(ledger: &Arc<Ledger>, vault: &Arc<VaultCaller>) -> Self {
        let opened = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&opened);
        // Nobody's: the database refuses it, and then the vault is asked.
        let password = Secret::new("none yet".to_owned());
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .max_lifetime(LIFETIME)
            .acquire_timeout(WAIT)
            .after_connect(move |_, _| {
                counted.fetch_add(1, Ordering::SeqCst);
                Box::pin(std::future::ready(Ok(())))
            })
            .connect_lazy_with(ledger.options(&password));
        Self {
            pool,
            ledger: Arc::clone(ledger),
            vault: Arc::clone(vault),
            password: Mutex::new(password),
            opened,
            passwords: AtomicU64::new(0),
        }
    }

    /// Makes the tables that are not there.
    pub(in crate::demo) async fn prepare(&self) -> Result<(), Failure> {
        let failed = |error: sqlx::Error| Failure::new(format!("billing's tables: {error}"));
        let mut connection = self.connection().await.map_err(failed)?;
        for table in [card::TABLE, keys::TABLE] {
            connection.execute(table).await.map_err(failed)?;
        }
        Ok(())
    }

    /// A connection, signed in with a password that holds.
    pub(in crate::demo) async fn connection(
        &self,
    ) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let mut tries = 0;
        loop {
            match self.pool.acquire().await {
                Err(error) if is_refused(&error) && tries < TRIES => {
                    tries += 1;
                    if self.read_again().await == Credentials::AsBefore {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                connection => return connection,
            }
        }
    }

    async fn read_again(&self) -> Credentials {
        let mut known = self.password.lock().await;
        let path = "database/static-creds/billing";
        let Ok(data) = self.vault.data(Method::GET, path, &Value::Null).await else {
            return Credentials::AsBefore;
        };
        let password = data.get("password").and_then(Value::as_str);
        let password = password.unwrap_or_default();
        if password.is_empty() || known.matches(password.as_bytes()) {
            return Credentials::AsBefore;
        }
        *known = Secret::new(password.to_owned());
        self.pool.set_connect_options(self.ledger.options(&known));
        self.passwords.fetch_add(1, Ordering::SeqCst);
        Credentials::New
    }

    /// How many connections were signed in, and with how many passwords.
    pub(in crate::demo) fn signed_in(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::SeqCst);
        (load(&self.opened), load(&self.passwords))
    }

    /// Has what was overwritten leave the write-ahead log too, where that can be had at once.
    pub(super) async fn checkpoint(&self, connection: &mut PgConnection) {
        if self.ledger.overwrites() {
            // Where others read, the next one does it.
            let _later = connection.execute("CHECKPOINT").await;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credentials {
    AsBefore,
    New,
}

fn is_refused(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| REFUSED.contains(&code.as_ref()))
}
