//! The format of everything that is sealed (docs/formats/envelope.md describes it byte for byte; tests/vectors/envelope.json holds vectors).
//!
//! ```text
//! offset  0      1      2        10           14          46      78          n-16  n
//!         0xC5 ‖ suite ‖ key id ‖ key version ‖ commitment ‖ salt ‖ ciphertext ‖ tag
//! ```
//!
//! Suite 1 derives 76 bytes per message by HKDF-SHA-256 from the key and a random salt of 32 bytes: the commitment, a key for
//! AES-256-GCM and its nonce. GCM authenticates the first 78 bytes and the canonical context ([`Aad`]). GCM alone does not commit to
//! its key; the commitment is compared, in constant time, before anything is decrypted.
//!
//! Not here: streams, which are suite 2 ([`crate::stream`]). A message is sealed and opened whole, up to [`PLAINTEXT_BYTES_MAX`].

use countersign_base::{ParseError, Secret, Tenant};
use countersign_crypto::aead::{AeadKey, TAG_BYTES};
use countersign_crypto::random::Random;
use countersign_crypto::{base64url, kdf};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Bytes of one plaintext.
pub const PLAINTEXT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What sealing adds to a plaintext.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

pub(crate) const MAGIC: u8 = 0xC5;
const SUITE: u8 = 0x01;
/// Magic, suite, key id and key version.
pub(crate) const NAMING_BYTES: usize = 14;
const COMMITMENT_BYTES: usize = 32;
const HEADER_BYTES: usize = NAMING_BYTES + COMMITMENT_BYTES + 32;
/// What HKDF's `info` begins with; the naming bytes of the header follow.
const INFO: &[u8] = b"countersign envelope";

/// The name of a key: eight random bytes, the same for all its versions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// Takes the eight bytes of an id.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The eight bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// 16 lower-case hexadecimal digits.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for KeyId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = ParseError::expected("a key id: 16 lower-case hexadecimal digits");
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 16 || !text.bytes().all(lower) {
            return Err(error);
        }
        u64::from_str_radix(text, 16)
            .map(|number| Self(number.to_be_bytes()))
            .map_err(|_| error)
    }
}

impl TryFrom<String> for KeyId {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The version of a key, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyVersion(pub u32);

/// Where a plaintext belongs. A ciphertext opens only under the context it was sealed in, so it cannot be moved to another row.
#[derive(Clone, PartialEq, Eq)]
pub struct Aad(Vec<u8>);

impl Aad {
    /// One column of one row of a tenant's table.
    #[must_use]
    pub fn row(tenant: &Tenant, table: &'static str, column: &'static str, row: &[u8]) -> Self {
        Self::canonical(&[
            b"row",
            tenant.as_str().as_bytes(),
            table.as_bytes(),
            column.as_bytes(),
            row,
        ])
    }

    /// A value that belongs to the whole installation.
    #[must_use]
    pub fn installation(name: &'static str) -> Self {
        Self::canonical(&[b"installation", name.as_bytes()])
    }

    /// Key-encryption keys under the root key; only the hierarchy seals in this context.
    pub(crate) fn key_encryption_key() -> Self {
        Self::canonical(&[b"key-encryption-key"])
    }

    /// The root key under an unseal key; only the seal seals in this context. `rule` is the number of shares and their threshold, zero without shares.
    pub(crate) fn root_key(seal: &'static str, rule: [u8; 2]) -> Self {
        Self::canonical(&[b"root-key", seal.as_bytes(), &rule])
    }

    /// Each part after its length as four bytes, big-endian: no two lists of parts are written alike.
    fn canonical(parts: &[&[u8]]) -> Self {
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
        for part in parts {
            // A part longer than four bytes can count would be cut into an ambiguous length; none is: rows are named by short keys.
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        Self(bytes)
    }

    /// The canonical bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Names where something belongs and may name a person's row, so its bytes are not shown.
impl fmt::Debug for Aad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aad")
    }
}

/// A key that seals envelopes, with its name. It is inside [`crate::Kek`] and [`crate::DataKey`], which say what they may seal.
pub struct EnvelopeKey {
    id: KeyId,
    version: KeyVersion,
    secret: Secret<[u8; 32]>,
}

impl EnvelopeKey {
    /// Names 32 secret bytes.
    #[must_use]
    pub const fn new(id: KeyId, version: KeyVersion, secret: Secret<[u8; 32]>) -> Self {
        Self {
            id,
            version,
            secret,
        }
    }

