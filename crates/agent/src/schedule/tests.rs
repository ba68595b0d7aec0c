use super::*;
use crate::answer::Login;
use countersign_base::Secret;
use proptest::prelude::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// No jitter at all, or as much as there can be.
fn fixed(byte: u8) -> Random {
    Random::from_fn(move |bytes| bytes.fill(byte))
}

fn at(seconds: i64) -> UnixMillis {
    UnixMillis(NOW.0 + seconds * 1_000)
}

fn login(seconds: Option<u64>, renewable: Renewable) -> Login {
    Login {
        token: Secret::new("hvs.x".to_owned()),
        span: seconds.map(Duration::from_secs),
        renewable,
    }
}

fn leased(seconds: u64, renewable: Renewable) -> Lifetime {
    Lifetime::Leased {
        lease: "database/creds/app/x".to_owned(),
        span: Duration::from_secs(seconds),
        renewable,
    }
}

fn requests(paths: &[&str]) -> BTreeSet<Request> {
    paths
        .iter()
        .map(|path| Request::secret(path).unwrap())
        .collect()
}

/// A schedule of one request, signed in for a day.
fn signed_in() -> (Schedule, RequestId, Random) {
    let mut schedule = Schedule::new(&requests(&["a/b"]), Duration::from_secs(300), NOW);
    let random = fixed(0);
    assert_eq!(schedule.next(NOW), Step::Login);
    schedule.logged_in(&login(Some(86_400), Renewable::Yes), &random, NOW);
    let id = RequestId(0);
    assert_eq!(schedule.next(NOW), Step::Fetch(id));
    (schedule, id, random)
}

#[test]
fn a_lease_is_renewed_at_two_thirds_and_got_anew_when_its_maximum_is_near() {
    let (mut schedule, id, random) = signed_in();
    schedule.fetched(id, &leased(90, Renewable::Yes), &random, NOW);
    assert_eq!(schedule.next(NOW), Step::Wait(at(60)));
    let lease = "database/creds/app/x".to_owned();
    assert_eq!(schedule.next(at(60)), Step::Renew(id, lease.clone()));
    schedule.renewed(id, Duration::from_secs(90), &random, at(60));
    assert_eq!(schedule.next(at(60)), Step::Wait(at(120)));
    assert_eq!(schedule.next(at(120)), Step::Renew(id, lease));
    // The role's maximum cuts the renewal: at two thirds of what is left another one is got.
    schedule.renewed(id, Duration::from_secs(45), &random, at(120));
    assert_eq!(schedule.next(at(120)), Step::Wait(at(150)));
    assert_eq!(schedule.next(at(150)), Step::Fetch(id));
}

#[test]
fn two_thirds_come_up_to_a_tenth_of_the_span_earlier() {
    let (mut schedule, id, _) = signed_in();
    schedule.fetched(id, &leased(90, Renewable::No), &fixed(0xff), NOW);
    let Step::Wait(until) = schedule.next(NOW) else {
        panic!("it waits")
    };
    assert!((at(51)..at(52)).contains(&until), "{until:?}");
    assert_eq!(
        schedule.next(at(60)),
        Step::Fetch(id),
        "what can't be renewed is got anew"
    );
}

#[test]
fn certificates_and_changing_passwords_are_read_in_time() {
    let (mut schedule, id, random) = signed_in();
    schedule.fetched(id, &Lifetime::Until(at(3_000)), &random, NOW);
    assert_eq!(schedule.next(NOW), Step::Wait(at(2_000)));
    schedule.fetched(
        id,
        &Lifetime::Changing(Duration::from_secs(17)),
        &random,
        NOW,
    );
    assert_eq!(schedule.next(NOW), Step::Wait(at(18)));
    schedule.fetched(id, &Lifetime::Standing, &random, NOW);
    assert_eq!(schedule.next(NOW), Step::Wait(at(300)));
}

