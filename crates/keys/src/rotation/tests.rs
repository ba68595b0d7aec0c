use super::{
    NotYet, RotationPolicy, RotationPolicyError, RotationStep, SigningKeyRow, SigningKeyState,
    apply, plan, plan_on_demand,
};
use countersign_base::{Duration, Kid, UnixTime};
use proptest::prelude::*;
use std::collections::BTreeMap;

const TOKEN_LIFETIME: u64 = 300;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn policy() -> RotationPolicy {
    RotationPolicy::new(
        seconds(3600),
        seconds(86_400),
        seconds(600),
        seconds(TOKEN_LIFETIME),
    )
    .unwrap()
}

/// Carries out what is planned until nothing is, as the job of the key ring does.
struct KeyRing {
    rows: Vec<SigningKeyRow>,
    made: u32,
}

impl KeyRing {
    const fn new() -> Self {
        Self {
            rows: Vec::new(),
            made: 0,
        }
    }

    fn carry_out(&mut self, steps: &[RotationStep], now: UnixTime) {
        for step in steps {
            self.made += 1;
            let new: Kid = format!("k{}", self.made).parse().unwrap();
            self.rows = apply(std::mem::take(&mut self.rows), step, &new, now);
        }
    }

    fn settle(&mut self, policy: &RotationPolicy, now: UnixTime) {
        for _ in 0..10 {
            let steps = plan(&self.rows, policy, now);
            if steps.is_empty() {
                return;
            }
            self.carry_out(&steps, now);
        }
        panic!("the plan does not settle: {:?}", self.rows);
    }

    fn in_state(&self, state: SigningKeyState) -> Vec<&Kid> {
        self.rows
            .iter()
            .filter(|row| row.state == state)
            .map(|row| &row.kid)
            .collect()
    }
}

