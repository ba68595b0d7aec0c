//! A key as it is kept: all its versions in one entry, so that a rotation is one write and no version is without the others.
//!
//! The entry is sealed by the shell; inside, key material is base64. An entry has at most 1 MiB, which is thousands of versions of a symmetric key and hundreds
//! of RSA; past it a rotation is refused and the key wants trimming.

use super::kind::{KeyType, Kind};
use crate::entry::VALUE_BYTES_MAX;
use crate::{Cx, VaultError};
use countersign_base::{Duration, Secret, UnixTime};
use countersign_crypto::base64;
use countersign_crypto::keypair::{KeyPair, KeyPairAlgorithm, PublicKey};
use countersign_crypto::random::Random;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// Bytes of the HMAC key that each version has of its own.
pub const HMAC_KEY_BYTES: usize = 32;
/// The least and the most bytes of a key of type `hmac`.
pub const HMAC_SIZE: std::ops::RangeInclusive<u32> = 32..=512;
/// The shortest period of automatic rotation, other than none.
pub const AUTO_ROTATE_MIN: Duration = Duration::from_secs(3600);
/// Bytes kept free in an entry for the version that a rotation adds: an RSA key of 4096 bits in base64, and its public half.
const VERSION_ROOM_BYTES: usize = 8 * 1024;
/// Encryptions under random nonces of 96 bits after which a version is replaced: half of the 2^32 that SP 800-38D §8.3 allows, because they are counted by sample.
pub const SEALED_MAX: u64 = 1 << 31;

/// Bytes that are secret and kept in base64.
pub struct KeyBytes(Secret<Vec<u8>>);

impl KeyBytes {
    /// Takes the bytes.
    #[must_use]
    pub const fn new(bytes: Secret<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// Random ones.
    #[must_use]
    pub fn random(bytes: usize, random: &Random) -> Self {
        let mut drawn = vec![0; bytes];
        random.fill(&mut drawn);
        Self(Secret::new(drawn))
    }

    /// The bytes.
    #[must_use]
    pub const fn secret(&self) -> &Secret<Vec<u8>> {
        &self.0
    }
}

impl Serialize for KeyBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Secret::new(base64::encode(self.0.expose()));
        serializer.serialize_str(text.expose())
    }
}

impl<'de> Deserialize<'de> for KeyBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Secret::new(String::deserialize(deserializer)?);
        base64::decode(text.expose())
            .map(|bytes| Self(Secret::new(bytes)))
            .map_err(serde::de::Error::custom)
    }
}

/// Whether and how keys are derived for contexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Derivation {
    /// One key for all.
    None,
    /// A key for each context.
    Context,
    /// A key for each context, and equal plaintexts give equal ciphertexts.
    Convergent,
}

/// One version of a key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// When it was made.
    pub created: UnixTime,
    /// The key: its bytes, or PKCS#8 of a private key.
    pub key: KeyBytes,
    /// The key of its HMACs; a key of type `hmac` uses [`Version::key`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<KeyBytes>,
    /// The `SubjectPublicKeyInfo` in base64, if it is a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
    /// Encryptions under random nonces, in steps of [`super::cipher::COUNT_STEP`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sealed: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What a new key is to be.
pub struct Options {
    /// Its type.
    pub key_type: KeyType,
    /// Whether keys are derived from it.
    pub derivation: Derivation,
    /// Bytes of a key of type `hmac`.
    pub size: Option<u32>,
    /// Whether private parts may leave.
    pub exportable: bool,
    /// Whether it may be backed up whole.
    pub allow_plaintext_backup: bool,
    /// After how long it is rotated; zero is never.
    pub auto_rotate: Duration,
}

