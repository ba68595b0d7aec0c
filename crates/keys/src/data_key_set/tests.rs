use super::DataKeySet;
use crate::envelope::{self, Aad, KeyVersion, OpenError, Sealed};
use crate::hierarchy::{DataKey, KekSet};
use crate::rewrap::{Cursor, PageEnd, Rewrap, RewrapRow, RewrapStep, RewrapTable};
use crate::seal_count::{Counted, Reserved, SealCount, SealCounter, SealLimits};
use crate::versions::KeySetError;
use countersign_base::Tenant;
use countersign_crypto::random::Random;

fn random() -> Random {
    Random::system()
}

fn place(row: u8) -> Aad {
    Aad::row(&Tenant::default_tenant(), "notes", "text", &[row])
}

fn seal(keys: &DataKeySet, row: u8) -> Sealed {
    envelope::seal(keys, &place(row), b"text", &random()).unwrap()
}

#[test]
fn versions_are_stored_and_read_again() {
    let keks = KekSet::generate(&random());
    let row = Aad::row(&Tenant::default_tenant(), "data_keys", "wrapped", b"k");
    let keys = DataKeySet::generate(&random());
    let first = keys.current().wrap(&keks, &row, &random()).unwrap();
    let old = seal(&keys, 1);
    let keys = keys.rotate(&random()).unwrap();
    let second = keys.current().wrap(&keks, &row, &random()).unwrap();
    let new = seal(&keys, 1);
    assert_eq!(new.key().unwrap().1, KeyVersion(2));
    let read = |stored: &Sealed| DataKey::unwrap(&keks, &row, stored).unwrap();
    let keys = DataKeySet::new(vec![read(&second), read(&first)], KeyVersion(1)).unwrap();
    for sealed in [&old, &new] {
        assert!(envelope::open(&keys, &place(1), sealed).is_ok());
    }
    assert_eq!(keys.current().version(), KeyVersion(2));
    let refused = |versions, minimum| DataKeySet::new(versions, minimum).map(|_| ()).unwrap_err();
    let one = KeyVersion(1);
    assert_eq!(refused(vec![], one), KeySetError::Empty);
    assert_eq!(
        refused(vec![read(&first), read(&first)], one),
        KeySetError::VersionTwice
    );
    assert_eq!(
        refused(vec![read(&first)], KeyVersion(2)),
        KeySetError::MinimumAboveCurrent
    );
    let stranger = DataKey::generate(&random());
    assert_eq!(
        refused(vec![read(&second), stranger], one),
        KeySetError::AnotherKey
    );
}

/// A tenant's key as it lives: it seals up to its limit, is rotated, what it sealed is rewrapped, and the old version opens nothing any more.
#[test]
fn a_key_is_rotated_before_its_limit_and_rewrapped() {
    let limits = SealLimits {
        limit: SealCount {
            messages: 4,
            bytes: 1000,
        },
        block: SealCount {
            messages: 2,
            bytes: 100,
        },
    };
    let mut keys = DataKeySet::generate(&random());
    let (mut counter, mut stored) = (SealCounter::new(limits), SealCount::default());
    let mut rows = Vec::new();
    for row in 0..6 {
        while let Counted::Reserve(block) = counter.count(4) {
            stored = stored.plus(block);
            if counter.reserved(block, stored) == Reserved::Rotate {
                keys = keys.rotate(&random()).unwrap();
                (counter, stored) = (SealCounter::new(limits), SealCount::default());
            }
        }
        rows.push(seal(&keys, row));
    }
    let versions: Vec<u32> = rows
        .iter()
        .map(|sealed| sealed.key().unwrap().1.0)
        .collect();
    assert_eq!(versions, [1, 1, 1, 1, 2, 2]);

    let before = rows[0].clone();
    let table = RewrapTable {
        name: "notes".to_owned(),
        rows: 6,
    };
    let mut rewrap = Rewrap::start(keys.current().id(), KeyVersion(2), vec![table]);
    let ended = loop {
        let read = rows.iter().zip(0_u8..).map(|(sealed, row)| RewrapRow {
            cursor: Cursor::new(vec![row]),
            aad: place(row),
            sealed: sealed.clone(),
        });
        let page = rewrap.page(read.collect(), &keys, &random());
        for replacement in &page.replacements {
            rows[usize::from(replacement.cursor.as_bytes()[0])] = replacement.new.clone();
        }
        let written = page.replacements.len() as u64;
        rewrap = match rewrap.advance(&page, written, PageEnd::TableEnds) {
            RewrapStep::More(next) => next,
            RewrapStep::Ended(ended) => break ended,
            RewrapStep::Blocked(_) => panic!("every row opens"),
        };
    };
    assert_eq!(ended.rewrapped(), 4);
    let keys = keys.raise_minimum(&ended).unwrap();
    assert_eq!(keys.minimum(), KeyVersion(2));
    for (row, sealed) in (0..).zip(&rows) {
        assert!(envelope::open(&keys, &place(row), sealed).is_ok());
    }
    let refused = envelope::open(&keys, &place(0), &before).map(|_| ());
    assert!(matches!(refused, Err(OpenError::KeyVersionTooOld { .. })));
}
