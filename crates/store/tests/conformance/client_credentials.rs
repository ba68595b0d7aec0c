//! A client that speaks for itself: judged by what is committed, recorded before it is told, and no transaction in between.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{
    AssertingClient, GRANT, client_record, event, populate, portal, public_client, tenant,
};
use countersign_audit::Origin;
use countersign_base::{Clock, UnixMillis};
use countersign_crypto::jose::Algorithm;
use countersign_crypto::signing::{SigningKey, generate_pkcs8};
use countersign_oauth::ClientRecord;
use countersign_store::audit::{AuditLog, AuditOptions, AuditTask, NoOutbox, tail};
use countersign_store::tables::revocations::{self, CLIENT_READ_BEFORE, Revoked};
use countersign_store::{Judged, Settled, Store, StoreError, Write};
use std::path::Path;
use std::sync::Arc;

behaviours! {
    r42_a_client_is_judged_as_it_is_committed_now,
    what_is_permitted_stands_in_the_log,
    without_the_log_nothing_is_permitted,
    r42_the_end_of_a_client_covers_tokens_of_whoever_read_it_just_before,
}

fn open_log(directory: &Path) -> (AuditLog, AuditTask) {
    let pkcs8 = generate_pkcs8(Algorithm::EdDsa).unwrap();
    let signer = SigningKey::from_pkcs8(Algorithm::EdDsa, "log".parse().unwrap(), &pkcs8).unwrap();
    let origin: Origin = "test.example".parse().unwrap();
    let clock = Clock::from_fn(|| UnixMillis(NOW.0 * 1000));
    AuditLog::open(
        directory,
        &origin,
        signer,
        &clock,
        Arc::new(NoOutbox),
        AuditOptions::default(),
    )
    .unwrap()
}

/// Asks as the client of the sample does; permitted is who is enabled.
async fn ask(store: &Store, log: &AuditLog) -> Result<Settled<(), ()>, StoreError> {
    let Ok(client) = public_client().without_entries() else {
        panic!("a public client has nothing to spend")
    };
    store
        .issue_to_client(client, log, NOW, |_, loaded| match loaded.standing.client {
            Some(client) if client.enabled => Judged::Commit {
                permit: (),
                writes: Vec::new(),
                event: event(),
            },
            _ => Judged::Refuse { error: () },
        })
        .await
}

async fn put(store: &Store, record: ClientRecord) {
    let writes = vec![Write::PutClient(Box::new(record))];
    store.change(&tenant(), writes, event(), NOW).await.unwrap();
}

async fn r42_a_client_is_judged_as_it_is_committed_now(fixture: Fixture) {
    let directory = tempfile::tempdir().unwrap();
    let (log, task) = open_log(directory.path());
    populate(&fixture.store).await;
    let other_node = fixture.opened_again().await;
    for enabled in [true, false, true] {
        // Whoever changes it, this node sees it at once, though it has parsed the record before.
        put(
            &other_node,
            ClientRecord {
                enabled,
                ..client_record()
            },
        )
        .await;
        let settled = ask(&fixture.store, &log).await.unwrap();
        assert_eq!(matches!(settled, Settled::Permitted(_)), enabled);
        assert_eq!(matches!(settled, Settled::RefusedUnrecorded(())), !enabled);
    }
    other_node.close().await;
    task.close().await.unwrap();
}

async fn what_is_permitted_stands_in_the_log(fixture: Fixture) {
    let directory = tempfile::tempdir().unwrap();
    let (log, task) = open_log(directory.path());
    populate(&fixture.store).await;
    let Settled::Permitted(permit) = ask(&fixture.store, &log).await.unwrap() else {
        panic!("the client of the sample is enabled")
    };
    task.close().await.unwrap();
    let (records, _) = tail(log.directory(), 0).unwrap();
    let ids: Vec<_> = records.iter().map(|(_, record)| record.id).collect();
    assert_eq!(ids, [permit.receipt()]);
}

async fn without_the_log_nothing_is_permitted(fixture: Fixture) {
    let directory = tempfile::tempdir().unwrap();
    let (log, task) = open_log(directory.path());
    populate(&fixture.store).await;
    assert!(ask(&fixture.store, &log).await.is_ok());
    task.close().await.unwrap();
    assert!(matches!(
        ask(&fixture.store, &log).await,
        Err(StoreError::Unrecorded(_))
    ));
}

async fn r42_the_end_of_a_client_covers_tokens_of_whoever_read_it_just_before(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let ended = vec![
        Write::RemoveClient(portal()),
        Write::Revoke(Revoked::Grant(GRANT)),
    ];
    store.change(&tenant(), ended, event(), NOW).await.unwrap();
    let mut connection = store.read().await.unwrap();
    let rows = revocations::after(&mut connection, 0, 100, NOW)
        .await
        .unwrap();
    let found: Vec<_> = rows
        .iter()
        .map(|row| (&row.revoked, row.not_before))
        .collect();
    assert_eq!(
        found,
        [
            (&Revoked::Client(portal()), NOW.plus(CLIENT_READ_BEFORE)),
            (&Revoked::Grant(GRANT), NOW)
        ]
    );
}

#[test]
fn a84_a_client_with_something_to_spend_is_not_let_past_the_transaction() {
    let client = AssertingClient::new();
    assert!(client.authenticate("one").without_entries().is_err());
    let Ok(public) = public_client().without_entries() else {
        panic!("a public client has nothing to spend")
    };
    assert_eq!(public.id(), &portal());
}
