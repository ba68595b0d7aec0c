//! A disk in memory that loses, at a power cut, what was not synced: the worst that POSIX allows.
//!
//! Content that was appended since the last sync of its file may be there, be there in part, or be there as garbage; names that were made, changed
//! or removed since the last sync of their directory may be there or not, each on its own. Which it is, a seed decides.

use super::{Disk, DiskFile, parent};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk that can lose its power. Cloning it gives another handle of the same disk.
#[derive(Debug, Clone, Default)]
pub struct FaultyDisk(Arc<Mutex<Content>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

#[derive(Debug, Clone, Default)]
struct Inode {
    synced: Vec<u8>,
    current: Vec<u8>,
}

/// A change of names that waits for its directory's sync.
#[derive(Debug, Clone)]
enum Change {
    Add(String, Node),
    Remove(String),
    Rename(String, String, Node),
}

impl Change {
    fn directory(&self) -> &str {
        match self {
            Self::Add(path, _) | Self::Remove(path) | Self::Rename(path, _, _) => parent(path),
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, Node>) {
        match self {
            Self::Add(path, node) => drop(names.insert(path.clone(), node.clone())),
            Self::Remove(path) => drop(names.remove(path)),
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), node.clone());
            }
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Content {
    inodes: Vec<Inode>,
    synced_names: BTreeMap<String, Node>,
    names: BTreeMap<String, Node>,
    changes: Vec<Change>,
    operations: u64,
    cut_at: Option<u64>,
    sync_fails_at: Option<u64>,
    syncs: u64,
    bytes_free: Option<usize>,
}

impl Content {
    /// Counts an operation that changes something; after the cut there is none any more.
    fn operate(&mut self) -> io::Result<()> {
        if self.cut_at.is_some_and(|cut| self.operations >= cut) {
            return Err(io::Error::new(ErrorKind::BrokenPipe, "the power is cut"));
        }
        self.operations += 1;
        Ok(())
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn file(&self, path: &str) -> Option<usize> {
        match self.names.get(path) {
            Some(Node::File(inode)) => Some(*inode),
            Some(Node::Directory) | None => None,
        }
    }

    fn require_directory(&self, path: &str) -> io::Result<()> {
        let known = path.is_empty() || self.names.get(path) == Some(&Node::Directory);
        if known {
            Ok(())
        } else {
            Err(io::Error::new(
                ErrorKind::NotFound,
                format!("no directory `{path}`"),
            ))
        }
    }

    fn open(&mut self, path: &str) -> io::Result<usize> {
        self.require_directory(parent(path))?;
        if let Some(inode) = self.file(path) {
            return Ok(inode);
        }
        self.operate()?;
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.change(Change::Add(path.to_owned(), Node::File(inode)));
        Ok(inode)
    }
}

impl FaultyDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many operations changed something so far; reading is not counted.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Cuts the power when `operations` operations in all have been done: every later one fails.
    pub fn cut_power_after(&self, operations: u64) {
        self.lock().cut_at = Some(operations);
    }

    /// Makes one sync fail: the one after `syncs` more have succeeded.
    pub fn fail_sync_after(&self, syncs: u64) {
        let mut content = self.lock();
        content.sync_fails_at = Some(content.syncs + syncs);
    }

    /// Leaves room for `bytes` more; `usize::MAX` makes room again.
    pub fn leave_room_for(&self, bytes: usize) {
        self.lock().bytes_free = Some(bytes);
    }

    /// Turns over bytes of a file that were synced long ago, as a failing medium does. Whether there was such a byte.
    pub fn flip(&self, path: &str, at: usize) -> bool {
        let mut content = self.lock();
        let Some(inode) = content.file(path) else {
            return false;
        };
        let Some(inode) = content.inodes.get_mut(inode) else {
            return false;
        };
        for bytes in [&mut inode.synced, &mut inode.current] {
            match bytes.get_mut(at) {
                Some(byte) => *byte ^= 0x40,
                None => return false,
            }
        }
        true
    }

    /// What is found when the power comes back. The seed decides the fate of everything that was not synced.
    #[must_use]
    pub fn after_power_cut(&self, seed: u64) -> Self {
        let content = self.lock();
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut names = content.synced_names.clone();
        for change in &content.changes {
            if dice.roll(2) == 0 {
                change.apply(&mut names);
            }
        }
        let reachable = reachable(&names);
        names.retain(|path, _| reachable.contains(path));
        let inodes = content
            .inodes
            .iter()
            .map(|inode| dice.survivor(inode))
            .collect();
        let found = Content {
            inodes,
            synced_names: names.clone(),
            names,
            ..Content::default()
        };
        Self(Arc::new(Mutex::new(found)))
    }

    /// What is found after the program alone was killed: everything that it had done, synced or not.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let content = self.lock();
        let inodes = content.inodes.iter();
        let inodes = inodes.map(|inode| Inode {
            synced: inode.current.clone(),
            current: inode.current.clone(),
        });
        let found = Content {
            inodes: inodes.collect(),
            synced_names: content.names.clone(),
            names: content.names.clone(),
            ..Content::default()
        };
        Self(Arc::new(Mutex::new(found)))
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names whose directories are all there.
fn reachable(names: &BTreeMap<String, Node>) -> BTreeSet<String> {
    let mut reachable = BTreeSet::new();
    for path in names.keys() {
        let around = parent(path);
        if around.is_empty()
            || (names.get(around) == Some(&Node::Directory) && reachable.contains(around))
        {
            reachable.insert(path.clone());
        }
    }
    reachable
}

/// A small generator (xorshift64*), so that a seed names one outcome.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }

    fn survivor(&mut self, inode: &Inode) -> Inode {
        let kept = if inode.current == inode.synced {
            inode.synced.clone()
        } else {
            self.mangle(inode)
        };
        Inode {
            synced: kept.clone(),
            current: kept,
        }
    }

    /// Unsynced content: none of it, all of it, a beginning of it, or its length with other bytes in places.
    fn mangle(&mut self, inode: &Inode) -> Vec<u8> {
        let appended = inode.current.strip_prefix(inode.synced.as_slice());
        let Some(appended) = appended else {
            return if self.roll(2) == 0 {
                inode.synced.clone()
            } else {
                inode.current.clone()
            };
        };
        let mut tail = appended.to_vec();
        match self.roll(4) {
            0 => tail.clear(),
            1 => {}
            2 => tail.truncate(usize::try_from(self.roll(tail.len() as u64 + 1)).unwrap_or(0)),
            _ => {
                for sector in tail.chunks_mut(64) {
                    if self.roll(2) == 0 {
                        sector.fill(0);
                    }
                }
            }
        }
        [inode.synced.as_slice(), &tail].concat()
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    inode: usize,
}

impl DiskFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.disk.lock();
        content.operate()?;
        let room = content.bytes_free.unwrap_or(usize::MAX);
        let written = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        content.bytes_free = content.bytes_free.map(|room| room - written.len());
        if let Some(inode) = content.inodes.get_mut(self.inode) {
            inode.current.extend_from_slice(written);
        }
        if written.len() == bytes.len() {
            Ok(())
        } else {
            Err(io::Error::from(ErrorKind::StorageFull))
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut content = self.disk.lock();
        content.operate()?;
        content.syncs += 1;
        if content.sync_fails_at.is_some_and(|at| content.syncs > at) {
            content.sync_fails_at = None;
            return Err(io::Error::other("the disk could not sync"));
        }
        if let Some(inode) = content.inodes.get_mut(self.inode) {
            inode.synced.clone_from(&inode.current);
        }
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut content = self.disk.lock();
        content.operate()?;
        if let Some(inode) = content.inodes.get_mut(self.inode) {
            inode
                .current
                .truncate(usize::try_from(length).unwrap_or(usize::MAX));
        }
        Ok(())
    }
}

impl Disk for FaultyDisk {
    fn append_to(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.lock().open(path)?;
        Ok(Box::new(FaultyFile {
            disk: self.clone(),
            inode,
        }))
    }

    fn create_directory(&self, path: &str) -> io::Result<()> {
        let mut content = self.lock();
        content.require_directory(parent(path))?;
        if content.names.contains_key(path) {
            return Ok(());
        }
        content.operate()?;
        content.change(Change::Add(path.to_owned(), Node::Directory));
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let content = self.lock();
        let inside = content.names.keys().filter(|name| parent(name) == path);
        Ok(inside
            .map(|name| name.rsplit('/').next().unwrap_or(name).to_owned())
            .collect())
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let content = self.lock();
        Ok(content
            .file(path)
            .and_then(|inode| content.inodes.get(inode))
            .map(|inode| inode.current.clone()))
    }

    fn read_from(&self, path: &str, offset: u64, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(bytes) = self.read(path)? else {
            return Ok(None);
        };
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(Some(bytes.into_iter().skip(offset).take(limit).collect()))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut content = self.lock();
        if content.file(path).is_none() {
            return Ok(());
        }
        content.operate()?;
        content.change(Change::Remove(path.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut content = self.lock();
        let Some(node) = content.names.get(from).cloned() else {
            return Err(io::Error::from(ErrorKind::NotFound));
        };
        content.operate()?;
        content.change(Change::Rename(from.to_owned(), to.to_owned(), node));
        Ok(())
    }

    fn sync_directory(&self, path: &str) -> io::Result<()> {
        let mut content = self.lock();
        content.require_directory(path)?;
        content.operate()?;
        let (synced, waiting) = std::mem::take(&mut content.changes)
            .into_iter()
            .partition(|change: &Change| change.directory() == path);
        content.changes = waiting;
        let synced: Vec<Change> = synced;
        for change in synced {
            change.apply(&mut content.synced_names);
        }
        Ok(())
    }

    fn write_anew(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.lock().open(path)?;
        let mut file = FaultyFile {
            disk: self.clone(),
            inode,
        };
        file.truncate(0)?;
        Ok(Box::new(file))
    }
}
