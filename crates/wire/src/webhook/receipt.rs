//! The evidence that a webhook was signed by its source.

use super::claim::Claim;
use super::event_id::{EventId, Identity};
use crate::signature_key::SignatureHolds;
use countersign_base::UnixTime;
use countersign_crypto::base64url;
use countersign_crypto::digest::{sha256, sha256_parts};

/// A webhook that its source signed: made by [`super::Source::verify`], beside the comparison, and by nothing else.
///
/// It says nothing of whether the same came before: that is the store's to find out, by [`Receipt::identity`] and [`Receipt::attempt`].
#[derive(Debug)]
#[must_use]
pub struct Receipt {
    scheme: &'static str,
    event_id: String,
    identity: [u8; 32],
    attempt: [u8; 32],
    body_digest: [u8; 32],
    timestamp: Option<UnixTime>,
}

impl Receipt {
    /// The evidence is taken, so that none is used for two things.
    pub(super) fn new(
        _holds: SignatureHolds,
        scheme: &'static str,
        claim: &Claim,
        body: &[u8],
        id: EventId,
    ) -> Self {
        let body_digest = sha256(body);
        let attempt = attempt(scheme, claim, &body_digest);
        let (event_id, identity) = match (id.text, id.identity) {
            (Some(text), Identity::Id) => {
                let identity = sha256(text.as_bytes());
                (text, identity)
            }
            (text, Identity::Id | Identity::Signed) => {
                (text.unwrap_or_else(|| base64url::encode(&attempt)), attempt)
            }
        };
        Self {
            scheme,
            event_id,
            identity,
            attempt,
            body_digest,
            timestamp: claim.timestamp,
        }
    }

    /// The name of the scheme.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The id of the event: 1 to 255 visible ASCII characters, for records and for whom the event is passed on to.
    #[must_use]
    pub fn event_id(&self) -> &str {
        &self.event_id
    }

    /// What tells a new event of this source from an old one: the digest of the id where the signature covers it, else [`Receipt::attempt`].
    #[must_use]
    pub const fn identity(&self) -> &[u8; 32] {
        &self.identity
    }

    /// The digest of what was signed, with the scheme and the timestamp: the same for the very same attempt, whatever its signature bytes are, and another for a
    /// resend that was signed anew.
    #[must_use]
    pub const fn attempt(&self) -> &[u8; 32] {
        &self.attempt
    }

    /// SHA-256 of the body.
    #[must_use]
    pub const fn body_digest(&self) -> &[u8; 32] {
        &self.body_digest
    }

    /// When the attempt was made, if the scheme signs that. Without it a resend cannot be told from a replay.
    #[must_use]
    pub const fn timestamp(&self) -> Option<UnixTime> {
        self.timestamp
    }
}

/// The signature itself is left out: some algorithms give another one each time, and others can be given another form by anybody.
fn attempt(scheme: &str, claim: &Claim, body_digest: &[u8; 32]) -> [u8; 32] {
    let before = claim.covered.beside_body();
    let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes();
    sha256_parts(&[
        &length(scheme.as_bytes()),
        scheme.as_bytes(),
        &length(before),
        before,
        body_digest,
    ])
}
