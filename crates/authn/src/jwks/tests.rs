//! Fetches are counted, never waited for.

use super::{FetchFailed, FetchTicket, IssuerKeys, JwksLimits, Lookup, Wanted, Whole};
use crate::fixtures::{Key, NOW, named_key};
use countersign_base::{Duration, Kid, UnixTime};
use countersign_crypto::jose::{Algorithm, JwkSet};
use proptest::prelude::*;

const LIFETIME: Duration = Duration::from_secs(600);

fn kid(name: &str) -> Kid {
    name.parse().unwrap()
}

fn set(keys: &[&Key]) -> JwkSet {
    JwkSet::from_keys(
        keys.iter()
            .map(|key| key.verifying_key().unwrap())
            .collect(),
    )
}

fn later(seconds: u64) -> UnixTime {
    NOW.plus(Duration::from_secs(seconds))
}

fn look(keys: &mut IssuerKeys, name: &str, now: UnixTime) -> Lookup {
    keys.lookup(Some(&kid(name)), Algorithm::EdDsa, now)
}

fn ticket(lookup: Lookup) -> FetchTicket {
    match lookup {
        Lookup::Fetch(ticket) => ticket,
        other => panic!("expected a fetch, got {other:?}"),
    }
}

fn ready(key: &Key) -> IssuerKeys {
    let mut keys = IssuerKeys::new(JwksLimits::default());
    let first = ticket(look(&mut keys, "a", NOW));
    keys.fetched(first, Ok((set(&[key]), LIFETIME)), NOW);
    keys
}

#[test]
fn g49_any_number_of_callers_cause_one_fetch() {
    let key = named_key(Algorithm::EdDsa, "a");
    let mut keys = IssuerKeys::new(JwksLimits::default());
    let first = ticket(look(&mut keys, "a", NOW));
    for number in 0..1000 {
        assert!(matches!(
            look(&mut keys, &format!("bogus-{number}"), NOW),
            Lookup::Wait
        ));
    }
    keys.fetched(first, Ok((set(&[&key]), LIFETIME)), NOW);
    assert!(matches!(look(&mut keys, "a", NOW), Lookup::Found(_)));
    assert_eq!(keys.generation(), 1);
}

#[test]
fn g49_g50_unknown_kids_cause_one_fetch_in_a_cooldown_and_known_ones_pay_nothing() {
    let key = named_key(Algorithm::EdDsa, "a");
    let mut keys = ready(&key);
    let again = ticket(look(&mut keys, "bogus-0", later(1)));
    keys.fetched(again, Ok((set(&[&key]), LIFETIME)), later(1));
    let fetches = (1..1000)
        .filter(|number| {
            matches!(
                look(&mut keys, &format!("bogus-{number}"), later(2)),
                Lookup::Fetch(_)
            )
        })
        .count();
    assert_eq!(fetches, 0);
    assert!(matches!(
        look(&mut keys, "bogus-5", later(2)),
        Lookup::Unknown
    ));
    assert!(
        matches!(look(&mut keys, "a", later(2)), Lookup::Found(_)),
        "a known kid is never charged"
    );
    assert!(
        matches!(look(&mut keys, "bogus-0", later(40)), Lookup::Unknown),
        "remembered past the cooldown"
    );
    assert!(
        matches!(look(&mut keys, "new", later(40)), Lookup::Fetch(_)),
        "another one may ask again"
    );
}

#[test]
fn a_new_key_is_found_by_its_first_token() {
    let (old, new) = (
        named_key(Algorithm::EdDsa, "a"),
        named_key(Algorithm::EdDsa, "b"),
    );
    let mut keys = ready(&old);
    let rotated = ticket(look(&mut keys, "b", later(1)));
    assert!(
        matches!(look(&mut keys, "a", later(1)), Lookup::Found(_)),
        "meanwhile the old set serves"
    );
    keys.fetched(rotated, Ok((set(&[&old, &new]), LIFETIME)), later(1));
    assert!(matches!(look(&mut keys, "b", later(1)), Lookup::Found(_)));
    assert_eq!(keys.generation(), 2);
}

