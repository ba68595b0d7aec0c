use super::{Known, Room, Rooms};
use countersign_base::{Tenant, UnixTime};

const NOW: UnixTime = UnixTime(1_000);

fn tenant() -> Tenant {
    "default".parse().unwrap()
}

fn counted(left: u32) -> Rooms {
    let rooms = Rooms::default();
    assert_eq!(rooms.look(&tenant(), NOW), Known::Nothing);
    rooms.set(&tenant(), Room::counted(left, NOW));
    rooms
}

#[test]
fn a_part_of_the_room_is_used_before_it_is_counted_again() {
    let rooms = counted(100);
    rooms.take(&tenant(), 24);
    assert_eq!(rooms.look(&tenant(), UnixTime(1_059)), Known::Some);
    rooms.take(&tenant(), 1);
    assert_eq!(rooms.look(&tenant(), UnixTime(1_059)), Known::Nothing);
}

#[test]
fn when_it_is_time_to_count_one_does_and_the_others_go_on() {
    let rooms = counted(100);
    assert_eq!(rooms.look(&tenant(), UnixTime(1_060)), Known::Nothing);
    assert_eq!(rooms.look(&tenant(), UnixTime(1_060)), Known::Some);
    // Whoever counted was not heard of: the next does.
    assert_eq!(rooms.look(&tenant(), UnixTime(1_062)), Known::Nothing);
}

#[test]
fn where_there_is_no_room_not_everybody_counts_to_hear_it() {
    let rooms = counted(0);
    assert_eq!(rooms.look(&tenant(), NOW), Known::Full);
    assert_eq!(rooms.look(&tenant(), UnixTime(1_001)), Known::Full);
    assert_eq!(rooms.look(&tenant(), UnixTime(1_002)), Known::Nothing);
    assert_eq!(rooms.look(&tenant(), UnixTime(1_002)), Known::Full);
}

#[test]
fn a_clock_that_is_set_back_makes_no_count_last() {
    let rooms = counted(100);
    assert_eq!(rooms.look(&tenant(), UnixTime(10)), Known::Nothing);
}
