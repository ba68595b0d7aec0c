use super::*;

fn pool() -> PasswordPool {
    let random = Random::from_fn(|bytes| bytes.fill(7));
    PasswordPool::start(1, Cost::for_tests(), &random)
}

fn chosen(pool: &PasswordPool, text: &str) -> Result<ChosenPassword, PasswordRefused> {
    let username = "alice".parse().unwrap();
    pool.judge(
        Secret::new(text.to_owned()),
        &username,
        PasswordRules::new(0),
    )
}

#[test]
fn a_password_that_leaked_is_refused_from_the_moment_that_the_list_is_there() {
    let pool = pool();
    assert!(chosen(&pool, "correct horse").is_ok(), "the twin");
    let list = BreachedPasswords::read("correct horse\n");
    pool.clone().ask_about_leaks(Arc::new(list));
    assert_eq!(
        chosen(&pool, "correct horse").err(),
        Some(PasswordRefused::Known)
    );
    assert_eq!(
        chosen(&pool, "short").err(),
        Some(PasswordRefused::TooShort(8))
    );
}

#[tokio::test]
async fn the_right_password_matches_and_another_differs() {
    let pool = pool();
    let hash = pool
        .create(chosen(&pool, "correct horse").unwrap())
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
    let (begin, begun) = mpsc::channel::<()>();
    // The only thread has taken this and waits on the channel; then the queue is filled to its limit.
    pool.jobs
        .send(Box::new(move || {
            begin.send(()).unwrap();
            let _ = wait.recv();
        }))
        .unwrap();
    begun.recv().unwrap();
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
