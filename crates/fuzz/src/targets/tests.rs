//! Every target has seeds, takes at least one of them, and survives all of them.

use super::all;
use crate::{Verdict, seeds};

#[test]
fn every_target_takes_one_of_its_seeds() {
    for target in all() {
        let corpus = seeds::of(target).unwrap_or_else(|error| panic!("{}: {error}", target.name));
        let accepted = corpus
            .iter()
            .filter(|input| (target.run)(input) == Verdict::Accepted)
            .count();
        assert!(
            accepted > 0,
            "{}: none of {} seeds is taken",
            target.name,
            corpus.len()
        );
    }
}

#[test]
fn every_target_refuses_noise() {
    for target in all() {
        assert_eq!(
            (target.run)(&[0xff, 0x00, 0x80, 0xfe]),
            Verdict::Refused,
            "{}",
            target.name
        );
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = all().map(|target| target.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all().count());
    assert!(names.len() > 90, "a subject is not in the list");
}
