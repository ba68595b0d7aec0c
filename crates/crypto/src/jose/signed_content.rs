//! Any content under a signature in the compact form (RFC 7515 §7.1), and content that travels beside it (appendix F).
//!
//! What the signer states about the content stands in the protected header, because the payload is the content itself. Everything is bounded before it is looked
//! at: the whole by what its reader says, and the header by a bound of its own, since it is taken apart before any key is known. The content comes out by the check of the signature alone.
//!
//! A header may make statements critical that its reader says to understand (RFC 7515 §4.1.11), and nothing else.
//!
//! Not here: what the statements mean, and unencoded payloads (`b64`, RFC 7797), which are refused with every other extension.

use super::{
    Claims, HEADER_BYTES_MAX, Header, JoseError, SignatureHolds, VerifyingKey, critical, json,
};
use crate::base64url;
use crate::signing::{ContentPurpose, SigningKey};
use crate::verified::{Unverified, Verified};
use serde_json::{Map, Value};
use std::fmt;

/// Where the content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentForm {
    /// In the middle part, as base64url.
    Attached,
    /// Beside the signature, whose middle part is empty (RFC 7515 appendix F).
    Detached,
}

/// A signed content in its parts.
pub struct SignedContent {
    /// Header and content as they were signed, with the dot between them.
    signed: Box<str>,
    header: Header,
    statements: Claims,
    content: Vec<u8>,
    signature: Vec<u8>,
}

impl SignedContent {
    /// Reads the form that holds its content, by a reader that understands these members of the header. Nothing of it is believed yet.
    ///
    /// # Errors
    /// When it is longer than `bytes_max`, its header longer than 32 KiB, not three parts of base64url, holds no content, its header is no strict JSON object, its
    /// algorithm is unknown, or its header uses `b64` or `zip`, or `crit` for anything that it has not or that is not `understood`.
    pub fn parse(
        text: &str,
        understood: &[&str],
        bytes_max: usize,
    ) -> Result<Unverified<Self>, JoseError> {
        if text.len() > bytes_max {
            return Err(JoseError::TooLong);
        }
        let (header, content, signature) = parts(text)?;
        if content.is_empty() {
            return Err(JoseError::Parts);
        }
        let decoded = base64url::decode(content).map_err(|_| JoseError::Base64Url)?;
        let signed = format!("{header}.{content}");
        Self::read(signed, (header, understood), decoded, signature)
    }

    /// Reads the form whose content is beside it.
    ///
    /// # Errors
    /// As [`SignedContent::parse`], and when the text holds a content of its own: then there would be two.
    pub fn parse_detached(
        text: &str,
        content: &[u8],
        understood: &[&str],
        bytes_max: usize,
    ) -> Result<Unverified<Self>, JoseError> {
        if text.len() > bytes_max || content.len() > bytes_max {
            return Err(JoseError::TooLong);
        }
        let (header, middle, signature) = parts(text)?;
        if !middle.is_empty() || content.is_empty() {
            return Err(JoseError::Parts);
        }
        let mut signed = format!("{header}.");
        base64url::append(content, &mut signed);
        Self::read(signed, (header, understood), content.to_vec(), signature)
    }

    fn read(
        signed: String,
        (header, understood): (&str, &[&str]),
        content: Vec<u8>,
        signature: &str,
    ) -> Result<Unverified<Self>, JoseError> {
        if header.len() > HEADER_BYTES_MAX {
            return Err(JoseError::TooLong);
        }
        let part = |text: &str| base64url::decode(text).map_err(|_| JoseError::Base64Url);
        let members = json::object(&part(header)?)?;
        Ok(Unverified::new(Self {
            signed: signed.into(),
            header: Header::from_members_understanding(understood, &members)?,
            statements: Claims::new(members),
            content,
            signature: part(signature)?,
        }))
    }

    /// The protected header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Every member of the protected header, to be read as claims are.
    #[must_use]
    pub const fn statements(&self) -> &Claims {
        &self.statements
    }

    /// The content.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The content, to keep.
    #[must_use]
    pub fn into_content(self) -> Vec<u8> {
        self.content
    }
}

impl Unverified<SignedContent> {
    /// The protected header: which key is needed, and what it says to be.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.inner().header
    }

    /// The statements as they were sent, believed by nobody. For learning whose key is due, and for nothing else.
    #[must_use]
    pub const fn danger_unverified_claims(&self) -> &Claims {
        &self.inner().statements
    }

    /// The content and its statements, after the signature was checked with `key`.
    ///
    /// # Errors
    /// When the header names another algorithm than the key's, another `kid` than the key's (if both have one), or the signature does not hold.
    pub fn verify(self, key: &VerifyingKey) -> Result<Verified<SignedContent>, JoseError> {
        let holds = self.check(key)?;
        Ok(Verified::new(self.into_inner(), holds))
    }

    fn check(&self, key: &VerifyingKey) -> Result<SignatureHolds, JoseError> {
        let content = self.inner();
        content
            .header
            .check(key, content.signed.as_bytes(), &content.signature)
    }
}

/// Header, content and signature.
fn parts(text: &str) -> Result<(&str, &str, &str), JoseError> {
    let mut parts = text.split('.');
    let mut next = || parts.next().ok_or(JoseError::Parts);
    let found = (next()?, next()?, next()?);
    match parts.next() {
        None => Ok(found),
        Some(_) => Err(JoseError::Parts),
    }
}

/// Signs a content with what is stated about it. `alg`, `typ` and `kid` come from the key and its purpose, whatever `statements` say. `crit` may name other
/// statements: a reader that knows them not refuses the whole.
///
/// # Errors
/// When the content is empty (an empty middle part says that it is elsewhere), a statement would change what is signed, `crit` names what is not stated, or signing fails.
pub fn sign_content<P: ContentPurpose>(
    key: &SigningKey<P>,
    statements: Map<String, Value>,
    content: &[u8],
    form: ContentForm,
) -> Result<String, JoseError> {
    if content.is_empty() {
        return Err(JoseError::Signing("the content is empty"));
    }
    let mut header = statements;
    if let Some(extension) = ["b64", "zip"]
        .into_iter()
        .find(|name| header.contains_key(*name))
    {
        return Err(JoseError::Extension(extension));
    }
    critical::hold(&header, critical::is_own)?;
    header.insert("alg".to_owned(), key.algorithm().name().into());
    header.insert("kid".to_owned(), key.kid().as_str().into());
    if let Some(typ) = P::TYP {
        header.insert("typ".to_owned(), typ.into());
    }
    let mut text = base64url::encode(Value::Object(header).to_string().as_bytes());
    let header_bytes = text.len();
    text.push('.');
    base64url::append(content, &mut text);
    let signature = key
        .sign(text.as_bytes())
        .map_err(|_| JoseError::Signing("the key does not sign"))?;
    if form == ContentForm::Detached {
        text.truncate(header_bytes.saturating_add(1));
    }
    text.push('.');
    base64url::append(&signature, &mut text);
    Ok(text)
}

impl fmt::Debug for SignedContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedContent")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
