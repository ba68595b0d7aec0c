use super::*;

#[test]
fn latency_begins_when_the_upstream_has_the_whole_request() {
    let began = Instant::now();
    let second = Duration::from_secs(1);
    let without = ProgressWatch::default();
    assert_eq!(without.had_whole_for(began, began + second), Some(second));
    let sent = ProgressWatch::of(Progress::Complete);
    let completed = sent.completed().unwrap();
    assert_eq!(
        sent.had_whole_for(began, completed + second),
        Some(second)
    );
    // It was here before the way to the upstream began.
    let later = completed + second;
    assert_eq!(sent.had_whole_for(later, later + second), Some(second));
    for progress in [Progress::Awaited, Progress::Broken, Progress::Open] {
        let open = ProgressWatch::of(progress);
        assert_eq!(open.had_whole_for(began, began + second), None);
    }
}
