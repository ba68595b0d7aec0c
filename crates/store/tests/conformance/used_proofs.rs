//! Proofs and signed requests: once, at however many processes, and a signed request also after a restart.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{AssertingClient, other_tenant, populate, tenant};
use countersign_authn::replay::{ReplayLimits, Replayed};
use countersign_base::Duration;
use countersign_store::{ReplayMemory, Store};
use futures_util::future::join_all;
use std::sync::Arc;

behaviours! {
    a84_one_of_200_parallel_uses_of_a_signed_request_succeeds,
    a_signed_request_is_refused_after_a_restart_too,
    a_proof_is_spent_in_memory_where_nobody_shares_the_database,
}

/// A process on the database: its connections and its own memory.
#[derive(Clone)]
struct Process {
    store: Store,
    memory: Arc<ReplayMemory>,
}

impl Process {
    fn on(store: Store) -> Self {
        let memory = Arc::new(ReplayMemory::new(ReplayLimits::default()));
        Self { store, memory }
    }

    async fn prove(&self, client: &AssertingClient, jti: &str) -> Result<(), Replayed> {
        let unspent = client.authenticate(jti);
        self.store
            .spend_proof(&self.memory, &tenant(), unspent, NOW)
            .await
            .unwrap()
            .map(drop)
    }
}

async fn request(store: &Store, client: &AssertingClient, jti: &str) -> Result<(), Replayed> {
    store
        .spend_signed_request(&tenant(), client.authenticate(jti))
        .await
        .unwrap()
        .map(drop)
}

async fn a84_one_of_200_parallel_uses_of_a_signed_request_succeeds(fixture: Fixture) {
    populate(&fixture.store).await;
    let client = Arc::new(AssertingClient::new());
    let answers = join_all((0..200).map(|_| {
        let (store, client) = (fixture.store.clone(), Arc::clone(&client));
        tokio::spawn(async move { request(&store, &client, "one").await })
    }));
    let good = answers.await.into_iter().map(Result::unwrap);
    assert_eq!(good.filter(Result::is_ok).count(), 1);
    assert!(request(&fixture.store, &client, "two").await.is_ok());
}

async fn a_signed_request_is_refused_after_a_restart_too(fixture: Fixture) {
    let client = AssertingClient::new();
    assert!(request(&fixture.store, &client, "one").await.is_ok());
    let again = fixture.opened_again().await;
    assert!(matches!(
        request(&again, &client, "one").await,
        Err(Replayed::AlreadyUsed(_))
    ));
    // The same at another tenant is another request.
    let elsewhere = other_tenant();
    let spent = again.spend_signed_request(&elsewhere, client.authenticate("one"));
    assert!(spent.await.unwrap().is_ok());
    again.close().await;
}

async fn a_proof_is_spent_in_memory_where_nobody_shares_the_database(fixture: Fixture) {
    let client = AssertingClient::new();
    let process = Process::on(fixture.store.clone());
    assert!(process.prove(&client, "one").await.is_ok());
    assert!(process.prove(&client, "one").await.is_err());
    assert!(process.prove(&client, "two").await.is_ok());
    // A row leaves when the proof is too old to be accepted anyway.
    let later = NOW.plus(Duration::from_secs(24 * 3600));
    for sweep in countersign_store::Sweep::ALL {
        let _swept = fixture.store.sweep(*sweep, later).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dpop_20_a84_one_of_200_parallel_uses_of_a_proof_at_two_processes_succeeds() {
    let Some(fixture) = Fixture::postgres().await else {
        return;
    };
    let client = Arc::new(AssertingClient::new());
    let processes = [
        Process::on(fixture.opened_again().await),
        Process::on(fixture.opened_again().await),
    ];
    let answers = join_all((0..200).map(|at| {
        let (process, client) = (processes[at % 2].clone(), Arc::clone(&client));
        tokio::spawn(async move { process.prove(&client, "one").await })
    }));
    let good = answers.await.into_iter().map(Result::unwrap);
    assert_eq!(good.filter(Result::is_ok).count(), 1);
    // The twin: a fresh proof is taken by either, and then by neither.
    assert!(processes[0].prove(&client, "two").await.is_ok());
    for process in &processes {
        assert!(process.prove(&client, "two").await.is_err());
        process.store.close().await;
    }
    fixture.remove().await;
}
