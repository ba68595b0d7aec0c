//! The conformance suite of the limiter: both forms are sent the same requests at the same times and must say the same of each, to the last second.
//! The form in the process is held against the slow models by its own tests.
//!
//! Needs a Redis to start (`COUNTERSIGN_TEST_REDIS`), which the suite `redis` brings; without one a line says so.

use super::*;

/// The verdict, if the counts are there.
async fn counted(
    limits: (&RouteLimits, &SharedLimits),
    counters: &SharedCounters,
    caller: &Caller<'_>,
    clock: CounterClock,
) -> Option<Verdict> {
    match counted_there(limits, counters, caller, clock).await {
        There::Verdict(verdict) => Some(verdict),
        There::Away | There::Busy => None,
    }
}

use crate::limiter::{Known, Quota};
use countersign_base::Secret;
use countersign_crypto::Random;
use countersign_store::redis::{Presence, RedisAddress, RedisOptions};
use countersign_testkit::RedisServer;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

const START: u64 = 1_700_000_000_000_000;
const SECOND: u64 = 1_000_000;
const DAY: u64 = 86_400 * SECOND;

fn counters(server: &RedisServer, timeout: Duration) -> SharedCounters {
    let options = RedisOptions {
        address: RedisAddress::Unix(server.socket()),
        user: None,
        password: None,
        database: 0,
        timeout,
        names: Secret::new([7; 32]),
        told: Box::new(|_| ()),
    };
    SharedCounters::start(options, Random::system())
}

/// Waits for the breaker to say so; nothing but the task at the connection moves it.
async fn until(counters: &SharedCounters, wanted: Presence) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while counters.presence() != wanted {
        assert!(Instant::now() < deadline, "not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn shared(away: WhenAway, nodes: u32) -> Sharing {
    let nodes = NonZeroU32::new(nodes).unwrap();
    Sharing::Processes(SharedSpec { away, nodes })
}

fn spec(name: &str, algorithm: Algorithm, requests: u32, per: Duration) -> LimitSpec {
    LimitSpec {
        name: name.to_owned(),
        algorithm,
        requests,
        per,
        by: [Dimension::Client].into(),
        strangers: Strangers::ByNetwork,
        sharing: shared(WhenAway::Share, 2),
    }
}

fn limits(specs: Vec<LimitSpec>) -> RouteLimits {
    RouteLimits::new(specs).unwrap().unwrap()
}

fn caller(number: usize) -> Caller<'static> {
    let known = |client, subject| Known {
        client,
        issuer: "https://id.example",
        subject,
    };
    let (known, certificate, address) = match number {
        0 => (Some(known("portal", "alice")), None, "192.0.2.1"),
        1 => (Some(known("portal", "bob")), Some([1; 32]), "192.0.2.1"),
        2 => (
            Some(known("billing", "alice")),
            Some([1; 32]),
            "2001:db8::1",
        ),
        3 => (None, None, "192.0.2.1"),
        _ => (None, None, "2001:db8::2"),
    };
    Caller {
        route: "orders",
        tenant: "demo",
        known,
        certificate,
        address: address.parse().unwrap(),
    }
}

fn at(micros: u64) -> Moment {
    Moment {
        steady: micros * 1_000,
        wall: UnixTime(i64::try_from(micros / SECOND).unwrap()),
    }
}

async fn there(
    counters: &SharedCounters,
    limits: &RouteLimits,
    caller: &Caller<'_>,
    micros: u64,
) -> Verdict {
    let clock = CounterClock::Told(micros);
    let both = (limits, limits.shared().unwrap());
    counted(both, counters, caller, clock).await.unwrap()
}

/// Numbers that divide nothing, of windows so long that no state expires by the server's own clock during a test.
fn any_spec() -> impl Strategy<Value = LimitSpec> {
    let algorithm = prop_oneof![
        (1_u32..6).prop_map(|burst| Algorithm::TokenBucket { burst }),
        Just(Algorithm::FixedWindow),
        Just(Algorithm::SlidingWindow),
        Just(Algorithm::LeakyBucket { queue: 0 }),
        Just(Algorithm::Calendar(CalendarWindow::Day)),
        Just(Algorithm::Calendar(CalendarWindow::Month)),
    ];
    let every = [
        Dimension::Certificate,
        Dimension::Client,
        Dimension::Network,
        Dimension::Route,
        Dimension::Subject,
        Dimension::Tenant,
    ];
    let by = prop::sample::subsequence(every.to_vec(), 1..4);
    let strangers = prop_oneof![Just(Strangers::ByNetwork), Just(Strangers::Together)];
    let micros = 600 * SECOND..2_000 * SECOND;
    (algorithm, 1_u32..8, micros, by, strangers).prop_map(
        |(algorithm, requests, micros, by, strangers)| LimitSpec {
            by: by.into_iter().collect::<BTreeSet<_>>(),
            strangers,
            ..spec("limit", algorithm, requests, Duration::from_micros(micros))
        },
    )
}

