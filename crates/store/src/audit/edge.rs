//! What is checked when a log is opened: state against checkpoint, the right edge against the signed root, the tail against its tiles.
//!
//! Not here: everything to the left of that, which the background audit walks.

use super::OpenError;
use super::disk::{Disk, parent, replace};
use super::sequencer::found;
use countersign_audit::merkle::{Frontier, rows_at, tile_hashes};
use countersign_audit::state::{STATE_PATH, State};
use countersign_audit::tile::{Content, Tile, bundle_entries};
use countersign_audit::verify::{CHECKPOINT_PATH, VERIFIER_KEY_PATH};
use countersign_audit::{Checkpoint, Hash, NoteSigner, VerifierKey};
use std::io;

/// The part of the log that grows.
pub(super) struct RightEdge {
    pub(super) frontier: Frontier,
    pub(super) bundle: Vec<u8>,
}

fn damaged(what: impl Into<String>) -> OpenError {
    OpenError::Damaged(what.into())
}

/// Reads the state, or founds the log; publishes the checkpoint again if the program was killed before it could.
pub(super) fn load_state(disk: &dyn Disk, signer: &NoteSigner) -> Result<State, OpenError> {
    check_key(disk, signer.verifier())?;
    let published = disk.read(CHECKPOINT_PATH)?;
    let Some(bytes) = disk.read(STATE_PATH)? else {
        if published.is_some() {
            return Err(damaged(
                "`state` is missing, and without it records could be lost or doubled",
            ));
        }
        return found(disk, signer);
    };
    let state = State::parse(&bytes).ok_or_else(|| damaged("`state` is not what was written"))?;
    let committed = open_note(state.checkpoint.as_bytes(), signer.verifier(), STATE_PATH)?;
    if let Some(note) = &published {
        let published = open_note(note, signer.verifier(), CHECKPOINT_PATH)?;
        if published.size > committed.size {
            return Err(damaged(
                "`checkpoint` is ahead of `state`: the state was rolled back",
            ));
        }
        if published.size == committed.size && published.root != committed.root {
            return Err(damaged(
                "`checkpoint` and `state` have two roots at one size",
            ));
        }
    }
    if published.as_deref() != Some(state.checkpoint.as_bytes()) {
        replace(disk, CHECKPOINT_PATH, state.checkpoint.as_bytes())?;
    }
    Ok(state)
}

fn open_note(note: &[u8], key: &VerifierKey, path: &str) -> Result<Checkpoint, OpenError> {
    Checkpoint::open(note, key).map_err(|error| damaged(format!("`{path}`: {error}")))
}

fn check_key(disk: &dyn Disk, key: &VerifierKey) -> Result<(), OpenError> {
    let line = format!("{key}\n");
    match disk.read(VERIFIER_KEY_PATH)? {
        Some(bytes) if bytes == line.as_bytes() => Ok(()),
        Some(_) => Err(OpenError::Key(
            "`verifier.key` names another key".to_owned(),
        )),
        None => Ok(replace(disk, VERIFIER_KEY_PATH, line.as_bytes())?),
    }
}

/// Reads the unfilled tiles and the unfilled bundle, and checks them against the signed root and each other.
pub(super) fn load(disk: &dyn Disk, checkpoint: &Checkpoint) -> Result<RightEdge, OpenError> {
    let size = checkpoint.size;
    let mut levels = Vec::new();
    let mut level: u8 = 0;
    while rows_at(size, u32::from(level)) > 0 {
        levels.push(load_level(disk, size, level)?);
        level += 1;
    }
    let frontier = Frontier::restore(size, levels)
        .ok_or_else(|| damaged("the tiles of the right edge have the wrong widths"))?;
    if frontier.root() != checkpoint.root {
        return Err(damaged(
            "the tiles of the right edge do not lead to the signed root",
        ));
    }
    let bundle = load_tail(disk, size)?;
    Ok(RightEdge { frontier, bundle })
}

