//! JSON Web Encryption in the compact form (RFC 7516 §7.1), read and written strictly.
//!
//! Whoever reads names what they accept ([`JweRules`]); everything else is refused before any key is touched, so that a header cannot choose its cost.
//! Compression (`zip`), passwords (PBES2), direct keys (`dir`), RSA 1.5 and critical extensions do not exist here. A message that does not open gives one
//! error, whatever was wrong with it.
//!
//! Decrypting proves nothing about who wrote the message: what comes out is bytes, and a signature inside them is the next step's to check.
//!
//! Not here: the JSON serializations, symmetric keys, several recipients.

mod agreement;
mod content;
mod key;
mod management;

pub use content::ContentEncryption;
pub use key::{DecryptionKey, EncryptionKey, EncryptionKeySet, EncryptionKeyType};
pub use management::KeyManagement;

use super::{HEADER_BYTES_MAX, JoseError, json};
use crate::base64url;
use crate::random::Random;
use countersign_base::{Kid, Secret, limits};
use key::Ephemeral;
use serde_json::{Map, Value};
use std::fmt;

/// Keys tried for a message that names none.
const KEYS_TRIED_MAX: usize = 4;

/// Members that would change what a message is or costs: a header with one of them is not read.
const EXTENSIONS: [&str; 5] = ["crit", "b64", "zip", "p2c", "p2s"];

/// What a reader accepts.
#[derive(Debug, Clone, Copy)]
pub struct JweRules<'a> {
    /// Values of `alg`.
    pub key_management: &'a [KeyManagement],
    /// Values of `enc`.
    pub content: &'a [ContentEncryption],
}

/// An encrypted message in its parts, none of which was opened.
pub struct Jwe {
    /// The header as it was sent: the additional data of the content's encryption.
    encoded_header: Box<str>,
    header: JweHeader,
    encrypted_key: Vec<u8>,
    iv: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

struct JweHeader {
    management: KeyManagement,
    content: ContentEncryption,
    kid: Option<Kid>,
    typ: Option<Box<str>>,
    cty: Option<Box<str>>,
    agreement: Option<Agreement>,
}

/// What the header adds to a key agreement (RFC 7518 §4.6.1).
struct Agreement {
    ephemeral: Ephemeral,
    apu: Vec<u8>,
    apv: Vec<u8>,
}

/// Whether a text has the five parts of an encrypted message. Says nothing about whether it is one.
#[must_use]
pub fn is_jwe(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 4
}

impl Jwe {
    /// Reads a message. No key is used, and nothing is derived.
    ///
    /// # Errors
    /// When it is longer than [`limits::TOKEN_BYTES_MAX`], not five parts of base64url, its header is no strict JSON object, or it uses an algorithm outside
    /// `rules` or an extension.
    pub fn parse(text: &str, rules: &JweRules<'_>) -> Result<Self, JoseError> {
        Self::parse_within(text, rules, limits::TOKEN_BYTES_MAX)
    }

    /// As [`Jwe::parse`], for a message that may be longer than a token; its header has at most 32 KiB.
    ///
    /// # Errors
    /// As [`Jwe::parse`], with `bytes_max` as the greatest length.
    pub fn parse_within(
        text: &str,
        rules: &JweRules<'_>,
        bytes_max: usize,
    ) -> Result<Self, JoseError> {
        if text.len() > bytes_max {
            return Err(JoseError::TooLong);
        }
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(JoseError::Parts);
        let (header, key, iv, ciphertext, tag) = (next()?, next()?, next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(JoseError::Parts);
        }
        if header.len() > HEADER_BYTES_MAX {
            return Err(JoseError::TooLong);
        }
        let part = |text: &str| base64url::decode(text).map_err(|_| JoseError::Base64Url);
        Ok(Self {
            header: JweHeader::parse(&part(header)?, rules)?,
            encoded_header: header.into(),
            encrypted_key: part(key)?,
            iv: part(iv)?,
            ciphertext: part(ciphertext)?,
            tag: part(tag)?,
        })
    }

    /// `alg`.
    #[must_use]
    pub const fn key_management(&self) -> KeyManagement {
        self.header.management
    }

    /// `enc`.
    #[must_use]
    pub const fn content_encryption(&self) -> ContentEncryption {
        self.header.content
    }

    /// `kid`.
    #[must_use]
    pub const fn kid(&self) -> Option<&Kid> {
        self.header.kid.as_ref()
    }

    /// Whether `cty` says that a JWT is inside, or says nothing (RFC 7519 §5.2).
    #[must_use]
    pub fn may_hold_jwt(&self) -> bool {
        self.header.cty.as_deref().is_none_or(|cty| {
            cty.eq_ignore_ascii_case("JWT") || cty.eq_ignore_ascii_case("application/jwt")
        })
    }

    /// `typ` as it was sent.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.header.typ.as_deref()
    }

    /// `cty` as it was sent: what is inside.
    #[must_use]
    pub fn cty(&self) -> Option<&str> {
        self.header.cty.as_deref()
    }

