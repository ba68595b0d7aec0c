//! Public keys as JSON (RFC 7517, 7518 §6, 8037 §2) and their thumbprints (RFC 7638).
//!
//! Only public keys are read: a private member is refused, because who sends one has lost it. Coordinates have their full length and
//! integers no leading zero, so that one key has one form and one thumbprint.

use super::{Algorithm, JoseError};
use crate::{base64url, digest};
use countersign_base::Kid;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::fmt;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Bytes of the smallest and the largest RSA modulus: 2048 and 4096 bits. Below is weak; above costs the verifier too much.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// Every member that only a private or a symmetric key has.
pub(super) const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key of a kind that is known here: Ed25519, P-256 or RSA of 2048 to 4096 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicJwk(pub(super) Material);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Material {
    Ed25519 { x: [u8; 32] },
    P256 { x: [u8; 32], y: [u8; 32] },
    Rsa { n: Box<[u8]>, e: Box<[u8]> },
}

impl PublicJwk {
    /// Reads a key. Members that say nothing about the key itself (`kid`, `x5c`, unknown ones) are ignored; [`super::JwkSet`] reads `kid`.
    ///
    /// # Errors
    /// When it is no object, of an unknown type or curve, not in canonical form, RSA outside 2048 to 4096 bits, not meant for
    /// signatures (`use`, `key_ops`), or holds a private member.
    pub fn parse(value: &Value) -> Result<Self, JoseError> {
        let members = value
            .as_object()
            .ok_or(JoseError::Key("it is not a JSON object"))?;
        if PRIVATE_MEMBERS
            .iter()
            .any(|name| members.contains_key(*name))
        {
            return Err(JoseError::Key("it holds a private member"));
        }
        for_signatures(members)?;
        let material = match (
            text(members, "kty")?,
            members.get("crv").and_then(Value::as_str),
        ) {
            ("OKP", Some("Ed25519")) => Material::Ed25519 {
                x: coordinate(members, "x")?,
            },
            ("EC", Some("P-256")) => Material::P256 {
                x: coordinate(members, "x")?,
                y: coordinate(members, "y")?,
            },
            ("RSA", _) => rsa(integer(members, "n")?, integer(members, "e")?)?,
            (_, _) => {
                return Err(JoseError::Key(
                    "its type or curve is not Ed25519, P-256 or RSA",
                ));
            }
        };
        Ok(Self(material))
    }

    /// The Ed25519 key of these 32 bytes (RFC 8032 §5.1.5).
    #[must_use]
    pub const fn from_ed25519(x: [u8; 32]) -> Self {
        Self(Material::Ed25519 { x })
    }

    /// The 32 bytes, if it is an Ed25519 key.
    #[must_use]
    pub const fn as_ed25519(&self) -> Option<&[u8; 32]> {
        match &self.0 {
            Material::Ed25519 { x } => Some(x),
            Material::P256 { .. } | Material::Rsa { .. } => None,
        }
    }

    /// Modulus and exponent, if it is an RSA key.
    pub(crate) fn as_rsa(&self) -> Option<(&[u8], &[u8])> {
        match &self.0 {
            Material::Rsa { n, e } => Some((n, e)),
            Material::Ed25519 { .. } | Material::P256 { .. } => None,
        }
    }

    /// The P-256 key of an uncompressed point, as aws-lc gives it.
    pub(crate) fn from_p256_point(point: &[u8]) -> Result<Self, JoseError> {
        let coordinates = point
            .strip_prefix(&[4])
            .and_then(|rest| rest.split_at_checked(32));
        let (Some(Ok(x)), Some(Ok(y))) = (
            coordinates.map(|(x, _)| x.try_into()),
            coordinates.map(|(_, y)| y.try_into()),
        ) else {
            return Err(JoseError::Key("it is not an uncompressed point of P-256"));
        };
        Ok(Self(Material::P256 { x, y }))
    }