#[test]
fn a_key_that_could_not_be_looked_up_is_not_remembered_as_unknown() {
    let (old, new) = (
        named_key(Algorithm::EdDsa, "a"),
        named_key(Algorithm::EdDsa, "b"),
    );
    let mut keys = ready(&old);
    let failing = ticket(look(&mut keys, "b", later(1)));
    keys.fetched(failing, Err(FetchFailed), later(1));
    assert!(
        matches!(look(&mut keys, "b", later(2)), Lookup::Unknown),
        "for the moment"
    );
    let again = ticket(look(&mut keys, "b", later(32)));
    keys.fetched(again, Ok((set(&[&old, &new]), LIFETIME)), later(32));
    assert!(matches!(look(&mut keys, "b", later(32)), Lookup::Found(_)));
}

#[test]
fn a_key_that_was_taken_out_of_the_set_is_gone() {
    let (old, new) = (
        named_key(Algorithm::EdDsa, "a"),
        named_key(Algorithm::EdDsa, "b"),
    );
    let mut keys = ready(&old);
    let refresh = keys.refresh_due(later(480)).unwrap();
    keys.fetched(refresh, Ok((set(&[&new]), LIFETIME)), later(480));
    assert!(matches!(look(&mut keys, "b", later(481)), Lookup::Found(_)));
    assert!(!matches!(
        look(&mut keys, "a", later(481)),
        Lookup::Found(_)
    ));
}

#[test]
fn g51_a_set_is_refreshed_ahead_of_its_expiry_and_serves_while_that_fails() {
    let key = named_key(Algorithm::EdDsa, "a");
    let mut keys = ready(&key);
    assert_eq!(keys.refresh_due(later(479)), None);
    let failing = keys.refresh_due(later(480)).unwrap();
    assert_eq!(keys.refresh_due(later(480)), None, "one at a time");
    keys.fetched(failing, Err(FetchFailed), later(481));
    assert!(
        matches!(look(&mut keys, "a", later(700)), Lookup::Found(_)),
        "past its lifetime, not yet stale"
    );
    let stale = LIFETIME.as_secs() + JwksLimits::default().stale_max.as_secs();
    assert!(matches!(
        look(&mut keys, "a", later(stale - 1)),
        Lookup::Found(_)
    ));
    assert!(
        matches!(look(&mut keys, "a", later(stale)), Lookup::Fetch(_)),
        "truly stale: nothing serves"
    );
}

#[test]
fn a_failing_issuer_is_asked_more_and_more_seldom() {
    let mut keys = IssuerKeys::new(JwksLimits::default());
    let mut now = NOW;
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let ticket = ticket(look(&mut keys, "a", now));
        keys.fetched(ticket, Err(FetchFailed), now);
        let failed = now;
        while !matches!(look(&mut keys, "a", now), Lookup::Fetch(_)) {
            assert!(matches!(look(&mut keys, "a", now), Lookup::Unavailable));
            now = now.plus(Duration::from_secs(15));
        }
        pauses.push(now.since(failed).as_secs());
        // That fetch is lost; its ticket times out.
        now = now.plus(JwksLimits::default().fetch_timeout);
    }
    assert_eq!(pauses[..4], [15, 30, 60, 120]);
    assert_eq!(pauses[9], 3600);
}

#[test]
fn the_outcome_of_a_fetch_that_was_given_up_is_ignored() {
    let key = named_key(Algorithm::EdDsa, "a");
    let mut keys = IssuerKeys::new(JwksLimits::default());
    let lost = ticket(look(&mut keys, "a", NOW));
    let second = ticket(look(&mut keys, "a", later(30)));
    keys.fetched(lost, Ok((set(&[&key]), LIFETIME)), later(31));
    assert!(matches!(look(&mut keys, "a", later(31)), Lookup::Wait));
    keys.fetched(second, Ok((set(&[&key]), LIFETIME)), later(32));
    assert!(matches!(look(&mut keys, "a", later(32)), Lookup::Found(_)));
}

#[test]
fn lifetimes_have_a_floor_and_a_ceiling() {
    let key = named_key(Algorithm::EdDsa, "a");
    for (said, refreshed_at) in [(0, 48), (u64::from(u32::MAX), 2880)] {
        let mut keys = IssuerKeys::new(JwksLimits::default());
        let first = ticket(look(&mut keys, "a", NOW));
        keys.fetched(first, Ok((set(&[&key]), Duration::from_secs(said))), NOW);
        assert_eq!(keys.refresh_due(later(refreshed_at - 1)), None);
        assert!(keys.refresh_due(later(refreshed_at)).is_some());
    }
}

