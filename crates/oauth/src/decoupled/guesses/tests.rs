use super::*;
use crate::fixture::{NOW, after};

fn key(number: u32) -> [u8; 32] {
    let mut key = [0; 32];
    // The counters go by the first eight bytes; spread them.
    key[..8].copy_from_slice(&u64::from(number).to_be_bytes());
    key
}

#[test]
fn dev_4_one_person_is_slowed_down_whatever_they_find_in_between() {
    let mut throttle = GuessThrottle::new(4096);
    for _ in 0..5 {
        let _wrong = throttle.begin(&key(1), &key(2), NOW).unwrap();
    }
    let wait = throttle.begin(&key(1), &key(2), NOW).unwrap_err();
    assert!(wait.after >= Duration::from_secs(1), "{wait:?}");
    // Somebody else is not.
    let right = throttle.begin(&key(3), &key(4), NOW).unwrap();
    throttle.right(right);
    // A right code of one's own does not forgive the wrong ones before it.
    let later = NOW.plus(wait.after);
    let right = throttle.begin(&key(1), &key(2), later).unwrap();
    throttle.right(right);
    assert!(throttle.begin(&key(1), &key(2), later).is_err());
}

#[test]
fn dev_4_a_source_is_slowed_down_over_many_people() {
    let mut throttle = GuessThrottle::new(65_536);
    for person in 0..50 {
        let _wrong = throttle.begin(&key(1000 + person), &key(7), NOW).unwrap();
    }
    assert!(throttle.begin(&key(2000), &key(7), NOW).is_err());
    let _other = throttle.begin(&key(2001), &key(8), NOW).unwrap();
}

#[test]
fn dev_4_everybody_together_is_bounded() {
    let mut throttle = GuessThrottle::new(65_536);
    for guess in 0..WRONG_MAX {
        let _wrong = throttle
            .begin(&key(guess), &key(10_000 + guess), NOW)
            .unwrap();
    }
    let wait = throttle.begin(&key(40_000), &key(40_001), after(10));
    assert_eq!(
        wait.unwrap_err().after,
        Duration::from_secs(50),
        "until the window ends"
    );
    let _next = throttle
        .begin(&key(40_000), &key(40_001), after(60))
        .unwrap();
}