fn arrivals() -> impl Strategy<Value = Vec<(u64, usize)>> {
    let gap = prop_oneof![
        4 => Just(0),
        4 => 0..400 * SECOND,
        2 => 0..4_000 * SECOND,
        1 => 0..40 * DAY,
    ];
    prop::collection::vec((gap, 0_usize..5), 1..40)
}

#[test]
fn both_forms_say_the_same_of_every_request() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let counters = runtime.block_on(async {
        let counters = counters(&server, Duration::from_secs(5));
        until(&counters, Presence::There).await;
        counters
    });
    let cases = AtomicU32::new(0);
    let given = (prop::collection::vec(any_spec(), 1..5), arrivals());
    let mut runner = TestRunner::new(Config::with_cases(192));
    runner
        .run(&given, |(mut specs, arrivals)| {
            let case = cases.fetch_add(1, Ordering::Relaxed);
            for (number, spec) in specs.iter_mut().enumerate() {
                spec.name = format!("case-{case}-{number}");
            }
            let (limits, limiter) = (limits(specs), Limiter::default());
            let mut now = START;
            for (gap, number) in arrivals {
                now += gap;
                let caller = caller(number);
                let here = limiter.take(&limits, &caller, at(now));
                let there = runtime.block_on(there(&counters, &limits, &caller, now));
                prop_assert_eq!(here, there, "at {}", now);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_leaky_bucket_makes_wait_as_long_in_both_forms() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let counters = runtime.block_on(async {
        let counters = counters(&server, Duration::from_secs(5));
        until(&counters, Presence::There).await;
        counters
    });
    // 7 in 10 seconds: none of the waits is a whole number of microseconds.
    let paced = Algorithm::LeakyBucket { queue: 20 };
    let limits = limits(vec![spec("paced", paced, 7, Duration::from_secs(10))]);
    let limiter = Limiter::default();
    let mut waited = 0;
    for number in 0..24 {
        let here = limiter.take(&limits, &caller(0), at(START + number));
        let there = runtime.block_on(there(&counters, &limits, &caller(0), START + number));
        waited +=
            usize::from(matches!(&there, Verdict::Admitted { delay, .. } if !delay.is_zero()));
        assert_eq!(here, there);
    }
    assert_eq!(waited, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_share_a_limit_let_through_exactly_what_it_says() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let day = Duration::from_secs(86_400);
    let all = limits(vec![
        spec("all", Algorithm::TokenBucket { burst: 500 }, 500, day),
        spec(
            "month",
            Algorithm::Calendar(CalendarWindow::Month),
            700,
            day,
        ),
    ]);
    let nodes: Vec<SharedCounters> = (0..3)
        .map(|_| counters(&server, Duration::from_secs(5)))
        .collect();
    let mut senders = tokio::task::JoinSet::new();
    for node in nodes {
        until(&node, Presence::There).await;
        for _ in 0..8 {
            let (node, all) = (node.clone(), all.clone());
            senders.spawn(async move {
                let mut through = 0_u32;
                for _ in 0..40 {
                    let both = (&all, all.shared().unwrap());
                    let clock = CounterClock::Server;
                    let verdict = counted(both, &node, &caller(0), clock).await;
                    through += u32::from(matches!(verdict.unwrap(), Verdict::Admitted { .. }));
                }
                through
            });
        }
    }
    let through: u32 = senders.join_all().await.into_iter().sum();
    assert_eq!(through, 500);
}

#[tokio::test]
async fn nothing_in_redis_says_who_called_and_everything_expires() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let counters = counters(&server, Duration::from_secs(5));
    until(&counters, Presence::There).await;
    let minute = Duration::from_secs(60);
    let all = limits(vec![
        spec("fixed", Algorithm::FixedWindow, 5, minute),
        spec("sliding", Algorithm::SlidingWindow, 5, minute),
        spec("bucket", Algorithm::TokenBucket { burst: 5 }, 5, minute),
        spec("day", Algorithm::Calendar(CalendarWindow::Day), 5, minute),
    ]);
    let both = (&all, all.shared().unwrap());
    counted(both, &counters, &caller(1), CounterClock::Server)
        .await
        .unwrap();
    let keys = server.say("KEYS *").unwrap();
    let keys: Vec<&str> = keys.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(keys.len(), 4, "{keys:?}");
    for key in keys {
        let state = server.say(&format!("GET {key}")).unwrap();
        assert!(
            state
                .lines()
                .nth(1)
                .unwrap()
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b' '),
            "{state}"
        );
        let (_, name) = key.split_once("}:").unwrap();
        assert_eq!(name.len(), 22, "{key}");
        let lives = server.say(&format!("PTTL {key}")).unwrap();
        let lives: i64 = lives.trim().trim_start_matches(':').parse().unwrap();
        assert!((1..=2 * 86_400_000 + 1_000).contains(&lives), "{lives}");
    }
}

#[tokio::test]
async fn a_servers_clock_that_is_set_back_costs_one_bucket_and_no_more() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let counters = counters(&server, Duration::from_secs(5));
    until(&counters, Presence::There).await;
    let all = limits(vec![spec(
        "bucket",
        Algorithm::TokenBucket { burst: 2 },
        60,
        Duration::from_secs(3_600),
    )]);
    for _ in 0..2 {
        let taken = there(&counters, &all, &caller(0), START).await;
        assert!(matches!(taken, Verdict::Admitted { .. }));
    }
    let day_before = START - DAY;
    let Verdict::Exceeded {
        retry_after_seconds,
        quotas,
    } = there(&counters, &all, &caller(0), day_before).await
    else {
        panic!("let through")
    };
    assert_eq!(retry_after_seconds, 60);
    assert_eq!(
        quotas,
        [Quota {
            remaining: 0,
            reset_seconds: 120
        }]
    );
}

