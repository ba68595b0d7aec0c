//! What the verifier says.

use crate::note::NoteError;
use countersign_base::EventId;
use serde::Serialize;
use std::fmt;

/// A log that verifies, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The log's name.
    pub origin: String,
    /// Records in the log; every one was read and hashed.
    pub size: u64,
    /// Records under the published checkpoint: fewer only if the program was killed before it published the newest, which it does when it starts.
    pub published: u64,
    /// The root, in hexadecimal.
    pub root: String,
    /// Tiles and bundles that were compared byte for byte.
    pub tiles: u64,
    /// Partial tiles of earlier checkpoints that are still there; each was compared too.
    pub superseded: u64,
    /// Tiles beyond the checkpoint: of a batch that is not part of the log (yet).
    pub unpublished: u64,
    /// Older checkpoints that this log was shown to extend.
    pub older_checkpoints: u64,
    /// The journal; absent in a copy of the published files alone.
    pub journal: Option<JournalReport>,
}

/// The journal, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalReport {
    /// Segments.
    pub segments: u64,
    /// Frames whose hash and predecessor hold.
    pub frames: u64,
    /// Records that are in the journal and in the log.
    pub sequenced: u64,
    /// Records that wait to be sequenced.
    pub waiting: u64,
    /// Bytes of a batch at the end that was never acknowledged.
    pub torn_bytes: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "log        {}", self.origin)?;
        writeln!(f, "records    {} (each read, parsed and hashed)", self.size)?;
        if self.published < self.size {
            writeln!(
                f,
                "published  {} of them: the program was killed before it published the newest checkpoint, and does so when it starts",
                self.published
            )?;
        }
        writeln!(f, "root       {} (signed)", self.root)?;
        writeln!(
            f,
            "tiles      {} (byte for byte), {} superseded, {} beyond the checkpoint",
            self.tiles, self.superseded, self.unpublished
        )?;
        match &self.journal {
            None => writeln!(f, "journal    none here"),
            Some(journal) => writeln!(
                f,
                "journal    {} frames in {} segments, {} records in the log, {} waiting, {} torn bytes",
                journal.frames,
                journal.segments,
                journal.sequenced,
                journal.waiting,
                journal.torn_bytes
            ),
        }
    }
}

/// A file or directory of the log that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read `{path}` of the log: {cause}")]
pub struct FileError {
    path: String,
    cause: String,
}

impl FileError {
    /// An error about `path`.
    pub fn new(path: &str, cause: &impl fmt::Display) -> Self {
        Self {
            path: path.to_owned(),
            cause: cause.to_string(),
        }
    }
}

/// The first thing that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// An entry is no record.
    #[error("entry {index} is not a record of this log: {cause}")]
    Entry {
        /// Which.
        index: u64,
        /// Why.
        cause: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Two roots at one size.
    #[error(
        "the log is forked: at {size} records it has another root than the older checkpoint says"
    )]
    Fork {
        /// At which size.
        size: u64,
    },
    /// The journal's frames do not follow one another, or one is damaged.
    #[error("the journal does not hold at byte {at} of `{path}`: {problem}")]
    Journal {
        /// Which segment.
        path: String,
        /// Where.
        at: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// A file that must be there is not.
    #[error("`{path}` is missing")]
    Missing {
        /// Which.
        path: String,
    },
    /// A signed note does not hold.
    #[error("`{path}` does not hold: {cause}")]
    Note {
        /// Which.
        path: &'static str,
        /// Why.
        cause: NoteError,
    },
    /// An event is in the log twice.
    #[error("event {id} is in the log a second time, as entry {index}")]
    Repeated {
        /// Where the second time.
        index: u64,
        /// Which.
        id: EventId,
    },
    /// The checkpoint is older than what is known to have been committed.
    #[error(
        "the checkpoint covers {published} records and {committed} were committed, and it is not the one that these follow: it was rolled back"
    )]
    Rollback {
        /// What the checkpoint covers.
        published: u64,
        /// What was committed.
        committed: u64,
    },
    /// The entries lead to another root than the signed one.
    #[error(
        "the {size} entries do not lead to the signed root: one was changed, dropped, added or moved"
    )]
    Root {
        /// How many entries.
        size: u64,
    },
    /// The state file is damaged.
    #[error("`state` is damaged")]
    State,
    /// A tile or bundle is not what the entries make it.
    #[error("`{path}` is not what the entries make it")]
    Tile {
        /// Which.
        path: String,
    },
    /// A file that the format does not know.
    #[error("`{path}` has no place in a log")]
    Unexpected {
        /// Which.
        path: String,
    },
}

impl VerifyError {
    pub(super) fn missing(path: &str) -> Self {
        Self::Missing {
            path: path.to_owned(),
        }
    }
}
