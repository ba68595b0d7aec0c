//! The durable outbox: written with its cause, taken by one worker at a time, settled once.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{
    SESSION, USER, client_record, event, grant, populate, portal, session, tag, tenant,
};
use countersign_base::{Bounded, Duration, GrantId, SessionId, UnixTime};
use countersign_oauth::{Change, GrantRecord, Session};
use countersign_store::tables::audit_outbox;
use countersign_store::tables::deliveries::{
    self, DEAD_KEPT_FOR, Listed, Queued, WAITING_OF_TENANT_MAX,
};
use countersign_store::tables::revocations::Revoked;
use countersign_store::{
    Delivery, DeliveryId, Destination, Judged, Lease, NewDelivery, Settled, Settlement, Store,
    StoreError, Sweep, Write,
};
use futures_util::future::join_all;
use serde_json::json;

behaviours! {
    a_delivery_is_written_with_its_cause_or_not_at_all,
    one_of_many_workers_takes_a_delivery,
    a_lease_that_ended_settles_nothing,
    what_failed_is_due_later_and_what_is_dead_is_kept_for_a_while,
    what_was_not_tried_is_given_back_as_if_it_had_not_been_taken,
    each_destination_has_its_turn_and_of_each_a_few_are_taken,
    as_many_wait_as_may_and_a_crowd_keeps_no_other_destination_out,
    one_cause_makes_one_delivery,
    lo_7_the_end_of_a_session_tells_the_clients_that_want_to_hear,
    one_of_many_revisions_of_a_client_sees_its_state,
}

fn new(number: u8) -> NewDelivery {
    NewDelivery::new(
        DeliveryId::from_bytes([number; 16]),
        "test",
        Bounded::parse("somewhere").unwrap(),
        &json!({"number": number}),
        NOW.plus(Duration::from_secs(3600)),
    )
    .unwrap()
}

async fn queue(store: &Store, number: u8) -> Result<(), StoreError> {
    let writes = vec![Write::Deliver(Box::new(new(number)))];
    store
        .change(&tenant(), writes, event(), NOW)
        .await
        .map(drop)
}

const fn lease(number: u8, until: UnixTime) -> Lease {
    Lease {
        token: [number; 16],
        until,
    }
}

fn later(seconds: u64) -> UnixTime {
    NOW.plus(Duration::from_secs(seconds))
}

async fn claim(store: &Store, number: u8, now: UnixTime) -> Vec<Delivery> {
    let lease = lease(number, now.plus(Duration::from_secs(60)));
    let (due, _) = store.due_destinations(None, 10, now).await.unwrap();
    store.claim_deliveries(due, lease, 10, now).await.unwrap()
}

async fn listed(store: &Store) -> Vec<Listed> {
    let mut connection = store.read().await.unwrap();
    deliveries::list(&mut connection, &tenant(), None, 100)
        .await
        .unwrap()
}

async fn events(store: &Store) -> i64 {
    let mut connection = store.read().await.unwrap();
    audit_outbox::waiting(&mut connection).await.unwrap()
}

async fn a_delivery_is_written_with_its_cause_or_not_at_all(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let twice = vec![
        Write::Deliver(Box::new(new(1))),
        Write::AddClient(Box::new(client_record())),
    ];
    let failed = store.change(&tenant(), twice, event(), NOW).await;
    assert!(
        matches!(failed, Err(StoreError::Conflict(..))),
        "{failed:?}"
    );
    assert_eq!(listed(store).await, []);
    queue(store, 1).await.unwrap();
    let rows = listed(store).await;
    let row = rows.first().unwrap();
    assert_eq!(
        (rows.len(), row.state.as_str(), row.attempts),
        (1, "waiting", 0)
    );
}

async fn one_of_many_workers_takes_a_delivery(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    for number in 0..5 {
        queue(store, number).await.unwrap();
    }
    let claims = join_all((0..20).map(|worker| {
        let store = store.clone();
        tokio::spawn(async move { claim(&store, worker, NOW).await })
    }));
    let mut taken: Vec<DeliveryId> = claims
        .await
        .into_iter()
        .flat_map(|claimed| claimed.unwrap())
        .map(|delivery| delivery.id)
        .collect();
    taken.sort_unstable();
    let expected: Vec<DeliveryId> = (0..5)
        .map(|number| DeliveryId::from_bytes([number; 16]))
        .collect();
    assert_eq!(taken, expected, "each once");
    assert_eq!(claim(store, 99, NOW).await, [], "all are leased");
    let again = claim(store, 99, later(61)).await;
    assert_eq!(again.len(), 5, "a worker that died gives them back");
    assert!(again.iter().all(|delivery| delivery.attempt == 2));
}

