//! Opening a database: its address, its settings, its migrations.

use super::migrate::Migrating;
use super::sqlite::{Access, Readers, SqliteConnection};
use super::{GroupCommit, MIGRATIONS_POSTGRES, MIGRATIONS_SQLITE, Transaction, migrate};
use crate::StoreError;
use crate::parsed::ParsedClients;
use countersign_base::{Duration, UnixTime};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgPool};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// How long a statement waits for a lock before it gives up.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How long a unit waits for a connection of the pool.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);
/// Connections that read, on SQLite.
const SQLITE_READERS: u32 = 8;
/// Connections, on PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 16;

/// Where the state lives.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A PostgreSQL server (`postgres://...`), which several nodes share. The text may hold a password.
    Postgres(String),
    /// A file of this machine: the embedded default.
    Sqlite(PathBuf),
}

impl FromStr for StoreUrl {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        match text
            .strip_prefix("sqlite:")
            .map(|path| path.strip_prefix("//").unwrap_or(path))
        {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            // The text may hold a password, so that only its beginning is repeated.
            _ => Err(StoreError::Address(
                text.chars().take_while(|c| *c != ':').take(16).collect(),
            )),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(_) => f.write_str("Postgres"),
            Self::Sqlite(path) => write!(f, "Sqlite({})", path.display()),
        }
    }
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where the state lives.
    pub url: StoreUrl,
    /// The PostgreSQL schema, if it is not the server's default; ignored by SQLite.
    pub schema: Option<String>,
}

impl StoreOptions {
    /// The defaults for this address.
    #[must_use]
    pub const fn new(url: StoreUrl) -> Self {
        Self { url, schema: None }
    }
}

/// Opens or makes the file, migrates it, and starts its writer.
pub(crate) async fn open_sqlite(
    path: &Path,
    now: UnixTime,
    parsed: Arc<ParsedClients>,
) -> Result<(GroupCommit, Readers), StoreError> {
    prepare_file(path)?;
    let open = |access| {
        SqliteConnection::open(path, access, LOCK_WAIT).map_err(|source| StoreError::Open {
            at: path.display().to_string(),
            source: source.into(),
        })
    };
    let mut writer = open(Access::Write)?;
    migrate(Migrating::Sqlite(&mut writer), MIGRATIONS_SQLITE, now).await?;
    let readers = (0..SQLITE_READERS)
        .map(|_| open(Access::Read))
        .collect::<Result<Vec<_>, StoreError>>()?;
    let readers = Readers::of(readers, CONNECTION_WAIT);
    Ok((
        GroupCommit::start(Transaction::sqlite(writer, parsed))?,
        readers,
    ))
}

/// A pool whose connections stay: with a time limit on them, sqlx 0.9 runs a task that counts the idle ones in two steps, can read the
/// count between them as the largest number there is, and then never gives its thread back. The pool is small, and a connection that
/// died is noticed before it is handed out.
fn without_maintenance(options: PgPoolOptions) -> PgPoolOptions {
    options.idle_timeout(None).max_lifetime(None)
}

/// Makes the directory and the file so that nobody else on the machine can read them.
fn prepare_file(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let failed = |source| StoreError::Directory {
        path: path.to_owned(),
        source,
    };
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(failed)?;
    }
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    Ok(())
}

/// Connects to the server and migrates its schema.
pub(crate) async fn open_postgres(
    url: &str,
    schema: Option<&str>,
    now: UnixTime,
) -> Result<PgPool, StoreError> {
    let options: PgConnectOptions =
        url.parse()
            .map_err(|source: sqlx::Error| StoreError::Open {
                at: "the address given".to_owned(),
                source: source.into(),
            })?;
    let at = format!("{}:{}", options.get_host(), options.get_port());
    let wait = LOCK_WAIT.as_millis().to_string();
    let mut settings = vec![
        ("synchronous_commit", "on"),
        ("lock_timeout", wait.as_str()),
        ("statement_timeout", "30000"),
        ("idle_in_transaction_session_timeout", "60000"),
        ("default_transaction_isolation", "read committed"),
        // A node that vanished gives its lease back within a minute and a half.
        ("tcp_keepalives_idle", "30"),
        ("tcp_keepalives_interval", "10"),
        ("tcp_keepalives_count", "6"),
    ];
    settings.extend(schema.map(|schema| ("search_path", schema)));
    let options = options.options(settings).disable_statement_logging();
    let pool = without_maintenance(PgPoolOptions::new())
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(CONNECTION_WAIT)
        .connect_with(options)
        .await
        .map_err(|source| StoreError::Open {
            at,
            source: source.into(),
        })?;
    let mut connection = pool.acquire().await?;
    migrate(
        Migrating::Postgres(&mut connection),
        MIGRATIONS_POSTGRES,
        now,
    )
    .await?;
    drop(connection);
    Ok(pool)
}
