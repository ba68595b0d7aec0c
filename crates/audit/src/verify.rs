//! The offline verifier: recomputes everything from the entries, trusts neither tiles nor state, and says what it found.
//!
//! A tile that agrees with its parent proves nothing about the entries (C2SP readers have been fooled that way), so every hash is computed again
//! from the entries and every tile is compared byte for byte. Not here: reading files; that is [`LogFiles`].

mod entries;
mod journal;
mod report;
mod stray;

pub use entries::{Entries, Proven, prove, tail};
pub use report::{FileError, Report, VerifyError};

use crate::checkpoint::Checkpoint;
use crate::merkle::{FilledTile, Frontier, Hash};
use crate::note::VerifierKey;
use crate::record::CanonicalRecord;
use crate::state::{STATE_PATH, State};
use countersign_base::EventId;
use std::collections::{BTreeMap, HashSet};

/// The path of the published checkpoint.
pub const CHECKPOINT_PATH: &str = "checkpoint";
/// The path of the public key's one line.
pub const VERIFIER_KEY_PATH: &str = "verifier.key";

/// The files of one log, by their paths below its directory.
pub trait LogFiles {
    /// The content of a file; `None` if there is none.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FileError>;

    /// The names in a directory, in any order; none if there is no such directory.
    ///
    /// # Errors
    /// When the directory exists and cannot be read.
    fn list(&self, path: &str) -> Result<Vec<String>, FileError>;
}

/// How often checkpoint and state are read again while a running log replaces them.
const SNAPSHOT_ATTEMPTS_MAX: usize = 20;

/// Verifies one log.
#[derive(Debug)]
pub struct Verifier<'a, F> {
    files: &'a F,
    key: VerifierKey,
    older: Vec<Vec<u8>>,
}

impl<'a, F: LogFiles> Verifier<'a, F> {
    /// A verifier that accepts what `key` signed. The key comes from elsewhere than the log's directory if the directory is not trusted.
    #[must_use]
    pub const fn new(files: &'a F, key: VerifierKey) -> Self {
        Self {
            files,
            key,
            older: Vec::new(),
        }
    }

    /// Also demands that the log extends an older checkpoint: a whole signed note that somebody kept.
    #[must_use]
    pub fn extending(mut self, checkpoint: Vec<u8>) -> Self {
        self.older.push(checkpoint);
        self
    }

    /// Verifies checkpoint, entries, tiles, state and journal.
    ///
    /// # Errors
    /// With the first thing that does not hold.
    pub fn verify(&self) -> Result<Report, VerifyError> {
        let Snapshot {
            committed: checkpoint,
            published,
            state,
        } = self.snapshot()?;
        let older = self.older_roots(&checkpoint, published.as_ref())?;
        let mut walk = Walk {
            files: self.files,
            frontier: Frontier::new(),
            ids: HashSet::new(),
            tiles: 0,
            older,
        };
        walk.entries(checkpoint.size)?;
        walk.right_edge()?;
        if walk.frontier.root() != checkpoint.root {
            return Err(VerifyError::Root {
                size: checkpoint.size,
            });
        }
        let stray = stray::check(self.files, checkpoint.size)?;
        let journal = journal::check(self.files, state.as_ref(), &walk.ids)?;
        Ok(Report {
            origin: checkpoint.origin.as_str().to_owned(),
            size: checkpoint.size,
            published: published.map_or(checkpoint.size, |published| published.size),
            root: format!("{:?}", checkpoint.root),
            tiles: walk.tiles,
            superseded: stray.superseded,
            unpublished: stray.unpublished,
            older_checkpoints: self.older.len() as u64,
            journal,
        })
    }

