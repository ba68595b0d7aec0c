//! What was acknowledged, and what has to follow of it.

use super::journal::{Done, Taken};
use crate::Failed;
use std::collections::{BTreeMap, BTreeSet};

/// What one worker sent, in its order: it sends one message after the other, and the next only when the one before was acknowledged or given up.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent {
    /// Its messages that were acknowledged, each with the id that the answer named, if it named one.
    pub(super) acknowledged: BTreeMap<u64, Option<String>>,
    /// Its messages of which nobody knows: a crash cut off the answer, and they were not sent again.
    pub(super) doubtful: BTreeSet<u64>,
}

/// Workers by the key of their messages.
pub(super) type Ledger = BTreeMap<String, Sent>;

/// What was taken in at one place.
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) taken: Vec<&'a Taken>,
}

impl<'a> Place<'a> {
    pub(super) fn of(name: &'a str, journal: &'a [Taken]) -> Self {
        let here = journal.iter().filter(|taken| taken.place == name);
        Self {
            name,
            taken: here.collect(),
        }
    }

    /// Acknowledged messages that have not come.
    pub(super) fn missing(&self, ledger: &Ledger) -> Vec<(String, u64)> {
        let come: BTreeSet<(&str, u64)> = self.came().collect();
        let mut missing = Vec::new();
        for (key, sent) in ledger {
            let absent = sent.acknowledged.keys().copied();
            let absent = absent.filter(|number| !come.contains(&(key.as_str(), *number)));
            missing.extend(absent.map(|number| (key.clone(), number)));
        }
        missing
    }

    /// Every acknowledged message has come.
    pub(super) fn whole(&self, ledger: &Ledger) -> Result<u64, Failed> {
        let missing = self.missing(ledger);
        if let Some((key, number)) = missing.first() {
            return Err(format!(
                "{}: {} acknowledged messages never came, the first: {number} of {key}",
                self.name,
                missing.len()
            )
            .into());
        }
        let all: usize = ledger.values().map(|sent| sent.acknowledged.len()).sum();
        Ok(u64::try_from(all)?)
    }

    /// One message has one id, however often it comes, and it is the one that its sender was told; and nothing came that nobody sent.
    pub(super) fn same_ids(&self, ledger: &Ledger) -> Result<u64, Failed> {
        let mut ids: BTreeMap<(&str, u64), &str> = BTreeMap::new();
        let mut numbers: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
        for taken in &self.taken {
            let message = (taken.key.as_str(), taken.number);
            let sent = ledger.get(&taken.key);
            let told = sent.and_then(|sent| sent.acknowledged.get(&taken.number));
            let known =
                told.is_some() || sent.is_some_and(|sent| sent.doubtful.contains(&taken.number));
            if !known {
                return Err(format!("{}: {message:?} came, and nobody sent it", self.name).into());
            }
            let id = *ids.entry(message).or_insert(&taken.id);
            let of_id = *numbers.entry(&taken.id).or_insert(message);
            let other = told.and_then(Option::as_deref).filter(|told| *told != id);
            if id != taken.id || of_id != message || other.is_some() {
                return Err(format!(
                    "{}: {message:?} came as {} and as {id}, which is {of_id:?}; its sender was told {other:?}",
                    self.name, taken.id
                )
                .into());
            }
        }
        Ok(u64::try_from(ids.len())?)
    }

    /// Of each key, no message came for the first time after a later one of its key.
    pub(super) fn in_order(&self) -> Result<u64, Failed> {
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        let mut seen: BTreeSet<(&str, u64)> = BTreeSet::new();
        for (key, number) in self.came() {
            if !seen.insert((key, number)) {
                continue;
            }
            let before = last.insert(key, number).unwrap_or(0);
            if before > number {
                return Err(format!(
                    "{}: {number} of {key} came for the first time after {before}",
                    self.name
                )
                .into());
            }
        }
        Ok(u64::try_from(seen.len())?)
    }