#[tokio::test]
async fn g55_a_server_that_is_killed_is_away_at_once_and_comes_back_by_itself() {
    let Some(mut server) = RedisServer::start(&[]) else {
        return;
    };
    let counters = counters(&server, Duration::from_millis(250));
    until(&counters, Presence::There).await;
    let all = limits(vec![spec(
        "f",
        Algorithm::FixedWindow,
        3,
        Duration::from_secs(86_400),
    )]);
    let both = (&all, all.shared().unwrap());
    let take = async || counted(both, &counters, &caller(0), CounterClock::Server).await;
    assert!(take().await.is_some());
    server.kill();
    // The first that notices and all after it have no count; nobody waits for longer than the timeout.
    let asked = Instant::now();
    assert_eq!(take().await, None);
    until(&counters, Presence::Away).await;
    assert_eq!(take().await, None);
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert_eq!(counters.losses(), 1);
    server.restart();
    until(&counters, Presence::There).await;
    assert!(take().await.is_some());
}

#[tokio::test]
async fn g55_a_server_that_hangs_counts_as_away_until_it_answers_again() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let counters = counters(&server, Duration::from_millis(25));
    until(&counters, Presence::There).await;
    let all = limits(vec![spec(
        "f",
        Algorithm::FixedWindow,
        100,
        Duration::from_secs(86_400),
    )]);
    let both = (&all, all.shared().unwrap());
    let take = async || counted(both, &counters, &caller(0), CounterClock::Server).await;
    server.freeze();
    let mut asked = 0;
    let began = Instant::now();
    while counters.presence() == Presence::There {
        assert_eq!(take().await, None);
        asked += 1;
        // Three are enough; one more may be asked before the third was counted.
        assert!(asked <= 4, "{asked}");
    }
    assert!(began.elapsed() < Duration::from_secs(2));
    // From here on nobody waits for it: a thousand answers in the time of a few timeouts.
    let began = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(take().await, None);
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    server.thaw();
    let deadline = Instant::now() + Duration::from_secs(20);
    // On a busy machine one more answer may come too late.
    let quotas = loop {
        until(&counters, Presence::There).await;
        match take().await {
            Some(Verdict::Admitted { quotas, .. }) => break quotas,
            Some(other) => panic!("{other:?}"),
            None => assert!(Instant::now() < deadline, "it never answered again"),
        }
    };
    // What was sent before it hung may have been charged, and never more than that.
    assert!((50..=99).contains(&quotas[0].remaining), "{quotas:?}");
}

#[tokio::test]
async fn a_password_of_a_user_opens_and_a_wrong_one_does_not() {
    let user = ["--user", "counts", "on", ">right", "+@all", "~*"];
    let arguments = [user.as_slice(), &["--user", "default", "off"]].concat();
    let Some(server) = RedisServer::start(&arguments) else {
        return;
    };
    let with = |password: &'static str| {
        let options = RedisOptions {
            address: RedisAddress::Unix(server.socket()),
            user: Some("counts".to_owned()),
            password: Some(std::sync::Arc::new(|| Ok(Secret::new(password.to_owned())))),
            database: 0,
            timeout: Duration::from_secs(5),
            names: Secret::new([7; 32]),
            told: Box::new(|_| ()),
        };
        SharedCounters::start(options, Random::system())
    };
    let (right, wrong) = (with("right"), with("wrong"));
    until(&right, Presence::There).await;
    assert_eq!(wrong.presence(), Presence::Away);
}

