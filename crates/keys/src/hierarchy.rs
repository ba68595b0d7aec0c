//! Root key, key-encryption keys and data keys: who may seal whom is in the types.
//!
//! A [`RootKey`] has no way to seal anything but a [`Kek`]. A [`KekSet`] holds the versions of the key-encryption key: the newest seals,
//! every version from the minimum on opens. A [`DataKey`] is a row, wrapped under the current version; erasing the row is crypto-shredding.

use crate::envelope::{
    self, Aad, EnvelopeKey, KeyId, KeyLookup, KeyVersion, OpenError, SealError, Sealed, Sealer,
};
use crate::rewrap::RewrapEnded;
use crate::versions::{Version, Versions};
use countersign_base::{Secret, Tenant};
use countersign_crypto::mac::MacKey;
use countersign_crypto::password::{Cost, PasswordError, derive_key};
use countersign_crypto::random::Random;
use countersign_crypto::{base64url, kdf};
use serde::{Deserialize, Serialize};
use std::fmt;

pub use crate::versions::KeySetError as KekSetError;

/// How a root key is derived from a passphrase. It is not secret and is stored beside what the root key seals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassphraseParameters {
    /// What the derivation costs.
    pub cost: Cost,
    /// 16 random bytes in base64url.
    salt: String,
}

impl PassphraseParameters {
    /// Parameters with a fresh salt.
    #[must_use]
    pub fn new(cost: Cost, random: &Random) -> Self {
        Self {
            cost,
            salt: base64url::encode(&random.bytes::<16>()),
        }
    }

    /// The 32 bytes that `passphrase` stands for (Argon2id).
    pub(crate) fn derive(
        &self,
        passphrase: &Secret<String>,
    ) -> Result<Secret<[u8; 32]>, PasswordError> {
        let salt = base64url::decode_array(&self.salt).map_err(|_| PasswordError::Format)?;
        derive_key(passphrase, &salt, &self.cost)
    }
}

/// The root of the hierarchy. It seals key-encryption keys and nothing else.
pub struct RootKey(EnvelopeKey);

impl RootKey {
    /// Derives the root key from what an operator types (Argon2id). A wrong passphrase gives another key, which shows
    /// as [`OpenError::KeyUnknown`] when the first key-encryption key is unwrapped.
    ///
    /// # Errors
    /// When the passphrase is empty or too long, or the parameters are outside their bounds.
    pub fn from_passphrase(
        passphrase: &Secret<String>,
        parameters: &PassphraseParameters,
    ) -> Result<Self, PasswordError> {
        Ok(Self::from_bytes(&parameters.derive(passphrase)?))
    }

    /// Takes 32 random bytes, as they stand in a file of mode 0600.
    #[must_use]
    pub fn from_bytes(bytes: &Secret<[u8; 32]>) -> Self {
        // The name is derived, so that the wrong root key is told from a damaged ciphertext.
        let id = kdf::hkdf_sha256::<8>(bytes.expose(), &[], &[b"countersign root key id"]);
        let secret = kdf::hkdf_sha256::<32>(bytes.expose(), &[], &[b"countersign root key"]);
        Self(EnvelopeKey::new(
            KeyId::from_bytes(*id.expose()),
            KeyVersion(1),
            secret,
        ))
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey")
    }
}

/// Bytes of a key-encryption key inside its envelope: id, version, key, root of the keyed hashes.
const KEK_BYTES: usize = 8 + 4 + 32 + 32;
/// Bytes of a data key inside its envelope: id, version, key.
const DATA_KEY_BYTES: usize = 8 + 4 + 32;

/// One version of the key-encryption key.
#[derive(Debug)]
pub struct Kek {
    key: EnvelopeKey,
    mac_root: MacRoot,
}

/// What the keys of keyed hashes are derived from. It is the same in all versions: a rotation must not forget what was hashed.
struct MacRoot(Secret<[u8; 32]>);

impl fmt::Debug for MacRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacRoot")
    }
}

impl Kek {
    /// The version.
    #[must_use]
    pub const fn version(&self) -> KeyVersion {
        self.key.version()
    }

