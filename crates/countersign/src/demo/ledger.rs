//! Where billing's rows lie: in the exercise's own database, or in a PostgreSQL that somebody named (`demo --postgres URL`), in a schema and under a role of its own.
//!
//! What is asked of either is the same: a role that the vault gives its password, and everything that was written, as bytes.

use super::database::{DATABASE, Database, SUPERUSER};
use super::http::Failure;
use countersign_base::Secret;
use countersign_crypto::Random;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _,
};
use std::path::Path;
use url::Url;

/// The service's role in the exercise's own database.
const ROLE: &str = "billing";
/// Bytes of one file of the write-ahead log that are looked at.
const LOG_FILE_BYTES_MAX: i64 = 1 << 26;

/// A database, with what the vault needs to change the password of the service's role.
pub(super) struct Ledger {
    place: Place,
    host: String,
    port: u16,
    superuser: String,
    password: Secret<String>,
    role: String,
}

enum Place {
    /// The exercise's own, and who certifies it.
    Own { server: Database, authority: String },
    /// A real one, in this database.
    Postgres { database: String },
}

/// Everything that a database wrote to its files, each with its name.
pub(super) struct Written(Vec<(String, Vec<u8>)>);

impl Written {
    /// The first file that holds `text`, whatever the case of its letters, as it is or in hexadecimal.
    pub(super) fn holds(&self, text: &str) -> Option<&str> {
        let hexadecimal: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let forms = [text.as_bytes(), hexadecimal.as_bytes()];
        let holds = |bytes: &[u8]| {
            forms.iter().any(|form| {
                bytes
                    .windows(form.len())
                    .any(|window| window.eq_ignore_ascii_case(form))
            })
        };
        let found = self.0.iter().find(|(_, bytes)| holds(bytes));
        found.map(|(name, _)| name.as_str())
    }

    /// How much was read: in how many files, and bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (
            self.0.len(),
            self.0.iter().map(|(_, bytes)| bytes.len()).sum(),
        )
    }

    /// Every file below a directory.
    pub(super) fn below(directory: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("the database's files: {error}"));
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            files.push((name.into_owned(), std::fs::read(&path).map_err(failed)?));
        }
        files.sort();
        Ok(Self(files))
    }
}

fn failed(error: &sqlx::Error) -> Failure {
    Failure::new(format!("the database: {error}"))
}

impl Ledger {
    /// The exercise's own.
    pub(super) fn own(server: Database, authority: &str) -> Self {
        Self {
            host: "localhost".to_owned(),
            port: server.port(),
            superuser: SUPERUSER.to_owned(),
            password: Secret::new(server.password().expose().clone()),
            role: ROLE.to_owned(),
            place: Place::Own {
                server,
                authority: authority.to_owned(),
            },
        }
    }

