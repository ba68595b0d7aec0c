//! The first request of a key while it is under way, and how its end is told: to whoever waits here, and to where keys are kept for longer than this process lives.

use super::{Answer, Ended, Kept, Keys};
use countersign_store::idempotency::{HeldKey, Told};
use countersign_store::redis::KeyEnd;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long an answer waits for its end to be written. What takes longer goes out, and is kept here.
const END_MAX: Duration = Duration::from_secs(5);

/// The first request of a key, while it is under way. Dropped before it is passed on, its key is free; dropped after that without an end, its outcome is unknown.
pub(crate) struct Running {
    keys: Arc<Keys>,
    name: [u8; 32],
    ends: Ends,
    /// When it began, on both clocks.
    begun: (u64, Instant),
    /// Absent where this process has its own keys, and when its end is on its way.
    held: Option<HeldKey>,
    // Dropped last: whoever waits looks again.
    _wakes: watch::Sender<()>,
}

/// What is left to do when a first request is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// It is written in the database what became of it, or that nobody knows.
    Elsewhere,
    /// Here too nobody knows.
    Here,
    /// Nothing.
    Over,
    /// Nothing went on under it: the key is free.
    Unsent,
}

impl Running {
    /// `now` is in steady nanoseconds; whoever waits wakes when `wakes` goes.
    pub(super) fn new(keys: Arc<Keys>, name: [u8; 32], now: u64, wakes: watch::Sender<()>) -> Self {
        Self {
            keys,
            name,
            ends: Ends::Unsent,
            begun: (now, Instant::now()),
            held: None,
            _wakes: wakes,
        }
    }

    /// It is the first of all processes.
    pub(crate) fn hold(&mut self, held: HeldKey) {
        self.held = Some(held);
    }

    /// From now on it may take effect.
    pub(crate) fn passes_on(&mut self) {
        self.ends = match self.held {
            Some(HeldKey::Store(_)) => Ends::Elsewhere,
            Some(HeldKey::Redis(_)) | None => Ends::Here,
        };
    }

    /// It was not the first, and this is how that one was answered.
    pub(crate) fn relay(mut self, answer: &Answer) {
        self.over(Ended::Relayed(answer.clone()));
    }

    /// Keeps what became of it. Whoever waits finds it when this is over.
    pub(crate) async fn end(mut self, ended: Ended) {
        match self.held.take() {
            None => _ = self.over(ended),
            Some(held @ HeldKey::Redis(_)) => {
                let told = told_of(&ended);
                let told = match (told, self.over(ended)) {
                    // What one caller and one tenant may have kept here is also what they may have kept for all.
                    (KeyEnd::Answered(_), Kept::No) => KeyEnd::NotKept,
                    (told, Kept::No | Kept::Yes) => told,
                };
                drop(held.end(told));
            }
            Some(held @ HeldKey::Store(_)) => {
                let written = held.end(told_of(&ended));
                let told = tokio::time::timeout(END_MAX, written).await;
                // What could not be written is kept here, for as long as this process lives.
                _ = self.over(match told {
                    Ok(Told::Durable | Told::Sent) => match ended {
                        Ended::Answered(answer) => Ended::Relayed(answer),
                        _ => Ended::Elsewhere,
                    },
                    Ok(Told::Lost) | Err(_) => ended,
                });
            }
        }
    }

    /// In steady nanoseconds.
    fn now(&self) -> u64 {
        let (steady, begun) = self.begun;
        let passed = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        steady.saturating_add(passed)
    }

    pub(super) fn over(&mut self, ended: Ended) -> Kept {
        self.ends = Ends::Over;
        self.keys.end(&self.name, Some(ended), self.now())
    }
}

/// What all others are told.
fn told_of(ended: &Ended) -> KeyEnd {
    match ended {
        Ended::Answered(answer) | Ended::Relayed(answer) => KeyEnd::Answered(answer.encode()),
        Ended::Elsewhere => KeyEnd::Unknown,
        Ended::NotCarriedOut => KeyEnd::Free,
        Ended::TooLarge => KeyEnd::NotKept,
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            // Sent with the call; nobody waits for it.
            drop(held.end(match self.ends {
                Ends::Unsent => KeyEnd::Free,
                Ends::Elsewhere | Ends::Here | Ends::Over => KeyEnd::Unknown,
            }));
        }
        match self.ends {
            Ends::Elsewhere => _ = self.over(Ended::Elsewhere),
            Ends::Here => _ = self.keys.end(&self.name, None, self.now()),
            Ends::Over => {}
            Ends::Unsent => _ = self.over(Ended::NotCarriedOut),
        }
    }
}
