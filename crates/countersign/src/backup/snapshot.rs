//! Making a backup beside a running server: what is copied, in which order, and the look at what was written.
//!
//! The database comes first and the log after it, so that no event of the database is missing from the log; events that the outbox still held and the log has by then are taken
//! out of the copy. Of the log, tiles that are full never change and are linked; the state comes before the tiles that it needs and the journal last; the copy is
//! verified, and begun again while the log moves on too fast.

use super::archive::{Entries, Manifest, Writer, read};
use super::key::{self, BackupKeySource};
use super::{BackupError, DATABASE, file, sync_directory};
use countersign_audit::verify::{CHECKPOINT_PATH, LogFiles as _};
use countersign_base::{EventId, UnixTime};
use countersign_crypto::Random;
use countersign_crypto::digest::sha256;
use countersign_crypto::password::Cost;
use countersign_store::audit::{
    DirectoryFiles, find_logs, tail, verifier_key_beside, verify_directory,
};
use countersign_store::backup::{check_sqlite, copy_sqlite, forget_outbox};
use countersign_store::tables::keks;
use countersign_store::{Store, StoreOptions, StoreUrl};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// How often the log is copied again because it moved on meanwhile.
const ATTEMPTS_MAX: usize = 5;

/// How a backup is made.
pub struct BackupOptions {
    /// The data directory.
    pub data: PathBuf,
    /// The file to make; it does not exist.
    pub to: PathBuf,
    /// What will open it.
    pub key: BackupKeySource,
    /// What stretching a passphrase costs.
    pub cost: Cost,
    /// Where randomness comes from.
    pub random: Random,
    /// The time.
    pub now: UnixTime,
    /// Who hears of progress.
    pub progress: Box<dyn Fn(&str)>,
}

/// A backup that was made and read again.
#[derive(Debug)]
pub struct Made {
    /// What it says of itself.
    pub manifest: Manifest,
    /// A digest of the file, in pieces of a mebibyte: each piece with the digest so far.
    pub digest: [u8; 32],
}

/// Makes a backup and reads it through. The file appears under its name only when that succeeded.
///
/// # Errors
/// When something cannot be read or written, or what was written is not what was read.
pub async fn backup(options: BackupOptions) -> Result<Made, BackupError> {
    let (data, say) = (&options.data, &*options.progress);
    let database = data.join(DATABASE);
    if !database.is_file() {
        return Err(BackupError::NoDatabase(database));
    }
    if options.to.exists() {
        return Err(BackupError::Occupied(options.to));
    }
    let staged = Staged::make(data)?;
    say("copying the database");
    let before = sizes(data)?;
    let copy = staged.path.join(DATABASE);
    copy_sqlite(&database, &copy)?;
    let rows = keks_of(&copy, options.now).await?;
    say("copying the audit log");
    let logs = copy_logs(data, &staged.path)?;
    forget_outbox(&copy, &logged_since(&before, &logs)?)?;
    check_sqlite(&copy)?;
    let (authority, name) = (data.join("ca.pem"), "ca.pem");
    if authority.is_file() {
        fs::copy(&authority, staged.path.join(name)).map_err(file(&authority))?;
    }
    say("encrypting");
    let (opener, sealed) = key::made(&options.key, data, &rows, options.cost, &options.random)?;
    let partial = with_suffix(&options.to, ".partial");
    let _earlier = fs::remove_file(&partial);
    let mut writer = Writer::begin(&partial, &opener, sealed, &options.random)?;
    let mut digests = BTreeMap::new();
    for (name, path) in files(&staged.path)? {
        digests.insert(PathBuf::from(&name), digest_of(&path)?);
        writer = writer.add(&name, &path)?;
    }
    let manifest = writer.finish(Manifest {
        made: options.now.0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        checkpoints: checkpoints(&logs)?,
        entries: 0,
        bytes: 0,
    })?;
    say("reading it again");
    let mut compared = Compared::new(digests);
    let again = read(&partial, &options.key, data, &mut compared)?;
    compared.ended()?;
    if again != manifest {
        return Err(BackupError::Differs("its end".to_owned()));
    }
    let digest = digest_of(&partial)?;
    fs::rename(&partial, &options.to).map_err(file(&options.to))?;
    sync_directory(options.to.parent().unwrap_or(Path::new(".")))?;
    Ok(Made { manifest, digest })
}

/// A directory beside the data that is gone afterwards: in it are rows in clear.
struct Staged {
    path: PathBuf,
}

