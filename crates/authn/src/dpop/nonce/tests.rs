//! Nonces: ours, in time, of this process.

use super::{NoncePolicy, NonceUse, Nonces};
use crate::dpop::{DpopReason, ProofUse};
use crate::fixtures::{Key, NOW, Proof, key, send};
use crate::replay::{ReplayLimits, ReplayMemory};
use countersign_base::{Duration, Secret, UnixTime};
use countersign_crypto::jose::Algorithm;
use countersign_crypto::mac::MacKey;
use proptest::prelude::*;
use serde_json::json;

fn nonces(boot: u8, started: UnixTime, nonce_use: NonceUse) -> Nonces {
    Nonces::new(
        MacKey::new(Secret::new([7; 32])),
        [boot; 16],
        started,
        nonce_use,
    )
}

fn later(seconds: u64) -> UnixTime {
    NOW.plus(Duration::from_secs(seconds))
}

fn send_with(
    key: &Key,
    nonce: Option<&str>,
    iat: UnixTime,
    policy: NoncePolicy<'_>,
    now: UnixTime,
) -> Option<DpopReason> {
    let mut proof = Proof::good(key, None);
    proof.claims["iat"] = json!(iat.0);
    if let Some(nonce) = nonce {
        proof.claims["nonce"] = json!(nonce);
    }
    send(&proof.text(), ProofUse::AtServer, policy, now)
        .err()
        .map(|refusal| refusal.reason())
}

#[test]
fn a_nonce_is_taken_in_its_window_and_the_next() {
    let (nonces, key) = (nonces(1, NOW, NonceUse::Always), key(Algorithm::EdDsa));
    let nonce = nonces.current(NOW);
    let at = |now| send_with(&key, Some(nonce.as_str()), now, nonces.policy(now), now);
    assert_eq!(at(NOW), None);
    assert_eq!(at(later(30)), None);
    assert_eq!(at(later(60)), Some(DpopReason::NonceInvalid), "stale");
    assert_eq!(
        at(NOW.minus(Duration::from_secs(30))),
        Some(DpopReason::NonceInvalid),
        "of a time that has not come"
    );
}

#[test]
fn a_missing_a_foreign_and_a_stale_nonce_get_a_fresh_one_and_nothing_else() {
    let (ours, theirs, key) = (
        nonces(1, NOW, NonceUse::Always),
        nonces(2, NOW, NonceUse::Always),
        key(Algorithm::EdDsa),
    );
    let stale = ours.current(NOW.minus(Duration::from_secs(90)));
    let answers = [None, Some(theirs.current(NOW)), Some(stale)].map(|nonce| {
        let mut proof = Proof::good(&key, None);
        if let Some(nonce) = nonce {
            proof.claims["nonce"] = json!(nonce.as_str());
        }
        let refusal = send(&proof.text(), ProofUse::AtServer, ours.policy(NOW), NOW)
            .err()
            .unwrap();
        (refusal.error(), refusal.nonce().cloned())
    });
    for answer in answers {
        assert_eq!(
            answer,
            ("use_dpop_nonce", Some(ours.current(NOW))),
            "a83: no answer tells more than another"
        );
    }
    assert_eq!(
        send_with(
            &key,
            Some(ours.current(NOW).as_str()),
            NOW,
            ours.policy(NOW),
            NOW
        ),
        None
    );
}

/// A83 by its id, for the requirement tool.
#[test]
fn a83_answers_do_not_tell_a_stale_nonce_from_a_foreign_one() {
    let (ours, theirs) = (
        nonces(1, NOW, NonceUse::Always),
        nonces(2, NOW, NonceUse::Always),
    );
    let foreign = ours
        .check(Some(theirs.current(NOW).as_str()), NOW)
        .unwrap_err();
    let stale = ours
        .check(
            Some(ours.current(NOW.minus(Duration::from_secs(90))).as_str()),
            NOW,
        )
        .unwrap_err();
    assert_eq!(
        (foreign.error(), foreign.nonce()),
        (stale.error(), stale.nonce())
    );
    assert!(ours.check(Some(ours.current(NOW).as_str()), NOW).is_ok());
}

/// Whatever a proof's time and whenever it was first used, the process that starts next never takes it.
#[test]
fn a_proof_used_before_a_restart_is_never_taken_after_it() {
    let key = key(Algorithm::EdDsa);
    let before = nonces(
        1,
        NOW.minus(Duration::from_secs(1000)),
        NonceUse::AfterStart,
    );
    // As far ahead as is allowed: the proof that can be taken longest.
    let iat = later(10);
    assert_eq!(
        send_with(&key, None, iat, before.policy(NOW), NOW),
        None,
        "used at the last moment before the restart"
    );
    let after = nonces(2, NOW, NonceUse::AfterStart);
    for seconds in 0..300 {
        let now = later(seconds);
        let refused = send_with(&key, None, iat, after.policy(now), now);
        assert!(refused.is_some(), "{seconds} seconds after the restart");
    }
    assert!(matches!(after.policy(later(71)), NoncePolicy::Required(_)));
    assert!(matches!(after.policy(later(72)), NoncePolicy::NotRequired));
    // The client asks again with the nonce of the answer, and is served.
    assert_eq!(
        send_with(
            &key,
            Some(after.current(NOW).as_str()),
            NOW,
            after.policy(NOW),
            NOW
        ),
        None
    );
}

#[test]
fn where_none_is_required_a_client_may_go_on_sending_one() {
    let key = key(Algorithm::EdDsa);
    assert_eq!(
        send_with(&key, Some("anything"), NOW, NoncePolicy::NotRequired, NOW),
        None
    );
}

#[test]
fn a_nonce_does_not_stand_in_for_the_replay_memory() {
    let (nonces, key, memory) = (
        nonces(1, NOW, NonceUse::Always),
        key(Algorithm::EdDsa),
        ReplayMemory::new(ReplayLimits::default()),
    );
    let mut proof = Proof::good(&key, None);
    proof.claims["nonce"] = json!(nonces.current(NOW).as_str());
    let spend = || {
        let unspent = send(&proof.text(), ProofUse::AtServer, nonces.policy(NOW), NOW).unwrap();
        memory.spend(unspent, NOW).is_ok()
    };
    assert_eq!([spend(), spend()], [true, false]);
}

proptest! {
    #[test]
    fn nothing_but_a_nonce_of_ours_is_taken(text in "[A-Za-z0-9_-]{0,80}") {
        let nonces = nonces(1, NOW, NonceUse::Always);
        prop_assert!(nonces.check(Some(&text), NOW).is_err());
        prop_assert!(nonces.check(Some(nonces.current(NOW).as_str()), NOW).is_ok());
    }

    #[test]
    fn no_byte_of_a_nonce_may_change(place in 0_usize..54, to in "[A-Za-z0-9_-]") {
        let nonces = nonces(1, NOW, NonceUse::Always);
        let nonce = nonces.current(NOW);
        let mut changed = nonce.as_str().to_owned();
        prop_assume!(place < changed.len());
        changed.replace_range(place..=place, &to);
        prop_assert_eq!(nonces.check(Some(&changed), NOW).is_ok(), changed == nonce.as_str());
    }
}
