//! One fuzz target a parser, a seed corpus for each, and a driver that runs on the stable toolchain.
//!
//! A target takes any bytes, must never panic, and says whether the parser took them. Where a parsed value can be written again, the target
//! checks that reading what was written gives the same. The driver mutates the seeds with a seeded generator and keeps what the parser takes as new
//! seeds. It is not guided by coverage: that needs instrumentation hooks in unsafe code, which this workspace forbids.

pub mod driver;
pub mod examples;
pub mod mutate;
pub mod seeds;
pub mod targets;

/// Whether a parser took an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is what the parser expects.
    Accepted,
    /// It is an error, and the parser said so.
    Refused,
}

impl Verdict {
    /// What a parser's result says.
    pub fn of<T, E>(result: &Result<T, E>) -> Self {
        if result.is_ok() {
            Self::Accepted
        } else {
            Self::Refused
        }
    }

    /// Accepted if any part was.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::Accepted { self } else { other }
    }
}

/// A parser under test.
pub struct Target {
    /// Names the corpus folder.
    pub name: &'static str,
    /// What is parsed.
    pub about: &'static str,
    /// Feeds it one input.
    pub run: fn(&[u8]) -> Verdict,
    /// Fragments that mean something to this parser.
    pub words: &'static [&'static str],
}
