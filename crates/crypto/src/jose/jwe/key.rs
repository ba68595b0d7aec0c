//! The keys of encrypted messages: public ones as JWKs with `use` `enc` (RFC 7517 §4.2), private ones as they were unsealed.
//!
//! A key for encryption is another type than one for signatures: neither can be taken for the other.

use super::Agreement;
use super::agreement::{concat_kdf, unwrap, wrap};
use super::content::ContentEncryption;
use super::management::KeyManagement;
use crate::base64url;
use crate::jose::jwk::{self, PRIVATE_MEMBERS, PublicJwk};
use crate::jose::{JWKS_BYTES_MAX, JWKS_KEYS_MAX, JoseError, JwkThumbprint, SkippedKey, json};
use crate::random::Random;
use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _, Curve25519SeedBin, Pkcs8V1Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair, RsaPublicKeyComponents};
use countersign_base::{Kid, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json as value};
use std::fmt;
use std::sync::Arc;

/// A kind of key that messages are encrypted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EncryptionKeyType {
    /// ECDH on P-256.
    #[serde(rename = "P-256")]
    P256,
    /// RSA of 2048 to 4096 bits.
    #[serde(rename = "RSA")]
    Rsa,
    /// ECDH on Curve25519 (RFC 8037 §3.2).
    #[serde(rename = "X25519")]
    X25519,
}

impl EncryptionKeyType {
    /// What records call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::Rsa => "RSA",
            Self::X25519 => "X25519",
        }
    }

    /// A new private key, ready to be sealed: PKCS#8 for P-256 and RSA (2048 bits), the 32 bytes of RFC 7748 for X25519.
    ///
    /// # Errors
    /// When aws-lc cannot make one (no memory, no randomness).
    pub fn generate(self) -> Result<Secret<Vec<u8>>, JoseError> {
        let failed = |_| JoseError::Signing("no key could be made");
        let pkcs8 = |der: Pkcs8V1Der<'_>| der.as_ref().to_vec();
        let private = match self {
            Self::P256 => PrivateKey::generate(&ECDH_P256)
                .and_then(|key| key.as_der())
                .map(pkcs8),
            Self::Rsa => PrivateDecryptingKey::generate(KeySize::Rsa2048)
                .and_then(|key| key.as_der())
                .map(pkcs8),
            Self::X25519 => PrivateKey::generate(&X25519)
                .and_then(|key| key.as_be_bytes())
                .map(|seed: Curve25519SeedBin<'_>| seed.as_ref().to_vec()),
        };
        private.map(Secret::new).map_err(failed)
    }
}

#[derive(Clone, PartialEq, Eq)]
enum Material {
    P256 { x: [u8; 32], y: [u8; 32] },
    Rsa { n: Box<[u8]>, e: Box<[u8]> },
    X25519 { x: [u8; 32] },
}

impl Material {
    fn parse(members: &Map<String, Value>) -> Result<Self, JoseError> {
        if PRIVATE_MEMBERS
            .iter()
            .any(|name| members.contains_key(*name))
        {
            return Err(JoseError::Key("it holds a private member"));
        }
        match (
            jwk::text(members, "kty")?,
            members.get("crv").and_then(Value::as_str),
        ) {
            ("EC", Some("P-256")) => Ok(Self::P256 {
                x: jwk::coordinate(members, "x")?,
                y: jwk::coordinate(members, "y")?,
            }),
            ("OKP", Some("X25519")) => Ok(Self::X25519 {
                x: jwk::coordinate(members, "x")?,
            }),
            ("RSA", _) => {
                let (n, e) = jwk::rsa_numbers(members)?;
                Ok(Self::Rsa { n, e })
            }
            (_, _) => Err(JoseError::Key(
                "its type or curve is not P-256, X25519 or RSA",
            )),
        }
    }

    const fn key_type(&self) -> EncryptionKeyType {
        match self {
            Self::P256 { .. } => EncryptionKeyType::P256,
            Self::Rsa { .. } => EncryptionKeyType::Rsa,
            Self::X25519 { .. } => EncryptionKeyType::X25519,
        }
    }

