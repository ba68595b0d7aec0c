//! A fresh database of either engine, and a second look at the same one.

use countersign_base::UnixTime;
use countersign_crypto::random::Random;
use countersign_store::{Store, StoreError, StoreOptions, StoreUrl};
use sqlx::Connection as _;
use std::sync::Arc;

pub(crate) const NOW: UnixTime = UnixTime(1_800_000_000);

#[derive(Clone)]
pub(crate) struct Fixture {
    pub(crate) store: Store,
    options: StoreOptions,
    _directory: Option<Arc<tempfile::TempDir>>,
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(directory.path().join("data").join("state.db"));
        Self::open(StoreOptions::new(url), Some(Arc::new(directory))).await
    }

    /// `None`, and a line that says why, if there is no server to test with.
    pub(crate) async fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else {
            eprintln!("skipped: COUNTERSIGN_TEST_POSTGRES names no PostgreSQL server");
            return None;
        };
        let schema = format!("test_{}", Random::system().event_id());
        let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
        sqlx::query(create).execute(&mut connection).await.unwrap();
        let url = server.parse().unwrap();
        let options = StoreOptions {
            url,
            schema: Some(schema),
        };
        Some(Self::open(options, None).await)
    }

    async fn open(options: StoreOptions, directory: Option<Arc<tempfile::TempDir>>) -> Self {
        let store = Store::open(&options, NOW).await.unwrap();
        Self {
            store,
            options,
            _directory: directory,
        }
    }

    /// The same database, opened again: what a restart, or another node, sees.
    pub(crate) async fn opened_again(&self) -> Store {
        self.reopen().await.unwrap()
    }

    pub(crate) async fn reopen(&self) -> Result<Store, StoreError> {
        Store::open(&self.options, NOW).await
    }

    pub(crate) async fn remove(self) {
        self.store.close().await;
        let (StoreUrl::Postgres(server), Some(schema)) = (&self.options.url, &self.options.schema)
        else {
            return;
        };
        let mut connection = sqlx::PgConnection::connect(server).await.unwrap();
        let drop = sqlx::AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"));
        sqlx::query(drop).execute(&mut connection).await.unwrap();
    }

    /// Runs the statement that is written for this engine.
    pub(crate) async fn sql_of(&self, sqlite: &'static str, postgres: &'static str) {
        match &self.options.url {
            StoreUrl::Sqlite(_) => self.sql(sqlite).await,
            StoreUrl::Postgres(_) => self.sql(postgres).await,
        }
    }

    /// Runs a statement of the test itself.
    pub(crate) async fn sql(&self, statement: &'static str) {
        match &self.options.url {
            StoreUrl::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                connection.execute_batch(statement).unwrap();
            }
            StoreUrl::Postgres(server) => {
                let schema = self.options.schema.as_deref().unwrap();
                let options: sqlx::postgres::PgConnectOptions = server.parse().unwrap();
                let options = options.options([("search_path", schema)]);
                let mut connection = sqlx::PgConnection::connect_with(&options).await.unwrap();
                sqlx::raw_sql(statement)
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
        }
    }

    /// The number that a query of the test itself answers.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        match &self.options.url {
            StoreUrl::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                connection.query_row(query, [], |row| row.get(0)).unwrap()
            }
            StoreUrl::Postgres(_) => {
                let mut connection = self.postgres_connection().await;
                sqlx::query_scalar(query)
                    .fetch_one(&mut connection)
                    .await
                    .unwrap()
            }
        }
    }

    /// The bytes that a query of the test itself answers, a row each.
    pub(crate) async fn bytes(&self, query: &'static str) -> Vec<Vec<u8>> {
        match &self.options.url {
            StoreUrl::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                let mut statement = connection.prepare(query).unwrap();
                let rows = statement.query_map([], |row| row.get(0)).unwrap();
                rows.map(Result::unwrap).collect()
            }
            StoreUrl::Postgres(_) => {
                let mut connection = self.postgres_connection().await;
                sqlx::query_scalar(query)
                    .fetch_all(&mut connection)
                    .await
                    .unwrap()
            }
        }
    }

    async fn postgres_connection(&self) -> sqlx::PgConnection {
        let StoreUrl::Postgres(server) = &self.options.url else {
            panic!("not a server");
        };
        let schema = self.options.schema.as_deref().unwrap();
        let options: sqlx::postgres::PgConnectOptions = server.parse().unwrap();
        let options = options.options([("search_path", schema)]);
        sqlx::PgConnection::connect_with(&options).await.unwrap()
    }
}
