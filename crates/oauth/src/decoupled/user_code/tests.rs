use super::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};

#[test]
fn dev_4_a_code_has_eight_letters_of_twenty_each_as_likely_as_the_others() {
    // Every byte in turn: the fair ones give each letter twelve times, the others none.
    let next = AtomicU8::new(0);
    let random = Random::from_fn(move |buffer| {
        for byte in buffer {
            *byte = next.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..30 {
        for letter in UserCode::draw(&random).letters().bytes() {
            *counts.entry(letter).or_insert(0) += 1;
        }
    }
    assert_eq!(counts.len(), 20);
    assert!(counts.values().all(|count| *count == 12), "{counts:?}");
    let drawn: BTreeSet<String> = (0..100)
        .map(|_| UserCode::draw(&Random::system()).to_string())
        .collect();
    assert_eq!(drawn.len(), 100);
}

#[test]
fn a_code_is_read_as_people_type_it() {
    let code: UserCode = "WDJB-MJHT".parse().unwrap();
    assert_eq!(
        (code.letters(), code.to_string().as_str()),
        ("WDJBMJHT", "WDJB-MJHT")
    );
    for typed in ["wdjbmjht", "WDJB MJHT", " wdjb-MJHT ", "W-D-J-B-M-J-H-T"] {
        assert_eq!(typed.parse::<UserCode>().unwrap(), code, "{typed}");
    }
    for typed in [
        "",
        "WDJB-MJH",
        "WDJB-MJHTT",
        "WDJB-MJHA",
        "WDJB_MJHT",
        "WDJB-MJH\u{0422}",
        "0DJB-MJHT",
        &"-".repeat(40),
    ] {
        assert_eq!(typed.parse::<UserCode>(), Err(NotAUserCode), "{typed}");
    }
}
