//! What a bundle is worth at a time. What becomes of a process is tested where one runs (`countersign`).

use super::*;
use countersign_policy::defaults;

#[test]
fn a_bundle_goes_on_for_a_day_and_then_denies() {
    let expires = UnixTime(1_000_000);
    let grace = i64::try_from(OVERDUE_MAX.as_secs()).unwrap();
    for (now, standing) in [
        (0, Standing::InTime),
        (999_999, Standing::InTime),
        (1_000_000, Standing::GoesOn),
        (999_999 + grace, Standing::GoesOn),
        (1_000_000 + grace, Standing::Denies),
        (i64::MAX, Standing::Denies),
    ] {
        assert_eq!(Standing::at(expires, UnixTime(now)), standing, "{now}");
    }
    assert_eq!(
        Standing::at(UnixTime(i64::MAX), UnixTime(i64::MAX)),
        Standing::Denies,
        "no overflow"
    );
}

#[test]
fn what_decides_afterwards_fits_every_schema() {
    let term = Term::new(7, UnixTime(1), defaults::SCHEMA).unwrap();
    let names: Vec<&str> = term.after.ids().map(|id| id.as_str()).collect();
    assert_eq!(
        (names.as_slice(), term.version()),
        (&["bundle#overdue"][..], 7)
    );
    let broken = Term::new(7, UnixTime(1), "entity {");
    assert!(broken.is_err());
}
