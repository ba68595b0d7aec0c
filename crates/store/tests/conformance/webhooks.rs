//! Webhooks: accepted with all they go to or not at all, taken by one worker at a time, settled once, received once.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{event, tenant};
use countersign_audit::Record;
use countersign_base::{
    Bounded, Duration, EndpointId, EventPattern, MessageId, PartnerName, SourceName, UnixTime,
    WebhookSecretId,
};
use countersign_store::tables::webhook_deliveries::Taking;
use countersign_store::tables::webhook_endpoints::{
    self as endpoints, DisabledBecause, EndpointRecord, EndpointSwitch, EndpointTarget,
    WebhookOrder, WebhookPayload, WebhookSigning,
};
use countersign_store::tables::webhook_event_types::{self as event_types, EventTypeRecord};
use countersign_store::tables::webhook_messages::MessagesOf;
use countersign_store::tables::webhook_secrets::{self as secrets, NewWebhookSecret, SecretKind};
use countersign_store::tables::{audit_outbox, webhook_deliveries, webhook_messages};
use countersign_store::webhooks::{
    Accepted, AcceptedFor, Addressee, Before, DeliveryState, FAN_OUT_MAX, Lane, ListedWebhook,
    NewEndpoint, NewMessage, NewReceipt, REPLAY_MAX, Receipt, ReceiptRecords, Received,
    Redelivered, Replay, Replayed, Replaying, TakenWebhook, WebhookDeliveryId, WebhookKept,
    WebhookMessage, WebhookOutcome, WebhookSettlement, WebhookWrite,
};
use countersign_store::{Lease, Store, StoreError, Sweep, Swept, Write};
use futures_util::future::join_all;
use std::collections::BTreeSet;

behaviours! {
    a_message_goes_to_every_endpoint_that_wants_it_and_to_no_other,
    the_same_key_is_the_same_message_and_nothing_else,
    a_message_that_too_many_want_is_not_accepted_at_all,
    a_message_for_one_endpoint_goes_there_once_and_nowhere_else,
    an_endpoint_says_why_it_is_disabled,
    what_waits_for_an_endpoint_is_listed_in_the_order_it_is_due,
    one_of_many_workers_takes_a_delivery,
    a_lease_that_ended_settles_nothing,
    what_a_process_of_before_had_taken_is_due_again_and_counts_for_nothing,
    what_failed_is_due_later_and_what_ended_is_kept_for_a_while,
    an_endpoint_with_much_takes_no_turn_from_the_others,
    an_endpoint_that_takes_nothing_is_told_from_one_that_takes_something,
    what_waits_for_a_disabled_endpoint_waits_and_what_waits_for_a_removed_one_goes,
    a_message_stays_as_long_as_a_delivery_of_it,
    what_came_in_is_taken_once_also_after_a_restart,
    what_is_recorded_of_what_came_in_is_what_was_found,
    what_ended_is_brought_back_one_or_many,
    a_replay_in_parts_comes_to_its_end,
    a_secret_overlaps_with_those_before_it,
    event_types_have_versions,
    who_waits_for_webhooks_is_woken,
    more_may_not_wait_than_may,
}

pub(crate) fn id(number: u16) -> [u8; 16] {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    id
}

pub(crate) fn endpoint(number: u16) -> EndpointId {
    EndpointId::from_bytes(id(number))
}

pub(crate) fn later(seconds: u64) -> UnixTime {
    NOW.plus(Duration::from_secs(seconds))
}

pub(crate) fn record(order: WebhookOrder) -> EndpointRecord {
    EndpointRecord {
        url: "https://hooks.example/in".parse().unwrap(),
        description: None,
        signing: WebhookSigning::V1,
        payload: WebhookPayload::Full,
        encryption: None,
        order,
        rate: None,
        concurrency: 10,
        retries: Bounded::parse("standard").unwrap(),
        client_certificate: false,
        ca: None,
        disabled: None,
    }
}

fn patterns(patterns: &[&str]) -> BTreeSet<EventPattern> {
    patterns
        .iter()
        .map(|pattern| pattern.parse().unwrap())
        .collect()
}

const ASKED: EndpointSwitch = EndpointSwitch::Disabled(DisabledBecause::Asked);

fn disabled(number: u16) -> WebhookWrite {
    WebhookWrite::SwitchEndpoint(endpoint(number), ASKED)
}

fn secret(number: u16) -> NewWebhookSecret {
    NewWebhookSecret {
        id: WebhookSecretId::from_bytes(id(number)),
        kind: SecretKind::Hmac,
        sealed: vec![1, 2, 3],
    }
}

async fn write(store: &Store, write: WebhookWrite, now: UnixTime) -> Result<(), StoreError> {
    let writes = vec![Write::Webhook(Box::new(write))];
    store
        .change(&tenant(), writes, event(), now)
        .await
        .map(drop)
}

pub(crate) async fn add_endpoint(
    store: &Store,
    number: u16,
    partner: Option<&str>,
    wants: &[&str],
    order: WebhookOrder,
) {
    let new = NewEndpoint {
        id: endpoint(number),
        partner: partner.map(|partner| partner.parse().unwrap()),
        record: record(order),
        patterns: patterns(wants),
        secret: secret(number),
    };
    write(store, WebhookWrite::AddEndpoint(Box::new(new)), NOW)
        .await
        .unwrap();
}

pub(crate) fn message(number: u16, to: Addressee, created: UnixTime) -> NewMessage {
    NewMessage {
        message: WebhookMessage {
            tenant: tenant(),
            id: MessageId::from_bytes(id(number)),
            event_type: "invoice.paid".parse().unwrap(),
            version: 1,
            to,
            digest: [7; 32],
            sealed: number.to_be_bytes().to_vec(),
            created,
        },
        order_key: None,
    }
}

pub(crate) async fn accept(store: &Store, number: u16) -> Accepted {
    accept_at(store, number, NOW).await
}

