//! The life of a key.

use super::decision::Actor;
use crate::text::{Code, Count};
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

/// A key of the hierarchy began to be replaced: a new version seals from now on, and what older ones sealed is sealed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRotationBegan {
    /// Who asked for it; the program itself, where it was due.
    pub by: Actor,
    /// Which key (`data`, `key-encryption`, `root`).
    pub key: Code,
    /// Why (`demand`, `age`, `use`).
    pub reason: Code,
    /// The version that seals.
    pub version: Count,
}

/// Nothing is left under older versions of a key of the hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRotationEnded {
    /// How many older versions were destroyed.
    pub destroyed: Count,
    /// Which key (`data`, `key-encryption`, `root`).
    pub key: Code,
    /// How much was sealed again.
    pub rewrapped: Count,
    /// The version that everything is under.
    pub version: Count,
}
