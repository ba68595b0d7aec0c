//! The list of messages: the newest first, in pages, by type and time, without what they say.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::tenant;
use crate::webhooks::{accept_at, id, later};
use countersign_base::{MessageId, UnixTime};
use countersign_store::Store;
use countersign_store::tables::webhook_messages::{
    LOOKED_AT_MAX, MessageHeads, MessagePlace, MessagesOf, head, heads,
};

behaviours! {
    messages_are_listed_by_time_and_type_in_pages,
    a_rare_type_is_looked_for_in_steps,
}

async fn listed(store: &Store, of: &MessagesOf, limit: u16) -> MessageHeads {
    let mut connection = store.read().await.unwrap();
    heads(&mut connection, &tenant(), of, limit).await.unwrap()
}

fn numbers(page: &MessageHeads) -> Vec<MessageId> {
    page.rows.iter().map(|row| row.id).collect()
}

fn ids(numbers: &[u16]) -> Vec<MessageId> {
    numbers
        .iter()
        .map(|number| MessageId::from_bytes(id(*number)))
        .collect()
}

async fn messages_are_listed_by_time_and_type_in_pages(fixture: Fixture) {
    let store = &fixture.store;
    for (number, seconds) in [(1, 0), (2, 10), (3, 10), (4, 20)] {
        let _new = accept_at(store, number, later(seconds)).await;
    }
    let all = MessagesOf::default();
    let whole = listed(store, &all, 4).await;
    assert_eq!(numbers(&whole), ids(&[4, 3, 2, 1]));
    assert_eq!(whole.next, None);
    let first = listed(store, &all, 2).await;
    assert_eq!(numbers(&first), ids(&[4, 3]));
    let after = first.next;
    let place = MessagePlace {
        created: later(10),
        id: MessageId::from_bytes(id(3)),
    };
    assert_eq!(after, Some(place));
    let rest = listed(
        store,
        &MessagesOf {
            after,
            ..all.clone()
        },
        2,
    )
    .await;
    assert_eq!((numbers(&rest), rest.next), (ids(&[2, 1]), None));

    let between = MessagesOf {
        since: Some(later(10)),
        until: Some(later(20)),
        ..all.clone()
    };
    assert_eq!(numbers(&listed(store, &between, 9).await), ids(&[3, 2]));
    let next = MessagesOf {
        after,
        ..between.clone()
    };
    assert_eq!(numbers(&listed(store, &next, 9).await), ids(&[2]));
    let other = MessagesOf {
        event_type: Some("invoice".parse().unwrap()),
        ..all
    };
    assert_eq!(listed(store, &other, 9).await.rows, []);

    let mut connection = store.read().await.unwrap();
    let one = MessageId::from_bytes(id(1));
    let found = head(&mut connection, &tenant(), one).await.unwrap();
    let found = found.unwrap();
    assert_eq!(Some(&found), whole.rows.last());
    assert_eq!((found.sealed_bytes, found.created), (2, NOW));
    let absent = MessageId::from_bytes(id(9));
    let found = head(&mut connection, &tenant(), absent).await;
    assert_eq!(found.unwrap(), None);
}

async fn a_rare_type_is_looked_for_in_steps(fixture: Fixture) {
    let store = &fixture.store;
    let _new = accept_at(store, 1, UnixTime(0)).await;
    let rows = |id: &str, digest: &str| -> &'static str {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {LOOKED_AT_MAX}) \
             INSERT INTO webhook_messages (tenant, message_id, event_type, version, digest, sealed, created_at, kept_until) \
             SELECT 'demo', {id}, 'x', 1, {digest}, {digest}, i, 0 FROM n"
        )
        .leak()
    };
    let zeros = "0".repeat(32);
    let text = |bytes: u8| format!("CAST(substr('{zeros}' || i, -{bytes}) AS BLOB)");
    let hex = |digits: u8| format!("decode(lpad(i::TEXT, {digits}, '0'), 'hex')");
    fixture
        .sql_of(rows(&text(16), &text(32)), rows(&hex(32), &hex(64)))
        .await;
    let rare = MessagesOf {
        event_type: Some("invoice.paid".parse().unwrap()),
        ..MessagesOf::default()
    };
    let first = listed(store, &rare, 1).await;
    assert_eq!(first.rows, [], "nothing in as much as one page looks at");
    let place = first.next.unwrap();
    assert_eq!(place.created, UnixTime(1));
    let after = Some(place);
    let second = listed(store, &MessagesOf { after, ..rare }, 1).await;
    assert_eq!((numbers(&second), second.next), (ids(&[1]), None));
}