pub(crate) async fn accept_at(store: &Store, number: u16, now: UnixTime) -> Accepted {
    let new = message(number, Addressee::Everyone, now);
    store.accept_message(new, event(), now).await.unwrap()
}

pub(crate) const fn lease(number: u8, until: UnixTime) -> Lease {
    Lease {
        token: [number; 16],
        until,
    }
}

/// Takes whatever is due, with a lease of a minute.
pub(crate) async fn claim(store: &Store, worker: u8, now: UnixTime) -> Vec<TakenWebhook> {
    let lanes = store.webhook_lanes(None, 100, now).await.unwrap().due;
    let lanes = lanes.into_iter().map(|lane| (lane, 100)).collect();
    let lease = lease(worker, now.plus(Duration::from_secs(60)));
    store.claim_webhooks(lanes, lease, now).await.unwrap()
}

pub(crate) async fn settle(
    store: &Store,
    taken: TakenWebhook,
    outcome: WebhookOutcome,
    now: UnixTime,
) -> usize {
    let settlement = WebhookSettlement {
        ticket: taken.ticket,
        outcome,
        event: Some(event()),
    };
    store
        .settle_webhooks(vec![settlement], WebhookKept::default(), now)
        .await
        .unwrap()
}

pub(crate) const DELIVERED: WebhookOutcome = WebhookOutcome::Delivered {
    status: 204,
    took_ms: 12,
};
pub(crate) const DEAD: WebhookOutcome = WebhookOutcome::Dead {
    reason: "gone",
    status: Some(410),
    took_ms: 5,
};

pub(crate) const fn retry(due: UnixTime) -> WebhookOutcome {
    WebhookOutcome::Later {
        due,
        reason: "status",
        status: Some(503),
        took_ms: 7,
    }
}

pub(crate) async fn listed(store: &Store, number: u16) -> Vec<ListedWebhook> {
    let mut connection = store.read().await.unwrap();
    webhook_deliveries::of_endpoint(&mut connection, &tenant(), endpoint(number), None, 100)
        .await
        .unwrap()
}

async fn events(store: &Store) -> i64 {
    let mut connection = store.read().await.unwrap();
    audit_outbox::waiting(&mut connection).await.unwrap()
}

fn numbers(taken: &[TakenWebhook]) -> Vec<u16> {
    let number = |taken: &TakenWebhook| {
        let bytes = taken.lane.endpoint.as_bytes();
        u16::from_be_bytes([bytes[0], bytes[1]])
    };
    let mut numbers: Vec<u16> = taken.iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

async fn sweep(store: &Store, table: &str, now: UnixTime) {
    for sweep in Sweep::ALL.iter().filter(|sweep| sweep.table() == table) {
        while store.sweep(*sweep, now).await.unwrap() == Swept::More {}
    }
}

async fn a_message_goes_to_every_endpoint_that_wants_it_and_to_no_other(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["invoice.paid", "*"], WebhookOrder::Any).await;
    add_endpoint(store, 2, Some("acme"), &["invoice.*"], WebhookOrder::Any).await;
    add_endpoint(store, 3, Some("acme"), &["invoice"], WebhookOrder::Any).await;
    add_endpoint(store, 4, Some("other"), &["*"], WebhookOrder::Any).await;
    add_endpoint(store, 5, Some("other"), &["order.*"], WebhookOrder::Any).await;
    add_endpoint(store, 6, Some("other"), &["*"], WebhookOrder::Any).await;
    let disable = disabled(6);
    write(store, disable, NOW).await.unwrap();

    assert_eq!(accept(store, 1).await, Accepted::New(3), "each once");
    let taken = claim(store, 1, NOW).await;
    assert_eq!(numbers(&taken), [1, 2, 4]);
    for taken in taken {
        assert_eq!((taken.attempt, taken.created), (1, NOW));
        assert_eq!(taken.message.sealed, 1_u16.to_be_bytes());
        assert_eq!(settle(store, taken, DELIVERED, NOW).await, 1);
    }
    let to: PartnerName = "acme".parse().unwrap();
    let new = message(2, Addressee::Partner(to), NOW);
    let accepted = store.accept_message(new, event(), NOW).await.unwrap();
    assert_eq!(accepted, Accepted::New(2), "the partner's and our own");
    assert_eq!(numbers(&claim(store, 2, NOW).await), [1, 2]);
    // What a receiver wants may change, and then the old is wanted no more.
    let put = WebhookWrite::PutEndpoint {
        id: endpoint(1),
        record: Box::new(record(WebhookOrder::Any)),
        patterns: patterns(&["order.paid"]),
    };
    write(store, put, NOW).await.unwrap();
    assert_eq!(accept(store, 3).await, Accepted::New(2));
    let mut connection = store.read().await.unwrap();
    let wants = endpoints::patterns(&mut connection, &tenant(), endpoint(1))
        .await
        .unwrap();
    assert_eq!(wants, patterns(&["order.paid"]));
    let (of_tenant, acme) = (tenant(), "acme".parse().unwrap());
    let of_acme = endpoints::list(
        &mut connection,
        &of_tenant,
        Some(&acme),
        Some(endpoint(2)),
        10,
    );
    let ids: Vec<EndpointId> = of_acme.await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(ids, [endpoint(3)]);
    let all = endpoints::list(&mut connection, &of_tenant, None, None, 10).await;
    assert_eq!(all.unwrap().len(), 6);
}

