//! The bound on sources: a flood of addresses costs neither memory nor records.

use super::*;
use countersign_audit::event::{Decision, Verdict};

fn refusal(random: &Random) -> Record {
    let event = Decision::new("gateway".into(), Verdict::Denied, "no_route".into()).into();
    Record {
        id: random.event_id(),
        time: UnixMillis(0),
        tenant: Tenant::default_tenant(),
        request: None,
        event,
    }
}

#[test]
fn beyond_the_bound_sources_share_one_count() {
    let random = Random::system();
    let mut refusals = Refusals::new(random.clone(), 1);
    let mut recorded = 0;
    for number in 0..SOURCES_MAX + 500 {
        let (judged, owed) = refusals.note(
            &format!("source {number}"),
            &refusal(&random),
            UnixMillis(5_000),
        );
        assert!(owed.is_empty());
        recorded += usize::from(matches!(judged, Judged::Record));
    }
    assert_eq!(
        recorded,
        SOURCES_MAX + 1,
        "one each, and one for the rest together"
    );
    let owed = refusals.owed(UnixMillis(6_000));
    let [counted] = owed.as_slice() else {
        panic!("one record")
    };
    let countersign_audit::Event::RefusalsCounted(counted) = &counted.event else {
        panic!("a count")
    };
    assert_eq!(
        (counted.count.as_u64(), counted.from),
        (499, UnixMillis(5_000))
    );
}