async fn a_lease_that_ended_settles_nothing(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    queue(store, 1).await.unwrap();
    let before = events(store).await;
    let slow = claim(store, 1, NOW).await.remove(0);
    let quick = claim(store, 2, later(61)).await.remove(0);
    let until = later(200);
    store
        .settle_delivery(slow, lease(1, until), Settlement::Delivered(event()))
        .await
        .unwrap();
    assert_eq!(
        (listed(store).await.len(), events(store).await),
        (1, before),
        "nothing happened"
    );
    store
        .settle_delivery(quick, lease(2, until), Settlement::Delivered(event()))
        .await
        .unwrap();
    assert_eq!(
        (listed(store).await.len(), events(store).await),
        (0, before + 1)
    );
}

async fn what_failed_is_due_later_and_what_is_dead_is_kept_for_a_while(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    queue(store, 1).await.unwrap();
    let first = claim(store, 1, NOW).await.remove(0);
    assert_eq!(
        (
            first.attempt,
            first.kind.as_str(),
            first.destination.as_str()
        ),
        (1, "test", "somewhere")
    );
    assert_eq!(first.record, r#"{"number":1}"#);
    store
        .settle_delivery(
            first,
            lease(1, NOW),
            Settlement::Later("status", later(100)),
        )
        .await
        .unwrap();
    assert_eq!(claim(store, 2, later(99)).await, []);
    let second = claim(store, 2, later(100)).await.remove(0);
    store
        .settle_delivery(second, lease(2, NOW), Settlement::Dead("status", event()))
        .await
        .unwrap();
    let rows = listed(store).await;
    let row = rows.first().unwrap();
    assert_eq!(
        (row.state.as_str(), row.attempts, row.reason.as_deref()),
        ("dead", 2, Some("status"))
    );
    assert_eq!(
        claim(store, 3, later(100_000)).await,
        [],
        "nobody tries the dead"
    );
    let sweep = *Sweep::ALL
        .iter()
        .find(|sweep| sweep.table() == "deliveries")
        .unwrap();
    let kept_until = later(3600).plus(DEAD_KEPT_FOR);
    store.sweep(sweep, kept_until).await.unwrap();
    assert_eq!(listed(store).await.len(), 1);
    store
        .sweep(sweep, kept_until.plus(Duration::from_secs(1)))
        .await
        .unwrap();
    assert_eq!(listed(store).await, []);
}

async fn what_was_not_tried_is_given_back_as_if_it_had_not_been_taken(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    queue(store, 1).await.unwrap();
    for turn in 1..30 {
        let taken = claim(store, turn, later(u64::from(turn) * 100))
            .await
            .remove(0);
        assert_eq!(taken.attempt, 1, "nothing counts");
        let due = later((u64::from(turn) + 1) * 100);
        store
            .settle_delivery(taken, lease(turn, NOW), Settlement::Released(due))
            .await
            .unwrap();
        assert_eq!(listed(store).await[0].attempts, 0);
        let early = later((u64::from(turn) + 1) * 100 - 1);
        assert_eq!(claim(store, 99, early).await, [], "until it is due");
    }
    // Whoever lost the lease gives nothing back.
    let first = claim(store, 1, later(10_000)).await.remove(0);
    let second = claim(store, 2, later(10_061)).await.remove(0);
    assert_eq!((first.attempt, second.attempt), (1, 2));
    store
        .settle_delivery(first, lease(1, NOW), Settlement::Released(NOW))
        .await
        .unwrap();
    assert_eq!(listed(store).await[0].attempts, 2);
}

fn to(destination: &str, number: u8) -> Write {
    let new = NewDelivery::new(
        DeliveryId::of("to", &[destination.as_bytes(), &[number]]),
        "test",
        Bounded::parse(destination).unwrap(),
        &json!({}),
        later(3600),
    );
    Write::Deliver(Box::new(new.unwrap()))
}

async fn each_destination_has_its_turn_and_of_each_a_few_are_taken(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    // What waits for one destination has waited longest, and is much.
    let mut writes: Vec<Write> = (0..150).map(|number| to("crowded", number)).collect();
    store.change(&tenant(), writes, event(), NOW).await.unwrap();
    writes = vec![to("a", 0), to("z", 0)];
    store
        .change(&tenant(), writes, event(), later(1))
        .await
        .unwrap();
    let names = |due: &[Destination]| -> Vec<String> {
        due.iter()
            .map(|destination| destination.name.clone())
            .collect()
    };
    let (due, next) = store.due_destinations(None, 2, later(1)).await.unwrap();
    assert_eq!(names(&due), ["a", "crowded"]);
    let (rest, none) = store.due_destinations(next, 2, later(1)).await.unwrap();
    assert_eq!((names(&rest), none), (vec!["z".to_owned()], None));
    let (due_before, _) = store.due_destinations(None, 10, NOW).await.unwrap();
    assert_eq!(names(&due_before), ["crowded"], "only what is due");
    let all = [due, rest].concat();
    let taken = store
        .claim_deliveries(all, lease(1, later(60)), 4, later(1))
        .await
        .unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for delivery in taken {
        *counts.entry(delivery.destination).or_insert(0) += 1;
    }
    let expected = [("a", 1), ("crowded", 4), ("z", 1)].map(|(name, n)| (name.to_owned(), n));
    assert_eq!(counts, expected.into());
}

/// Fills the outbox of the tenant: `full-0` to `full-19` with 5,000 rows each.
async fn fill(fixture: &Fixture) {
    let statement = |id: &str| -> &'static str {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {WAITING_OF_TENANT_MAX}) \
             INSERT INTO deliveries (tenant, delivery_id, kind, destination, record, state, attempts, due_at, created_at, deadline_at, kept_until) \
             SELECT 'demo', {id}, 'test', 'full-' || (i % 20), '{{}}', 'waiting', 0, 1800000000, 1800000000, 1800003600, 1900000000 FROM n"
        )
        .leak()
    };
    let sqlite = statement("CAST(substr('0000000000000000' || i, -16) AS BLOB)");
    let postgres = statement("decode(lpad(i::TEXT, 32, '0'), 'hex')");
    fixture.sql_of(sqlite, postgres).await;
}