async fn the_same_key_is_the_same_message_and_nothing_else(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Any).await;
    let before = events(store).await;
    assert_eq!(accept(store, 1).await, Accepted::New(1));
    assert_eq!(accept(store, 1).await, Accepted::Again);
    let mut other = message(1, Addressee::Everyone, NOW);
    other.message.digest = [8; 32];
    let reused = store.accept_message(other, event(), NOW).await.unwrap();
    assert_eq!(reused, Accepted::KeyReused);
    assert_eq!(events(store).await, before + 3, "each is recorded");
    assert_eq!(claim(store, 1, NOW).await.len(), 1);
    // Of many at once one is new.
    let many = join_all((0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { accept(&store, 2).await })
    }));
    let many: Vec<Accepted> = many.await.into_iter().map(Result::unwrap).collect();
    let new = many.iter().filter(|one| **one == Accepted::New(1)).count();
    let again = many.iter().filter(|one| **one == Accepted::Again).count();
    assert_eq!((new, again), (1, 19));
}

async fn a_message_that_too_many_want_is_not_accepted_at_all(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, Some("first"), &["*"], WebhookOrder::Any).await;
    let rows = |table: &str, columns: &str, values: &str, id: &str| -> &'static str {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {FAN_OUT_MAX}) \
             INSERT INTO {table} (tenant, endpoint_id, {columns}) SELECT 'demo', {id}, {values} FROM n"
        )
        .leak()
    };
    let sqlite = "CAST(substr('0000000000000000' || i, -16) AS BLOB)";
    let postgres = "decode(lpad(i::TEXT, 32, '0'), 'hex')";
    for (table, columns, values) in [
        (
            "webhook_endpoints",
            "partner, state, ordering, record, created_at, changed_at",
            "'many', 'enabled', 'any', '{}', 0, 0",
        ),
        ("webhook_subscriptions", "pattern, partner", "'*', 'many'"),
    ] {
        let sqlite = rows(table, columns, values, sqlite);
        let postgres = rows(table, columns, values, postgres);
        fixture.sql_of(sqlite, postgres).await;
    }
    let new = || message(1, Addressee::Everyone, NOW);
    let refused = store.accept_message(new(), event(), NOW).await;
    assert!(
        matches!(refused, Err(StoreError::Full("webhook_subscriptions"))),
        "{refused:?}"
    );
    let mut connection = store.read().await.unwrap();
    let found = webhook_messages::find(&mut connection, &tenant(), new().message.id).await;
    assert_eq!(found.unwrap(), None);
    drop(connection);
    fixture
        .sql("DELETE FROM webhook_subscriptions WHERE partner = 'first'")
        .await;
    assert_eq!(accept(store, 1).await, Accepted::New(FAN_OUT_MAX.into()));
}

async fn one_of_many_workers_takes_a_delivery(fixture: Fixture) {
    let store = &fixture.store;
    for number in 1..=3 {
        add_endpoint(store, number, None, &["*"], WebhookOrder::Any).await;
    }
    for number in 0..5 {
        assert_eq!(accept(store, number).await, Accepted::New(3));
    }
    let claims = join_all((0..20).map(|worker| {
        let store = store.clone();
        tokio::spawn(async move { claim(&store, worker, NOW).await })
    }));
    let taken: Vec<TakenWebhook> = claims.await.into_iter().flat_map(Result::unwrap).collect();
    let which: BTreeSet<(EndpointId, MessageId)> = taken
        .iter()
        .map(|taken| (taken.lane.endpoint, taken.message.id))
        .collect();
    assert_eq!((taken.len(), which.len()), (15, 15), "each once");
    assert!(claim(store, 99, later(60 - 1)).await.is_empty(), "leased");
    let again = claim(store, 99, later(61)).await;
    assert_eq!(again.len(), 15, "a worker that died gives them back");
    assert!(again.iter().all(|taken| taken.attempt == 2));
}

async fn a_lease_that_ended_settles_nothing(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Any).await;
    let _new = accept(store, 1).await;
    let before = events(store).await;
    let slow = claim(store, 1, NOW).await.remove(0);
    let quick = claim(store, 2, later(61)).await.remove(0);
    assert_eq!(settle(store, slow, DELIVERED, later(62)).await, 0);
    assert_eq!(events(store).await, before, "nothing happened");
    assert_eq!(listed(store, 1).await[0].state, DeliveryState::Waiting);
    assert_eq!(settle(store, quick, DELIVERED, later(63)).await, 1);
    assert_eq!(events(store).await, before + 1);
    assert_eq!(listed(store, 1).await[0].state, DeliveryState::Delivered);
}

async fn what_a_process_of_before_had_taken_is_due_again_and_counts_for_nothing(fixture: Fixture) {
    let store = &fixture.store;
    for number in 1..=2 {
        add_endpoint(store, number, None, &["*"], WebhookOrder::Any).await;
    }
    for number in 1..=3 {
        let _new = accept(store, number).await;
    }
    let mut taken = claim(store, 1, NOW).await;
    assert_eq!(taken.len(), 6);
    // Of one of them the failure was noted before the process ended: it waits as its schedule says, and what ended has ended.
    settle(store, taken.remove(0), retry(later(30)), NOW).await;
    settle(store, taken.remove(0), DELIVERED, NOW).await;
    let again = fixture.opened_again().await;
    let given_back = again
        .give_back_webhooks(Duration::from_secs(60), later(1))
        .await
        .unwrap();
    let due = claim(&again, 2, later(1)).await;
    if again.is_shared() {
        // Another node may be sending it: it is taken when the lease ends.
        assert_eq!((given_back, due.len()), (0, 0));
        assert_eq!(claim(&again, 2, later(61)).await.len(), 5);
        again.close().await;
        return;
    }
    assert_eq!((given_back, due.len()), (4, 4));
    assert!(
        due.iter().all(|taken| taken.attempt == 1),
        "it was not tried, as far as anybody knows"
    );
    let waited = claim(&again, 2, later(30)).await;
    assert_eq!(waited.len(), 1);
    assert_eq!(waited[0].attempt, 2, "that one was");
    // Whoever comes back from the dead settles nothing.
    assert_eq!(settle(store, taken.remove(0), DELIVERED, later(2)).await, 0);
    let nothing = Duration::from_secs(1);
    let given_back = again.give_back_webhooks(nothing, later(31)).await;
    assert_eq!(
        given_back.unwrap(),
        0,
        "leases that hold for longer are others'"
    );
    again.close().await;
}