impl Options {
    /// Whether the type may be all that, so that no operation meets a combination that nobody thought of.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] with the text that clients know.
    pub fn check(&self) -> Result<(), VaultError> {
        let kind = self.key_type.kind();
        let text = match (kind, self.derivation) {
            (_, Derivation::None) | (Kind::Cipher(_), _) => None,
            (Kind::Pair(KeyPairAlgorithm::Ed25519), Derivation::Context) => None,
            (Kind::Pair(KeyPairAlgorithm::Ed25519), Derivation::Convergent) => {
                Some("convergent encryption not supported for keys of type")
            }
            (Kind::Pair(_) | Kind::Hmac, Derivation::Context | Derivation::Convergent) => {
                Some("key derivation and convergent encryption not supported for keys of type")
            }
        };
        if let Some(text) = text {
            return Err(VaultError::invalid(format!("{text} {}", self.key_type)));
        }
        match self.size {
            Some(_) if kind != Kind::Hmac => {
                return Err(VaultError::invalid(format!(
                    "key_size is not valid for algorithm {}",
                    self.key_type
                )));
            }
            Some(size) if !HMAC_SIZE.contains(&size) => {
                return Err(VaultError::invalid(format!("invalid key_size {size}")));
            }
            Some(_) | None => {}
        }
        check_period(self.auto_rotate)
    }
}

/// Whether a period of automatic rotation may be set.
///
/// # Errors
/// When it is shorter than [`AUTO_ROTATE_MIN`] and not zero.
pub fn check_period(period: Duration) -> Result<(), VaultError> {
    if period.is_zero() || period >= AUTO_ROTATE_MIN {
        Ok(())
    } else {
        Err(VaultError::invalid(
            "auto rotate period must be 0 to disable or at least an hour",
        ))
    }
}

/// A key with all its versions.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRow {
    /// Its type.
    #[serde(rename = "type")]
    pub key_type: KeyType,
    /// Whether keys are derived from it.
    pub derivation: Derivation,
    /// The newest version.
    pub latest: u32,
    /// The oldest version that is kept; 0 when none was trimmed.
    pub min_available: u32,
    /// The oldest version that opens, verifies and is shown.
    pub min_decryption: u32,
    /// The oldest version that seals and signs; 0 is the newest alone unless one is named.
    pub min_encryption: u32,
    /// Whether it may be deleted.
    pub deletion_allowed: bool,
    /// Whether private parts may leave.
    pub exportable: bool,
    /// Whether it may be backed up whole.
    pub allow_plaintext_backup: bool,
    /// After how long it is rotated; zero is never.
    pub auto_rotate: Duration,
    /// Bytes of a key of type `hmac`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Whether it came from elsewhere, and may be rotated here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
    /// The versions, by number.
    pub versions: BTreeMap<u32, Version>,
}

/// What may become of a key that came from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Imported {
    /// Its owner gives it new versions.
    Fixed,
    /// It is rotated here too.
    Rotates,
}

impl KeyRow {
    /// A new key with one version.
    ///
    /// # Errors
    /// As [`Options::check`]; when aws-lc makes no key.
    pub fn create(options: &Options, cx: &Cx<'_>) -> Result<Self, VaultError> {
        options.check()?;
        let key = fresh(options.key_type, options.size, cx.random)?;
        Self::with_key(options, None, key, cx)
    }

    /// A key whose first version came from elsewhere.
    ///
    /// # Errors
    /// As [`Options::check`]; when the material is no key of the type.
    pub fn import(
        options: &Options,
        imported: Imported,
        material: KeyBytes,
        cx: &Cx<'_>,
    ) -> Result<Self, VaultError> {
        options.check()?;
        Self::with_key(options, Some(imported), material, cx)
    }

    fn with_key(
        options: &Options,
        imported: Option<Imported>,
        key: KeyBytes,
        cx: &Cx<'_>,
    ) -> Result<Self, VaultError> {
        let mut row = Self {
            key_type: options.key_type,
            derivation: options.derivation,
            latest: 0,
            min_available: 0,
            min_decryption: 1,
            min_encryption: 0,
            deletion_allowed: false,
            exportable: options.exportable,
            allow_plaintext_backup: options.allow_plaintext_backup,
            auto_rotate: options.auto_rotate,
            size: options.size,
            imported,
            versions: BTreeMap::new(),
        };
        row.add(key, cx)?;
        Ok(row)
    }

