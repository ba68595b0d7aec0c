use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

const NOW: UnixTime = UnixTime(1_000);

struct Counted(AtomicUsize);

impl Counted {
    async fn exchange(
        &self,
        answer: Result<i64, ExchangeError>,
    ) -> Result<Exchanged, ExchangeError> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        answer.map(|expires| Exchanged {
            token: Secret::new(format!("token-{number}")),
            expires: UnixTime(expires),
        })
    }
}

/// Keys come from verified tokens alone, so these tests run on a slot.
async fn get(
    slot: &tokio::sync::Mutex<Slot>,
    now: UnixTime,
    counted: &Counted,
    answer: Result<i64, ExchangeError>,
) -> Result<HeaderValue, ExchangeError> {
    Slot::get(slot, now, async || counted.exchange(answer).await).await
}

#[tokio::test]
async fn any_number_of_requests_cause_one_exchange() {
    let (slot, counted) = (tokio::sync::Mutex::default(), Counted(AtomicUsize::new(0)));
    let all =
        futures_util::future::join_all((0..100).map(|_| get(&slot, NOW, &counted, Ok(1_300))))
            .await;
    assert!(
        all.iter()
            .all(|value| value.as_ref().unwrap() == "Bearer token-0")
    );
    assert_eq!(counted.0.load(Ordering::SeqCst), 1);
    assert!(
        all.iter()
            .all(|value| value.as_ref().unwrap().is_sensitive())
    );
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let (slot, counted) = (tokio::sync::Mutex::default(), Counted(AtomicUsize::new(0)));
    assert_eq!(
        get(&slot, NOW, &counted, Ok(1_300)).await.unwrap(),
        "Bearer token-0"
    );
    assert_eq!(
        get(&slot, UnixTime(1_269), &counted, Ok(1_600))
            .await
            .unwrap(),
        "Bearer token-0"
    );
    assert_eq!(
        get(&slot, UnixTime(1_270), &counted, Ok(1_600))
            .await
            .unwrap(),
        "Bearer token-1"
    );
}

#[tokio::test]
async fn a_failed_exchange_is_not_tried_again_at_once() {
    let (slot, counted) = (tokio::sync::Mutex::default(), Counted(AtomicUsize::new(0)));
    for _ in 0..10 {
        assert_eq!(
            get(&slot, NOW, &counted, Err(ExchangeError::Denied)).await,
            Err(ExchangeError::Denied)
        );
    }
    assert_eq!(counted.0.load(Ordering::SeqCst), 1);
    assert!(
        get(&slot, NOW.plus(RETRY_AFTER), &counted, Ok(1_300))
            .await
            .is_ok()
    );
}
