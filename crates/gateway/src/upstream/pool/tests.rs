use super::*;

#[tokio::test]
async fn time_that_the_caller_took_is_not_the_upstreams() {
    let (until, answer) = (Instant::now(), Duration::from_secs(30));
    // It is here since now, so that the upstream has all of its time before it.
    let late = ProgressWatch::of(Progress::Complete);
    let completed = late.completed().unwrap();
    assert!(matches!(extended(until, answer, &late), Ok(later) if later == completed + answer));
    // A second time there is nothing to add.
    let over = completed + answer;
    assert!(matches!(
        extended(over, answer, &late),
        Err(PassError::Timeout)
    ));
    for (progress, body) in [
        (Progress::Awaited, true),
        (Progress::Broken, true),
        (Progress::Open, false),
        (Progress::Unread, false),
    ] {
        let ended = extended(until, answer, &ProgressWatch::of(progress));
        assert_eq!(matches!(ended, Err(PassError::Body)), body, "{progress:?}");
        assert_eq!(matches!(ended, Err(PassError::Timeout)), !body);
    }
    // There was no body to wait for.
    assert!(matches!(
        extended(until, answer, &ProgressWatch::default()),
        Err(PassError::Timeout)
    ));
}
