use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn breaker() -> Breaker {
    Breaker::new(BreakerSpec {
        failures: 3,
        ejection: Duration::from_secs(1),
    })
}

#[test]
fn failures_in_a_row_open_the_circuit_and_one_trial_closes_it() {
    let mut breaker = breaker();
    for _ in 0..2 {
        breaker.report(Outcome::Failed, 0);
        assert_eq!(breaker.usable(Completeness::Whole, 0), Usable::Yes);
    }
    breaker.report(Outcome::Succeeded, 0);
    for _ in 0..3 {
        assert_eq!(breaker.usable(Completeness::Whole, 0), Usable::Yes);
        breaker.report(Outcome::Failed, 0);
    }
    assert_eq!(
        breaker.usable(Completeness::Whole, SECOND - 1),
        Usable::Ejected { until: SECOND }
    );
    assert_eq!(breaker.usable(Completeness::Whole, SECOND), Usable::Trial);
    breaker.begin_trial(Completeness::Whole, SECOND);
    assert!(
        matches!(
            breaker.usable(Completeness::Whole, SECOND),
            Usable::Ejected { .. }
        ),
        "one trial at a time"
    );
    breaker.report(Outcome::Succeeded, SECOND);
    assert_eq!(breaker.usable(Completeness::Whole, SECOND), Usable::Yes);
}

#[test]
fn an_ejection_lasts_twice_as_long_each_time_up_to_its_limit() {
    let mut breaker = breaker();
    let mut now = 0;
    for _ in 0..3 {
        breaker.report(Outcome::Failed, now);
    }
    let mut lengths = Vec::new();
    for _ in 0..12 {
        let Usable::Ejected { until } = breaker.usable(Completeness::Whole, now) else {
            panic!("not ejected")
        };
        lengths.push((until - now) / SECOND);
        now = until;
        breaker.begin_trial(Completeness::Whole, now);
        breaker.report(Outcome::Failed, now);
    }
    assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
}

#[test]
fn a_trial_that_is_given_up_or_lost_makes_room_for_another() {
    let mut breaker = breaker();
    for _ in 0..3 {
        breaker.report(Outcome::Failed, 0);
    }
    breaker.begin_trial(Completeness::Whole, SECOND);
    breaker.report(Outcome::Nothing, SECOND + 1);
    assert_eq!(
        breaker.usable(Completeness::Whole, SECOND + 1),
        Usable::Trial
    );
    breaker.begin_trial(Completeness::Whole, SECOND + 1);
    assert_eq!(
        breaker.usable(Completeness::Whole, SECOND + 1 + TRIAL_MAX_NANOS),
        Usable::Trial
    );
}

#[test]
fn whoever_is_still_sending_keeps_a_trial_from_its_like_alone_and_for_a_moment() {
    let mut breaker = breaker();
    for _ in 0..3 {
        breaker.report(Outcome::Failed, 0);
    }
    breaker.begin_trial(Completeness::Arriving, SECOND);
    let of = |breaker: &Breaker, body, now| breaker.usable(body, now);
    assert_eq!(of(&breaker, Completeness::Whole, SECOND), Usable::Trial);
    let until = SECOND + ARRIVING_TRIAL_MAX_NANOS;
    assert_eq!(
        of(&breaker, Completeness::Arriving, until - 1),
        Usable::Ejected { until }
    );
    assert_eq!(of(&breaker, Completeness::Arriving, until), Usable::Trial);
    // Taken over, it is no longer the first one's to give up.
    breaker.begin_trial(Completeness::Whole, SECOND + 1);
    breaker.abandon_trial(SECOND, SECOND + 2);
    assert!(matches!(
        of(&breaker, Completeness::Whole, SECOND + 2),
        Usable::Ejected { .. }
    ));
    breaker.abandon_trial(SECOND + 1, SECOND + 2);
    assert_eq!(of(&breaker, Completeness::Whole, SECOND + 2), Usable::Trial);
}

proptest! {
    /// However outcomes come, an address is never away for longer than the limit, and a success on trial brings it back.
    #[test]
    fn nothing_is_ejected_for_ever(steps in prop::collection::vec((0_u8..4, 0..10 * SECOND), 0..200)) {
        let (mut breaker, mut now) = (breaker(), 0);
        for (step, gap) in steps {
            now += gap;
            match (step, breaker.usable(Completeness::Whole, now)) {
                (3, Usable::Trial) => breaker.begin_trial(Completeness::Whole, now),
                (0, _) => breaker.report(Outcome::Succeeded, now),
                (1, _) => breaker.report(Outcome::Nothing, now),
                _ => breaker.report(Outcome::Failed, now),
            }
            if let Usable::Ejected { until } = breaker.usable(Completeness::Whole, now) {
                prop_assert!(until - now <= u64::try_from(EJECTION_MAX.as_nanos()).unwrap());
                prop_assert_eq!(breaker.usable(Completeness::Whole, until), Usable::Trial);
            }
        }
    }
}
