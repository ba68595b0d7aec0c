//! Why a call is refused, in the texts that clients of the Vault API know.

use serde_json::Value as Json;
use std::borrow::Cow;

/// A refusal. What is shown is for the caller; it never holds a value that the caller sent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VaultError {
    /// An entry does not hold what this program writes (500).
    #[error("an entry of the vault cannot be read")]
    Corrupt,
    /// Not allowed, or nobody knows who asks (403).
    #[error("permission denied")]
    Denied,
    /// The request cannot be carried out as it is (400).
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// The request cannot be carried out as it is, and its answer has the form of a success (400): batches.
    #[error("some items of the batch failed")]
    InvalidWith(Json),
    /// Nothing stands there (404).
    #[error("not found")]
    NotFound,
    /// Nothing stands there any more, and what is known of it is said (404 with `data`).
    #[error("not found")]
    NotFoundWith(Json),
    /// Something outside failed (502); the text is for the log.
    #[error("{0}")]
    Outside(Cow<'static, str>),
    /// The seal is closed (503).
    #[error("Vault is sealed")]
    Sealed,
    /// Something is longer than it may be (413).
    #[error("the request or what it would store is too large")]
    TooLarge,
    /// The place has no such operation (405).
    #[error("unsupported operation")]
    Unsupported,
}

impl VaultError {
    /// A request that cannot be carried out, with a text that says what to do.
    pub fn invalid(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(text.into())
    }

    /// The status that answers it.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Corrupt => 500,
            Self::Denied => 403,
            Self::Invalid(_) | Self::InvalidWith(_) => 400,
            Self::NotFound | Self::NotFoundWith(_) => 404,
            Self::Outside(_) => 502,
            Self::Sealed => 503,
            Self::TooLarge => 413,
            Self::Unsupported => 405,
        }
    }
}