    /// The name that all versions share.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.key.id()
    }

    /// Seals this version under the root key, for storing.
    ///
    /// # Errors
    /// Never for a key of this size; the type keeps the caller from assuming it.
    pub fn wrap(&self, root: &RootKey, random: &Random) -> Result<Sealed, SealError> {
        let naming = [
            self.id().as_bytes().as_slice(),
            &self.version().0.to_be_bytes(),
        ]
        .concat();
        let bytes = Secret::new(
            [
                naming.as_slice(),
                self.key.secret().expose(),
                self.mac_root.0.expose(),
            ]
            .concat(),
        );
        envelope::seal(&root.0, &Aad::key_encryption_key(), bytes.expose(), random)
    }

    /// Opens one version that was stored.
    ///
    /// # Errors
    /// [`OpenError::KeyUnknown`] when another root key sealed it; else as [`envelope::open`].
    pub fn unwrap(root: &RootKey, sealed: &Sealed) -> Result<Self, OpenError> {
        let bytes = envelope::open(&root.0, &Aad::key_encryption_key(), sealed)?;
        let bytes: &[u8; KEK_BYTES] = bytes
            .expose()
            .as_slice()
            .try_into()
            .map_err(|_| OpenError::Content)?;
        let (key, rest) = named_key(bytes).ok_or(OpenError::Content)?;
        let mac_root = rest.try_into().map_err(|_| OpenError::Content)?;
        Ok(Self {
            key,
            mac_root: MacRoot(Secret::new(mac_root)),
        })
    }
}

/// Reads id, version and key, and gives what follows.
fn named_key(bytes: &[u8]) -> Option<(EnvelopeKey, &[u8])> {
    let (id, rest) = bytes.split_first_chunk()?;
    let (version, rest) = rest.split_first_chunk()?;
    let (secret, rest) = rest.split_first_chunk()?;
    let version = KeyVersion(u32::from_be_bytes(*version));
    Some((
        EnvelopeKey::new(KeyId::from_bytes(*id), version, Secret::new(*secret)),
        rest,
    ))
}

/// The versions of the key-encryption key that are known. There is always at least one.
#[derive(Debug)]
pub struct KekSet(Versions<Kek>);

impl KekSet {
    /// The first version of a new key, for a first start.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        let key = EnvelopeKey::new(
            KeyId::from_bytes(random.bytes()),
            KeyVersion(1),
            random.secret(),
        );
        let mac_root = MacRoot(random.secret());
        Self(Versions::first(Kek { key, mac_root }))
    }

    /// The set of the versions that were stored. Versions below `minimum` may be among them; they open nothing.
    ///
    /// # Errors
    /// When there is none, the newest is below `minimum`, two have the same version, or they are not versions of one key.
    pub fn new(versions: Vec<Kek>, minimum: KeyVersion) -> Result<Self, KekSetError> {
        Versions::new(versions, minimum).map(Self)
    }

    /// A set with one version more, which seals from now on. The caller stores [`KekSet::current`], wrapped, before it uses the set.
    ///
    /// # Errors
    /// When the last possible version is reached.
    pub fn rotate(self, random: &Random) -> Result<Self, KekSetError> {
        self.0.rotate(random).map(Self)
    }

    /// The same set, opening nothing below the version that a rewrap has left as the lowest. The caller stores the minimum before it uses the set.
    ///
    /// # Errors
    /// When another key was rewrapped, or the version is above the current one. A lower minimum than the present one changes nothing.
    pub fn raise_minimum(self, ended: &RewrapEnded) -> Result<Self, KekSetError> {
        self.0.raise_minimum(ended).map(Self)
    }

    /// The same set, sealing by `version` and not by its newest: until every process knows a new version, none seals by it. A set that is to be rotated or whose minimum
    /// is to rise seals by its newest.
    ///
    /// # Errors
    /// When the version is not among them, or below the minimum.
    pub fn sealing_by(self, version: KeyVersion) -> Result<Self, KekSetError> {
        self.0.sealing_by(version).map(Self)
    }

    /// A key for what stands apart from the database and is read beside older and newer copies of it, as after a restored backup. It follows from what all versions
    /// share, so that no rotation parts the two. Its name follows from the key's.
    #[must_use]
    pub fn lasting_key(&self, purpose: &'static str) -> DataKey {
        let root = self.current().mac_root.0.expose();
        let secret = kdf::hkdf_sha256::<32>(
            root,
            &[],
            &[b"countersign lasting key", b"\0", purpose.as_bytes()],
        );
        let name = kdf::hkdf_sha256::<8>(secret.expose(), &[], &[b"countersign lasting key id"]);
        let id = KeyId::from_bytes(*name.expose());
        DataKey(EnvelopeKey::new(id, KeyVersion(1), secret))
    }

    /// The version that seals.
    #[must_use]
    pub const fn current(&self) -> &Kek {
        self.0.current()
    }

    /// The lowest version that opens.
    #[must_use]
    pub const fn minimum(&self) -> KeyVersion {
        self.0.minimum()
    }

    /// The key of keyed hashes for `purpose` in the whole installation. It outlives every rotation.
    #[must_use]
    pub fn mac_key(&self, purpose: &'static str) -> MacKey {
        self.derived_mac_key(&[b"installation", purpose.as_bytes()])
    }

    /// The key of keyed hashes for `purpose` of one tenant.
    #[must_use]
    pub fn tenant_mac_key(&self, tenant: &Tenant, purpose: &'static str) -> MacKey {
        // A tenant's name holds no zero byte, so the two parts cannot run into each other.
        self.derived_mac_key(&[b"tenant", tenant.as_str().as_bytes(), purpose.as_bytes()])
    }

    fn derived_mac_key(&self, parts: &[&[u8]]) -> MacKey {
        let separated = parts.iter().flat_map(|part| [b"\0".as_slice(), part]);
        let info: Vec<&[u8]> = std::iter::once(b"countersign mac key".as_slice())
            .chain(separated)
            .collect();
        MacKey::new(kdf::hkdf_sha256::<32>(
            self.current().mac_root.0.expose(),
            &[],
            &info,
        ))
    }
}

