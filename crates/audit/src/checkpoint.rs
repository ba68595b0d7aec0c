//! The checkpoint: the log's name, size and root, signed (C2SP tlog-checkpoint v1.0.0). Extension lines are neither written nor accepted.

use crate::merkle::Hash;
use crate::note::{NoteError, NoteSigner, Origin, VerifierKey};
use crate::proof::{base64_hash, decimal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a log says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            STANDARD.encode(self.root.as_bytes())
        )
    }

    /// The signed note.
    ///
    /// # Errors
    /// When the key refuses.
    pub fn sign(&self, signer: &NoteSigner) -> Result<String, NoteError> {
        signer.sign(&self.text())
    }

    /// Reads a signed note and checks its signature.
    ///
    /// # Errors
    /// When it is no note, not signed by `key`, no checkpoint, or one of another log.
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<Self, NoteError> {
        let text = key.open(note)?;
        let checkpoint = Self::parse(text).ok_or(NoteError::Checkpoint)?;
        if checkpoint.origin != *key.origin() {
            return Err(NoteError::Origin);
        }
        Ok(checkpoint)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        if lines.next().is_some() {
            return None;
        }
        Some(Self {
            origin: origin.parse().ok()?,
            size: decimal(size)?,
            root: base64_hash(root)?,
        })
    }
}

#[cfg(test)]
mod tests;