async fn what_failed_is_due_later_and_what_ended_is_kept_for_a_while(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Any).await;
    let _new = accept(store, 1).await;
    let first = claim(store, 1, NOW).await.remove(0);
    settle(store, first, retry(later(100)), NOW).await;
    let lanes = store.webhook_lanes(None, 10, later(99)).await.unwrap();
    assert_eq!((lanes.due, lanes.next_due), (vec![], Some(later(100))));
    let second = claim(store, 1, later(100)).await.remove(0);
    assert_eq!(second.attempt, 2);
    let released = WebhookOutcome::Released { due: later(200) };
    settle(store, second, released, later(100)).await;
    let third = claim(store, 1, later(200)).await.remove(0);
    assert_eq!(third.attempt, 2, "what was not tried does not count");
    settle(store, third, DEAD, later(201)).await;
    let row = listed(store, 1).await.remove(0);
    assert_eq!(
        (row.state, row.attempts, row.status, row.reason.as_deref()),
        (DeliveryState::Dead, 2, Some(410), Some("gone"))
    );
    let log: Vec<_> = row.log.iter().map(|one| (one.at, one.status)).collect();
    assert_eq!(log, [(NOW.0, Some(503)), (later(201).0, Some(410))]);
    let mut connection = store.read().await.unwrap();
    let dead =
        webhook_deliveries::dead_of_endpoint(&mut connection, &tenant(), endpoint(1), None, 10)
            .await;
    assert_eq!(dead.unwrap(), [row]);
    drop(connection);
    let kept_until = later(201).plus(WebhookKept::default().dead);
    sweep(store, "webhook_deliveries", kept_until).await;
    assert_eq!(listed(store, 1).await.len(), 1);
    let one_more = kept_until.plus(Duration::from_secs(1));
    sweep(store, "webhook_deliveries", one_more).await;
    assert_eq!(listed(store, 1).await, []);
}

async fn an_endpoint_that_takes_nothing_is_told_from_one_that_takes_something(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Any).await;
    let taking = async |from: u64, until: u64| {
        let mut connection = store.read().await.unwrap();
        let (of, between) = (tenant(), (later(from), later(until)));
        let asked = webhook_deliveries::taking(&mut connection, &of, endpoint(1), between);
        asked.await.unwrap()
    };
    let accept_at = async |number, seconds| {
        let new = message(number, Addressee::Everyone, later(seconds));
        let accepted = store.accept_message(new, event(), later(seconds)).await;
        assert_eq!(accepted.unwrap(), Accepted::New(1));
    };
    accept_at(1, 0).await;
    assert_eq!(taking(0, 1).await, Taking::Something, "nothing was tried");
    let first = claim(store, 1, NOW).await.remove(0);
    settle(store, first, retry(later(50)), NOW).await;
    assert_eq!(
        taking(0, 0).await,
        Taking::Something,
        "nothing that old was"
    );
    assert_eq!(taking(0, 1).await, Taking::Nothing);
    accept_at(2, 10).await;
    let second = claim(store, 1, later(10)).await.remove(0);
    settle(store, second, DELIVERED, later(11)).await;
    assert_eq!(
        taking(0, 20).await,
        Taking::Something,
        "it took something since, however long it has been quiet"
    );
    let third = claim(store, 1, later(50)).await.remove(0);
    settle(store, third, DEAD, later(50)).await;
    assert_eq!(taking(0, 20).await, Taking::Something);
    accept_at(3, 60).await;
    let fourth = claim(store, 1, later(60)).await.remove(0);
    settle(store, fourth, DEAD, later(60)).await;
    assert_eq!(taking(0, 60).await, Taking::Something);
    assert_eq!(taking(0, 61).await, Taking::Nothing, "the dead count");
    assert_eq!(
        taking(61, 70).await,
        Taking::Something,
        "what is older than that says nothing"
    );
}

async fn an_endpoint_with_much_takes_no_turn_from_the_others(fixture: Fixture) {
    let store = &fixture.store;
    for (number, wants) in [(1, "*"), (2, "order.*"), (3, "*")] {
        add_endpoint(store, number, Some("acme"), &[wants], WebhookOrder::Any).await;
    }
    for number in 0..50 {
        let _new = accept(store, number).await;
    }
    let names =
        |lanes: &[Lane]| -> Vec<EndpointId> { lanes.iter().map(|lane| lane.endpoint).collect() };
    let first = store.webhook_lanes(None, 1, NOW).await.unwrap();
    assert_eq!(names(&first.due), [endpoint(1)]);
    let second = store.webhook_lanes(first.after, 5, NOW).await.unwrap();
    assert_eq!(
        (names(&second.due), second.after),
        (vec![endpoint(3)], None)
    );
    let lanes = vec![
        (first.due[0].clone(), 4),
        (second.due[0].clone(), 7),
        (
            Lane {
                tenant: tenant(),
                endpoint: endpoint(2),
            },
            3,
        ),
    ];
    let taken = store
        .claim_webhooks(lanes, lease(1, later(60)), NOW)
        .await
        .unwrap();
    let of = |number| {
        let taken = numbers(&taken).into_iter();
        taken.filter(|one| *one == number).count()
    };
    assert_eq!((of(1), of(2), of(3)), (4, 0, 7));
}

