//! Verdicts on signatures, so that each token costs one verification. What else is judged is judged at every use.

use countersign_authn::{VerdictKey, VerifiedToken};
use countersign_base::UnixTime;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Tokens remembered.
const VERDICTS_MAX: usize = 10_000;

#[derive(Default)]
pub(crate) struct Verdicts(Mutex<HashMap<VerdictKey, (u64, Arc<VerifiedToken>)>>);

impl Verdicts {
    /// The verdict, if it was given under key sets of this generation and the token has not expired.
    pub(crate) fn get(
        &self,
        key: VerdictKey,
        generation: impl FnOnce(&VerifiedToken) -> u64,
        now: UnixTime,
    ) -> Option<Arc<VerifiedToken>> {
        let (given, verdict) = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned()?;
        (given == generation(&verdict) && now < verdict.expires()).then_some(verdict)
    }

    pub(crate) fn put(&self, generation: u64, verdict: Arc<VerifiedToken>, now: UnixTime) {
        let mut verdicts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if verdicts.len() >= VERDICTS_MAX {
            verdicts.retain(|_, (_, verdict)| now < verdict.expires());
        }
        // Still full of live ones: begin anew, at the price of verifying again.
        if verdicts.len() >= VERDICTS_MAX {
            verdicts.clear();
        }
        verdicts.insert(verdict.cache_key(), (generation, verdict));
    }
}
