//! Migrations: numbered SQL files in the program itself, applied once, in order, each in one transaction.
//!
//! The table `schema_version` remembers what was applied, with a checksum. A database that is newer than the program, or whose
//! applied migrations differ from the program's, is refused and left untouched. There is no way down: a backup is.

use super::args;
use super::sqlite::SqliteConnection;
use crate::StoreError;
use countersign_base::UnixTime;
use sqlx::{Connection as _, PgConnection};

/// One step of the schema, in the dialect of one engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    /// Position in the order, beginning with 1.
    pub(crate) version: i64,
    /// The file's name without its number.
    pub(crate) name: &'static str,
    /// The statements.
    pub(crate) sql: &'static str,
}

/// What SQLite runs.
pub(crate) const MIGRATIONS_SQLITE: &[Migration] = &[
    Migration {
        version: 1,
        name: "spine",
        sql: include_str!("../../migrations/sqlite/0001_spine.sql"),
    },
    Migration {
        version: 2,
        name: "access_tokens",
        sql: include_str!("../../migrations/sqlite/0002_access_tokens.sql"),
    },
    Migration {
        version: 3,
        name: "grant_assertions",
        sql: include_str!("../../migrations/sqlite/0003_grant_assertions.sql"),
    },
    Migration {
        version: 4,
        name: "deliveries",
        sql: include_str!("../../migrations/sqlite/0004_deliveries.sql"),
    },
    Migration {
        version: 5,
        name: "decoupled",
        sql: include_str!("../../migrations/sqlite/0005_decoupled.sql"),
    },
    Migration {
        version: 6,
        name: "delegation",
        sql: include_str!("../../migrations/sqlite/0006_delegation.sql"),
    },
    Migration {
        version: 7,
        name: "people",
        sql: include_str!("../../migrations/sqlite/0007_people.sql"),
    },
    Migration {
        version: 8,
        name: "upstream",
        sql: include_str!("../../migrations/sqlite/0008_upstream.sql"),
    },
    Migration {
        version: 12,
        name: "used_proofs",
        sql: include_str!("../../migrations/sqlite/0012_used_proofs.sql"),
    },
    Migration {
        version: 13,
        name: "logout_fanouts",
        sql: include_str!("../../migrations/sqlite/0013_logout_fanouts.sql"),
    },
    Migration {
        version: 14,
        name: "registered_clients",
        sql: include_str!("../../migrations/sqlite/0014_registered_clients.sql"),
    },
    Migration {
        version: 15,
        name: "api_keys",
        sql: include_str!("../../migrations/sqlite/0015_api_keys.sql"),
    },
    Migration {
        version: 17,
        name: "browser_sessions",
        sql: include_str!("../../migrations/sqlite/0017_browser_sessions.sql"),
    },
    Migration {
        version: 20,
        name: "vault",
        sql: include_str!("../../migrations/sqlite/0020_vault.sql"),
    },
    Migration {
        version: 21,
        name: "erasures",
        sql: include_str!("../../migrations/sqlite/0021_erasures.sql"),
    },
    Migration {
        version: 22,
        name: "vault_key_terms",
        sql: include_str!("../../migrations/sqlite/0022_vault_key_terms.sql"),
    },
    Migration {
        version: 23,
        name: "webhooks",
        sql: include_str!("../../migrations/sqlite/0023_webhooks.sql"),
    },
    Migration {
        version: 24,
        name: "idempotency_keys",
        sql: include_str!("../../migrations/sqlite/0024_idempotency_keys.sql"),
    },
];

/// What PostgreSQL runs.
pub(crate) const MIGRATIONS_POSTGRES: &[Migration] = &[
    Migration {
        version: 1,
        name: "spine",
        sql: include_str!("../../migrations/postgres/0001_spine.sql"),
    },
    Migration {
        version: 2,
        name: "access_tokens",
        sql: include_str!("../../migrations/postgres/0002_access_tokens.sql"),
    },
    Migration {
        version: 3,
        name: "grant_assertions",
        sql: include_str!("../../migrations/postgres/0003_grant_assertions.sql"),
    },
    Migration {
        version: 4,
        name: "deliveries",
        sql: include_str!("../../migrations/postgres/0004_deliveries.sql"),
    },
    Migration {
        version: 5,
        name: "decoupled",
        sql: include_str!("../../migrations/postgres/0005_decoupled.sql"),
    },
    Migration {
        version: 6,
        name: "delegation",
        sql: include_str!("../../migrations/postgres/0006_delegation.sql"),
    },
    Migration {
        version: 7,
        name: "people",
        sql: include_str!("../../migrations/postgres/0007_people.sql"),
    },
    Migration {
        version: 8,
        name: "upstream",
        sql: include_str!("../../migrations/postgres/0008_upstream.sql"),
    },
    Migration {
        version: 12,
        name: "used_proofs",
        sql: include_str!("../../migrations/postgres/0012_used_proofs.sql"),
    },
    Migration {
        version: 13,
        name: "logout_fanouts",
        sql: include_str!("../../migrations/postgres/0013_logout_fanouts.sql"),
    },
    Migration {
        version: 14,
        name: "registered_clients",
        sql: include_str!("../../migrations/postgres/0014_registered_clients.sql"),
    },
    Migration {
        version: 15,
        name: "api_keys",
        sql: include_str!("../../migrations/postgres/0015_api_keys.sql"),
    },
    Migration {
        version: 17,
        name: "browser_sessions",
        sql: include_str!("../../migrations/postgres/0017_browser_sessions.sql"),
    },
    Migration {
        version: 20,
        name: "vault",
        sql: include_str!("../../migrations/postgres/0020_vault.sql"),
    },
    Migration {
        version: 21,
        name: "erasures",
        sql: include_str!("../../migrations/postgres/0021_erasures.sql"),
    },
    Migration {
        version: 22,
        name: "vault_key_terms",
        sql: include_str!("../../migrations/postgres/0022_vault_key_terms.sql"),
    },
    Migration {
        version: 23,
        name: "webhooks",
        sql: include_str!("../../migrations/postgres/0023_webhooks.sql"),
    },
    Migration {
        version: 24,
        name: "idempotency_keys",
        sql: include_str!("../../migrations/postgres/0024_idempotency_keys.sql"),
    },
];

