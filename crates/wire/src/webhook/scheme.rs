//! The schemes, each in its own file, in one list: how its head is looked at, how its keys are written, and which fields it signs in.

use super::claim::Claim;
use super::standard::{self, SecretError};
use super::{WebhookRefusal, github, stripe};
use crate::head::HeadView;
use crate::signature_key::VerificationKey;
use countersign_base::Secret;
use std::fmt;

/// How a source signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// GitHub.
    GitHub,
    /// Standard Webhooks.
    StandardWebhooks,
    /// Stripe.
    Stripe,
    /// Standard Webhooks under the names of Svix.
    Svix,
}

/// Every field that carries a signature of one of the schemes with fixed names.
const SIGNATURE_FIELDS: &[&str] = &[
    github::SIGNATURE,
    github::SIGNATURE_SHA1,
    standard::SIGNATURE,
    standard::SVIX.signature,
    stripe::SIGNATURE,
];

impl Scheme {
    /// The name in configuration and records.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::StandardWebhooks => "standard-webhooks",
            Self::Stripe => "stripe",
            Self::Svix => "svix",
        }
    }

    /// The scheme of that name, of those that have no rules of their own.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::GitHub,
            Self::StandardWebhooks,
            Self::Stripe,
            Self::Svix,
        ]
        .into_iter()
        .find(|scheme| scheme.name() == name)
    }

    /// What the id of an event is where nothing else is said.
    ///
    /// GitHub's delivery id is not covered by its signature: it names the event, and the body decides whether it came before.
    #[must_use]
    pub fn event_id_default(&self) -> super::EventIdRule {
        match self {
            Self::GitHub => super::EventIdRule::Field(github::DELIVERY.to_owned()),
            Self::Stripe => "/id"
                .parse()
                .map_or(super::EventIdRule::Signed, super::EventIdRule::Pointer),
            Self::StandardWebhooks | Self::Svix => super::EventIdRule::Signed,
        }
    }

    pub(super) fn look(&self, head: &HeadView<'_>) -> Result<Claim, WebhookRefusal> {
        match self {
            Self::GitHub => github::look(head),
            Self::StandardWebhooks => standard::look(&standard::STANDARD, head),
            Self::Stripe => stripe::look(head),
            Self::Svix => standard::look(&standard::SVIX, head),
        }
    }

    /// The fields in which senders of this scheme sign, so that they are no other scheme's.
    fn own_fields(&self) -> &[&str] {
        match self {
            Self::GitHub => &[github::SIGNATURE, github::SIGNATURE_SHA1],
            // Senders on Svix's service may write both.
            Self::StandardWebhooks | Self::Svix => &[standard::SIGNATURE, standard::SVIX.signature],
            Self::Stripe => &[stripe::SIGNATURE],
        }
    }

    /// Whether another scheme's signature is there.
    pub(super) fn other_is_there(&self, head: &HeadView<'_>) -> bool {
        let own = self.own_fields();
        SIGNATURE_FIELDS
            .iter()
            .any(|field| !own.contains(field) && head.has(field))
    }

    pub(super) fn key(&self, text: &KeyText) -> Result<VerificationKey, KeyError> {
        let key = match self {
            Self::GitHub | Self::Stripe => VerificationKey::hmac_sha256(&bytes_of(&text.text)?),
            Self::StandardWebhooks | Self::Svix => standard::verification_key(&text.text)?,
        };
        Ok(key.with_id(text.id.as_deref().map(Box::from)))
    }
}

/// A key as it is configured.
pub struct KeyText {
    /// The name by which the sender calls it, in the schemes where keys have names.
    pub id: Option<String>,
    /// The key in the scheme's form. Of Stripe, GitHub, Slack and Shopify the secret as they show it, used as it stands.
    pub text: Secret<String>,
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyText")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn bytes_of(text: &Secret<String>) -> Result<Secret<Vec<u8>>, KeyError> {
    let text = text.expose();
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if text.trim().len() < text.len() {
        return Err(KeyError::Space);
    }
    Ok(Secret::new(text.as_bytes().to_vec()))
}

/// Why a text is no key of a scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is nothing.
    #[error("the secret is empty")]
    Empty,
    /// White space around it, which would be part of the key.
    #[error("the secret begins or ends with white space: take the line end away")]
    Space,
    /// Not a secret of Standard Webhooks.
    #[error(transparent)]
    Standard(#[from] SecretError),
}
