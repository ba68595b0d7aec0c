use super::*;
use crate::upstream::UpstreamTransport;
use std::collections::BTreeMap;
use std::time::Duration;

fn spec(ports: &[u16], balance: Balance) -> UpstreamSpec {
    let endpoints = ports.iter().map(|port| Endpoint {
        authority: format!("127.0.0.1:{port}").parse().unwrap(),
        host: "127.0.0.1".to_owned(),
        port: *port,
        transport: UpstreamTransport::Plaintext,
    });
    let mut spec = UpstreamSpec::of("one".parse().unwrap(), endpoints.collect());
    spec.balance = balance;
    spec.breaker = BreakerSpec {
        failures: 1,
        ejection: Duration::from_secs(1),
    };
    spec
}

fn members(ports: &[u16], balance: Balance) -> Members {
    Members::new(&spec(ports, balance), None)
}

fn wanted(key: u64, repeat: Repeat) -> Wanted {
    Wanted {
        key,
        repeat,
        body: Completeness::Whole,
    }
}

const BY_CLIENT: Balance = Balance::ConsistentHash(HashBy::Client);

fn choose(members: &Members, key: u64) -> usize {
    members
        .choose(wanted(key, Repeat::OnlyUnsent), &[], 0)
        .unwrap()
        .0
}

fn eject(members: &Members, position: usize) {
    members.members[position].report(Outcome::Failed, 0);
}

#[test]
fn the_less_loaded_of_two_is_chosen() {
    let members = members(&[1, 2], Balance::LeastLoaded);
    let (first, _held) = members
        .choose(wanted(0, Repeat::OnlyUnsent), &[], 0)
        .unwrap();
    // With one request under way at one of two addresses the other is the less loaded, whichever was drawn first.
    for _ in 0..50 {
        assert_eq!(choose(&members, 0), 1 - first);
    }
}

#[test]
fn nobody_is_overloaded_while_others_idle() {
    let members = members(&[1, 2, 3, 4, 5, 6, 7, 8], Balance::LeastLoaded);
    let held: Vec<(usize, Load)> = (0..800)
        .map(|_| {
            members
                .choose(wanted(0, Repeat::OnlyUnsent), &[], 0)
                .unwrap()
        })
        .collect();
    let mut counts = BTreeMap::new();
    for (position, _) in &held {
        *counts.entry(*position).or_insert(0) += 1;
    }
    assert!(
        counts.len() == 8 && counts.values().all(|count| (90..=110).contains(count)),
        "{counts:?}"
    );
    drop(held);
    let left = members
        .members
        .iter()
        .map(|member| member.under_way.load(Ordering::Relaxed));
    assert_eq!(left.sum::<usize>(), 0);
}

#[test]
fn two_positions_are_two_and_all_come() {
    for count in 2..6_usize {
        let mut seen = BTreeMap::new();
        for number in 0..20_000_u64 {
            let (first, second) = two_of(count, RandomState::new().hash_one(number));
            assert!(first < count && second < count && first != second);
            *seen.entry((first, second)).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), count * (count - 1));
    }
}

#[test]
fn a_caller_stays_and_only_those_of_a_lost_address_move() {
    let members = members(&[1, 2, 3, 4], BY_CLIENT);
    let before: Vec<usize> = (0..1_000_usize)
        .map(|key| choose(&members, key_of(&key)))
        .collect();
    assert_eq!(
        before,
        (0..1_000_usize)
            .map(|key| choose(&members, key_of(&key)))
            .collect::<Vec<_>>()
    );
    eject(&members, 2);
    let mut moved = BTreeMap::new();
    for (key, before) in before.iter().enumerate() {
        let now = choose(&members, key_of(&key));
        if *before == 2 {
            *moved.entry(now).or_insert(0) += 1;
        } else {
            assert_eq!(now, *before);
        }
    }
    assert_eq!(
        moved.len(),
        3,
        "its callers are spread over the others: {moved:?}"
    );
}

#[test]
fn another_process_sends_a_caller_to_the_same_address() {
    let (one, other) = (
        members(&[1, 2, 3], BY_CLIENT),
        members(&[1, 2, 3], BY_CLIENT),
    );
    assert!((0..200).all(|key| choose(&one, key_of(&key)) == choose(&other, key_of(&key))));
}