    /// Adds a version that is newest.
    ///
    /// # Errors
    /// When the material is no key of the type, or the entry is full.
    pub fn add(&mut self, key: KeyBytes, cx: &Cx<'_>) -> Result<(), VaultError> {
        let written = serde_json::to_vec(self).map_err(|_| VaultError::Corrupt)?;
        let length = Secret::new(written).expose().len();
        if length + VERSION_ROOM_BYTES > VALUE_BYTES_MAX {
            return Err(VaultError::invalid(
                "the key holds as many versions as fit into one entry; trim it first",
            ));
        }
        let public = public_of(self.key_type, &key)?;
        let hmac =
            (self.key_type != KeyType::Hmac).then(|| KeyBytes::random(HMAC_KEY_BYTES, cx.random));
        let latest = self.latest.checked_add(1).ok_or(VaultError::TooLarge)?;
        let version = Version {
            created: cx.now,
            key,
            hmac,
            public,
            sealed: 0,
        };
        self.versions.insert(latest, version);
        self.latest = latest;
        Ok(())
    }

    /// Adds a fresh version.
    ///
    /// # Errors
    /// When the key came from elsewhere and is not to be rotated here; as [`KeyRow::add`].
    pub fn rotate(&mut self, cx: &Cx<'_>) -> Result<(), VaultError> {
        if self.imported == Some(Imported::Fixed) {
            return Err(VaultError::invalid(
                "the imported key does not allow rotation here",
            ));
        }
        self.add(fresh(self.key_type, self.size, cx.random)?, cx)
    }

    /// Whether its period has passed since the newest version was made.
    #[must_use]
    pub fn rotation_is_due(&self, now: UnixTime) -> bool {
        let newest = self.versions.get(&self.latest);
        !self.auto_rotate.is_zero()
            && newest.is_some_and(|newest| now.since(newest.created) >= self.auto_rotate)
    }

    /// A version that is kept.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] when it was trimmed or never was.
    pub fn version(&self, number: u32) -> Result<&Version, VaultError> {
        self.versions
            .get(&number)
            .ok_or_else(|| VaultError::invalid("version does not exist or cannot be found"))
    }

    /// The version to open or verify with.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] with the texts that clients know.
    pub fn version_to_open(
        &self,
        what: super::text::What,
        number: u32,
    ) -> Result<&Version, VaultError> {
        if number > self.latest {
            return Err(super::text::too_new(what));
        }
        let oldest = self.min_decryption.max(self.min_available);
        match self.versions.get(&number) {
            Some(version) if number >= oldest => Ok(version),
            Some(_) | None => Err(VaultError::invalid(match what {
                super::text::What::Hmac => {
                    "cannot verify HMAC: version is too old (disallowed by policy)"
                }
                super::text::What::Ciphertext | super::text::What::Signature => {
                    "ciphertext or signature version is disallowed by policy (too old)"
                }
            })),
        }
    }

    /// The number of the version to seal or sign with, of the one that was asked for (0 or none: the newest).
    ///
    /// # Errors
    /// [`VaultError::Invalid`] with the texts that clients know; `verb` is `encryption` or `signing`.
    pub fn number_to_seal(&self, asked: i64, verb: &'static str) -> Result<u32, VaultError> {
        let refused = |text: &str| {
            Err(VaultError::invalid(format!(
                "requested version for {verb} is {text}"
            )))
        };
        if asked < 0 {
            return refused("negative");
        }
        let number = match u32::try_from(asked) {
            Ok(0) => self.latest,
            Ok(number) if number <= self.latest => number,
            Ok(_) | Err(_) => return refused("higher than the latest key version"),
        };
        if number < self.min_encryption || !self.versions.contains_key(&number) {
            return refused("less than the minimum encryption key version");
        }
        Ok(number)
    }

