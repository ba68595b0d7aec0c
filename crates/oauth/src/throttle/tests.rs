use super::*;
use crate::fixture::{NOW, after};

const KEY: [u8; 32] = [9; 32];

fn fail(throttle: &mut SignInThrottle, times: u32, now: UnixTime) {
    for _ in 0..times {
        let _attempt = throttle.begin(&KEY, now).unwrap();
    }
}

#[test]
fn a56_a62_guessing_is_slowed_down_and_a_success_forgives() {
    let mut throttle = SignInThrottle::new(64);
    fail(&mut throttle, 5, NOW);
    assert_eq!(
        throttle.begin(&KEY, NOW).unwrap_err().after,
        Duration::from_secs(1)
    );
    let attempt = throttle.begin(&KEY, after(1)).unwrap();
    assert_eq!(
        throttle.begin(&KEY, after(1)).unwrap_err().after,
        Duration::from_secs(2),
        "each failure doubles the wait"
    );
    throttle.succeeded(attempt);
    fail(&mut throttle, 5, after(1));
}

#[test]
fn a56_parallel_guesses_count_when_they_begin() {
    let mut throttle = SignInThrottle::new(64);
    let attempts: Vec<_> = (0..200)
        .filter_map(|_| throttle.begin(&KEY, NOW).ok())
        .collect();
    assert_eq!(attempts.len(), 5);
}

#[test]
fn a56_a_flood_of_names_flushes_no_counter_and_takes_no_memory() {
    let mut throttle = SignInThrottle::new(64);
    fail(&mut throttle, 5, NOW);
    for name in 0..10_000_u64 {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(name * 7).to_be_bytes());
        drop(throttle.begin(&key, NOW));
    }
    assert!(throttle.begin(&KEY, NOW).is_err());
    assert_eq!(throttle.slots.len(), 64);
}

#[test]
fn the_wait_has_an_end_and_quiet_is_forgotten() {
    let mut throttle = SignInThrottle::new(64);
    let mut now = NOW;
    for _ in 0..40 {
        match throttle.begin(&KEY, now) {
            Ok(_attempt) => {}
            Err(wait) => {
                assert!(wait.after <= DELAY_MAX);
                now = now.plus(wait.after);
            }
        }
    }
    fail(&mut throttle, 5, now.plus(FORGET_AFTER));
}

#[test]
fn an_attempt_that_nobody_judged_does_not_count() {
    let mut throttle = SignInThrottle::new(64);
    for _ in 0..20 {
        let attempt = throttle.begin(&KEY, NOW).unwrap();
        throttle.abandoned(attempt);
    }
}

#[test]
fn a56_what_is_taken_back_takes_no_other_attempt_along() {
    let mut throttle = SignInThrottle::new(64);
    let right = throttle.begin(&KEY, NOW).unwrap();
    fail(&mut throttle, 4, NOW);
    throttle.abandoned(right);
    assert_eq!(throttle.failures(&KEY, NOW), 4);
    throttle.forgive(&KEY);
    assert_eq!(throttle.failures(&KEY, NOW), 0);
}
