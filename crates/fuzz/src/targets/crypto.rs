//! JOSE, certificates and password hashes.

use crate::{Target, Verdict};
use countersign_crypto::jose::{Algorithm, JwkSet, Jws, PublicJwk, VerifyingKey};
use countersign_crypto::password::{PasswordHash, STORED_BYTES_MAX, StoredHash};
use countersign_crypto::puncturable::PuncturableKey;
use countersign_crypto::x509::PeerCertificate;

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "base64url",
        about: "strict base64url",
        run: base64url,
        words: &["=", "-", "_", "+", "/"],
    },
    Target {
        name: "jws",
        about: "a compact JWS (RFC 7515)",
        run: jws,
        words: JOSE_WORDS,
    },
    Target {
        name: "jwk",
        about: "a public JWK (RFC 7517)",
        run: jwk,
        words: JOSE_WORDS,
    },
    Target {
        name: "jwk-set",
        about: "a JWK set",
        run: jwk_set,
        words: JOSE_WORDS,
    },
    Target {
        name: "certificate",
        about: "a peer's certificate in DER",
        run: certificate,
        words: &[],
    },
    Target {
        name: "password-hash",
        about: "a stored hash of a password: Argon2id, bcrypt, PBKDF2",
        run: password_hash,
        words: &[
            "$argon2id$",
            "v=19",
            "m=",
            "t=",
            "p=",
            "$",
            "$2b$",
            "$2y$",
            "$pbkdf2-sha256$",
            "$pbkdf2-sha512$",
            "pbkdf2_sha256$",
            "i=",
            ",l=",
        ],
    },
    Target {
        name: "puncturable-key",
        about: "the stored epoch key",
        run: puncturable_key,
        words: &[],
    },
];

/// Fragments of tokens and keys.
pub(crate) const JOSE_WORDS: &[&str] = &[
    "\"alg\":\"none\"",
    "\"alg\":\"HS256\"",
    "\"alg\":\"ES256\"",
    "\"kty\":\"EC\"",
    "\"kty\":\"RSA\"",
    "\"kty\":\"OKP\"",
    "\"crv\":\"P-256\"",
    "\"d\":\"AA\"",
    "\"crit\":[]",
    "\"b64\":false",
    "\"zip\":\"DEF\"",
    "\"jwk\":{}",
    "\"kid\":\"../../etc/passwd\"",
    "\"typ\":\"JWT\"",
    "eyJhbGciOiJub25lIn0",
    ".",
    "..",
    "\"exp\":\"1\"",
    "Bearer ",
    "DPoP ",
];

pub(crate) fn base64url(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let decoded = countersign_crypto::base64url::decode(text);
    if let Ok(bytes) = &decoded {
        assert_eq!(
            countersign_crypto::base64url::encode(bytes),
            text,
            "only one text stands for the bytes"
        );
    }
    Verdict::of(&decoded)
}

pub(crate) fn jws(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let parsed = Jws::parse(text);
    if let Ok(jws) = &parsed {
        let _embedded = jws.header().jwk();
    }
    Verdict::of(&parsed)
}

pub(crate) fn jwk(input: &[u8]) -> Verdict {
    let Ok(value) = serde_json::from_slice(input) else {
        return Verdict::Refused;
    };
    let parsed = PublicJwk::parse(&value);
    if let Ok(key) = &parsed {
        let again = PublicJwk::parse(&key.to_json());
        assert_eq!(
            again.map(|key| key.thumbprint()).ok(),
            Some(key.thumbprint()),
            "a key survives being written"
        );
        for algorithm in [
            Algorithm::EdDsa,
            Algorithm::Es256,
            Algorithm::Ps256,
            Algorithm::Rs256,
        ] {
            let _usable = VerifyingKey::new(key, algorithm, None);
        }
    }
    Verdict::of(&parsed)
}

pub(crate) fn jwk_set(input: &[u8]) -> Verdict {
    let parsed = JwkSet::parse(input);
    match &parsed {
        // A set whose every key is skipped verifies nothing: not what the seeds are about.
        Ok((set, _)) if set.is_empty() => Verdict::Refused,
        _ => Verdict::of(&parsed),
    }
}

pub(crate) fn certificate(input: &[u8]) -> Verdict {
    Verdict::of(&PeerCertificate::from_der(input.to_vec()))
}

pub(crate) fn password_hash(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let stored = StoredHash::parse(text);
    if text.starts_with("$argon2id$") {
        assert_eq!(
            stored.is_ok(),
            PasswordHash::parse(text).is_ok() && text.len() <= STORED_BYTES_MAX,
            "our own form is read alike by both"
        );
    }
    Verdict::of(&stored)
}

pub(crate) fn puncturable_key(input: &[u8]) -> Verdict {
    let read = PuncturableKey::from_bytes(input);
    if let Ok(key) = &read {
        assert_eq!(&key.to_bytes()[..], input, "one text stands for one key");
        let _maybe = key.key_at(7);
    }
    Verdict::of(&read)
}
