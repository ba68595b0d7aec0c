use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PATIENCE: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_write_that_nobody_takes_ends_after_the_patience_and_not_before() {
    let (near, _far) = tokio::io::duplex(4);
    let mut stream = Taken::new(near, PATIENCE);
    stream.write_all(b"four").await.unwrap();
    let began = Instant::now();
    let error = stream.write_all(b"more").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(began.elapsed() >= PATIENCE);
}

#[tokio::test]
async fn whoever_takes_a_little_now_and_then_is_waited_for() {
    let (near, mut far) = tokio::io::duplex(1);
    let mut stream = Taken::new(near, PATIENCE);
    let began = Instant::now();
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        let mut now_and_then = tokio::time::interval(PATIENCE / 5);
        for _ in 0..8 {
            now_and_then.tick().await;
            all.push(far.read_u8().await.unwrap());
        }
        all
    });
    stream.write_all(b"eightby8").await.unwrap();
    assert_eq!(reading.await.unwrap(), b"eightby8");
    assert!(began.elapsed() > PATIENCE, "each waited, none for too long");
}

#[tokio::test]
async fn what_is_taken_at_once_has_no_timer() {
    let (near, mut far) = tokio::io::duplex(64);
    let mut stream = Taken::new(near, PATIENCE);
    stream.write_all(b"all of it").await.unwrap();
    assert!(stream.timer.is_none());
    let mut all = [0; 9];
    far.read_exact(&mut all).await.unwrap();
    assert_eq!(&all, b"all of it");
}