    /// The bytes of a public key of an agreement.
    fn point(&self) -> Result<(&'static agreement::Algorithm, Vec<u8>), JoseError> {
        match self {
            Self::P256 { x, y } => Ok((&ECDH_P256, [&[4][..], x, y].concat())),
            Self::X25519 { x } => Ok((&X25519, x.to_vec())),
            Self::Rsa { .. } => Err(JoseError::AlgorithmDiffers),
        }
    }

    fn of_point(algorithm: &agreement::Algorithm, point: &[u8]) -> Result<Self, JoseError> {
        let bad = |_| JoseError::Key("it is not a point of its curve");
        if algorithm == &X25519 {
            return Ok(Self::X25519 {
                x: point.try_into().map_err(bad)?,
            });
        }
        let (x, y) = point
            .strip_prefix(&[4])
            .and_then(|rest| rest.split_at_checked(32))
            .ok_or(JoseError::Key("it is not an uncompressed point of P-256"))?;
        Ok(Self::P256 {
            x: x.try_into().map_err(bad)?,
            y: y.try_into().map_err(bad)?,
        })
    }

    fn to_json(&self) -> Value {
        let b64 = base64url::encode;
        match self {
            Self::P256 { x, y } => {
                value!({ "crv": "P-256", "kty": "EC", "x": b64(x), "y": b64(y) })
            }
            Self::Rsa { n, e } => value!({ "e": b64(e), "kty": "RSA", "n": b64(n) }),
            Self::X25519 { x } => value!({ "crv": "X25519", "kty": "OKP", "x": b64(x) }),
        }
    }
}

/// The ephemeral key of an agreement (`epk`, RFC 7518 §4.6.1.1).
pub(super) struct Ephemeral(Material);

impl Ephemeral {
    pub(super) fn parse(value: &Value) -> Result<Self, JoseError> {
        let members = value.as_object().ok_or(JoseError::Header("epk"))?;
        Material::parse(members).map(Self)
    }
}

/// A derived key, and what the header has to say for it.
type Agreed = (Secret<Vec<u8>>, Map<String, Value>);

/// A content's key on its way to a recipient.
pub(super) struct Wrapped {
    pub(super) cek: Secret<Vec<u8>>,
    pub(super) encrypted_key: Vec<u8>,
    /// What the header has to say for it.
    pub(super) header: Map<String, Value>,
}

/// A public key that messages are encrypted to.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptionKey {
    material: Material,
    kid: Option<Kid>,
    /// The one algorithm it is for, if its owner says so.
    management: Option<KeyManagement>,
}

