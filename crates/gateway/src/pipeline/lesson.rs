//! What a request's way to the upstream and back says of how many the upstream can take, in the time that it had all of it: what the caller
//! took to send says nothing.

use crate::upstream::{PassError, Place, ProgressWatch};
use http::Response;
use tokio::time::Instant;

/// See the module.
pub(super) struct Lesson {
    began: Instant,
    sent: ProgressWatch,
}

impl Lesson {
    /// The way begins now.
    pub(super) fn begin(sent: ProgressWatch) -> Self {
        Self {
            began: Instant::now(),
            sent,
        }
    }

    /// It ended so. `steady` is in nanoseconds.
    pub(super) fn tell<B>(
        &self,
        place: &Place,
        answered: &Result<Response<B>, PassError>,
        steady: u64,
    ) {
        let now = Instant::now();
        let Some(waited) = self.sent.had_whole_for(self.began, now) else {
            return;
        };
        match answered {
            Ok(_) => place.answered(waited, steady),
            // Most of the time was the caller's.
            Err(PassError::Timeout) if waited < now.duration_since(self.began) / 2 => {}
            Err(PassError::Http(_) | PassError::Timeout) => place.failed(),
            Err(
                PassError::Body
                | PassError::BodyTooLarge
                | PassError::Busy
                | PassError::Connect(_)
                | PassError::CutShort(_)
                | PassError::Ejected { .. }
                | PassError::Handshake(_)
                | PassError::NoRoom
                | PassError::Projection(_)
                | PassError::RefusedStream
                | PassError::Switch,
            ) => {}
        }
    }
}
