//! The schemes, each in its own file, in one list: how its head is looked at, how its keys are written, and which fields it signs in.

use super::claim::Claim;
use super::event_id::EventIdRule;
use super::hmac::{self, HmacHash, HmacRules};
use super::http_signature::{self, HttpSignatureRules};
use super::jws_detached::{self, JwsRules, JwsTime};
use super::key_text::{self, KeyError, KeyText};
use super::public_key::{self, EcdsaEncoding, PublicKeyRules};
use super::slack::UrlChallenge;
use super::{WebhookRefusal, github, shopify, slack, standard, stripe};
use crate::head::{FieldName, HeadView};
use crate::http_signature::{SIGNATURE, SIGNATURE_INPUT};
use crate::signature_key::{SignatureAlgorithm, SignatureHolds, VerificationKey};
use countersign_crypto::keypair::KeyPairAlgorithm;

/// How a source signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// GitHub.
    GitHub,
    /// HMAC by rules of the operator.
    Hmac(HmacRules),
    /// HTTP message signatures (RFC 9421).
    HttpSignature(HttpSignatureRules),
    /// A detached JWS.
    JwsDetached(JwsRules),
    /// A signature of a public key by rules of the operator.
    PublicKey(PublicKeyRules),
    /// Shopify.
    Shopify,
    /// Slack.
    Slack,
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
    SIGNATURE_INPUT,
    shopify::SIGNATURE,
    slack::SIGNATURE,
    standard::SIGNATURE,
    standard::SVIX.signature,
    stripe::SIGNATURE,
];

impl Scheme {
    /// The schemes that have no rules of their own.
    pub const FIXED: [Self; 6] = [
        Self::GitHub,
        Self::Shopify,
        Self::Slack,
        Self::StandardWebhooks,
        Self::Stripe,
        Self::Svix,
    ];