impl EncryptionKey {
    /// Reads a key whose `use` is `enc`.
    ///
    /// # Errors
    /// When it is not for encryption, of an unknown kind, or holds a private member.
    pub fn parse(value: &Value) -> Result<Self, JoseError> {
        let members = value
            .as_object()
            .ok_or(JoseError::Key("it is not a JSON object"))?;
        if members.get("use").and_then(Value::as_str) != Some("enc") {
            return Err(JoseError::Key("its `use` is not `enc`"));
        }
        let kid = match members.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.parse().map_err(|_| {
                JoseError::Key("its `kid` is longer or of other characters than accepted")
            })?),
            Some(_) => return Err(JoseError::Key("its `kid` is not a string")),
        };
        let management = match members.get("alg") {
            None => None,
            Some(name) => Some(
                name.as_str()
                    .and_then(KeyManagement::from_name)
                    .ok_or(JoseError::AlgorithmUnknown)?,
            ),
        };
        let key = Self {
            material: Material::parse(members)?,
            kid,
            management,
        };
        if management.is_some_and(|management| !key.type_fits(management)) {
            return Err(JoseError::AlgorithmDiffers);
        }
        Ok(key)
    }

    /// Its name.
    #[must_use]
    pub const fn kid(&self) -> Option<&Kid> {
        self.kid.as_ref()
    }

    /// What kind of key it is.
    #[must_use]
    pub const fn key_type(&self) -> EncryptionKeyType {
        self.material.key_type()
    }

    /// The one algorithm it is for, if its owner says so.
    #[must_use]
    pub const fn management(&self) -> Option<KeyManagement> {
        self.management
    }

    /// The SHA-256 of the required members in their canonical form (RFC 7638 §3).
    #[must_use]
    pub fn thumbprint(&self) -> JwkThumbprint {
        match &self.material {
            Material::P256 { x, y } => PublicJwk(jwk::Material::P256 { x: *x, y: *y }).thumbprint(),
            Material::Rsa { n, e } => {
                let (n, e) = (n.clone(), e.clone());
                PublicJwk(jwk::Material::Rsa { n, e }).thumbprint()
            }
            Material::X25519 { x } => JwkThumbprint::of_x25519(x),
        }
    }

    /// Whether messages may be encrypted to it with `management`.
    #[must_use]
    pub fn fits(&self, management: KeyManagement) -> bool {
        self.type_fits(management) && self.management.is_none_or(|only| only == management)
    }

    /// The key as a JWK set publishes it.
    #[must_use]
    pub fn to_published_json(&self) -> Value {
        let mut published = self.material.to_json();
        if let Value::Object(members) = &mut published {
            members.insert("use".to_owned(), "enc".into());
            if let Some(kid) = &self.kid {
                members.insert("kid".to_owned(), kid.as_str().into());
            }
            if let Some(management) = self.management {
                members.insert("alg".to_owned(), management.name().into());
            }
        }
        published
    }

    const fn type_fits(&self, management: KeyManagement) -> bool {
        match (&self.material, management) {
            (
                Material::P256 { .. } | Material::X25519 { .. },
                KeyManagement::EcdhEs | KeyManagement::EcdhEsA256Kw,
            )
            | (Material::Rsa { .. }, KeyManagement::RsaOaep256) => true,
            (Material::P256 { .. } | Material::X25519 { .. }, KeyManagement::RsaOaep256)
            | (Material::Rsa { .. }, KeyManagement::EcdhEs | KeyManagement::EcdhEsA256Kw) => false,
        }
    }

    pub(super) fn wrap(
        &self,
        management: KeyManagement,
        content: ContentEncryption,
        random: &Random,
    ) -> Result<Wrapped, JoseError> {
        if !self.fits(management) {
            return Err(JoseError::AlgorithmDiffers);
        }
        match management {
            KeyManagement::EcdhEs => {
                let (cek, header) = self.agree(content.name(), content.key_bytes())?;
                Ok(Wrapped {
                    cek,
                    encrypted_key: Vec::new(),
                    header,
                })
            }
            KeyManagement::EcdhEsA256Kw => {
                let cek = drawn(content, random);
                let (kek, header) = self.agree(management.name(), KEK_BYTES)?;
                Ok(Wrapped {
                    encrypted_key: wrap(&kek, &cek)?,
                    cek,
                    header,
                })
            }
            KeyManagement::RsaOaep256 => {
                let cek = drawn(content, random);
                Ok(Wrapped {
                    encrypted_key: self.oaep(&cek)?,
                    cek,
                    header: Map::new(),
                })
            }
        }
    }

    /// Agrees with a key made for this one message.
    fn agree(&self, algorithm: &str, bytes: usize) -> Result<Agreed, JoseError> {
        const FAILED: JoseError = JoseError::Signing("no agreement with the key");
        let (curve, point) = self.material.point()?;
        let ephemeral = PrivateKey::generate(curve).map_err(|_| FAILED)?;
        let public = ephemeral.compute_public_key().map_err(|_| FAILED)?;
        let epk = Material::of_point(curve, public.as_ref())?.to_json();
        let derived = agree(
            &ephemeral,
            UnparsedPublicKey::new(curve, point),
            FAILED,
            |shared| concat_kdf(shared, algorithm, b"", b"", bytes),
        )?;
        Ok((derived, Map::from_iter([("epk".to_owned(), epk)])))
    }

    fn oaep(&self, cek: &Secret<Vec<u8>>) -> Result<Vec<u8>, JoseError> {
        const FAILED: JoseError = JoseError::Signing("the key does not encrypt");
        let Material::Rsa { n, e } = &self.material else {
            return Err(JoseError::AlgorithmDiffers);
        };
        let public: PublicEncryptingKey = RsaPublicKeyComponents { n, e }
            .try_into()
            .map_err(|_| FAILED)?;
        let key = OaepPublicEncryptingKey::new(public).map_err(|_| FAILED)?;
        let mut output = vec![0; key.ciphertext_size()];
        let written = key
            .encrypt(&OAEP_SHA256_MGF1SHA256, cek.expose(), &mut output, None)
            .map_err(|_| FAILED)?;
        Ok(written.to_vec())
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey")
            .field("kid", &self.kid)
            .field("type", &self.key_type())
            .finish_non_exhaustive()
    }
}

