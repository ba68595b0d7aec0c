//! The envelope: any bytes are opened or refused, and nothing but what was sealed opens.

use crate::Verdict;
use countersign_crypto::random::Random;
use countersign_keys::{Aad, KekSet, Sealed, envelope};

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
