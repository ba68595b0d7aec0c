use super::*;
use countersign_base::UnixTime;
use proptest::prelude::*;
use std::net::Ipv4Addr;

const SECOND: u64 = 1_000_000_000;

fn at(steady: u64) -> Moment {
    Moment {
        steady,
        wall: UnixTime(1_700_000_000 + i64::try_from(steady / SECOND).unwrap()),
    }
}

fn spec(name: &str, requests: u32, by: &[Dimension]) -> LimitSpec {
    LimitSpec {
        name: name.to_owned(),
        algorithm: Algorithm::TokenBucket { burst: requests },
        requests,
        per: Duration::from_secs(60),
        by: by.iter().copied().collect(),
        strangers: Strangers::ByNetwork,
        sharing: Sharing::Process,
    }
}

fn limits(specs: Vec<LimitSpec>) -> RouteLimits {
    RouteLimits::new(specs).unwrap().unwrap()
}

fn per_client(requests: u32) -> RouteLimits {
    limits(vec![spec(
        "default",
        requests,
        &[Dimension::Client, Dimension::Route],
    )])
}

fn client(name: &str) -> Caller<'_> {
    Caller {
        route: "orders",
        tenant: "demo",
        known: Some(Known {
            client: name,
            issuer: "https://id.example",
            subject: "alice",
        }),
        certificate: None,
        address: "192.0.2.1".parse().unwrap(),
    }
}

fn stranger(address: &str) -> Caller<'static> {
    Caller {
        route: "orders",
        tenant: "demo",
        known: None,
        certificate: None,
        address: address.parse().unwrap(),
    }
}

/// What is left of each limit, if the request was let through.
fn left(verdict: Verdict) -> Option<Vec<u64>> {
    match verdict {
        Verdict::Admitted { quotas, .. } => {
            Some(quotas.iter().map(|quota| quota.remaining).collect())
        }
        Verdict::Exceeded { .. } | Verdict::Full => None,
    }
}

fn admits(limiter: &Limiter, limits: &RouteLimits, caller: &Caller<'_>) -> bool {
    left(limiter.take(limits, caller, at(0))).is_some()
}

