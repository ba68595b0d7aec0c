//! Each way of counting against a slow model that remembers every request: what is let through, after what wait, what is left, and when to
//! come back.

use super::*;
use proptest::prelude::*;

/// A model remembers the times of what it let through, and answers whether one more may come at `now` and how long it waits.
trait Model {
    fn may(&self, admitted: &[Admitted], now: Moment) -> Option<u64>;
}

#[derive(Debug, Clone, Copy)]
struct Admitted {
    at: Moment,
    /// When it is passed on, in the units of the buckets.
    leaves: u128,
}

struct Token {
    requests: u32,
    per: u64,
    burst: u32,
}

impl Model for Token {
    /// Pours tokens in between requests, exactly: units are nanoseconds times requests, one token is worth `per` of them.
    fn may(&self, admitted: &[Admitted], now: Moment) -> Option<u64> {
        let (rate, price) = (u128::from(self.requests), u128::from(self.per));
        let capacity = u128::from(self.burst) * price;
        let (mut level, mut last) = (capacity, 0_u64);
        for before in admitted {
            level = (level + u128::from(before.at.steady - last) * rate).min(capacity) - price;
            last = before.at.steady;
        }
        level = (level + u128::from(now.steady - last) * rate).min(capacity);
        (level >= price).then_some(0)
    }
}

struct Fixed {
    requests: u32,
    per: u64,
}

impl Model for Fixed {
    fn may(&self, admitted: &[Admitted], now: Moment) -> Option<u64> {
        let window = now.steady / self.per;
        let same = admitted
            .iter()
            .filter(|before| before.at.steady / self.per == window);
        (same.count() < self.requests as usize).then_some(0)
    }
}

struct Calendar {
    requests: u32,
}

impl Model for Calendar {
    fn may(&self, admitted: &[Admitted], now: Moment) -> Option<u64> {
        let day = now.wall.0 / 86_400;
        let same = admitted
            .iter()
            .filter(|before| before.at.wall.0 / 86_400 == day);
        (same.count() < self.requests as usize).then_some(0)
    }
}

struct Sliding {
    requests: u32,
    per: u64,
}

impl Model for Sliding {
    fn may(&self, admitted: &[Admitted], now: Moment) -> Option<u64> {
        let window = now.steady / self.per;
        let of = |wanted: Option<u64>| {
            let in_it = |before: &&Admitted| Some(before.at.steady / self.per) == wanted;
            admitted.iter().filter(in_it).count() as u128
        };
        let left = u128::from((window + 1) * self.per - now.steady);
        let weight =
            of(window.checked_sub(1)) * left + (of(Some(window)) + 1) * u128::from(self.per);
        (weight <= u128::from(self.requests) * u128::from(self.per)).then_some(0)
    }
}

struct Leaky {
    requests: u32,
    per: u64,
    queue: u32,
}

impl Model for Leaky {
    /// Counts who still waits: with the new one they must fit into the queue, unless it need not wait at all.
    fn may(&self, admitted: &[Admitted], now: Moment) -> Option<u64> {
        let (rate, pace) = (u128::from(self.requests), u128::from(self.per));
        let scaled = u128::from(now.steady) * rate;
        let Some(last) = admitted.last() else {
            return Some(0);
        };
        let leaves = (last.leaves + pace).max(scaled);
        let waiting = admitted.iter().filter(|before| before.leaves > scaled);
        let fits = leaves == scaled || waiting.count() < self.queue as usize;
        fits.then(|| u64::try_from((leaves - scaled).div_ceil(rate)).unwrap())
    }
}

/// Runs both over the same arrivals, and asks the model when it would next say yes.
fn agree(rule: Rule, model: &dyn Model, requests: u32, gaps: &[u64]) -> Result<(), TestCaseError> {
    let (mut state, mut admitted) = (0, Vec::new());
    let mut now = Moment {
        steady: 0,
        wall: UnixTime(1_700_000_000),
    };
    for gap in gaps {
        now = later(now, *gap);
        let expected = model.may(&admitted, now);
        match (rule.take(state, now), expected) {
            (Ok(taken), Some(delay_nanos)) => {
                prop_assert_eq!(taken.delay_nanos, delay_nanos);
                prop_assert!(rule.quota(state, now).remaining >= 1);
                state = taken.state;
                let scaled = u128::from(now.steady) * u128::from(requests);
                // What is passed on leaves exactly at its place; the wait is only rounded for the timer.
                let leaves = match rule.algorithm {
                    Algorithm::LeakyBucket { .. } => state - rule.per.get(),
                    _ => scaled,
                };
                admitted.push(Admitted { at: now, leaves });
            }
            (Err(refused), None) => {
                prop_assert_eq!(rule.quota(state, now).remaining, 0);
                prop_assert!(refused.retry_nanos > 0);
                let then = later(now, refused.retry_nanos);
                prop_assert!(model.may(&admitted, then).is_some(), "too early");
                if !matches!(rule.algorithm, Algorithm::Calendar(_)) {
                    let just_before = later(now, refused.retry_nanos - 1);
                    prop_assert!(model.may(&admitted, just_before).is_none(), "too late");
                }
            }
            (taken, expected) => prop_assert!(false, "{taken:?} {expected:?} at {now:?}"),
        }
        remaining_is_true(rule, model, state, &admitted, now)?;
        // At rest a state says what one that was never seen says.
        let rest = Moment {
            steady: rule.rest_at(state, now).max(now.steady),
            wall: later(now, rule.rest_at(state, now).saturating_sub(now.steady)).wall,
        };
        prop_assert_eq!(
            rule.quota(state, rest).remaining,
            rule.quota(0, rest).remaining
        );
    }
    Ok(())
}

