//! What an attempt says: of the webhook, and of the endpoint.
//!
//! Standard Webhooks 1.0.0: 2xx alone is success; a redirect is a failure; 410 disables the endpoint; 429, 502 and 504 ask to slow down.

use countersign_net::{Answer, DeliveryError, RetryAfter};
use http::StatusCode;

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was taken.
    Delivered { status: u16 },
    /// It was not; it may be the next time.
    Failed(Failure),
    /// The endpoint wants nothing any more.
    Gone,
    /// It can't ever be delivered there.
    Never { reason: &'static str },
    /// It was not tried: there was no room.
    Untried,
}

/// An attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    /// Why.
    pub(super) reason: &'static str,
    /// What was answered, if anything.
    pub(super) status: Option<u16>,
    /// When the receiver wants to be asked again.
    pub(super) retry_after: Option<RetryAfter>,
    /// What it says of the endpoint's haste.
    pub(super) asks: Asks,
}

/// What a failure asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nothing.
    Nothing,
    /// Less at a time: nothing is sent there for a while.
    Less,
}

impl Verdict {
    pub(super) fn of(sent: &Result<Answer, DeliveryError>) -> Self {
        match sent {
            Ok(answer) => Self::of_answer(answer.status, answer.retry_after),
            Err(DeliveryError::Busy) => Self::Untried,
            Err(error @ DeliveryError::Refused(_)) => Self::Never {
                reason: error.reason(),
            },
            Err(error @ DeliveryError::Unanswered(_)) => Self::failed(error.reason()),
        }
    }

    /// As metrics name it.
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Failed(_) => "failed",
            Self::Gone => "gone",
            Self::Never { .. } => "refused",
            Self::Untried => "untried",
        }
    }

    /// A failure before anything was answered.
    pub(super) const fn failed(reason: &'static str) -> Self {
        Self::Failed(Failure {
            reason,
            status: None,
            retry_after: None,
            asks: Asks::Nothing,
        })
    }

    fn of_answer(status: StatusCode, retry_after: Option<RetryAfter>) -> Self {
        let number = status.as_u16();
        if status.is_success() {
            return Self::Delivered { status: number };
        }
        let (reason, asks) = match status {
            StatusCode::GONE => return Self::Gone,
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::GATEWAY_TIMEOUT => ("throttled", Asks::Less),
            StatusCode::SERVICE_UNAVAILABLE if retry_after.is_some() => ("throttled", Asks::Less),
            _ if status.is_redirection() => ("redirect", Asks::Nothing),
            _ => ("status", Asks::Nothing),
        };
        Self::Failed(Failure {
            reason,
            status: Some(number),
            retry_after,
            asks,
        })
    }
}

#[cfg(test)]
mod tests;