#[test]
fn a_bucket_empties_and_fills_with_time() {
    let (limiter, limits) = (Limiter::default(), per_client(3));
    let take = |now| limiter.take(&limits, &client("a"), at(now));
    assert_eq!(left(take(0)), Some(vec![2]));
    assert_eq!(left(take(0)), Some(vec![1]));
    assert_eq!(left(take(0)), Some(vec![0]));
    assert_eq!(
        take(0),
        Verdict::Exceeded {
            quotas: vec![Quota {
                remaining: 0,
                reset_seconds: 60
            }],
            retry_after_seconds: 20
        }
    );
    assert_eq!(left(take(20 * SECOND - 1)), None);
    assert_eq!(left(take(20 * SECOND)), Some(vec![0]));
    assert_eq!(left(take(200 * SECOND)), Some(vec![2]));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn who_is_counted_together_is_what_the_limit_says() {
    let base = client("a");
    let other = |change: fn(&mut Caller<'static>)| {
        let mut caller = client("a");
        change(&mut caller);
        caller
    };
    let known = |client, subject| Known {
        client,
        issuer: "https://id.example",
        subject,
    };
    let cases: [(Dimension, Caller<'_>, Caller<'_>); 6] = [
        (
            Dimension::Client,
            Caller {
                known: Some(known("b", "alice")),
                ..base
            },
            other(|caller| caller.route = "other"),
        ),
        (
            Dimension::Subject,
            Caller {
                known: Some(known("a", "bob")),
                ..base
            },
            Caller {
                known: Some(known("b", "alice")),
                ..base
            },
        ),
        (
            Dimension::Tenant,
            other(|caller| caller.tenant = "other"),
            Caller {
                known: Some(known("b", "bob")),
                ..base
            },
        ),
        (
            Dimension::Route,
            other(|caller| caller.route = "other"),
            other(|caller| caller.tenant = "other"),
        ),
        (
            Dimension::Certificate,
            other(|caller| caller.certificate = Some([1; 32])),
            other(|caller| caller.route = "other"),
        ),
        (
            Dimension::Network,
            other(|caller| caller.address = Ipv4Addr::new(192, 0, 2, 2).into()),
            Caller {
                known: Some(known("b", "bob")),
                ..base
            },
        ),
    ];
    for (dimension, apart, together) in cases {
        let limiter = Limiter::default();
        let limits = limits(vec![spec("one", 1, &[dimension])]);
        assert!(admits(&limiter, &limits, &base), "{dimension:?}");
        assert!(!admits(&limiter, &limits, &base), "{dimension:?}");
        assert!(!admits(&limiter, &limits, &together), "{dimension:?}");
        assert!(admits(&limiter, &limits, &apart), "{dimension:?}");
    }
    // A name in another tenant is another client, and another issuer's subject another person.
    let limiter = Limiter::default();
    let by_client = limits(vec![spec("one", 1, &[Dimension::Client])]);
    assert!(admits(&limiter, &by_client, &base));
    assert!(admits(
        &limiter,
        &by_client,
        &other(|caller| caller.tenant = "other")
    ));
    let by_subject = limits(vec![spec("two", 1, &[Dimension::Subject])]);
    let elsewhere = Known {
        issuer: "https://other.example",
        ..known("a", "alice")
    };
    assert!(admits(&limiter, &by_subject, &base));
    assert!(admits(
        &limiter,
        &by_subject,
        &Caller {
            known: Some(elsewhere),
            ..base
        }
    ));
}

#[test]
fn strangers_share_a_count_by_network_or_all_of_them() {
    let (limiter, limits_) = (Limiter::default(), per_client(1));
    assert!(admits(&limiter, &limits_, &stranger("2606:4700::1")));
    assert!(!admits(&limiter, &limits_, &stranger("2606:4700::2")));
    assert!(admits(&limiter, &limits_, &stranger("2606:4700:0:1::2")));
    assert!(admits(&limiter, &limits_, &stranger("192.0.2.1")));
    assert!(admits(&limiter, &limits_, &stranger("192.0.2.2")));
    assert!(!admits(&limiter, &limits_, &stranger("::ffff:192.0.2.1")));
    let together = LimitSpec {
        strangers: Strangers::Together,
        ..spec("together", 1, &[Dimension::Client])
    };
    let together = limits(vec![together]);
    assert!(admits(&limiter, &together, &stranger("192.0.2.1")));
    assert!(!admits(&limiter, &together, &stranger("198.51.100.1")));
    assert!(admits(&limiter, &together, &client("a")));
    // Of each tenant by itself.
    let elsewhere = |address| Caller {
        tenant: "other",
        ..stranger(address)
    };
    assert!(admits(&limiter, &together, &elsewhere("192.0.2.1")));
    assert!(!admits(&limiter, &together, &elsewhere("198.51.100.1")));
}

#[test]
fn a_limit_that_goes_by_no_identity_has_one_count_for_callers_and_strangers() {
    for by in [
        [Dimension::Route].as_slice(),
        &[Dimension::Tenant],
        &[Dimension::Network],
        &[Dimension::Network, Dimension::Route],
    ] {
        let (limiter, one) = (Limiter::default(), limits(vec![spec("one", 2, by)]));
        assert!(admits(&limiter, &one, &client("a")), "{by:?}");
        assert!(admits(&limiter, &one, &stranger("192.0.2.1")), "{by:?}");
        assert!(!admits(&limiter, &one, &client("a")), "{by:?}");
        assert!(!admits(&limiter, &one, &stranger("192.0.2.1")), "{by:?}");
    }
    let (limiter, one) = (Limiter::default(), per_client(1));
    assert!(admits(&limiter, &one, &client("a")));
    assert!(admits(&limiter, &one, &stranger("192.0.2.1")));
    // Limits of both kinds in one request.
    let limiter = Limiter::default();
    let both = limits(vec![
        spec("client", 5, &[Dimension::Client]),
        spec("route", 2, &[Dimension::Route]),
        spec("network", 9, &[Dimension::Network]),
    ]);
    let take = |caller: &Caller<'_>| left(limiter.take(&both, caller, at(0)));
    assert_eq!(take(&client("a")), Some(vec![4, 1, 8]));
    assert_eq!(take(&stranger("192.0.2.1")), Some(vec![4, 0, 7]));
    assert_eq!(take(&client("a")), None);
}

#[test]
fn all_limits_must_admit_and_a_refusal_charges_none() {
    let limiter = Limiter::default();
    let both = limits(vec![
        spec("client", 5, &[Dimension::Client]),
        spec("tenant", 7, &[Dimension::Tenant]),
        LimitSpec {
            algorithm: Algorithm::Calendar(CalendarWindow::Day),
            ..spec("daily", 100, &[Dimension::Subject])
        },
    ]);
    for _ in 0..5 {
        assert!(admits(&limiter, &both, &client("a")));
    }
    for _ in 0..50 {
        let Verdict::Exceeded { quotas, .. } = limiter.take(&both, &client("a"), at(0)) else {
            panic!("let through")
        };
        let remaining: Vec<u64> = quotas.iter().map(|quota| quota.remaining).collect();
        assert_eq!(remaining, [0, 2, 95]);
    }
    // The tenant has two left, whatever was refused.
    assert_eq!(
        left(limiter.take(&both, &client("b"), at(0))),
        Some(vec![4, 1, 94])
    );
    assert_eq!(
        left(limiter.take(&both, &client("b"), at(0))),
        Some(vec![3, 0, 93])
    );
    assert!(!admits(&limiter, &both, &client("b")));
}

#[test]
fn the_longest_wait_is_what_the_caller_is_told() {
    let limiter = Limiter::default();
    let both = limits(vec![
        spec("quick", 60, &[Dimension::Client]),
        LimitSpec {
            per: Duration::from_secs(3_600),
            ..spec("slow", 1, &[Dimension::Client])
        },
        LimitSpec {
            algorithm: Algorithm::LeakyBucket { queue: 2 },
            ..spec("paced", 60, &[Dimension::Client])
        },
    ]);
    assert!(matches!(
        limiter.take(&both, &client("a"), at(0)),
        Verdict::Admitted { delay, .. } if delay.is_zero()
    ));
    let Verdict::Exceeded {
        retry_after_seconds,
        ..
    } = limiter.take(&both, &client("a"), at(0))
    else {
        panic!("let through")
    };
    assert_eq!(retry_after_seconds, 3_600);
}

#[test]
fn a_leaky_bucket_makes_wait_and_then_refuses() {
    let limiter = Limiter::default();
    let paced = limits(vec![LimitSpec {
        algorithm: Algorithm::LeakyBucket { queue: 2 },
        ..spec("paced", 60, &[Dimension::Client])
    }]);
    let waits: Vec<Option<Duration>> = (0..4)
        .map(|_| match limiter.take(&paced, &client("a"), at(0)) {
            Verdict::Admitted { delay, .. } => Some(delay),
            Verdict::Exceeded { .. } | Verdict::Full => None,
        })
        .collect();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(waits, [seconds(0), seconds(1), seconds(2), None]);
}

#[test]
fn a_flood_of_strangers_is_bounded_and_leaves_clients_alone() {
    let (limiter, limits) = (Limiter::default(), per_client(1));
    let first = stranger("203.0.113.7");
    assert!(admits(&limiter, &limits, &first));
    for number in 0..u32::try_from(2 * CALLERS_MAX).unwrap() {
        let caller = Caller {
            address: IpAddr::V4(Ipv4Addr::from(number)),
            ..first
        };
        admits(&limiter, &limits, &caller);
    }
    let (own, common) = limiter.strangers.len();
    assert!(
        own <= CALLERS_MAX && common <= CALLERS_MAX / 4,
        "{own} {common}"
    );
    // The flood has not made anybody's count begin again.
    assert!(!admits(&limiter, &limits, &first));
    assert!(admits(&limiter, &limits, &client("a")));
    // What is at rest makes room.
    let later = limiter.take(&limits, &stranger("255.255.255.255"), at(120 * SECOND));
    assert!(left(later).is_some());
}

#[test]
fn newcomers_share_what_is_left_when_there_is_no_room() {
    let (limiter, limits) = (Limiter::default(), per_client(2));
    for number in 0..u32::try_from(3 * CALLERS_MAX).unwrap() {
        let caller = Caller {
            address: IpAddr::V4(Ipv4Addr::from(number.wrapping_mul(2_654_435_761))),
            ..stranger("192.0.2.1")
        };
        admits(&limiter, &limits, &caller);
    }
    let (own, common) = limiter.strangers.len();
    assert!(own >= CALLERS_MAX * 9 / 10 && common > 0, "{own} {common}");
    // Newcomers of one network are counted together now: of many, a few pass for each shard, and the rest are told to wait.
    let mut passed = 0;
    for number in 0..10_000_u32 {
        let caller = Caller {
            address: IpAddr::V4(Ipv4Addr::from((10 << 24) | (7 << 16) | number)),
            ..stranger("192.0.2.1")
        };
        passed += u32::from(admits(&limiter, &limits, &caller));
    }
    assert!(passed <= 2 * 64 + 700, "{passed}");
}

#[test]
fn one_tenant_cannot_take_the_whole_table() {
    let (limiter, by_subject) = (
        Limiter::default(),
        limits(vec![spec("one", 1, &[Dimension::Subject])]),
    );
    let people: Vec<String> = (0..CALLERS_MAX).map(|number| number.to_string()).collect();
    let of = |tenant: &'static str, subject: &str| {
        let mut caller = client("a");
        caller.tenant = tenant;
        let known = Known {
            client: "a",
            issuer: "https://id.example",
            subject,
        };
        left(limiter.take(
            &by_subject,
            &Caller {
                known: Some(known),
                ..caller
            },
            at(0),
        ))
        .is_some()
    };
    for person in &people {
        of("greedy", person);
    }
    let (own, _) = limiter.known.len();
    assert!(own <= CALLERS_MAX / 2, "{own}");
    assert!(people[..1_000].iter().all(|person| of("modest", person)));
    assert!(people[..1_000].iter().all(|person| !of("modest", person)));
}

