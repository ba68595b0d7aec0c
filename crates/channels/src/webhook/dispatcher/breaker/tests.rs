use super::{Breaker, Passage, Said};
use countersign_base::UnixMillis;
use proptest::prelude::*;

fn at(millis: i64) -> UnixMillis {
    UnixMillis(1_800_000_000_000 + millis)
}

fn shut(millis: i64) -> Passage {
    Passage::Shut { until: at(millis) }
}

#[test]
fn five_failures_in_a_row_open_it() {
    let mut breaker = Breaker::new();
    for failure in 1..=5 {
        assert_eq!(breaker.passage(at(failure)), Passage::Free, "{failure}");
        breaker.said(Said::Bad, at(failure));
    }
    assert_eq!(breaker.passage(at(5)), shut(30_005));
    assert!(!breaker.is_fresh(at(30_005 + 3_599_999)));
    assert!(breaker.is_fresh(at(30_005 + 3_600_000)));
}

#[test]
fn a_success_between_them_begins_the_row_again() {
    let mut breaker = Breaker::new();
    for _ in 0..4 {
        breaker.said(Said::Bad, at(0));
    }
    breaker.said(Said::Good, at(0));
    for _ in 0..4 {
        breaker.said(Said::Bad, at(0));
    }
    assert_eq!(breaker.passage(at(0)), Passage::Free, "8 of 9");
    breaker.said(Said::Good, at(0));
    assert_eq!(
        breaker.passage(at(0)),
        Passage::Free,
        "a success opens nothing"
    );
    breaker.said(Said::Bad, at(0));
    assert_eq!(breaker.passage(at(0)), shut(30_000), "9 of 11");
}

#[test]
fn the_share_counts_what_was_said_in_five_minutes() {
    let fails = |later: i64| {
        let mut breaker = Breaker::new();
        for _ in 0..4 {
            breaker.said(Said::Bad, at(0));
        }
        breaker.said(Said::Good, at(0));
        for _ in 0..4 {
            breaker.said(Said::Bad, at(later));
        }
        breaker.said(Said::Good, at(later));
        breaker.said(Said::Bad, at(later));
        breaker.passage(at(later))
    };
    assert_eq!(fails(269_000), shut(299_000));
    assert_eq!(fails(300_000), Passage::Free);
}

#[test]
fn one_attempt_decides_and_each_failure_doubles_the_pause() {
    let mut breaker = Breaker::new();
    for _ in 0..5 {
        breaker.said(Said::Bad, at(0));
    }
    let mut until = 30_000;
    for pause in [60_000, 120_000, 240_000, 300_000, 300_000] {
        assert_eq!(breaker.passage(at(until - 1)), shut(until));
        assert_eq!(breaker.passage(at(until)), Passage::One);
        breaker.said(Said::Bad, at(until));
        until += pause;
        assert_eq!(breaker.passage(at(until - 1)), shut(until));
    }
    breaker.said(Said::Good, at(until));
    assert_eq!(breaker.passage(at(until)), Passage::Free);
    assert!(!breaker.is_fresh(at(until)));
    assert!(breaker.is_fresh(at(until + 300_000)));
    // And the next time it begins with the first pause.
    for _ in 0..5 {
        breaker.said(Said::Bad, at(until));
    }
    assert_eq!(breaker.passage(at(until)), shut(until + 30_000));
}

#[test]
fn what_was_under_way_when_it_opened_does_not_open_it_longer() {
    let mut breaker = Breaker::new();
    for _ in 0..20 {
        breaker.said(Said::Bad, at(0));
    }
    breaker.said(Said::Good, at(1));
    assert_eq!(breaker.passage(at(1)), shut(30_000));
}

#[test]
fn a_clock_that_is_set_back_shuts_nobody_out() {
    let mut breaker = Breaker::new();
    for _ in 0..5 {
        breaker.said(Said::Bad, at(0));
    }
    assert_eq!(breaker.passage(at(0)), shut(30_000));
    let day = 86_400_000;
    assert_eq!(breaker.passage(at(-day)), Passage::One);
    breaker.said(Said::Bad, at(-day));
    assert_eq!(breaker.passage(at(-day)), shut(60_000 - day));
    breaker.said(Said::Good, at(60_000 - day));
    assert_eq!(breaker.passage(at(60_000 - day)), Passage::Free);
}

proptest! {
    /// Whatever is said: it is never shut for longer than five minutes, never opens by a success, and a success of its trial closes it.
    #[test]
    fn it_opens_again(steps in proptest::collection::vec((0_i64..100_000, any::<bool>()), 1..300)) {
        let mut breaker = Breaker::new();
        let mut now = 0;
        for (passed, good) in steps {
            now += passed;
            let before = breaker.passage(at(now));
            let said = if good { Said::Good } else { Said::Bad };
            breaker.said(said, at(now));
            let after = breaker.passage(at(now));
            if let Passage::Shut { until } = after {
                prop_assert!(until.0 - at(now).0 <= 300_000);
                let was_shut = matches!(before, Passage::Shut { .. });
                prop_assert!(!good || was_shut);
            }
            if before == Passage::One {
                prop_assert_eq!(after == Passage::Free, good);
            }
            if let Passage::Shut { until } = before {
                prop_assert_eq!(after, Passage::Shut { until });
            }
        }
    }
}
