//! Orderly end: connections finish what they began, up to a deadline.
//!
//! A [`Drain`] is held by everything that must be finished; [`DrainTrigger`] tells them to end and waits until the last one let go.

use std::time::Duration;
use tokio::sync::{mpsc, watch};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Serving,
    Draining,
    Closing,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Everything finished by itself.
    Clean,
    /// The deadline passed first; what was left was closed.
    DeadlinePassed,
}

/// Held by whatever has work to finish; it counts as unfinished until it is dropped.
#[derive(Clone)]
pub struct Drain {
    state: watch::Receiver<State>,
    _held: mpsc::Sender<std::convert::Infallible>,
}

impl Drain {
    /// A drain that has not begun, and the one handle that begins it.
    #[must_use]
    pub fn new() -> (DrainTrigger, Self) {
        let (sender, state) = watch::channel(State::Serving);
        let (held, all_dropped) = mpsc::channel(1);
        (
            DrainTrigger {
                state: sender,
                all_dropped,
            },
            Self { state, _held: held },
        )
    }

    /// Returns once the drain has begun (or its trigger is gone): take no new work.
    pub async fn begun(&mut self) {
        // An error means the trigger was dropped: nobody can end this orderly any more, so it ends now.
        let _ = self.state.wait_for(|state| *state != State::Serving).await;
    }

    /// Returns once the deadline of the drain has passed (or its trigger is gone): drop what is left.
    pub async fn closing(&mut self) {
        let _ = self.state.wait_for(|state| *state == State::Closing).await;
    }

    /// Whether the drain has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.state.borrow() != State::Serving || self.state.has_changed().is_err()
    }
}

/// Begins a drain. Dropping it without a call ends everything at once.
pub struct DrainTrigger {
    state: watch::Sender<State>,
    all_dropped: mpsc::Receiver<std::convert::Infallible>,
}

impl DrainTrigger {
    /// Tells every holder to finish, waits for them up to `deadline`, then tells those left to close and waits for them too.
    pub async fn drain(mut self, deadline: Duration) -> Drained {
        self.state.send_replace(State::Draining);
        let finished = tokio::time::timeout(deadline, self.all_dropped.recv()).await;
        if finished.is_ok() {
            return Drained::Clean;
        }
        self.state.send_replace(State::Closing);
        self.all_dropped.recv().await;
        Drained::DeadlinePassed
    }
}

#[cfg(test)]
mod tests;
