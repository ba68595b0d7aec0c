//! A log in memory, and every way to tamper with it.

use super::*;
use crate::checkpoint::Checkpoint;
use crate::event::{Decision, Verdict};
use crate::journal::{FrameBuffer, Position, segment_path};
use crate::note::NoteSigner;
use crate::note::tests::signer;
use crate::proof::verify_inclusion;
use crate::record::Record;
use crate::tile::{Tile, append_entry};
use countersign_base::{Tenant, UnixMillis};
use proptest::prelude::*;

#[derive(Clone, Default)]
struct MemoryLog {
    files: BTreeMap<String, Vec<u8>>,
}

impl LogFiles for MemoryLog {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FileError> {
        Ok(self.files.get(path).cloned())
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        let inside = self
            .files
            .keys()
            .filter_map(|name| name.strip_prefix(path)?.strip_prefix('/'));
        let mut names: Vec<String> = inside
            .map(|rest| rest.split('/').next().unwrap().to_owned())
            .collect();
        names.dedup();
        Ok(names)
    }
}

fn record(number: u64) -> Record {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    Record {
        id: EventId::from_bytes(id),
        time: UnixMillis(1_795_000_000_000),
        tenant: Tenant::default_tenant(),
        request: None,
        event: Decision::new("gateway".into(), Verdict::Allowed, "policy".into()).into(),
    }
}

fn entries(size: u64) -> Vec<Vec<u8>> {
    (0..size)
        .map(|number| record(number).encode().into_bytes())
        .collect()
}

/// Writes a log that has published a checkpoint at each of `sizes`.
fn write(signer: &NoteSigner, entries: &[Vec<u8>], sizes: &[usize]) -> MemoryLog {
    let mut log = MemoryLog::default();
    let mut frontier = Frontier::new();
    let mut position = Position::START;
    let mut segment = Vec::new();
    let mut frame = FrameBuffer::default();
    for (number, entry) in entries.iter().enumerate() {
        frame.push(entry);
        for filled in frontier.push(Hash::of_leaf(entry)) {
            log.files.insert(filled.tile.path(), filled.bytes);
        }
        if sizes.contains(&(number + 1)) {
            let (bytes, after) = frame.seal(position);
            segment.extend_from_slice(bytes);
            (position, frame) = (after, FrameBuffer::default());
            log.files.insert(segment_path(0), segment.clone());
            publish(&mut log, signer, &frontier, &entries[..=number], position);
        }
    }
    log
}

fn publish(
    log: &mut MemoryLog,
    signer: &NoteSigner,
    frontier: &Frontier,
    entries: &[Vec<u8>],
    position: Position,
) {
    for tile in Tile::row(crate::tile::Content::Entries, entries.len() as u64) {
        let mut bundle = Vec::new();
        let first = usize::try_from(tile.index).unwrap() * 256;
        entries[first..first + usize::from(tile.width)]
            .iter()
            .for_each(|entry| append_entry(&mut bundle, entry).unwrap());
        log.files.insert(tile.path(), bundle);
    }
    for filled in frontier.partial_tiles() {
        log.files.insert(filled.tile.path(), filled.bytes);
    }
    let origin = signer.verifier().origin().clone();
    let checkpoint = Checkpoint {
        origin,
        size: frontier.size(),
        root: frontier.root(),
    }
    .sign(signer)
    .unwrap();
    let state = State {
        checkpoint: checkpoint.clone(),
        journal: position,
        outbox: vec![3],
        replaces: log.files.get(CHECKPOINT_PATH).map(|note| State::mark(note)),
    };
    log.files.insert(STATE_PATH.to_owned(), state.to_bytes());
    log.files
        .insert(CHECKPOINT_PATH.to_owned(), checkpoint.into_bytes());
}

fn verify(log: &MemoryLog, signer: &NoteSigner) -> Result<Report, VerifyError> {
    Verifier::new(log, signer.verifier().clone()).verify()
}

#[test]
fn a_log_verifies_at_every_size_around_a_tile() {
    let signer = signer("log.example");
    for size in [1, 2, 255, 256, 257, 512, 700] {
        let log = write(&signer, &entries(size), &[usize::try_from(size).unwrap()]);
        let report = verify(&log, &signer).unwrap();
        assert_eq!(
            (report.size, report.superseded, report.unpublished),
            (size, 0, 0)
        );
        assert_eq!(
            report.tiles,
            log.files
                .keys()
                .filter(|path| path.starts_with("tile/"))
                .count() as u64
        );
        assert_eq!(report.journal.unwrap().sequenced, size);
    }
}