impl Version for Kek {
    fn envelope_key(&self) -> &EnvelopeKey {
        &self.key
    }

    fn is_of_one_key(&self, other: &Self) -> bool {
        let root = other.mac_root.0.expose();
        self.id() == other.id() && self.mac_root.0.matches(root)
    }

    fn successor(&self, version: KeyVersion, random: &Random) -> Self {
        Self {
            key: EnvelopeKey::new(self.id(), version, random.secret()),
            mac_root: MacRoot(Secret::new(*self.mac_root.0.expose())),
        }
    }
}

impl Sealer for KekSet {
    fn envelope_key(&self) -> &EnvelopeKey {
        self.0.envelope_key()
    }
}

impl Sealer for Kek {
    fn envelope_key(&self) -> &EnvelopeKey {
        &self.key
    }
}

impl KeyLookup for KekSet {
    fn find(&self, id: KeyId, version: KeyVersion) -> Result<&EnvelopeKey, OpenError> {
        self.0.find(id, version)
    }
}

/// A key for fields and rows: a tenant's, or one person's, whose erasure makes all they sealed unreadable.
#[derive(Debug)]
pub struct DataKey(EnvelopeKey);

impl DataKey {
    /// A new key with a name of its own.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(EnvelopeKey::new(
            KeyId::from_bytes(random.bytes()),
            KeyVersion(1),
            random.secret(),
        ))
    }

    /// The name that its ciphertexts carry.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.0.id()
    }

    /// The version, which is 1 for a key that is never rotated.
    #[must_use]
    pub const fn version(&self) -> KeyVersion {
        self.0.version()
    }

    pub(crate) const fn of(key: EnvelopeKey) -> Self {
        Self(key)
    }

    /// A key as it stands inside of a wrapping of the caller's own: id, version as four bytes, and 32 bytes. None if it is not that.
    #[must_use]
    pub fn from_content(bytes: &Secret<Vec<u8>>) -> Option<Self> {
        let bytes: &[u8; DATA_KEY_BYTES] = bytes.expose().as_slice().try_into().ok()?;
        named_key(bytes).map(|(key, _)| Self(key))
    }

    /// Seals this key under the current key-encryption key, for the row that `aad` names.
    ///
    /// # Errors
    /// Never for a key of this size; the type keeps the caller from assuming it.
    pub fn wrap(&self, keks: &KekSet, aad: &Aad, random: &Random) -> Result<Sealed, SealError> {
        let naming = [
            self.0.id().as_bytes().as_slice(),
            &self.0.version().0.to_be_bytes(),
        ]
        .concat();
        let bytes = Secret::new([naming.as_slice(), self.0.secret().expose()].concat());
        envelope::seal(keks, aad, bytes.expose(), random)
    }

    /// Opens a key that was stored in the row that `aad` names.
    ///
    /// # Errors
    /// As [`envelope::open`].
    pub fn unwrap(keks: &KekSet, aad: &Aad, sealed: &Sealed) -> Result<Self, OpenError> {
        let bytes = envelope::open(keks, aad, sealed)?;
        let bytes: &[u8; DATA_KEY_BYTES] = bytes
            .expose()
            .as_slice()
            .try_into()
            .map_err(|_| OpenError::Content)?;
        named_key(bytes)
            .map(|(key, _)| Self(key))
            .ok_or(OpenError::Content)
    }
}

impl Sealer for DataKey {
    fn envelope_key(&self) -> &EnvelopeKey {
        &self.0
    }
}

impl KeyLookup for DataKey {
    fn find(&self, id: KeyId, version: KeyVersion) -> Result<&EnvelopeKey, OpenError> {
        self.0.find(id, version)
    }
}

#[cfg(test)]
mod tests;
