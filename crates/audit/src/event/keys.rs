//! The life of a key.

use crate::text::Code;
use countersign_base::Kid;
use serde::{Deserialize, Serialize};

/// A key was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyCreated {
    /// What it computes (`ES256`).
    pub algorithm: Code,
    /// Its name.
    pub kid: Kid,
    /// What it is for (`access-token`, `audit-checkpoint`, `kek`).
    pub purpose: Code,
}

/// A key moved from one state to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRotated {
    /// The state it left.
    pub from: Code,
    /// Its name.
    pub kid: Kid,
    /// What it is for.
    pub purpose: Code,
    /// Why (`schedule`, `demand`).
    pub reason: Code,
    /// The state it is in now.
    pub to: Code,
}
