//! What a log refuses to start on, each with the twin that starts; and what the queue refuses.

use super::super::disk::{Disk, FaultyDisk};
use super::super::log::Opened;
use super::super::queue::{Awaited, Queue};
use super::super::{AuditOptions, AuditUnavailable, OpenError};
use super::{another_signing_key, record, signer};
use countersign_audit::journal::FrameBuffer;
use countersign_audit::{Class, NoteSigner};
use std::sync::Arc;

fn open(disk: &FaultyDisk) -> Result<Opened, OpenError> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    Opened::on(&shared, &signer(), 1 << 20)
}

/// Writes a batch of `records`, and sequences it if there is a second number, which is how many are then left waiting.
fn write(opened: &mut Opened, records: usize) {
    let mut frame = FrameBuffer::default();
    (0..records).for_each(|_| frame.push(record().encode().as_bytes()));
    opened.writer.write(&mut frame).unwrap();
}

fn sequence(opened: &mut Opened) {
    opened
        .sequencer
        .round(opened.writer.position(), &[])
        .unwrap();
}

/// A log of 300 records with two batches that wait to be sequenced.
fn a_log() -> FaultyDisk {
    let disk = FaultyDisk::new();
    let mut opened = open(&disk).unwrap();
    write(&mut opened, 300);
    sequence(&mut opened);
    write(&mut opened, 3);
    write(&mut opened, 4);
    disk
}

fn replace(disk: &FaultyDisk, path: &str, bytes: &[u8]) {
    disk.write_anew(path).unwrap().append(bytes).unwrap();
}

#[test]
fn an_honest_log_opens_and_goes_on() {
    let mut opened = open(&a_log()).unwrap();
    assert_eq!(opened.writer.position().sequence, 307);
    assert_eq!(opened.sequencer.size(), 300);
    sequence(&mut opened);
    assert_eq!(opened.sequencer.size(), 307);
}

#[test]
fn a_changed_right_edge_is_refused() {
    for path in [
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/001.p/44",
        "tile/0/000",
        "state",
        "checkpoint",
    ] {
        let disk = a_log();
        assert!(disk.flip(path, 20), "{path}");
        assert!(
            matches!(open(&disk), Err(OpenError::Damaged(_))),
            "{path} changed"
        );
        let disk = a_log();
        disk.remove(path).unwrap();
        match path {
            "checkpoint" => assert!(open(&disk).is_ok(), "the state holds it"),
            _ => assert!(
                matches!(open(&disk), Err(OpenError::Damaged(_))),
                "{path} missing"
            ),
        }
    }
}

#[test]
fn damage_to_acknowledged_frames_is_refused_and_a_torn_tail_is_cut() {
    const SEGMENT: &str = "journal/00000000000000000000";
    let with_changed = |change: fn(&mut Vec<u8>)| {
        let disk = a_log();
        let mut bytes = disk.read(SEGMENT).unwrap().unwrap();
        change(&mut bytes);
        replace(&disk, SEGMENT, &bytes);
        open(&disk).map(|opened| opened.writer.position().sequence)
    };
    let flipped = with_changed(|bytes| {
        let at = bytes.len() - 1300;
        bytes[at] ^= 1;
    });
    assert!(
        matches!(flipped, Err(OpenError::Damaged(_))),
        "a frame with a later one behind it was acknowledged"
    );
    let torn = with_changed(|bytes| bytes.truncate(bytes.len() - 1));
    assert!(matches!(torn, Ok(303)), "the last frame is torn");
    let longer = with_changed(|bytes| bytes.extend_from_within(..100));
    assert!(
        matches!(longer, Ok(307)),
        "garbage behind the end is cut off"
    );
    let shorter = with_changed(|bytes| bytes.truncate(500));
    assert!(
        matches!(shorter, Err(OpenError::Damaged(_))),
        "the journal ends before what is in the log"
    );
}

#[test]
fn a_rolled_back_state_is_refused() {
    let disk = a_log();
    let old = disk.read("state").unwrap().unwrap();
    let mut opened = open(&disk).unwrap();
    sequence(&mut opened);
    drop(opened);
    assert!(open(&disk).is_ok());
    replace(&disk, "state", &old);
    assert!(matches!(open(&disk), Err(OpenError::Damaged(_))));
}

#[test]
fn another_key_is_refused() {
    let disk = a_log();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let other = NoteSigner::new("log.example/eu".parse().unwrap(), another_signing_key()).unwrap();
    assert!(matches!(
        Opened::on(&shared, &other, 1 << 20),
        Err(OpenError::Key(_))
    ));
    assert!(Opened::on(&shared, &signer(), 1 << 20).is_ok());
}

#[test]
fn leftovers_of_an_unfinished_batch_are_removed() {
    let disk = a_log();
    for path in [
        "tile/0/001.p/45",
        "tile/entries/001.p/200",
        "tile/0/002",
        "state.tmp",
    ] {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        if !directory.is_empty() {
            disk.create_directory(directory).unwrap();
        }
        replace(&disk, path, b"left over");
    }
    open(&disk).unwrap();
    for path in [
        "tile/0/001.p/45",
        "tile/entries/001.p/200",
        "tile/0/002",
        "state.tmp",
    ] {
        assert_eq!(disk.read(path).unwrap(), None, "{path}");
    }
    assert!(disk.read("tile/0/001.p/44").unwrap().is_some());
}

#[test]
fn a_full_queue_refuses_traffic_before_it_refuses_control() {
    let options = AuditOptions {
        queue_bytes_max: 10_000,
        queue_bytes_reserved: 4_000,
        ..AuditOptions::default()
    };
    let queue = Queue::new(&options, 0);
    let canonical = record().encode();
    let fill = |class| {
        let appended = (0..10_000)
            .take_while(|_| queue.append(&canonical, class, Awaited::No).is_ok())
            .count();
        appended * (canonical.as_bytes().len() + 2)
    };
    let data = fill(Class::Data);
    assert!((5_500..=6_000).contains(&data), "{data} bytes of traffic");
    assert_eq!(
        queue.append(&canonical, Class::Data, Awaited::Yes).err(),
        Some(AuditUnavailable::Full)
    );
    let control = fill(Class::Control);
    assert!(
        (3_500..=4_100).contains(&control),
        "{control} bytes of control"
    );
    assert_eq!(
        queue.append(&canonical, Class::Control, Awaited::Yes).err(),
        Some(AuditUnavailable::Full)
    );
    let taken = queue.take(FrameBuffer::default()).unwrap();
    assert_eq!(taken.frame.length(), 56 + 32 + data + control);
    assert!(
        queue.append(&canonical, Class::Data, Awaited::Yes).is_ok(),
        "room again"
    );
}

#[test]
fn a_full_journal_refuses_until_it_is_sequenced() {
    let options = AuditOptions {
        journal_bytes_max: 10_000,
        journal_bytes_reserved: 5_000,
        ..AuditOptions::default()
    };
    let queue = Queue::new(&options, 4_900);
    let canonical = record().encode();
    assert_eq!(
        queue.append(&canonical, Class::Data, Awaited::No).err(),
        Some(AuditUnavailable::Full)
    );
    assert!(
        queue
            .append(&canonical, Class::Control, Awaited::No)
            .is_ok()
    );
    queue.backlog_shrank(4_900);
    assert!(queue.append(&canonical, Class::Data, Awaited::No).is_ok());
}
