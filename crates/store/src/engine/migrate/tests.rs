//! What is applied, what is refused, and that a refusal leaves the database as it was.

use super::{MIGRATIONS_POSTGRES, MIGRATIONS_SQLITE, Migrating, Migration, migrate};
use crate::StoreError;
use crate::engine::sqlite::SqliteConnection;
use countersign_base::UnixTime;

const ONE: Migration = Migration {
    version: 1,
    name: "one",
    sql: "CREATE TABLE a (n BIGINT); INSERT INTO a VALUES (7)",
};
const TWO: Migration = Migration {
    version: 2,
    name: "two",
    sql: "ALTER TABLE a ADD COLUMN m BIGINT; UPDATE a SET m = n + 1",
};
const BROKEN: Migration = Migration {
    version: 2,
    name: "broken",
    sql: "UPDATE a SET n = 0; SELECT * FROM missing",
};

fn memory() -> SqliteConnection {
    SqliteConnection::in_memory().unwrap()
}

async fn run(
    connection: &mut SqliteConnection,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    migrate(Migrating::Sqlite(connection), migrations, UnixTime(0)).await
}

fn number(connection: &mut SqliteConnection, sql: &str) -> i64 {
    let row = connection.fetch_optional(sql, &[]).unwrap().unwrap();
    row.get(0).unwrap()
}

fn n(connection: &mut SqliteConnection) -> i64 {
    number(connection, "SELECT n FROM a")
}

#[tokio::test]
async fn data_survives_the_next_version() {
    let mut connection = memory();
    run(&mut connection, &[ONE]).await.unwrap();
    run(&mut connection, &[ONE, TWO]).await.unwrap();
    run(&mut connection, &[ONE, TWO]).await.unwrap();
    let m = number(&mut connection, "SELECT m FROM a");
    assert_eq!((n(&mut connection), m), (7, 8));
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_what_to_do() {
    let mut connection = memory();
    run(&mut connection, &[ONE, TWO]).await.unwrap();
    let refused = run(&mut connection, &[ONE]).await.unwrap_err();
    assert!(matches!(
        refused,
        StoreError::NewerSchema { found: 2, known: 1 }
    ));
    assert!(
        refused.to_string().contains("start the newer version"),
        "{refused}"
    );
    assert_eq!(n(&mut connection), 7);
}

#[tokio::test]
async fn a_changed_migration_is_refused() {
    let mut connection = memory();
    run(&mut connection, &[ONE]).await.unwrap();
    let edited = Migration {
        sql: "CREATE TABLE a (n BIGINT); INSERT INTO a VALUES (8)",
        ..ONE
    };
    assert!(matches!(
        run(&mut connection, &[edited]).await,
        Err(StoreError::ChangedMigration { version: 1 })
    ));
    run(&mut connection, &[ONE]).await.unwrap();
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let mut connection = memory();
    run(&mut connection, &[ONE]).await.unwrap();
    run(&mut connection, &[ONE, BROKEN]).await.unwrap_err();
    assert_eq!(n(&mut connection), 7);
    run(&mut connection, &[ONE, TWO]).await.unwrap();
}

#[test]
fn the_two_folders_hold_the_same_versions_in_order() {
    let names = |migrations: &[Migration]| {
        migrations
            .iter()
            .map(|m| (m.version, m.name))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(MIGRATIONS_SQLITE), names(MIGRATIONS_POSTGRES));
    assert!(
        MIGRATIONS_SQLITE.is_sorted_by(|one, next| one.version < next.version),
        "each number once, in order; a number that was given away and not used leaves a gap"
    );
    for (sqlite, postgres) in MIGRATIONS_SQLITE.iter().zip(MIGRATIONS_POSTGRES) {
        let translated = sqlite.sql.replace(" BLOB", " BYTEA").replace(
            "INTEGER PRIMARY KEY AUTOINCREMENT",
            "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        );
        // Names that are listed in order are compared by their bytes, as SQLite does everywhere.
        let same_order = postgres.sql.replace(" COLLATE \"C\"", "");
        assert_eq!(
            translated, same_order,
            "migration {} differs in more than its types",
            sqlite.version
        );
    }
}