async fn what_waits_for_a_disabled_endpoint_waits_and_what_waits_for_a_removed_one_goes(
    fixture: Fixture,
) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Any).await;
    let _new = accept(store, 1).await;
    let set = |to| WebhookWrite::SwitchEndpoint(endpoint(1), to);
    write(store, set(ASKED), NOW).await.unwrap();
    let twice = write(store, set(ASKED), NOW).await;
    assert!(matches!(twice, Err(StoreError::Superseded(_))), "{twice:?}");
    assert_eq!(accept(store, 2).await, Accepted::New(0), "nothing is added");
    assert!(claim(store, 1, NOW).await.is_empty());
    let lanes = store.webhook_lanes(None, 10, NOW).await.unwrap();
    assert_eq!(lanes.next_due, None, "nobody comes back for it");
    let years = later(10 * 365 * 24 * 3600);
    sweep(store, "webhook_deliveries", years).await;
    write(store, set(EndpointSwitch::Enabled), NOW)
        .await
        .unwrap();
    assert_eq!(claim(store, 1, NOW).await.len(), 1, "it waited");

    let remove = || WebhookWrite::RemoveEndpoint(endpoint(1));
    write(store, remove(), NOW).await.unwrap();
    let twice = write(store, remove(), NOW).await;
    assert!(matches!(twice, Err(StoreError::Superseded(_))), "{twice:?}");
    let mut connection = store.read().await.unwrap();
    let found = endpoints::find(&mut connection, &tenant(), endpoint(1)).await;
    assert_eq!(found.unwrap(), None);
    let left = secrets::of_endpoint(&mut connection, &tenant(), endpoint(1), NOW).await;
    assert_eq!(left.unwrap(), []);
    drop(connection);
    assert!(claim(store, 1, later(61)).await.is_empty());
    assert_eq!(listed(store, 1).await.len(), 1);
    sweep(store, "webhook_endpoints", later(10_000)).await;
    sweep(store, "webhook_deliveries", later(1)).await;
    assert_eq!(listed(store, 1).await, [], "what waited goes first");
    sweep(store, "webhook_endpoints", later(10_000)).await;
    // Then its name is free, as if it had never been there.
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Any).await;
}

async fn a_message_stays_as_long_as_a_delivery_of_it(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Any).await;
    let _new = accept(store, 1).await;
    let disable = disabled(1);
    write(store, disable, NOW).await.unwrap();
    // More than one step of messages that nothing is left of.
    let rows = |id: &str| -> &'static str {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1300) \
             INSERT INTO webhook_messages (tenant, message_id, event_type, version, digest, sealed, created_at, kept_until) \
             SELECT 'demo', {id}, 'x', 1, {id}, {id}, 0, 1800000000 + i FROM n"
        )
        .leak()
    };
    let sqlite = rows("CAST(substr('0000000000000000' || i, -16) AS BLOB)");
    let postgres = rows("decode(lpad(i::TEXT, 32, '0'), 'hex')");
    fixture.sql_of(sqlite, postgres).await;
    let much_later = later(30 * 24 * 3600);
    sweep(store, "webhook_messages", much_later).await;
    let mut connection = store.read().await.unwrap();
    let all = MessagesOf::default();
    let left = webhook_messages::heads(&mut connection, &tenant(), &all, 100).await;
    let left = left.unwrap();
    assert_eq!(left.next, None);
    assert_eq!(left.rows.len(), 1, "the one that still goes somewhere");
    assert_eq!(left.rows[0].id, MessageId::from_bytes(id(1)));
    drop(connection);
    fixture.sql("DELETE FROM webhook_deliveries").await;
    let day = Duration::from_secs(24 * 3600 + 1);
    sweep(store, "webhook_messages", much_later.plus(day)).await;
    let mut connection = store.read().await.unwrap();
    let left = webhook_messages::heads(&mut connection, &tenant(), &all, 100).await;
    assert_eq!(left.unwrap().rows, []);
}

fn receipt(number: u8, attempt: Option<u8>, body: u8, message_number: u16) -> NewReceipt {
    let mut event_id = [0; 32];
    event_id[0] = number;
    NewReceipt {
        receipt: Receipt {
            source: "stripe".parse().unwrap(),
            event_id,
            attempt: attempt.map(|attempt| [attempt; 32]),
            body: [body; 32],
            expires: later(600),
        },
        message: message(message_number, Addressee::Everyone, NOW).message,
    }
}

pub(crate) fn records() -> ReceiptRecords {
    ReceiptRecords {
        permit: event(),
        before: Before {
            duplicate: event(),
            replayed: event(),
            reused: event(),
        },
    }
}

/// What of these records waits for the log, by the names of their members.
async fn written(store: &Store, records: &ReceiptRecords) -> Vec<&'static str> {
    let mut connection = store.read().await.unwrap();
    let waiting = audit_outbox::oldest(&mut connection, 10_000).await.unwrap();
    let before = &records.before;
    let all = [
        ("permit", &records.permit),
        ("duplicate", &before.duplicate),
        ("replayed", &before.replayed),
        ("reused", &before.reused),
    ];
    let waits = |record: &Record| waiting.iter().any(|one| one.event == record.id);
    let waits = all.into_iter().filter(|(_, record)| waits(record));
    waits.map(|(name, _)| name).collect()
}

/// The log says what the transaction found: where nothing was let in there is no permit.
async fn what_is_recorded_of_what_came_in_is_what_was_found(fixture: Fixture) {
    let store = &fixture.store;
    for (new, expected) in [
        (receipt(1, Some(1), 1, 1), vec!["permit"]),
        (receipt(1, Some(1), 1, 2), vec!["replayed"]),
        (receipt(1, Some(2), 1, 3), vec!["permit", "duplicate"]),
        (receipt(1, Some(3), 2, 4), vec!["reused"]),
        (receipt(2, None, 1, 5), vec!["permit"]),
        (receipt(2, None, 1, 6), vec!["permit", "duplicate"]),
    ] {
        let records = records();
        let given = records.clone();
        let found = store.receive_webhook(new, given, NOW).await.unwrap();
        assert_eq!(written(store, &records).await, expected, "{found:?}");
    }
}

