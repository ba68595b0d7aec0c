//! The end of a person's data, and its return with a backup.

use super::decision::Actor;
use crate::text::{Count, Digest};
use serde::{Deserialize, Serialize};

/// A person was erased: their key is destroyed, and with it everything that was sealed under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectErased {
    /// Who did it.
    pub by: Actor,
    /// Digest of the name of the epoch key that forgot them.
    pub epoch: Digest,
    /// A salted commitment to who it was; whoever erased them was given the salt.
    pub subject: Digest,
}

/// A backup was restored into a new data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    /// Digest of the encrypted backup.
    pub backup: Digest,
    /// When the backup was made, in seconds since the epoch.
    pub made: Count,
    /// Records that the log's checkpoint covered in the backup.
    pub size: Count,
}
