//! Signed notes (C2SP signed-note) with Ed25519, signature type 0x01.
//!
//! Not here: the other signature types. Lines of keys that we do not know are passed over, as the format demands.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_base::ParseError;
use countersign_crypto::digest::sha256_parts;
use countersign_crypto::jose::{Algorithm, PublicJwk, VerifyingKey};
use countersign_crypto::signing::{LogCheckpoint, SigningKey};
use std::fmt;
use std::str::FromStr;

/// The signature type: Ed25519 over the note's text.
const ED25519: u8 = 0x01;
/// Bytes of the longest note that is read.
const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Signature lines that are read; the format demands 16 at least.
const SIGNATURES_MAX: usize = 64;

/// The name of a log: a URL without its scheme, as `audit.example/eu`. It is the name of the key as well.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

impl Origin {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = ParseError;

    /// 1 to 200 letters, digits, `.`, `-`, `_`, `:` in elements separated by `/`, none of them empty, `.` or `..`: it names a directory too.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let element = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte))
        };
        if text.len() <= 200 && text.split('/').all(element) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::expected(
            "a log's name: letters, digits, `.`, `-`, `_`, `:` in elements separated by `/`, at most 200",
        ))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a note, or what it says, is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The text is no checkpoint.
    #[error("the note is no checkpoint: expected origin, size and root, one a line")]
    Checkpoint,
    /// Not a note.
    #[error("not a signed note")]
    Form,
    /// The key is no Ed25519 key.
    #[error("the key is no Ed25519 key: checkpoints are signed with EdDSA")]
    Key,
    /// A checkpoint of another log.
    #[error("the checkpoint belongs to another log")]
    Origin,
    /// The known key's signature does not hold.
    #[error("the signature of the log's key does not hold")]
    Signature,
    /// The private key did not sign.
    #[error("the log's key could not sign")]
    Signing,
    /// The known key did not sign.
    #[error("the note is not signed by the log's key")]
    Unsigned,
}

/// The public key of a log: `<name>+<hex key id>+<base64(0x01 || key)>`.
#[derive(Clone)]
pub struct VerifierKey {
    origin: Origin,
    public: [u8; 32],
    verifying: VerifyingKey,
}

impl VerifierKey {
    fn new(origin: Origin, public: [u8; 32]) -> Result<Self, NoteError> {
        let jwk = serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(public)});
        let jwk = PublicJwk::parse(&jwk).map_err(|_| NoteError::Key)?;
        let verifying =
            VerifyingKey::new(&jwk, Algorithm::EdDsa, None).map_err(|_| NoteError::Key)?;
        Ok(Self {
            origin,
            public,
            verifying,
        })
    }

    /// Reads the one line of a `verifier.key` file.
    ///
    /// # Errors
    /// When it is none, or of another signature type.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let (name, rest) = line.split_once('+').ok_or(NoteError::Form)?;
        let (id, key) = rest.split_once('+').ok_or(NoteError::Form)?;
        let key = STANDARD.decode(key).map_err(|_| NoteError::Form)?;
        let Some((&ED25519, public)) = key.split_first() else {
            return Err(NoteError::Key);
        };
        let public = public.try_into().map_err(|_| NoteError::Key)?;
        let key = Self::new(name.parse().map_err(|_| NoteError::Form)?, public)?;
        if id != hex(&key.id()) {
            return Err(NoteError::Form);
        }
        Ok(key)
    }

    /// The name of the log and of the key.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The first four bytes of `SHA-256(name || 0x0A || 0x01 || key)`.
    fn id(&self) -> [u8; 4] {
        let digest = sha256_parts(&[
            self.origin.as_str().as_bytes(),
            b"\n",
            &[ED25519],
            &self.public,
        ]);
        let [a, b, c, d, ..] = digest;
        [a, b, c, d]
    }

    /// Checks the signature of this key on `note` and returns its text.
    ///
    /// # Errors
    /// When it is no note, this key did not sign it, or the signature does not hold.
    pub fn open<'a>(&self, note: &'a [u8]) -> Result<&'a str, NoteError> {
        let note = str::from_utf8(note).map_err(|_| NoteError::Form)?;
        if note.len() > NOTE_BYTES_MAX || note.chars().any(|c| c.is_ascii_control() && c != '\n') {
            return Err(NoteError::Form);
        }
        let split = note.rfind("\n\n").ok_or(NoteError::Form)?;
        let (text, signatures) = note.split_at_checked(split + 1).ok_or(NoteError::Form)?;
        let signatures = signatures
            .strip_prefix('\n')
            .and_then(|lines| lines.strip_suffix('\n'))
            .ok_or(NoteError::Form)?;
        let mut ours = None;
        for (number, line) in signatures.split('\n').enumerate() {
            let (name, id, signature) = signature_line(line).ok_or(NoteError::Form)?;
            if number >= SIGNATURES_MAX {
                return Err(NoteError::Form);
            }
            if name == self.origin.as_str() && id == self.id() && ours.is_none() {
                ours = Some(signature);
            }
        }
        let signature = ours.ok_or(NoteError::Unsigned)?;
        let _holds = self
            .verifying
            .verify(text.as_bytes(), &signature)
            .map_err(|_| NoteError::Signature)?;
        Ok(text)
    }
}

/// One line `— <name> <base64(key id || signature)>`.
fn signature_line(line: &str) -> Option<(&str, [u8; 4], Vec<u8>)> {
    let (name, blob) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let blob = STANDARD.decode(blob).ok()?;
    let (id, signature) = blob.split_first_chunk::<4>()?;
    let named = !name.is_empty() && !name.contains('+') && !signature.is_empty();
    named.then(|| (name, *id, signature.to_vec()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(&self.public);
        write!(
            f,
            "{}+{}+{}",
            self.origin,
            hex(&self.id()),
            STANDARD.encode(key)
        )
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for VerifierKey {
    fn eq(&self, other: &Self) -> bool {
        self.origin == other.origin && self.public == other.public
    }
}

/// Signs the checkpoints of one log.
#[derive(Clone)]
pub struct NoteSigner {
    key: SigningKey<LogCheckpoint>,
    verifier: VerifierKey,
}

impl NoteSigner {
    /// A signer for the log `origin`.
    ///
    /// # Errors
    /// When `key` is no Ed25519 key.
    pub fn new(origin: Origin, key: SigningKey<LogCheckpoint>) -> Result<Self, NoteError> {
        let jwk = key.public_jwk().to_json();
        if jwk.get("crv").and_then(serde_json::Value::as_str) != Some("Ed25519") {
            return Err(NoteError::Key);
        }
        let x = jwk
            .get("x")
            .and_then(serde_json::Value::as_str)
            .ok_or(NoteError::Key)?;
        let public = URL_SAFE_NO_PAD
            .decode(x)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(NoteError::Key)?;
        Ok(Self {
            key,
            verifier: VerifierKey::new(origin, public)?,
        })
    }

    /// The public key to check with.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The signed note over `text`, which ends in a line feed.
    ///
    /// # Errors
    /// When the key refuses.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        let mut blob = self.verifier.id().to_vec();
        blob.extend_from_slice(
            &self
                .key
                .sign(text.as_bytes())
                .map_err(|_| NoteError::Signing)?,
        );
        Ok(format!(
            "{text}\n\u{2014} {} {}\n",
            self.verifier.origin,
            STANDARD.encode(blob)
        ))
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigner({})", self.verifier)
    }
}

#[cfg(test)]
pub(crate) mod tests;
