//! How sensitive a piece of data is.

use serde::{Deserialize, Serialize};

/// Sensitivity, from what anyone may read to what only a permit with a purpose opens. The order is the order of sensitivity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// Anyone may read it.
    Public,
    /// People and services of the organisation may read it.
    Internal,
    /// About a person, or of value to an attacker.
    Confidential,
    /// Cardholder data, credentials, health: sealed wherever it rests.
    Restricted,
}
