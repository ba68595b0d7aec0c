use super::{Asks, Verdict};
use countersign_base::Duration;
use countersign_net::{Answer, DeliveryError, Refused, RetryAfter, Unanswered};
use http::StatusCode;

fn answered(status: u16) -> Verdict {
    answered_with(status, None)
}

fn answered_with(status: u16, retry_after: Option<RetryAfter>) -> Verdict {
    Verdict::of(&Ok(Answer {
        status: StatusCode::from_u16(status).unwrap(),
        retry_after,
        excerpt: bytes::Bytes::new(),
    }))
}

fn failed(verdict: Verdict) -> (&'static str, Option<u16>, Asks) {
    match verdict {
        Verdict::Failed(failure) => (failure.reason, failure.status, failure.asks),
        other => panic!("{other:?}"),
    }
}

#[test]
fn success_is_2xx_and_nothing_else() {
    for status in 100..600 {
        let delivered = answered(status) == Verdict::Delivered { status };
        assert_eq!(delivered, (200..300).contains(&status), "{status}");
    }
}

#[test]
fn what_standard_webhooks_gives_a_meaning_has_it() {
    assert_eq!(answered(410), Verdict::Gone);
    for status in [429, 502, 504] {
        let expected = ("throttled", Some(status), Asks::Less);
        assert_eq!(failed(answered(status)), expected);
    }
    for status in [301, 302, 303, 307, 308] {
        let expected = ("redirect", Some(status), Asks::Nothing);
        assert_eq!(failed(answered(status)), expected);
    }
    for status in [400, 401, 404, 500, 503] {
        let expected = ("status", Some(status), Asks::Nothing);
        assert_eq!(failed(answered(status)), expected);
    }
    let soon = Some(RetryAfter::In(Duration::from_secs(1)));
    let expected = ("throttled", Some(503), Asks::Less);
    assert_eq!(failed(answered_with(503, soon)), expected);
}

#[test]
fn what_can_not_change_is_told_from_what_may() {
    assert_eq!(Verdict::of(&Err(DeliveryError::Busy)), Verdict::Untried);
    let refused = Verdict::of(&Err(Refused::Url.into()));
    assert_eq!(refused, Verdict::Never { reason: "url" });
    let late = Verdict::of(&Err(Unanswered::Timeout.into()));
    assert_eq!(failed(late), ("timeout", None, Asks::Nothing));
}
