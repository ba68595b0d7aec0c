//! The power is cut at every single operation. Afterwards every acknowledged record is in the log exactly once, and the log extends every checkpoint
//! that anybody could have seen.

use super::super::disk::{Disk, FaultyDisk};
use super::super::log::Opened;
use super::super::writer::JournalWriter;
use super::super::{OutboxRow, sequencer::Sequencer};
use super::{ids, record, signer, verify};
use countersign_audit::Record;
use countersign_audit::journal::FrameBuffer;
use countersign_base::EventId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What survives outside the log's disk: what was promised to others, and the database.
#[derive(Clone, Default)]
struct World {
    acknowledged: BTreeSet<EventId>,
    committed: BTreeSet<EventId>,
    outbox: Vec<OutboxRow>,
    next_row: i64,
    seen_checkpoints: Vec<Vec<u8>>,
}

const SEGMENT_BYTES: u64 = 6 * 1024;

/// Why a run ended early.
struct PowerCut;

impl World {
    fn append(&mut self, writer: &mut JournalWriter, records: usize) -> Result<(), PowerCut> {
        let records: Vec<Record> = (0..records).map(|_| record()).collect();
        let mut frame = FrameBuffer::default();
        records
            .iter()
            .for_each(|record| frame.push(record.encode().as_bytes()));
        writer.write(&mut frame).map_err(|_| PowerCut)?;
        self.acknowledged
            .extend(records.iter().map(|record| record.id));
        Ok(())
    }

    fn commit(&mut self, rows: usize) {
        for _ in 0..rows {
            let record = record();
            self.committed.insert(record.id);
            self.outbox.push(OutboxRow {
                id: self.next_row,
                record: record.encode().into_bytes(),
            });
            self.next_row += 1;
        }
    }

    fn round(
        &mut self,
        disk: &FaultyDisk,
        writer: &JournalWriter,
        sequencer: &mut Sequencer,
    ) -> Result<(), PowerCut> {
        let settled = sequencer.settled_rows().to_vec();
        self.outbox.retain(|row| !settled.contains(&row.id));
        sequencer.rows_removed();
        let rows = self.outbox.clone();
        let round = sequencer.round(writer.position(), &rows);
        // Whoever looks at the directory at this moment sees this, whether or not it is durable.
        self.seen_checkpoints
            .extend(disk.read("checkpoint").ok().flatten());
        round.map_err(|_| PowerCut)?;
        sequencer.recycle_segments().map_err(|_| PowerCut)
    }

    /// A life of the program: batches, committed rows and rounds, until the power is cut or the script ends.
    fn live(&mut self, disk: &FaultyDisk) -> Result<(), PowerCut> {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let Opened {
            mut writer,
            mut sequencer,
            ..
        } = Opened::on(&shared, &signer(), SEGMENT_BYTES)
            .map_err(|error| check_is_power_cut(&error))?;
        // The fourth fills a tile; the rounds after it find its hash in the tile above, which they leave as it is.
        for (batch, rows) in [(1, 0), (30, 2), (3, 0), (230, 5), (9, 0), (40, 1)] {
            self.append(&mut writer, batch)?;
            self.commit(rows);
            if batch != 3 {
                self.round(disk, &writer, &mut sequencer)?;
            }
        }
        Ok(())
    }

    /// Opens what the cut left, drains it, and judges.
    fn judge(&mut self, disk: &FaultyDisk, case: &str) {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let opened = Opened::on(&shared, &signer(), SEGMENT_BYTES);
        let Opened {
            mut writer,
            mut sequencer,
            ..
        } = opened.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(
            self.append(&mut writer, 2).is_ok()
                && self.round(disk, &writer, &mut sequencer).is_ok(),
            "{case}: goes on"
        );
        let logged = ids(disk);
        let once: BTreeSet<EventId> = logged.iter().copied().collect();
        assert_eq!(
            once.len(),
            logged.len(),
            "{case}: a record is in the log twice"
        );
        assert!(
            self.acknowledged.is_subset(&once),
            "{case}: an acknowledged record is not in the log"
        );
        assert!(
            self.committed.is_subset(&once),
            "{case}: a committed record is not in the log"
        );
        let verified = verify(disk, &self.seen_checkpoints);
        assert!(verified.is_ok(), "{case}: {verified:?}");
    }
}

fn check_is_power_cut(error: &super::super::OpenError) -> PowerCut {
    assert!(
        matches!(error, super::super::OpenError::Disk(_)),
        "a cut is no damage: {error}"
    );
    PowerCut
}

fn operations_of_a_life() -> u64 {
    let disk = FaultyDisk::new();
    assert!(World::default().live(&disk).is_ok());
    disk.operations()
}

/// Every `step`th cut from `first` on, each with several fates of what was not synced, each followed by a second cut while starting again.
fn cut_everywhere(first: u64, step: usize) {
    let operations = operations_of_a_life();
    assert!(
        operations > 100,
        "the script does enough to be worth cutting: {operations}"
    );
    for cut in (first..=operations).step_by(step) {
        let disk = FaultyDisk::new();
        disk.cut_power_after(cut);
        let mut world = World::default();
        let survived = world.live(&disk).is_ok();
        assert_eq!(survived, cut >= operations);
        let found = disk.after_power_cut(cut);
        let second_cut = cut % 23;
        found.cut_power_after(second_cut);
        let _ = world.live(&found);
        for fate in 0..2 {
            world.clone().judge(
                &found.after_power_cut(cut * 7 + fate),
                &format!("cut {cut} then {second_cut}, fate {fate}"),
            );
        }
    }
}

/// The program is killed at every single operation; what it did until then is there.
#[test]
fn a_kill_loses_and_doubles_nothing() {
    for kill in 0..=operations_of_a_life() {
        let disk = FaultyDisk::new();
        disk.cut_power_after(kill);
        let mut world = World::default();
        let _ = world.live(&disk);
        world.judge(&disk.after_kill(), &format!("kill {kill}"));
    }
}

#[test]
fn a_power_cut_loses_and_doubles_nothing_0() {
    cut_everywhere(0, 3);
}

#[test]
fn a_power_cut_loses_and_doubles_nothing_1() {
    cut_everywhere(1, 3);
}

#[test]
fn a_power_cut_loses_and_doubles_nothing_2() {
    cut_everywhere(2, 3);
}

/// The test of the test: a disk that says it synced and did not makes acknowledged records vanish, and that is noticed.
#[test]
fn an_acknowledgement_before_the_sync_would_be_noticed() {
    let disk = FaultyDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let opened = Opened::on(&shared, &signer(), SEGMENT_BYTES).unwrap();
    let position = opened.writer.position();
    let mut unsynced = disk.append_to("journal/00000000000000000000").unwrap();
    let mut frame = FrameBuffer::default();
    frame.push(record().encode().as_bytes());
    unsynced.append(frame.seal(position).0).unwrap();
    let survived = (0..64).filter(|fate| {
        let found: Arc<dyn Disk> = Arc::new(disk.after_power_cut(*fate));
        Opened::on(&found, &signer(), SEGMENT_BYTES)
            .unwrap()
            .writer
            .position()
            != position
    });
    let survived = survived.count();
    assert!(
        survived > 0 && survived < 64,
        "{survived} of 64 fates keep what was never synced"
    );
}
