//! The audit log's formats: records, notes, proofs, tiles, the journal.

use crate::{Target, Verdict};
use countersign_audit::journal::{Next, Position, next_frame};
use countersign_audit::proof::Receipt;
use countersign_audit::tile::{Tile, bundle_entries};
use countersign_audit::{Checkpoint, Record, VerifierKey, merkle};

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "record",
        about: "a canonical audit record",
        run: record,
        words: WORDS,
    },
    Target {
        name: "note",
        about: "a signed note and a checkpoint",
        run: note,
        words: NOTE_WORDS,
    },
    Target {
        name: "verifier-key",
        about: "a note verifier key",
        run: verifier_key,
        words: NOTE_WORDS,
    },
    Target {
        name: "receipt",
        about: "an inclusion receipt",
        run: receipt,
        words: NOTE_WORDS,
    },
    Target {
        name: "tile-path",
        about: "the path of a tile",
        run: tile_path,
        words: &["tile/", "entries/", "x001/", ".p/", "256"],
    },
    Target {
        name: "entry-bundle",
        about: "a bundle of log entries",
        run: entry_bundle,
        words: &[],
    },
    Target {
        name: "journal",
        about: "a journal segment",
        run: journal,
        words: &[],
    },
];

/// Fragments of records.
pub(crate) const WORDS: &[&str] = &[
    "\"kind\":",
    "\"v\":1",
    "\"id\":",
    "\"time\":",
    "\"tenant\":",
    "\"event\":",
    "\"sha256\":",
];
/// Fragments of notes.
pub(crate) const NOTE_WORDS: &[&str] = &[
    "\n\n",
    "\u{2014} ",
    "+",
    "c2sp.org/tlog-proof@v1\n",
    "index ",
    "extra ",
    "AAAA",
    "0\n",
    "18446744073709551615\n",
];

/// The public key that the seeds of notes are signed with.
pub(crate) const VERIFIER: &str = include_str!("../../corpus/verifier-key/seed");

pub(crate) fn record(input: &[u8]) -> Verdict {
    let decoded = Record::decode(input);
    if let Ok(record) = &decoded {
        assert_eq!(
            record.encode().as_bytes(),
            input,
            "only one text stands for a record"
        );
    }
    Verdict::of(&decoded)
}

pub(crate) fn note(input: &[u8]) -> Verdict {
    let Ok(key) = VerifierKey::parse(VERIFIER.trim_end()) else {
        return Verdict::Refused;
    };
    let opened = Checkpoint::open(input, &key);
    if let Ok(checkpoint) = &opened {
        assert!(
            input.starts_with(checkpoint.text().as_bytes()),
            "a checkpoint is written as it was read"
        );
    }
    Verdict::of(&opened)
}

pub(crate) fn verifier_key(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let parsed = VerifierKey::parse(text.trim_end());
    if let Ok(key) = &parsed {
        assert_eq!(
            key.to_string(),
            text.trim_end(),
            "a key is written as it was read"
        );
    }
    Verdict::of(&parsed)
}

pub(crate) fn receipt(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let parsed = Receipt::parse(text);
    if let Ok(receipt) = &parsed {
        assert_eq!(
            Receipt::parse(&receipt.to_text()).as_ref(),
            Ok(receipt),
            "a receipt survives being written"
        );
    }
    Verdict::of(&parsed)
}

pub(crate) fn tile_path(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    match Tile::parse(text) {
        None => Verdict::Refused,
        Some(tile) => {
            assert_eq!(tile.path(), text, "only one path leads to a tile");
            Verdict::Accepted
        }
    }
}

pub(crate) fn entry_bundle(input: &[u8]) -> Verdict {
    let _hashes = merkle::tile_hashes(input);
    let Some((width, bundle)) = input.split_first() else {
        return Verdict::Refused;
    };
    match bundle_entries(bundle, usize::from(*width) + 1) {
        None => Verdict::Refused,
        Some(entries) => {
            assert_eq!(
                entries.len(),
                usize::from(*width) + 1,
                "a bundle holds what was asked for"
            );
            Verdict::Accepted
        }
    }
}

pub(crate) fn journal(input: &[u8]) -> Verdict {
    let mut rest = input;
    let mut position = Position::START;
    let mut frames = 0;
    while let Next::Frame(frame) = next_frame(rest, position) {
        assert!(frame.records().count() > 0, "a frame holds records");
        position = frame.after;
        rest = rest.get(frame.length..).unwrap_or_default();
        frames += 1;
    }
    if frames > 0 {
        Verdict::Accepted
    } else {
        Verdict::Refused
    }
}