#[test]
fn a_server_that_is_away_is_asked_ever_less_often_and_a_value_is_dropped_at_its_end() {
    let (mut schedule, id, random) = signed_in();
    schedule.fetched(id, &leased(90, Renewable::Yes), &random, NOW);
    let mut now = at(60);
    let mut waits = Vec::new();
    while now < at(90) {
        assert!(matches!(schedule.next(now), Step::Renew(..)), "{now:?}");
        schedule.failed(id, Failure::Away, &random, now);
        let Step::Wait(until) = schedule.next(now) else {
            panic!("it waits")
        };
        waits.push((until.0 - now.0) / 1_000);
        now = until;
    }
    assert_eq!(waits, [1, 2, 4, 8, 15], "the last wait ends with the lease");
    assert_eq!(schedule.next(now), Step::Drop(id));
    schedule.dropped(id, now);
    assert!(!schedule.is_complete());
    // Nobody is asked before the wait is over, and then for a new one.
    assert_eq!(schedule.next(now), Step::Wait(at(91)));
    assert_eq!(schedule.next(at(91)), Step::Fetch(id));
    schedule.fetched(id, &leased(90, Renewable::Yes), &random, at(91));
    assert_eq!(schedule.next(at(91)), Step::Wait(at(151)));
}

#[test]
fn a_value_without_an_end_stays_however_long_the_server_is_away() {
    let (mut schedule, id, random) = signed_in();
    schedule.fetched(id, &Lifetime::Standing, &random, NOW);
    let mut now = at(300);
    for _ in 0..20 {
        assert_eq!(schedule.next(now), Step::Fetch(id));
        schedule.failed(id, Failure::Away, &random, now);
        let Step::Wait(until) = schedule.next(now) else {
            panic!("it waits")
        };
        assert!(until.0 - now.0 <= WAIT_MAX);
        now = until;
    }
    assert!(schedule.is_complete());
}

#[test]
fn a_clock_that_is_set_back_keeps_nobody_waiting() {
    let (mut schedule, id, random) = signed_in();
    schedule.fetched(id, &Lifetime::Standing, &random, NOW);
    assert_eq!(schedule.next(at(-86_400)), Step::Fetch(id));
    schedule.failed(id, Failure::Away, &random, NOW);
    assert_eq!(schedule.next(at(-86_400)), Step::Fetch(id));
}

#[test]
fn a_token_that_is_gone_leads_to_a_sign_in_and_its_leases_are_got_anew() {
    let mut schedule = Schedule::new(
        &requests(&["a/lease", "b/stands"]),
        Duration::from_secs(300),
        NOW,
    );
    let random = fixed(0);
    schedule.logged_in(&login(Some(3_600), Renewable::Yes), &random, NOW);
    let (lease, stands) = (RequestId(0), RequestId(1));
    schedule.fetched(lease, &leased(600, Renewable::Yes), &random, NOW);
    schedule.fetched(stands, &Lifetime::Standing, &random, NOW);
    assert_eq!(schedule.next(at(300)), Step::Fetch(stands));
    schedule.failed(stands, Failure::Refused, &random, at(300));
    assert_eq!(schedule.next(at(300)), Step::LookUp);
    schedule.token_gone(at(300));
    assert_eq!(schedule.next(at(300)), Step::Login);
    schedule.logged_in(&login(Some(3_600), Renewable::Yes), &random, at(300));
    assert_eq!(
        schedule.next(at(300)),
        Step::Fetch(lease),
        "its lease went with the token"
    );
    schedule.fetched(lease, &leased(600, Renewable::Yes), &random, at(300));
    assert_eq!(schedule.next(at(301)), Step::Fetch(stands));
}

#[test]
fn a_refusal_by_a_policy_leaves_the_token_alone() {
    let (mut schedule, id, random) = signed_in();
    schedule.failed(id, Failure::Refused, &random, NOW);
    assert_eq!(schedule.next(NOW), Step::LookUp);
    schedule.token_stands();
    assert_eq!(schedule.next(NOW), Step::Wait(at(1)));
    schedule.failed(id, Failure::Failed, &random, at(1));
    assert_eq!(schedule.next(at(1)), Step::Wait(at(3)));
}