#[test]
fn a_life() {
    let mut ring = KeyRing::new();
    let names = |ring: &KeyRing, state| {
        ring.in_state(state)
            .iter()
            .map(|kid| kid.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    ring.settle(&policy(), UnixTime(0));
    assert_eq!(names(&ring, SigningKeyState::Current), "k1");
    assert_eq!(names(&ring, SigningKeyState::Next), "k2");
    ring.settle(&policy(), UnixTime(86_399));
    assert_eq!(names(&ring, SigningKeyState::Current), "k1");
    ring.settle(&policy(), UnixTime(86_400));
    assert_eq!(names(&ring, SigningKeyState::Current), "k2");
    assert_eq!(names(&ring, SigningKeyState::Retired), "k1");
    assert_eq!(ring.in_state(SigningKeyState::Next).len(), 1);
    ring.settle(&policy(), UnixTime(86_400 + 600));
    assert_eq!(names(&ring, SigningKeyState::Retired), "k1");
    ring.settle(&policy(), UnixTime(86_400 + 601));
    assert_eq!(names(&ring, SigningKeyState::Retired), "");
    assert_eq!(names(&ring, SigningKeyState::Gone), "k1");
}

#[test]
fn on_demand_waits_until_verifiers_know_the_next_key() {
    let mut ring = KeyRing::new();
    ring.settle(&policy(), UnixTime(0));
    // Both stood in the first set that anyone could fetch.
    let steps = plan_on_demand(&ring.rows, &policy(), UnixTime(10)).unwrap();
    assert!(matches!(steps.as_slice(), [RotationStep::Rotate { .. }]));
    ring.carry_out(&steps, UnixTime(10));
    ring.settle(&policy(), UnixTime(10));
    assert_eq!(
        plan_on_demand(&ring.rows, &policy(), UnixTime(3609)),
        Err(NotYet { at: UnixTime(3610) })
    );
    let steps = plan_on_demand(&ring.rows, &policy(), UnixTime(3610)).unwrap();
    assert!(matches!(
        steps.as_slice(),
        [.., RotationStep::Rotate { .. }]
    ));
}

#[test]
fn a_second_key_that_was_published_later_waits() {
    let mut ring = KeyRing::new();
    ring.carry_out(&plan(&[], &policy(), UnixTime(0)), UnixTime(0));
    ring.settle(&policy(), UnixTime(1));
    assert_eq!(
        plan_on_demand(&ring.rows, &policy(), UnixTime(2)),
        Err(NotYet { at: UnixTime(3601) })
    );
}

#[test]
fn on_demand_establishes_the_first_key() {
    assert!(matches!(
        plan_on_demand(&[], &policy(), UnixTime(0))
            .unwrap()
            .as_slice(),
        [RotationStep::Establish]
    ));
}

#[test]
fn times_that_do_not_fit_are_refused() {
    let check = |ahead, every, retire| {
        RotationPolicy::new(
            seconds(ahead),
            seconds(every),
            seconds(retire),
            seconds(TOKEN_LIFETIME),
        )
    };
    assert_eq!(
        check(3601, 3600, 600),
        Err(RotationPolicyError::PublishAhead)
    );
    assert_eq!(check(0, 0, 600), Err(RotationPolicyError::PublishAhead));
    assert_eq!(
        check(3600, 3600, 299),
        Err(RotationPolicyError::RetireAfter)
    );
    assert!(check(3600, 3600, 300).is_ok());
}

#[test]
fn a_clock_that_was_set_back_changes_nothing() {
    let mut ring = KeyRing::new();
    ring.settle(&policy(), UnixTime(100_000));
    let before = ring.rows.clone();
    ring.settle(&policy(), UnixTime(10));
    assert_eq!(ring.rows, before);
    assert!(plan_on_demand(&ring.rows, &policy(), UnixTime(10)).is_err());
}

#[derive(Debug, Clone, Copy)]
enum Moment {
    Demand,
    Schedule,
}

fn moments() -> impl Strategy<Value = Vec<(Moment, u64)>> {
    let moment = prop_oneof![3 => Just(Moment::Schedule), 1 => Just(Moment::Demand)];
    proptest::collection::vec(
        (moment, prop_oneof![0u64..20, 0u64..400, 0u64..3000]),
        1..120,
    )
}

fn policies() -> impl Strategy<Value = RotationPolicy> {
    (0u64..200, 1u64..1000, 0u64..300).prop_map(|(ahead, more, retire)| {
        RotationPolicy::new(
            seconds(ahead),
            seconds(ahead + more),
            seconds(TOKEN_LIFETIME + retire),
            seconds(TOKEN_LIFETIME),
        )
        .unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the times and the demands: verifiers never meet a key they could not know, nor a token whose key is gone.
    #[test]
    fn invariants_hold(policy in policies(), moments in moments()) {
        let mut ring = KeyRing::new();
        let mut now = UnixTime(1_000_000);
        let mut signed_last: BTreeMap<Kid, UnixTime> = BTreeMap::new();
        let mut sets: Vec<(UnixTime, Vec<Kid>)> = Vec::new();
        for (moment, pause) in moments {
            now = now.plus(seconds(pause));
            let steps = match moment {
                Moment::Demand => plan_on_demand(&ring.rows, &policy, now).unwrap_or_default(),
                Moment::Schedule => plan(&ring.rows, &policy, now),
            };
            // A token may have been signed right up to this instant by the key that now retires.
            for kid in ring.in_state(SigningKeyState::Current) {
                signed_last.insert(kid.clone(), now);
            }
            for step in &steps {
                ring.carry_out(std::slice::from_ref(step), now);
                let current = ring.rows.iter().filter(|row| row.state == SigningKeyState::Current).collect::<Vec<_>>();
                prop_assert_eq!(current.len(), 1, "never zero and never two current keys: {:?}", &ring.rows);
                let current = current[0].kid.clone();
                let known = sets.windows(2).all(|pair| {
                    let ((from, set), (until, _)) = (&pair[0], &pair[1]);
                    let still_kept = until > from && until.plus(policy.publish_ahead()) > now;
                    !still_kept || set.contains(&current)
                });
                prop_assert!(known, "signs before it was known: {:?}", &ring.rows);
                prop_assert!(ring.in_state(SigningKeyState::Next).len() <= 1);
            }
            let published = ring.rows.iter().filter(|row| row.state.is_published());
            sets.push((now, published.map(|row| row.kid.clone()).collect()));
            for row in &ring.rows {
                let expires = signed_last.get(&row.kid).map(|at| at.plus(seconds(TOKEN_LIFETIME)));
                let verifiable = row.state.is_published() || expires.is_none_or(|expires| expires < now);
                prop_assert!(verifiable, "gone before its last token expired: {:?}", &ring.rows);
            }
        }
    }

    /// Carried out as planned, the schedule comes to rest, and a key does not sign much longer than it should.
    #[test]
    fn schedules_settle(policy in policies(), days in 1u64..20) {
        let mut ring = KeyRing::new();
        for day in 0..days {
            ring.settle(&policy, UnixTime(1_000_000).plus(seconds(day * 86_400)));
            prop_assert_eq!(ring.in_state(SigningKeyState::Current).len(), 1);
            prop_assert_eq!(ring.in_state(SigningKeyState::Next).len(), 1);
        }
    }
}
