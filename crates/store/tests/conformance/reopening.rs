//! What a restart finds, and which databases are refused.

use crate::behaviours;
use crate::fixture::Fixture;
use crate::sample::{client_record, populate, portal, tenant};
use countersign_store::tables::{audit_outbox, clients};
use countersign_store::{StoreError, StoreUrl};

behaviours! {
    reopening_keeps_everything,
    a_newer_schema_is_refused_and_left_alone,
    a_migration_that_was_edited_is_refused,
    a_closed_store_takes_nothing,
}

async fn reopening_keeps_everything(fixture: Fixture) {
    populate(&fixture.store).await;
    fixture.store.close().await;
    let store = fixture.opened_again().await;
    let mut connection = store.read().await.unwrap();
    assert_eq!(
        clients::find(&mut connection, &tenant(), &portal())
            .await
            .unwrap(),
        Some(client_record())
    );
    assert_eq!(audit_outbox::waiting(&mut connection).await.unwrap(), 1);
    drop(connection);
    store.close().await;
}

async fn a_newer_schema_is_refused_and_left_alone(fixture: Fixture) {
    populate(&fixture.store).await;
    fixture.sql("INSERT INTO schema_version (version, name, checksum, applied_at) VALUES (9000, 'future', 'x', 0)").await;
    let refused = fixture.reopen().await.unwrap_err();
    assert!(
        matches!(refused, StoreError::NewerSchema { found: 9000, .. }),
        "{refused}"
    );
    // Twin: without that row it opens, and nothing was lost.
    fixture
        .sql("DELETE FROM schema_version WHERE version = 9000")
        .await;
    let store = fixture.opened_again().await;
    let mut connection = store.read().await.unwrap();
    assert_eq!(
        clients::find(&mut connection, &tenant(), &portal())
            .await
            .unwrap(),
        Some(client_record())
    );
    drop(connection);
    store.close().await;
}

async fn a_migration_that_was_edited_is_refused(fixture: Fixture) {
    fixture
        .sql("UPDATE schema_version SET checksum = 'edited' WHERE version = 1")
        .await;
    assert!(matches!(
        fixture.reopen().await,
        Err(StoreError::ChangedMigration { version: 1 })
    ));
}

async fn a_closed_store_takes_nothing(fixture: Fixture) {
    populate(&fixture.store).await;
    fixture.store.close().await;
    assert!(
        fixture
            .store
            .write(|_| Box::pin(async { Ok(()) }))
            .await
            .is_err()
    );
}

#[test]
fn an_address_that_is_none_is_refused_without_repeating_it() {
    for (address, fits) in [
        ("sqlite:state.db", true),
        ("postgres://user:secret@host/db", true),
        ("mysql://user:secret@host/db", false),
        ("sqlite:", false),
        ("state.db", false),
    ] {
        let parsed = address.parse::<StoreUrl>();
        assert_eq!(parsed.is_ok(), fits, "{address}");
        let shown = parsed.map_or_else(|error| error.to_string(), |url| format!("{url:?}"));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
