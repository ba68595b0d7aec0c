use super::Bucket;
use countersign_base::UnixMillis;
use proptest::prelude::*;

#[test]
fn a_second_is_worth_the_rate_and_no_more_is_saved() {
    let mut bucket = Bucket::new(10, UnixMillis(0));
    assert_eq!(bucket.there(UnixMillis(0)), 10);
    bucket.take(10, UnixMillis(0));
    assert_eq!(bucket.there(UnixMillis(0)), 0);
    assert_eq!(bucket.next(UnixMillis(0)), UnixMillis(100));
    assert_eq!(bucket.there(UnixMillis(99)), 0);
    assert_eq!(bucket.there(UnixMillis(100)), 1);
    assert_eq!(bucket.there(UnixMillis(1_000)), 10);
    assert_eq!(bucket.there(UnixMillis(3_600_000)), 10);
    assert!(bucket.is_full(UnixMillis(3_600_000)));
}

#[test]
fn a_clock_that_is_set_back_gives_nothing_away() {
    let mut bucket = Bucket::new(1, UnixMillis(10_000));
    bucket.take(1, UnixMillis(10_000));
    assert_eq!(bucket.there(UnixMillis(0)), 0);
    assert_eq!(bucket.next(UnixMillis(0)), UnixMillis(1_000));
    assert_eq!(bucket.there(UnixMillis(1_000)), 1);
}

proptest! {
    /// Over any time no more is taken than the rate allows, and a second's worth.
    #[test]
    fn the_rate_bites(
        rate in 1_u32..1_000,
        steps in proptest::collection::vec((0_i64..500, 0_u32..50), 1..200),
    ) {
        let mut bucket = Bucket::new(rate, UnixMillis(0));
        let (mut now, mut taken) = (0_i64, 0_u64);
        for (passed, wanted) in steps {
            now += passed;
            let tokens = wanted.min(bucket.there(UnixMillis(now)));
            bucket.take(tokens, UnixMillis(now));
            taken += u64::from(tokens);
            let most = u64::from(rate) + u64::from(rate) * u64::try_from(now).unwrap() / 1_000;
            prop_assert!(taken <= most);
        }
        let next = bucket.next(UnixMillis(now));
        prop_assert!(bucket.there(next) >= 1);
    }
}