    /// The content, opened with the key that the header names, or with the first that fits if it names none.
    ///
    /// # Errors
    /// [`JoseError::Decryption`], whatever the reason.
    pub fn decrypt<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k DecryptionKey>,
    ) -> Result<Secret<Vec<u8>>, JoseError> {
        keys.into_iter()
            .filter(|key| key.public().fits(self.header.management))
            .filter(|key| {
                self.header
                    .kid
                    .as_ref()
                    .is_none_or(|kid| key.public().kid() == Some(kid))
            })
            .take(KEYS_TRIED_MAX)
            .find_map(|key| self.decrypt_with(key).ok())
            .ok_or(JoseError::Decryption)
    }

    fn decrypt_with(&self, key: &DecryptionKey) -> Result<Secret<Vec<u8>>, JoseError> {
        let unwrapped = key.unwrap(
            self.header.management,
            self.header.content,
            self.header.agreement.as_ref(),
            &self.encrypted_key,
        );
        // A key that does not unwrap is replaced, so that the time tells nothing of where it failed (RFC 7516 §11.5); the outcome stays a refusal.
        let (cek, unwrapped) = match unwrapped {
            Ok(cek) => (cek, true),
            Err(_) => (Secret::new(vec![0; self.header.content.key_bytes()]), false),
        };
        let opened = self.header.content.open(
            &cek,
            &self.iv,
            self.encoded_header.as_bytes(),
            &self.ciphertext,
            &self.tag,
        );
        match (opened, unwrapped) {
            (Ok(plaintext), true) => Ok(plaintext),
            (Ok(_) | Err(_), _) => Err(JoseError::Decryption),
        }
    }
}

impl fmt::Debug for Jwe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwe")
            .field("alg", &self.header.management)
            .field("enc", &self.header.content)
            .finish_non_exhaustive()
    }
}

impl JweHeader {
    fn parse(bytes: &[u8], rules: &JweRules<'_>) -> Result<Self, JoseError> {
        let members = json::object(bytes)?;
        for extension in EXTENSIONS {
            if members.contains_key(extension) {
                return Err(JoseError::Extension(extension));
            }
        }
        let management = text(&members, "alg")?
            .and_then(KeyManagement::from_name)
            .filter(|management| rules.key_management.contains(management))
            .ok_or(JoseError::Encryption("alg"))?;
        let content = text(&members, "enc")?
            .and_then(ContentEncryption::from_name)
            .filter(|content| rules.content.contains(content))
            .ok_or(JoseError::Encryption("enc"))?;
        let kid = match text(&members, "kid")? {
            Some(kid) => Some(kid.parse().map_err(|_| JoseError::Header("kid"))?),
            None => None,
        };
        let typ = text(&members, "typ")?.map(Box::from);
        let cty = text(&members, "cty")?.map(Box::from);
        let agreement = management
            .agrees()
            .then(|| agreement(&members))
            .transpose()?;
        Ok(Self {
            management,
            content,
            kid,
            typ,
            cty,
            agreement,
        })
    }
}

fn agreement(members: &Map<String, Value>) -> Result<Agreement, JoseError> {
    let party = |name: &'static str| match text(members, name)? {
        None => Ok(Vec::new()),
        Some(party) => base64url::decode(party).map_err(|_| JoseError::Header(name)),
    };
    let ephemeral = members.get("epk").ok_or(JoseError::Header("epk"))?;
    Ok(Agreement {
        ephemeral: Ephemeral::parse(ephemeral).map_err(|_| JoseError::Header("epk"))?,
        apu: party("apu")?,
        apv: party("apv")?,
    })
}

fn text<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, JoseError> {
    match members.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(JoseError::Header(name)),
    }
}

/// Encrypts a JWT for whoever holds the private half of `key` (RFC 7519 §5.2: `cty` is `JWT`).
///
/// # Errors
/// When the key does not fit the algorithm, or aws-lc fails.
pub fn encrypt_jwt(
    jwt: &Secret<String>,
    key: &EncryptionKey,
    management: KeyManagement,
    content: ContentEncryption,
    random: &Random,
) -> Result<String, JoseError> {
    let labels = Labels {
        typ: None,
        cty: "JWT",
    };
    let plaintext = jwt.expose().as_bytes();
    encrypt_content(plaintext, labels, key, management, content, random)
}

/// What the header of an encrypted message says about it.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// `typ`: what the whole is. None for a token, whose place says so.
    pub typ: Option<&'a str>,
    /// `cty`: what is inside.
    pub cty: &'a str,
}

/// Encrypts any content for whoever holds the private half of `key`. It is never compressed.
///
/// # Errors
/// When the key does not fit the algorithm, or aws-lc fails.
pub fn encrypt_content(
    plaintext: &[u8],
    labels: Labels<'_>,
    key: &EncryptionKey,
    management: KeyManagement,
    content: ContentEncryption,
    random: &Random,
) -> Result<String, JoseError> {
    let wrapped = key.wrap(management, content, random)?;
    let mut header = wrapped.header;
    header.insert("alg".to_owned(), management.name().into());
    header.insert("enc".to_owned(), content.name().into());
    header.insert("cty".to_owned(), labels.cty.into());
    if let Some(typ) = labels.typ {
        header.insert("typ".to_owned(), typ.into());
    }
    if let Some(kid) = key.kid() {
        header.insert("kid".to_owned(), kid.as_str().into());
    }
    let mut message = base64url::encode(Value::Object(header).to_string().as_bytes());
    let sealed = content.seal(&wrapped.cek, message.as_bytes(), plaintext, random)?;
    for part in [
        &wrapped.encrypted_key,
        &sealed.iv,
        &sealed.ciphertext,
        &sealed.tag,
    ] {
        message.push('.');
        base64url::append(part, &mut message);
    }
    Ok(message)
}

#[cfg(test)]
mod tests;
