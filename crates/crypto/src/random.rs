//! The source of randomness as a value that is handed around.
//!
//! The program draws from the system through aws-lc; a test draws from a function of its own and gets the same bytes each time.

use crate::base64url;
use countersign_base::{EventId, GrantId, RequestId, Secret, SessionId, UserId};
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// A source of random bytes.
#[derive(Clone)]
pub struct Random(Source);

#[derive(Clone)]
enum Source {
    /// What the caller gave.
    Given(Arc<Fill>),
    /// The system's.
    System,
}

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

/// Bytes that a thread draws at once for the names that it will give. Each drawing costs as much as a thousand bytes do.
const NAMES_BYTES: usize = 1024;

/// Random bytes that are no secret, of one thread.
struct Names {
    bytes: [u8; NAMES_BYTES],
    used: usize,
}

thread_local! {
    static NAMES: RefCell<Names> = const {
        RefCell::new(Names {
            bytes: [0; NAMES_BYTES],
            used: NAMES_BYTES,
        })
    };
}

impl Names {
    fn next<const N: usize>(&mut self) -> [u8; N] {
        if let Some(name) = self.unused() {
            return name;
        }
        fill_from_system(&mut self.bytes);
        self.used = 0;
        self.unused().unwrap_or_else(|| {
            let mut name = [0; N];
            fill_from_system(&mut name);
            name
        })
    }

    fn unused<const N: usize>(&mut self) -> Option<[u8; N]> {
        let name = *self.bytes.get(self.used..)?.first_chunk()?;
        self.used += N;
        Some(name)
    }
}

impl Random {
    /// The system's source, as aws-lc seeds and mixes it.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A source that fills the buffer with what `fill` writes. For tests and vectors: `fill` must fill all of it.
    pub fn from_fn(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Source::Given(Arc::new(fill)))
    }

    /// Fills `buffer`.
    pub fn fill(&self, buffer: &mut [u8]) {
        match &self.0 {
            Source::Given(fill) => fill(buffer),
            Source::System => fill_from_system(buffer),
        }
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
        EventId::from_bytes(self.name())
    }

    /// A new name for a request.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        RequestId::from_bytes(self.name())
    }

    /// A name that everybody may know: nobody could foresee it, but it stands in memory a while before it is given.
    fn name<const N: usize>(&self) -> [u8; N] {
        match &self.0 {
            Source::Given(_) => self.bytes(),
            Source::System => NAMES.with_borrow_mut(Names::next),
        }
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
