//! Keys are kept within their limits, asked for once, and forgotten for good.

use super::{Kept, Shelf};
use crate::fixtures::{NOW, clock};
use crate::sealed::{CacheLimits, DataKeyError};
use countersign_base::{Duration, UnixTime};
use futures_util::future::join_all;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::oneshot;

const LIMITS: CacheLimits = CacheLimits {
    age_max: Duration::from_secs(30),
    entries_max: 3,
    uses_max: 2,
};

fn at(seconds: i64) -> UnixTime {
    UnixTime(NOW.0 + seconds)
}

#[test]
fn age_uses_and_number_are_bounded() {
    let mut kept = Kept::new(LIMITS);
    kept.put("a", Arc::new(1), at(0));
    assert!(kept.take(&"a", at(29)).is_some());
    assert!(kept.take(&"a", at(30)).is_none(), "too old");
    assert_eq!(kept.len(), 0, "and gone");
    kept.put("a", Arc::new(1), at(0));
    assert!(kept.take(&"a", at(-1)).is_none(), "from the future");
    kept.put("a", Arc::new(1), at(0));
    assert!(kept.take(&"a", at(0)).is_some() && kept.take(&"a", at(0)).is_some());
    assert!(kept.take(&"a", at(0)).is_none(), "used twice");
    for key in ["a", "b", "c", "d"] {
        kept.put(key, Arc::new(1), at(0));
    }
    assert_eq!(kept.len(), 3);
    assert!(kept.take(&"a", at(0)).is_none(), "the oldest made room");
    assert!(kept.take(&"d", at(0)).is_some());
}

#[tokio::test]
async fn of_many_who_need_a_key_one_asks() {
    let (clock, _) = clock();
    let shelf: Shelf<&str, u8> = Shelf::new(CacheLimits::default(), clock);
    let asked = AtomicUsize::new(0);
    let asked = &*Box::leak(Box::new(asked));
    let take = || {
        shelf.take(&"a", async move {
            asked.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(1)
        })
    };
    let answers = join_all((0..10).map(|_| take())).await;
    assert!(answers.iter().all(|answer| answer.as_deref() == Ok(&1)));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let (clock, _) = clock();
    let shelf: Shelf<&str, u8> = Shelf::new(LIMITS, clock);
    let failed = shelf
        .take(&"a", async { Err(DataKeyError::Unavailable) })
        .await;
    assert_eq!(failed.err(), Some(DataKeyError::Unavailable));
    assert_eq!(shelf.take(&"a", async { Ok(2) }).await.as_deref(), Ok(&2));
}

#[tokio::test]
async fn what_was_on_its_way_when_it_was_forgotten_is_not_kept() {
    let (clock, _) = clock();
    let shelf: Arc<Shelf<&str, u8>> = Arc::new(Shelf::new(LIMITS, clock));
    let (answer, awaited) = oneshot::channel::<()>();
    let (begun, began) = oneshot::channel::<()>();
    let asking = {
        let shelf = Arc::clone(&shelf);
        tokio::spawn(async move {
            shelf
                .take(&"a", async move {
                    begun.send(()).unwrap();
                    awaited.await.unwrap();
                    Ok(1)
                })
                .await
        })
    };
    began.await.unwrap();
    shelf.forget(|_| true);
    // Whoever comes now asks anew, and is not told the old answer.
    let later = shelf.take(&"a", async { Err(DataKeyError::Erased) }).await;
    assert_eq!(later.err(), Some(DataKeyError::Erased));
    answer.send(()).unwrap();
    assert_eq!(asking.await.unwrap().as_deref(), Ok(&1));
    assert_eq!(shelf.len(), 0, "the old answer was not kept");
}

#[tokio::test]
async fn those_who_went_away_leave_nothing_behind() {
    let (clock, _) = clock();
    let shelf: Shelf<usize, u8> = Shelf::new(LIMITS, clock);
    for key in 0..100 {
        let mut asking = Box::pin(shelf.take(&key, std::future::pending()));
        assert!(futures_util::poll!(&mut asking).is_pending());
    }
    assert!(super::lock(&shelf.state).flights.len() <= LIMITS.entries_max);
}

proptest! {
    #[test]
    fn never_more_than_the_limits(steps in proptest::collection::vec((0_u8..3, 0_u8..6, 0_i64..5), 0..200)) {
        let mut kept = Kept::new(LIMITS);
        let mut now = 0;
        let mut put_at = std::collections::BTreeMap::new();
        for (step, key, wait) in steps {
            now += wait;
            match step {
                0 => {
                    kept.put(key, Arc::new(()), at(now));
                    put_at.insert(key, (now, 0));
                }
                1 => {
                    if kept.take(&key, at(now)).is_some() {
                        let (asked_at, uses) = put_at.get_mut(&key).unwrap();
                        *uses += 1;
                        prop_assert!(now - *asked_at < 30 && *uses <= 2);
                    }
                }
                _ => {
                    kept.forget(|other| *other == key);
                    prop_assert!(kept.take(&key, at(now)).is_none());
                }
            }
            prop_assert!(kept.len() <= LIMITS.entries_max);
            prop_assert_eq!(kept.len(), kept.order.len());
        }
    }
}
