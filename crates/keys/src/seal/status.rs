//! What `sys/seal-status` says of the seal. Version, build and cluster are the server's to add.

use super::{Seal, SealRow};
use serde::Serialize;

/// The fields of `sys/seal-status` that are the seal's, by their names there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SealStatus {
    /// `shamir`, or the source.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whether a seal was ever made.
    pub initialized: bool,
    /// Whether the root key is away.
    pub sealed: bool,
    /// How many shares are needed; of recovery keys where those authorize, zero without any.
    pub t: u8,
    /// How many shares there are.
    pub n: u8,
    /// How many shares this process was given so far.
    pub progress: u8,
    /// The nonce of this gathering, empty before the first share.
    pub nonce: String,
    /// Always false: a seal is changed while the program is unsealed, in one step.
    pub migration: bool,
    /// Whether the shares are recovery keys.
    pub recovery_seal: bool,
}

impl SealStatus {
    /// Of an installation that has no seal yet.
    #[must_use]
    pub const fn uninitialized() -> Self {
        Self {
            kind: "shamir",
            initialized: false,
            sealed: true,
            t: 0,
            n: 0,
            progress: 0,
            nonce: String::new(),
            migration: false,
            recovery_seal: false,
        }
    }

    /// Of a process without the root key, before any share.
    #[must_use]
    pub fn sealed(row: &SealRow) -> Self {
        let rule = row.seal().rule();
        Self {
            kind: row.seal().name(),
            initialized: true,
            t: rule.map_or(0, |rule| rule.threshold()),
            n: rule.map_or(0, |rule| rule.shares()),
            recovery_seal: matches!(row.seal(), Seal::Auto { .. }),
            ..Self::uninitialized()
        }
    }

    /// Of a process that has the root key.
    #[must_use]
    pub fn unsealed(row: &SealRow) -> Self {
        Self {
            sealed: false,
            ..Self::sealed(row)
        }
    }
}