async fn what_came_in_is_taken_once_also_after_a_restart(fixture: Fixture) {
    let store = &fixture.store;
    let source: SourceName = "stripe".parse().unwrap();
    let service = store
        .put_webhook_service(&tenant(), &source, NOW)
        .await
        .unwrap();
    let again = store
        .put_webhook_service(&tenant(), &source, later(1))
        .await;
    assert_eq!(again.unwrap(), service);
    let first = MessageId::from_bytes(id(1));
    let before = events(store).await;
    let many = join_all((0..20).map(|number| {
        let store = store.clone();
        let new = receipt(1, Some(1), 1, 1 + number);
        tokio::spawn(async move { store.receive_webhook(new, records(), NOW).await.unwrap() })
    }));
    let many: Vec<Received> = many.await.into_iter().map(Result::unwrap).collect();
    let is_first = |one: &&Received| matches!(one, Received::First(_));
    assert_eq!(many.iter().filter(is_first).count(), 1, "{many:?}");
    let Some(Received::First(first_of_many)) = many.iter().find(is_first) else {
        panic!("one is the first");
    };
    let replayed = Received::Replayed(*first_of_many);
    assert_eq!(many.iter().filter(|one| **one == replayed).count(), 19);
    assert_eq!(events(store).await, before + 20);
    let store = &fixture.opened_again().await;
    let receive = async |new| store.receive_webhook(new, records(), NOW).await.unwrap();
    let duplicate = Received::Duplicate(*first_of_many);
    assert_eq!(receive(receipt(1, Some(1), 1, 50)).await, replayed);
    assert_eq!(receive(receipt(1, Some(2), 1, 51)).await, duplicate);
    assert_eq!(receive(receipt(1, Some(1), 2, 52)).await, Received::Reused);
    assert_eq!(receive(receipt(1, Some(2), 2, 53)).await, Received::Reused);
    // A scheme that signs no time cannot tell.
    let untimed = receive(receipt(2, None, 1, 60)).await;
    assert_eq!(untimed, Received::First(MessageId::from_bytes(id(60))));
    let untimed = receive(receipt(2, None, 1, 61)).await;
    assert_eq!(untimed, Received::Duplicate(MessageId::from_bytes(id(60))));

    let taken = claim(store, 1, NOW).await;
    assert_eq!(taken.len(), 2, "each goes to its service once");
    assert!(taken.iter().all(|taken| taken.lane.endpoint == service));
    assert!(taken.iter().any(|taken| taken.message.id == *first_of_many));
    let mut connection = store.read().await.unwrap();
    let row = endpoints::find(&mut connection, &tenant(), service).await;
    let row = row.unwrap().unwrap();
    assert_eq!(row.target, EndpointTarget::Service(source));
    let receivers = endpoints::list(&mut connection, &tenant(), None, None, 10).await;
    assert_eq!(receivers.unwrap(), [], "a service is no receiver");
    drop(connection);
    sweep(store, "webhook_receipts", later(600)).await;
    assert_eq!(receive(receipt(1, Some(2), 1, 70)).await, duplicate);
    sweep(store, "webhook_receipts", later(601)).await;
    let anew = receive(receipt(1, Some(2), 1, 71)).await;
    assert_eq!(anew, Received::First(MessageId::from_bytes(id(71))));
    assert_ne!(first, MessageId::from_bytes(id(71)));
}

async fn what_ended_is_brought_back_one_or_many(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Any).await;
    for number in 0..6 {
        let created = later(u64::from(number) * 10);
        let new = message(number, Addressee::Everyone, created);
        let _new = store.accept_message(new, event(), created).await.unwrap();
    }
    for taken in claim(store, 1, later(100)).await {
        let is_even = taken.message.id.as_bytes()[1] % 2 == 0;
        let outcome = if is_even { DEAD } else { DELIVERED };
        settle(store, taken, outcome, later(100)).await;
    }
    let delivery = |number| WebhookDeliveryId {
        message: MessageId::from_bytes(id(number)),
        endpoint: endpoint(1),
    };
    let text = delivery(1).to_string();
    assert_eq!(text.parse::<WebhookDeliveryId>().unwrap(), delivery(1));
    let redeliver = async |id| {
        store
            .redeliver_webhook(&tenant(), id, event(), later(101))
            .await
            .unwrap()
    };
    assert_eq!(redeliver(delivery(0)).await, Redelivered::Due);
    assert_eq!(redeliver(delivery(0)).await, Redelivered::Waits);
    assert_eq!(redeliver(delivery(99)).await, Redelivered::Absent);
    let replay = async |which, since, until| {
        let replay = Replay {
            endpoint: endpoint(1),
            since: later(since),
            until: later(until),
            which,
            most: REPLAY_MAX,
        };
        store
            .replay_webhooks(&tenant(), replay, event(), later(101))
            .await
            .unwrap()
    };
    let dead = replay(Replayed::Dead, 20, 40).await;
    assert_eq!(dead, Replaying::Done(1), "2: 0 waits, 4 is later");
    assert_eq!(replay(Replayed::All, 10, 40).await, Replaying::Done(2));
    assert_eq!(replay(Replayed::All, 10, 40).await, Replaying::Done(0));
    let mut brought: Vec<u8> = claim(store, 1, later(101))
        .await
        .iter()
        .map(|taken| taken.message.id.as_bytes()[1])
        .collect();
    brought.sort_unstable();
    assert_eq!(brought, [0, 1, 2, 3]);
    let disable = disabled(1);
    write(store, disable, NOW).await.unwrap();
    assert_eq!(redeliver(delivery(4)).await, Redelivered::Disabled);
    assert_eq!(replay(Replayed::Dead, 0, 99).await, Replaying::Absent);
}