const CREATE: &str = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)";
const APPLIED: &str = "SELECT version, checksum FROM schema_version ORDER BY version";
const NOTE: &str =
    "INSERT INTO schema_version (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)";
/// Held while PostgreSQL is migrated, so that nodes that start together take turns ("countsgn" in ASCII).
const LOCK: &str = "SELECT pg_advisory_xact_lock(7165064744912774254)";

/// Brings the database of `connection` to the newest of `migrations`.
pub(crate) async fn migrate(
    connection: Migrating<'_>,
    migrations: &[Migration],
    now: UnixTime,
) -> Result<(), StoreError> {
    match connection {
        Migrating::Postgres(connection) => {
            let mut tx = connection.begin().await?;
            sqlx::query(LOCK).execute(&mut *tx).await?;
            sqlx::query(CREATE).execute(&mut *tx).await?;
            let applied: Vec<(i64, String)> = sqlx::query_as(APPLIED).fetch_all(&mut *tx).await?;
            for migration in pending(migrations, &applied)? {
                sqlx::raw_sql(migration.sql).execute(&mut *tx).await?;
                let (version, name, checksum) = noted(migration);
                sqlx::query(NOTE)
                    .bind(version)
                    .bind(name)
                    .bind(checksum)
                    .bind(now.0)
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
        }
        Migrating::Sqlite(connection) => {
            while let Step::Applied = sqlite_step(connection, migrations, now)? {}
        }
    }
    Ok(())
}

/// Whether a migration was still to be applied.
enum Step {
    Applied,
    Nothing,
}

/// Applies the next migration in a transaction of its own.
fn sqlite_step(
    connection: &mut SqliteConnection,
    migrations: &[Migration],
    now: UnixTime,
) -> Result<Step, StoreError> {
    connection.control("BEGIN IMMEDIATE")?;
    let step = next_migration(connection, migrations, now);
    // Of a migration that failed nothing stays; that SQLite may have rolled back by itself is just as well.
    match &step {
        Ok(_) => connection.control("COMMIT")?,
        Err(_) => drop(connection.control("ROLLBACK")),
    }
    step
}

fn next_migration(
    connection: &mut SqliteConnection,
    migrations: &[Migration],
    now: UnixTime,
) -> Result<Step, StoreError> {
    connection.execute_batch(CREATE)?;
    let applied = connection
        .fetch_all(APPLIED, &[])?
        .iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect::<Result<Vec<(i64, String)>, StoreError>>()?;
    let Some(migration) = pending(migrations, &applied)?.first() else {
        return Ok(Step::Nothing);
    };
    connection.execute_batch(migration.sql)?;
    let (version, name, checksum) = noted(migration);
    let values = args![version, name, checksum, now.0];
    connection.execute(NOTE, &values)?;
    Ok(Step::Applied)
}

/// The connection that is migrated.
pub(crate) enum Migrating<'c> {
    Postgres(&'c mut PgConnection),
    Sqlite(&'c mut SqliteConnection),
}

/// What is still to be applied, after checking that what was applied is what this program carries.
fn pending<'m>(
    migrations: &'m [Migration],
    applied: &[(i64, String)],
) -> Result<&'m [Migration], StoreError> {
    let known = migrations.last().map_or(0, |newest| newest.version);
    if let Some((found, _)) = applied.last().filter(|(found, _)| *found > known) {
        return Err(StoreError::NewerSchema {
            found: *found,
            known,
        });
    }
    for ((version, checksum), migration) in applied.iter().zip(migrations) {
        if *version != migration.version || *checksum != checksum_of(migration) {
            return Err(StoreError::ChangedMigration { version: *version });
        }
    }
    Ok(migrations.get(applied.len()..).unwrap_or_default())
}

fn noted(migration: &Migration) -> (i64, &'static str, String) {
    (migration.version, migration.name, checksum_of(migration))
}

fn checksum_of(migration: &Migration) -> String {
    countersign_crypto::digest::sha256_base64url(migration.sql.as_bytes())
}

#[cfg(test)]
mod tests;