    /// The name in configuration and records.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::Hmac(_) => "hmac",
            Self::HttpSignature(_) => "http-signature",
            Self::JwsDetached(_) => "jws-detached",
            Self::PublicKey(_) => "public-key",
            Self::Shopify => "shopify",
            Self::Slack => "slack",
            Self::StandardWebhooks => "standard-webhooks",
            Self::Stripe => "stripe",
            Self::Svix => "svix",
        }
    }

    /// The scheme of that name, of those that have no rules of their own.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::FIXED.into_iter().find(|scheme| scheme.name() == name)
    }

    /// What the id of an event is where nothing else is said.
    ///
    /// The delivery ids of GitHub and Shopify are not covered by their signatures: they name the event, and the body decides whether it came before.
    #[must_use]
    pub fn event_id_default(&self) -> EventIdRule {
        let at = |pointer: &str| {
            pointer
                .parse()
                .map_or(EventIdRule::Signed, EventIdRule::Pointer)
        };
        match self {
            Self::GitHub => EventIdRule::Field(FieldName::own(github::DELIVERY)),
            Self::Shopify => EventIdRule::Field(FieldName::own(shopify::WEBHOOK_ID)),
            Self::Slack => at("/event_id"),
            Self::Stripe => at("/id"),
            Self::Hmac(_)
            | Self::HttpSignature(_)
            | Self::JwsDetached(_)
            | Self::PublicKey(_)
            | Self::StandardWebhooks
            | Self::Svix => EventIdRule::Signed,
        }
    }

    /// Whether what is signed says when. Where it does not, somebody who recorded a webhook can send it again, and only what is remembered tells.
    #[must_use]
    pub const fn signs_time(&self) -> bool {
        match self {
            Self::Hmac(rules) => rules.fields.content.is_timed(),
            Self::JwsDetached(rules) => matches!(rules.time, JwsTime::IssuedAt),
            Self::PublicKey(rules) => rules.fields.content.is_timed(),
            Self::GitHub | Self::Shopify => false,
            Self::HttpSignature(_)
            | Self::Slack
            | Self::StandardWebhooks
            | Self::Stripe
            | Self::Svix => true,
        }
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::Hmac(rules) => rules.fields.check(),
            Self::PublicKey(rules) => rules.fields.check(),
            Self::GitHub
            | Self::HttpSignature(_)
            | Self::JwsDetached(_)
            | Self::Shopify
            | Self::Slack
            | Self::StandardWebhooks
            | Self::Stripe
            | Self::Svix => Ok(()),
        }
    }

    pub(super) fn look(&self, head: &HeadView<'_>) -> Result<Claim, WebhookRefusal> {
        match self {
            Self::GitHub => github::look(head),
            Self::Hmac(rules) => hmac::look(rules, head),
            Self::HttpSignature(rules) => http_signature::look(rules, head),
            Self::JwsDetached(rules) => jws_detached::look(rules, head),
            Self::PublicKey(rules) => public_key::look(rules, head),
            Self::Shopify => shopify::look(head),
            Self::Slack => slack::look(head),
            Self::StandardWebhooks => standard::look(&standard::STANDARD, head),
            Self::Stripe => stripe::look(head),
            Self::Svix => standard::look(&standard::SVIX, head),
        }
    }

    /// The challenge that a signed body is, in the schemes that have such.
    pub(super) fn challenge(
        &self,
        holds: &SignatureHolds,
        claim: &Claim,
        body: &[u8],
    ) -> Result<Option<UrlChallenge>, WebhookRefusal> {
        match self {
            Self::Slack => slack::challenge(holds, claim, body),
            Self::GitHub
            | Self::Hmac(_)
            | Self::HttpSignature(_)
            | Self::JwsDetached(_)
            | Self::PublicKey(_)
            | Self::Shopify
            | Self::StandardWebhooks
            | Self::Stripe
            | Self::Svix => Ok(None),
        }
    }

    /// Whether senders of this scheme sign in the field, so that it is no other scheme's.
    fn is_own(&self, field: &str) -> bool {
        match self {
            Self::GitHub => matches!(field, github::SIGNATURE | github::SIGNATURE_SHA1),
            Self::Hmac(rules) => rules.fields.field.as_str() == field,
            Self::HttpSignature(_) => {
                matches!(field, SIGNATURE | SIGNATURE_INPUT)
            }
            Self::JwsDetached(rules) => rules.field.as_str() == field,
            Self::PublicKey(rules) => rules.fields.field.as_str() == field,
            Self::Shopify => field == shopify::SIGNATURE,
            Self::Slack => field == slack::SIGNATURE,
            // Senders on Svix's service may write both.
            Self::StandardWebhooks | Self::Svix => {
                field == standard::SIGNATURE || field == standard::SVIX.signature
            }
            Self::Stripe => field == stripe::SIGNATURE,
        }
    }

    /// Whether another scheme's signature is there.
    pub(super) fn other_is_there(&self, head: &HeadView<'_>) -> bool {
        SIGNATURE_FIELDS
            .iter()
            .any(|field| !self.is_own(field) && head.has(field))
    }

    pub(super) fn key(&self, text: &KeyText) -> Result<VerificationKey, KeyError> {
        let key = match self {
            Self::GitHub | Self::Shopify | Self::Slack | Self::Stripe => {
                VerificationKey::hmac_sha256(&key_text::as_it_stands(text)?)
            }
            Self::Hmac(rules) => {
                let secret = key_text::secret(text)?;
                match rules.hash {
                    HmacHash::Sha256 => VerificationKey::hmac_sha256(&secret),
                    HmacHash::Sha512 => VerificationKey::hmac_sha512(&secret),
                }
            }
            Self::HttpSignature(_) => key_text::secret_or_public(text)?,
            Self::JwsDetached(_) => key_text::public(text, |algorithm| match algorithm {
                KeyPairAlgorithm::EcdsaP256 => Some(SignatureAlgorithm::EcdsaP256Sha256),
                KeyPairAlgorithm::Ed25519 => Some(SignatureAlgorithm::Ed25519),
                KeyPairAlgorithm::Rsa2048
                | KeyPairAlgorithm::Rsa3072
                | KeyPairAlgorithm::Rsa4096 => Some(SignatureAlgorithm::RsaPssSha256),
                KeyPairAlgorithm::EcdsaP384 | KeyPairAlgorithm::EcdsaP521 => None,
            })?,
            Self::PublicKey(rules) => {
                key_text::public(text, |algorithm| match (algorithm, rules.ecdsa) {
                    (KeyPairAlgorithm::EcdsaP256, EcdsaEncoding::Asn1) => {
                        Some(SignatureAlgorithm::EcdsaP256Sha256Asn1)
                    }
                    (KeyPairAlgorithm::EcdsaP256, EcdsaEncoding::Fixed) => {
                        Some(SignatureAlgorithm::EcdsaP256Sha256)
                    }
                    (KeyPairAlgorithm::Ed25519, _) => Some(SignatureAlgorithm::Ed25519),
                    (
                        KeyPairAlgorithm::EcdsaP384
                        | KeyPairAlgorithm::EcdsaP521
                        | KeyPairAlgorithm::Rsa2048
                        | KeyPairAlgorithm::Rsa3072
                        | KeyPairAlgorithm::Rsa4096,
                        _,
                    ) => None,
                })?
            }
            Self::StandardWebhooks | Self::Svix => standard::verification_key(&text.text)?,
        };
        Ok(key.with_id(text.id.as_deref().map(Box::from)))
    }
}
