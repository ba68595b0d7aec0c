//! Envelopes, streams and what the seal reads: any bytes are opened or refused, and nothing but what was sealed opens.

use crate::{Target, Verdict};
use countersign_base::Secret;
use countersign_crypto::random::Random;
use countersign_keys::seal::{Nonce, SealRow, SealStatus, UnsealKey, Unsealing};
use countersign_keys::stream::{HEADER_BYTES, StreamError, StreamHeader, StreamOpener};
use countersign_keys::{Aad, KekSet, OpenError, Sealed, Share, envelope};

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "envelope",
        about: "a sealed envelope",
        run: envelope,
        words: &[],
    },
    Target {
        name: "stream",
        about: "a sealed stream",
        run: stream,
        words: &[],
    },
    Target {
        name: "share",
        about: "a share of the unseal key as text",
        run: share,
        words: &["00", "ff", "+", "/", "="],
    },
    Target {
        name: "seal-row",
        about: "the stored seal",
        run: seal_row,
        words: SEAL_WORDS,
    },
    Target {
        name: "seal-nonce",
        about: "the nonce of a gathering of shares",
        run: seal_nonce,
        words: &["-", "4", "0000"],
    },
];

/// What seal rows are made of.
pub(crate) const SEAL_WORDS: &[&str] = &[
    "\"generation\":1",
    "\"seal\":",
    "\"root\":",
    "\"shamir\":",
    "\"auto\":",
    "\"source\":",
    "\"recovery\":",
    "\"kind\":",
    "\"file\"",
    "\"passphrase\"",
    "\"pkcs11\"",
    "\"shares\":",
    "\"threshold\":",
    "null",
];
/// The body of the seeds.
pub(crate) const BODY: &[u8] = b"a sealed body";

/// The keys of the seeds. They guard nothing.
pub(crate) fn keys() -> KekSet {
    KekSet::generate(&Random::from_fn(|buffer| buffer.fill(7)))
}

/// The place of the seeds.
pub(crate) fn place() -> Aad {
    Aad::installation("fuzz")
}

pub(crate) fn envelope(input: &[u8]) -> Verdict {
    let sealed = Sealed::from_bytes(input.to_vec());
    let named = sealed.key();
    let opened = envelope::open(&keys(), &place(), &sealed);
    assert!(
        named.is_ok() || opened.is_err(),
        "what names no key does not open"
    );
    if let Ok(plaintext) = &opened {
        assert_eq!(
            plaintext.expose(),
            b"a sealed field",
            "nothing but what was sealed opens"
        );
    }
    Verdict::of(&opened)
}

/// The key of the seeds' seals.
pub(crate) fn unseal_key() -> UnsealKey {
    UnsealKey::from_bytes(Secret::new([7; 32]))
}

pub(crate) fn stream(input: &[u8]) -> Verdict {
    Verdict::of(&opened(input))
}

fn opened(input: &[u8]) -> Result<(), StreamError> {
    let (header, chunks) = input
        .split_first_chunk::<HEADER_BYTES>()
        .ok_or(StreamError::Open(OpenError::Length))?;
    let opener = StreamOpener::new(&keys(), &place(), &StreamHeader::parse(header)?)?;
    let (first, second) = chunks.split_at(chunks.len() / 2);
    let (opener, beginning) = opener.push(first)?;
    let (opener, middle) = opener.push(second)?;
    let end = opener.finish()?;
    let body = [beginning.expose().as_slice(), middle.expose(), end.expose()].concat();
    assert_eq!(body, BODY, "nothing but what was sealed opens");
    Ok(())
}

pub(crate) fn share(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let read = Share::parse(&Secret::new(text.to_owned()));
    if let Ok(share) = &read {
        assert_ne!(share.point(), 0, "no share is of point zero");
        for written in [share.to_hex(), share.to_base64()] {
            let again = Share::parse(&written);
            assert!(
                again.is_ok_and(|again| again.is_same(share)),
                "what is written is read"
            );
        }
    }
    Verdict::of(&read)
}

pub(crate) fn seal_row(input: &[u8]) -> Verdict {
    let read = serde_json::from_slice::<SealRow>(input);
    if let Ok(row) = &read {
        let written = serde_json::to_string(row).unwrap_or_default();
        let again = serde_json::from_str::<SealRow>(&written);
        assert!(
            again
                .is_ok_and(|again| serde_json::to_string(&again).is_ok_and(|text| text == written)),
            "what is written is read"
        );
        let status = SealStatus::sealed(row);
        assert!(status.t <= status.n && status.initialized && status.sealed);
        let _ = row.open(&unseal_key());
        let _ = Unsealing::new(row.clone());
    }
    Verdict::of(&read)
}

pub(crate) fn seal_nonce(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let read = Nonce::parse(text);
    if let Ok(nonce) = &read {
        assert_eq!(nonce.to_string(), text.to_ascii_lowercase());
    }
    Verdict::of(&read)
}
