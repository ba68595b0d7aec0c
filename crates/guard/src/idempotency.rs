//! `Idempotency-Key` for a service (draft-ietf-httpapi-idempotency-key-header-07): an unsafe request that comes again under its key is not executed again, but answered as the first one was.
//!
//! The layer stands behind the guard, whose [`Subject`](countersign_authn::Subject) is whom a key belongs to; a key is looked up by tenant, issuer, subject, client, method, path and key.
//!
//! ```
//! use bytes::Bytes;
//! use countersign_base::Clock;
//! use countersign_crypto::Random;
//! use countersign_guard::idempotency::{IdempotencyLayer, IdempotencyOptions, KeyNeed, MemoryKeys};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use std::convert::Infallible;
//! use tower_layer::Layer as _;
//!
//! # fn layers(clock: Clock) -> Result<(), countersign_guard::idempotency::OptionsError> {
//! let mut options = IdempotencyOptions::new("https://billing.example/docs/idempotency", clock, Random::system());
//! options.need = KeyNeed::Required;
//! let idempotency = IdempotencyLayer::new(options, MemoryKeys::default())?;
//! let charges = tower::service_fn(|_request: Request<Full<Bytes>>| async {
//!     Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("charged"))))
//! });
//! // guard.layer(idempotency.layer(charges)): the guard first, then the keys of whom it let through.
//! let service = idempotency.layer(charges);
//! # let _service = service;
//! # Ok(())
//! # }
//! ```
//!
//! | what comes | is told |
//! |---|---|
//! | a new key | the handler's answer, which is kept: success or error |
//! | the same again, from the same caller | the kept answer without cookies, with `Idempotency-Replayed: true` |
//! | the same key with another query, `Content-Type`, `Content-Encoding` or body | 422 |
//! | the same while the first is under way | 409 with `Retry-After` |
//! | the same after the first ended without an answer, or its process died | 409 `idempotency_outcome_unknown`, or it is executed again: [`AfterLease`] |
//! | the same after the handler said that it did nothing ([`NotCarriedOut`], 421, 425, 429, 503 with `Retry-After`) | executed |
//! | the same after an answer past [`ANSWER_BYTES_MAX`], or with trailers | 409: that answer was not kept |
//! | no key where one is needed, several, a malformed or short one, a key without a caller | 400 |
//!
//! Refusals are problems (RFC 9457) with a `Link` to the page that [`IdempotencyOptions::described_by`] names, where the service publishes how long it keeps answers; the problem says it
//! too (`kept_seconds`), and [`IdempotencyOptions::policy`] writes the text.
//!
//! **One execution, and its answer.** Taking a key is durable before the handler runs. Between the handler's effects and the keeping of its answer a crash can come; then nobody knows, and
//! the key says so when its lease is over. A handler that keeps its effects in the database of the keys closes that gap: it completes its [`Execution`] in the transaction of
//! its effects (`PostgresKeys::complete`, with the feature `idempotency-sqlx`), so that effect and answer are committed together or not at all. With [`AfterLease::RunAgain`] such a handler
//! executes exactly once, whatever dies: an execution that was taken over cannot complete, and its transaction goes back.
//!
//! Not here: keys of callers without a token, which nobody owns; counting keys of callers, which is what limits of requests are for.

pub mod answer;
mod body;
mod key;
mod layer;
mod memory;
#[cfg(feature = "idempotency-sqlx")]
pub mod postgres;
mod refusal;
pub mod storage;

pub use answer::{ANSWER_BYTES_MAX, Answer, AnswerTooLarge};
pub use body::AnswerBody;
pub use key::{IDEMPOTENCY_KEY, IdempotencyKey, KEY_BYTES_MAX, KeyError};
pub use layer::{IdempotencyLayer, IdempotencyService, REPLAYED};
pub use memory::{MemoryKeys, MemoryLimits};
#[cfg(feature = "idempotency-sqlx")]
pub use postgres::PostgresKeys;
pub use refusal::KeyRefusal;
pub use storage::{AfterLease, FencingToken, IdempotencyStorage, StorageError};

use countersign_base::{Clock, Duration};
use countersign_crypto::Random;
use std::sync::Arc;

/// Characters that a key has at least, unless the options say otherwise: what is shorter is soon drawn twice.
pub const KEY_BYTES_MIN: usize = 16;
/// How long an answer is kept, unless the options say otherwise.
pub const KEEP: Duration = Duration::from_secs(86_400);
/// The longest that an answer is kept.
pub const KEEP_MAX: Duration = Duration::from_secs(7 * 86_400);
/// How long a handler may take, unless the options say otherwise.
pub const LEASE: Duration = Duration::from_secs(300);
/// Bytes of a request's body, unless the options say otherwise.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// Whether an unsafe request must have a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyNeed {
    /// It may do without, and is then executed each time it comes.
    Optional,
    /// It is refused without.
    Required,
}

