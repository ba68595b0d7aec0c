//! Whether a request is sent once more, and when: only what changes nothing by being sent twice, only while the budget lasts, after a random
//! part of a growing wait (full jitter).

use super::PassError;
use http::{Method, StatusCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes of a request's body that are kept in memory so that it can be sent again.
pub const REPLAY_BYTES_MAX: u64 = 64 * 1024;
/// Attempts that configuration may ask for.
pub const ATTEMPTS_MAX: u32 = 5;
/// The longest wait before an attempt.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(2);

/// How often a request is sent at most, and at what price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySpec {
    /// The first attempt counted too: one means never again.
    pub attempts: u32,
    /// Retries a hundred requests earn.
    pub budget_percent: u32,
    /// The wait before the second attempt is a random part of this; it doubles for each further one.
    pub wait: Duration,
    /// How long the head of an answer to a request of a safe method may take before another address is asked as well. Absent: nothing is sent before the first has failed.
    pub hedge: Option<Duration>,
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self {
            attempts: 1,
            budget_percent: 20,
            wait: Duration::from_millis(25),
            hedge: None,
        }
    }
}

/// What sending a request a second time may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing more than once: its method is idempotent (RFC 9110 §9.2.2).
    Harmless,
    /// Perhaps something: only what was not sent at all is sent again.
    OnlyUnsent,
}

impl Repeat {
    pub(crate) fn of(method: &Method) -> Self {
        match *method {
            Method::GET
            | Method::HEAD
            | Method::OPTIONS
            | Method::TRACE
            | Method::PUT
            | Method::DELETE => Self::Harmless,
            _ => Self::OnlyUnsent,
        }
    }
}

/// Whether an attempt that ended so is worth another.
pub(crate) fn is_worth_another(repeat: Repeat, ended: Result<StatusCode, &PassError>) -> bool {
    match (ended, repeat) {
        // Nothing of it was sent.
        (Err(PassError::Connect(_) | PassError::Handshake(_) | PassError::RefusedStream), _) => {
            true
        }
        (Err(PassError::Http(_)), Repeat::Harmless) => true,
        (Ok(status), Repeat::Harmless) => is_gateways(status),
        // The caller's fault, or more of the same for whoever is too slow already.
        (
            Err(
                PassError::Body
                | PassError::BodyTooLarge
                | PassError::Busy
                | PassError::CutShort(_)
                | PassError::Ejected { .. }
                | PassError::NoRoom
                | PassError::Projection(_)
                | PassError::Switch
                | PassError::Timeout,
            ),
            _,
        )
        | (Err(PassError::Http(_)) | Ok(_), Repeat::OnlyUnsent) => false,
    }
}

/// The statuses that say nothing of the request, but of the way to whoever would answer it.
pub(crate) fn is_gateways(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The wait before attempt number `attempt` (the second is 1): any time up to the doubled one, as `random` says.
pub(crate) fn wait(spec: &RetrySpec, attempt: u32, random: u64) -> Duration {
    let doubled = 1_u32
        .checked_shl(attempt.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let ceiling = spec.wait.saturating_mul(doubled).min(WAIT_MAX);
    let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    // The upper half of a product is spread over the whole range.
    let part = (u128::from(random) * (u128::from(nanos) + 1)) >> 64;
    Duration::from_nanos(u64::try_from(part).unwrap_or(nanos))
}

/// What retries may be spent, of all cores together: requests earn them, so that a failing upstream gets a fraction more and not a multiple.
#[derive(Debug)]
pub(crate) struct Budget {
    percent: u64,
    /// In hundredths of a retry.
    saved: AtomicU64,
}

/// Retries that can be saved up, and that are there at the start.
const SAVED_MAX: u64 = 10;

impl Budget {
    pub(crate) fn new(spec: &RetrySpec) -> Self {
        Self {
            percent: u64::from(spec.budget_percent),
            saved: AtomicU64::new(SAVED_MAX * 100),
        }
    }

    /// A request came: a part of a retry is earned.
    pub(crate) fn earn(&self) {
        let _ = self
            .saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |saved| {
                let more = saved.saturating_add(self.percent).min(SAVED_MAX * 100);
                (more != saved).then_some(more)
            });
    }

    /// Takes a whole retry, if there is one.
    pub(crate) fn spend(&self) -> Spent {
        let spent = self
            .saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |saved| {
                saved.checked_sub(100)
            });
        match spent {
            Ok(_) => Spent::Yes,
            Err(_) => Spent::Empty,
        }
    }
}

/// Whether there was a retry to spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spent {
    Empty,
    Yes,
}

#[cfg(test)]
mod tests;
