//! The source of randomness as a value that is handed around.
//!
//! The program draws from the system through aws-lc; a test draws from a function of its own and gets the same bytes each time.

use crate::base64url;
use countersign_base::{EventId, GrantId, RequestId, Secret, SessionId, UserId};
use std::fmt;
use std::sync::Arc;

/// A source of random bytes.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Random {
    /// The system's source, as aws-lc seeds and mixes it.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(fill_from_system))
    }

    /// A source that fills the buffer with what `fill` writes. For tests and vectors: `fill` must fill all of it.
    pub fn from_fn(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// Fills `buffer`.
    pub fn fill(&self, buffer: &mut [u8]) {
        (self.0)(buffer);
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// `N` random bytes in custody.
    #[must_use]
    pub fn secret<const N: usize>(&self) -> Secret<[u8; N]> {
        Secret::new(self.bytes())
    }

    /// A new name for an event.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        EventId::from_bytes(self.bytes())
    }

    /// A new name for a request.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        RequestId::from_bytes(self.bytes())
    }

    /// A new name for a person.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        UserId::from_bytes(self.bytes())
    }

    /// A new name for a grant.
    #[must_use]
    pub fn grant_id(&self) -> GrantId {
        GrantId::from_u64(u64::from_be_bytes(self.bytes()))
    }

    /// A new name for a session.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        SessionId::from_u64(u64::from_be_bytes(self.bytes()))
    }

    /// 256 random bits as 43 characters of base64url: authorization codes, request URIs, client secrets, session cookies, `jti`.
    #[must_use]
    pub fn token(&self) -> Secret<String> {
        Secret::new(base64url::encode(self.secret::<32>().expose()))
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

#[expect(
    clippy::expect_used,
    reason = "without randomness nothing may go on; aws-lc itself aborts when the system has none"
)]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the provider that everybody else is sent to"
)]
fn fill_from_system(buffer: &mut [u8]) {
    aws_lc_rs::rand::fill(buffer).expect("the system has randomness");
}

#[cfg(test)]
mod tests;