#[test]
fn superseded_tiles_are_verified_and_stray_files_refused() {
    let signer = signer("log.example");
    let log = write(&signer, &entries(300), &[3, 200, 300]);
    let report = verify(&log, &signer).unwrap();
    assert_eq!(report.superseded, 4, "hashes and entries at 3 and 200");
    let mut foreign = log.clone();
    foreign.files.insert("tile/0/readme".to_owned(), Vec::new());
    assert_eq!(
        verify(&foreign, &signer),
        Err(VerifyError::Unexpected {
            path: "tile/0/readme".to_owned()
        })
    );
    let mut beyond = log;
    beyond.files.insert(Tile::entries(1, 45).path(), Vec::new());
    assert_eq!(verify(&beyond, &signer).unwrap().unpublished, 1);
}

type Tamper = fn(&mut Vec<Vec<u8>>);

#[test]
fn whoever_rewrites_entries_needs_the_key() {
    let ours = signer("log.example");
    let thief = signer("log.example");
    let honest = write(&ours, &entries(600), &[600]);
    let old = write(&ours, &entries(300), &[300]).files[CHECKPOINT_PATH].clone();
    let cases: [(&str, Tamper); 5] = [
        ("flip", |entries| {
            entries[100] = record(9999).encode().into_bytes()
        }),
        ("drop", |entries| drop(entries.remove(5))),
        ("reorder", |entries| entries.swap(10, 400)),
        ("truncate", |entries| entries.truncate(599)),
        ("append", |entries| {
            entries.push(record(7777).encode().into_bytes())
        }),
    ];
    for (name, tamper) in cases {
        let mut changed = entries(600);
        tamper(&mut changed);
        // Everything that can be forged without the key is: entries, every tile above them, journal and state.
        let mut forged = write(&thief, &changed, &[changed.len()]);
        assert!(
            verify(&forged, &ours).is_err(),
            "{name}: another key's checkpoint"
        );
        assert!(
            verify(&forged, &thief).is_ok(),
            "{name}: the forgery is consistent in itself"
        );
        for path in [CHECKPOINT_PATH, STATE_PATH] {
            forged
                .files
                .insert(path.to_owned(), honest.files[path].clone());
        }
        assert!(
            verify(&forged, &ours).is_err(),
            "{name}: our checkpoint over other entries"
        );
    }
    let twin = Verifier::new(&honest, ours.verifier().clone()).extending(old.clone());
    assert_eq!(twin.verify().unwrap().older_checkpoints, 1);
    let mut rolled_back = honest.clone();
    rolled_back.files.insert(CHECKPOINT_PATH.to_owned(), old);
    assert_eq!(
        verify(&rolled_back, &ours),
        Err(VerifyError::Rollback {
            published: 300,
            committed: 600
        })
    );
}

#[test]
fn a_state_one_checkpoint_ahead_verifies_and_says_so_but_no_other_difference_does() {
    let signer = signer("log.example");
    let checkpoint_at = |sizes: &[usize]| {
        let log = write(&signer, &entries(700), sizes);
        log.files[CHECKPOINT_PATH].clone()
    };
    let killed = |note: Vec<u8>| {
        let mut log = write(&signer, &entries(700), &[300, 600, 700]);
        log.files.insert(CHECKPOINT_PATH.to_owned(), note);
        verify(&log, &signer)
    };
    let whole = killed(checkpoint_at(&[300, 600, 700])).unwrap();
    assert_eq!((whole.size, whole.published), (700, 700));
    let before_the_last_step = killed(checkpoint_at(&[300, 600])).unwrap();
    assert_eq!(
        (before_the_last_step.size, before_the_last_step.published),
        (700, 600)
    );
    assert!(before_the_last_step.to_string().contains("600 of them"));
    assert!(!whole.to_string().contains("of them"));
    for rolled_back in [&[300][..], &[599]] {
        let published = *rolled_back.last().unwrap() as u64;
        assert_eq!(
            killed(checkpoint_at(rolled_back)),
            Err(VerifyError::Rollback {
                published,
                committed: 700
            })
        );
    }
}

#[test]
fn a_state_cannot_name_a_checkpoint_that_its_log_does_not_extend() {
    let signer = signer("log.example");
    let mut others = entries(600);
    others.swap(0, 1);
    let fork = write(&signer, &others, &[600]).files[CHECKPOINT_PATH].clone();
    let mut log = write(&signer, &entries(700), &[600, 700]);
    let mut state = State::parse(&log.files[STATE_PATH]).unwrap();
    state.replaces = Some(State::mark(&fork));
    log.files.insert(STATE_PATH.to_owned(), state.to_bytes());
    log.files.insert(CHECKPOINT_PATH.to_owned(), fork);
    assert_eq!(verify(&log, &signer), Err(VerifyError::Fork { size: 600 }));
}