impl Staged {
    fn make(data: &Path) -> Result<Self, BackupError> {
        let path = data.join("backup.staged");
        // What a backup left that was killed.
        let _earlier = fs::remove_dir_all(&path);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(file(&path))?;
        Ok(Self { path })
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if fs::remove_dir_all(&self.path).is_err() {
            eprintln!(
                "warning: `{}` is left and can be removed",
                self.path.display()
            );
        }
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path
        .file_name()
        .map(std::ffi::OsStr::to_owned)
        .unwrap_or_default();
    name.push(suffix);
    path.with_file_name(name)
}

/// The wrapped key-encryption keys. The copy is opened, never the database of a running server.
async fn keks_of(copy: &Path, now: UnixTime) -> Result<Vec<keks::KekRow>, BackupError> {
    let options = StoreOptions::new(StoreUrl::Sqlite(copy.to_owned()));
    let store = Store::open(&options, now).await?;
    let mut connection = store.read().await?;
    let rows = keks::all(&mut connection).await?;
    drop(connection);
    store.close().await;
    Ok(rows)
}

/// The logs of a data directory, by their names below it.
fn logs_of(data: &Path) -> Result<Vec<(String, PathBuf)>, BackupError> {
    let audit = data.join("audit");
    let found = find_logs(&audit).map_err(file(&audit))?;
    Ok(found
        .into_iter()
        .filter_map(|log| {
            let name = log.strip_prefix(data).ok()?.to_str()?.to_owned();
            Some((name, log))
        })
        .collect())
}

/// How many records each log has.
fn sizes(data: &Path) -> Result<BTreeMap<String, u64>, BackupError> {
    let mut sizes = BTreeMap::new();
    for (name, log) in logs_of(data)? {
        let note = checkpoint(&log)?;
        let held = |cause| BackupError::Log {
            path: log.clone(),
            cause,
        };
        let key = verifier_key_beside(&log).map_err(held)?;
        let opened = countersign_audit::Checkpoint::open(note.as_bytes(), &key);
        sizes.insert(name, opened.map_or(0, |checkpoint| checkpoint.size));
    }
    Ok(sizes)
}

fn checkpoint(log: &Path) -> Result<String, BackupError> {
    let path = log.join(CHECKPOINT_PATH);
    fs::read_to_string(&path).map_err(file(&path))
}

fn checkpoints(logs: &[(String, PathBuf)]) -> Result<BTreeMap<String, String>, BackupError> {
    logs.iter()
        .map(|(name, log)| Ok((name.clone(), checkpoint(log)?)))
        .collect()
}

/// Copies every log, and verifies the copies.
fn copy_logs(data: &Path, to: &Path) -> Result<Vec<(String, PathBuf)>, BackupError> {
    let mut copies = Vec::new();
    for (name, log) in logs_of(data)? {
        let copy = to.join(&name);
        let mut attempts = 0;
        loop {
            let copied = copy_log(&log, &copy);
            attempts += 1;
            // A file may be gone between its name and its content; and the whole may be of two moments.
            match copied.map(|()| verify_directory(&copy)) {
                Ok(Ok(_report)) => break,
                Err(BackupError::File { cause, .. })
                    if cause.kind() == std::io::ErrorKind::NotFound && attempts < ATTEMPTS_MAX => {}
                Err(error) => return Err(error),
                Ok(Err(_)) if attempts < ATTEMPTS_MAX && moved(&log, &copy) => {}
                Ok(Err(_)) if moved(&log, &copy) => {
                    return Err(BackupError::Unsteady(ATTEMPTS_MAX));
                }
                Ok(Err(cause)) => return Err(BackupError::Log { path: log, cause }),
            }
        }
        copies.push((name, copy));
    }
    Ok(copies)
}

/// Whether the log has another state than its copy.
fn moved(log: &Path, copy: &Path) -> bool {
    let state = |at: &Path| DirectoryFiles::new(at).read(countersign_audit::state::STATE_PATH);
    match (state(log), state(copy)) {
        (Ok(now), Ok(then)) => now != then,
        (Err(_), _) | (_, Err(_)) => true,
    }
}

fn copy_log(log: &Path, copy: &Path) -> Result<(), BackupError> {
    fs::create_dir_all(copy).map_err(file(copy))?;
    // Most of a log are tiles that never change; the state comes when they are there, and what it needs besides comes after it.
    copy_below(log, copy, Path::new("tile"))?;
    for name in ["verifier.key", "state", CHECKPOINT_PATH] {
        let from = log.join(name);
        if from.is_file() {
            fs::copy(&from, copy.join(name)).map_err(file(&from))?;
        }
    }
    copy_below(log, copy, Path::new("tile"))?;
    let journal = copy.join("journal");
    let _earlier = fs::remove_dir_all(&journal);
    copy_below(log, copy, Path::new("journal"))
}

fn copy_below(log: &Path, copy: &Path, rest: &Path) -> Result<(), BackupError> {
    let from = log.join(rest);
    if !from.is_dir() {
        return Ok(());
    }
    let to = copy.join(rest);
    fs::create_dir_all(&to).map_err(file(&to))?;
    for entry in fs::read_dir(&from).map_err(file(&from))? {
        let entry = entry.map_err(file(&from))?;
        let below = rest.join(entry.file_name());
        if entry.file_type().map_err(file(&from))?.is_dir() {
            copy_below(log, copy, &below)?;
            continue;
        }
        let (from, to) = (log.join(&below), copy.join(&below));
        // A full tile has a name of digits alone, and stands in no directory of unfilled ones.
        let name = entry.file_name();
        let full = rest.starts_with("tile")
            && rest.extension().is_none()
            && name
                .to_str()
                .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        let linked = full && (to.exists() || fs::hard_link(&from, &to).is_ok());
        if !linked {
            fs::copy(&from, &to).map_err(file(&from))?;
        }
    }
    Ok(())
}

/// The events that came into the logs after `before`.
fn logged_since(
    before: &BTreeMap<String, u64>,
    logs: &[(String, PathBuf)],
) -> Result<Vec<EventId>, BackupError> {
    let mut events = Vec::new();
    for (name, log) in logs {
        // A row stays in the outbox until after its batch is in the log: the last ones before count too.
        let mut from = before.get(name).copied().unwrap_or(0).saturating_sub(1024);
        loop {
            let (records, next) = tail(log, from).map_err(|cause| BackupError::Log {
                path: log.clone(),
                cause,
            })?;
            if next <= from || records.is_empty() {
                break;
            }
            events.extend(records.into_iter().map(|(_, record)| record.id));
            from = next;
        }
    }
    Ok(events)
}

/// Every file below a directory, by its name, in order.
fn files(root: &Path) -> Result<BTreeMap<String, PathBuf>, BackupError> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).map_err(file(&directory))? {
            let path = entry.map_err(file(&directory))?.path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let name = path.strip_prefix(root).ok().and_then(Path::to_str);
            // SQLite's own, beside a database that is closed: there is nothing in them.
            if let Some(name) = name.filter(|name| !name.starts_with("state.db-")) {
                found.insert(name.to_owned(), path.clone());
            }
        }
    }
    Ok(found)
}

