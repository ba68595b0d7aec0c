use super::*;
use std::net::Ipv4Addr;

const SECOND: u64 = 1_000_000_000;

fn limit(requests: u32, seconds: u64) -> Limit {
    Limit::new(RateLimitSpec {
        requests,
        per: Duration::from_secs(seconds),
    })
    .unwrap()
}

const fn client(name: &str) -> Caller<'_> {
    Caller::Client {
        tenant: "demo",
        client: name,
    }
}

fn allowed(verdict: Verdict) -> Option<u64> {
    match verdict {
        Verdict::Allowed(quota) => Some(quota.remaining),
        Verdict::Exceeded { .. } | Verdict::Full => None,
    }
}

#[test]
fn a_bucket_empties_and_fills_with_time() {
    let (limiter, limit) = (Limiter::default(), limit(3, 60));
    let at = |now| limiter.take(0, client("a"), &limit, now);
    assert_eq!(allowed(at(0)), Some(2));
    assert_eq!(allowed(at(0)), Some(1));
    assert_eq!(allowed(at(0)), Some(0));
    assert_eq!(
        at(0),
        Verdict::Exceeded {
            quota: Quota {
                remaining: 0,
                reset_seconds: 60
            },
            retry_after_seconds: 20
        }
    );
    assert_eq!(allowed(at(20 * SECOND - 1)), None);
    assert_eq!(allowed(at(20 * SECOND)), Some(0));
    assert_eq!(allowed(at(200 * SECOND)), Some(2));
}

#[test]
fn callers_and_routes_have_their_own_buckets() {
    let (limiter, limit) = (Limiter::default(), limit(1, 60));
    assert!(allowed(limiter.take(0, client("a"), &limit, 0)).is_some());
    assert!(allowed(limiter.take(0, client("a"), &limit, 0)).is_none());
    assert!(allowed(limiter.take(0, client("b"), &limit, 0)).is_some());
    assert!(allowed(limiter.take(1, client("a"), &limit, 0)).is_some());
    let same_name = Caller::Client {
        tenant: "other",
        client: "a",
    };
    assert!(allowed(limiter.take(0, same_name, &limit, 0)).is_some());
}

#[test]
fn neighbours_of_one_ipv6_network_share_a_bucket() {
    let (limiter, limit) = (Limiter::default(), limit(1, 60));
    let from =
        |address: &str| limiter.take(0, Caller::Anonymous(address.parse().unwrap()), &limit, 0);
    assert!(allowed(from("2606:4700::1")).is_some());
    assert!(allowed(from("2606:4700::2")).is_none());
    assert!(allowed(from("2606:4700:0:1::2")).is_some());
    assert!(allowed(from("192.0.2.1")).is_some());
    assert!(allowed(from("192.0.2.2")).is_some());
    assert!(allowed(from("::ffff:192.0.2.1")).is_none());
}

#[test]
fn a_flood_of_strangers_is_bounded_and_leaves_clients_alone() {
    let (limiter, limit) = (Limiter::default(), limit(1, 60));
    let mut full = 0;
    for number in 0..u32::try_from(2 * CALLERS_MAX).unwrap() {
        let caller = Caller::Anonymous(IpAddr::V4(Ipv4Addr::from(number)));
        full += usize::from(limiter.take(0, caller, &limit, 0) == Verdict::Full);
    }
    let kept: usize = limiter
        .anonymous
        .iter()
        .map(|shard| shard.lock().unwrap().buckets.len())
        .sum();
    assert!(kept <= CALLERS_MAX && full > 0, "{kept} {full}");
    assert!(allowed(limiter.take(0, client("a"), &limit, 0)).is_some());
    // Buckets that are full again make room.
    assert!(
        allowed(limiter.take(
            0,
            Caller::Anonymous(IpAddr::V4(Ipv4Addr::BROADCAST)),
            &limit,
            120 * SECOND
        ))
        .is_some()
    );
}

#[test]
fn fields_follow_the_draft() {
    assert_eq!(limit(100, 60).policy_field(), "\"default\";q=100;w=60");
    assert_eq!(
        Quota {
            remaining: 7,
            reset_seconds: 12
        }
        .field(),
        "\"default\";r=7;t=12"
    );
    assert!(
        Limit::new(RateLimitSpec {
            requests: 0,
            per: Duration::from_secs(1)
        })
        .is_none()
    );
    assert!(
        Limit::new(RateLimitSpec {
            requests: 1,
            per: Duration::from_millis(900)
        })
        .is_none()
    );
}