#[test]
fn a_fork_and_a_complete_rollback_are_seen_by_whoever_kept_a_checkpoint() {
    let signer = signer("log.example");
    let honest = write(&signer, &entries(300), &[300]);
    let kept = honest.files[CHECKPOINT_PATH].clone();
    let mut others = entries(300);
    others.swap(0, 1);
    let fork = write(&signer, &others, &[300]);
    let check = |log: &MemoryLog| {
        Verifier::new(log, signer.verifier().clone())
            .extending(kept.clone())
            .verify()
    };
    assert!(check(&honest).is_ok());
    assert_eq!(check(&fork), Err(VerifyError::Fork { size: 300 }));
    let shorter = write(&signer, &entries(200), &[200]);
    assert_eq!(
        check(&shorter),
        Err(VerifyError::Rollback {
            published: 200,
            committed: 300
        })
    );
}

#[test]
fn an_entry_forged_with_its_level_0_hash_is_caught() {
    let signer = signer("log.example");
    let mut log = write(&signer, &entries(600), &[600]);
    let forged = record(8888).encode().into_bytes();
    let mut bundle = Vec::new();
    for (number, entry) in entries(256).iter().enumerate() {
        append_entry(&mut bundle, if number == 7 { &forged } else { entry }).unwrap();
    }
    log.files.insert("tile/entries/000".to_owned(), bundle);
    let tile = log.files.get_mut("tile/0/000").unwrap();
    tile[7 * 32..8 * 32].copy_from_slice(Hash::of_leaf(&forged).as_bytes());
    assert!(matches!(
        verify(&log, &signer),
        Err(VerifyError::Tile { .. } | VerifyError::Root { .. })
    ));
}

#[test]
fn an_event_is_in_the_log_once() {
    let signer = signer("log.example");
    let mut twice = entries(10);
    twice[9] = twice[3].clone();
    let log = write(&signer, &twice, &[10]);
    assert_eq!(
        verify(&log, &signer),
        Err(VerifyError::Repeated {
            index: 9,
            id: record(3).id
        })
    );
}

#[test]
fn one_event_is_proven_and_the_receipt_stands_alone() {
    let signer = signer("log.example");
    let log = write(&signer, &entries(700), &[700]);
    let proven = prove(&log, signer.verifier(), record(300).id)
        .unwrap()
        .unwrap();
    assert_eq!((proven.index, &proven.record), (300, &record(300)));
    let text = proven.receipt.to_text();
    let receipt = crate::proof::Receipt::parse(&text).unwrap();
    let checkpoint = Checkpoint::open(receipt.checkpoint.as_bytes(), signer.verifier()).unwrap();
    let leaf = Hash::of_leaf(record(300).encode().as_bytes());
    assert!(
        verify_inclusion(
            &receipt.hashes,
            &leaf,
            receipt.index,
            checkpoint.size,
            &checkpoint.root
        )
        .is_ok()
    );
    assert_eq!(prove(&log, signer.verifier(), record(701).id), Ok(None));
    let (records, next) = tail(&log, signer.verifier(), 698).unwrap();
    assert_eq!(
        (records, next),
        (vec![(698, record(698)), (699, record(699))], 700)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_flipped_bit_of_any_file_is_caught(file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let (mut log, signer) = shared_log();
        let path = log.files.keys().nth(file.index(log.files.len())).unwrap().clone();
        let bytes = log.files.get_mut(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(verify(&log, &signer).is_err(), "{} byte {}", path, at);
    }

    #[test]
    fn any_missing_or_shortened_file_is_caught(file in any::<prop::sample::Index>(), keep in any::<prop::sample::Index>()) {
        let (log, signer) = shared_log();
        let path = log.files.keys().nth(file.index(log.files.len())).unwrap().clone();
        let mut shortened = log.clone();
        let bytes = shortened.files.get_mut(&path).unwrap();
        bytes.truncate(keep.index(bytes.len()));
        prop_assert!(verify(&shortened, &signer).is_err(), "{}", path);
    }
}

fn shared_log() -> (MemoryLog, NoteSigner) {
    static SHARED: std::sync::OnceLock<(MemoryLog, NoteSigner)> = std::sync::OnceLock::new();
    let shared = SHARED.get_or_init(|| {
        let signer = signer("log.example");
        (write(&signer, &entries(300), &[40, 300]), signer)
    });
    shared.clone()
}
