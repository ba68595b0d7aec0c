use super::{Ended, Rest, Share, Turns};
use crate::webhook::dispatcher::breaker::Said;
use crate::webhook::dispatcher::pace::{Room, Wants};
use countersign_base::{Duration, Tenant, UnixMillis};
use proptest::prelude::*;
use std::collections::BTreeMap;

const WANTS: Wants = Wants {
    rate: None,
    concurrency: 100,
};
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

fn said(said: Said) -> Ended {
    Ended {
        said: Some(said),
        took: Duration::from_millis(20),
        concurrency: 100,
        rest: None,
    }
}

/// Takes as much as there is room for.
fn take(turns: &mut Turns<u32>, lane: u32, of: &Tenant) -> u16 {
    let barred = turns.barred(&lane, of, NOW);
    let room = turns.room(&lane, of, WANTS, NOW);
    // What is known beforehand is what is found out: the concurrency is beyond all here.
    assert_eq!(
        barred.is_none(),
        matches!(room, Room::Now(_)),
        "{barred:?} {room:?}"
    );
    if let Some(barred) = barred {
        assert_eq!(barred, room);
    }
    match room {
        Room::Now(room) => {
            turns.took(&lane, of, room, NOW);
            room
        }
        Room::Full | Room::NotBefore(_) => 0,
    }
}

#[test]
fn endpoints_that_hang_leave_room_for_those_that_answer() {
    let mut turns = Turns::new(Share::of(8));
    let (a, b) = (tenant("a"), tenant("b"));
    // Each failed once: they have half of all together.
    for lane in 0..20 {
        assert_eq!(take(&mut turns, lane, &a), 1);
        turns.ended(&lane, &a, said(Said::Bad), NOW);
    }
    let hanging: u16 = (0..20).map(|lane| take(&mut turns, lane, &a)).sum();
    assert_eq!((hanging, turns.under_way()), (4, 4));
    // One of the same tenant that answers: up to three quarters; the rest is another tenant's.
    assert_eq!(take(&mut turns, 100, &a), 1);
    turns.ended(&100, &a, said(Said::Good), NOW);
    assert_eq!(take(&mut turns, 100, &a), 2);
    assert_eq!(take(&mut turns, 101, &a), 0);
    assert_eq!(take(&mut turns, 200, &b), 1);
    assert_eq!(take(&mut turns, 201, &b), 1);
    assert_eq!(take(&mut turns, 202, &b), 0, "all are under way");
    turns.ended(&0, &a, said(Said::Bad), NOW);
    assert_eq!(turns.free(), 1);
}

#[test]
fn endpoints_that_take_all_the_time_there_is_are_no_better_than_those_that_hang() {
    let mut turns = Turns::new(Share::of(8));
    let slow = Ended {
        took: Duration::from_secs(19),
        ..said(Said::Good)
    };
    let of = |lane: u32| tenant(if lane.is_multiple_of(2) { "a" } else { "b" });
    for lane in 0..20 {
        assert_eq!(take(&mut turns, lane, &of(lane)), 1);
        turns.ended(&lane, &of(lane), slow, NOW);
    }
    let slow: u16 = (0..20).map(|lane| take(&mut turns, lane, &of(lane))).sum();
    assert_eq!((slow, turns.free()), (4, 4), "half of all");
    assert_eq!(take(&mut turns, 100, &tenant("c")), 1);
}

#[test]
fn an_endpoint_that_wants_to_be_left_alone_is() {
    let mut turns = Turns::new(Share::of(8));
    let of = tenant("a");
    assert_eq!(take(&mut turns, 1, &of), 1);
    let until = UnixMillis(NOW.0 + 7_000);
    let rest = Some(Rest { until: Some(until) });
    let ended = Ended {
        rest,
        ..said(Said::Bad)
    };
    turns.ended(&1, &of, ended, NOW);
    assert_eq!(turns.room(&1, &of, WANTS, NOW), Room::NotBefore(until));
    assert_eq!(turns.room(&1, &of, WANTS, until), Room::Now(1));
}

#[test]
fn what_says_nothing_any_more_is_forgotten() {
    let mut turns = Turns::new(Share::of(8));
    let of = tenant("a");
    for lane in 0..1_000 {
        assert_eq!(take(&mut turns, lane, &of), 1);
        turns.ended(&lane, &of, said(Said::Good), NOW);
    }
    turns.forget(UnixMillis(NOW.0 + 400_000));
    assert_eq!(turns.paces.len(), 0);
    assert_eq!(turns.tenants.len(), 0);
}

proptest! {
    #[test]
    fn the_shares_hold_and_nothing_is_counted_twice(
        steps in proptest::collection::vec((0_u32..12, 0_u8..4), 1..500),
    ) {
        let share = Share::of(16);
        let mut turns = Turns::new(share);
        let mut under_way: BTreeMap<u32, usize> = BTreeMap::new();
        for (lane, what) in steps {
            let of = tenant(if lane % 3 == 0 { "a" } else { "b" });
            let there = under_way.entry(lane).or_default();
            match what {
                0 => *there += usize::from(take(&mut turns, lane, &of)),
                3 if *there > 0 => {
                    turns.gave_back(&lane, &of, u16::try_from(*there).unwrap());
                    *there = 0;
                }
                _ if *there > 0 => {
                    *there -= 1;
                    let how = if what == 1 { Said::Good } else { Said::Bad };
                    turns.ended(&lane, &of, said(how), NOW);
                }
                _ => {}
            }
            let sum = |of_a: Option<bool>| -> usize {
                under_way
                    .iter()
                    .filter(|(lane, _)| of_a.is_none_or(|of_a| (*lane % 3 == 0) == of_a))
                    .map(|(_, number)| number)
                    .sum()
            };
            prop_assert_eq!(turns.under_way(), sum(None));
            prop_assert!(sum(None) <= share.all);
            prop_assert!(sum(Some(true)) <= share.tenant && sum(Some(false)) <= share.tenant);
            prop_assert!(turns.suspects <= share.suspects);
        }
    }
}
