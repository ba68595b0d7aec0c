//! Refusals of strangers, bounded: the first of each second and source are recorded one by one, the others counted.
//!
//! Otherwise whoever knocks fast enough would fill the log and, since a full log closes the doors, close them.

use countersign_audit::event::RefusalsCounted;
use countersign_audit::{Code, Count, Digest, Record};
use countersign_base::{Tenant, UnixMillis};
use countersign_crypto::digest::sha256_parts;
use countersign_crypto::random::Random;
use std::collections::HashMap;

/// Sources that are told apart; beyond, they are counted together until the second is over.
const SOURCES_MAX: usize = 8 * 1024;

/// The refusals of the current second.
pub(super) struct Refusals {
    salt: [u8; 32],
    random: Random,
    per_second: u32,
    second: i64,
    sources: HashMap<[u8; 32], Source>,
}

struct Source {
    recorded: u32,
    counted: Option<Counted>,
}

struct Counted {
    count: u64,
    kind: Code,
    tenant: Tenant,
}

/// What is to be done with a refusal.
pub(super) enum Judged {
    Count,
    Record,
}

impl Refusals {
    pub(super) fn new(random: Random, per_second: u32) -> Self {
        let salt = random.bytes();
        Self {
            salt,
            random,
            per_second,
            second: 0,
            sources: HashMap::new(),
        }
    }

    /// Notes a refusal. The records that earlier seconds owe come with the answer and must be written.
    pub(super) fn note(
        &mut self,
        source: &str,
        record: &Record,
        now: UnixMillis,
    ) -> (Judged, Vec<Record>) {
        let owed = self.owed(now);
        let mut key = sha256_parts(&[&self.salt, source.as_bytes()]);
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&key) {
            key = sha256_parts(&[&self.salt, b"others"]);
        }
        let source = self.sources.entry(key).or_insert(Source {
            recorded: 0,
            counted: None,
        });
        if source.recorded < self.per_second {
            source.recorded += 1;
            return (Judged::Record, owed);
        }
        let first = || Counted {
            count: 0,
            kind: Code::of(record.event.kind()),
            tenant: record.tenant.clone(),
        };
        source.counted.get_or_insert_with(first).count += 1;
        (Judged::Count, owed)
    }

    /// The counted records of seconds that are over.
    pub(super) fn owed(&mut self, now: UnixMillis) -> Vec<Record> {
        let second = now.0.div_euclid(1000);
        if second == self.second {
            return Vec::new();
        }
        let from = UnixMillis(self.second.saturating_mul(1000));
        self.second = second;
        let mut owed: Vec<([u8; 32], Counted)> = self
            .sources
            .drain()
            .filter_map(|(key, source)| source.counted.map(|counted| (key, counted)))
            .collect();
        owed.sort_unstable_by_key(|(key, _)| *key);
        owed.into_iter()
            .map(|(key, counted)| self.record(key, counted, from, now))
            .collect()
    }

    /// What is owed so far, the current second included: for the end of the program.
    pub(super) fn settle(&mut self, now: UnixMillis) -> Vec<Record> {
        let from = UnixMillis(self.second.saturating_mul(1000));
        let sources = std::mem::take(&mut self.sources);
        let owed = sources
            .into_iter()
            .filter_map(|(key, source)| source.counted.map(|counted| (key, counted)));
        owed.map(|(key, counted)| self.record(key, counted, from, now))
            .collect()
    }

    fn record(
        &self,
        source: [u8; 32],
        counted: Counted,
        from: UnixMillis,
        now: UnixMillis,
    ) -> Record {
        let Counted {
            count,
            kind,
            tenant,
        } = counted;
        let event = RefusalsCounted {
            count: Count::of(count),
            from,
            kind,
            source: Digest::from_bytes(source),
        };
        Record {
            id: self.random.event_id(),
            time: now,
            tenant,
            request: None,
            event: event.into(),
        }
    }
}

#[cfg(test)]
mod tests;
