//! What was done to the seal: what stands above the root key.

use crate::text::{Code, Count};
use serde::{Deserialize, Serialize};

/// A step of an operation on the seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealOperation {
    /// The generation of the seal that stands after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<Count>,
    /// What is done (`change-seal`, `generate-root`, `init`, `rekey`, `seal`, `unseal`).
    pub operation: Code,
    /// What happened, where the step does not say it (`wrong_shares`, `without_nonce`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// Sets of shares that were refused since the operation began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Count>,
    /// What the seal is (`shamir`, `file`, `pkcs11`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<Code>,
    /// How far it is (`authorized`, `cancelled`, `done`, `failed`, `refused`, `started`, `verifying`).
    pub step: Code,
}

impl SealOperation {
    /// A step of which no more is to be said.
    #[must_use]
    pub const fn new(operation: Code, step: Code) -> Self {
        Self {
            generation: None,
            operation,
            reason: None,
            refused: None,
            seal: None,
            step,
        }
    }
}
