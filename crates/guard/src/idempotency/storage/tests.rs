use super::*;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;

fn claim(fingerprint: u8, now: i64, after_lease: AfterLease) -> Claim {
    Claim {
        name: [1; 32],
        caller: [1; 32],
        fingerprint: [fingerprint; 32],
        token: FencingToken::from_bytes([9; 16]),
        now: UnixTime(now),
        lease_ends: UnixTime(now + 10),
        expires: UnixTime(now + 100),
        after_lease,
    }
}

fn entry(state: EntryState) -> Entry {
    Entry {
        fingerprint: [1; 32],
        attempt: 3,
        lease_ends: UnixTime(10),
        expires: UnixTime(100),
        state,
    }
}

fn answered() -> EntryState {
    let body = Bytes::from_static(b"done");
    EntryState::Answered(Answer::new(StatusCode::OK, &HeaderMap::new(), body).unwrap())
}

/// What whoever comes meets, in a word.
fn word(judgement: &Judgement) -> String {
    match judgement {
        Judgement::Take { attempt } => format!("take {attempt}"),
        Judgement::Tell(Known::Answered(_)) => "answered".to_owned(),
        Judgement::Tell(Known::Mismatch) => "mismatch".to_owned(),
        Judgement::Tell(Known::NotKept) => "not kept".to_owned(),
        Judgement::Tell(Known::Running) => "running".to_owned(),
        Judgement::Tell(Known::Unknown) => "unknown".to_owned(),
    }
}

fn check(state: EntryState, claim: &Claim, expected: &str) {
    let judged = judge(Some(&entry(state.clone())), claim);
    assert_eq!(word(&judged), expected, "{state:?} {claim:?}");
}

#[test]
fn what_is_known_decides() {
    use AfterLease::{OutcomeUnknown, RunAgain};
    assert_eq!(word(&judge(None, &claim(1, 0, OutcomeUnknown))), "take 1");
    for after in [OutcomeUnknown, RunAgain] {
        check(answered(), &claim(1, 99, after), "answered");
        check(answered(), &claim(2, 99, after), "mismatch");
        check(answered(), &claim(2, 100, after), "take 1");
        check(EntryState::NotKept, &claim(1, 99, after), "not kept");
        check(EntryState::NotKept, &claim(1, 100, after), "take 1");
        check(EntryState::Running, &claim(1, 9, after), "running");
        check(EntryState::Running, &claim(2, 9, after), "mismatch");
        check(EntryState::Running, &claim(2, 10, after), "mismatch");
        check(EntryState::Running, &claim(1, 100, after), "take 1");
    }
    check(
        EntryState::Running,
        &claim(1, 10, OutcomeUnknown),
        "unknown",
    );
    check(EntryState::Running, &claim(1, 10, RunAgain), "take 4");
    check(EntryState::Unknown, &claim(1, 5, OutcomeUnknown), "unknown");
    check(EntryState::Unknown, &claim(1, 5, RunAgain), "take 4");
}

#[test]
fn what_runs_is_there_as_long_as_its_lease() {
    let mut running = entry(EntryState::Running);
    running.lease_ends = UnixTime(200);
    for (now, expected) in [(150, "running"), (199, "running"), (200, "take 1")] {
        let judged = judge(Some(&running), &claim(1, now, AfterLease::OutcomeUnknown));
        assert_eq!(word(&judged), expected, "{now}");
    }
}

proptest! {
    /// Whatever is kept, nothing is executed beside one that is under its lease, and no answer is given to another question.
    #[test]
    fn nothing_runs_twice_and_no_answer_is_misplaced(
        state in 0_u8..4, same in any::<bool>(), again in any::<bool>(),
        lease in 0_i64..50, expires in 0_i64..50, now in 0_i64..50,
    ) {
        let state = match state {
            0 => answered(),
            1 => EntryState::NotKept,
            2 => EntryState::Running,
            _ => EntryState::Unknown,
        };
        let entry = Entry { lease_ends: UnixTime(lease), expires: UnixTime(expires), ..entry(state) };
        let after = if again { AfterLease::RunAgain } else { AfterLease::OutcomeUnknown };
        let judged = judge(Some(&entry), &claim(if same { 1 } else { 2 }, now, after));
        let takes = matches!(judged, Judgement::Take { .. });
        if matches!(entry.state, EntryState::Running) && now < lease {
            prop_assert!(!takes);
        }
        if takes && now < expires {
            prop_assert!(again && same);
        }
        if matches!(judged, Judgement::Tell(Known::Answered(_))) {
            prop_assert!(same && now < expires);
        }
    }
}
