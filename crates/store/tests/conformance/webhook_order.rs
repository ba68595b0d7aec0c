//! What an endpoint that wants order gets: of a key, or of all, one after another, in the order they were accepted in, whatever happens to those before.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{event, tenant};
use crate::webhooks::{
    DEAD, DELIVERED, add_endpoint, claim, endpoint, later, listed, message, retry, settle,
};
use countersign_base::UnixTime;
use countersign_store::Store;
use countersign_store::tables::webhook_endpoints::WebhookOrder;
use countersign_store::webhooks::{
    Addressee, DeliveryState, REPLAY_MAX, Replay, Replayed, Replaying, TakenWebhook,
};
use futures_util::future::join_all;

behaviours! {
    strictly_one_after_another,
    one_after_another_of_a_key,
    a_lease_that_ran_out_lets_nothing_overtake,
    what_is_brought_back_waits_its_turn,
    however_many_write_at_once_nothing_overtakes_or_stays_behind,
}

async fn accept_of(store: &Store, number: u16, key: Option<u8>) {
    let mut new = message(number, Addressee::Everyone, NOW);
    new.order_key = key.map(|key| [key; 16]);
    let _new = store.accept_message(new, event(), NOW).await.unwrap();
}

fn number(taken: &TakenWebhook) -> u16 {
    let bytes = taken.message.id.as_bytes();
    u16::from_be_bytes([bytes[0], bytes[1]])
}

fn numbers(taken: &[TakenWebhook]) -> Vec<u16> {
    let mut numbers: Vec<u16> = taken.iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

async fn strictly_one_after_another(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Strict).await;
    for number in 1..=4 {
        accept_of(store, number, Some(number.to_be_bytes()[1])).await;
    }
    let mut first = claim(store, 1, NOW).await;
    assert_eq!(numbers(&first), [1]);
    assert!(claim(store, 2, NOW).await.is_empty(), "while one is out");
    settle(store, first.remove(0), retry(later(100)), NOW).await;
    assert!(
        claim(store, 1, later(99)).await.is_empty(),
        "while it waits"
    );
    let lanes = store.webhook_lanes(None, 10, later(99)).await.unwrap();
    assert_eq!(
        (lanes.due, lanes.next_due),
        (vec![], Some(later(100))),
        "nobody looks in vain"
    );
    let first = claim(store, 1, later(100)).await.remove(0);
    settle(store, first, DEAD, later(100)).await;
    let second = claim(store, 1, later(100)).await.remove(0);
    assert_eq!(number(&second), 2, "the dead hold nobody up");
    settle(store, second, DELIVERED, later(101)).await;
    accept_of(store, 5, None).await;
    for expected in 3..=5 {
        let mut next = claim(store, 1, later(101)).await;
        assert_eq!(numbers(&next), [expected]);
        settle(store, next.remove(0), DELIVERED, later(101)).await;
    }
    accept_of(store, 6, None).await;
    assert_eq!(numbers(&claim(store, 1, later(101)).await), [6]);
}

async fn one_after_another_of_a_key(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::PerKey).await;
    add_endpoint(store, 2, None, &["*"], WebhookOrder::Any).await;
    for (number, key) in [
        (1, Some(1)),
        (2, Some(1)),
        (3, Some(2)),
        (4, None),
        (5, None),
        (6, Some(2)),
    ] {
        accept_of(store, number, key).await;
    }
    let taken = claim(store, 1, NOW).await;
    let (ordered, any): (Vec<_>, Vec<_>) = taken
        .into_iter()
        .partition(|taken| taken.lane.endpoint == endpoint(1));
    assert_eq!(numbers(&any), [1, 2, 3, 4, 5, 6], "who wants no order");
    assert_eq!(numbers(&ordered), [1, 3, 4, 5], "the first of each key");
    for taken in ordered {
        let outcome = match number(&taken) {
            1 => retry(later(50)),
            _ => DELIVERED,
        };
        settle(store, taken, outcome, NOW).await;
    }
    let mut next = claim(store, 1, later(1)).await;
    assert_eq!(numbers(&next), [6], "one key waits for nothing of another");
    settle(store, next.remove(0), DELIVERED, later(1)).await;
    assert_eq!(numbers(&claim(store, 1, later(50)).await), [1]);
}