/// The rules of a service.
#[derive(Debug, Clone)]
pub struct IdempotencyOptions {
    /// Whether an unsafe request must have a key.
    pub need: KeyNeed,
    /// Characters that a key has at least.
    pub key_bytes_min: usize,
    /// How long an answer is kept, at most [`KEEP_MAX`].
    pub keep: Duration,
    /// How long a handler may take: longer than it ever does. After that, what became of it counts as unknown.
    pub lease: Duration,
    /// What becomes of a key whose first request said nothing in that time.
    pub after_lease: AfterLease,
    /// Bytes of the body of a request with a key; it is read before the handler sees it.
    pub request_bytes_max: usize,
    /// The address of the page that publishes these rules.
    pub described_by: String,
    /// The time.
    pub clock: Clock,
    /// Randomness for fencing tokens.
    pub random: Random,
}

/// Rules past the bounds that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// The page has no address that can be linked to.
    #[error("`described_by` is not the address of a page")]
    DescribedBy,
    /// Answers are kept for some time, and for [`KEEP_MAX`] at most.
    #[error("an answer is kept for one second to seven days")]
    Keep,
    /// A key has 1 to [`KEY_BYTES_MAX`] characters.
    #[error("the least length of a key is 1 to 255 characters")]
    KeyBytesMin,
    /// A handler has some time.
    #[error("the lease is one second to seven days")]
    Lease,
}

impl IdempotencyOptions {
    /// Keys are optional and have 16 characters at least, answers are kept for a day, handlers have five minutes, and what is unknown after that stays so.
    #[must_use]
    pub fn new(described_by: &str, clock: Clock, random: Random) -> Self {
        Self {
            need: KeyNeed::Optional,
            key_bytes_min: KEY_BYTES_MIN,
            keep: KEEP,
            lease: LEASE,
            after_lease: AfterLease::OutcomeUnknown,
            request_bytes_max: REQUEST_BYTES_MAX,
            described_by: described_by.to_owned(),
            clock,
            random,
        }
    }

    /// The text that a service publishes at [`Self::described_by`] (§2.3 of the draft), in Markdown.
    #[must_use]
    pub fn policy(&self) -> String {
        let need = match self.need {
            KeyNeed::Optional => "may carry",
            KeyNeed::Required => "must carry",
        };
        let after = match self.after_lease {
            AfterLease::OutcomeUnknown => {
                "is answered 409 `idempotency_outcome_unknown`, and nothing is done again"
            }
            AfterLease::RunAgain => "is executed again, which has the effect of once",
        };
        format!(
            "# Idempotency-Key\n\nRequests other than GET, HEAD, OPTIONS and TRACE {need} one `Idempotency-Key` of {} to {KEY_BYTES_MAX} characters, quoted or bare; a random UUID is a good one. \
             A key belongs to the caller, the method and the path.\n\nThe answer to the first request is kept for {} seconds and given again, with `Idempotency-Replayed: true`. The same key \
             with another query or body is answered 422, and 409 while the first request is under way. A request whose first one ended without an answer {after}, {} seconds after it began. Answers \
             past {ANSWER_BYTES_MAX} bytes are not kept.\n",
            self.key_bytes_min,
            self.keep.as_secs(),
            self.lease.as_secs(),
        )
    }

    fn check(&self) -> Result<(), OptionsError> {
        let times = Duration::from_secs(1)..=KEEP_MAX;
        if !times.contains(&self.keep) {
            return Err(OptionsError::Keep);
        }
        if !times.contains(&self.lease) {
            return Err(OptionsError::Lease);
        }
        if !(1..=KEY_BYTES_MAX).contains(&self.key_bytes_min) {
            return Err(OptionsError::KeyBytesMin);
        }
        let page = &self.described_by;
        let is_linkable = page.parse::<http::Uri>().is_ok() && !page.contains(['<', '>', '#']);
        is_linkable.then_some(()).ok_or(OptionsError::DescribedBy)
    }
}

/// The first request under a key, for its handler: it is in the request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Execution {
    name: [u8; 32],
    token: FencingToken,
    attempt: u32,
}

impl Execution {
    /// The execution that took the key `name` with this token: for a storage, and for work that goes on in another process than the one that took the key.
    #[must_use]
    pub const fn resumed(name: [u8; 32], token: FencingToken, attempt: u32) -> Self {
        Self {
            name,
            token,
            attempt,
        }
    }

    /// 1, unless an earlier execution said nothing in time and this one takes over.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The digest under which the key is kept.
    #[must_use]
    pub const fn name(&self) -> &[u8; 32] {
        &self.name
    }

    /// What proves that the key is still this execution's.
    #[must_use]
    pub const fn token(&self) -> FencingToken {
        self.token
    }
}

/// In the extensions of a handler's answer it says that nothing was done: the key is free for another try. For answers to what is malformed, say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotCarriedOut;

/// In the extensions of an answer it says, for the log, that it could not be kept.
#[derive(Debug, Clone)]
pub struct NotStored(pub Arc<StorageError>);

#[cfg(test)]
mod tests;