    /// The RSA key of a PKCS#1 `RSAPublicKey` (RFC 8017 appendix A.1.1), as aws-lc gives it.
    pub(crate) fn from_rsa_der(der: &[u8]) -> Result<Self, JoseError> {
        let parsed = der_element(der, 0x30)
            .filter(|(_, rest)| rest.is_empty())
            .and_then(|(body, _)| {
                let (n, rest) = der_element(body, 0x02)?;
                let (e, rest) = der_element(rest, 0x02)?;
                rest.is_empty().then_some((n, e))
            });
        let (n, e) = parsed.ok_or(JoseError::Key("it is not an RSA public key in DER"))?;
        let unsigned = |integer: &[u8]| integer.strip_prefix(&[0]).unwrap_or(integer).into();
        rsa(unsigned(n), unsigned(e)).map(Self)
    }

    /// The one key in PEM text, as `PUBLIC KEY` (RFC 7468 §13).
    ///
    /// # Errors
    /// When it is none, or of a kind that is not known here.
    pub fn from_pem(pem: &[u8]) -> Result<Self, JoseError> {
        let refused = |()| JoseError::Key("it is no public key in PEM");
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| refused(()))?;
        let (rest, spki) = SubjectPublicKeyInfo::from_der(der.as_ref()).map_err(|_| refused(()))?;
        if !rest.is_empty() {
            return Err(refused(()));
        }
        let algorithm = spki.algorithm.algorithm.to_id_string();
        Self::from_spki(&algorithm, &spki.subject_public_key.data)
    }

    /// The key in a certificate: the algorithm identifier of its `SubjectPublicKeyInfo`, as an object identifier, and the bits of the key.
    pub(crate) fn from_spki(algorithm: &str, bits: &[u8]) -> Result<Self, JoseError> {
        match algorithm {
            "1.2.840.10045.2.1" => Self::from_p256_point(bits),
            "1.2.840.113549.1.1.1" => Self::from_rsa_der(bits),
            "1.3.101.112" => bits
                .try_into()
                .map(Self::from_ed25519)
                .map_err(|_| JoseError::Key("it is not an Ed25519 key")),
            _ => Err(JoseError::Key(
                "its type or curve is not Ed25519, P-256 or RSA",
            )),
        }
    }

    /// The required members alone, in the order of their names.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let b64 = base64url::encode;
        match &self.0 {
            Material::Ed25519 { x } => json!({ "crv": "Ed25519", "kty": "OKP", "x": b64(x) }),
            Material::P256 { x, y } => {
                json!({ "crv": "P-256", "kty": "EC", "x": b64(x), "y": b64(y) })
            }
            Material::Rsa { n, e } => json!({ "e": b64(e), "kty": "RSA", "n": b64(n) }),
        }
    }

    /// The key as a JWK set publishes it: with `kid`, `alg` and `use`.
    #[must_use]
    pub fn to_published_json(&self, kid: &Kid, algorithm: Algorithm) -> Value {
        let mut value = self.to_json();
        if let Value::Object(members) = &mut value {
            members.insert("alg".to_owned(), Value::from(algorithm.name()));
            members.insert("kid".to_owned(), Value::from(kid.as_str()));
            members.insert("use".to_owned(), Value::from("sig"));
        }
        value
    }

    /// The SHA-256 of the required members in their canonical form (RFC 7638 §3).
    #[must_use]
    pub fn thumbprint(&self) -> JwkThumbprint {
        let b64 = base64url::encode;
        // Written out rather than serialized: the order of the members is part of the value.
        let canonical = match &self.0 {
            Material::Ed25519 { x } => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64(x))
            }
            Material::P256 { x, y } => format!(
                r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
                b64(x),
                b64(y)
            ),
            Material::Rsa { n, e } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, b64(e), b64(n))
            }
        };
        JwkThumbprint(digest::sha256(canonical.as_bytes()))
    }

    /// Whether signatures of `algorithm` can be made with a key of this type.
    #[must_use]
    pub const fn fits(&self, algorithm: Algorithm) -> bool {
        match (&self.0, algorithm) {
            (Material::Ed25519 { .. }, Algorithm::EdDsa)
            | (Material::P256 { .. }, Algorithm::Es256)
            | (Material::Rsa { .. }, Algorithm::Ps256 | Algorithm::Rs256) => true,
            (Material::Ed25519 { .. } | Material::P256 { .. } | Material::Rsa { .. }, _) => false,
        }
    }
}