    /// The key's name.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key's version.
    #[must_use]
    pub const fn version(&self) -> KeyVersion {
        self.version
    }

    pub(crate) const fn secret(&self) -> &Secret<[u8; 32]> {
        &self.secret
    }

    /// The first bytes of a header of `suite`.
    pub(crate) fn naming(&self, suite: u8) -> [u8; NAMING_BYTES] {
        let mut naming = [0; NAMING_BYTES];
        let (first, version) = ([MAGIC, suite], self.version.0.to_be_bytes());
        let bytes = first.iter().chain(&self.id.0).chain(&version);
        naming
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        naming
    }
}

impl fmt::Debug for EnvelopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnvelopeKey({} v{})", self.id, self.version.0)
    }
}

/// A key, or a set of keys, that may seal rows. The root key is none: it seals key-encryption keys alone.
pub trait Sealer {
    /// The key that new ciphertexts are sealed with.
    fn envelope_key(&self) -> &EnvelopeKey;
}

/// Finds the key that a ciphertext names.
pub trait KeyLookup {
    /// The key of that name and version.
    ///
    /// # Errors
    /// When there is none, or the version is below the minimum that is still accepted.
    fn find(&self, id: KeyId, version: KeyVersion) -> Result<&EnvelopeKey, OpenError>;
}

impl KeyLookup for EnvelopeKey {
    fn find(&self, id: KeyId, version: KeyVersion) -> Result<&EnvelopeKey, OpenError> {
        if id == self.id && version == self.version {
            Ok(self)
        } else {
            Err(OpenError::KeyUnknown { id, version })
        }
    }
}

impl Sealer for EnvelopeKey {
    fn envelope_key(&self) -> &EnvelopeKey {
        self
    }
}

