//! Client assertions: once, also in parallel, also after a restart, and nobody's flood touches another's.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{AssertingClient, event, populate, portal, tenant};
use countersign_store::tables::assertions;
use countersign_store::{AssertionReplayed, Judged, Presented, Settled, Store};
use futures_util::future::join_all;
use std::sync::Arc;

behaviours! {
    a84_r45_one_of_200_parallel_uses_of_an_assertion_succeeds,
    ca_11_an_assertion_is_accepted_once_also_after_a_restart,
    a35_a_flood_of_assertions_does_not_make_an_old_one_acceptable,
    an_assertion_of_a_refused_request_is_spent,
    an_assertion_of_a_failed_transaction_is_not_spent,
}

async fn request(
    store: &Store,
    client: &AssertingClient,
    jti: &str,
) -> Result<(), AssertionReplayed> {
    let commit = |_, _| Judged::<(), ()>::Commit {
        permit: (),
        writes: Vec::new(),
        event: event(),
    };
    store
        .issue(client.authenticate(jti), Presented::Nothing, NOW, commit)
        .await
        .unwrap()
        .map(|settled| {
            assert!(matches!(settled, Settled::Permitted(_)));
        })
}

async fn a84_r45_one_of_200_parallel_uses_of_an_assertion_succeeds(fixture: Fixture) {
    populate(&fixture.store).await;
    let client = Arc::new(AssertingClient::new());
    let answers = join_all((0..200).map(|_| {
        let (store, client) = (fixture.store.clone(), Arc::clone(&client));
        tokio::spawn(async move { request(&store, &client, "one").await })
    }));
    let answers = answers.await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| matches!(answer, Ok(Ok(()))))
            .count(),
        1
    );
    assert_eq!(
        answers
            .iter()
            .filter(|answer| matches!(answer, Ok(Err(AssertionReplayed))))
            .count(),
        199
    );
}

async fn ca_11_an_assertion_is_accepted_once_also_after_a_restart(fixture: Fixture) {
    populate(&fixture.store).await;
    let client = AssertingClient::new();
    assert_eq!(request(&fixture.store, &client, "one").await, Ok(()));
    assert_eq!(
        request(&fixture.store, &client, "one").await,
        Err(AssertionReplayed)
    );
    // Twin: another `jti`.
    assert_eq!(request(&fixture.store, &client, "two").await, Ok(()));
    // What one endpoint took, no other accepts.
    let elsewhere = fixture
        .store
        .spend_assertion(client.authenticate("two"))
        .await
        .unwrap();
    assert!(elsewhere.is_err());
    assert_eq!(
        fixture
            .store
            .spend_assertion(client.authenticate("three"))
            .await
            .unwrap()
            .unwrap()
            .id(),
        &portal()
    );
    fixture.store.close().await;
    let restarted = fixture.opened_again().await;
    assert_eq!(
        request(&restarted, &client, "one").await,
        Err(AssertionReplayed)
    );
    assert_eq!(
        request(&restarted, &client, "three").await,
        Err(AssertionReplayed)
    );
    assert_eq!(request(&restarted, &client, "four").await, Ok(()));
    restarted.close().await;
}

async fn a35_a_flood_of_assertions_does_not_make_an_old_one_acceptable(fixture: Fixture) {
    populate(&fixture.store).await;
    let client = AssertingClient::new();
    assert_eq!(request(&fixture.store, &client, "old").await, Ok(()));
    let flooding = tenant();
    fixture
        .store
        .write(move |tx| {
            Box::pin(async move {
                for number in 0..5_000_u32 {
                    let mut jti = [0; 32];
                    jti[..4].copy_from_slice(&number.to_be_bytes());
                    let _fresh = assertions::spend(tx, &flooding, &portal(), &jti, NOW).await?;
                }
                Ok(())
            })
        })
        .await
        .unwrap();
    assert_eq!(
        request(&fixture.store, &client, "old").await,
        Err(AssertionReplayed)
    );
    assert_eq!(request(&fixture.store, &client, "new").await, Ok(()));
}

async fn an_assertion_of_a_refused_request_is_spent(fixture: Fixture) {
    populate(&fixture.store).await;
    let client = AssertingClient::new();
    let refuse = |_, _| Judged::<(), _>::Refuse { error: "no" };
    let refused = fixture
        .store
        .issue(client.authenticate("one"), Presented::Nothing, NOW, refuse)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(refused, Settled::RefusedUnrecorded("no")));
    assert_eq!(
        request(&fixture.store, &client, "one").await,
        Err(AssertionReplayed)
    );
}

async fn an_assertion_of_a_failed_transaction_is_not_spent(fixture: Fixture) {
    populate(&fixture.store).await;
    let client = AssertingClient::new();
    let faulty = |_, _| -> Judged<(), ()> { panic!("a fault of the judge") };
    assert!(
        fixture
            .store
            .issue(client.authenticate("one"), Presented::Nothing, NOW, faulty)
            .await
            .is_err()
    );
    assert_eq!(request(&fixture.store, &client, "one").await, Ok(()));
}
