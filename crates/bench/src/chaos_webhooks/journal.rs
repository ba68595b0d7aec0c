//! What the receivers took in: one line of JSON a delivery, written before it is answered. A receiver that is killed leaves what it wrote.

use crate::Failed;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// One delivery that was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken {
    /// Where: the path.
    pub(super) place: String,
    /// `webhook-id`.
    pub(super) id: String,
    /// Which worker sent it.
    pub(super) key: String,
    /// Which of its messages, from 1.
    pub(super) number: u64,
    /// What was done with it.
    pub(super) done: Done,
}

/// What a receiver did with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Done {
    /// It was taken in, and then answered so.
    Accepted,
    /// It was taken in, and the sender never heard of it.
    Unheard,
    /// Its signature, or something that it must have, was wrong.
    Forged,
}

/// The file.
#[derive(Clone)]
pub(super) struct Journal(Arc<Mutex<File>>);

impl Journal {
    /// Opens it for appending.
    pub(super) fn open(path: &Path) -> Result<Self, Failed> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Writes a line, whole.
    pub(super) fn write(&self, taken: &Taken) -> Result<(), Failed> {
        let mut line = serde_json::to_vec(taken)?;
        line.push(b'\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(file.write_all(&line)?)
    }
}

/// All that was written, in its order.
pub(super) fn read(path: &PathBuf) -> Result<Vec<Taken>, Failed> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    // A killed receiver may leave the beginning of a line, which was not answered.
    let lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    lines.map(|line| Ok(serde_json::from_str(line)?)).collect()
}