/// A ciphertext with its header. It is safe to store anywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Takes bytes that were stored. Whether they are an envelope shows when they are opened.
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for storing.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, for storing.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The key that the header names. It is authenticated only when the envelope is opened.
    ///
    /// # Errors
    /// When the bytes are no envelope of a known suite.
    pub fn key(&self) -> Result<(KeyId, KeyVersion), OpenError> {
        parse(&self.0).map(|parts| (parts.id, parts.version))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// As base64url, for rows that are JSON.
impl Serialize for Sealed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        base64url::decode(&text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// Seals `plaintext` for the place that `aad` names.
///
/// # Errors
/// When it is longer than [`PLAINTEXT_BYTES_MAX`].
pub fn seal(
    key: &impl Sealer,
    aad: &Aad,
    plaintext: &[u8],
    random: &Random,
) -> Result<Sealed, SealError> {
    if plaintext.len() > PLAINTEXT_BYTES_MAX {
        return Err(SealError::TooLong);
    }
    let key = key.envelope_key();
    let (naming, salt) = (key.naming(SUITE), random.bytes::<32>());
    let derived = Derived::of(key, &naming, &salt);
    let mut bytes = Vec::with_capacity(plaintext.len() + OVERHEAD_BYTES);
    bytes.extend_from_slice(&naming);
    bytes.extend_from_slice(derived.commitment.expose());
    bytes.extend_from_slice(&salt);
    let associated = [&bytes, aad.as_bytes()].concat();
    derived
        .key
        .seal_into(derived.nonce, &associated, plaintext, &mut bytes)
        .map_err(|_| SealError::TooLong)?;
    Ok(Sealed(bytes))
}

/// Opens what was sealed for the place that `aad` names.
///
/// # Errors
/// When the bytes are no envelope, their key is unknown or too old, another key made them, or any byte or the place differs.
pub fn open(
    lookup: &impl KeyLookup,
    aad: &Aad,
    sealed: &Sealed,
) -> Result<Secret<Vec<u8>>, OpenError> {
    let parts = parse(&sealed.0)?;
    let key = lookup.find(parts.id, parts.version)?;
    // What the lookup gave is named again by its own bytes: a lookup that answers with another key is caught by the commitment.
    let derived = Derived::of(key, &key.naming(SUITE), parts.salt);
    if !derived.commitment.matches(parts.commitment) {
        return Err(OpenError::Commitment);
    }
    let associated = [parts.header, aad.as_bytes()].concat();
    derived
        .key
        .open(derived.nonce, &associated, parts.body)
        .map_err(|_| OpenError::Authentication)
}

/// Opens and seals again with the key that is current now, for the background rewrap after a rotation.
///
/// # Errors
/// As [`open`] and [`seal`].
pub fn rewrap<K: KeyLookup + Sealer>(
    keys: &K,
    aad: &Aad,
    sealed: &Sealed,
    random: &Random,
) -> Result<Sealed, OpenError> {
    let plaintext = open(keys, aad, sealed)?;
    seal(keys, aad, plaintext.expose(), random).map_err(|SealError::TooLong| OpenError::Length)
}

struct Derived {
    commitment: Secret<[u8; COMMITMENT_BYTES]>,
    key: AeadKey,
    nonce: [u8; 12],
}

impl Derived {
    fn of(key: &EnvelopeKey, naming: &[u8; NAMING_BYTES], salt: &[u8]) -> Self {
        let output = kdf::hkdf_sha256::<76>(key.secret.expose(), salt, &[INFO, naming]);
        let (commitment, message_key, nonce) = split(output.expose());
        Self {
            commitment: Secret::new(commitment),
            key: AeadKey::new(&Secret::new(message_key)),
            nonce,
        }
    }
}

fn split(output: &[u8; 76]) -> ([u8; 32], [u8; 32], [u8; 12]) {
    let (mut commitment, mut key, mut nonce) = ([0; 32], [0; 32], [0; 12]);
    let target = commitment.iter_mut().chain(&mut key).chain(&mut nonce);
    target.zip(output).for_each(|(to, from)| *to = *from);
    (commitment, key, nonce)
}

struct Parts<'a> {
    header: &'a [u8],
    id: KeyId,
    version: KeyVersion,
    commitment: &'a [u8],
    salt: &'a [u8],
    body: &'a [u8],
}

fn parse(bytes: &[u8]) -> Result<Parts<'_>, OpenError> {
    if bytes.len() < OVERHEAD_BYTES || bytes.len() - OVERHEAD_BYTES > PLAINTEXT_BYTES_MAX {
        return Err(OpenError::Length);
    }
    let (header, body) = bytes
        .split_at_checked(HEADER_BYTES)
        .ok_or(OpenError::Length)?;
    let ([magic, suite], rest) = header.split_first_chunk().ok_or(OpenError::Length)?;
    if *magic != MAGIC {
        return Err(OpenError::Magic);
    }
    if *suite != SUITE {
        return Err(OpenError::Suite(*suite));
    }
    let (id, rest) = rest.split_first_chunk().ok_or(OpenError::Length)?;
    let (version, rest) = rest.split_first_chunk().ok_or(OpenError::Length)?;
    let (commitment, salt) = rest
        .split_at_checked(COMMITMENT_BYTES)
        .ok_or(OpenError::Length)?;
    Ok(Parts {
        header,
        id: KeyId(*id),
        version: KeyVersion(u32::from_be_bytes(*version)),
        commitment,
        salt,
        body,
    })
}

/// Why something cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The plaintext is longer than [`PLAINTEXT_BYTES_MAX`].
    #[error("the plaintext is longer than 64 MiB; split it")]
    TooLong,
}

/// Why an envelope does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The key is the one that was named, but ciphertext, tag or place differ from what was sealed.
    #[error("the ciphertext was changed, or belongs to another place")]
    Authentication,
    /// The envelope was made with another key than the one it names, or its header was changed.
    #[error("the ciphertext does not commit to the key that it names")]
    Commitment,
    /// What came out of the envelope is not what the context promises.
    #[error("the content of the envelope has another form than its place promises")]
    Content,
    /// No key of that name and version is known.
    #[error("the key {id} version {} is not known here", version.0)]
    KeyUnknown {
        /// The key that is named.
        id: KeyId,
        /// Its version.
        version: KeyVersion,
    },
    /// The version of the key is no longer accepted.
    #[error("version {} of the key {id} is below the minimum version", version.0)]
    KeyVersionTooOld {
        /// The key that is named.
        id: KeyId,
        /// Its version.
        version: KeyVersion,
    },
    /// Shorter or longer than an envelope can be.
    #[error("not an envelope: wrong length")]
    Length,
    /// The first byte is not the one of an envelope.
    #[error("not an envelope: wrong first byte")]
    Magic,
    /// The suite is not known to this version of the program.
    #[error("the suite {0} of the envelope is not known to this version of the program")]
    Suite(u8),
}

#[cfg(test)]
mod tests;