    /// Whether the row is one that this program could have written, for one that comes from outside.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self) -> Result<(), VaultError> {
        let broken = || VaultError::invalid("the backup does not hold a key");
        Options {
            key_type: self.key_type,
            derivation: self.derivation,
            size: self.size,
            exportable: self.exportable,
            allow_plaintext_backup: self.allow_plaintext_backup,
            auto_rotate: self.auto_rotate,
        }
        .check()?;
        let oldest = self.min_available.max(1);
        let span = self
            .latest
            .checked_sub(oldest)
            .and_then(|span| usize::try_from(span).ok())
            .ok_or_else(broken)?;
        let bounds = self.min_decryption >= oldest
            && self.min_decryption <= self.latest
            && self.min_encryption <= self.latest
            && (self.min_encryption == 0 || self.min_encryption >= self.min_decryption);
        let complete = self.versions.len() == span.saturating_add(1)
            && self.versions.keys().next() == Some(&oldest)
            && self.versions.keys().next_back() == Some(&self.latest);
        if !bounds || !complete {
            return Err(broken());
        }
        for version in self.versions.values() {
            let public = public_of(self.key_type, &version.key).map_err(|_| broken())?;
            let hmac = version.hmac.as_ref().map(|key| key.secret().expose().len());
            let expected = (self.key_type != KeyType::Hmac).then_some(HMAC_KEY_BYTES);
            if public != version.public || hmac != expected {
                return Err(broken());
            }
        }
        Ok(())
    }

    /// Forgets the versions below one.
    pub fn trim(&mut self, min_available: u32) {
        self.min_available = min_available;
        self.versions = self.versions.split_off(&min_available);
    }
}

impl Version {
    /// The private key, if it is a pair.
    ///
    /// # Errors
    /// [`VaultError::Corrupt`] when what is stored is none.
    pub fn pair(&self, algorithm: KeyPairAlgorithm) -> Result<KeyPair, VaultError> {
        KeyPair::from_der(algorithm, self.key.secret()).map_err(|_| VaultError::Corrupt)
    }

    /// The public key, if it is a pair.
    ///
    /// # Errors
    /// [`VaultError::Corrupt`] when what is stored is none.
    pub fn public_key(&self, algorithm: KeyPairAlgorithm) -> Result<PublicKey, VaultError> {
        let text = self.public.as_deref().ok_or(VaultError::Corrupt)?;
        let spki = base64::decode(text).map_err(|_| VaultError::Corrupt)?;
        PublicKey::from_spki(algorithm, &spki).map_err(|_| VaultError::Corrupt)
    }
}

fn fresh(key_type: KeyType, size: Option<u32>, random: &Random) -> Result<KeyBytes, VaultError> {
    match key_type.kind() {
        Kind::Cipher(algorithm) => Ok(KeyBytes::random(algorithm.key_bytes(), random)),
        Kind::Hmac => {
            let bytes = size.unwrap_or(*HMAC_SIZE.start());
            let bytes = usize::try_from(bytes).map_err(|_| VaultError::TooLarge)?;
            Ok(KeyBytes::random(bytes, random))
        }
        Kind::Pair(algorithm) => algorithm
            .generate()
            .and_then(|pair| pair.to_pkcs8())
            .map(KeyBytes::new)
            .map_err(|_| VaultError::Outside("the library made no key".into())),
    }
}

/// The public half of material, which has to be a key of the type.
fn public_of(key_type: KeyType, key: &KeyBytes) -> Result<Option<String>, VaultError> {
    let refused = || VaultError::invalid(format!("the material is not a key of type {key_type}"));
    let length = key.secret().expose().len();
    match key_type.kind() {
        Kind::Cipher(algorithm) if length == algorithm.key_bytes() => Ok(None),
        Kind::Hmac if u32::try_from(length).is_ok_and(|length| HMAC_SIZE.contains(&length)) => {
            Ok(None)
        }
        Kind::Cipher(_) | Kind::Hmac => Err(refused()),
        Kind::Pair(algorithm) => {
            let pair = KeyPair::from_der(algorithm, key.secret()).map_err(|_| refused())?;
            let public = pair.public_key().map_err(|_| refused())?;
            Ok(Some(base64::encode(public.spki())))
        }
    }
}
