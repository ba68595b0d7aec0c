use super::*;
use std::future::poll_fn;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

async fn linger(near: &mut DuplexStream, timeout: Duration, bytes_max: usize) {
    let mut lingering = Lingering::new(timeout, bytes_max);
    poll_fn(|cx| lingering.poll(near, cx)).await;
}

#[tokio::test]
async fn the_rest_is_taken_until_the_peer_closes() {
    let (mut near, mut far) = duplex(16);
    let peer = tokio::spawn(async move {
        far.write_all(&[0; 100_000]).await.unwrap();
        tokio::time::sleep(SHORT).await;
        far.write_all(&[0; 100_000]).await.unwrap();
    });
    linger(&mut near, LONG, 1_000_000).await;
    assert_eq!(near.read(&mut [0]).await.unwrap(), 0, "nothing is left");
    peer.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_never_closes_is_left_after_the_time() {
    let (mut near, mut far) = duplex(16);
    let began = Instant::now();
    linger(&mut near, SHORT, 1_000_000).await;
    assert!(began.elapsed() >= SHORT);
    far.write_all(b"still there").await.unwrap();
}

#[tokio::test]
async fn a_peer_that_never_ends_is_left_after_so_many_bytes() {
    let (mut near, mut far) = duplex(16);
    far.write_all(&[0; 16]).await.unwrap();
    linger(&mut near, LONG, 16).await;
    far.write_all(b"more that's left").await.unwrap();
    let mut left = [0; 16];
    near.read_exact(&mut left).await.unwrap();
    assert_eq!(&left, b"more that's left");
}