#[test]
fn a_reload_keeps_the_counts_of_limits_that_stay() {
    let limiter = Limiter::default();
    assert!(admits(&limiter, &per_client(1), &client("a")));
    assert!(!admits(&limiter, &per_client(1), &client("a")));
    assert!(admits(&limiter, &per_client(2), &client("a")));
}

proptest! {
    /// Any number of limits in any order, against one map that remembers what was let through.
    #[test]
    fn together_they_let_through_what_each_would(
        requests in prop::collection::vec(1_u32..6, 1..5),
        arrivals in prop::collection::vec((0_usize..3, 0_usize..3), 1..60),
    ) {
        let dimensions = [Dimension::Client, Dimension::Subject, Dimension::Route, Dimension::Tenant];
        let specs: Vec<LimitSpec> = requests
            .iter()
            .zip(dimensions)
            .map(|(requests, by)| LimitSpec {
                algorithm: Algorithm::FixedWindow,
                ..spec(&format!("{by:?}").to_lowercase(), *requests, &[by])
            })
            .collect();
        let together = limits(specs);
        let (limiter, names) = (Limiter::default(), ["a", "b", "c"]);
        let mut counts = std::collections::HashMap::new();
        for (client, subject) in arrivals {
            let keys = [names[client].to_owned(), format!("subject {subject}"), "route".to_owned(), "tenant".to_owned()];
            let known = Known { client: names[client], issuer: "i", subject: &keys[1] };
            let caller = Caller { known: Some(known), ..self::client("x") };
            let fits = requests.iter().zip(&keys).all(|(requests, key)| counts.get(key).is_none_or(|count| count < requests));
            if fits {
                for key in keys.iter().take(requests.len()) {
                    *counts.entry(key.clone()).or_insert(0_u32) += 1;
                }
            }
            prop_assert_eq!(admits(&limiter, &together, &caller), fits);
        }
    }
}