async fn add(store: &Store, destination: &str) -> Queued {
    let new = NewDelivery::new(
        DeliveryId::of("one more", &[destination.as_bytes()]),
        "test",
        Bounded::parse(destination).unwrap(),
        &json!({}),
        later(3600),
    )
    .unwrap();
    store
        .write(move |tx| Box::pin(async move { deliveries::add(tx, &tenant(), &new, NOW).await }))
        .await
        .unwrap()
}

async fn as_many_wait_as_may_and_a_crowd_keeps_no_other_destination_out(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    fill(&fixture).await;
    assert_eq!(add(store, "full-0").await, Queued::Full, "of the tenant");
    assert_eq!(
        add(store, "elsewhere").await,
        Queued::Waits,
        "few wait there"
    );
    fixture
        .sql("DELETE FROM deliveries WHERE destination IN ('full-1', 'full-2')")
        .await;
    assert_eq!(add(store, "full-0").await, Queued::Waits, "the twin");
    fixture
        .sql("UPDATE deliveries SET destination = 'full-4' WHERE destination = 'full-3'")
        .await;
    assert_eq!(
        add(store, "full-4").await,
        Queued::Full,
        "of the destination"
    );
    assert_eq!(add(store, "full-5").await, Queued::Waits, "the twin");
}

async fn one_cause_makes_one_delivery(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    queue(store, 1).await.unwrap();
    queue(store, 1).await.unwrap();
    assert_eq!(listed(store).await.len(), 1);
}

async fn lo_7_the_end_of_a_session_tells_the_clients_that_want_to_hear(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let mut record = client_record();
    let earlier = SessionId::from_u64(7);
    let of_earlier = Session {
        id: earlier,
        ..session()
    };
    let granted = |id: u64, session| {
        let granted = GrantRecord {
            id: GrantId::from_u64(id),
            session,
            ..grant()
        };
        Change::GrantCreated(granted).into()
    };
    let begin = vec![
        Write::AddSession(tag(77), Box::new(of_earlier)),
        granted(7, earlier),
        granted(8, SESSION),
    ];
    store.change(&tenant(), begin, event(), NOW).await.unwrap();
    let end = async |session| {
        let writes = vec![Write::EndSession(session)];
        store.change(&tenant(), writes, event(), NOW).await.unwrap();
    };
    end(earlier).await;
    assert_eq!(listed(store).await, [], "the client does not want to hear");
    record.logout.backchannel_uri = Some("https://portal.example/logout".parse().unwrap());
    let put = vec![Write::PutClient(Box::new(record))];
    store.change(&tenant(), put, event(), NOW).await.unwrap();
    end(SESSION).await;
    let rows = listed(store).await;
    assert_eq!(rows.len(), 1);
    let row = rows.first().unwrap();
    assert_eq!(
        (row.kind.as_str(), row.destination.as_str()),
        ("backchannel_logout", "portal")
    );
    end(SESSION).await;
    let revoke = vec![Write::Revoke(Revoked::User(USER))];
    store
        .change(&tenant(), revoke, event(), later(1))
        .await
        .unwrap();
    assert_eq!(listed(store).await.len(), 1, "a session ends once");
}

async fn one_of_many_revisions_of_a_client_sees_its_state(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let revisions = join_all((0..20).map(|number: u8| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .revise_client(&tenant(), &portal(), NOW, move |found| {
                    let mut record = found.unwrap();
                    if !record.registration.token.is_empty() {
                        return Judged::Refuse { error: () };
                    }
                    record.registration.token = vec![number];
                    Judged::Commit {
                        permit: (),
                        writes: vec![Write::PutClient(Box::new(record))],
                        event: event(),
                    }
                })
                .await
                .unwrap()
        })
    }));
    let permitted = revisions
        .await
        .into_iter()
        .filter(|settled| matches!(settled, Ok(Settled::Permitted(_))))
        .count();
    assert_eq!(permitted, 1);
}
