//! Frames: what is read back, what is torn, what is damage.

use super::*;
use proptest::prelude::*;

fn frame(position: Position, records: &[&[u8]]) -> (Vec<u8>, Position) {
    let mut buffer = FrameBuffer::default();
    records.iter().for_each(|record| buffer.push(record));
    let length = buffer.length();
    let (bytes, after) = buffer.seal(position);
    assert_eq!(bytes.len(), length);
    (bytes.to_vec(), after)
}

#[test]
fn frames_follow_one_another() {
    let (first, after_first) = frame(Position::START, &[b"a", b"bc"]);
    let (second, after_second) = frame(after_first, &[b"d"]);
    let segment = [first.clone(), second].concat();
    let Next::Frame(read) = next_frame(&segment, Position::START) else {
        panic!("a frame")
    };
    assert_eq!(read.records().collect::<Vec<_>>(), [b"a".as_slice(), b"bc"]);
    assert_eq!((read.after, read.length), (after_first, first.len()));
    let Next::Frame(read) = next_frame(&segment[first.len()..], after_first) else {
        panic!("a frame")
    };
    assert_eq!(read.after, after_second);
    assert_eq!(after_second.sequence, 3);
    assert_eq!(next_frame(&[], after_second), Next::End);
    assert_eq!(
        next_frame(
            &segment[first.len()..],
            Position {
                sequence: 2,
                ..Position::START
            }
        ),
        Next::Damaged,
        "another chain"
    );
}

#[test]
fn a_buffer_is_used_again_after_it_was_sealed() {
    let mut buffer = FrameBuffer::with_capacity(100);
    buffer.push(b"a");
    let (first, after) = buffer.seal(Position::START);
    let first = first.to_vec();
    buffer.clear();
    assert_eq!(buffer.records(), 0);
    buffer.push(b"b");
    let (second, _) = buffer.seal(after);
    assert_eq!(
        next_frame(second, after),
        Next::Frame(Frame::read(second).unwrap())
    );
    assert_eq!(
        Frame::read(second).unwrap().before,
        Frame::read(&first).unwrap().after
    );
}

#[test]
fn a_broken_last_frame_is_torn_and_a_broken_earlier_one_is_damage() {
    let (first, after) = frame(Position::START, &[b"acknowledged"]);
    let (second, _) = frame(after, &[b"on its way"]);
    let segment = [first.clone(), second].concat();
    for at in 0..segment.len() {
        let mut broken = segment.clone();
        broken[at] ^= 4;
        if at < first.len() {
            assert_eq!(
                next_frame(&broken, Position::START),
                Next::Damaged,
                "byte {at}"
            );
        } else {
            assert_eq!(
                next_frame(&broken[first.len()..], after),
                Next::Torn,
                "byte {at}"
            );
        }
    }
}

#[test]
fn segments_are_named_by_their_first_record() {
    assert_eq!(segment_path(42), "journal/00000000000000000042");
    assert_eq!(segment_sequence("00000000000000000042"), Some(42));
    for other in [
        "42",
        "0000000000000000004x",
        "00000000000000000042.tmp",
        "+0000000000000000042",
    ] {
        assert_eq!(segment_sequence(other), None, "{other}");
    }
}

proptest! {
    #[test]
    fn any_cut_of_a_frame_is_torn_and_garbage_never_panics(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20), cut in any::<prop::sample::Index>(), garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let (bytes, _) = frame(Position::START, &records);
        let Next::Frame(read) = next_frame(&bytes, Position::START) else { panic!("a frame") };
        prop_assert_eq!(read.records().collect::<Vec<_>>(), records);
        let cut = cut.index(bytes.len() - 1) + 1;
        prop_assert_eq!(next_frame(&bytes[..cut], Position::START), Next::Torn);
        let _ = next_frame(&garbage, Position::START);
        let _ = next_frame(&[FRAME_MAGIC.as_slice(), &garbage].concat(), Position::START);
    }
}