#[test]
fn cores_that_ask_at_once_let_through_no_more() {
    let (limiter, limits) = (
        Limiter::default(),
        limits(vec![
            spec("client", 100, &[Dimension::Client]),
            spec("tenant", 150, &[Dimension::Tenant]),
            spec("route", 1_000, &[Dimension::Route]),
        ]),
    );
    let passed: usize = std::thread::scope(|scope| {
        let ask = |name: &'static str| {
            let (limiter, limits) = (&limiter, &limits);
            scope.spawn(move || {
                (0..200)
                    .filter(|_| admits(limiter, limits, &client(name)))
                    .count()
            })
        };
        let threads: Vec<_> = ["a", "b", "a", "b"].into_iter().map(ask).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(passed, 150);
}

#[test]
fn fields_follow_the_draft() {
    let both = limits(vec![
        LimitSpec {
            algorithm: Algorithm::Calendar(CalendarWindow::Month),
            ..spec("monthly", 5_000, &[Dimension::Tenant])
        },
        spec("default", 100, &[Dimension::Client]),
    ]);
    assert_eq!(
        both.policy_field(),
        "\"monthly\";q=5000, \"default\";q=100;w=60"
    );
    let quota = |remaining, reset_seconds| Quota {
        remaining,
        reset_seconds,
    };
    assert_eq!(
        both.field(&[quota(9, 86_400), quota(7, 12)]),
        "\"monthly\";r=9;t=86400, \"default\";r=7;t=12"
    );
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let good = || spec("one", 1, &[Dimension::Client]);
    let why = |spec: LimitSpec| RouteLimits::new(vec![spec]).err().map(|(_, error)| error);
    assert_eq!(why(good()), None);
    let with = |change: fn(&mut LimitSpec)| {
        let mut spec = good();
        change(&mut spec);
        why(spec)
    };
    assert_eq!(with(|spec| spec.requests = 0), Some(LimitError::Nothing));
    assert_eq!(
        with(|spec| spec.per = Duration::from_millis(900)),
        Some(LimitError::Nothing)
    );
    assert_eq!(
        with(|spec| spec.per = WINDOW_MAX + Duration::from_secs(1)),
        Some(LimitError::Nothing)
    );
    assert_eq!(
        with(|spec| spec.by = BTreeSet::new()),
        Some(LimitError::ByNothing)
    );
    assert_eq!(
        with(|spec| spec.name = "Two words".to_owned()),
        Some(LimitError::Name)
    );
    assert_eq!(
        with(|spec| spec.algorithm = Algorithm::LeakyBucket { queue: 1 }),
        Some(LimitError::Wait)
    );
    assert_eq!(
        RouteLimits::new(vec![good(), good()])
            .err()
            .map(|(_, error)| error),
        Some(LimitError::Twice)
    );
    let many = (0..9).map(|number| spec(&number.to_string(), 1, &[Dimension::Client]));
    assert_eq!(
        RouteLimits::new(many.collect())
            .err()
            .map(|(_, error)| error),
        Some(LimitError::TooMany)
    );
    assert!(RouteLimits::new(Vec::new()).unwrap().is_none());
}
