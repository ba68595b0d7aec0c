//! Where a file with a secret may be written: nowhere that somebody else could put another directory, link or file in its place.
//!
//! The shell looks and tells what it saw; what is decided here is the evidence that it writes with. The file itself is made anew beside the old one and renamed over it, so
//! that what was there is never written through.

use std::path::{Path, PathBuf};

/// Others may write.
const WORLD_WRITABLE: u32 = 0o002;
/// In a directory: only its owner may rename or remove what is in it.
const STICKY: u32 = 0o1000;

/// What stands at a path, without following a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A device, a pipe, a socket.
    Other,
}

/// What the operating system says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What stands there.
    pub kind: FileKind,
    /// Whose it is.
    pub owner: u32,
    /// Its mode bits.
    pub mode: u32,
}

/// Whose directories are trusted, beside root's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trusted {
    /// The user of this process.
    pub own: u32,
    /// The user that the file is given to: the directory itself may be theirs, but none above it.
    pub recipient: Option<u32>,
}

/// Why nothing is written there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Everybody can change what is in it.
    #[error("`{}` can be written by everybody", .0.display())]
    Everybodys(PathBuf),
    /// What stands there is a link.
    #[error("`{}` is a symbolic link; remove it, nothing is written through it", .0.display())]
    Link(PathBuf),
    /// It has no directory.
    #[error("`{}` names no file in a directory", .0.display())]
    NoDirectory(PathBuf),
    /// A directory or a device stands there.
    #[error("`{}` is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// On the way is something that is no directory.
    #[error("`{}` is no directory", .0.display())]
    NotADirectory(PathBuf),
    /// Somebody else could put another one in its place.
    #[error("`{}` belongs to another user, who could put something else in its place", .0.display())]
    Others(PathBuf),
}

/// A file that may be written: its directory, and its name there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct SafePlace {
    file: PathBuf,
}

impl SafePlace {
    /// Judges a place. `file` has its links resolved; `way` is every path from the root down to its directory, as it is written and as it is resolved; `target` is what
    /// stands at `file`.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn judge(
        file: &Path,
        way: &[(PathBuf, Facts)],
        target: Option<Facts>,
        trusted: Trusted,
    ) -> Result<Self, PlaceError> {
        let no_directory = || PlaceError::NoDirectory(file.to_owned());
        let directory = file.parent().ok_or_else(no_directory)?;
        if way.is_empty() || file.file_name().is_none() {
            return Err(no_directory());
        }
        for (path, facts) in way {
            let last = path == directory;
            let recipients = last && Some(facts.owner) == trusted.recipient;
            let owned = facts.owner == 0 || facts.owner == trusted.own || recipients;
            if !owned && matches!(facts.kind, FileKind::Directory | FileKind::Link) {
                return Err(PlaceError::Others(path.clone()));
            }
            step(path, *facts)?;
            if last && facts.kind == FileKind::Directory && facts.mode & WORLD_WRITABLE != 0 {
                return Err(PlaceError::Everybodys(path.clone()));
            }
        }
        match target.map(|facts| facts.kind) {
            None | Some(FileKind::File) => Ok(Self {
                file: file.to_owned(),
            }),
            Some(FileKind::Link) => Err(PlaceError::Link(file.to_owned())),
            Some(FileKind::Directory | FileKind::Other) => {
                Err(PlaceError::NotAFile(file.to_owned()))
            }
        }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// One step of the way: whoever could rename it decides where the file goes.
fn step(path: &Path, facts: Facts) -> Result<(), PlaceError> {
    match facts.kind {
        FileKind::Link => Ok(()),
        FileKind::Directory if facts.mode & WORLD_WRITABLE != 0 && facts.mode & STICKY == 0 => {
            Err(PlaceError::Everybodys(path.to_owned()))
        }
        FileKind::Directory => Ok(()),
        FileKind::File | FileKind::Other => Err(PlaceError::NotADirectory(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(kind: FileKind, owner: u32, mode: u32) -> Facts {
        Facts { kind, owner, mode }
    }

    fn way(last: Facts) -> Vec<(PathBuf, Facts)> {
        let directory =
            |path: &str, mode| (PathBuf::from(path), facts(FileKind::Directory, 0, mode));
        vec![
            directory("/", 0o755),
            directory("/run", 0o1777),
            (PathBuf::from("/run/app"), last),
        ]
    }

    fn judged(way: &[(PathBuf, Facts)], target: Option<Facts>) -> Result<SafePlace, PlaceError> {
        judged_for(None, way, target)
    }

    fn judged_for(
        recipient: Option<u32>,
        way: &[(PathBuf, Facts)],
        target: Option<Facts>,
    ) -> Result<SafePlace, PlaceError> {
        let trusted = Trusted {
            own: 1000,
            recipient,
        };
        SafePlace::judge(Path::new("/run/app/secret"), way, target, trusted)
    }

    #[test]
    fn the_directory_may_be_the_recipients_and_none_above_it() {
        let theirs = way(facts(FileKind::Directory, 2000, 0o700));
        assert!(judged(&theirs, None).is_err());
        assert!(judged_for(Some(2000), &theirs, None).is_ok());
        let mut above = way(facts(FileKind::Directory, 2000, 0o700));
        above[1].1.owner = 2000;
        assert_eq!(
            judged_for(Some(2000), &above, None),
            Err(PlaceError::Others(PathBuf::from("/run")))
        );
    }

    #[test]
    fn a_file_in_a_directory_of_our_own_may_be_written() {
        let own = way(facts(FileKind::Directory, 1000, 0o755));
        assert!(judged(&own, None).is_ok());
        assert!(judged(&own, Some(facts(FileKind::File, 1000, 0o600))).is_ok());
        let roots = way(facts(FileKind::Directory, 0, 0o775));
        assert!(judged(&roots, None).is_ok(), "group members are trusted");
    }

    #[test]
    fn no_place_that_somebody_else_could_change_is_written() {
        let app = || PathBuf::from("/run/app");
        for (last, expected) in [
            (
                facts(FileKind::Directory, 1000, 0o777),
                PlaceError::Everybodys(app()),
            ),
            (
                // Sticky is enough on the way, not at its end: others can put files there.
                facts(FileKind::Directory, 1000, 0o1777),
                PlaceError::Everybodys(app()),
            ),
            (
                facts(FileKind::Directory, 2000, 0o755),
                PlaceError::Others(app()),
            ),
            (
                facts(FileKind::Link, 2000, 0o777),
                PlaceError::Others(app()),
            ),
            (
                facts(FileKind::File, 1000, 0o644),
                PlaceError::NotADirectory(app()),
            ),
        ] {
            assert_eq!(judged(&way(last), None), Err(expected), "{last:?}");
        }
        assert!(judged(&[], None).is_err());
    }

    #[test]
    fn nothing_is_written_through_a_link_or_into_a_device() {
        let own = way(facts(FileKind::Directory, 1000, 0o700));
        let secret = || PathBuf::from("/run/app/secret");
        for (kind, expected) in [
            (FileKind::Link, PlaceError::Link(secret())),
            (FileKind::Other, PlaceError::NotAFile(secret())),
            (FileKind::Directory, PlaceError::NotAFile(secret())),
        ] {
            // Also a link of our own.
            assert_eq!(judged(&own, Some(facts(kind, 1000, 0o777))), Err(expected));
        }
    }
}
