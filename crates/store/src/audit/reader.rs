//! Reading the journal's durable frames in order, for the sequencer.

use super::disk::Disk;
use countersign_audit::journal::{
    BODY_BYTES_MAX, FRAME_HASH_BYTES, FRAME_HEADER_BYTES, Frame, Next, Position, next_frame,
    segment_path,
};
use std::io::{self, ErrorKind};
use std::sync::Arc;

/// Bytes that are read at once, if no frame is longer.
const CHUNK_BYTES: usize = 1024 * 1024;

/// A place in the journal's files.
#[derive(Debug)]
pub(super) struct JournalReader {
    disk: Arc<dyn Disk>,
    segment: u64,
    offset: u64,
    position: Position,
}

/// The records of some frames, and how many bytes those frames had.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) records: Vec<Vec<u8>>,
    pub(super) bytes: u64,
}

impl JournalReader {
    /// A reader at `offset` of the segment that begins with record `segment`, where the chain stands at `position`.
    pub(super) const fn at(
        disk: Arc<dyn Disk>,
        segment: u64,
        offset: u64,
        position: Position,
    ) -> Self {
        Self {
            disk,
            segment,
            offset,
            position,
        }
    }

    /// Where it stands.
    pub(super) const fn position(&self) -> Position {
        self.position
    }

    /// The first record's number of the segment in which it stands: segments before it are read.
    pub(super) const fn segment(&self) -> u64 {
        self.segment
    }

    /// The records of the next frames: up to the one that reaches `records_max`, and none beyond `durable`.
    pub(super) fn next(&mut self, durable: Position, records_max: usize) -> io::Result<Batch> {
        let mut batch = Batch::default();
        while self.position.sequence < durable.sequence && batch.records.len() < records_max {
            let bytes = self.chunk()?;
            if bytes.is_empty() {
                self.segment = self.position.sequence;
                self.offset = 0;
                if self.chunk()?.is_empty() {
                    return Err(io::Error::new(
                        ErrorKind::UnexpectedEof,
                        "the journal ends before its durable end",
                    ));
                }
                continue;
            }
            self.take_frames(&bytes, durable, records_max, &mut batch)?;
        }
        Ok(batch)
    }

    fn take_frames(
        &mut self,
        bytes: &[u8],
        durable: Position,
        records_max: usize,
        batch: &mut Batch,
    ) -> io::Result<()> {
        let mut at = 0;
        let wanted = |reader: &Self, batch: &Batch| {
            reader.position.sequence < durable.sequence && batch.records.len() < records_max
        };
        while wanted(self, batch)
            && let Some(frame) = bytes.get(at..).and_then(Frame::read)
        {
            if frame.before != self.position {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    "a frame of the journal does not continue the chain",
                ));
            }
            batch.records.extend(frame.records().map(<[u8]>::to_vec));
            self.position = frame.after;
            at += frame.length;
        }
        if at == 0 {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "a durable frame of the journal cannot be read back",
            ));
        }
        self.offset += at as u64;
        batch.bytes += at as u64;
        Ok(())
    }

    /// Bytes from here on: whole frames, and at least one unless the segment ends here.
    fn chunk(&self) -> io::Result<Vec<u8>> {
        let path = segment_path(self.segment);
        let read = |limit| {
            self.disk
                .read_from(&path, self.offset, limit)
                .map(Option::unwrap_or_default)
        };
        let bytes = read(CHUNK_BYTES)?;
        if bytes.len() < CHUNK_BYTES || Frame::read(&bytes).is_some() {
            return Ok(bytes);
        }
        read(FRAME_HEADER_BYTES + BODY_BYTES_MAX + FRAME_HASH_BYTES)
    }
}

/// What the journal's files hold at start.
#[derive(Debug)]
pub(super) struct Recovered {
    /// Where the journal ends, now durably.
    pub(super) end: Position,
    /// A reader at the place that the sequencer's state names.
    pub(super) reader: JournalReader,
    /// Bytes of records that wait to be sequenced.
    pub(super) waiting_bytes: u64,
    /// Bytes of a batch that was never acknowledged and was cut off.
    pub(super) torn_bytes: u64,
}

