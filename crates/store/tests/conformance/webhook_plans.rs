//! How SQLite finds what the statements of webhooks ask for: by seeking, however much waits.

use countersign_store::catalogue::statements;
use countersign_store::{StoreOptions, StoreUrl};

/// Those that look at everything: the rewrap after a rotation, once.
const WHOLE: &[&str] = &["KEYED_COUNT", "KEYED_NAMED"];

/// What may be walked: an array that was handed in, or what a query within the statement found, which is bounded there.
const WALKED: &[&str] = &[
    "SCAN json_each",
    "SCAN lane VIRTUAL TABLE",
    "SCAN listed VIRTUAL TABLE",
    "SCAN s VIRTUAL TABLE",
    "SCAN lanes",
    "SCAN wanted",
    "SCAN oldest",
    "SCAN known",
    "SCAN waiting",
    "SCAN CONSTANT ROW",
];

#[tokio::test]
async fn every_statement_seeks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let options = StoreOptions::new(StoreUrl::Sqlite(path.clone()));
    let store = countersign_store::Store::open(&options, crate::fixture::NOW)
        .await
        .unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let mut looked_at = 0;
    let of_webhooks = statements().filter(|statement| statement.table.starts_with("webhook_"));
    for statement in of_webhooks.filter(|statement| !WHOLE.contains(&statement.name)) {
        let explained = format!("EXPLAIN QUERY PLAN {}", statement.sqlite);
        let mut plan = connection.prepare(&explained).unwrap();
        let mut rows = plan.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get(3).unwrap();
            let bounded = WALKED.iter().any(|walked| step.starts_with(walked));
            assert!(
                !step.starts_with("SCAN") || bounded,
                "{}.{}: {step}",
                statement.table,
                statement.name
            );
            looked_at += 1;
        }
    }
    assert!(looked_at > 50, "{looked_at}");
    store.close().await;
}
