//! Making a data directory of a backup, on a machine that has none. It appears under its name only when everything in it was checked: the stream to its end, the database page by
//! page, and each log against the checkpoint that the backup was made with.
//!
//! Who was erased after the backup was made is erased again by the first start, which has the epoch key.

use super::archive::{Entries, read};
use super::key::BackupKeySource;
use super::snapshot::{digest_of, with_suffix};
use super::{BackupError, DATABASE, file, sync_directory};
use countersign_audit::event::Restored as RestoredEvent;
use countersign_audit::verify::Report;
use countersign_audit::{Count, Digest, Record};
use countersign_base::{Tenant, UnixMillis};
use countersign_crypto::Random;
use countersign_store::audit::{find_logs, verifier_key_beside, verify_directory_with};
use countersign_store::backup::check_sqlite;
use countersign_store::{Store, StoreOptions, StoreUrl};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// How a backup is restored.
pub struct RestoreOptions {
    /// The backup.
    pub from: PathBuf,
    /// The data directory to make: absent, or empty.
    pub data: PathBuf,
    /// The keys that were kept apart: the directory with `root.key` and `epochs`.
    pub keys: Option<PathBuf>,
    /// What opens it.
    pub key: BackupKeySource,
    /// Where randomness comes from.
    pub random: Random,
    /// The time.
    pub now: UnixMillis,
    /// Who hears of progress.
    pub progress: Box<dyn Fn(&str)>,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// When the backup was made, in seconds since the epoch.
    pub made: i64,
    /// Files in it.
    pub entries: u64,
    /// Each log with what was verified of it.
    pub logs: Vec<(String, Report)>,
    /// Whether the epoch key is there: without it, the server does not start.
    pub epochs: Epochs,
}

/// Whether the epoch key was brought along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epochs {
    /// It is still to be put into `keys/epochs`.
    Missing,
    /// It is there.
    There,
}

/// Restores a backup.
///
/// # Errors
/// When there is something in the way, the key does not open it, or anything in it does not hold; then there is no data directory.
pub async fn restore(options: RestoreOptions) -> Result<Restored, BackupError> {
    let data = &options.data;
    let occupied = match fs::read_dir(data) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(file(data)(error)),
    };
    if occupied {
        return Err(BackupError::Occupied(data.clone()));
    }
    let partial = with_suffix(data, ".restoring");
    let _earlier = fs::remove_dir_all(&partial);
    let done = restore_into(&partial, &options).await;
    if done.is_err() {
        // What was decrypted does not stay.
        let _left = fs::remove_dir_all(&partial);
    }
    let done = done?;
    if data.exists() {
        fs::remove_dir(data).map_err(file(data))?;
    }
    fs::rename(&partial, data).map_err(file(data))?;
    sync_directory(data.parent().unwrap_or(Path::new(".")))?;
    Ok(done)
}

async fn restore_into(partial: &Path, options: &RestoreOptions) -> Result<Restored, BackupError> {
    let say = &*options.progress;
    make_directory(partial)?;
    if let Some(keys) = &options.keys {
        bring(keys, &partial.join("keys"))?;
    }
    say("decrypting");
    let mut extracted = Extracted {
        root: partial.to_owned(),
        open: None,
    };
    let manifest = read(&options.from, &options.key, partial, &mut extracted)?;
    extracted.close()?;
    say("checking the database");
    check_sqlite(&partial.join(DATABASE))?;
    say("verifying the audit log");
    let mut logs = Vec::new();
    let mut size = 0;
    for (name, checkpoint) in &manifest.checkpoints {
        let log = partial.join(name);
        let held = |cause| BackupError::Log {
            path: log.clone(),
            cause,
        };
        let key = verifier_key_beside(&log).map_err(held)?;
        let older = [checkpoint.clone().into_bytes()];
        let report = verify_directory_with(&log, &key, &older).map_err(held)?;
        let opened = countersign_audit::Checkpoint::open(checkpoint.as_bytes(), &key);
        size = opened.map_or(0, |checkpoint| checkpoint.size);
        logs.push((name.clone(), report));
    }
    let audit = partial.join("audit");
    let found = find_logs(&audit).map_err(file(&audit))?;
    if found.len() != logs.len() {
        return Err(BackupError::Differs(
            "a log without a checkpoint".to_owned(),
        ));
    }
    let event = RestoredEvent {
        backup: Digest::from_bytes(digest_of(&options.from)?),
        made: Count::of(u64::try_from(manifest.made).unwrap_or(0)),
        size: Count::of(size),
    };
    record(&partial.join(DATABASE), event, options).await?;
    let epochs = match countersign_control::subjects::epochs_path(partial).is_file() {
        true => Epochs::There,
        false => Epochs::Missing,
    };
    Ok(Restored {
        made: manifest.made,
        entries: manifest.entries,
        logs,
        epochs,
    })
}

/// Leaves the event for the log, which takes it up when the server starts.
async fn record(
    database: &Path,
    event: RestoredEvent,
    options: &RestoreOptions,
) -> Result<(), BackupError> {
    let now = options.now.seconds();
    let at = StoreOptions::new(StoreUrl::Sqlite(database.to_owned()));
    let store = Store::open(&at, now).await?;
    let tenant = Tenant::default_tenant();
    let record = Record {
        id: options.random.event_id(),
        time: options.now,
        tenant: tenant.clone(),
        request: None,
        event: event.into(),
    };
    let recorded = store.change(&tenant, Vec::new(), record, now).await;
    store.close().await;
    recorded?;
    Ok(())
}

fn make_directory(path: &Path) -> Result<(), BackupError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(file(path))
}

fn made_file(path: &Path) -> Result<fs::File, BackupError> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(file(path))
}

/// Copies the keys, readable for their owner alone.
fn bring(keys: &Path, to: &Path) -> Result<(), BackupError> {
    make_directory(to)?;
    for entry in fs::read_dir(keys).map_err(file(keys))? {
        let entry = entry.map_err(file(keys))?;
        let from = entry.path();
        if from.is_file() {
            let mut input = fs::File::open(&from).map_err(file(&from))?;
            let to = to.join(entry.file_name());
            let mut output = made_file(&to)?;
            std::io::copy(&mut input, &mut output).map_err(file(&to))?;
            output.sync_all().map_err(file(&to))?;
        }
    }
    Ok(())
}

/// Entries that become files.
struct Extracted {
    root: PathBuf,
    open: Option<(PathBuf, fs::File)>,
}

impl Extracted {
    fn close(&mut self) -> Result<(), BackupError> {
        match self.open.take() {
            Some((path, open)) => open.sync_all().map_err(file(&path)),
            None => Ok(()),
        }
    }
}

impl Entries for Extracted {
    fn begin(&mut self, name: &Path) -> Result<(), BackupError> {
        self.close()?;
        let path = self.root.join(name);
        if let Some(around) = path.parent() {
            make_directory(around)?;
        }
        self.open = Some((path.clone(), made_file(&path)?));
        Ok(())
    }

    fn more(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        match &mut self.open {
            Some((path, open)) => open.write_all(bytes).map_err(file(path)),
            None => Ok(()),
        }
    }
}
