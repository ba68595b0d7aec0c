use super::{Turns, VaultFailure, at_length};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

#[tokio::test]
async fn turns_are_taken_one_after_another_and_a_full_queue_refuses_at_once() {
    let turns = Turns::of(1, 1);
    let first = turns.take().await.unwrap();
    let mut second = Box::pin(turns.take());
    assert!(futures_util::poll!(second.as_mut()).is_pending());
    assert!(matches!(turns.take().await, Err(VaultFailure::Unsettled)));
    drop(first);
    let second = second.await.unwrap();
    let mut third = Box::pin(turns.take());
    assert!(futures_util::poll!(third.as_mut()).is_pending());
    drop(second);
    assert!(third.await.is_ok());
}

/// On a runtime of one worker: what is done at length waits for what only the others can do.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn others_go_on_while_something_takes_long() {
    let (done, wait) = mpsc::channel();
    let long =
        tokio::spawn(
            async move { at_length(|| wait.recv_timeout(Duration::from_secs(30)).is_ok()) },
        );
    let short = tokio::spawn(async move { done.send(()).is_ok() });
    assert!(short.await.unwrap());
    assert!(long.await.unwrap());
    let shared = Arc::new(1);
    assert_eq!(at_length(|| *shared), 1);
}
