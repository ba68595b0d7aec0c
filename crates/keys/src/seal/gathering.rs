//! Shares that were given so far, each once, and the nonce that tells one gathering from the next.

use crate::shamir::{Share, ShareRule};
use countersign_base::{ParseError, Secret};
use countersign_crypto::random::Random;
use std::fmt;

/// The name of one gathering of shares: a UUID of random bytes (RFC 9562 §5.4). Whoever knows it may cancel the gathering, so it is shown to whoever started it
/// and to whom a permit lets see it, not to everybody.
#[derive(Clone)]
pub struct Nonce([u8; 16]);

impl Nonce {
    pub(super) fn generate(random: &Random) -> Self {
        let mut bytes = random.bytes::<16>();
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
        *version = *version & 0x0f | 0x40;
        *variant = *variant & 0x3f | 0x80;
        Self(bytes)
    }

    /// Whether both are the same, in constant time.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Secret::new(self.0).matches(&other.0)
    }

    /// Reads the text form: 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12.
    ///
    /// # Errors
    /// When it is another.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let wrong = ParseError::expected("a UUID");
        let groups: Vec<usize> = text.split('-').map(str::len).collect();
        if groups != [8, 4, 4, 4, 12] {
            return Err(wrong);
        }
        let mut digits = text.chars().filter(|character| *character != '-');
        let mut bytes = [0_u8; 16];
        for byte in &mut bytes {
            let mut digit = || digits.next().and_then(|digit| digit.to_digit(16));
            let (Some(high), Some(low)) = (digit(), digit()) else {
                return Err(wrong);
            };
            *byte = u8::try_from(high << 4 | low).unwrap_or_default();
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

/// Shares below the threshold.
#[derive(Debug)]
pub(super) struct Gathering {
    rule: ShareRule,
    shares: Vec<Share>,
}

/// What became of a gathering by one more share.
pub(super) enum Gathered {
    /// Another share of that number was given before, so one of them is wrong; all were dropped.
    Conflict(Gathering),
    /// The threshold is reached. The gathering that comes along is empty again.
    Full(Vec<Share>, Gathering),
    /// More are needed.
    More(Gathering),
}

impl Gathering {
    pub(super) const fn new(rule: ShareRule) -> Self {
        Self {
            rule,
            shares: Vec::new(),
        }
    }

    pub(super) const fn rule(&self) -> ShareRule {
        self.rule
    }

    /// How many different shares were given.
    pub(super) fn progress(&self) -> u8 {
        u8::try_from(self.shares.len()).unwrap_or(u8::MAX)
    }

    pub(super) fn provide(mut self, share: Share) -> Gathered {
        let same_number = self
            .shares
            .iter()
            .find(|known| known.point() == share.point());
        match same_number {
            Some(known) if known.is_same(&share) => Gathered::More(self),
            Some(_) => Gathered::Conflict(Self::new(self.rule)),
            None => {
                self.shares.push(share);
                if self.progress() < self.rule.threshold() {
                    Gathered::More(self)
                } else {
                    Gathered::Full(self.shares, Self::new(self.rule))
                }
            }
        }
    }
}