/// The hashes of the unfilled tile of one level, after comparing the last of them with the full tile below it.
fn load_level(disk: &dyn Disk, size: u64, level: u8) -> Result<Vec<Hash>, OpenError> {
    let rows = rows_at(size, u32::from(level));
    let width = usize::try_from(rows % 256).unwrap_or(0);
    if width == 0 {
        return Ok(Vec::new());
    }
    let hashes = read_hashes(disk, Tile::partial(usize::from(level), rows / 256, width))?;
    if let (Some(below), Some(last)) = (level.checked_sub(1), hashes.last()) {
        let under = read_hashes(disk, Tile::full(usize::from(below), rows - 1))?;
        if countersign_audit::merkle::TileLevels::of_leaves(under).root(256) != Some(*last) {
            return Err(damaged(
                "a tile of the right edge does not follow from the one below it",
            ));
        }
    }
    Ok(hashes)
}

fn read_hashes(disk: &dyn Disk, tile: Tile) -> Result<Vec<Hash>, OpenError> {
    let path = tile.path();
    let bytes = disk
        .read(&path)?
        .ok_or_else(|| damaged(format!("`{path}` is missing")))?;
    let hashes = tile_hashes(&bytes).filter(|hashes| hashes.len() == usize::from(tile.width));
    hashes.ok_or_else(|| damaged(format!("`{path}` has the wrong length")))
}

/// Checks the last bundle, entry by entry, against its tile; returns its bytes if it is not full.
fn load_tail(disk: &dyn Disk, size: u64) -> Result<Vec<u8>, OpenError> {
    let Some(tile) = Tile::row(Content::Entries, size).last() else {
        return Ok(Vec::new());
    };
    let path = tile.path();
    let bytes = disk
        .read(&path)?
        .ok_or_else(|| damaged(format!("`{path}` is missing")))?;
    let width = usize::from(tile.width);
    let entries =
        bundle_entries(&bytes, width).ok_or_else(|| damaged(format!("`{path}` is malformed")))?;
    let hashes: Vec<Hash> = entries.into_iter().map(Hash::of_leaf).collect();
    if hashes
        != read_hashes(
            disk,
            Tile {
                content: Content::Hashes(0),
                ..tile
            },
        )?
    {
        return Err(damaged(format!("`{path}` is not what its tile says")));
    }
    Ok(if tile.is_full() { Vec::new() } else { bytes })
}

/// Removes the files of a batch that was being written when the program was killed: tiles beyond the tree, and temporary files.
///
/// A left partial tile would otherwise stand beside a later, wider one that begins with other entries.
pub(super) fn remove_leftovers(disk: &dyn Disk, size: u64) -> io::Result<()> {
    for content in [Content::Entries]
        .into_iter()
        .chain((0..8).map(Content::Hashes))
    {
        let edge = rows_of(content, size) / 256;
        // A batch has far fewer than 256,000 records, so it reaches into the next thousand tiles at most.
        for index in [edge, edge + 1000] {
            let tile = Tile {
                content,
                index,
                width: 256,
            };
            remove_beyond(disk, parent(&tile.path()), edge, size)?;
        }
    }
    ["checkpoint.tmp", "state.tmp", "verifier.key.tmp"]
        .iter()
        .try_for_each(|name| disk.remove(name))
}

fn remove_beyond(disk: &dyn Disk, directory: &str, edge: u64, size: u64) -> io::Result<()> {
    for name in disk.list(directory)? {
        let path = format!("{directory}/{name}");
        if let Some(full) = path.strip_suffix(".p") {
            if Tile::parse(full).is_some_and(|tile| tile.index >= edge) {
                remove_beyond(disk, &path, edge, size)?;
            }
        } else if Tile::parse(&path).is_some_and(|tile| lies_beyond(tile, size)) {
            disk.remove(&path)?;
        }
    }
    Ok(())
}

const fn rows_of(content: Content, size: u64) -> u64 {
    match content {
        Content::Entries => size,
        Content::Hashes(level) => rows_at(size, level as u32),
    }
}

/// Whether a log of `size` records does not have the whole of this tile.
pub(super) fn lies_beyond(tile: Tile, size: u64) -> bool {
    tile.index
        .saturating_mul(256)
        .saturating_add(u64::from(tile.width))
        > rows_of(tile.content, size)
}
