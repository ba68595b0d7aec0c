//! The transit engine: what callers bring back to it. Any text is read in one form or refused; a wrapped key opens or is refused; what is restored is a key.

use crate::{Target, Verdict};
use countersign_base::Secret;
use countersign_crypto::{base64, keywrap};
use countersign_vault::transit::text::{Marshaling, What, parse, write};
use countersign_vault::transit::{backed_up, wrapped_parts};

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "transit-text",
        about: "a ciphertext, signature or HMAC of the transit engine",
        run: text,
        words: TEXT_WORDS,
    },
    Target {
        name: "transit-import",
        about: "a key that is wrapped for the transit engine",
        run: import,
        words: &[],
    },
    Target {
        name: "transit-backup",
        about: "a key of the transit engine that was backed up",
        run: backup,
        words: BACKUP_WORDS,
    },
];

/// What texts are made of.
pub(crate) const TEXT_WORDS: &[&str] = &[
    "vault:v",
    "vault:v1:",
    ":",
    "v0",
    "4294967295",
    "=",
    "-",
    "_",
];
/// What backups are made of.
pub(crate) const BACKUP_WORDS: &[&str] = &[
    "\"countersign_transit_backup\":1",
    "\"name\":",
    "\"key\":",
    "\"type\":\"hmac\"",
    "\"aes256-gcm96\"",
    "\"ed25519\"",
    "\"derivation\":\"none\"",
    "\"convergent\"",
    "\"latest\":",
    "\"min_available\":",
    "\"min_decryption\":",
    "\"min_encryption\":",
    "\"versions\":",
    "\"created\":",
    "\"sealed\":",
    "4294967295",
    "null",
];

pub(crate) fn text(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let mut verdict = Verdict::Refused;
    for marshaling in [Marshaling::Asn1, Marshaling::Jws] {
        for what in [What::Ciphertext, What::Hmac, What::Signature] {
            if let Ok(tagged) = parse(what, marshaling, text) {
                assert!(tagged.version > 0, "versions count from 1");
                assert_eq!(
                    write(tagged.version, marshaling, &tagged.body),
                    text,
                    "only one text stands for the version and the bytes"
                );
                verdict = Verdict::Accepted;
            }
        }
    }
    verdict
}

/// The material is unwrapped under the key of the seeds, as it is once RSA has given that key.
pub(crate) fn import(input: &[u8]) -> Verdict {
    let Ok(parts) = wrapped_parts(input) else {
        return Verdict::Refused;
    };
    assert_eq!(
        [parts.key, parts.material].concat(),
        input,
        "nothing of the input is lost"
    );
    let key = Secret::new([9; 32]);
    let Ok(material) = keywrap::unwrap(&key, parts.material) else {
        return Verdict::Refused;
    };
    let again = keywrap::wrap(&key, material.expose());
    assert_eq!(
        again.ok().as_deref(),
        Some(parts.material),
        "only one wrapping stands for the material"
    );
    Verdict::Accepted
}

/// The JSON inside the base64: mutations of the base64 itself are another target's.
pub(crate) fn backup(input: &[u8]) -> Verdict {
    let read = backed_up(&base64::encode(input));
    if let Ok(row) = &read {
        assert!(
            row.versions.contains_key(&row.latest),
            "a key has its newest version"
        );
    }
    Verdict::of(&read)
}
