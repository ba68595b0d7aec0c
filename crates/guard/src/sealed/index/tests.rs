//! Equal values are found, and no more is told than the plan says.

use super::{BlindIndex, IndexPlan, IndexRoot, Indexed, digits, folded};
use crate::sealed::Secret;
use crate::sealed::fixtures::{CardHolder, CardPan, Rows, keys, tenant};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn root(byte: u8) -> IndexRoot {
    IndexRoot::new(Secret::new([byte; 32]))
}

fn index<F: Indexed<Value = String>>(of: &str, byte: u8, value: &str) -> i64 {
    root(byte)
        .index::<F>(&tenant(of), &value.to_owned())
        .as_i64()
}

#[test]
fn equal_values_have_equal_indexes_and_tenants_columns_and_roots_keep_apart() {
    let of = |name, byte| -> Vec<i64> {
        (0..50)
            .map(|n| index::<CardPan>(name, byte, &format!("41111111111111{n:02}")))
            .collect()
    };
    let holder: Vec<i64> = (0..50)
        .map(|n| index::<CardHolder>("demo", 1, &format!("41111111111111{n:02}")))
        .collect();
    assert_eq!(of("demo", 1), of("demo", 1));
    assert_ne!(of("demo", 1), of("other", 1), "another tenant");
    assert_ne!(of("demo", 1), of("demo", 2), "another root");
    // The shorter index of the other column is no beginning of the longer one.
    let cut: Vec<i64> = of("demo", 1).iter().map(|index| index >> 6).collect();
    assert_ne!(cut, holder, "another column");
}

/// Computed by another implementation from docs/sealed-fields.md.
#[test]
fn vectors() {
    assert_eq!(index::<CardPan>("demo", 1, "4111 1111 1111 1111"), 4754);
    assert_eq!(index::<CardPan>("other", 1, "4111 1111 1111 1111"), 5322);
    assert_eq!(index::<CardHolder>("demo", 1, "Åsa Öberg"), 238);
}

#[test]
fn normalising_finds_what_people_write_differently() {
    assert_eq!(
        index::<CardPan>("demo", 1, "4111 1111-1111 1111"),
        index::<CardPan>("demo", 1, "4111111111111111")
    );
    assert_eq!(
        index::<CardHolder>("demo", 1, " Åsa Öberg "),
        index::<CardHolder>("demo", 1, "åsa öberg")
    );
    assert_eq!(digits("a1 b2").expose(), b"12");
    assert_eq!(folded(" X ").expose(), b"x");
}

#[test]
fn the_rule_of_coincidences_holds_for_every_plan() {
    assert_eq!(IndexPlan::for_rows(1_000_000).bits(), 14);
    assert_eq!(IndexPlan::for_rows(8).bits(), 2);
    assert_eq!(IndexPlan::for_rows(u64::MAX).bits(), 32);
    assert_eq!(IndexPlan::of_bits(32, 1 << 33).rows_max(), u64::MAX);
    for (bits, rows) in [
        (20, 1_000),
        (4, 1_000_000),
        (0, 100),
        (33, u64::MAX),
        (1, 4),
    ] {
        let refused = std::panic::catch_unwind(|| IndexPlan::of_bits(bits, rows));
        assert!(refused.is_err(), "{bits} bits for {rows} rows");
    }
}

#[test]
fn as_many_share_an_index_as_the_plan_says() {
    // 1,000 rows of 8 bits: about four share an index, and none much more often.
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for n in 0..1_000 {
        *counts
            .entry(index::<CardHolder>("demo", 1, &format!("person {n}")))
            .or_default() += 1;
    }
    assert!(counts.len() > 200 && counts.len() <= 256);
    assert!(counts.values().all(|count| *count < 32));
}

#[test]
fn an_index_is_written_as_its_number_and_read_within_its_bits() {
    let stored = root(1).index::<CardPan>(&tenant("demo"), &"4111111111111111".to_owned());
    let text = serde_json::to_string(&stored).unwrap();
    assert_eq!(text, stored.as_i64().to_string());
    let read: BlindIndex<CardPan> = serde_json::from_str(&text).unwrap();
    assert!(read == stored);
    assert_eq!(format!("{stored:?}"), "BlindIndex");
    for number in [-1, 1 << 14, i64::MAX, i64::MIN] {
        assert!(BlindIndex::<CardPan>::from_i64(number).is_err(), "{number}");
    }
    assert!(BlindIndex::<CardPan>::from_i64((1 << 14) - 1).is_ok());
}

#[tokio::test]
async fn the_root_comes_from_the_source_once() {
    let rows = Rows::default();
    let (keys, ..) = keys(&rows);
    let value = "4111111111111111".to_owned();
    let first = keys
        .index::<CardPan>(&value, &tenant("demo"))
        .await
        .unwrap();
    let again = keys
        .index::<CardPan>(&value, &tenant("demo"))
        .await
        .unwrap();
    assert!(first == again);
    assert_eq!(rows.asked(), 1);
}

proptest! {
    #[test]
    fn every_number_of_rows_has_its_bits(rows in 8_u64..) {
        let plan = IndexPlan::for_rows(rows);
        // C = rows / 2^bits, counted in whole numbers of 128 bits.
        let (rows, all) = (u128::from(rows), 1_u128 << plan.bits());
        prop_assert!(rows >= 2 * all, "2 <= C");
        prop_assert!(rows < all * all || plan.bits() == 32, "C < sqrt(R)");
    }

    #[test]
    fn an_index_stays_within_its_bits(value in "\\PC{0,40}") {
        let number = index::<CardPan>("demo", 1, &value);
        prop_assert!((0..1 << 14).contains(&number));
    }
}
