//! Reading a log's directory from outside: verify, prove, tail. No server is needed, and a running one is not disturbed.

use super::files::DirectoryFiles;
use countersign_audit::Record;
use countersign_audit::VerifierKey;
use countersign_audit::verify::{
    FileError, LogFiles, Proven, Report, VERIFIER_KEY_PATH, Verifier, VerifyError,
    prove as prove_in, tail as tail_of,
};
use countersign_base::EventId;
use std::io;
use std::path::{Path, PathBuf};

/// How often a verification is begun again because a running log moved on meanwhile.
const ATTEMPTS_MAX: usize = 5;
/// How deep below the audit directory logs are looked for: origins have that many elements at most.
const DEPTH_MAX: usize = 8;

/// The logs below the data directory's `audit/`: every directory that holds a `verifier.key`, in the order of their names.
///
/// # Errors
/// When a directory cannot be read.
pub fn find_logs(audit: &Path) -> io::Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    let mut directories = vec![(audit.to_owned(), 0)];
    while let Some((directory, depth)) = directories.pop() {
        if directory.join(VERIFIER_KEY_PATH).is_file() {
            logs.push(directory);
        } else if depth < DEPTH_MAX {
            for entry in std::fs::read_dir(&directory)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    directories.push((entry.path(), depth + 1));
                }
            }
        }
    }
    logs.sort();
    Ok(logs)
}

/// The key that lies beside the log. Whoever does not trust the directory brings the key from elsewhere.
///
/// # Errors
/// When there is none or it is malformed.
pub fn verifier_key_beside(log: &Path) -> Result<VerifierKey, VerifyError> {
    let bytes = DirectoryFiles::new(log).read(VERIFIER_KEY_PATH)?;
    let bytes = bytes.ok_or_else(|| VerifyError::Missing {
        path: VERIFIER_KEY_PATH.to_owned(),
    })?;
    let line = str::from_utf8(&bytes).map_err(|error| FileError::new(VERIFIER_KEY_PATH, &error))?;
    VerifierKey::parse(line.trim_end()).map_err(|cause| VerifyError::Note {
        path: VERIFIER_KEY_PATH,
        cause,
    })
}

/// Verifies every record, tile, checkpoint and frame of the log in `log` with the key beside it.
///
/// # Errors
/// With the first thing that does not hold.
pub fn verify_directory(log: &Path) -> Result<Report, VerifyError> {
    verify_directory_with(log, &verifier_key_beside(log)?, &[])
}

/// As [`verify_directory`], with a key from elsewhere, and demanding that the log extends older checkpoints that somebody kept.
///
/// # Errors
/// As [`verify_directory`].
pub fn verify_directory_with(
    log: &Path,
    key: &VerifierKey,
    older: &[Vec<u8>],
) -> Result<Report, VerifyError> {
    verify_files(&DirectoryFiles::new(log), key, older)
}

/// Verifies, and begins again when the log's journal moved on under the reader.
pub(super) fn verify_files<F: LogFiles>(
    files: &F,
    key: &VerifierKey,
    older: &[Vec<u8>],
) -> Result<Report, VerifyError> {
    let mut attempts = 0;
    loop {
        let before = files.read(countersign_audit::state::STATE_PATH)?;
        let verifier = older
            .iter()
            .fold(Verifier::new(files, key.clone()), |verifier, note| {
                verifier.extending(note.clone())
            });
        let verified = verifier.verify();
        attempts += 1;
        let moved = || {
            files
                .read(countersign_audit::state::STATE_PATH)
                .is_ok_and(|after| after != before)
        };
        match verified {
            Err(VerifyError::Journal { .. } | VerifyError::Missing { .. })
                if attempts < ATTEMPTS_MAX && moved() => {}
            other => return other,
        }
    }
}

/// Finds one event in the log in `log` and proves that it is in it; `None` if no published checkpoint covers it.
///
/// # Errors
/// When the log does not hold.
pub fn prove(log: &Path, id: EventId) -> Result<Option<Proven>, VerifyError> {
    prove_in(&DirectoryFiles::new(log), &verifier_key_beside(log)?, id)
}

/// The records of the log in `log` from number `from` on, and the number to go on from. Calling it again and again follows a running log.
///
/// # Errors
/// When the log does not hold.
pub fn tail(log: &Path, from: u64) -> Result<(Vec<(u64, Record)>, u64), VerifyError> {
    tail_of(&DirectoryFiles::new(log), &verifier_key_beside(log)?, from)
}
