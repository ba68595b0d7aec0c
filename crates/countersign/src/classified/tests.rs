//! The list is complete, in order, and true of the tables.

use super::{COLUMNS, Form, UNCLASSIFIED};
use countersign_base::Classification;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The columns of each table, from the migrations: `CREATE TABLE`, and columns that were added, renamed or dropped with their table.
fn tables() -> BTreeMap<String, BTreeSet<String>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/migrations/sqlite");
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let mut open: Option<String> = None;
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let words: Vec<&str> = line
                .split([' ', '(', ',', ';'])
                .filter(|word| !word.is_empty())
                .collect();
            match (&open, words.as_slice()) {
                (None, ["CREATE", "TABLE", name, ..]) => {
                    tables.insert((*name).to_owned(), BTreeSet::new());
                    open = Some((*name).to_owned());
                }
                (None, ["ALTER", "TABLE", name, "ADD", "COLUMN", column, ..]) => {
                    tables.get_mut(*name).unwrap().insert((*column).to_owned());
                }
                (None, ["ALTER", "TABLE", name, "RENAME", "TO", to]) => {
                    let columns = tables.remove(*name).unwrap();
                    tables.insert((*to).to_owned(), columns);
                }
                (None, ["DROP", "TABLE", name]) => {
                    tables.remove(*name);
                }
                (Some(_), []) if line.starts_with(')') => open = None,
                (Some(table), [column, ..]) if column.starts_with(char::is_lowercase) => {
                    let columns = tables.get_mut(table).unwrap();
                    columns.insert((*column).to_owned());
                }
                _ => {}
            }
            if line.starts_with(')') {
                open = None;
            }
        }
    }
    tables
}

#[test]
fn every_table_is_classified_or_says_why_it_is_not() {
    let tables = tables();
    assert!(tables.len() >= 30, "the migrations were read");
    let classified: BTreeSet<&str> = COLUMNS.iter().map(|own| own.table).collect();
    let without: BTreeSet<&str> = UNCLASSIFIED.iter().map(|(table, _)| *table).collect();
    let missing: Vec<&String> = tables
        .keys()
        .filter(|table| !classified.contains(table.as_str()) && !without.contains(table.as_str()))
        .collect();
    assert_eq!(
        missing,
        Vec::<&String>::new(),
        "say in classified.rs what is in them"
    );
    for table in &without {
        assert!(
            tables.contains_key(*table) && !classified.contains(table),
            "{table}"
        );
    }
}

#[test]
fn every_column_is_in_its_table_once_and_in_order() {
    let tables = tables();
    for own in COLUMNS {
        let columns = tables.get(own.table);
        let there = columns.is_some_and(|columns| columns.contains(own.column));
        assert!(there, "{}.{} is in no migration", own.table, own.column);
    }
    let names: Vec<_> = COLUMNS.iter().map(|own| (own.table, own.column)).collect();
    assert!(names.is_sorted_by(|a, b| a < b));
}

/// The tables name what they seal, and what is only recognised: no such column is left out, and none is listed as lying in the clear.
#[test]
fn what_is_sealed_or_hashed_by_name_is_listed_so() {
    for (table, columns) in tables() {
        for column in columns {
            let expected: fn(Form) -> bool = match column.as_str() {
                "sealed" | "wrapped" => |form| matches!(form, Form::Sealed(_)),
                "handle" | "tag" => |form| form == Form::KeyedHash,
                _ => continue,
            };
            let own = COLUMNS
                .iter()
                .find(|own| own.table == table && own.column == column);
            assert!(
                own.is_some_and(|own| expected(own.form)),
                "{table}.{column}"
            );
        }
    }
}

#[test]
fn credentials_do_not_lie_in_the_clear() {
    for own in COLUMNS {
        let clear = own.classification == Classification::Restricted && own.form == Form::Clear;
        // A password that a person chose is neither sealed nor keyed: it is hashed with Argon2id, inside the record.
        assert!(
            !clear || (own.table, own.column) == ("users", "record"),
            "{own:?}"
        );
    }
}

/// What the installation's key seals is walked when it rotates: a column that is not would be lost with the version that sealed it.
#[test]
fn every_column_under_the_installations_key_is_rewrapped() {
    let walked: BTreeSet<(&str, &str)> = countersign_store::SEALED_COLUMNS
        .iter()
        .map(|column| (column.table, column.column))
        .collect();
    let installation = COLUMNS
        .iter()
        .filter(|own| own.form == Form::Sealed(super::Holder::Installation))
        .map(|own| (own.table, own.column));
    for column in installation {
        assert!(walked.contains(&column), "{column:?}");
    }
    // Whatever it is called in the list, a column of these names holds an envelope.
    let others = [("keks", "wrapped"), ("vault_entries", "sealed")];
    for (table, columns) in tables() {
        for name in ["sealed", "wrapped"] {
            let column = (table.as_str(), name);
            if columns.contains(name) && !others.contains(&column) {
                assert!(walked.contains(&column), "{column:?}");
            }
        }
    }
}