    /// Nothing came whose signature does not hold.
    pub(super) fn signed(&self) -> Result<u64, Failed> {
        if let Some(forged) = self.taken.iter().find(|taken| taken.done == Done::Forged) {
            return Err(format!("{}: {forged:?}", self.name).into());
        }
        Ok(u64::try_from(self.taken.len())?)
    }

    /// How often something came that had come before.
    pub(super) fn duplicates(&self) -> usize {
        let once: BTreeSet<(&str, u64)> = self.came().collect();
        self.came().count() - once.len()
    }

    fn came(&self) -> impl Iterator<Item = (&str, u64)> {
        let accepted = self.taken.iter().filter(|taken| taken.done != Done::Forged);
        accepted.map(|taken| (taken.key.as_str(), taken.number))
    }
}

/// The same ledger with a message more that was acknowledged, as it says.
pub(super) fn falsified(ledger: &Ledger) -> Ledger {
    let mut lie = ledger.clone();
    if let Some(sent) = lie.values_mut().next() {
        let next = sent.acknowledged.keys().last().copied().unwrap_or(0) + 1_000_000;
        sent.acknowledged.insert(next, None);
    }
    lie
}

#[cfg(test)]
mod tests {
    use super::{Done, Ledger, Place, Sent, Taken, falsified};

    fn ledger(acknowledged: &[(u64, Option<&str>)], doubtful: &[u64]) -> Ledger {
        let acknowledged = acknowledged.iter();
        let sent = Sent {
            acknowledged: acknowledged
                .map(|(number, id)| (*number, id.map(str::to_owned)))
                .collect(),
            doubtful: doubtful.iter().copied().collect(),
        };
        Ledger::from([("a".to_owned(), sent)])
    }

    fn taken(number: u64, id: &str) -> Taken {
        Taken {
            place: "/x".to_owned(),
            id: id.to_owned(),
            key: "a".to_owned(),
            number,
            done: Done::Accepted,
        }
    }

    #[test]
    fn a_message_that_was_acknowledged_and_never_came_is_missed() {
        let ledger = ledger(&[(1, None), (2, None)], &[]);
        let journal = [taken(1, "i1"), taken(2, "i2")];
        assert_eq!(Place::of("/x", &journal).whole(&ledger).unwrap(), 2);
        assert!(Place::of("/x", &journal[..1]).whole(&ledger).is_err());
        assert!(Place::of("/y", &journal).whole(&ledger).is_err());
        assert!(
            Place::of("/x", &journal)
                .whole(&falsified(&ledger))
                .is_err()
        );
    }

    #[test]
    fn what_was_refused_has_not_come() {
        let ledger = ledger(&[(1, None)], &[]);
        let forged = Taken {
            done: Done::Forged,
            ..taken(1, "i1")
        };
        assert!(
            Place::of("/x", std::slice::from_ref(&forged))
                .whole(&ledger)
                .is_err()
        );
        assert!(
            Place::of("/x", std::slice::from_ref(&forged))
                .signed()
                .is_err()
        );
    }

    #[test]
    fn a_message_has_one_id_and_an_id_one_message() {
        let known = ledger(&[(1, Some("i1")), (2, None)], &[3]);
        let ids = |journal: &[Taken]| Place::of("/x", journal).same_ids(&known);
        assert_eq!(
            ids(&[taken(1, "i1"), taken(1, "i1"), taken(3, "i3")]).unwrap(),
            2
        );
        assert!(
            ids(&[taken(1, "i9")]).is_err(),
            "its sender was told another"
        );
        assert!(ids(&[taken(2, "i2"), taken(2, "i9")]).is_err());
        assert!(ids(&[taken(2, "i2"), taken(3, "i2")]).is_err());
        assert!(ids(&[taken(4, "i4")]).is_err(), "nobody sent it");
    }

    #[test]
    fn the_order_is_that_of_the_first_time() {
        let order = |numbers: &[u64]| {
            let journal: Vec<Taken> = numbers.iter().map(|n| taken(*n, "i")).collect();
            Place::of("/x", &journal).in_order()
        };
        assert_eq!(order(&[1, 2, 1, 3, 2]).unwrap(), 3);
        assert!(order(&[1, 3, 2]).is_err());
    }
}