#[test]
fn while_they_are_away_a_route_does_what_it_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let limiter = Limiter::default();
    let minute = Duration::from_secs(60);
    let taken = |away, nodes, requests| {
        let all = limits(vec![LimitSpec {
            sharing: shared(away, nodes),
            ..spec("one", Algorithm::FixedWindow, requests, minute)
        }]);
        let taken = (0..4).map(|_| {
            let both = (&all, all.shared().unwrap());
            let caller = caller(0);
            let taken = runtime.block_on(limiter.take_shared(both, None, &caller, at(START)));
            let through = match &taken {
                CountedBy::Closed => false,
                CountedBy::Nobody => true,
                CountedBy::Processes(verdict) | CountedBy::Share(_, verdict) => {
                    matches!(verdict, Verdict::Admitted { .. })
                }
            };
            (taken.how().as_str(), through)
        });
        taken.collect::<Vec<_>>()
    };
    assert_eq!(taken(WhenAway::Closed, 2, 100), [("closed", false); 4]);
    assert_eq!(taken(WhenAway::Open, 2, 1), [("open", true); 4]);
    let share = |through| ("share", through);
    // Two of six for each of three.
    assert_eq!(
        taken(WhenAway::Share, 3, 6),
        [share(true), share(true), share(false), share(false)]
    );
    // At least one, though three share two.
    assert_eq!(
        taken(WhenAway::Share, 3, 2),
        [share(true), share(false), share(false), share(false)]
    );
}

#[test]
fn limits_of_a_route_are_all_shared_or_none() {
    let minute = Duration::from_secs(60);
    let one = spec("one", Algorithm::FixedWindow, 5, minute);
    let with = |name: &str, sharing| LimitSpec {
        name: name.to_owned(),
        sharing,
        ..one.clone()
    };
    let both = |other| RouteLimits::new(vec![one.clone(), with("two", other)]);
    assert!(both(shared(WhenAway::Share, 2)).is_ok());
    for other in [
        Sharing::Process,
        shared(WhenAway::Closed, 2),
        shared(WhenAway::Share, 3),
    ] {
        let refused = both(other).map(drop);
        assert_eq!(
            refused,
            Err(("two".to_owned(), LimitError::Mixed)),
            "{other:?}"
        );
    }
    let deep = Algorithm::TokenBucket { burst: 100_000 };
    let slow = LimitSpec {
        algorithm: deep,
        ..spec("slow", deep, 1, Duration::from_secs(86_400))
    };
    assert_eq!(
        RouteLimits::new(vec![slow.clone()]).map(drop),
        Err(("slow".to_owned(), LimitError::Shared))
    );
    let alone = LimitSpec {
        sharing: Sharing::Process,
        ..slow
    };
    assert!(RouteLimits::new(vec![alone]).is_ok());
}

#[test]
fn names_tell_callers_apart_as_the_process_does() {
    let every: Vec<LimitSpec> = [
        Dimension::Certificate,
        Dimension::Client,
        Dimension::Network,
        Dimension::Route,
        Dimension::Subject,
        Dimension::Tenant,
    ]
    .into_iter()
    .map(|by| LimitSpec {
        by: [by].into(),
        ..spec("one", Algorithm::FixedWindow, 5, Duration::from_secs(60))
    })
    .collect();
    let identities: BTreeSet<Vec<u8>> = every.iter().map(identity).collect();
    assert_eq!(identities.len(), every.len());
    for spec in every {
        let by = spec.by.clone();
        let limit = Limit::new(spec).unwrap();
        let hash = |number| {
            let caller = caller(number);
            let (key, side) = (
                crate::limiter::Key {
                    limit: &limit,
                    caller: &caller,
                },
                crate::limiter::Side::of(&limit, &caller),
            );
            let mut hasher = std::hash::DefaultHasher::new();
            std::hash::Hash::hash(&key, &mut hasher);
            (std::hash::Hasher::finish(&hasher), side)
        };
        for one in 0..5 {
            for other in 0..5 {
                let (here, there) = (
                    hash(one) == hash(other),
                    caller_of(&limit, &caller(one)) == caller_of(&limit, &caller(other)),
                );
                assert_eq!(here, there, "{by:?} {one} {other}");
            }
        }
    }
}