async fn a_replay_in_parts_comes_to_its_end(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Any).await;
    for number in 0..5 {
        let created = later(u64::from(number) * 10);
        let new = message(number, Addressee::Everyone, created);
        let accepted = store.accept_message(new, event(), created).await;
        assert_eq!(accepted.unwrap(), Accepted::New(1));
    }
    let (mut since, mut asked, mut brought) = (NOW, 0, BTreeSet::new());
    loop {
        for taken in claim(store, 1, later(100)).await {
            if asked > 0 {
                brought.insert(taken.message.id.as_bytes()[1]);
            }
            // What was brought back has ended again before it is asked for the rest.
            settle(store, taken, DELIVERED, later(100)).await;
        }
        let replay = Replay {
            endpoint: endpoint(1),
            since,
            until: later(99),
            which: Replayed::All,
            most: 2,
        };
        let replaying = store
            .replay_webhooks(&tenant(), replay, event(), later(100))
            .await;
        asked += 1;
        assert!(asked < 10, "it begins again and again");
        match replaying.unwrap() {
            Replaying::More(2, from) => since = from,
            other => {
                assert_eq!(other, Replaying::Done(1), "the last");
                break;
            }
        }
    }
    brought.insert(
        claim(store, 1, later(100))
            .await
            .remove(0)
            .message
            .id
            .as_bytes()[1],
    );
    assert_eq!(brought, BTreeSet::from([0, 1, 2, 3, 4]));
}

async fn a_secret_overlaps_with_those_before_it(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Any).await;
    let rotate = async |number, end, now| {
        let rotate = WebhookWrite::RotateSecret {
            endpoint: endpoint(1),
            secret: secret(number),
            others_end: end,
        };
        write(store, rotate, now).await
    };
    let live = async |now| -> Vec<u8> {
        let mut connection = store.read().await.unwrap();
        let rows = secrets::of_endpoint(&mut connection, &tenant(), endpoint(1), now).await;
        let rows = rows.unwrap();
        rows.iter().map(|row| row.id.as_bytes()[1]).collect()
    };
    rotate(2, later(100), later(10)).await.unwrap();
    assert_eq!(live(later(99)).await, [2, 1]);
    assert_eq!(live(later(100)).await, [2]);
    // Those that end sooner anyway are not made to live longer.
    rotate(3, later(1_000), later(20)).await.unwrap();
    assert_eq!(live(later(101)).await, [3, 2]);
    rotate(4, later(21), later(21)).await.unwrap();
    assert_eq!(live(later(21)).await, [4], "at once");
    for number in 5..14 {
        rotate(number, later(500), later(30)).await.unwrap();
    }
    let eleventh = rotate(14, later(500), later(30)).await;
    assert!(matches!(eleventh, Err(StoreError::Full(_))), "{eleventh:?}");
    assert_eq!(live(later(31)).await.len(), 10);
    sweep(store, "webhook_secrets", later(501)).await;
    assert_eq!(live(later(31)).await, [13]);
    let nowhere = WebhookWrite::RotateSecret {
        endpoint: endpoint(9),
        secret: secret(99),
        others_end: NOW,
    };
    let nowhere = write(store, nowhere, NOW).await;
    assert!(matches!(nowhere, Err(StoreError::Superseded(_))));
}

async fn event_types_have_versions(fixture: Fixture) {
    let store = &fixture.store;
    let row = |name: &str, version, retired| event_types::EventTypeRow {
        name: name.parse().unwrap(),
        version,
        record: EventTypeRecord {
            description: Bounded::parse("An invoice was paid.").unwrap(),
            schema: Some(serde_json::json!({"type": "object"})),
            example: None,
            retired,
        },
        created: NOW,
    };
    let add = |row| WebhookWrite::AddEventType(Box::new(row));
    for (name, version) in [("invoice.paid", 1), ("invoice.paid", 2), ("order.made", 1)] {
        write(store, add(row(name, version, false)), NOW)
            .await
            .unwrap();
    }
    let twice = write(store, add(row("invoice.paid", 2, false)), NOW).await;
    assert!(matches!(twice, Err(StoreError::Conflict(..))), "{twice:?}");
    let retire = |name: &str, version| WebhookWrite::RetireEventType {
        name: name.parse().unwrap(),
        version,
    };
    write(store, retire("invoice.paid", Some(2)), NOW)
        .await
        .unwrap();
    for (name, version) in [
        ("invoice.paid", Some(2)),
        ("invoice.paid", Some(3)),
        ("invoice", None),
    ] {
        let ended = write(store, retire(name, version), NOW).await;
        assert!(matches!(ended, Err(StoreError::Superseded(_))), "{name}");
    }
    let mut connection = store.read().await.unwrap();
    let name = "invoice.paid".parse().unwrap();
    let newest = event_types::newest(&mut connection, &tenant(), &name).await;
    assert_eq!(newest.unwrap(), Some(row("invoice.paid", 2, true)));
    let first = event_types::find(&mut connection, &tenant(), &name, 1).await;
    assert_eq!(first.unwrap(), Some(row("invoice.paid", 1, false)));
    let page = event_types::list(&mut connection, &tenant(), Some((&name, 1)), 10).await;
    let page: Vec<_> = page.unwrap();
    let page: Vec<_> = page
        .iter()
        .map(|row| (row.name.as_str(), row.version))
        .collect();
    assert_eq!(page, [("invoice.paid", 2), ("order.made", 1)]);
    drop(connection);
    write(store, retire("invoice.paid", None), NOW)
        .await
        .unwrap();
    let mut connection = store.read().await.unwrap();
    let versions = event_types::of_name(&mut connection, &tenant(), &name).await;
    let both = [row("invoice.paid", 1, true), row("invoice.paid", 2, true)];
    assert_eq!(versions.unwrap(), both);
}

