//! The sequencer: takes durable journal frames and committed outbox rows, makes them leaves, and publishes a checkpoint.
//!
//! A round writes bundles and tiles and syncs them; then it replaces the state file, which is the one instant at which the batch becomes part of
//! the log; then it replaces the checkpoint. Killed before that instant, the round never happened; after it, it happened wholly. The state names
//! the journal's position and the outbox rows of the batch, so nothing is sequenced twice or left out.

use super::OpenError;
use super::disk::{Directories, Disk, DiskFile, parent, replace};
use super::edge::lies_beyond;
use super::reader::JournalReader;
use countersign_audit::journal::{Position, segment_path, segment_sequence};
use countersign_audit::merkle::{FilledTile, Frontier};
use countersign_audit::state::{STATE_PATH, State};
use countersign_audit::tile::{Tile, append_entry};
use countersign_audit::verify::CHECKPOINT_PATH;
use countersign_audit::{Checkpoint, Hash, NoteSigner};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread;

/// Records of the journal that one round takes at most, give or take a frame.
pub(super) const ROUND_RECORDS_MAX: usize = 16 * 1024;

/// Files that are synced side by side.
const SYNCS_AT_ONCE: usize = 8;
/// So few files are synced one after the other: threads would cost more.
const SYNCS_ALONE_MAX: usize = 8;

/// The growing log.
pub(super) struct Sequencer {
    disk: Arc<dyn Disk>,
    signer: NoteSigner,
    frontier: Frontier,
    /// The entries of the bundle that is not full yet.
    bundle: Vec<u8>,
    state: State,
    reader: JournalReader,
    directories: Directories,
    superseded: Vec<Tile>,
}

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round {
    /// Records that became part of the log.
    pub(super) records: u64,
    /// Bytes of journal frames among them.
    pub(super) journal_bytes: u64,
}

/// A file that was written and waits for its sync.
struct Unsynced {
    path: String,
    file: Box<dyn DiskFile>,
}

fn sync_all(files: &mut [Unsynced]) -> io::Result<()> {
    files
        .iter_mut()
        .try_for_each(|unsynced| unsynced.file.sync())
}

