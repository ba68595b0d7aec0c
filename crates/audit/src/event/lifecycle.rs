//! The program itself: started, stopped, configured.

use super::decision::Verdict;
use crate::text::{Code, Count, Digest, Text};
use serde::{Deserialize, Serialize};

/// The program started and serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {
    /// Digest of the configuration it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Digest>,
    /// The program's version.
    pub version: Text<64>,
}

/// The program stopped in an orderly way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stopped {
    /// Why.
    pub reason: Code,
}

/// The time of the signed bundle whose policies decide is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoliciesOverdue {
    /// Digest of the set, as decisions name it.
    pub bundle: Digest,
    /// Until when it was for use, in seconds since the epoch.
    pub expired: Count,
    /// What becomes of it: `goes_on` for a while, or `denies` everything.
    pub standing: Code,
    /// The number of its version.
    pub version: Count,
}

/// A configuration was judged and, if allowed, applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationApplied {
    /// Objects that it created, changed or removed.
    pub changes: Count,
    /// Digest of the configuration.
    pub configuration: Digest,
    /// Whether it was applied.
    pub decision: Verdict,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
}
