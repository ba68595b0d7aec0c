use super::{Cursor, PageEnd, Rewrap, RewrapEnded, RewrapRow, RewrapStep, RewrapTable};
use crate::envelope::{self, Aad, KeyVersion, OpenError, Sealed};
use crate::hierarchy::{DataKey, KekSet, KekSetError};
use countersign_base::Tenant;
use countersign_crypto::random::Random;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NAMES: [&str; 2] = ["first", "second"];

fn random() -> Random {
    Random::system()
}

/// Two tables, as a database has them.
struct Tables(BTreeMap<&'static str, BTreeMap<u8, Sealed>>);

fn place(table: &'static str, row: u8) -> Aad {
    Aad::row(&Tenant::default_tenant(), table, "value", &[row])
}

impl Tables {
    fn new(rows: u8, keks: &KekSet) -> Self {
        let mut tables = Self(BTreeMap::new());
        for table in NAMES {
            tables.0.insert(table, BTreeMap::new());
            for row in 0..rows {
                tables.write(table, row, keks);
            }
        }
        tables
    }

    fn write(&mut self, table: &'static str, row: u8, keks: &KekSet) {
        let sealed = envelope::seal(keks, &place(table, row), &[row], &random()).unwrap();
        self.0.get_mut(table).unwrap().insert(row, sealed);
    }

    fn list(&self) -> Vec<RewrapTable> {
        NAMES
            .map(|name| RewrapTable {
                name: name.to_owned(),
                rows: self.0[name].len() as u64,
            })
            .into()
    }

    /// One page of two rows, as the caller does it.
    fn step(&mut self, rewrap: Rewrap, keks: &KekSet) -> RewrapStep {
        let (name, after) = rewrap.position().unwrap();
        let name = NAMES.into_iter().find(|known| *known == name).unwrap();
        let after = after.map(|cursor| cursor.as_bytes()[0]);
        let rows: Vec<RewrapRow> = self.0[name]
            .iter()
            .filter(|(row, _)| after.is_none_or(|after| **row > after))
            .take(2)
            .map(|(row, sealed)| RewrapRow {
                cursor: Cursor::new(vec![*row]),
                aad: place(name, *row),
                sealed: sealed.clone(),
            })
            .collect();
        let end = if rows.len() < 2 {
            PageEnd::TableEnds
        } else {
            PageEnd::More
        };
        let page = rewrap.page(rows, keks, &random());
        let table = self.0.get_mut(name).unwrap();
        for replacement in &page.replacements {
            let row = table.get_mut(&replacement.cursor.as_bytes()[0]).unwrap();
            assert!(*row == replacement.old);
            *row = replacement.new.clone();
        }
        let written = page.replacements.len() as u64;
        rewrap.advance(&page, written, end)
    }

    fn run(&mut self, mut rewrap: Rewrap, keks: &KekSet) -> RewrapStep {
        for _ in 0..1000 {
            rewrap = match self.step(rewrap, keks) {
                RewrapStep::More(next) => stored(&next),
                end @ (RewrapStep::Blocked(_) | RewrapStep::Ended(_)) => return end,
            };
        }
        panic!("the rewrap does not end");
    }

    fn lowest(&self) -> KeyVersion {
        let rows = self.0.values().flat_map(BTreeMap::values);
        rows.map(|sealed| sealed.key().unwrap().1).min().unwrap()
    }
}

/// What a stop and a start leave of a rewrap.
fn stored(rewrap: &Rewrap) -> Rewrap {
    let text = serde_json::to_string(rewrap).unwrap();
    let read = serde_json::from_str(&text).unwrap();
    assert_eq!(&read, rewrap);
    read
}

fn rotated() -> (KekSet, KekSet) {
    let old = KekSet::generate(&Random::from_fn(|buffer| buffer.fill(7)));
    let new = KekSet::generate(&Random::from_fn(|buffer| buffer.fill(7)));
    (old, new.rotate(&random()).unwrap())
}

fn ended(step: RewrapStep) -> RewrapEnded {
    match step {
        RewrapStep::Ended(ended) => ended,
        RewrapStep::Blocked(_) | RewrapStep::More(_) => panic!("not ended"),
    }
}

#[test]
fn everything_is_sealed_again_and_then_the_minimum_rises() {
    let (old, keks) = rotated();
    let mut tables = Tables::new(5, &old);
    let rewrap = Rewrap::start(keks.current().id(), KeyVersion(2), tables.list());
    assert_eq!(rewrap.progress().total, 10);
    let ended = ended(tables.run(rewrap, &keks));
    assert_eq!(ended.rewrapped(), 10);
    assert_eq!(tables.lowest(), KeyVersion(2));
    let keks = keks.raise_minimum(&ended).unwrap();
    assert_eq!(keks.minimum(), KeyVersion(2));
    for table in NAMES {
        for (row, sealed) in &tables.0[table] {
            let opened = envelope::open(&keks, &place(table, *row), sealed).unwrap();
            assert_eq!(opened.expose(), &[*row]);
        }
    }
}

#[test]
fn progress_counts_a_walk() {
    let (old, keks) = rotated();
    let mut tables = Tables::new(3, &old);
    let rewrap = Rewrap::start(keks.current().id(), KeyVersion(2), tables.list());
    let RewrapStep::More(rewrap) = tables.step(rewrap, &keks) else {
        panic!("rows are left");
    };
    let progress = rewrap.progress();
    assert_eq!((progress.walk, progress.done, progress.total), (1, 2, 6));
    assert_eq!(progress.rewrapped, 2);
    assert_eq!(rewrap.position().unwrap().0, "first");
}

#[test]
fn a_row_written_behind_the_cursor_is_found_by_the_next_walk() {
    let (old, keks) = rotated();
    let mut tables = Tables::new(4, &old);
    let mut rewrap = Rewrap::start(keks.current().id(), KeyVersion(2), tables.list());
    for _ in 0..4 {
        let RewrapStep::More(next) = tables.step(rewrap, &keks) else {
            panic!("rows are left");
        };
        rewrap = next;
    }
    // A process that does not know version 2 yet.
    tables.write("first", 0, &old);
    let _ = ended(tables.run(rewrap, &keks));
    assert_eq!(tables.lowest(), KeyVersion(2));
}

#[test]
fn a_row_that_changed_meanwhile_keeps_the_walk_from_being_the_last() {
    let (old, keks) = rotated();
    let rewrap = Rewrap::start(
        keks.current().id(),
        KeyVersion(2),
        vec![RewrapTable {
            name: "first".to_owned(),
            rows: 1,
        }],
    );
    let row = RewrapRow {
        cursor: Cursor::new(vec![1]),
        aad: place("first", 1),
        sealed: envelope::seal(&old, &place("first", 1), b"x", &random()).unwrap(),
    };
    let page = rewrap.page(vec![row], &keks, &random());
    let RewrapStep::More(rewrap) = rewrap.advance(&page, 0, PageEnd::TableEnds) else {
        panic!("the row was not written");
    };
    let progress = rewrap.progress();
    assert_eq!(
        (progress.walk, progress.done, progress.rewrapped),
        (2, 0, 0)
    );
}

#[test]
fn what_does_not_open_blocks_the_end() {
    let (old, keks) = rotated();
    let mut tables = Tables::new(3, &old);
    let moved = tables.0["first"][&0].clone();
    tables.0.get_mut("first").unwrap().insert(1, moved);
    let rewrap = Rewrap::start(keks.current().id(), KeyVersion(2), tables.list());
    let RewrapStep::Blocked(rewrap) = tables.run(rewrap, &keks) else {
        panic!("a row does not open");
    };
    assert_eq!(rewrap.progress().rewrapped, 5);
    // Once it is gone, the same rewrap ends.
    tables.0.get_mut("first").unwrap().remove(&1);
    let _ = ended(tables.run(rewrap, &keks));
}

#[test]
fn another_key_and_keys_without_the_target_are_told() {
    let (old, keks) = rotated();
    let rewrap = Rewrap::start(keks.current().id(), KeyVersion(2), Vec::new());
    assert!(rewrap.position().is_none());
    let row = |sealed| RewrapRow {
        cursor: Cursor::new(vec![1]),
        aad: place("first", 1),
        sealed,
    };
    let stranger = DataKey::generate(&random());
    let foreign = envelope::seal(&stranger, &place("first", 1), b"x", &random()).unwrap();
    let page = rewrap.page(vec![row(foreign)], &keks, &random());
    assert!(matches!(
        page.unreadable[..],
        [(_, OpenError::KeyUnknown { .. })]
    ));
    let ours = envelope::seal(&old, &place("first", 1), b"x", &random()).unwrap();
    let page = rewrap.page(vec![row(ours)], &old, &random());
    assert!(matches!(
        page.unreadable[..],
        [(_, OpenError::KeyVersionTooOld { .. })]
    ));
    assert!(page.replacements.is_empty());
}

#[test]
fn the_end_of_another_key_raises_nothing() {
    let (_, keks) = rotated();
    let end = |key, version| {
        let rewrap = Rewrap::start(key, version, Vec::new());
        let page = rewrap.page(Vec::new(), &keks, &random());
        ended(rewrap.advance(&page, 0, PageEnd::TableEnds))
    };
    let other = end(DataKey::generate(&random()).id(), KeyVersion(2));
    let above = end(keks.current().id(), KeyVersion(3));
    let (_, keks) = rotated();
    assert_eq!(
        keks.raise_minimum(&other).map(|_| ()).unwrap_err(),
        KekSetError::AnotherKey
    );
    let (_, keks) = rotated();
    assert_eq!(
        keks.raise_minimum(&above).map(|_| ()).unwrap_err(),
        KekSetError::MinimumAboveCurrent
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However writers with the old version and stops are mixed in, the end means that nothing is left below the target.
    #[test]
    fn the_end_means_what_it_says(rows in 0_u8..6, writes in proptest::collection::vec((0_usize..20, 0_usize..2, 0_u8..6), 0..6)) {
        let (old, keks) = rotated();
        let mut tables = Tables::new(rows, &old);
        let mut rewrap = Rewrap::start(keks.current().id(), KeyVersion(2), tables.list());
        for at in 0..1000 {
            // A stop before the state was stored repeats a page, which changes nothing.
            let repeated = rewrap.clone();
            let _ = tables.step(repeated, &keks);
            rewrap = match tables.step(rewrap, &keks) {
                RewrapStep::More(next) => stored(&next),
                RewrapStep::Ended(_) => {
                    let left = tables.0.values().flat_map(BTreeMap::values).filter(|sealed| sealed.key().unwrap().1 < KeyVersion(2));
                    // What was written after the last walk passed is the caller's: it waits until every process uses the new version.
                    let late = writes.iter().filter(|(when, _, _)| *when + 8 > at).count();
                    prop_assert!(left.count() <= late);
                    return Ok(());
                }
                RewrapStep::Blocked(_) => panic!("everything opens"),
            };
            for (when, table, row) in &writes {
                if *when == at {
                    tables.write(NAMES[*table], *row, &old);
                }
            }
        }
        prop_assert!(false, "the rewrap does not end");
    }
}
