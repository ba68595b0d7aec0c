//! Several nodes on one PostgreSQL.

use crate::fixture::{Fixture, NOW};
use crate::sample::{event, tenant};
use countersign_store::audit::Outbox as _;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_takes_the_outbox_until_it_is_gone() {
    let Some(fixture) = Fixture::postgres().await else {
        return;
    };
    let (one, two) = (fixture.opened_again().await, fixture.opened_again().await);
    one.change(&tenant(), Vec::new(), event(), NOW)
        .await
        .unwrap();
    let rows = one.peek(10).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        two.peek(10).await.unwrap(),
        [],
        "the other node leaves them alone"
    );
    assert_eq!(one.peek(10).await.unwrap(), rows);
    one.close().await;
    // The server notices the end of a session in its own time.
    let mut taken_over = two.peek(10).await.unwrap();
    while taken_over.is_empty() {
        tokio::task::yield_now().await;
        taken_over = two.peek(10).await.unwrap();
    }
    assert_eq!(taken_over, rows);
    two.close().await;
    fixture.remove().await;
}
