use super::*;
use crate::idempotency::storage::{AfterLease, Known};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;

fn claim(caller: u8, name: u32, token: u8, now: i64) -> Claim {
    let mut bytes = [caller; 32];
    bytes[..4].copy_from_slice(&name.to_be_bytes());
    Claim {
        name: bytes,
        caller: [caller; 32],
        fingerprint: [1; 32],
        token: FencingToken::from_bytes([token; 16]),
        now: UnixTime(now),
        lease_ends: UnixTime(now + 10),
        expires: UnixTime(now + 100),
        after_lease: AfterLease::OutcomeUnknown,
    }
}

fn answer(bytes: usize) -> Ending {
    let body = Bytes::from(vec![b'x'; bytes]);
    Ending::Answered(Answer::new(StatusCode::OK, &HeaderMap::new(), body).unwrap())
}

fn word(claimed: &Claimed) -> &'static str {
    match claimed {
        Claimed::First { .. } => "first",
        Claimed::Known(Known::Answered(_)) => "answered",
        Claimed::Known(Known::NotKept) => "not kept",
        Claimed::Known(_) => "other",
        Claimed::NoRoom => "no room",
    }
}

fn run(keys: &MemoryKeys, claim: Claim, ending: Ending) {
    let (name, token) = (claim.name, claim.token);
    assert_eq!(word(&keys.claimed(claim)), "first");
    assert_eq!(keys.ended(name, token, ending), Ended::Kept);
}

#[test]
fn one_caller_cannot_take_all_the_room_and_nothing_is_forgotten_early() {
    let keys = MemoryKeys::new(MemoryLimits {
        keys_max: 16,
        bytes_max: 1_600,
        caller_part: 4,
    });
    for name in 0..4 {
        run(&keys, claim(1, name, 1, 0), answer(10));
    }
    assert_eq!(word(&keys.claimed(claim(1, 4, 1, 50))), "no room");
    run(&keys, claim(2, 0, 1, 50), answer(10));
    assert_eq!(word(&keys.claimed(claim(1, 0, 2, 99))), "answered");
    // Time makes room.
    run(&keys, claim(1, 4, 1, 100), answer(300));
    // Past its bytes an answer is not kept, and still not given twice.
    run(&keys, claim(1, 5, 1, 100), answer(300));
    assert_eq!(word(&keys.claimed(claim(1, 4, 2, 100))), "answered");
    assert_eq!(word(&keys.claimed(claim(1, 5, 2, 100))), "not kept");
}

#[test]
fn an_end_counts_once_and_for_the_token_that_the_key_has() {
    let keys = MemoryKeys::default();
    let again = |token| Claim {
        after_lease: AfterLease::RunAgain,
        ..claim(1, 1, token, 10)
    };
    let name = claim(1, 1, 1, 0).name;
    let token = |token| FencingToken::from_bytes([token; 16]);
    assert_eq!(word(&keys.claimed(claim(1, 1, 1, 0))), "first");
    assert_eq!(word(&keys.claimed(again(2))), "first", "taken over");
    for ending in [answer(1), Ending::Free, Ending::NotKept, Ending::Unknown] {
        assert_eq!(keys.ended(name, token(1), ending), Ended::Lost);
    }
    assert_eq!(keys.ended(name, token(2), answer(2)), Ended::Kept);
    assert_eq!(keys.ended(name, token(2), Ending::Free), Ended::Lost);
    assert_eq!(word(&keys.claimed(claim(1, 1, 3, 11))), "answered");
    assert_eq!(keys.ended([0; 32], token(2), answer(2)), Ended::Lost);
}

proptest! {
    /// Whatever comes in whatever order, the books agree with what is kept.
    #[test]
    fn the_books_are_right(steps in proptest::collection::vec((0_u8..3, 0_u32..4, 0_u8..6, 0_i64..40), 1..120)) {
        let keys = MemoryKeys::new(MemoryLimits { keys_max: 8, bytes_max: 400, caller_part: 2 });
        let mut now = 0;
        for (caller, name, what, gap) in steps {
            now += gap;
            let claim = claim(caller, name, what, now);
            let (name, token) = (claim.name, claim.token);
            let _claimed = keys.claimed(claim);
            let ending = match what {
                0 => Some(Ending::Free),
                1 => Some(Ending::NotKept),
                2 => Some(Ending::Unknown),
                3 => Some(answer(50)),
                _ => None,
            };
            if let Some(ending) = ending {
                let _ended = keys.ended(name, token, ending);
            }
            let map = keys.map.lock().unwrap();
            let bytes = |caller: Option<u8>| {
                let of = map.kept.values().filter(|kept| caller.is_none_or(|caller| kept.caller == [caller; 32]));
                of.fold(Share::default(), |share, kept| Share { keys: share.keys + 1, bytes: share.bytes + kept.bytes })
            };
            prop_assert_eq!(map.all, bytes(None));
            prop_assert!(map.all.keys <= 8 && map.all.bytes <= 400);
            for caller in 0..3 {
                let share = map.callers.get(&[caller; 32]).copied().unwrap_or_default();
                prop_assert_eq!(share, bytes(Some(caller)));
            }
        }
    }
}