    /// Checkpoint and state of one moment. A state may be one checkpoint ahead, the very one that it names: whatever else differs was rolled back.
    fn snapshot(&self) -> Result<Snapshot, VerifyError> {
        let mut last = VerifyError::missing(CHECKPOINT_PATH);
        for _ in 0..SNAPSHOT_ATTEMPTS_MAX {
            let note = self
                .files
                .read(CHECKPOINT_PATH)?
                .ok_or_else(|| VerifyError::missing(CHECKPOINT_PATH))?;
            let published =
                Checkpoint::open(&note, &self.key).map_err(|cause| VerifyError::Note {
                    path: CHECKPOINT_PATH,
                    cause,
                })?;
            let Some(bytes) = self.files.read(STATE_PATH)? else {
                return Ok(Snapshot::published(published, None));
            };
            let state = State::parse(&bytes).ok_or(VerifyError::State)?;
            let committed =
                Checkpoint::open(state.checkpoint.as_bytes(), &self.key).map_err(|cause| {
                    VerifyError::Note {
                        path: STATE_PATH,
                        cause,
                    }
                })?;
            if committed == published {
                return Ok(Snapshot::published(published, Some(state)));
            }
            if state.replaces == Some(State::mark(&note)) {
                return Ok(Snapshot {
                    committed,
                    published: Some(published),
                    state: Some(state),
                });
            }
            last = VerifyError::Rollback {
                published: published.size,
                committed: committed.size,
            };
        }
        Err(last)
    }

    fn older_roots(
        &self,
        newest: &Checkpoint,
        published: Option<&Checkpoint>,
    ) -> Result<BTreeMap<u64, Hash>, VerifyError> {
        let mut roots: BTreeMap<u64, Hash> = published
            .map(|published| (published.size, published.root))
            .into_iter()
            .collect();
        for note in &self.older {
            let older = Checkpoint::open(note, &self.key).map_err(|cause| VerifyError::Note {
                path: "the older checkpoint",
                cause,
            })?;
            if older.size > newest.size {
                return Err(VerifyError::Rollback {
                    published: newest.size,
                    committed: older.size,
                });
            }
            let root = *roots.entry(older.size).or_insert(older.root);
            if root != older.root {
                return Err(VerifyError::Fork { size: older.size });
            }
        }
        Ok(roots)
    }
}

/// What the files say at one moment.
struct Snapshot {
    /// Everything that is in the log.
    committed: Checkpoint,
    /// The checkpoint beside it, where it is the one before: a round ends by replacing it, and the program was killed before that.
    published: Option<Checkpoint>,
    state: Option<State>,
}

impl Snapshot {
    const fn published(checkpoint: Checkpoint, state: Option<State>) -> Self {
        Self {
            committed: checkpoint,
            published: None,
            state,
        }
    }
}

/// The walk over all entries, from left to right.
struct Walk<'a, F> {
    files: &'a F,
    frontier: Frontier,
    ids: HashSet<EventId>,
    tiles: u64,
    older: BTreeMap<u64, Hash>,
}

impl<F: LogFiles> Walk<'_, F> {
    fn entries(&mut self, size: u64) -> Result<(), VerifyError> {
        self.compare_with_older()?;
        let mut entries = Entries::new(self.files, 0, size);
        while let Some((index, entry)) = entries.next_entry()? {
            let record =
                CanonicalRecord::parse(entry.clone()).map_err(|cause| VerifyError::Entry {
                    index,
                    cause: cause.to_string(),
                })?;
            if !self.ids.insert(record.id()) {
                return Err(VerifyError::Repeated {
                    index,
                    id: record.id(),
                });
            }
            for filled in self.frontier.push(Hash::of_leaf(&entry)) {
                self.compare(&filled)?;
            }
            self.compare_with_older()?;
        }
        self.tiles += entries.bundles();
        Ok(())
    }

    fn right_edge(&mut self) -> Result<(), VerifyError> {
        for filled in self.frontier.partial_tiles() {
            self.compare(&filled)?;
        }
        Ok(())
    }

    fn compare(&mut self, computed: &FilledTile) -> Result<(), VerifyError> {
        let stored = entries::read_hash_tile(self.files, computed.tile)?;
        if stored != computed.bytes {
            return Err(VerifyError::Tile {
                path: computed.tile.path(),
            });
        }
        self.tiles += 1;
        Ok(())
    }

    fn compare_with_older(&mut self) -> Result<(), VerifyError> {
        let size = self.frontier.size();
        match self.older.get(&size) {
            Some(root) if *root != self.frontier.root() => Err(VerifyError::Fork { size }),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
