//! The seal: what stands above the root key, as machines without clock or storage.
//!
//! An [`UnsealKey`] wraps the root key in a [`SealRow`]. It is split into shares that operators hold, or comes from a source that unseals without them (a
//! passphrase, a file, a PKCS#11 token, a key service). Under such a source operators may hold recovery keys: shares of a random value of which
//! only a keyed hash is kept, so they authorize and decrypt nothing.
//!
//! ```text
//! shares or source -> unseal key -> root key -> key-encryption keys -> data keys
//! ```
//!
//! [`Unsealing`] gathers shares after a start. [`Quorum`] gathers them for one operation of a running program: [`RekeyRequest`], [`RootRotation`],
//! [`RootTokenRequest`], [`SealChange`]; what it ends in, [`QuorumHeld`], is the evidence that the operation consumes.
//!
//! Not here: storing. The caller stores a new row by compare-and-set on its generation, and only then gives out what came with it. Nor tokens, PKCS#11 and files.

mod change;
mod gathering;
mod init;
mod quorum;
mod rekey;
mod root_rotation;
mod root_token;
mod row;
mod status;
mod unseal_key;
mod unsealing;

pub use change::SealChange;
pub use gathering::Nonce;
pub use init::{Initialized, SealPlan, adopt, initialize, reseal};
pub use quorum::{
    CancelAuthority, CancelBy, Cancelled, Operation, QUORUM_AGE_MAX, Quorum, QuorumHeld,
    QuorumProgress, QuorumRefused, QuorumStep,
};
pub use rekey::{
    RekeyOutcome, RekeyRequest, RekeyVerification, Rekeyed, Verification, VerificationStep,
};
pub use root_rotation::{RootRotated, RootRotation, rotate_root};
pub use root_token::{EarlierRoots, Otp, RootTokenPermit, RootTokenRequest};
pub use row::{AutoSource, Recovery, Seal, SealRow, WRAPPED_BYTES_MAX, WrappedKey};
pub use status::SealStatus;
pub use unseal_key::UnsealKey;
pub use unsealing::{UnsealRefused, UnsealStep, Unsealing};

use crate::envelope::{OpenError, SealError};

/// Why a transition of the seal is not possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// The number of generations is spent.
    #[error("the seal has no generation left")]
    GenerationsSpent,
    /// The seal opens by a source and nobody holds recovery keys, so there is no quorum.
    #[error("no shares and no recovery keys exist that could authorize this")]
    NoQuorum,
    /// The row does not open with the unseal key that was given, or a key below it is damaged.
    #[error("the root key does not open: {0}")]
    Open(#[from] OpenError),
    /// A one-time pad and a token have different lengths.
    #[error("the one-time pad is not as long as the token")]
    OtpLength,
    /// A quorum of recovery keys authorizes; the unseal key has to come from the source.
    #[error("the seal's source did not give its unseal key")]
    SourceMissing,
    /// An operation of this kind is under way; it ends or is cancelled first.
    #[error("an operation of this kind is under way")]
    UnderWay,
}

/// A key is never longer than an envelope takes; the type keeps the caller from assuming it.
impl From<SealError> for SealFault {
    fn from(SealError::TooLong: SealError) -> Self {
        Self::Open(OpenError::Length)
    }
}

#[cfg(test)]
mod tests;
