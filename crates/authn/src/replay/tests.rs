//! Once means once, for as long as it matters, whoever else is about.

use super::{ReplayEntry, ReplayKind, ReplayLimits, ReplayMemory, Replayed};
use crate::Unspent;
use countersign_base::{Duration, UnixTime};
use proptest::prelude::*;
use std::collections::BTreeMap;

const NOW: UnixTime = UnixTime(1_700_000_000);
const LIFE: u64 = 71;

fn unspent(kind: ReplayKind, owner: &str, value: &str, expires: UnixTime) -> Unspent<()> {
    Unspent::new(
        (),
        vec![ReplayEntry::new(kind, &[owner.as_bytes()], value, expires)],
    )
}

fn spend(memory: &ReplayMemory, owner: &str, value: &str, now: UnixTime) -> Result<(), Replayed> {
    memory.spend(
        unspent(
            ReplayKind::ProofWithToken,
            owner,
            value,
            now.plus(Duration::from_secs(LIFE)),
        ),
        now,
    )
}

const USED: Result<(), Replayed> = Err(Replayed::AlreadyUsed(ReplayKind::ProofWithToken));
const FULL: Result<(), Replayed> = Err(Replayed::Full(ReplayKind::ProofWithToken));

fn memory(per_owner_max: usize, per_kind_max: usize) -> ReplayMemory {
    ReplayMemory::new(ReplayLimits {
        per_owner_max,
        per_kind_max,
    })
}

#[test]
fn r45_dpop_31_a35_a_flood_does_not_flush() {
    let memory = memory(1000, 1_000_000);
    assert_eq!(spend(&memory, "victim", "early", NOW), Ok(()));
    // The victim's own key floods past its share ...
    let refused = (0..2000)
        .filter(|number| spend(&memory, "victim", &format!("own-{number}"), NOW).is_err())
        .count();
    assert_eq!(
        refused, 1001,
        "what does not fit is refused, and nothing makes room for it"
    );
    // ... and so do many others.
    for owner in 0..200 {
        for number in 0..50 {
            assert_eq!(
                spend(
                    &memory,
                    &format!("owner-{owner}"),
                    &format!("{number}"),
                    NOW
                ),
                Ok(()),
                "a flood is nobody else's concern"
            );
        }
    }
    assert_eq!(spend(&memory, "victim", "early", NOW), USED);
    let last = NOW.plus(Duration::from_secs(LIFE - 1));
    assert_eq!(
        memory.spend(
            unspent(
                ReplayKind::ProofWithToken,
                "victim",
                "early",
                NOW.plus(Duration::from_secs(LIFE))
            ),
            last
        ),
        USED
    );
    // The twin: a value that was never used, by an owner with room.
    assert_eq!(spend(&memory, "owner-0", "fresh", NOW), Ok(()));
}

#[test]
fn an_owner_has_room_again_when_its_values_expire() {
    let memory = memory(2, 100);
    assert_eq!(spend(&memory, "a", "1", NOW), Ok(()));
    assert_eq!(spend(&memory, "a", "2", NOW), Ok(()));
    assert_eq!(spend(&memory, "a", "3", NOW), FULL);
    let later = NOW.plus(Duration::from_secs(LIFE));
    assert_eq!(spend(&memory, "a", "3", later), Ok(()));
    assert_eq!(memory.len(), 1);
}

#[test]
fn a_kind_that_anyone_can_fill_leaves_the_others_room() {
    let memory = memory(100, 10);
    let expires = NOW.plus(Duration::from_secs(LIFE));
    for owner in 0..10 {
        assert_eq!(
            memory.spend(
                unspent(ReplayKind::ProofAtServer, &owner.to_string(), "1", expires),
                NOW
            ),
            Ok(())
        );
    }
    let eleventh = memory.spend(unspent(ReplayKind::ProofAtServer, "10", "1", expires), NOW);
    assert_eq!(eleventh, Err(Replayed::Full(ReplayKind::ProofAtServer)));
    assert_eq!(spend(&memory, "10", "1", NOW), Ok(()), "of another kind");
}

#[test]
fn a_clock_set_back_brings_nothing_back() {
    let memory = memory(10, 10);
    let expires = NOW.plus(Duration::from_secs(LIFE));
    let again = || unspent(ReplayKind::ProofWithToken, "a", "1", expires);
    assert_eq!(memory.spend(again(), NOW), Ok(()));
    // Another value of the owner lets the memory forget the first one.
    assert_eq!(spend(&memory, "a", "2", expires), Ok(()));
    assert_eq!(
        memory.spend(again(), NOW),
        Err(Replayed::Stale(ReplayKind::ProofWithToken))
    );
}

#[test]
fn two_values_are_spent_together() {
    let memory = memory(10, 10);
    let expires = NOW.plus(Duration::from_secs(LIFE));
    let both = || {
        unspent(ReplayKind::ClientAssertion, "client", "jti", expires).and(unspent(
            ReplayKind::ProofAtServer,
            "key",
            "jti",
            expires,
        ))
    };
    assert_eq!(both().entries().len(), 2);
    assert_eq!(memory.spend(both(), NOW), Ok(((), ())));
    assert_eq!(
        memory.spend(both(), NOW),
        Err(Replayed::AlreadyUsed(ReplayKind::ClientAssertion))
    );
    // What has none has nothing to spend.
    assert_eq!(memory.spend(Unspent::new(7, Vec::new()), NOW), Ok(7));
}

#[test]
fn a84_of_parallel_uses_exactly_one_succeeds() {
    let memory = memory(1000, 1000);
    let wins: usize = std::thread::scope(|scope| {
        let uses: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..200)
                        .filter(|value| spend(&memory, "a", &value.to_string(), NOW).is_ok())
                        .count()
                })
            })
            .collect();
        uses.into_iter().map(|used| used.join().unwrap()).sum()
    });
    assert_eq!(wins, 200);
}

proptest! {
    /// Against a memory that forgets nothing and has no shards.
    #[test]
    fn it_agrees_with_a_plain_model(steps in proptest::collection::vec((0_u8..4, 0_u8..6, 0_u64..30), 1..200)) {
        let memory = memory(4, 10);
        let mut model: BTreeMap<(u8, u8), UnixTime> = BTreeMap::new();
        let mut now = NOW;
        for (owner, value, wait) in steps {
            now = now.plus(Duration::from_secs(wait));
            let expires = now.plus(Duration::from_secs(LIFE));
            let used = model.get(&(owner, value)).is_some_and(|until| now < *until);
            let owned = model.iter().filter(|((of, _), until)| *of == owner && now < **until).count();
            let got = spend(&memory, &owner.to_string(), &value.to_string(), now);
            if used {
                prop_assert_eq!(got, USED);
            } else if owned >= 4 {
                prop_assert_eq!(got, FULL);
            } else if got.is_ok() {
                model.insert((owner, value), expires);
            } else {
                // The count of a kind includes what other shards have not forgotten yet: it may refuse early, and never late.
                prop_assert_eq!(got, FULL);
                prop_assert!(memory.len() >= 10);
            }
        }
    }
}