pub(super) fn digest_of(path: &Path) -> Result<[u8; 32], BackupError> {
    let mut input = fs::File::open(path).map_err(file(path))?;
    let mut chain = [0; 32];
    let mut piece = vec![0; 1024 * 1024];
    loop {
        let mut filled = 0;
        while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match input.read(rest).map_err(file(path))? {
                0 => break,
                read => filled += read,
            }
        }
        match piece.get(..filled) {
            Some(part) if !part.is_empty() => chain = sha256(&[&chain[..], part].concat()),
            Some(_) | None => return Ok(chain),
        }
    }
}

/// Entries that are compared with what was put in.
struct Compared {
    expected: BTreeMap<PathBuf, [u8; 32]>,
    open: Option<(PathBuf, Vec<u8>, [u8; 32])>,
}

impl Compared {
    fn new(expected: BTreeMap<PathBuf, [u8; 32]>) -> Self {
        Self {
            expected,
            open: None,
        }
    }

    fn close(&mut self) -> Result<(), BackupError> {
        let Some((name, rest, chain)) = self.open.take() else {
            return Ok(());
        };
        let digest = match rest.is_empty() {
            true => chain,
            false => sha256(&[&chain[..], &rest].concat()),
        };
        match self.expected.remove(&name) {
            Some(expected) if expected == digest => Ok(()),
            Some(_) | None => Err(BackupError::Differs(format!("`{}`", name.display()))),
        }
    }

    fn ended(mut self) -> Result<(), BackupError> {
        self.close()?;
        match self.expected.keys().next() {
            None => Ok(()),
            Some(name) => Err(BackupError::Differs(format!("`{}`", name.display()))),
        }
    }
}

impl Entries for Compared {
    fn begin(&mut self, name: &Path) -> Result<(), BackupError> {
        self.close()?;
        self.open = Some((name.to_owned(), Vec::new(), [0; 32]));
        Ok(())
    }

    fn more(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        if let Some((_, rest, chain)) = &mut self.open {
            rest.extend_from_slice(bytes);
            while let Some((piece, after)) = rest.split_at_checked(1024 * 1024) {
                *chain = sha256(&[&chain[..], piece].concat());
                *rest = after.to_vec();
            }
        }
        Ok(())
    }
}
