use super::{RETRY_AFTER_MAX, Schedule, ScheduleError, Schedules};
use countersign_base::{Duration, UnixTime};
use countersign_crypto::random::Random;
use countersign_net::RetryAfter;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NOW: UnixTime = UnixTime(1_800_000_000);

/// Randomness that is this number throughout.
fn fixed(number: u64) -> Random {
    Random::from_fn(move |buffer| {
        let bytes = number.to_be_bytes();
        for (at, byte) in buffer.iter_mut().enumerate() {
            *byte = bytes[at % 8];
        }
    })
}

fn pause(schedule: &Schedule, attempt: u32, random: u64) -> Option<i64> {
    let due = schedule.due(attempt, None, &fixed(random), NOW)?;
    Some(due.0 - NOW.0)
}

#[test]
fn the_standard_schedule_is_that_of_standard_webhooks() {
    let schedules = Schedules::default();
    let standard = schedules.named("standard");
    let expected = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    assert_eq!(standard.attempts(), expected.len() + 1);
    for (attempt, seconds) in (1..).zip(expected) {
        // The least and the most of the jitter: a fifth either way.
        let fifth = seconds / 5;
        let most = u64::try_from(2 * fifth).unwrap();
        assert_eq!(pause(standard, attempt, 0), Some(seconds - fifth));
        assert_eq!(pause(standard, attempt, most), Some(seconds + fifth));
        assert_eq!(pause(standard, attempt, most + 1), Some(seconds - fifth));
    }
    assert_eq!(
        pause(standard, 10, 0),
        None,
        "the tenth attempt is the last"
    );
    assert_eq!(pause(standard, u32::MAX, 0), None);
}

#[test]
fn a_service_that_restarts_is_asked_again_within_a_minute_several_times() {
    let schedules = Schedules::default();
    let service = schedules.named("service");
    let first: i64 = (1..=5)
        .filter_map(|attempt| pause(service, attempt, 0))
        .sum();
    assert!(first < 60, "{first}");
    assert!(service.attempts() > schedules.named("standard").attempts());
}

#[test]
fn a_name_that_is_none_any_more_means_the_standard_schedule() {
    let own = Schedule::new(vec![Duration::from_secs(1)]).unwrap();
    let named = BTreeMap::from([("hourly".to_owned(), own.clone())]);
    let schedules = Schedules::new(named).unwrap();
    assert_eq!(schedules.named("hourly"), &own);
    assert_eq!(schedules.named("gone"), schedules.named("standard"));
    assert_eq!(schedules.named("once").attempts(), 1);
    assert!(schedules.knows("quick") && !schedules.knows("gone"));
    assert_eq!(
        schedules.listed(),
        "`hourly`, `once`, `quick`, `service`, `standard`"
    );
}

#[test]
fn a_schedule_has_a_name_of_its_own_that_endpoints_can_name() {
    let own = Schedule::new(vec![Duration::from_secs(1)]).unwrap();
    let of = |name: &str| Schedules::new(BTreeMap::from([(name.to_owned(), own.clone())]));
    let longest = "a".repeat(32);
    for name in ["every-2_hours", longest.as_str()] {
        assert!(of(name).is_ok(), "{name}");
    }
    let long = "a".repeat(33);
    for name in [
        "standard",
        "",
        "Hourly",
        "every hour",
        "über",
        long.as_str(),
    ] {
        assert_eq!(of(name).unwrap_err(), ScheduleError::Name, "{name}");
    }
    let many = |number| {
        let named = (0..number).map(|number: usize| (format!("s{number}"), own.clone()));
        Schedules::new(named.collect())
    };
    assert!(many(64).is_ok());
    assert_eq!(many(65).unwrap_err(), ScheduleError::Number);
}

#[test]
fn a_schedule_is_bounded() {
    let seconds = |number, seconds| vec![Duration::from_secs(seconds); number];
    assert!(Schedule::new(seconds(32, 604_800)).is_ok());
    let refused = |pauses| Schedule::new(pauses).unwrap_err();
    assert_eq!(refused(seconds(33, 1)), ScheduleError::Retries);
    assert_eq!(refused(seconds(1, 0)), ScheduleError::Pause);
    assert_eq!(refused(seconds(1, 604_801)), ScheduleError::Pause);
}

#[test]
fn what_the_receiver_asks_for_is_obeyed_and_no_more() {
    let schedules = Schedules::default();
    let standard = schedules.named("standard");
    let due = |attempt, asked| standard.due(attempt, Some(asked), &fixed(0), NOW).unwrap();
    let seconds = |seconds| RetryAfter::In(Duration::from_secs(seconds));
    assert_eq!(due(1, seconds(120)), UnixTime(NOW.0 + 120));
    assert_eq!(
        due(1, RetryAfter::At(UnixTime(NOW.0 + 77))),
        UnixTime(NOW.0 + 77)
    );
    assert_eq!(
        due(1, seconds(1)),
        UnixTime(NOW.0 + 4),
        "not sooner than the schedule"
    );
    assert_eq!(due(1, RetryAfter::At(UnixTime(0))), UnixTime(NOW.0 + 4));
    assert_eq!(
        due(1, seconds(u64::MAX)),
        NOW.plus(RETRY_AFTER_MAX),
        "nor for ever"
    );
}

proptest! {
    #[test]
    fn a_retry_is_never_sooner_than_four_fifths_of_its_pause_nor_later_than_it_may_be(
        pauses in proptest::collection::vec(1_u64..=604_800, 0..=32),
        attempt in 0_u32..40,
        random: u64,
        asked in proptest::option::of(0_u64..1_000_000),
    ) {
        let schedule = Schedule::new(pauses.iter().copied().map(Duration::from_secs).collect()).unwrap();
        let retry_after = asked.map(|seconds| RetryAfter::In(Duration::from_secs(seconds)));
        let due = schedule.due(attempt, retry_after, &fixed(random), NOW);
        let place = usize::try_from(attempt.max(1) - 1).unwrap();
        prop_assert_eq!(due.is_some(), place < pauses.len());
        if let Some(due) = due {
            let pause = i64::try_from(pauses[place]).unwrap();
            let wait = due.0 - NOW.0;
            prop_assert!(wait >= pause - pause / 5);
            prop_assert!(wait <= (pause + pause / 5).max(86_400));
            if let Some(asked) = asked {
                prop_assert!(wait >= i64::try_from(asked.min(86_400)).unwrap());
            }
        }
    }
}