    /// A real one, by the URL of a superuser.
    pub(super) fn postgres(url: &Url, random: &Random) -> Result<Self, Failure> {
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| Failure::new("the URL of PostgreSQL is not UTF-8"))
        };
        let host = url
            .host_str()
            .filter(|_| matches!(url.scheme(), "postgres" | "postgresql"));
        let host = host.ok_or_else(|| {
            Failure::new("`--postgres` takes `postgres://USER:PASSWORD@HOST:PORT/DATABASE`")
        })?;
        let mark: [u8; 4] = random.bytes();
        let mark: String = mark.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            host: host.to_owned(),
            port: url.port().unwrap_or(5432),
            superuser: decoded(url.username())?,
            password: Secret::new(decoded(url.password().unwrap_or_default())?),
            role: format!("{ROLE}_{mark}"),
            place: Place::Postgres {
                database: decoded(url.path().trim_start_matches('/'))?,
            },
        })
    }

    /// What it is, for the evidence.
    pub(super) const fn name(&self) -> &'static str {
        match self.place {
            Place::Own { .. } => "the exercise's own database",
            Place::Postgres { .. } => "PostgreSQL",
        }
    }

    /// The service's role.
    pub(super) fn role(&self) -> &str {
        &self.role
    }

    /// Whether what was deleted is gone from the files at once. PostgreSQL leaves it to its vacuum and to the end of its log's files.
    pub(super) const fn overwrites(&self) -> bool {
        matches!(self.place, Place::Own { .. })
    }

    /// How a role reaches its rows.
    pub(super) fn options(&self, password: &Secret<String>) -> PgConnectOptions {
        let database = match &self.place {
            Place::Own { .. } => DATABASE,
            Place::Postgres { database } => database,
        };
        self.to(&self.role, password, database)
    }

    fn to(&self, role: &str, password: &Secret<String>, database: &str) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(role)
            .password(password.expose())
            .database(database)
            .disable_statement_logging();
        match &self.place {
            Place::Own { authority, .. } => options
                .ssl_mode(PgSslMode::VerifyFull)
                .ssl_root_cert_from_pem(authority.as_bytes().to_vec()),
            Place::Postgres { .. } => options.ssl_mode(PgSslMode::Prefer),
        }
    }

    async fn superuser(&self) -> Result<PgConnection, Failure> {
        let database = match &self.place {
            Place::Own { .. } => SUPERUSER,
            Place::Postgres { database } => database,
        };
        let options = self.to(&self.superuser, &self.password, database);
        options.connect().await.map_err(|error| failed(&error))
    }

    /// The body of the vault's `database/config/:name`: the password of the service's role goes to the database as a verifier, and no log has it.
    pub(super) fn connection(&self) -> Value {
        let (database, mode) = match &self.place {
            Place::Own { .. } => (SUPERUSER, "verify-full"),
            Place::Postgres { database } => (database.as_str(), "prefer"),
        };
        let url = format!(
            "postgresql://{{{{username}}}}:{{{{password}}}}@{}:{}/{database}?sslmode={mode}",
            self.host, self.port
        );
        let mut body = json!({
            "plugin_name": "postgresql-database-plugin",
            "connection_url": url,
            "username": self.superuser,
            "password": self.password.expose(),
            "password_authentication": "scram-sha-256",
            "allowed_roles": ["billing"],
        });
        if let (Place::Own { authority, .. }, Some(body)) = (&self.place, body.as_object_mut()) {
            body.insert("tls_ca".to_owned(), Value::from(authority.as_str()));
        }
        body
    }

    /// Makes the service's role, without a password: nobody signs in with it until the vault has given it one.
    pub(super) async fn prepare(&self) -> Result<(), Failure> {
        let role = &self.role;
        let mut statements = vec![format!("CREATE ROLE \"{role}\" LOGIN")];
        if let Place::Postgres { .. } = self.place {
            statements.push(format!("CREATE SCHEMA \"{role}\" AUTHORIZATION \"{role}\""));
        }
        self.carry_out(&statements).await
    }

    /// Takes away what was made in a server that stays.
    pub(super) async fn remove(&self) -> Result<(), Failure> {
        let Place::Postgres { .. } = self.place else {
            return Ok(());
        };
        let role = &self.role;
        self.carry_out(&[
            format!("DROP SCHEMA \"{role}\" CASCADE"),
            format!("DROP ROLE \"{role}\""),
        ])
        .await
    }

    /// The names in them are drawn here and hold no quote.
    async fn carry_out(&self, statements: &[String]) -> Result<(), Failure> {
        let mut connection = self.superuser().await?;
        for statement in statements {
            let statement = sqlx::raw_sql(AssertSqlSafe(statement.clone()));
            let done = connection.execute(statement).await;
            done.map_err(|error| failed(&error))?;
        }
        connection.close().await.map_err(|error| failed(&error))
    }

    /// Everything that lies in the files now.
    pub(super) async fn written(&self) -> Result<Written, Failure> {
        match &self.place {
            Place::Own { server, .. } => Written::below(server.directory()),
            Place::Postgres { .. } => self.read_by_server().await,
        }
    }

    /// The files of the service's tables, and those of the write-ahead log, as the server itself reads them.
    async fn read_by_server(&self) -> Result<Written, Failure> {
        let mut connection = self.superuser().await?;
        let checkpoint = connection.execute("CHECKPOINT").await;
        checkpoint.map_err(|error| failed(&error))?;
        let tables = sqlx::query(
            "SELECT c.relname::text, pg_read_binary_file(pg_relation_filepath(c.oid))
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND pg_relation_filepath(c.oid) IS NOT NULL",
        );
        let tables = tables.bind(&self.role).fetch_all(&mut connection).await;
        let log = sqlx::query(
            "SELECT name, coalesce(pg_read_binary_file('pg_wal/' || name, 0, $1, true), ''::bytea)
             FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'",
        );
        let log = log
            .bind(LOG_FILE_BYTES_MAX)
            .fetch_all(&mut connection)
            .await;
        let mut files = Vec::new();
        for rows in [tables, log] {
            for row in rows.map_err(|error| failed(&error))? {
                let name = row.try_get(0).map_err(|error| failed(&error))?;
                let mut bytes: Vec<u8> = row.try_get(1).map_err(|error| failed(&error))?;
                // The log's files have their whole size from the start.
                let end = bytes.iter().rposition(|byte| *byte != 0);
                bytes.truncate(end.map_or(0, |end| end.saturating_add(1)));
                files.push((name, bytes));
            }
        }
        Ok(Written(files))
    }
}