async fn who_waits_for_webhooks_is_woken(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Any).await;
    let waits = {
        let store = store.clone();
        tokio::spawn(async move { store.webhooks_wait().await })
    };
    let _new = accept(store, 1).await;
    waits.await.unwrap();
    // What happened before anybody waited is not lost either.
    let _new = accept(store, 2).await;
    store.webhooks_wait().await;
}

async fn more_may_not_wait_than_may(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Any).await;
    let _new = accept(store, 1).await;
    assert_eq!(claim(store, 1, NOW).await.len(), 1);
    let rows = |id: &str| -> &'static str {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
             INSERT INTO webhook_deliveries (tenant, endpoint_id, message_id, state, attempts, due_at, log, created_at) \
             SELECT 'demo', {id}, {id}, 'waiting', 0, 0, '[]', 0 FROM n",
            countersign_store::webhooks::WAITING_MAX
        )
        .leak()
    };
    let sqlite = rows("CAST(substr('0000000000000000' || i, -16) AS BLOB)");
    let postgres = rows("decode(lpad(i::TEXT, 32, '0'), 'hex')");
    fixture.sql_of(sqlite, postgres).await;
    let accepted = async |number, now| {
        let new = message(number, Addressee::Everyone, now);
        store.accept_message(new, event(), now).await
    };
    assert!(accepted(2, later(59)).await.is_ok(), "counted a minute ago");
    let refused = accepted(3, later(60)).await;
    assert!(
        matches!(refused, Err(StoreError::Full("webhook_deliveries"))),
        "{refused:?}"
    );
}

async fn a_message_for_one_endpoint_goes_there_once_and_nowhere_else(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, Some("acme"), &["order.*"], WebhookOrder::Strict).await;
    add_endpoint(store, 2, Some("acme"), &["*"], WebhookOrder::Any).await;
    let waiting = message(1, Addressee::Everyone, NOW);
    let accepted = store.accept_message_for(waiting, endpoint(1), event(), NOW);
    assert_eq!(accepted.await.unwrap(), AcceptedFor::New);
    let told = events(store).await;
    let to = async |number, receiver| {
        let new = message(number, Addressee::Everyone, NOW);
        let accepted = store.accept_message_for(new, endpoint(receiver), event(), NOW);
        accepted.await.unwrap()
    };
    assert_eq!(to(1, 1).await, AcceptedFor::Again);
    assert_eq!(to(2, 9).await, AcceptedFor::Absent);
    write(store, disabled(2), NOW).await.unwrap();
    assert_eq!(to(3, 2).await, AcceptedFor::Disabled);
    let source: SourceName = "billing".parse().unwrap();
    let of = tenant();
    let service = store.put_webhook_service(&of, &source, NOW).await.unwrap();
    let new = message(4, Addressee::Everyone, NOW);
    let accepted = store.accept_message_for(new, service, event(), NOW);
    assert_eq!(accepted.await.unwrap(), AcceptedFor::Absent);
    assert_eq!(
        events(store).await,
        told + 1,
        "that it was disabled, and nothing of what was refused"
    );
    assert_eq!(to(5, 1).await, AcceptedFor::New, "it waits behind nothing");
    let taken = claim(store, 1, NOW).await;
    assert_eq!(numbers(&taken), [1, 1]);
    let mut connection = store.read().await.unwrap();
    let wanted = [5, 1, 9].map(|number| MessageId::from_bytes(id(number)));
    let kinds = webhook_messages::kinds(&mut connection, &tenant(), &wanted).await;
    let kinds = kinds.unwrap();
    assert_eq!(kinds.len(), 2, "those that there are");
    let known = ("invoice.paid".parse().unwrap(), 1);
    assert!(kinds.values().all(|kind| *kind == known));
}

async fn an_endpoint_says_why_it_is_disabled(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Any).await;
    let why = async || {
        let mut connection = store.read().await.unwrap();
        let found = endpoints::find(&mut connection, &tenant(), endpoint(1)).await;
        match found.unwrap().unwrap().target {
            EndpointTarget::Receiver(record) => record.disabled,
            EndpointTarget::Service(_) => panic!("it is a receiver"),
        }
    };
    let switch = async |to| {
        let switch = WebhookWrite::SwitchEndpoint(endpoint(1), to);
        write(store, switch, NOW).await.unwrap();
    };
    assert_eq!(why().await, None);
    switch(EndpointSwitch::Disabled(DisabledBecause::Gone)).await;
    assert_eq!(why().await, Some(DisabledBecause::Gone));
    let put = WebhookWrite::PutEndpoint {
        id: endpoint(1),
        record: Box::new(record(WebhookOrder::Any)),
        patterns: patterns(&["*"]),
    };
    write(store, put, NOW).await.unwrap();
    let kept = Some(DisabledBecause::Gone);
    assert_eq!(
        why().await,
        kept,
        "whoever describes it anew does not change that"
    );
    switch(EndpointSwitch::Enabled).await;
    assert_eq!(why().await, None);
}

async fn what_waits_for_an_endpoint_is_listed_in_the_order_it_is_due(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Strict).await;
    for number in 1..=3 {
        let _new = accept(store, number).await;
    }
    let page = async |after| -> Vec<ListedWebhook> {
        let mut connection = store.read().await.unwrap();
        let of = tenant();
        let found =
            webhook_deliveries::waiting_for_endpoint(&mut connection, &of, endpoint(1), after, 2);
        found.await.unwrap()
    };
    let first = page(None).await;
    let dues: Vec<_> = first.iter().map(|row| row.due).collect();
    assert_eq!(dues, [Some(NOW), None], "the others wait behind it");
    let last = first.last().map(|row| (row.due, row.sequence));
    let second = page(last).await;
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].id.message, MessageId::from_bytes(id(3)));
    let taken = claim(store, 1, NOW).await;
    for taken in taken {
        assert_eq!(settle(store, taken, DELIVERED, NOW).await, 1);
    }
    assert_eq!(page(None).await.len(), 2, "what arrived waits no more");
}
