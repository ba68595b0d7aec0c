//! Transaction tokens at a workload (draft-ietf-oauth-transaction-tokens): what the call chain that a request belongs to is about.
//!
//! A transaction token does not authenticate its sender. Ask this besides a [`crate::Guard`], or besides mutual TLS between workloads.

use crate::keys::{KeySource, Keys};
use countersign_authn::jwks::JwksLimits;
use countersign_authn::transaction::{self, Transaction, TransactionRules};
use countersign_authn::{Refusal, Revocations};
use countersign_base::Clock;
use http::HeaderMap;
use std::sync::Arc;

/// Checks the `Txn-Token` of requests; shared by all of a workload.
pub struct TransactionGuard {
    rules: TransactionRules,
    keys: Keys,
    revocations: Arc<dyn Revocations>,
    clock: Clock,
}

impl TransactionGuard {
    /// Builds the guard. [`crate::LifetimeOnly`] stands for no revocations: a transaction token lives for a minute.
    #[must_use]
    pub fn new(
        rules: TransactionRules,
        keys: impl KeySource,
        revocations: Arc<dyn Revocations>,
        clock: Clock,
    ) -> Self {
        let issuers: Vec<_> = rules
            .issuers
            .iter()
            .map(|trusted| trusted.issuer.clone())
            .collect();
        Self {
            keys: Keys::new(
                Arc::new(keys),
                issuers,
                JwksLimits::default(),
                clock.clone(),
            ),
            rules,
            revocations,
            clock,
        }
    }

    /// The transaction that a request belongs to.
    ///
    /// # Errors
    /// When there is no transaction token, or it does not hold here.
    pub async fn check(&self, headers: &HeaderMap) -> Result<Transaction, Refusal> {
        let needed = transaction::demand(headers, &self.rules)?;
        let answer = self
            .keys
            .find(needed.issuer(), needed.kid(), needed.algorithm())
            .await;
        transaction::prove(
            needed,
            answer,
            &self.rules,
            &*self.revocations,
            self.clock.now(),
        )
    }
}

impl std::fmt::Debug for TransactionGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TransactionGuard({})", self.rules.trust_domain)
    }
}

#[cfg(test)]
mod tests;
