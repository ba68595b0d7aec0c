use super::*;
use http_body_util::Full;
use std::convert::Infallible;

#[test]
fn latency_begins_when_the_upstream_has_the_whole_request() {
    let began = Instant::now();
    let second = Duration::from_secs(1);
    let without = ProgressWatch::default();
    assert_eq!(without.had_whole_for(began, began + second), Some(second));
    let sent = ProgressWatch::of(Progress::Complete);
    let completed = sent.completed().unwrap();
    assert_eq!(sent.had_whole_for(began, completed + second), Some(second));
    // It was here before the way to the upstream began.
    let later = completed + second;
    assert_eq!(sent.had_whole_for(later, later + second), Some(second));
    for progress in [Progress::Awaited, Progress::Broken, Progress::Open] {
        let open = ProgressWatch::of(progress);
        assert_eq!(open.had_whole_for(began, began + second), None);
    }
}

#[tokio::test]
async fn bodies_in_memory_have_only_so_much_room_together() {
    let room = Arc::new(Semaphore::new(10));
    let held = async |length: usize| {
        let body = Full::new(Bytes::from(vec![b'x'; length]));
        hold(body.map_err(|never: Infallible| match never {}), &room).await
    };
    let first = held(6).await.unwrap();
    assert_eq!(first.as_ref(), b"xxxxxx");
    assert!(matches!(held(5).await, Err(PassError::NoRoom)));
    let second = held(4).await.unwrap();
    assert_eq!(held(0).await.unwrap().len(), 0);
    // Its room is taken as long as any copy of it is there.
    let copy = first.clone();
    drop((first, second));
    assert!(matches!(held(5).await, Err(PassError::NoRoom)));
    drop(copy);
    assert_eq!(held(10).await.unwrap().len(), 10);
    assert_eq!(room.available_permits(), 10);
}