fn for_signatures(members: &Map<String, Value>) -> Result<(), JoseError> {
    match members.get("use") {
        None => {}
        Some(Value::String(usage)) if usage == "sig" => {}
        Some(_) => return Err(JoseError::Key("its `use` is not `sig`")),
    }
    match members.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations))
            if operations.iter().any(|operation| operation == "verify") =>
        {
            Ok(())
        }
        Some(_) => Err(JoseError::Key("its `key_ops` does not name `verify`")),
    }
}

/// Whether a key of a set says that it is for encryption: then it is no key of signatures, and no mistake either.
pub(super) fn is_for_encryption(value: &Value) -> bool {
    value.get("use").and_then(Value::as_str) == Some("enc")
}

/// Modulus and exponent.
pub(super) type RsaNumbers = (Box<[u8]>, Box<[u8]>);

/// Modulus and exponent of an RSA key of 2048 to 4096 bits.
pub(super) fn rsa_numbers(members: &Map<String, Value>) -> Result<RsaNumbers, JoseError> {
    match rsa(integer(members, "n")?, integer(members, "e")?)? {
        Material::Rsa { n, e } => Ok((n, e)),
        Material::Ed25519 { .. } | Material::P256 { .. } => Err(JoseError::AlgorithmDiffers),
    }
}

fn rsa(n: Box<[u8]>, e: Box<[u8]>) -> Result<Material, JoseError> {
    let bits = n
        .first()
        .map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if bits < 2048 || !RSA_MODULUS_BYTES.contains(&n.len()) {
        return Err(JoseError::Key(
            "its RSA modulus is not of 2048 to 4096 bits",
        ));
    }
    let odd = |integer: &[u8]| integer.last().is_some_and(|last| last & 1 == 1);
    if !odd(&n) || !odd(&e) || e.len() > 4 || *e == [1] {
        return Err(JoseError::Key(
            "its RSA modulus or exponent is not one of a key",
        ));
    }
    Ok(Material::Rsa { n, e })
}

pub(super) fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, JoseError> {
    members
        .get(name)
        .and_then(Value::as_str)
        .ok_or(JoseError::Key(
            "a required member is missing or not a string",
        ))
}

pub(super) fn coordinate(members: &Map<String, Value>, name: &str) -> Result<[u8; 32], JoseError> {
    base64url::decode_array(text(members, name)?)
        .map_err(|_| JoseError::Key("a coordinate is not 32 bytes in base64url"))
}

fn integer(members: &Map<String, Value>, name: &str) -> Result<Box<[u8]>, JoseError> {
    match base64url::decode(text(members, name)?) {
        Ok(bytes) if bytes.first().is_some_and(|first| *first != 0) => Ok(bytes.into()),
        Ok(_) | Err(_) => Err(JoseError::Key(
            "an integer is not base64url without leading zeros",
        )),
    }
}

/// The content of a DER element with `tag`, and what follows it.
fn der_element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = der.strip_prefix(&[tag])?.split_first()?;
    match length {
        0..=0x7f => rest.split_at_checked(usize::from(*length)),
        0x81 => rest
            .split_first()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(*length))),
        0x82 => rest.split_first_chunk().and_then(|(length, rest)| {
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        }),
        _ => None,
    }
}

impl Serialize for PublicJwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicJwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for PublicJwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicJwk({})", self.thumbprint())
    }
}

/// The thumbprint of a public key (RFC 7638 with SHA-256): `jkt` of RFC 9449 §6.1. Written as base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JwkThumbprint([u8; 32]);

base64url::digest_text!(JwkThumbprint);

impl JwkThumbprint {
    /// Of a key on Curve25519, which signs nothing and so is no [`PublicJwk`] (RFC 8037 §2).
    pub(super) fn of_x25519(x: &[u8; 32]) -> Self {
        let x = base64url::encode(x);
        let canonical = format!(r#"{{"crv":"X25519","kty":"OKP","x":"{x}"}}"#);
        Self(digest::sha256(canonical.as_bytes()))
    }
}

#[cfg(test)]
mod tests;
