//! The sequencer's state file: the one place that says how far the log has come. Replacing it atomically is what makes a batch part of the log.
//!
//! Two lines: canonical JSON, and the SHA-256 of that line in hexadecimal. Tree size and root are those of the signed checkpoint inside.

use crate::journal::Position;
use crate::merkle::Hash;
use crate::text::Digest;
use serde::{Deserialize, Serialize};

/// The path of the state file below the log's directory.
pub const STATE_PATH: &str = "state";

/// What the sequencer knows for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The signed checkpoint over everything that is in the log.
    pub checkpoint: String,
    /// How far the journal is in the log.
    pub journal: Position,
    /// The outbox rows of the last batch: in the log, and perhaps not yet removed from their table.
    pub outbox: Vec<i64>,
    /// The checkpoint that `checkpoint` is published in place of, as [`State::mark`] makes it: until then the log stands between the two. None in the
    /// first state of a log.
    pub replaces: Option<Digest>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    chain: Digest,
    checkpoint: String,
    outbox: Vec<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<Digest>,
    sequence: u64,
    v: u32,
}

impl State {
    /// How a state names a signed checkpoint.
    #[must_use]
    pub fn mark(checkpoint: &[u8]) -> Digest {
        Digest::of(checkpoint)
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let written = Written {
            chain: Digest::from_bytes(*self.journal.chain.as_bytes()),
            checkpoint: self.checkpoint.clone(),
            outbox: self.outbox.clone(),
            replaces: self.replaces,
            sequence: self.journal.sequence,
            v: 1,
        };
        let mut bytes = serde_json::to_vec(&written).unwrap_or_default();
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(format!("\n{digest}\n").as_bytes());
        bytes
    }

    /// Reads the bytes of the file; `None` if they are not exactly what [`Self::to_bytes`] wrote.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        let (line, rest) = text.split_once('\n')?;
        if rest != format!("{}\n", Digest::of(line.as_bytes())) {
            return None;
        }
        let written: Written = serde_json::from_str(line)
            .ok()
            .filter(|written: &Written| written.v == 1)?;
        let journal = Position {
            sequence: written.sequence,
            chain: Hash::from_bytes(*written.chain.as_bytes()),
        };
        Some(Self {
            checkpoint: written.checkpoint,
            journal,
            outbox: written.outbox,
            replaces: written.replaces,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_byte_anywhere_is_noticed() {
        let state = State {
            checkpoint: "a\n1\nb\n".to_owned(),
            journal: Position::START,
            outbox: vec![-1, 7, i64::MAX],
            replaces: Some(State::mark(b"the checkpoint before")),
        };
        let bytes = state.to_bytes();
        assert_eq!(State::parse(&bytes), Some(state));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(State::parse(&flipped), None, "byte {at}");
        }
    }
}