async fn a_lease_that_ran_out_lets_nothing_overtake(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::PerKey).await;
    for number in 1..=3 {
        accept_of(store, number, Some(1)).await;
    }
    let slow = claim(store, 1, NOW).await.remove(0);
    let mut again = claim(store, 2, later(61)).await;
    assert_eq!(numbers(&again), [1], "the same once more");
    // Whoever lost the lease neither ends it nor lets the next one go.
    assert_eq!(settle(store, slow, DELIVERED, later(62)).await, 0);
    assert!(claim(store, 3, later(62)).await.is_empty());
    settle(store, again.remove(0), DELIVERED, later(63)).await;
    assert_eq!(numbers(&claim(store, 3, later(63)).await), [2]);
}

async fn what_is_brought_back_waits_its_turn(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Strict).await;
    for number in 1..=5 {
        accept_of(store, number, None).await;
    }
    for _ in 1..=3 {
        let taken = claim(store, 1, NOW).await.remove(0);
        settle(store, taken, DEAD, NOW).await;
    }
    let fourth = claim(store, 1, NOW).await.remove(0);
    assert_eq!(number(&fourth), 4);
    let replay = Replay {
        endpoint: endpoint(1),
        since: NOW,
        until: later(1),
        which: Replayed::Dead,
        most: REPLAY_MAX,
    };
    let asked = store.replay_webhooks(&tenant(), replay, event(), NOW).await;
    assert_eq!(asked.unwrap(), Replaying::Done(3));
    assert!(claim(store, 2, NOW).await.is_empty(), "4 is out");
    settle(store, fourth, DELIVERED, NOW).await;
    for expected in [1, 2, 3, 5] {
        let mut next = claim(store, 1, NOW).await;
        assert_eq!(numbers(&next), [expected]);
        settle(store, next.remove(0), DELIVERED, NOW).await;
    }
    // Where nothing waits, the first that is brought back goes at once.
    let all = Replay {
        which: Replayed::All,
        ..replay
    };
    let asked = store.replay_webhooks(&tenant(), all, event(), NOW).await;
    assert_eq!(asked.unwrap(), Replaying::Done(5));
    for expected in 1..=5 {
        let mut next = claim(store, 1, NOW).await;
        assert_eq!(numbers(&next), [expected]);
        settle(store, next.remove(0), DELIVERED, NOW).await;
    }
}

const PUBLISHERS: u16 = 4;
const EACH: u16 = 25;

/// Takes and settles until all there will be has ended; what was taken, in order.
async fn work(store: &Store, worker: u8, until: usize) -> Vec<u16> {
    let mut delivered = Vec::new();
    let mut now = NOW;
    loop {
        let ended = listed(store, 1).await;
        let is_over = |row: &&countersign_store::webhooks::ListedWebhook| {
            row.state == DeliveryState::Delivered
        };
        if ended.iter().filter(is_over).count() >= until {
            return delivered;
        }
        now = UnixTime(now.0 + 1);
        for taken in claim(store, worker, now).await {
            let sent = number(&taken);
            if settle(store, taken, DELIVERED, now).await == 1 {
                delivered.push(sent);
            }
        }
        tokio::task::yield_now().await;
    }
}

async fn however_many_write_at_once_nothing_overtakes_or_stays_behind(fixture: Fixture) {
    let store = &fixture.store;
    add_endpoint(store, 1, None, &["*"], WebhookOrder::Strict).await;
    let publishers = (0..PUBLISHERS).map(|publisher| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                accept_of(&store, publisher * EACH + number, None).await;
            }
        })
    });
    let all = usize::from(PUBLISHERS * EACH);
    let worker = {
        let store = store.clone();
        tokio::spawn(async move { work(&store, 1, all).await })
    };
    join_all(publishers)
        .await
        .into_iter()
        .for_each(Result::unwrap);
    let delivered = worker.await.unwrap();
    assert_eq!(delivered.len(), all);
    for publisher in 0..PUBLISHERS {
        let of_it: Vec<u16> = delivered
            .iter()
            .copied()
            .filter(|number| number / EACH == publisher)
            .collect();
        assert!(of_it.is_sorted(), "{of_it:?}");
    }
}
