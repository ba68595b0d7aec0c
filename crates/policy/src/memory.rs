//! Answers that were given before: of a set that does not change, the same question has the same answer.
//!
//! A question is the same if everything that the policies of its action can read of it is ([`Footprint`]). It is known by a SHA-256 over that, so that nothing personal is kept. The memory lives and dies with its set: new
//! policies are asked at once. It is bounded; what is past the bound is asked as if there were none.

use crate::footprint::Footprint;
use crate::index::Outcome;
use crate::query::Query;
use countersign_crypto::digest::sha256;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Answers that are kept for an action; past it all are forgotten and given again.
const ANSWERS_MAX: usize = 16_384;

/// The answers of one action.
#[derive(Default)]
pub(crate) struct Memory {
    footprint: Footprint,
    answers: RwLock<HashMap<Known, Arc<Outcome>>>,
}

/// A question, as far as its answer depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Known([u8; 32]);

impl Memory {
    /// An empty memory for policies that read `footprint`.
    pub(crate) fn new(footprint: Footprint) -> Self {
        Self {
            footprint,
            answers: RwLock::default(),
        }
    }

    /// What the question is known by.
    pub(crate) fn known(&self, query: &Query) -> Known {
        let counted = self.footprint.of(query);
        let context = |name: &str| counted.context.has(name);
        let read = query.canonical_json_of(context, counted.principal, counted.resource);
        Known(sha256(read.as_bytes()))
    }

    /// What was answered to this question.
    pub(crate) fn answer(&self, known: &Known) -> Option<Arc<Outcome>> {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        answers.get(known).cloned()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        answers.len()
    }

    /// Keeps an answer.
    pub(crate) fn keep(&self, known: Known, outcome: Arc<Outcome>) {
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        answers.insert(known, outcome);
    }
}