impl Sequencer {
    /// Takes up the log where `state` says it is; `frontier` and `bundle` were checked against it.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        signer: NoteSigner,
        edge: super::edge::RightEdge,
        state: State,
        reader: JournalReader,
    ) -> Self {
        let super::edge::RightEdge { frontier, bundle } = edge;
        Self {
            disk,
            signer,
            frontier,
            bundle,
            state,
            reader,
            directories: Directories::default(),
            superseded: Vec::new(),
        }
    }

    /// Rows that are in the log and may still be in the outbox.
    pub(super) fn settled_rows(&self) -> &[i64] {
        &self.state.outbox
    }

    /// The rows of [`Self::settled_rows`] are gone from the outbox. Until this is said, every state names them.
    pub(super) fn rows_removed(&mut self) {
        self.state.outbox.clear();
    }

    /// How far the journal is in the log.
    pub(super) const fn position(&self) -> Position {
        self.state.journal
    }

    /// The segment of the journal in which it reads.
    pub(super) const fn segment(&self) -> u64 {
        self.reader.segment()
    }

    /// How many records the log has.
    pub(super) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Sequences what is durable in the journal up to `durable`, and `rows`, none of which is settled. An error leaves the log as it
    /// was on disk, but this sequencer must not be used any more.
    pub(super) fn round(
        &mut self,
        durable: Position,
        rows: &[super::OutboxRow],
    ) -> io::Result<Round> {
        let batch = self.reader.next(durable, ROUND_RECORDS_MAX)?;
        if batch.records.is_empty() && rows.is_empty() {
            return Ok(Round {
                records: 0,
                journal_bytes: 0,
            });
        }
        let committed = self.frontier.size();
        let mut unsynced = Vec::new();
        for record in batch
            .records
            .iter()
            .chain(rows.iter().map(|row| &row.record))
        {
            self.add(record, &mut unsynced)?;
        }
        self.write_right_edge(committed, &mut unsynced)?;
        self.sync(unsynced)?;
        let settled = self.state.outbox.iter().copied();
        self.commit(settled.chain(rows.iter().map(|row| row.id)).collect())?;
        self.remove_superseded()?;
        Ok(Round {
            records: (batch.records.len() + rows.len()) as u64,
            journal_bytes: batch.bytes,
        })
    }

    fn add(&mut self, record: &[u8], unsynced: &mut Vec<Unsynced>) -> io::Result<()> {
        append_entry(&mut self.bundle, record)
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let index = self.frontier.size() / 256;
        let filled = self.frontier.push(Hash::of_leaf(record));
        if filled.is_empty() {
            return Ok(());
        }
        let bundle = std::mem::take(&mut self.bundle);
        unsynced.push(self.write(Tile::entries(index, 256), &bundle)?);
        self.superseded.push(Tile::entries(index, 256));
        for FilledTile { tile, bytes } in filled {
            unsynced.push(self.write(tile, &bytes)?);
            self.superseded.push(tile);
        }
        Ok(())
    }

    /// Writes what is unfilled and not yet in a log of `committed` records. A tile that is in it, as those high up mostly are, is not opened again: from then until
    /// its bytes were written anew, a crash would leave the log without it.
    fn write_right_edge(&mut self, committed: u64, unsynced: &mut Vec<Unsynced>) -> io::Result<()> {
        let size = self.frontier.size();
        if !size.is_multiple_of(256) {
            let width = usize::try_from(size % 256).unwrap_or(0);
            let bundle = std::mem::take(&mut self.bundle);
            let written = self.write(Tile::entries(size / 256, width), &bundle);
            self.bundle = bundle;
            unsynced.push(written?);
        }
        let unfilled = self.frontier.partial_tiles().into_iter();
        for FilledTile { tile, bytes } in
            unfilled.filter(|unfilled| lies_beyond(unfilled.tile, committed))
        {
            unsynced.push(self.write(tile, &bytes)?);
        }
        Ok(())
    }

    fn write(&mut self, tile: Tile, bytes: &[u8]) -> io::Result<Unsynced> {
        let path = tile.path();
        self.directories.ensure(&*self.disk, parent(&path))?;
        let mut file = self.disk.write_anew(&path)?;
        file.append(bytes)?;
        Ok(Unsynced { path, file })
    }

    /// Contents first, then names. Many files are synced side by side, because file systems carry out waiting syncs together: one after the other they
    /// would hold up the journal's own syncs that many times.
    fn sync(&self, mut unsynced: Vec<Unsynced>) -> io::Result<()> {
        let directories: BTreeSet<String> = unsynced
            .iter()
            .map(|unsynced| parent(&unsynced.path).to_owned())
            .collect();
        let share = unsynced.len().div_ceil(SYNCS_AT_ONCE).max(SYNCS_ALONE_MAX);
        let own = share.min(unsynced.len());
        thread::scope(|scope| {
            let (own, others) = unsynced.split_at_mut(own);
            let others: Vec<_> = others
                .chunks_mut(share)
                .map(|part| scope.spawn(move || sync_all(part)))
                .collect();
            let synced = sync_all(own);
            let panicked = |_| Err(io::Error::other("a thread that synced tiles panicked"));
            others.into_iter().fold(synced, |synced, other| {
                synced.and(other.join().unwrap_or_else(panicked))
            })
        })?;
        directories
            .iter()
            .try_for_each(|directory| self.disk.sync_directory(directory))
    }

    fn commit(&mut self, outbox: Vec<i64>) -> io::Result<()> {
        let origin = self.signer.verifier().origin().clone();
        let checkpoint = Checkpoint {
            origin,
            size: self.frontier.size(),
            root: self.frontier.root(),
        };
        let checkpoint = checkpoint.sign(&self.signer).map_err(io::Error::other)?;
        self.state = State {
            replaces: Some(State::mark(self.state.checkpoint.as_bytes())),
            checkpoint,
            journal: self.reader.position(),
            outbox,
        };
        replace(&*self.disk, STATE_PATH, &self.state.to_bytes())?;
        replace(
            &*self.disk,
            CHECKPOINT_PATH,
            self.state.checkpoint.as_bytes(),
        )
    }

    /// Removes the partial tiles of those that were filled. Nothing depends on it: a partial tile says nothing that the full one does not.
    fn remove_superseded(&mut self) -> io::Result<()> {
        for full in std::mem::take(&mut self.superseded) {
            let directory = format!("{}.p", full.path());
            for width in self.disk.list(&directory)? {
                self.disk.remove(&format!("{directory}/{width}"))?;
            }
        }
        Ok(())
    }

    /// Removes the journal's segments whose records are all in the log.
    pub(super) fn recycle_segments(&self) -> io::Result<()> {
        let current = self.reader.segment();
        let names = self.disk.list("journal")?;
        let read = names
            .iter()
            .filter_map(|name| segment_sequence(name))
            .filter(|first| *first < current);
        read.into_iter()
            .try_for_each(|first| self.disk.remove(&segment_path(first)))
    }
}

/// Writes the first state and checkpoint of a log: empty.
pub(super) fn found(disk: &dyn Disk, signer: &NoteSigner) -> Result<State, OpenError> {
    let origin = signer.verifier().origin().clone();
    let checkpoint = Checkpoint {
        origin,
        size: 0,
        root: Hash::empty_root(),
    };
    let checkpoint = checkpoint
        .sign(signer)
        .map_err(|error| OpenError::Key(error.to_string()))?;
    let state = State {
        checkpoint,
        journal: Position::START,
        outbox: Vec::new(),
        replaces: None,
    };
    replace(disk, STATE_PATH, &state.to_bytes())?;
    replace(disk, CHECKPOINT_PATH, state.checkpoint.as_bytes())?;
    Ok(state)
}
