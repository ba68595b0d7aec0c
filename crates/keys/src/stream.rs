//! Sealing of bodies that are too large to hold: suite 2 of the envelope (docs/formats/stream.md describes it byte for byte; tests/vectors/stream.json holds vectors).
//!
//! ```text
//! offset  0      1      2        10           14          46      78
//!         0xC5 ‖ 0x02  ‖ key id ‖ key version ‖ commitment ‖ salt ‖ chunk 0 ‖ chunk 1 ‖ ... ‖ last chunk
//! ```
//!
//! The construction is STREAM (V. T. Hoang, R. Reyhanitabar, P. Rogaway, D. Vizár, "Online authenticated-encryption and its nonce-reuse misuse-resistance", CRYPTO 2015, §7): the
//! plaintext is cut into chunks of 64 KiB, and the nonce of each says which it is and whether it is the last. A stream with a chunk moved, dropped, doubled or appended, or cut off between
//! chunks, does not open. Sealing and opening take bytes as they come; what comes out of opening is authenticated, but it is a prefix until
//! [`StreamOpener::finish`] says that nothing is missing.
//!
//! Not here: reading from the middle, and input or output.

use crate::envelope::{Aad, EnvelopeKey, KeyId, KeyLookup, KeyVersion, OpenError, Sealer};
use countersign_base::Secret;
use countersign_crypto::aead::{AeadKey, TAG_BYTES};
use countersign_crypto::kdf;
use countersign_crypto::random::Random;
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes of plaintext in every chunk but the last.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes before the first chunk.
pub const HEADER_BYTES: usize = 78;

pub(crate) const SUITE: u8 = 0x02;
const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
const COMMITMENT_BYTES: usize = 32;
/// What HKDF's `info` begins with; the naming bytes of the header follow.
const INFO: &[u8] = b"countersign stream";

/// How long a stream is whose plaintext has `plaintext` bytes; none when it would be longer than a number says.
#[must_use]
pub fn sealed_bytes(plaintext: u64) -> Option<u64> {
    let bytes = |count: usize| u64::try_from(count).ok();
    let chunks = plaintext.div_ceil(bytes(CHUNK_BYTES)?).max(1);
    chunks
        .checked_mul(bytes(TAG_BYTES)?)?
        .checked_add(plaintext)?
        .checked_add(bytes(HEADER_BYTES)?)
}

/// The first 78 bytes of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHeader {
    id: KeyId,
    version: KeyVersion,
    bytes: [u8; HEADER_BYTES],
}

impl StreamHeader {
    /// Reads a header. What it names is authenticated only when the stream is opened.
    ///
    /// # Errors
    /// When the bytes are no header of suite 2.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, OpenError> {
        let ([magic, suite], rest) = bytes.split_first_chunk().ok_or(OpenError::Length)?;
        if *magic != crate::envelope::MAGIC {
            return Err(OpenError::Magic);
        }
        if *suite != SUITE {
            return Err(OpenError::Suite(*suite));
        }
        let (id, rest) = rest.split_first_chunk().ok_or(OpenError::Length)?;
        let (version, _) = rest.split_first_chunk().ok_or(OpenError::Length)?;
        Ok(Self {
            id: KeyId::from_bytes(*id),
            version: KeyVersion(u32::from_be_bytes(*version)),
            bytes: *bytes,
        })
    }

    /// The key that the header names.
    #[must_use]
    pub const fn key(&self) -> (KeyId, KeyVersion) {
        (self.id, self.version)
    }

    /// The bytes, which go before the first chunk.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; HEADER_BYTES] {
        &self.bytes
    }

    fn commitment_and_salt(&self) -> Option<(&[u8], &[u8])> {
        let (_, rest) = self.bytes.split_at_checked(crate::envelope::NAMING_BYTES)?;
        rest.split_at_checked(COMMITMENT_BYTES)
    }
}

/// Whether a chunk is the last. It is a byte of the nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Last,
    NotLast,
}

/// What all chunks of one stream share.
struct Chunks {
    key: AeadKey,
    prefix: [u8; 7],
    associated: Vec<u8>,
    /// Of the next chunk.
    number: u64,
}

