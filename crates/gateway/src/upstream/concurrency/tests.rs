use super::*;
use proptest::prelude::*;

const MILLISECOND: u64 = 1_000_000;

fn adaptive(max: u32, min: u32) -> ConcurrencySpec {
    ConcurrencySpec {
        max,
        adapt: Adapt::Latency { min },
    }
}

/// Windows of an upstream that serves so many at once without slowing down, and the rest in turn. All places are used.
fn run(gradient: &mut Gradient, serves: u64, windows: u64, now: &mut u64) {
    for _ in 0..windows {
        for _ in 0..=WINDOW_ANSWERS {
            let taken = gradient.limit();
            let took = 10 * MILLISECOND * u64::from(taken).max(serves) / serves;
            *now += WINDOW_NANOS / WINDOW_ANSWERS;
            gradient.answered(took, taken, *now);
        }
    }
}

#[test]
fn the_limit_finds_what_the_upstream_can_do() {
    let (mut gradient, mut now) = (Gradient::new(adaptive(1_000, 4)), 0);
    assert_eq!(gradient.limit(), 250);
    run(&mut gradient, 2_000, 200, &mut now);
    assert_eq!(gradient.limit(), 1_000);
    // It loses nine tenths of its strength: the limit comes down in seconds.
    run(&mut gradient, 100, 30, &mut now);
    assert!(gradient.limit() <= 250, "{}", gradient.limit());
    // And is well again.
    run(&mut gradient, 2_000, 400, &mut now);
    assert_eq!(gradient.limit(), 1_000);
}

#[test]
fn a_limit_that_nobody_uses_does_not_grow() {
    let (mut gradient, mut now) = (Gradient::new(adaptive(1_000, 4)), 0);
    for _ in 0..1_000 {
        now += WINDOW_NANOS / WINDOW_ANSWERS;
        gradient.answered(MILLISECOND, 3, now);
    }
    assert_eq!(gradient.limit(), 250);
}

#[test]
fn failures_cost_a_tenth_each_and_never_the_last_places() {
    let mut gradient = Gradient::new(adaptive(400, 4));
    gradient.failed();
    assert_eq!(gradient.limit(), 90);
    (0..100).for_each(|_| gradient.failed());
    assert_eq!(gradient.limit(), 4);
}

#[test]
fn strangers_have_half_of_the_places() {
    let gate = Gate::new(ConcurrencySpec {
        max: 4,
        adapt: Adapt::Fixed,
    });
    let strangers: Vec<Place> = (0..9)
        .filter_map(|_| gate.enter(Priority::Anonymous))
        .collect();
    assert_eq!(strangers.len(), 2);
    let known: Vec<Place> = (0..9)
        .filter_map(|_| gate.enter(Priority::Authenticated))
        .collect();
    assert_eq!(known.len(), 2);
    drop(strangers);
    assert!(
        gate.enter(Priority::Anonymous).is_none(),
        "half is taken by those who are known"
    );
    assert!(gate.enter(Priority::Authenticated).is_some());
    drop(known);
    assert!(gate.enter(Priority::Anonymous).is_some());
}

#[test]
fn cores_that_enter_at_once_find_no_more_places() {
    let gate = Gate::new(ConcurrencySpec {
        max: 100,
        adapt: Adapt::Fixed,
    });
    let all: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let places = (0..50).filter_map(|_| gate.enter(Priority::Authenticated));
                    places.collect::<Vec<_>>()
                })
            })
            .collect();
        let places: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        places.iter().map(Vec::len).sum()
    });
    assert_eq!(all, 100);
    assert_eq!(gate.taken.load(Ordering::Relaxed), 0);
}

proptest! {
    #[test]
    fn the_limit_stays_between_its_ends(
        max in 1_u32..100_000,
        min in 0_u32..200,
        steps in prop::collection::vec((0..u64::MAX / 2, 0_u32..100_000, 0..WINDOW_NANOS * 2, 0_u8..8), 1..200),
    ) {
        let mut gradient = Gradient::new(adaptive(max, min));
        let (least, most) = (min.max(1).min(max), max.min(PLACES_MAX));
        let mut now = 0;
        for (took, taken, gap, failed) in steps {
            now += gap;
            if failed == 0 { gradient.failed() } else { gradient.answered(took, taken, now) }
            prop_assert!((least..=most).contains(&gradient.limit()), "{}", gradient.limit());
        }
    }
}