#[test]
fn an_ejected_address_is_tried_by_a_request_that_may_be_sent_again() {
    let members = members(&[1, 2], Balance::LeastLoaded);
    eject(&members, 0);
    let second = 1_000_000_000;
    let at = |repeat, now| {
        members
            .choose(wanted(0, repeat), &[], now)
            .map(|(position, _)| position)
    };
    assert_eq!(at(Repeat::Harmless, second - 1), Ok(1));
    assert_eq!(at(Repeat::OnlyUnsent, second), Ok(1));
    assert_eq!(at(Repeat::Harmless, second), Ok(0));
    // The load was dropped without a word: the trial is there for the next.
    let (position, mut load) = members
        .choose(wanted(0, Repeat::Harmless), &[], second)
        .unwrap();
    assert_eq!(position, 0);
    assert_eq!(at(Repeat::Harmless, second), Ok(1), "one trial at a time");
    load.report(Outcome::Succeeded);
    drop(load);
    let both: std::collections::BTreeSet<usize> = (0..100).map(|_| choose(&members, 0)).collect();
    assert_eq!(both.len(), 2);
}

#[test]
fn a_trial_waits_for_no_caller_who_is_still_sending() {
    let members = members(&[1], Balance::LeastLoaded);
    eject(&members, 0);
    let second = 1_000_000_000;
    let arriving = Wanted {
        body: Completeness::Arriving,
        ..wanted(0, Repeat::OnlyUnsent)
    };
    let whole = wanted(0, Repeat::OnlyUnsent);
    let slow = members.choose(arriving, &[], second).unwrap().1;
    assert!(members.choose(arriving, &[], second + 1).is_err());
    let (_, mut quick) = members.choose(whole, &[], second + 1).unwrap();
    // Giving the first one up says nothing of the second.
    drop(slow);
    assert!(members.choose(whole, &[], second + 2).is_err());
    quick.report(Outcome::Succeeded);
    assert!(members.choose(arriving, &[], second + 3).is_ok());
    assert!(members.choose(arriving, &[], second + 3).is_ok());
}

#[test]
fn when_all_are_ejected_the_first_that_comes_back_is_named() {
    let members = members(&[1, 2], Balance::LeastLoaded);
    eject(&members, 0);
    eject(&members, 1);
    let refused = members
        .choose(wanted(0, Repeat::OnlyUnsent), &[], 5)
        .unwrap_err();
    assert_eq!(
        refused,
        AllEjected {
            until: 1_000_000_000
        }
    );
    // Then even a request that may not be sent again is let through: somebody must.
    assert!(
        members
            .choose(wanted(0, Repeat::OnlyUnsent), &[], 1_000_000_000)
            .is_ok()
    );
}

#[test]
fn sick_addresses_are_passed_over_unless_all_are_sick() {
    let members = members(&[1, 2], Balance::LeastLoaded);
    members.set_health(0, Health::Sick);
    assert!((0..50).all(|_| choose(&members, 0) == 1));
    members.set_health(1, Health::Sick);
    let both: std::collections::BTreeSet<usize> = (0..100).map(|_| choose(&members, 0)).collect();
    assert_eq!(both.len(), 2);
    members.set_health(0, Health::Well);
    assert!((0..50).all(|_| choose(&members, 0) == 0));
}

#[test]
fn an_address_that_failed_this_request_is_the_last_resort() {
    let members = members(&[1, 2, 3], Balance::LeastLoaded);
    for _ in 0..50 {
        assert_eq!(
            members
                .choose(wanted(0, Repeat::Harmless), &[0, 2], 0)
                .unwrap()
                .0,
            1
        );
    }
    assert!(
        members
            .choose(wanted(0, Repeat::Harmless), &[0, 1, 2], 0)
            .is_ok()
    );
}

#[test]
fn a_reload_remembers_what_addresses_stay() {
    let members = members(&[1, 2], Balance::LeastLoaded);
    eject(&members, 0);
    let reloaded = Members::new(&spec(&[1, 3], Balance::LeastLoaded), Some(&members));
    assert!((0..50).all(|_| choose(&reloaded, 0) == 1));
}

#[test]
fn an_upstream_can_do_without_an_address_while_another_serves() {
    assert_eq!(
        members(&[1], Balance::LeastLoaded).others(0, 0),
        Others::None
    );
    let members = members(&[1, 2], Balance::LeastLoaded);
    assert_eq!(members.others(0, 0), Others::Serve);
    members.set_health(1, Health::Sick);
    assert_eq!(members.others(0, 0), Others::None);
    members.set_health(1, Health::Well);
    eject(&members, 1);
    assert_eq!(members.others(0, 0), Others::None);
    assert_eq!(members.others(1, 0), Others::Serve);
}
