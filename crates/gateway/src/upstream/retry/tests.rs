use super::*;
use std::io;

fn unreachable() -> PassError {
    PassError::Connect(io::ErrorKind::ConnectionRefused.into())
}

#[test]
fn only_what_changes_nothing_is_sent_twice() {
    for (method, repeat) in [
        (Method::GET, Repeat::Harmless),
        (Method::PUT, Repeat::Harmless),
        (Method::DELETE, Repeat::Harmless),
        (Method::POST, Repeat::OnlyUnsent),
        (Method::PATCH, Repeat::OnlyUnsent),
        (Method::from_bytes(b"CHARGE").unwrap(), Repeat::OnlyUnsent),
    ] {
        assert_eq!(Repeat::of(&method), repeat, "{method}");
        assert!(is_worth_another(repeat, Err(&unreachable())), "{method}");
        let unavailable = is_worth_another(repeat, Ok(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(unavailable, repeat == Repeat::Harmless, "{method}");
        for ended in [
            Ok(StatusCode::OK),
            Ok(StatusCode::INTERNAL_SERVER_ERROR),
            Ok(StatusCode::TOO_MANY_REQUESTS),
            Err(&PassError::Timeout),
            Err(&PassError::Body),
            Err(&PassError::Busy),
        ] {
            assert!(!is_worth_another(repeat, ended), "{method} {ended:?}");
        }
    }
}

#[test]
fn waits_are_any_part_of_a_doubled_time() {
    let spec = RetrySpec {
        wait: Duration::from_millis(100),
        ..RetrySpec::default()
    };
    let ceilings = (1..8).map(|attempt| wait(&spec, attempt, u64::MAX).as_millis());
    assert_eq!(
        ceilings.collect::<Vec<_>>(),
        [100, 200, 400, 800, 1_600, 2_000, 2_000]
    );
    assert_eq!(wait(&spec, 3, 0), Duration::ZERO);
    assert_eq!(wait(&spec, 1, u64::MAX / 2).as_millis(), 50);
    assert_eq!(wait(&spec, 4_000_000_000, u64::MAX), WAIT_MAX);
}

#[test]
fn retries_are_earned() {
    let budget = Budget::new(&RetrySpec {
        budget_percent: 20,
        ..RetrySpec::default()
    });
    let spend_all = || (0..100).filter(|_| budget.spend() == Spent::Yes).count();
    assert_eq!(spend_all(), 10);
    (0..50).for_each(|_| budget.earn());
    assert_eq!(spend_all(), 10);
    (0..12).for_each(|_| budget.earn());
    assert_eq!(spend_all(), 2);
    (0..1_000).for_each(|_| budget.earn());
    assert_eq!(spend_all(), 10);
}
