use super::*;

fn pool() -> PasswordPool {
    let random = Random::from_fn(|bytes| bytes.fill(7));
    PasswordPool::start(1, Cost::for_tests(), &random)
}

#[tokio::test]
async fn the_right_password_matches_and_another_differs() {
    let pool = pool();
    let hash = pool
        .create(Secret::new("correct horse".to_owned()))
        .await
        .unwrap()
        .unwrap();
    assert!(
        pool.verify(hash.clone(), Secret::new("correct horse".to_owned()))
            .await
            .unwrap()
            .is_ok()
    );
    assert!(
        pool.verify(hash, Secret::new("correct mule".to_owned()))
            .await
            .unwrap()
            .is_err()
    );
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let pool = pool();
    let (release, wait) = mpsc::channel::<()>();
    // The only thread waits on the channel; then the queue is filled to its limit.
    pool.jobs
        .send(Box::new(move || {
            let _ = wait.recv();
        }))
        .unwrap();
    let mut queued = 0;
    while pool.jobs.try_send(Box::new(|| {})).is_ok() {
        queued += 1;
        assert!(queued <= QUEUE_MAX + 1);
    }
    assert_eq!(
        pool.dummy(Secret::new("x".to_owned())).await.unwrap_err(),
        PoolBusy
    );
    drop(release);
}
