//! The rate of one endpoint: a bucket that fills with so many tokens a second and holds a second's worth.
//!
//! Each process counts for itself: of an installation with several, each sends so much.

use countersign_base::UnixMillis;

/// A bucket of tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    /// Tokens a second.
    rate: u32,
    /// Thousandths of a token.
    level: u64,
    at: UnixMillis,
}

impl Bucket {
    /// A full one. A rate of nothing is one a second: an endpoint that should get nothing is disabled.
    pub(super) fn new(rate: u32, now: UnixMillis) -> Self {
        let rate = rate.max(1);
        Self {
            rate,
            level: u64::from(rate) * 1_000,
            at: now,
        }
    }

    pub(super) const fn rate(&self) -> u32 {
        self.rate
    }

    fn fill(&mut self, now: UnixMillis) {
        // A clock that was set back fills nothing and begins anew from there.
        let passed = u64::try_from(now.0.saturating_sub(self.at.0)).unwrap_or(0);
        let full = u64::from(self.rate) * 1_000;
        let more = passed.saturating_mul(u64::from(self.rate));
        self.level = self.level.saturating_add(more).min(full);
        self.at = now;
    }

    /// Whole tokens that are there.
    pub(super) fn there(&mut self, now: UnixMillis) -> u32 {
        self.fill(now);
        u32::try_from(self.level / 1_000).unwrap_or(u32::MAX)
    }

    /// Takes so many, or as many as are there.
    pub(super) fn take(&mut self, tokens: u32, now: UnixMillis) {
        self.fill(now);
        self.level = self.level.saturating_sub(u64::from(tokens) * 1_000);
    }

    /// Puts back what was not used.
    pub(super) fn put_back(&mut self, tokens: u32) {
        let full = u64::from(self.rate) * 1_000;
        self.level = self
            .level
            .saturating_add(u64::from(tokens) * 1_000)
            .min(full);
    }

    /// When there is a whole one.
    pub(super) fn next(&mut self, now: UnixMillis) -> UnixMillis {
        self.fill(now);
        let missing = 1_000_u64.saturating_sub(self.level);
        let wait = missing.div_ceil(u64::from(self.rate));
        UnixMillis(
            now.0
                .saturating_add(i64::try_from(wait).unwrap_or(i64::MAX)),
        )
    }

    /// Whether it is full: nothing is forgotten with it.
    pub(super) fn is_full(&mut self, now: UnixMillis) -> bool {
        self.fill(now);
        self.level == u64::from(self.rate) * 1_000
    }
}

#[cfg(test)]
mod tests;