#[test]
fn a_token_is_renewed_until_its_maximum_and_then_another_takes_its_place() {
    let (mut schedule, id, random) = signed_in();
    schedule.logged_in(&login(Some(90), Renewable::Yes), &random, NOW);
    schedule.fetched(id, &Lifetime::Standing, &random, NOW);
    assert_eq!(schedule.next(at(60)), Step::RenewToken);
    schedule.token_renewed(Some(Duration::from_secs(90)), &random, at(60));
    assert_eq!(schedule.next(at(120)), Step::RenewToken);
    schedule.token_renewed(Some(Duration::from_secs(30)), &random, at(120));
    assert_eq!(schedule.next(at(120)), Step::Wait(at(140)));
    assert_eq!(schedule.next(at(140)), Step::Login);
    schedule.login_failed(Failure::Refused, &random, at(140));
    assert_eq!(schedule.next(at(140)), Step::Wait(at(141)));
    // At the token's end there is none, and sign-ins go on.
    assert_eq!(schedule.next(at(150)), Step::Login);
    schedule.login_failed(Failure::Refused, &random, at(150));
    assert_eq!(schedule.next(at(150)), Step::Wait(at(152)));
}

#[test]
fn a_token_without_an_end_needs_no_renewal() {
    let (mut schedule, id, random) = signed_in();
    schedule.logged_in(&login(None, Renewable::No), &random, NOW);
    schedule.fetched(id, &Lifetime::Standing, &random, NOW);
    assert_eq!(schedule.next(NOW), Step::Wait(at(300)));
}

/// What may come of a step.
#[derive(Debug, Clone, Copy)]
enum Came {
    Away,
    Good(u16),
    Refused,
}

fn came() -> impl Strategy<Value = Came> {
    prop_oneof![
        Just(Came::Away),
        Just(Came::Refused),
        (1_u16..5_000).prop_map(Came::Good),
    ]
}

proptest! {
    /// Whatever comes: nobody is asked without a token, no value is held beyond its end, a wait lies ahead, and nothing is asked for without end at one moment.
    #[test]
    fn every_course_keeps_the_rules(course in proptest::collection::vec((came(), any::<u8>()), 1..200)) {
        let mut schedule = Schedule::new(&requests(&["a/b", "c/d", "e/f"]), Duration::from_secs(60), NOW);
        let (mut now, mut signed_in, mut steps) = (NOW, false, 0);
        for (came, jitter) in course {
            let random = fixed(jitter);
            let step = schedule.next(now);
            for tracked in &schedule.requests {
                let over = ended(tracked.held.and_then(|held| held.end), now.0);
                prop_assert!(!over || matches!(step, Step::Drop(_)));
            }
            signed_in = signed_in && schedule.token.is_some();
            steps += 1;
            prop_assert!(steps < 60, "it comes to rest");
            let span = |seconds: u16| Duration::from_secs(seconds.into());
            let failure = |came| if matches!(came, Came::Away) { Failure::Away } else { Failure::Refused };
            match (step, came) {
                (Step::Wait(until), _) => {
                    prop_assert!(until > now);
                    now = until;
                    steps = 0;
                }
                (Step::Drop(id), _) => schedule.dropped(id, now),
                (Step::Login, Came::Good(seconds)) => {
                    schedule.logged_in(&login(Some(seconds.into()), Renewable::Yes), &random, now);
                    signed_in = true;
                }
                (Step::Login, came) => schedule.login_failed(failure(came), &random, now),
                (step, came) => {
                    prop_assert!(signed_in, "{step:?} without a token");
                    match (step, came) {
                        (Step::Fetch(id), Came::Good(seconds)) => {
                            schedule.fetched(id, &leased(seconds.into(), Renewable::Yes), &random, now);
                            let tracked = &schedule.requests[id.0];
                            prop_assert!(tracked.due < tracked.held.unwrap().end.unwrap());
                        }
                        (Step::Renew(id, _), Came::Good(seconds)) => schedule.renewed(id, span(seconds), &random, now),
                        (Step::Fetch(id) | Step::Renew(id, _), came) => schedule.failed(id, failure(came), &random, now),
                        (Step::RenewToken, Came::Good(seconds)) => schedule.token_renewed(Some(span(seconds)), &random, now),
                        (Step::RenewToken, came) => schedule.token_renewal_failed(failure(came), &random, now),
                        (Step::LookUp, Came::Good(_)) => schedule.token_stands(),
                        (Step::LookUp, Came::Away) => schedule.look_up_failed(&random, now),
                        (Step::LookUp, Came::Refused) => { schedule.token_gone(now); signed_in = false; }
                        (Step::Drop(_) | Step::Login | Step::Wait(_), _) => unreachable!(),
                    }
                }
            }
        }
    }
}