#[test]
fn a_token_that_names_no_key_is_answered_where_one_key_fits() {
    let (one, two) = (
        named_key(Algorithm::EdDsa, "a"),
        named_key(Algorithm::EdDsa, "b"),
    );
    let mut keys = ready(&one);
    assert!(matches!(
        keys.lookup(None, Algorithm::EdDsa, NOW),
        Lookup::Found(_)
    ));
    let refresh = keys.refresh_due(later(480)).unwrap();
    keys.fetched(refresh, Ok((set(&[&one, &two]), LIFETIME)), later(480));
    assert!(
        !matches!(
            keys.lookup(None, Algorithm::EdDsa, later(480)),
            Lookup::Found(_)
        ),
        "which of two is a guess"
    );
}

#[test]
fn a_key_is_of_one_algorithm() {
    let key = named_key(Algorithm::EdDsa, "a");
    let mut keys = ready(&key);
    assert!(matches!(look(&mut keys, "a", NOW), Lookup::Found(_)));
    assert!(!matches!(
        keys.lookup(Some(&kid("a")), Algorithm::Rs256, NOW),
        Lookup::Found(_)
    ));
}

proptest! {
    /// Whatever is asked and however fetches end: one at a time, and no more than one an unknown kid and cooldown allows.
    #[test]
    fn fetches_stay_few(steps in proptest::collection::vec((0_u8..20, 0_u64..5, any::<bool>()), 1..300)) {
        let key = named_key(Algorithm::EdDsa, "kid-0");
        let mut keys = IssuerKeys::new(JwksLimits::default());
        let mut now = NOW;
        let mut flying: Option<FetchTicket> = None;
        let mut fetches = 0_u64;
        for (number, wait, lands) in steps {
            now = now.plus(Duration::from_secs(wait));
            if lands && let Some(ticket) = flying.take() {
                keys.fetched(ticket, Ok((set(&[&key]), LIFETIME)), now);
            }
            match look(&mut keys, &format!("kid-{number}"), now) {
                Lookup::Fetch(ticket) => {
                    flying = Some(ticket);
                    fetches += 1;
                }
                Lookup::Found(found) => prop_assert_eq!(found.kid().map(Kid::as_str), Some("kid-0")),
                Lookup::Unavailable | Lookup::Unknown | Lookup::Wait => {}
            }
        }
        prop_assert!(fetches <= 2 + now.since(NOW).as_secs() / 30 * 2 + 1, "{} fetches", fetches);
    }
}

#[test]
fn a_newer_whole_set_is_fetched_once_in_a_cooldown_whoever_asks() {
    let key = named_key(Algorithm::EdDsa, "a");
    let mut keys = ready(&key);
    let Whole::Fetch(first) = keys.whole(Wanted::Newer, later(1)) else {
        panic!("the kept set is not newer");
    };
    for _ in 0..1000 {
        assert!(matches!(keys.whole(Wanted::Newer, later(1)), Whole::Wait));
        assert!(matches!(
            keys.whole(Wanted::Current, later(1)),
            Whole::Set(_)
        ));
    }
    keys.fetched(first, Ok((set(&[&key]), LIFETIME)), later(2));
    for _ in 0..1000 {
        assert!(matches!(
            keys.whole(Wanted::Newer, later(30)),
            Whole::Set(_)
        ));
        // The same cooldown holds for whoever misses a key by its name.
        assert!(matches!(look(&mut keys, "b", later(30)), Lookup::Unknown));
    }
    assert!(matches!(
        keys.whole(Wanted::Newer, later(31)),
        Whole::Fetch(_)
    ));
}

#[test]
fn a_whole_set_serves_until_it_is_stale_and_then_nothing_does() {
    let key = named_key(Algorithm::EdDsa, "a");
    let limits = JwksLimits::default();
    let mut keys = ready(&key);
    let end = LIFETIME.as_secs() + limits.stale_max.as_secs();
    let Whole::Fetch(ticket) = keys.whole(Wanted::Newer, later(end - 1)) else {
        panic!("it is time");
    };
    keys.fetched(ticket, Err(FetchFailed), later(end - 1));
    // A fetch that failed is not tried again at once, whoever asks.
    assert!(matches!(
        keys.whole(Wanted::Newer, later(end - 1)),
        Whole::Set(_)
    ));
    assert!(matches!(
        keys.whole(Wanted::Current, later(end)),
        Whole::Unavailable
    ));
}
