//! The journal's bytes: segments of frames, each frame one batch that was made durable with one sync, each frame naming the hash of the one
//! before it.
//!
//! A frame is `magic[8] | first sequence u64 | records u32 | body length u32 | previous hash[32] | body | hash[32]`, integers big-endian; the
//! body is, for each record, a length as u16 and its bytes; the hash is SHA-256 over everything before it. Frames are written one after the
//! other, and a frame is begun only after the one before it was synced. So a broken frame with a whole frame of a later sequence behind it
//! is damage to what was acknowledged; a broken frame with nothing whole behind it is a torn tail, of which nothing was acknowledged.

use countersign_crypto::digest::sha256_parts;

use crate::merkle::Hash;

/// Begins every frame. It holds control characters, which no canonical record can, so no record's text can imitate a frame.
pub const FRAME_MAGIC: [u8; 8] = *b"\x1e\x02CSJ1\x03\x1e";
/// Bytes of a frame before its body.
pub const FRAME_HEADER_BYTES: usize = 56;
/// Bytes of a frame after its body.
pub const FRAME_HASH_BYTES: usize = 32;
/// Bytes of the largest body.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A place between two frames: the sequence number of the next record, and the hash of the frame before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The number that the next record gets; the first record of a log is number 0.
    pub sequence: u64,
    /// The hash of the last frame; zeros before the first.
    pub chain: Hash,
}

impl Position {
    /// Before the first frame.
    pub const START: Self = Self {
        sequence: 0,
        chain: Hash::from_bytes([0; 32]),
    };
}

/// A frame under construction: one buffer, written at once.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    records: u32,
}

impl FrameBuffer {
    /// An empty frame with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity.max(FRAME_HEADER_BYTES));
        bytes.resize(FRAME_HEADER_BYTES, 0);
        Self { bytes, records: 0 }
    }

    /// Adds a record: its length and its bytes. Records are at most 4 KiB by construction; a longer slice is cut to nothing and not added.
    pub fn push(&mut self, record: &[u8]) {
        let Ok(length) = u16::try_from(record.len()) else {
            return;
        };
        if self.bytes.is_empty() {
            self.bytes.resize(FRAME_HEADER_BYTES, 0);
        }
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(record);
        self.records += 1;
    }

    /// How many records.
    #[must_use]
    pub const fn records(&self) -> u32 {
        self.records
    }

    /// How many bytes it will have when it is sealed.
    #[must_use]
    pub fn length(&self) -> usize {
        self.bytes.len().max(FRAME_HEADER_BYTES) + FRAME_HASH_BYTES
    }

    /// Writes header and hash; the bytes are ready to be appended at `position`. Returns them with the position after the frame.
    #[must_use]
    pub fn seal(&mut self, position: Position) -> (&[u8], Position) {
        let body = self.bytes.len().saturating_sub(FRAME_HEADER_BYTES);
        let mut header = Vec::with_capacity(FRAME_HEADER_BYTES);
        header.extend_from_slice(&FRAME_MAGIC);
        header.extend_from_slice(&position.sequence.to_be_bytes());
        header.extend_from_slice(&self.records.to_be_bytes());
        header.extend_from_slice(&u32::try_from(body).unwrap_or(u32::MAX).to_be_bytes());
        header.extend_from_slice(position.chain.as_bytes());
        self.bytes.resize(body + FRAME_HEADER_BYTES, 0);
        if let Some(space) = self.bytes.get_mut(..FRAME_HEADER_BYTES) {
            space.copy_from_slice(&header);
        }
        let hash = sha256_parts(&[&self.bytes]);
        self.bytes.extend_from_slice(&hash);
        let after = Position {
            sequence: position.sequence + u64::from(self.records),
            chain: Hash::from_bytes(hash),
        };
        (&self.bytes, after)
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.truncate(FRAME_HEADER_BYTES);
        self.records = 0;
    }
}

/// A frame that was read and whose hash holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where it begins.
    pub before: Position,
    /// Where it ends.
    pub after: Position,
    body: &'a [u8],
    /// Its length in the file.
    pub length: usize,
}

impl<'a> Frame<'a> {
    /// Reads the frame at the beginning of `bytes`; `None` if there is no whole one.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&FRAME_MAGIC)?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (records, rest) = rest.split_first_chunk::<4>()?;
        let (body_length, rest) = rest.split_first_chunk::<4>()?;
        let (chain, rest) = rest.split_first_chunk::<32>()?;
        let body_length = usize::try_from(u32::from_be_bytes(*body_length))
            .ok()
            .filter(|length| *length <= BODY_BYTES_MAX)?;
        let (body, rest) = rest.split_at_checked(body_length)?;
        let (hash, _) = rest.split_first_chunk::<32>()?;
        let hashed = bytes.get(..FRAME_HEADER_BYTES + body_length)?;
        if sha256_parts(&[hashed]) != *hash {
            return None;
        }
        let records = u32::from_be_bytes(*records);
        let before = Position {
            sequence: u64::from_be_bytes(*sequence),
            chain: Hash::from_bytes(*chain),
        };
        let after = Position {
            sequence: before.sequence.checked_add(u64::from(records))?,
            chain: Hash::from_bytes(*hash),
        };
        let frame = Self {
            before,
            after,
            body,
            length: FRAME_HEADER_BYTES + body_length + FRAME_HASH_BYTES,
        };
        let count = crate::tile::bundle_entries(body, usize::try_from(records).ok()?)?.len();
        (count > 0).then_some(frame)
    }

    /// Its records, in order.
    pub fn records(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.body;
        std::iter::from_fn(move || {
            let (length, tail) = rest.split_first_chunk::<2>()?;
            let (record, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            rest = tail;
            Some(record)
        })
    }
}

/// What stands at a place of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'a> {
    /// Damage to what had been acknowledged: a broken or foreign frame with whole, later frames behind it.
    Damaged,
    /// The end of the segment, exactly.
    End,
    /// A whole frame that continues the chain.
    Frame(Frame<'a>),
    /// Bytes that are no whole frame, and nothing whole behind them: a batch that was never acknowledged.
    Torn,
}

/// What follows at the beginning of `rest`, where the chain stands at `position`.
#[must_use]
pub fn next_frame(rest: &[u8], position: Position) -> Next<'_> {
    if rest.is_empty() {
        return Next::End;
    }
    match Frame::read(rest) {
        Some(frame) if frame.before == position => Next::Frame(frame),
        Some(_) => Next::Damaged,
        None if later_frame(rest, position) => Next::Damaged,
        None => Next::Torn,
    }
}

/// Whether a whole frame with a sequence after `position` stands anywhere in `bytes`.
fn later_frame(bytes: &[u8], position: Position) -> bool {
    let starts = bytes
        .windows(FRAME_MAGIC.len())
        .enumerate()
        .filter(|(_, window)| **window == FRAME_MAGIC);
    let mut frames = starts.filter_map(|(at, _)| bytes.get(at..).and_then(Frame::read));
    frames.any(|frame| frame.before.sequence > position.sequence)
}

/// The path of the segment whose first record has the number `sequence`.
#[must_use]
pub fn segment_path(sequence: u64) -> String {
    format!("journal/{sequence:020}")
}

/// The number of the first record of the segment with the file name `name`; `None` for other names.
#[must_use]
pub fn segment_sequence(name: &str) -> Option<u64> {
    (name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| name.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests;
