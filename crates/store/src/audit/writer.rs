//! The journal's end: one frame a batch, one write, one sync, and only then the next.

use super::disk::{Disk, DiskFile};
use countersign_audit::journal::{FrameBuffer, Position, segment_path};
use std::io;
use std::sync::Arc;

/// Appends frames to the journal's last segment.
pub(super) struct JournalWriter {
    disk: Arc<dyn Disk>,
    file: Box<dyn DiskFile>,
    position: Position,
    length: u64,
    segment_bytes: u64,
}

/// A frame was not written.
#[derive(Debug)]
pub(super) enum WriteFailed {
    /// Nothing of it is left in the file: later frames may succeed (the disk was full).
    Undone(io::Error),
    /// What is in the file is not known: nothing may be appended any more.
    Unknown(io::Error),
}

impl JournalWriter {
    /// Begins a new segment at `position`, where the journal ends.
    pub(super) fn begin(
        disk: Arc<dyn Disk>,
        position: Position,
        segment_bytes: u64,
    ) -> io::Result<Self> {
        let file = begin_segment(&*disk, position)?;
        Ok(Self {
            disk,
            file,
            position,
            length: 0,
            segment_bytes,
        })
    }

    /// The end of the journal: everything before it is durable.
    pub(super) const fn position(&self) -> Position {
        self.position
    }

    /// Writes `frame` and syncs it. When this answers `Ok`, its records are durable; returns its length.
    pub(super) fn write(&mut self, frame: &mut FrameBuffer) -> Result<u64, WriteFailed> {
        if self.length >= self.segment_bytes {
            self.file = begin_segment(&*self.disk, self.position).map_err(WriteFailed::Undone)?;
            self.length = 0;
        }
        let (bytes, after) = frame.seal(self.position);
        if let Err(error) = self.file.append(bytes) {
            return Err(self.undo(error));
        }
        // A failed sync may have dropped the pages it could not write and report success the next time: there is no second try.
        self.file.sync().map_err(WriteFailed::Unknown)?;
        let length = bytes.len() as u64;
        self.length += length;
        self.position = after;
        Ok(length)
    }

    fn undo(&mut self, error: io::Error) -> WriteFailed {
        let undone = self
            .file
            .truncate(self.length)
            .and_then(|()| self.file.sync());
        match undone {
            Ok(()) => WriteFailed::Undone(error),
            Err(_) => WriteFailed::Unknown(error),
        }
    }
}

fn begin_segment(disk: &dyn Disk, position: Position) -> io::Result<Box<dyn DiskFile>> {
    let path = segment_path(position.sequence);
    let file = disk.append_to(&path)?;
    disk.sync_directory("journal")?;
    Ok(file)
}