/// Why the journal cannot be taken up again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecoveryError {
    #[error("the journal is damaged at byte {at} of `{path}`: {problem}")]
    Damaged {
        path: String,
        at: u64,
        problem: &'static str,
    },
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// Walks the journal, cuts off a torn tail, makes the rest durable, and finds the place `sequenced`.
pub(super) fn recover(
    disk: &Arc<dyn Disk>,
    sequenced: Position,
) -> Result<Recovered, RecoveryError> {
    let names = disk.list("journal")?;
    let mut segments: Vec<u64> = names
        .iter()
        .filter_map(|name| countersign_audit::journal::segment_sequence(name))
        .collect();
    segments.sort_unstable();
    let mut walk = Walk {
        disk,
        sequenced,
        position: None,
        found: None,
        waiting_bytes: 0,
        torn_bytes: 0,
    };
    let last = segments.last().copied();
    for first in segments {
        let bytes = disk.read(&segment_path(first))?.unwrap_or_default();
        walk.segment(first, &bytes, Some(first) == last)?;
    }
    walk.finish()
}

struct Walk<'a> {
    disk: &'a Arc<dyn Disk>,
    sequenced: Position,
    position: Option<Position>,
    found: Option<(u64, u64)>,
    waiting_bytes: u64,
    torn_bytes: u64,
}

impl Walk<'_> {
    fn segment(&mut self, first: u64, bytes: &[u8], is_last: bool) -> Result<(), RecoveryError> {
        let path = segment_path(first);
        let damaged = |at: usize, problem| RecoveryError::Damaged {
            path: path.clone(),
            at: at as u64,
            problem,
        };
        if self
            .position
            .is_some_and(|position| position.sequence != first)
        {
            return Err(damaged(
                0,
                "the segment does not begin where the one before it ended",
            ));
        }
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let position = self.position.unwrap_or_else(|| self.start_of(first, rest));
            self.position = Some(position);
            if position.sequence == self.sequenced.sequence {
                if position.chain != self.sequenced.chain {
                    return Err(damaged(
                        at,
                        "the chain is another than the sequencer's state says",
                    ));
                }
                self.found = Some((first, at as u64));
            }
            match next_frame(rest, position) {
                Next::Damaged => {
                    return Err(damaged(
                        at,
                        "a frame that was acknowledged is damaged or missing",
                    ));
                }
                Next::End => break,
                Next::Frame(frame) => {
                    if position.sequence >= self.sequenced.sequence {
                        self.waiting_bytes += frame.length as u64;
                    }
                    self.position = Some(frame.after);
                    at += frame.length;
                }
                Next::Torn if is_last => {
                    self.torn_bytes = rest.len() as u64;
                    break;
                }
                Next::Torn => return Err(damaged(at, "a frame is damaged")),
            }
        }
        if is_last {
            self.settle(&path, at as u64)?;
        }
        Ok(())
    }

    /// Cuts off what is torn, and syncs: after a mere crash of the program whole frames may be there that were never synced.
    fn settle(&self, path: &str, length: u64) -> io::Result<()> {
        let mut file = self.disk.append_to(path)?;
        if self.torn_bytes > 0 {
            file.truncate(length)?;
        }
        file.sync()
    }

    fn start_of(&self, first: u64, rest: &[u8]) -> Position {
        if first == 0 {
            return Position::START;
        }
        let chain = Frame::read(rest).map_or(self.sequenced.chain, |frame| frame.before.chain);
        Position {
            sequence: first,
            chain,
        }
    }

    fn finish(self) -> Result<Recovered, RecoveryError> {
        let end = self.position.unwrap_or(self.sequenced);
        let found = match self.found {
            Some(found) => found,
            // A log that was just created has no segment yet.
            None if self.position.is_none() && self.sequenced == Position::START => (0, 0),
            None => {
                let problem =
                    "it ends before, or begins after, the place that the sequencer's state names";
                return Err(RecoveryError::Damaged {
                    path: "journal".to_owned(),
                    at: 0,
                    problem,
                });
            }
        };
        let (segment, offset) = found;
        let reader = JournalReader::at(Arc::clone(self.disk), segment, offset, self.sequenced);
        Ok(Recovered {
            end,
            reader,
            waiting_bytes: self.waiting_bytes,
            torn_bytes: self.torn_bytes,
        })
    }
}

#[cfg(test)]
mod tests;
