//! Refusals that were counted, so that nobody can fill the log by knocking.

use crate::text::{Code, Count, Digest};
use countersign_base::UnixMillis;
use serde::{Deserialize, Serialize};

/// Refusals of one source within one second, beyond those that were recorded one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusalsCounted {
    /// How many.
    pub count: Count,
    /// When the counted second began.
    pub from: UnixMillis,
    /// The kind of the first record that was counted instead of kept (`decision`).
    pub kind: Code,
    /// Whom: a digest of the address under a salt that lives as long as the process, so that records of one source belong together and none
    /// names a person.
    pub source: Digest,
}
