//! Reading in pieces: whatever the pieces, every record comes once and in order.

use super::*;
use crate::audit::disk::FaultyDisk;
use crate::audit::writer::JournalWriter;
use countersign_audit::journal::FrameBuffer;

/// A journal of frames with 1, 2, 3, ... records, over several segments, among them one frame longer than a chunk.
fn journal(frames: u32) -> (Arc<dyn Disk>, Position) {
    let disk: Arc<dyn Disk> = Arc::new(FaultyDisk::new());
    disk.create_directory("journal").unwrap();
    let mut writer = JournalWriter::begin(Arc::clone(&disk), Position::START, 100_000).unwrap();
    let mut number = 0_u32;
    for length in 1..=frames {
        let mut frame = FrameBuffer::default();
        let padding = if length == frames / 2 { 40_000 } else { 4 };
        for _ in 0..length {
            frame.push(&[number.to_be_bytes().as_slice(), &vec![b'.'; padding]].concat());
            number += 1;
        }
        writer.write(&mut frame).unwrap();
    }
    (disk, writer.position())
}

#[test]
fn every_record_comes_once_and_in_order_whatever_the_pieces() {
    let (disk, end) = journal(60);
    for records_max in [1, 2, 7, 100, 100_000] {
        let mut reader = JournalReader::at(Arc::clone(&disk), 0, 0, Position::START);
        let mut numbers = Vec::new();
        while reader.position().sequence < end.sequence {
            let batch = reader.next(end, records_max).unwrap();
            assert!(!batch.records.is_empty() && batch.bytes > 0);
            numbers.extend(
                batch
                    .records
                    .iter()
                    .map(|record| u32::from_be_bytes(record[..4].try_into().unwrap())),
            );
        }
        assert_eq!(reader.position(), end);
        assert_eq!(
            numbers,
            (0..1830).collect::<Vec<_>>(),
            "pieces of {records_max}"
        );
    }
}

#[test]
fn nothing_beyond_the_durable_end_is_read() {
    let (disk, _) = journal(10);
    let mut reader = JournalReader::at(disk, 0, 0, Position::START);
    let durable = Position {
        sequence: 6,
        ..Position::START
    };
    assert_eq!(reader.next(durable, 1000).unwrap().records.len(), 6);
    assert_eq!(reader.next(durable, 1000).unwrap().records.len(), 0);
}
