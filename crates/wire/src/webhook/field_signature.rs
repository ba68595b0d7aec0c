//! A signature in one field of the operator's naming: what the generic schemes with a secret and with a public key share.
//!
//! Either the field holds one signature behind a prefix, and a time that is signed stands in a field of its own; or it holds both, as Stripe writes them. A
//! time that is not signed is not looked at: anybody could have moved it.

use super::WebhookRefusal;
use super::claim::{
    Claim, ClaimedSignature, Covered, base64, hex, signature_field, timestamp_field,
};
use super::stripe;
use crate::head::{FieldName, HeadView};

/// Where a signature stands and what it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRules {
    /// The field.
    pub field: FieldName,
    /// How the bytes of the signature are written.
    pub encoding: Encoding,
    /// What stands before it, as `sha256=` does at GitHub; often nothing.
    pub prefix: String,
    /// What is signed.
    pub content: Content,
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Base64 with padding.
    Base64,
    /// Hexadecimal digits.
    Hex,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The body alone.
    Body,
    /// The time of the attempt in seconds, a separator, and the body.
    Timed {
        /// Between time and body.
        separator: Separator,
        /// Where the time stands.
        time: TimePlace,
    },
}

impl Content {
    pub(super) const fn is_timed(&self) -> bool {
        match self {
            Self::Body => false,
            Self::Timed { .. } => true,
        }
    }
}

/// What stands between the time and the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// Nothing. Digits cannot wander from the body into the time, because the time would then be centuries away.
    Nothing,
}

impl Separator {
    pub(super) const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Comma => b",",
            Self::Dot => b".",
            Self::Nothing => b"",
        }
    }
}

/// Where the time of an attempt stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimePlace {
    /// In a field of its own.
    Field(FieldName),
    /// In the field of the signature, which is then `t=<seconds>,v1=<signature>[,v1=<signature>…]`.
    Signature,
}

impl FieldRules {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        match &self.content {
            Content::Timed {
                time: TimePlace::Signature,
                ..
            } if !self.prefix.is_empty() => {
                Err("a signature field of the form `t=…,v1=…` has no prefix before it")
            }
            Content::Timed {
                time: TimePlace::Field(field),
                ..
            } if *field == self.field => {
                Err("time and signature stand in the same field only in the form `t=…,v1=…`")
            }
            Content::Body | Content::Timed { .. } => Ok(()),
        }
    }

    /// `make` judges the bytes of a signature.
    pub(super) fn look(
        &self,
        head: &HeadView<'_>,
        make: impl Fn(Vec<u8>) -> Result<ClaimedSignature, WebhookRefusal>,
    ) -> Result<Claim, WebhookRefusal> {
        let value = signature_field(head, self.field.as_str())?;
        let read = |text: &str| match self.encoding {
            Encoding::Base64 => make(base64(text)?),
            Encoding::Hex => make(hex(text)?),
        };
        if let Content::Timed {
            separator,
            time: TimePlace::Signature,
        } = &self.content
        {
            return stripe::timed(value, separator.as_bytes(), read);
        }
        let signature = value
            .strip_prefix(self.prefix.as_str())
            .ok_or(WebhookRefusal::SignatureMalformed)?;
        let signatures = vec![read(signature)?];
        let (before, timestamp) = match &self.content {
            Content::Timed {
                separator,
                time: TimePlace::Field(field),
            } => {
                let (written, timestamp) = timestamp_field(head, field.as_str())?;
                let before = [written.as_bytes(), separator.as_bytes()].concat();
                (before, Some(timestamp))
            }
            Content::Body | Content::Timed { .. } => (Vec::new(), None),
        };
        Ok(Claim {
            covered: Covered::Body { before },
            signatures,
            timestamp,
            expires: None,
            id: None,
        })
    }
}
