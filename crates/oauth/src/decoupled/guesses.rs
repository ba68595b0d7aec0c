//! How often user codes may be tried (RFC 8628 §5.1, DEV-4): by one person, from one source, and by everybody together.
//!
//! A right code does not forgive earlier wrong ones: whoever has a device of their own could reset the count at will.

use crate::throttle::{Attempt, SignInThrottle, TooManyAttempts};
use countersign_base::{Duration, UnixTime};

/// Wrong codes that everybody together may try in one [`WINDOW`]. With a thousand codes alive, one in 85,000 windows finds one.
const WRONG_MAX: u32 = 300;
/// The time over which they are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// The counters of one process.
#[derive(Debug)]
pub struct GuessThrottle {
    by_person: SignInThrottle,
    by_source: SignInThrottle,
    began: UnixTime,
    wrong: u32,
}

/// A guess that may be judged.
#[must_use]
#[derive(Debug)]
pub struct Guess {
    person: Attempt,
    source: Attempt,
}

impl GuessThrottle {
    /// `slots` counters for people and as many for sources.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self {
            by_person: SignInThrottle::new(slots),
            by_source: SignInThrottle::new(slots),
            began: UnixTime(i64::MIN),
            wrong: 0,
        }
    }

    /// Counts a guess before it is judged. Both keys are keyed hashes: of the person who is signed in, and of the address they come from.
    ///
    /// # Errors
    /// Too many before it.
    pub fn begin(
        &mut self,
        person: &[u8; 32],
        source: &[u8; 32],
        now: UnixTime,
    ) -> Result<Guess, TooManyAttempts> {
        if now >= self.began.plus(WINDOW) {
            self.began = now;
            self.wrong = 0;
        }
        if self.wrong >= WRONG_MAX {
            return Err(TooManyAttempts {
                after: self.began.plus(WINDOW).since(now),
            });
        }
        let person = self.by_person.begin(person, now)?;
        let source = match self.by_source.begin_of_many(source, now) {
            Ok(source) => source,
            Err(wait) => {
                self.by_person.abandoned(person);
                return Err(wait);
            }
        };
        self.wrong = self.wrong.saturating_add(1);
        Ok(Guess { person, source })
    }

    /// The code was there: this one attempt does not count.
    pub fn right(&mut self, guess: Guess) {
        self.by_person.abandoned(guess.person);
        self.by_source.abandoned(guess.source);
        self.wrong = self.wrong.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
