//! Everybody who wants to hear of a logout is told, however many they are, a bounded number in each transaction.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{SESSION, USER, client_record, event, grant, populate, session, tenant};
use countersign_base::{ClientId, GrantId, SessionId};
use countersign_crypto::mac::MacKey;
use countersign_oauth::{Change, ClientRecord, GrantRecord, Session};
use countersign_store::tables::revocations::Revoked;
use countersign_store::tables::{deliveries, sessions};
use countersign_store::{DeliveryId, Store, Told, Write};
use std::collections::BTreeSet;

behaviours! {
    lo_7_two_hundred_clients_of_a_session_are_all_told_whatever_crashes,
    lo_7_two_hundred_sessions_of_a_person_are_all_told_of,
    lo_7_what_ran_out_before_is_news_to_nobody,
    lo_7_one_that_ran_out_before_it_is_ended_is_news_to_nobody,
    lo_7_a_client_that_cannot_be_read_keeps_no_other_waiting,
}

/// What one transaction tells at most.
const STEP_MAX: usize = 64;

fn hearing(number: u64) -> ClientRecord {
    let mut record = ClientRecord {
        id: client_of(number),
        ..client_record()
    };
    record.logout.backchannel_uri = Some("https://portal.example/logout".parse().unwrap());
    record
}

fn client_of(number: u64) -> ClientId {
    format!("client-{number}").parse().unwrap()
}

fn granted(id: u64, client: ClientId, session: SessionId) -> Write {
    let granted = GrantRecord {
        id: GrantId::from_u64(id),
        client,
        session,
        ..grant()
    };
    Change::GrantCreated(granted).into()
}

fn signed_in(number: u64, expires_after: u64) -> Write {
    let key = MacKey::new(countersign_base::Secret::new([7; 32]));
    let handle = key.tag("a cookie", &[&number.to_be_bytes()]);
    let began = Session {
        id: SessionId::from_u64(number),
        expires: NOW.plus(countersign_base::Duration::from_secs(expires_after)),
        ..session()
    };
    Write::AddSession(handle, Box::new(began))
}

async fn change(store: &Store, writes: Vec<Write>) {
    store.change(&tenant(), writes, event(), NOW).await.unwrap();
}

async fn waiting(store: &Store) -> BTreeSet<(DeliveryId, String)> {
    let mut connection = store.read().await.unwrap();
    deliveries::list(&mut connection, &tenant(), None, 500)
        .await
        .unwrap()
        .into_iter()
        .map(|row| (row.id, row.destination))
        .collect()
}

/// Goes on until nobody is left; every step is another process.
async fn tell_all(fixture: &Fixture) -> Vec<usize> {
    let mut steps = vec![waiting(&fixture.store).await.len()];
    while fixture.opened_again().await.tell_logouts().await.unwrap() == Told::More {
        steps.push(waiting(&fixture.store).await.len());
        assert!(steps.len() < 20, "it ends: {steps:?}");
    }
    steps
}

fn assert_bounded(steps: &[usize]) {
    let first = steps.first().copied().unwrap_or_default();
    let grows = steps.windows(2).map(|pair| pair[1] - pair[0]);
    let most = grows.max().unwrap_or_default().max(first);
    assert_eq!(most, STEP_MAX, "{steps:?}");
}

async fn lo_7_two_hundred_clients_of_a_session_are_all_told_whatever_crashes(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    for number in 0..200 {
        let add = Write::AddClient(Box::new(hearing(number)));
        change(
            store,
            vec![add, granted(number, client_of(number), SESSION)],
        )
        .await;
    }
    change(store, vec![Write::EndSession(SESSION)]).await;
    assert_bounded(&tell_all(&fixture).await);
    let told: BTreeSet<String> = waiting(store)
        .await
        .into_iter()
        .map(|(_, destination)| destination)
        .collect();
    let expected: BTreeSet<String> = (0..200).map(|number| format!("client-{number}")).collect();
    assert_eq!(told, expected);
    change(store, vec![Write::EndSession(SESSION)]).await;
    assert_eq!(
        tell_all(&fixture).await,
        [200],
        "a session that had ended tells nobody again"
    );
}

async fn lo_7_two_hundred_sessions_of_a_person_are_all_told_of(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    change(store, vec![Write::AddClient(Box::new(hearing(0)))]).await;
    for number in 0..200 {
        let granted = granted(number, client_of(0), SessionId::from_u64(number));
        change(store, vec![signed_in(number, 3600), granted]).await;
    }
    change(store, vec![Write::Revoke(Revoked::User(USER))]).await;
    assert_bounded(&tell_all(&fixture).await);
    assert_eq!(waiting(store).await.len(), 200, "each once");
}

async fn lo_7_what_ran_out_before_is_news_to_nobody(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    change(store, vec![Write::AddClient(Box::new(hearing(0)))]).await;
    for (number, expires_after) in [(1, 0), (2, 1)] {
        let granted = granted(number, client_of(0), SessionId::from_u64(number));
        change(store, vec![signed_in(number, expires_after), granted]).await;
    }
    change(store, vec![Write::Revoke(Revoked::User(USER))]).await;
    assert_eq!(tell_all(&fixture).await, [1]);
}

async fn lo_7_a_client_that_cannot_be_read_keeps_no_other_waiting(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    for number in 0..3 {
        let add = Write::AddClient(Box::new(hearing(number)));
        change(
            store,
            vec![add, granted(number, client_of(number), SESSION)],
        )
        .await;
    }
    fixture
        .sql("UPDATE clients SET record = '{' WHERE client = 'client-1'")
        .await;
    change(store, vec![Write::EndSession(SESSION)]).await;
    tell_all(&fixture).await;
    let told: Vec<String> = waiting(store).await.into_iter().map(|row| row.1).collect();
    let told: BTreeSet<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(told, ["client-0", "client-2"].into());
}

async fn lo_7_one_that_ran_out_before_it_is_ended_is_news_to_nobody(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    change(store, vec![Write::AddClient(Box::new(hearing(0)))]).await;
    for (number, expires_after, told) in [(1, 0, 0), (2, 1, 1)] {
        let session = SessionId::from_u64(number);
        let granted = granted(number, client_of(0), session);
        change(store, vec![signed_in(number, expires_after), granted]).await;
        change(store, vec![Write::EndSession(session)]).await;
        assert_eq!(tell_all(&fixture).await, [told]);
        let mut connection = store.read().await.unwrap();
        let found = sessions::find(&mut connection, &tenant(), session).await;
        assert!(
            found.unwrap().unwrap().ended.is_some(),
            "ended all the same"
        );
    }
}
