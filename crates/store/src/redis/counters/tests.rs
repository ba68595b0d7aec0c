use super::*;

fn requests(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

#[test]
fn what_a_request_costs_is_exact_whatever_divides_it() {
    let rule = CounterRule::bucket(requests(7), Duration::from_secs(1), 3).unwrap();
    let Kind::Bucket { cost, depth, .. } = rule.0 else {
        panic!("{rule:?}")
    };
    // 1,000,000 / 7 and 3,000,000 / 7 microseconds.
    assert_eq!((cost.whole, cost.part), (142_857, 1));
    assert_eq!((depth.whole, depth.part), (428_571, 3));
}

#[test]
fn numbers_that_the_script_would_round_are_refused() {
    let minute = Duration::from_secs(60);
    assert!(CounterRule::bucket(requests(1), minute, 366 * 1_440).is_some());
    assert!(CounterRule::bucket(requests(1), minute, 366 * 1_440 + 1).is_none());
    assert!(CounterRule::bucket(requests(u32::MAX), WINDOW_MAX, u64::from(u32::MAX)).is_some());
    for per in [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_nanos(1_001),
        WINDOW_MAX + minute,
    ] {
        assert!(CounterRule::fixed(requests(1), per).is_none(), "{per:?}");
        assert!(CounterRule::sliding(requests(1), per).is_none(), "{per:?}");
        assert!(
            CounterRule::bucket(requests(1), per, 1).is_none(),
            "{per:?}"
        );
    }
    assert!(CounterRule::fixed(requests(1), WINDOW_MAX).is_some());
    assert!(CounterRule::sliding(requests(1), Duration::from_micros(1)).is_some());
}

#[test]
fn keys_show_no_name_and_lie_in_one_slot() {
    let key = CounterName([0xff; 16]).key();
    assert_eq!(key, "{countersign-limits}:_____________________w");
}

#[test]
fn an_answer_that_is_none_is_not_read() {
    let ask = CounterAsk {
        name: CounterName([0; 16]),
        rule: CounterRule::sliding(requests(5), Duration::from_secs(1)).unwrap(),
    };
    let good = [1, 1_700_000_000, 5, 42, 1, 2];
    assert_eq!(
        read(&[ask], &good),
        Some(Counted {
            charged: Charged::All,
            at_micros: 1_700_000_000_000_005,
            states: vec![CounterState::Sliding {
                index: 42,
                before: 1,
                count: 2
            }],
        })
    );
    let bad: [&[u64]; 6] = [
        &[],
        &[1, 1_700_000_000],
        &[2, 1_700_000_000, 5, 42, 1, 2],
        &[1, 1_700_000_000, 5, 42, 1],
        &[1, 1_700_000_000, 5, 42, 1, 2, 42, 1, 2],
        &[1, 1_700_000_000, 5, 42, u64::MAX, 2],
    ];
    for numbers in bad {
        assert_eq!(read(&[ask], numbers), None, "{numbers:?}");
    }
    assert!(read(&[], &good).is_none());
}