const KEK_BYTES: usize = 32;

fn drawn(content: ContentEncryption, random: &Random) -> Secret<Vec<u8>> {
    let mut cek = vec![0; content.key_bytes()];
    random.fill(&mut cek);
    Secret::new(cek)
}

/// The keys of a JWK set that are for encryption. Those for signatures are [`crate::jose::JwkSet`]'s.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncryptionKeySet(Vec<EncryptionKey>);

impl EncryptionKeySet {
    /// Reads the keys with `use` `enc` of a set; others are left alone.
    ///
    /// # Errors
    /// When it is no JWK set, is too large, or one of its encryption keys cannot be used.
    pub fn parse(bytes: &[u8]) -> Result<Self, JoseError> {
        match Self::parse_usable(bytes)? {
            (set, skipped) if skipped.is_empty() => Ok(set),
            (_, skipped) => Err(skipped
                .into_iter()
                .next()
                .map_or(JoseError::Key("it cannot be used"), |key| key.reason)),
        }
    }

    /// As [`EncryptionKeySet::parse`], but a key that cannot be used is left out and named, so that it does not take the others along (RFC 7517 §5).
    ///
    /// # Errors
    /// When it is no JWK set or is too large.
    pub fn parse_usable(bytes: &[u8]) -> Result<(Self, Vec<SkippedKey>), JoseError> {
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(JoseError::TooLong);
        }
        let members = json::object(bytes)?;
        let keys = members
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(JoseError::Json("it has no array `keys`"))?;
        if keys.len() > JWKS_KEYS_MAX {
            return Err(JoseError::TooLong);
        }
        let (mut set, mut skipped) = (Vec::new(), Vec::new());
        let for_encryption = |(_, key): &(usize, &Value)| jwk::is_for_encryption(key);
        for (position, key) in keys.iter().enumerate().filter(for_encryption) {
            match EncryptionKey::parse(key) {
                Ok(key) => set.push(key),
                Err(reason) => skipped.push(SkippedKey { position, reason }),
            }
        }
        Ok((Self(set), skipped))
    }

    /// Every key.
    pub fn iter(&self) -> impl Iterator<Item = &EncryptionKey> {
        self.0.iter()
    }

    /// The first key to which a message may be encrypted with `management`.
    #[must_use]
    pub fn find(&self, management: KeyManagement) -> Option<&EncryptionKey> {
        self.0.iter().find(|key| key.fits(management))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A private key that opens messages. Cloning it is cheap and copies no key.
#[derive(Clone)]
pub struct DecryptionKey(Arc<Inner>);

struct Inner {
    private: Private,
    public: EncryptionKey,
}

enum Private {
    Agreement(PrivateKey),
    Rsa(OaepPrivateDecryptingKey),
}

impl DecryptionKey {
    /// Takes a private key in the form of [`EncryptionKeyType::generate`].
    ///
    /// # Errors
    /// When the bytes are no key of that kind, or RSA outside 2048 to 4096 bits.
    pub fn from_private(
        key_type: EncryptionKeyType,
        kid: Kid,
        private: &Secret<Vec<u8>>,
    ) -> Result<Self, JoseError> {
        Self::for_management(key_type, kid, None, private)
    }

    /// As [`DecryptionKey::from_private`], for messages of one `alg` alone if one is given.
    ///
    /// # Errors
    /// As [`DecryptionKey::from_private`], and when a key of that kind knows no such `alg`.
    pub fn for_management(
        key_type: EncryptionKeyType,
        kid: Kid,
        management: Option<KeyManagement>,
        private: &Secret<Vec<u8>>,
    ) -> Result<Self, JoseError> {
        const REFUSED: JoseError =
            JoseError::Key("its private part is not a key of the kind that it should be");
        let bytes = private.expose();
        let (private, material) = match key_type {
            EncryptionKeyType::P256 | EncryptionKeyType::X25519 => {
                let key = if key_type == EncryptionKeyType::X25519 {
                    PrivateKey::from_private_key(&X25519, bytes)
                } else {
                    PrivateKey::from_private_key_der(&ECDH_P256, bytes)
                };
                let key = key.map_err(|_| REFUSED)?;
                let public = key.compute_public_key().map_err(|_| REFUSED)?;
                let material = Material::of_point(key.algorithm(), public.as_ref())?;
                (Private::Agreement(key), material)
            }
            EncryptionKeyType::Rsa => {
                let pair = RsaKeyPair::from_pkcs8(bytes).map_err(|_| REFUSED)?;
                let public = PublicJwk::from_rsa_der(pair.public_key().as_ref())?;
                let (n, e) = public.as_rsa().ok_or(REFUSED)?;
                let key = PrivateDecryptingKey::from_pkcs8(bytes).map_err(|_| REFUSED)?;
                let key = OaepPrivateDecryptingKey::new(key).map_err(|_| REFUSED)?;
                (
                    Private::Rsa(key),
                    Material::Rsa {
                        n: n.into(),
                        e: e.into(),
                    },
                )
            }
        };
        let public = EncryptionKey {
            material,
            kid: Some(kid),
            management,
        };
        if management.is_some_and(|management| !public.type_fits(management)) {
            return Err(JoseError::AlgorithmDiffers);
        }
        Ok(Self(Arc::new(Inner { private, public })))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &EncryptionKey {
        &self.0.public
    }

    pub(super) fn unwrap(
        &self,
        management: KeyManagement,
        content: ContentEncryption,
        agreement: Option<&Agreement>,
        encrypted_key: &[u8],
    ) -> Result<Secret<Vec<u8>>, JoseError> {
        let cek = match (&self.0.private, management, agreement) {
            (Private::Agreement(key), KeyManagement::EcdhEs, Some(agreement)) => {
                if !encrypted_key.is_empty() {
                    return Err(JoseError::Decryption);
                }
                agreed(key, agreement, content.name(), content.key_bytes())?
            }
            (Private::Agreement(key), KeyManagement::EcdhEsA256Kw, Some(agreement)) => {
                let kek = agreed(key, agreement, management.name(), KEK_BYTES)?;
                unwrap(&kek, encrypted_key)?
            }
            (Private::Rsa(key), KeyManagement::RsaOaep256, _) => opened(key, encrypted_key)?,
            (Private::Agreement(_) | Private::Rsa(_), _, _) => return Err(JoseError::Decryption),
        };
        if cek.expose().len() == content.key_bytes() {
            Ok(cek)
        } else {
            Err(JoseError::Decryption)
        }
    }
}

fn agreed(
    key: &PrivateKey,
    with: &Agreement,
    algorithm: &str,
    bytes: usize,
) -> Result<Secret<Vec<u8>>, JoseError> {
    let (curve, point) = with.ephemeral.0.point()?;
    if curve != key.algorithm() {
        return Err(JoseError::Decryption);
    }
    agree(
        key,
        UnparsedPublicKey::new(curve, point),
        JoseError::Decryption,
        |shared| concat_kdf(shared, algorithm, &with.apu, &with.apv, bytes),
    )
}

fn opened(
    key: &OaepPrivateDecryptingKey,
    encrypted_key: &[u8],
) -> Result<Secret<Vec<u8>>, JoseError> {
    let mut buffer = vec![0; key.min_output_size()];
    let opened = key
        .decrypt(&OAEP_SHA256_MGF1SHA256, encrypted_key, &mut buffer, None)
        .map(|cek| Secret::new(cek.to_vec()));
    let _wiped = Secret::new(buffer);
    opened.map_err(|_| JoseError::Decryption)
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecryptionKey({:?})", self.0.public.kid)
    }
}
