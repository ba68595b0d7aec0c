//! The row that is stored: how the root key is sealed, and the root key so sealed.
//!
//! Nothing in it is secret. Its kind and numbers of shares are in the context of the wrapped key, so that a row whose numbers were changed in storage does not open.

use super::{SealFault, UnsealKey};
use crate::envelope::{self, Aad, OpenError, Sealed};
use crate::hierarchy::{KekSet, PassphraseParameters, RootKey};
use crate::shamir::{self, SECRET_BYTES, Share, ShareRule};
use countersign_base::{ParseError, Secret};
use countersign_crypto::base64url;
use countersign_crypto::mac::{MacKey, Tag, TagVerified};
use countersign_crypto::random::Random;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;

/// Bytes of an unseal key that a source wrapped in its own form.
pub const WRAPPED_BYTES_MAX: usize = 4096;

/// What the purpose of the keyed hash of a recovery value is called.
const RECOVERY: &str = "recovery keys";

/// The seal of one installation, as it is stored. A new one replaces it by compare-and-set on the generation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealRow {
    pub(super) generation: NonZeroU64,
    pub(super) seal: Seal,
    pub(super) root: Sealed,
}

/// How the unseal key is come by.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Seal {
    /// A source gives it without a person.
    Auto {
        /// Which one, and what it needs to know.
        source: AutoSource,
        /// Who may authorize what a quorum is due for; without it, nobody.
        recovery: Option<Recovery>,
    },
    /// Operators hold shares of it.
    Shamir(ShareRule),
}

/// A source that unseals without a person. What it names is public: no PIN, path or secret stands here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AutoSource {
    /// 32 bytes in a file.
    File,
    /// A key service: it wrapped the unseal key with a key that does not leave it.
    Kms {
        /// The service, as the configuration calls it.
        provider: String,
        /// The key's name there.
        key: String,
        /// What it gave.
        wrapped: WrappedKey,
    },
    /// A passphrase that is given at each start.
    Passphrase {
        /// How the key is derived from it.
        parameters: PassphraseParameters,
    },
    /// A PKCS#11 token: it wrapped the unseal key with a key that does not leave it.
    Pkcs11 {
        /// The label of the key on the token.
        key: String,
        /// What it gave.
        wrapped: WrappedKey,
    },
    /// 32 bytes that the configuration refers to, with the name of the key, so that a former one is told from the present one.
    Static {
        /// The key's name.
        key: String,
    },
}

impl AutoSource {
    /// What `sys/seal-status` calls it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Kms { .. } => "kms",
            Self::Passphrase { .. } => "passphrase",
            Self::Pkcs11 { .. } => "pkcs11",
            Self::Static { .. } => "static",
        }
    }
}

/// An unseal key in the form that a source wrapped it in, as base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WrappedKey(Vec<u8>);

impl WrappedKey {
    /// Takes what a source gave.
    ///
    /// # Errors
    /// When it is empty or longer than [`WRAPPED_BYTES_MAX`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, ParseError> {
        if bytes.is_empty() || bytes.len() > WRAPPED_BYTES_MAX {
            Err(ParseError::expected("a wrapped key of 1 to 4096 bytes"))
        } else {
            Ok(Self(bytes))
        }
    }

    /// What the source gave.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<String> for WrappedKey {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = base64url::decode(&text)
            .map_err(|_| ParseError::expected("a wrapped key in base64url"))?;
        Self::new(bytes)
    }
}

impl From<WrappedKey> for String {
    fn from(wrapped: WrappedKey) -> Self {
        base64url::encode(&wrapped.0)
    }
}

/// Recovery keys: how many there are, and the keyed hash of what they are shares of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    rule: ShareRule,
    check: Tag,
}

impl Recovery {
    /// New recovery keys. Their value is forgotten here: whoever has enough of them is recognized, and can open nothing.
    pub(super) fn issue(rule: ShareRule, keks: &KekSet, random: &Random) -> (Self, Vec<Share>) {
        let value = random.secret();
        let shares = shamir::split(&value, rule, random);
        let check = keks
            .mac_key(RECOVERY)
            .tag(RECOVERY, &[value.expose(), &numbers(rule)]);
        (Self { rule, check }, shares)
    }

    /// How many there are and how many are needed.
    #[must_use]
    pub const fn rule(&self) -> ShareRule {
        self.rule
    }

    pub(super) fn verify(&self, shares: &[Share], keks: &KekSet) -> Option<TagVerified> {
        let key: MacKey = keks.mac_key(RECOVERY);
        let value = shamir::combine(shares).ok()?;
        key.verify(
            RECOVERY,
            &[value.expose(), &numbers(self.rule)],
            &self.check,
        )
        .ok()
    }
}

const fn numbers(rule: ShareRule) -> [u8; 2] {
    [rule.shares(), rule.threshold()]
}

impl Seal {
    /// What `sys/seal-status` calls it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Auto { source, .. } => source.name(),
            Self::Shamir(_) => "shamir",
        }
    }

    /// The shares that authorize: those of the unseal key, or recovery keys.
    #[must_use]
    pub fn rule(&self) -> Option<ShareRule> {
        match self {
            Self::Auto { recovery, .. } => recovery.as_ref().map(Recovery::rule),
            Self::Shamir(rule) => Some(*rule),
        }
    }

    /// Where the wrapped root key belongs. Recovery keys are not part of it, so that they can be replaced while nobody has the unseal key.
    fn aad(&self) -> Aad {
        let rule = match self {
            Self::Auto { .. } => [0, 0],
            Self::Shamir(rule) => numbers(*rule),
        };
        Aad::root_key(self.name(), rule)
    }
}

impl SealRow {
    /// Wraps the root key.
    pub(super) fn wrap(
        generation: NonZeroU64,
        seal: Seal,
        key: &UnsealKey,
        root: &Secret<[u8; SECRET_BYTES]>,
        random: &Random,
    ) -> Result<Self, SealFault> {
        let root = envelope::seal(&key.wrapping(), &seal.aad(), root.expose(), random)?;
        Ok(Self {
            generation,
            seal,
            root,
        })
    }

    /// How often the row was replaced, from 1. What is stored replaces exactly the generation before.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// How the unseal key is come by.
    #[must_use]
    pub const fn seal(&self) -> &Seal {
        &self.seal
    }

    /// The root key, by an unseal key that a source gave.
    ///
    /// # Errors
    /// [`OpenError::KeyUnknown`] when it is not the one; else as [`envelope::open`].
    pub fn open(&self, key: &UnsealKey) -> Result<RootKey, OpenError> {
        self.open_bytes(key)
            .map(|bytes| RootKey::from_bytes(&bytes))
    }

    pub(super) fn open_bytes(
        &self,
        key: &UnsealKey,
    ) -> Result<Secret<[u8; SECRET_BYTES]>, OpenError> {
        let bytes = envelope::open(&key.wrapping(), &self.seal.aad(), &self.root)?;
        bytes
            .expose()
            .as_slice()
            .try_into()
            .map(Secret::new)
            .map_err(|_| OpenError::Content)
    }

    pub(super) fn next_generation(&self) -> Result<NonZeroU64, SealFault> {
        self.generation
            .checked_add(1)
            .ok_or(SealFault::GenerationsSpent)
    }
}