/// As many as `remaining` says go through at once, and not one more.
fn remaining_is_true(
    rule: Rule,
    model: &dyn Model,
    state: u128,
    admitted: &[Admitted],
    now: Moment,
) -> Result<(), TestCaseError> {
    let (mut state, mut admitted) = (state, admitted.to_vec());
    for left in (1..=rule.quota(state, now).remaining).rev() {
        prop_assert_eq!(rule.quota(state, now).remaining, left);
        let taken = rule.take(state, now);
        prop_assert!(taken.is_ok() && model.may(&admitted, now).is_some());
        let scaled = u128::from(now.steady) * rule.pace.get();
        state = taken.map_or(state, |taken| taken.state);
        let leaves = match rule.algorithm {
            Algorithm::LeakyBucket { .. } => state - rule.per.get(),
            _ => scaled,
        };
        admitted.push(Admitted { at: now, leaves });
    }
    prop_assert!(rule.take(state, now).is_err() && model.may(&admitted, now).is_none());
    Ok(())
}

fn later(now: Moment, nanos: u64) -> Moment {
    let steady = now.steady + nanos;
    Moment {
        steady,
        wall: UnixTime(1_700_000_000 + i64::try_from(steady / SECOND).unwrap()),
    }
}

/// Windows and gaps that do not divide each other, so that rounding would show.
fn numbers() -> impl Strategy<Value = (u32, u64, u32, Vec<u64>)> {
    (1_u32..9, 1_u64..5_000, 0_u32..6).prop_flat_map(|(requests, per, extra)| {
        let gaps =
            prop::collection::vec(prop_oneof![Just(0), Just(per), 0..per, 0..per * 3], 1..40);
        (Just(requests), Just(per), Just(extra), gaps)
    })
}

proptest! {
    #[test]
    fn a_token_bucket_agrees_with_pouring((requests, per, extra, gaps) in numbers()) {
        let burst = extra + 1;
        let rule = Rule::new(Algorithm::TokenBucket { burst }, requests, per).unwrap();
        agree(rule, &Token { requests, per, burst }, requests, &gaps)?;
    }

    #[test]
    fn a_fixed_window_agrees_with_counting((requests, per, _, gaps) in numbers()) {
        let rule = Rule::new(Algorithm::FixedWindow, requests, per).unwrap();
        agree(rule, &Fixed { requests, per }, requests, &gaps)?;
    }

    #[test]
    fn a_sliding_window_agrees_with_weighing((requests, per, _, gaps) in numbers()) {
        let rule = Rule::new(Algorithm::SlidingWindow, requests, per).unwrap();
        agree(rule, &Sliding { requests, per }, requests, &gaps)?;
    }

    #[test]
    fn a_leaky_bucket_agrees_with_a_queue((requests, per, queue, gaps) in numbers()) {
        let rule = Rule::new(Algorithm::LeakyBucket { queue }, requests, per).unwrap();
        agree(rule, &Leaky { requests, per, queue }, requests, &gaps)?;
    }

    #[test]
    fn a_quota_of_the_day_agrees_with_counting(requests in 1_u32..5, hours in prop::collection::vec(0_u64..30, 1..30)) {
        let gaps: Vec<u64> = hours.iter().map(|hours| hours * 3_600 * SECOND).collect();
        let rule = Rule::new(Algorithm::Calendar(CalendarWindow::Day), requests, 0).unwrap();
        agree(rule, &Calendar { requests }, requests, &gaps)?;
    }

    /// The largest numbers that configuration can write, and any state that is not too far off.
    #[test]
    fn no_numbers_overflow(requests in 1_u32.., burst in 1_u32.., per in 1_u64..=31 * 86_400 * SECOND, steady: u64, state: u128) {
        let now = Moment { steady, wall: UnixTime(i64::try_from(steady >> 1).unwrap()) };
        for algorithm in [
            Algorithm::TokenBucket { burst },
            Algorithm::FixedWindow,
            Algorithm::SlidingWindow,
            Algorithm::Calendar(CalendarWindow::Month),
        ] {
            let rule = Rule::new(algorithm, requests, per).unwrap();
            for state in [0, state >> 64, rule.take(0, now).map_or(0, |taken| taken.state)] {
                let _ = (rule.take(state, now), rule.quota(state, now), rule.rest_at(state, now));
            }
        }
    }
}

#[test]
fn a_calendar_that_is_set_back_begins_no_window_again() {
    let rule = Rule::new(Algorithm::Calendar(CalendarWindow::Day), 1, 0).unwrap();
    let at = |wall: i64| Moment {
        steady: 0,
        wall: UnixTime(wall),
    };
    let today = rule.take(0, at(86_400 * 100)).unwrap().state;
    assert!(rule.take(today, at(86_400 * 100 - 5)).is_err());
    assert!(rule.take(today, at(86_400 * 100 + 5)).is_err());
    assert!(rule.take(today, at(86_400 * 101)).is_ok());
}

#[test]
fn rules_of_nothing_are_no_rules() {
    assert!(Rule::new(Algorithm::FixedWindow, 0, 1).is_none());
    assert!(Rule::new(Algorithm::FixedWindow, 1, 0).is_none());
    assert!(Rule::new(Algorithm::TokenBucket { burst: 0 }, 1, 1).is_none());
    assert!(Rule::new(Algorithm::LeakyBucket { queue: 0 }, 1, 1).is_some());
}
