//! Expiry in small steps, and only of what has expired.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{portal, tenant};
use countersign_base::{Duration, UnixTime};
use countersign_store::tables::assertions;
use countersign_store::{Store, Sweep, Swept};

behaviours! {
    a_sweep_deletes_in_steps_and_spares_what_lives,
    every_sweep_runs_on_an_empty_database,
    one_clients_expired_assertions_go_alone,
}

async fn a_sweep_deletes_in_steps_and_spares_what_lives(fixture: Fixture) {
    let store = &fixture.store;
    add_assertions(store, 1_200, NOW).await;
    add_assertions(store, 7, NOW.plus(Duration::from_secs(3600))).await;
    let of_assertions = *Sweep::ALL
        .iter()
        .find(|sweep| sweep.table() == "assertions")
        .unwrap();
    let later = NOW.plus(Duration::from_secs(61));
    let mut steps = 1;
    while store.sweep(of_assertions, later).await.unwrap() == Swept::More {
        steps += 1;
    }
    assert_eq!(steps, 3, "1,200 rows in steps of 500");
    let mut connection = store.read().await.unwrap();
    assert_eq!(
        assertions::count(&mut connection, &tenant(), &portal())
            .await
            .unwrap(),
        7
    );
}

async fn add_assertions(store: &Store, count: u32, expires: UnixTime) {
    let work = async move |tx: &mut countersign_store::Transaction| {
        for number in 0..count {
            let mut jti = [0; 32];
            jti[..4].copy_from_slice(&number.to_be_bytes());
            jti[4..12].copy_from_slice(&expires.0.to_be_bytes());
            let _fresh = assertions::spend(tx, &tenant(), &portal(), &jti, expires).await?;
        }
        Ok(())
    };
    store
        .write(move |tx| Box::pin(async move { work(tx).await }))
        .await
        .unwrap();
}

async fn every_sweep_runs_on_an_empty_database(fixture: Fixture) {
    for sweep in Sweep::ALL {
        let swept = fixture.store.sweep(*sweep, NOW).await.unwrap();
        assert_eq!(swept, Swept::Clean, "{}", sweep.table());
    }
    fixture.store.sweep_all(NOW).await.unwrap();
}

async fn one_clients_expired_assertions_go_alone(fixture: Fixture) {
    let store = &fixture.store;
    add_assertions(store, 5, NOW).await;
    add_assertions(store, 3, NOW.plus(Duration::from_secs(60))).await;
    let sweep = |client: &'static str| {
        let later = NOW.plus(Duration::from_secs(1));
        let client = client.parse().unwrap();
        store.write(move |tx| {
            Box::pin(async move { assertions::sweep_client(tx, &tenant(), &client, later).await })
        })
    };
    assert_eq!(
        sweep("billing").await.unwrap(),
        0,
        "another client's are left alone"
    );
    assert_eq!(sweep("portal").await.unwrap(), 5);
    let mut connection = store.read().await.unwrap();
    let left = assertions::count(&mut connection, &tenant(), &portal()).await;
    assert_eq!(left.unwrap(), 3);
}