impl Chunks {
    fn nonce(&mut self, position: Position) -> Result<[u8; 12], StreamError> {
        let number = u32::try_from(self.number).map_err(|_| StreamError::TooLong)?;
        self.number = self.number.saturating_add(1);
        let last = match position {
            Position::Last => 1,
            Position::NotLast => 0,
        };
        let mut nonce = [0; 12];
        let number = number.to_be_bytes();
        let bytes = self.prefix.iter().chain(&number).chain([&last]);
        nonce
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        Ok(nonce)
    }

    fn seal(
        &mut self,
        position: Position,
        plaintext: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), StreamError> {
        let nonce = self.nonce(position)?;
        self.key
            .seal_into(nonce, &self.associated, plaintext, output)
            .map_err(|_| StreamError::TooLong)
    }

    fn open(&mut self, position: Position, sealed: &[u8]) -> Result<Secret<Vec<u8>>, StreamError> {
        let nonce = self.nonce(position)?;
        self.key
            .open(nonce, &self.associated, sealed)
            .map_err(|_| StreamError::Open(OpenError::Authentication))
    }
}

struct Derived {
    commitment: Secret<[u8; COMMITMENT_BYTES]>,
    key: AeadKey,
    prefix: [u8; 7],
}

impl Derived {
    fn of(key: &EnvelopeKey, salt: &[u8]) -> Self {
        let naming = key.naming(SUITE);
        let output = kdf::hkdf_sha256::<71>(key.secret().expose(), salt, &[INFO, &naming]);
        let (mut commitment, mut message_key, mut prefix) = ([0; 32], [0; 32], [0; 7]);
        let target = commitment
            .iter_mut()
            .chain(&mut message_key)
            .chain(&mut prefix);
        target
            .zip(output.expose())
            .for_each(|(to, from)| *to = *from);
        let derived = Self {
            commitment: Secret::new(commitment),
            key: AeadKey::new(&Secret::new(message_key)),
            prefix,
        };
        message_key.zeroize();
        derived
    }

    fn chunks(self, header: &StreamHeader, aad: &Aad) -> Chunks {
        Chunks {
            key: self.key,
            prefix: self.prefix,
            associated: [header.bytes.as_slice(), aad.as_bytes()].concat(),
            number: 0,
        }
    }
}

/// Seals a body as it comes.
#[must_use]
pub struct StreamSealer {
    chunks: Chunks,
    /// Up to a whole chunk, which may turn out to be the last.
    pending: Zeroizing<Vec<u8>>,
}

impl StreamSealer {
    /// Begins a stream for the place that `aad` names. The header goes before what the sealer gives.
    ///
    /// # Errors
    /// Never; the type keeps the caller from assuming it.
    pub fn new(
        key: &impl Sealer,
        aad: &Aad,
        random: &Random,
    ) -> Result<(Self, StreamHeader), StreamError> {
        let (key, salt) = (key.envelope_key(), random.bytes::<32>());
        let derived = Derived::of(key, &salt);
        let naming = key.naming(SUITE);
        let mut bytes = [0; HEADER_BYTES];
        let content = naming
            .iter()
            .chain(derived.commitment.expose())
            .chain(&salt);
        bytes
            .iter_mut()
            .zip(content)
            .for_each(|(to, from)| *to = *from);
        let header = StreamHeader::parse(&bytes)?;
        let sealer = Self {
            chunks: derived.chunks(&header, aad),
            pending: Zeroizing::new(Vec::with_capacity(CHUNK_BYTES)),
        };
        Ok((sealer, header))
    }

    /// Takes more of the plaintext and gives the chunks that are complete.
    ///
    /// # Errors
    /// When the stream has 2^32 chunks (256 TiB).
    pub fn push(mut self, plaintext: &[u8]) -> Result<(Self, Vec<u8>), StreamError> {
        let mut output = Vec::with_capacity(plaintext.len().saturating_add(SEALED_CHUNK_BYTES));
        let mut rest = plaintext;
        // A full chunk is sealed when something follows it. Until then it may be the last.
        while self.pending.len().saturating_add(rest.len()) > CHUNK_BYTES {
            let missing = CHUNK_BYTES.saturating_sub(self.pending.len());
            let (head, tail) = rest.split_at_checked(missing).ok_or(StreamError::TooLong)?;
            if self.pending.is_empty() {
                self.chunks.seal(Position::NotLast, head, &mut output)?;
            } else {
                self.pending.extend_from_slice(head);
                self.chunks
                    .seal(Position::NotLast, &self.pending, &mut output)?;
                self.pending.zeroize();
            }
            rest = tail;
        }
        self.pending.extend_from_slice(rest);
        Ok((self, output))
    }

