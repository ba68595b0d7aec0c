use super::{Pace, Room, Wants};
use crate::webhook::dispatcher::breaker::Said;
use countersign_base::{Duration, UnixMillis};
use proptest::prelude::*;

const QUICK: Duration = Duration::from_millis(20);
const WANTS: Wants = Wants {
    rate: None,
    concurrency: 8,
};

fn at(millis: i64) -> UnixMillis {
    UnixMillis(1_800_000_000_000 + millis)
}

#[test]
fn an_endpoint_begins_with_one_and_doubles_with_each_success() {
    let mut pace = Pace::new();
    assert_eq!(pace.room(WANTS, at(0)), Room::Now(1));
    pace.took(1, at(0));
    assert_eq!(pace.room(WANTS, at(0)), Room::Full);
    for expected in [2, 4, 8, 8] {
        pace.ended(Some(Said::Good), QUICK, 8, at(0));
        assert_eq!(pace.room(WANTS, at(0)), Room::Now(expected));
        pace.took(1, at(0));
    }
    pace.ended(Some(Said::Bad), QUICK, 8, at(0));
    assert!(pace.is_suspect());
    assert_eq!(
        pace.room(WANTS, at(0)),
        Room::Now(1),
        "and falls back to one"
    );
}

#[test]
fn what_was_not_tried_says_nothing() {
    let mut pace = Pace::new();
    pace.took(1, at(0));
    pace.ended(None, QUICK, 8, at(0));
    assert_eq!(pace.room(WANTS, at(0)), Room::Now(1));
    assert!(pace.may_be_forgotten(at(0)));
}

#[test]
fn a_clock_that_is_set_back_leaves_nobody_alone_for_longer() {
    let mut pace = Pace::new();
    pace.rest(None, at(0));
    let day = 86_400_000;
    assert_eq!(pace.barred(at(-day)), None);
    assert_eq!(pace.room(WANTS, at(-day)), Room::Now(1));
    pace.rest(None, at(-day));
    let until = at(5_000 - day);
    assert_eq!(pace.room(WANTS, at(-day)), Room::NotBefore(until));
    assert_eq!(pace.room(WANTS, until), Room::Now(1));
}

#[test]
fn who_asks_for_less_is_left_alone_for_a_while() {
    let mut pace = Pace::new();
    pace.rest(None, at(0));
    assert_eq!(pace.room(WANTS, at(4_999)), Room::NotBefore(at(5_000)));
    assert_eq!(pace.room(WANTS, at(5_000)), Room::Now(1));
    pace.rest(Some(at(60_000)), at(5_000));
    pace.rest(None, at(5_000));
    assert_eq!(
        pace.room(WANTS, at(5_000)),
        Room::NotBefore(at(60_000)),
        "the longer counts"
    );
    pace.rest(Some(at(1_000_000_000)), at(60_000));
    assert_eq!(
        pace.room(WANTS, at(60_000)),
        Room::NotBefore(at(3_660_000)),
        "an hour at most"
    );
    assert!(!pace.may_be_forgotten(at(60_000)));
}

#[test]
fn a_rate_that_is_changed_or_lifted_counts_at_once() {
    let with = |rate| Wants { rate, ..WANTS };
    let mut pace = Pace::new();
    assert_eq!(pace.room(with(Some(1)), at(0)), Room::Now(1));
    pace.took(1, at(0));
    pace.ended(Some(Said::Good), QUICK, 8, at(0));
    assert_eq!(pace.room(with(Some(1)), at(0)), Room::NotBefore(at(1_000)));
    assert_eq!(pace.room(with(None), at(0)), Room::Now(2));
    assert_eq!(pace.room(with(Some(100)), at(0)), Room::Now(2));
}

#[test]
fn a_breaker_that_opened_lets_one_through_at_a_time() {
    let mut pace = Pace::new();
    for _ in 0..5 {
        assert_eq!(pace.room(WANTS, at(0)), Room::Now(1));
        pace.took(1, at(0));
        pace.ended(Some(Said::Bad), QUICK, 8, at(0));
    }
    assert_eq!(pace.room(WANTS, at(1)), Room::NotBefore(at(30_000)));
    assert_eq!(pace.room(WANTS, at(30_000)), Room::Now(1));
    pace.took(1, at(30_000));
    assert_eq!(pace.room(WANTS, at(30_000)), Room::Full);
    pace.ended(Some(Said::Good), QUICK, 8, at(30_000));
    assert_eq!(pace.room(WANTS, at(30_000)), Room::Now(2));
}

proptest! {
    /// There are never more under way than may be, nor in any second more than the rate allows.
    #[test]
    fn its_limits_hold(
        rate in proptest::option::of(1_u32..50),
        concurrency in 1_u16..20,
        steps in proptest::collection::vec((0_i64..400, 0_u8..4), 1..400),
    ) {
        let wants = Wants { rate, concurrency };
        let mut pace = Pace::new();
        let mut now = 0;
        let mut taken: Vec<i64> = Vec::new();
        for (passed, what) in steps {
            now += passed;
            match what {
                0 if pace.under_way > 0 => pace.ended(Some(Said::Bad), QUICK, concurrency, at(now)),
                1 if pace.under_way > 0 => pace.ended(Some(Said::Good), QUICK, concurrency, at(now)),
                _ => {
                    if let Room::Now(room) = pace.room(wants, at(now)) {
                        prop_assert!(room >= 1);
                        pace.took(room, at(now));
                        taken.extend(std::iter::repeat_n(now, room.into()));
                    }
                }
            }
            prop_assert!(pace.under_way <= concurrency);
            if let Some(rate) = rate {
                let lately = taken.iter().filter(|then| now - **then < 1_000).count();
                prop_assert!(lately <= 2 * usize::try_from(rate).unwrap());
            }
        }
    }
}
