use super::*;
use crate::fixture::{NOW, after};

#[test]
fn ciba_28_a_poll_that_comes_too_early_makes_the_interval_longer() {
    let (mut pace, ends) = (PollPace::default(), after(600));
    let mut poll = |second| pace.poll(&[1; 32], ends, after(second));
    assert_eq!(poll(0), Pace::Kept, "the first comes when it likes");
    assert_eq!(poll(5), Pace::Kept);
    assert_eq!(poll(9), Pace::TooFast);
    assert_eq!(poll(14), Pace::TooFast, "ten seconds from now on");
    assert_eq!(poll(28), Pace::TooFast, "fifteen from now on");
    assert_eq!(poll(48), Pace::Kept, "twenty were kept");
    assert_eq!(
        pace.poll(&[2; 32], ends, NOW),
        Pace::Kept,
        "another request"
    );
}

#[test]
fn the_memory_is_bounded_and_forgets_what_expired() {
    let mut pace = PollPace::default();
    let handle = |number: usize| {
        let mut handle = [0; 32];
        handle[..8].copy_from_slice(&number.to_be_bytes());
        handle
    };
    for number in 0..POLLED_MAX {
        let _kept = pace.poll(&handle(number), after(60), NOW);
    }
    assert_eq!(
        pace.poll(&handle(POLLED_MAX), after(60), NOW),
        Pace::TooFast,
        "full"
    );
    assert_eq!(
        pace.poll(&handle(POLLED_MAX), after(120), after(60)),
        Pace::Kept,
        "the others are over"
    );
    assert_eq!(pace.polled.len(), 1);
}
