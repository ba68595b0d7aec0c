use super::*;

#[tokio::test]
async fn ends_clean_when_every_holder_lets_go() {
    let (trigger, drain) = Drain::new();
    let mut worker = drain.clone();
    drop(drain);
    let work = tokio::spawn(async move {
        worker.begun().await;
        assert!(worker.has_begun());
    });
    assert_eq!(trigger.drain(Duration::from_secs(5)).await, Drained::Clean);
    work.await.unwrap();
}

#[tokio::test]
async fn closes_what_the_deadline_finds() {
    let (trigger, mut drain) = Drain::new();
    let work = tokio::spawn(async move { drain.closing().await });
    assert_eq!(
        trigger.drain(Duration::from_millis(1)).await,
        Drained::DeadlinePassed
    );
    work.await.unwrap();
}

#[tokio::test]
async fn a_lost_trigger_ends_everything() {
    let (trigger, mut drain) = Drain::new();
    assert!(!drain.has_begun());
    drop(trigger);
    drain.begun().await;
    assert!(drain.has_begun());
}
