//! Messages between partners: what was received, with the receipt that was given, and what was sent.
//!
//! Digests stand for contents, and a message's name is its writer's: neither is personal data. Both sides keep the same two digests, so that an auditor can lay one
//! log beside the other.

use super::decision::Verdict;
use crate::text::{Code, Digest, Text};
use serde::{Deserialize, Serialize};

/// A partner's message was taken, or refused. Of a refused one, what is known of it depends on how far it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageReceived {
    /// Digest of the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<Digest>,
    /// Whether it was taken.
    pub decision: Verdict,
    /// How it came: `signed`, `detached` or `sealed`.
    pub form: Code,
    /// The partner's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Text<128>>,
    /// The message's name (`jti`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Text<128>>,
    /// Digest of the signed message without its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_sha256: Option<Digest>,
    /// From whom, as the configuration names them.
    pub partner: Text<64>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// Digest of the receipt that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_sha256: Option<Digest>,
    /// Where it came in.
    pub route: Text<64>,
}

/// A message was made for a partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageSent {
    /// Digest of the content.
    pub content_sha256: Digest,
    /// How it goes: `signed`, `detached` or `sealed`.
    pub form: Code,
    /// The key that it was signed with.
    pub key: Text<128>,
    /// The message's name (`jti`).
    pub message: Text<128>,
    /// Digest of the signed message without its content.
    pub message_sha256: Digest,
    /// To whom, as the configuration names them.
    pub partner: Text<64>,
    /// Where it goes out.
    pub route: Text<64>,
}