    /// Gives the last chunk. Without it the stream does not open.
    ///
    /// # Errors
    /// As [`StreamSealer::push`].
    pub fn finish(mut self) -> Result<Vec<u8>, StreamError> {
        let mut output = Vec::with_capacity(self.pending.len().saturating_add(TAG_BYTES));
        self.chunks
            .seal(Position::Last, &self.pending, &mut output)?;
        Ok(output)
    }
}

impl fmt::Debug for StreamSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamSealer")
    }
}

/// Opens a body as it comes.
#[must_use]
pub struct StreamOpener {
    chunks: Chunks,
    pending: Vec<u8>,
}

impl StreamOpener {
    /// Begins to open what was sealed for the place that `aad` names. The bytes after the header follow by [`StreamOpener::push`].
    ///
    /// # Errors
    /// When the key is unknown or too old, or the header does not commit to it.
    pub fn new(
        lookup: &impl KeyLookup,
        aad: &Aad,
        header: &StreamHeader,
    ) -> Result<Self, OpenError> {
        let key = lookup.find(header.id, header.version)?;
        let (commitment, salt) = header.commitment_and_salt().ok_or(OpenError::Length)?;
        let derived = Derived::of(key, salt);
        if !derived.commitment.matches(commitment) {
            return Err(OpenError::Commitment);
        }
        Ok(Self {
            chunks: derived.chunks(header, aad),
            pending: Vec::new(),
        })
    }

    /// Takes more of the stream and gives the plaintext of the chunks that are complete and authentic. More may be missing: only [`StreamOpener::finish`] says
    /// that the body is whole, and what was done with its beginning has to be undone when it fails.
    ///
    /// # Errors
    /// When a chunk is not the one that belongs here. Nothing of it is given, and the opener is gone.
    pub fn push(mut self, sealed: &[u8]) -> Result<(Self, Secret<Vec<u8>>), StreamError> {
        let mut output = Zeroizing::new(Vec::with_capacity(
            self.pending.len().saturating_add(sealed.len()),
        ));
        let mut rest = sealed;
        while self.pending.len().saturating_add(rest.len()) > SEALED_CHUNK_BYTES {
            let missing = SEALED_CHUNK_BYTES.saturating_sub(self.pending.len());
            let (head, tail) = rest
                .split_at_checked(missing)
                .ok_or(StreamError::Open(OpenError::Length))?;
            let opened = if self.pending.is_empty() {
                self.chunks.open(Position::NotLast, head)?
            } else {
                self.pending.extend_from_slice(head);
                let opened = self.chunks.open(Position::NotLast, &self.pending)?;
                self.pending.clear();
                opened
            };
            output.extend_from_slice(opened.expose());
            rest = tail;
        }
        self.pending.extend_from_slice(rest);
        Ok((self, Secret::new(std::mem::take(&mut *output))))
    }

    /// Gives the plaintext of the last chunk: the body is whole.
    ///
    /// # Errors
    /// When the stream was cut off, or its last chunk is not the one that was sealed as such.
    pub fn finish(mut self) -> Result<Secret<Vec<u8>>, StreamError> {
        if self.pending.len() < TAG_BYTES {
            return Err(StreamError::Truncated);
        }
        let first = self.chunks.number == 0;
        let opened = self.chunks.open(Position::Last, &self.pending)?;
        // One body has one form: only an empty one ends in an empty chunk.
        if opened.expose().is_empty() && !first {
            return Err(StreamError::Open(OpenError::Content));
        }
        Ok(opened)
    }
}

impl fmt::Debug for StreamOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamOpener")
    }
}

/// Why a stream is not sealed or does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// A chunk does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There would be more than 2^32 chunks.
    #[error("the stream is longer than 256 TiB")]
    TooLong,
    /// The stream ends before its last chunk.
    #[error("the stream was cut off")]
    Truncated,
}

#[cfg(test)]
mod tests;
