//! The file operations that the audit log needs, behind a trait, so that a disk that loses what was not synced can be put under it.
//!
//! Paths are relative to the log's directory and use `/`. What each operation promises about a power cut stands at the operation; nothing is
//! durable before the sync that says so.

#[cfg(any(test, feature = "testing"))]
mod faulty;

#[cfg(any(test, feature = "testing"))]
pub use faulty::FaultyDisk;

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that is being written.
pub trait DiskFile: Send {
    /// Appends all of `bytes`. Not durable before [`Self::sync`].
    ///
    /// # Errors
    /// When not everything could be written; a part may have been.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the file's content and length durable (`fdatasync`).
    ///
    /// # Errors
    /// When the disk says so. Nothing may then be assumed about what was appended since the last sync.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `length` bytes. Not durable before [`Self::sync`].
    ///
    /// # Errors
    /// When the disk says so.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// The directory of one log.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Opens a file to append to, and creates it if need be. Its name is durable after [`Self::sync_directory`] of its directory.
    ///
    /// # Errors
    /// When the disk says so.
    fn append_to(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Creates a directory in an existing one; it may be there already. Its name is durable after [`Self::sync_directory`] of the one around it.
    ///
    /// # Errors
    /// When the disk says so.
    fn create_directory(&self, path: &str) -> io::Result<()>;

    /// The names in a directory; none if there is no such directory.
    ///
    /// # Errors
    /// When the disk says so.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;

    /// The whole content of a file; `None` if there is no such file.
    ///
    /// # Errors
    /// When the disk says so.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;

    /// Up to `limit` bytes of a file from `offset` on; fewer only at its end; `None` if there is no such file.
    ///
    /// # Errors
    /// When the disk says so.
    fn read_from(&self, path: &str, offset: u64, limit: usize) -> io::Result<Option<Vec<u8>>>;

    /// Removes a file; it may be gone already.
    ///
    /// # Errors
    /// When the disk says so.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Gives a file another name in its directory, replacing what has that name, atomically. Durable after [`Self::sync_directory`].
    ///
    /// # Errors
    /// When the disk says so.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes the names in a directory durable; the empty path is the log's own directory.
    ///
    /// # Errors
    /// When the disk says so.
    fn sync_directory(&self, path: &str) -> io::Result<()>;

    /// Opens a file empty, whatever it held.
    ///
    /// # Errors
    /// When the disk says so.
    fn write_anew(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;
}

/// The directory around `path`; empty for a file of the log's own directory.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// Replaces a file atomically and durably: written beside it, synced, renamed, the directory synced.
pub(super) fn replace(disk: &dyn Disk, path: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = format!("{path}.tmp");
    let mut file = disk.write_anew(&temporary)?;
    file.append(bytes)?;
    file.sync()?;
    disk.rename(&temporary, path)?;
    disk.sync_directory(parent(path))
}

/// The directories that are known to be there durably, so that each is created and synced once.
#[derive(Debug, Default)]
pub(super) struct Directories {
    known: HashSet<String>,
}

impl Directories {
    /// Makes `path` and everything around it exist durably.
    pub(super) fn ensure(&mut self, disk: &dyn Disk, path: &str) -> io::Result<()> {
        if path.is_empty() || self.known.contains(path) {
            return Ok(());
        }
        self.ensure(disk, parent(path))?;
        disk.create_directory(path)?;
        disk.sync_directory(parent(path))?;
        self.known.insert(path.to_owned());
        Ok(())
    }
}

/// A directory of the operating system, held by this process alone.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    _lock: File,
}

impl RealDisk {
    /// Creates the directory if need be and locks it against other processes.
    ///
    /// # Errors
    /// When the directory cannot be made, or another process has it (`WouldBlock`).
    pub fn open(root: &Path) -> io::Result<Self> {
        create_durably(root)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                root: root.to_owned(),
                _lock: lock,
            }),
            Err(fs::TryLockError::Error(error)) => Err(error),
            Err(fs::TryLockError::WouldBlock) => Err(io::Error::new(
                ErrorKind::WouldBlock,
                "another process is writing this audit log",
            )),
        }
    }
}

/// Creates `root` and the directories around it, and makes each new name durable.
fn create_durably(root: &Path) -> io::Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    if let Some(around) = root
        .parent()
        .filter(|around| !around.as_os_str().is_empty())
    {
        create_durably(around)?;
    }
    match fs::create_dir(root) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        Err(_) | Ok(()) => {}
    }
    let around = root
        .parent()
        .filter(|around| !around.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(around)?.sync_all()
}

fn absent_as_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

impl Disk for RealDisk {
    fn append_to(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.root.join(path))?,
        ))
    }

    fn create_directory(&self, path: &str) -> io::Result<()> {
        match fs::create_dir(self.root.join(path)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        list_directory(&self.root.join(path))
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        absent_as_none(fs::read(self.root.join(path)))
    }

    fn read_from(&self, path: &str, offset: u64, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = absent_as_none(File::open(self.root.join(path)))? else {
            return Ok(None);
        };
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(limit as u64).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        absent_as_none(fs::remove_file(self.root.join(path))).map(|_| ())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.root.join(from), self.root.join(to))
    }

    fn sync_directory(&self, path: &str) -> io::Result<()> {
        File::open(self.root.join(path))?.sync_all()
    }

    fn write_anew(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(self.root.join(path))?;
        Ok(Box::new(file))
    }
}

/// The names in a directory of the operating system; none if there is no such directory.
pub(super) fn list_directory(path: &Path) -> io::Result<Vec<String>> {
    let Some(entries) = absent_as_none(fs::read_dir(path))? else {
        return Ok(Vec::new());
    };
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}
