use super::*;

const NOW: UnixTime = UnixTime(1_700_000_000);

fn later(seconds: i64) -> UnixTime {
    UnixTime(NOW.0 + seconds)
}

#[test]
fn unknown_tokens_use_a_bucket_up_and_known_ones_do_not() {
    let lookups = LookUps::default();
    let (one, other) = (
        "192.0.2.1".parse().unwrap(),
        "2001:db8:0:1::1".parse().unwrap(),
    );
    for _ in 0..10 * MISSES_MAX {
        assert_eq!(lookups.begin(one, NOW), Ok(()));
    }
    for _ in 0..MISSES_MAX {
        assert_eq!(lookups.begin(one, NOW), Ok(()));
        lookups.missed(one, NOW);
    }
    assert_eq!(lookups.begin(one, NOW), Err(Duration::from_secs(1)));
    assert_eq!(lookups.begin(other, NOW), Ok(()));
    assert_eq!(lookups.begin(one, later(1)), Ok(()));
    lookups.missed(one, later(1));
    assert_eq!(lookups.begin(one, later(1)), Err(Duration::from_secs(1)));
}

#[test]
fn what_was_shown_at_once_is_waited_for_up_to_a_limit() {
    let lookups = LookUps::default();
    let (one, same) = (
        "2001:db8::1".parse().unwrap(),
        "2001:db8::ffff:1".parse().unwrap(),
    );
    for _ in 0..1_000 {
        lookups.missed(one, NOW);
    }
    assert_eq!(lookups.begin(same, NOW), Err(Duration::from_secs(61)));
    assert_eq!(lookups.begin(one, later(60)), Err(Duration::from_secs(1)));
    assert_eq!(lookups.begin(one, later(61)), Ok(()));
    // A clock that is set back locks nobody out.
    assert_eq!(lookups.begin(one, later(-3_600)), Ok(()));
}
