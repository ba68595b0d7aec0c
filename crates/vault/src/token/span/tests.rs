use super::*;
use proptest::prelude::*;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn limits(default: u64, max: u64) -> Limits {
    Limits {
        default: seconds(default),
        max: seconds(max),
    }
}

fn begun(ttl: u64, max_ttl: u64, explicit: u64, period: u64, limits: Limits) -> Span {
    // Zero is written as none by some and as zero by others: both are asked for in turn.
    let some = |count: u64| Some(seconds(count));
    let asked = SpanAsked {
        ttl: some(ttl),
        max_ttl: some(max_ttl),
        explicit_max_ttl: some(explicit).filter(|max| !max.is_zero()),
        period: some(period).filter(|period| !period.is_zero()),
    };
    Span::begin(&asked, limits, NOW)
}

#[test]
fn a_span_is_what_is_asked_for_within_what_bounds_it() {
    // ttl, max, explicit, period -> lasts
    for (ttl, max, explicit, period, lasts) in [
        (0, 0, 0, 0, 100),
        (50, 0, 0, 0, 50),
        (5_000, 0, 0, 0, 1_000),
        (500, 200, 0, 0, 200),
        (500, 200, 70, 0, 70),
        (50, 0, 5_000, 0, 50),
        (50, 0, 0, 300, 300),
        (50, 10, 0, 300, 300),
        (50, 0, 30, 300, 30),
        (0, 0, 0, 9_000, 1_000),
    ] {
        let span = begun(ttl, max, explicit, period, limits(100, 1_000));
        assert_eq!(
            span.left(NOW),
            seconds(lasts),
            "{ttl} {max} {explicit} {period}"
        );
        assert_eq!(span.ttl(), seconds(lasts));
    }
}

#[test]
fn a_mount_that_says_zero_says_nothing() {
    let vault = seconds(768 * 3_600);
    assert_eq!(
        Limits::of(None),
        Limits {
            default: vault,
            max: vault
        }
    );
    assert_eq!(given(Some(Duration::from_millis(999))), None);
}

#[test]
fn cve_2021_32923_a_renewal_in_the_last_second_or_after_it_ends_too() {
    let span = begun(10, 10, 0, 0, limits(10, 10));
    // The last second: it may be stretched no further than its maximum, which is that second.
    let last = NOW.plus(seconds(9));
    for increment in [
        None,
        Some(seconds(0)),
        Some(seconds(1)),
        Some(seconds(1_000_000)),
    ] {
        let renewed = span.renew(increment, limits(10, 10), last).unwrap();
        assert_eq!(renewed.expires(), NOW.plus(seconds(10)), "{increment:?}");
        assert!(!renewed.left(last).is_zero());
    }
    // At its end and after it there is nothing to renew.
    for after in [10, 11, 1_000] {
        let now = NOW.plus(seconds(after));
        assert_eq!(
            span.renew(None, limits(10, 10), now),
            Err(NotRenewed::Ended)
        );
    }
    // Also where a token lasts one second, or asks for less.
    let short = begun(1, 0, 0, 0, limits(100, 100));
    assert_eq!(short.left(NOW), seconds(1));
    let renewed = short.renew(None, limits(100, 100), NOW).unwrap();
    assert_eq!(renewed.left(NOW), seconds(1));
    let asked = SpanAsked {
        ttl: Some(Duration::from_millis(1)),
        ..SpanAsked::default()
    };
    assert_eq!(
        Span::begin(&asked, limits(100, 100), NOW).left(NOW),
        seconds(100)
    );
}

#[test]
fn a_mount_whose_maximum_shrank_bounds_renewals_from_then_on() {
    let span = begun(100, 0, 0, 0, limits(100, 1_000));
    let now = NOW.plus(seconds(60));
    assert_eq!(
        span.renew(None, limits(50, 80), now).unwrap().expires(),
        NOW.plus(seconds(80))
    );
    assert_eq!(
        span.renew(None, limits(50, 60), now),
        Err(NotRenewed::PastMax)
    );
    let periodic = begun(0, 0, 0, 100, limits(100, 1_000));
    let renewed = periodic.renew(None, limits(50, 80), now).unwrap();
    assert_eq!(renewed.left(now), seconds(80));
}

proptest! {
    #[test]
    fn renewing_never_passes_a_maximum_and_never_unends(
        (ttl, max_ttl, explicit, period) in (0_u64..500, 0_u64..500, 0_u64..500, 0_u64..500),
        (default, max) in (1_u64..400, 1_u64..400),
        renewals in proptest::collection::vec((0_u64..120, proptest::option::of(0_u64..1_000)), 0..40),
    ) {
        let limits = limits(default.min(max), max);
        let mut span = begun(ttl, max_ttl, explicit, period, limits);
        let mut now = NOW;
        prop_assert!(span.expires() > NOW);
        for (pause, increment) in renewals {
            now = now.plus(seconds(pause));
            let ended = span.has_ended(now);
            match span.renew(increment.map(seconds), limits, now) {
                Ok(next) => {
                    prop_assert!(!ended, "what has ended stays so");
                    prop_assert!(next.expires() > now, "what is renewed lasts");
                    prop_assert_eq!(next.created(), NOW);
                    span = next;
                }
                Err(NotRenewed::Ended) => prop_assert!(ended),
                Err(NotRenewed::PastMax) => prop_assert!(false, "a mount that stays as it is bounds no earlier than the span's own end"),
            }
            if explicit > 0 {
                prop_assert!(span.expires() <= NOW.plus(seconds(explicit)));
            }
            if period == 0 {
                let bound = if max_ttl > 0 { max_ttl.min(max) } else { max };
                prop_assert!(span.expires() <= NOW.plus(seconds(bound)));
            }
        }
    }
}
