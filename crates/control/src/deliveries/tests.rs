use super::*;
use countersign_base::Tenant;
use countersign_store::DeliveryId;
use countersign_testkit::seeded;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn delivery(attempt: u32) -> Delivery {
    Delivery {
        tenant: Tenant::default_tenant(),
        id: DeliveryId::from_bytes([1; 16]),
        kind: "backchannel_logout".to_owned(),
        destination: "portal".to_owned(),
        record: "{}".to_owned(),
        attempt,
        deadline: NOW.plus(Duration::from_secs(86_400)),
    }
}

#[test]
fn pauses_grow_with_jitter_and_stay_bounded() {
    let random = seeded(7);
    for attempt in 1..=ATTEMPTS_MAX {
        let whole = (5 * 4_u64.pow(attempt - 1)).min(3600);
        for _ in 0..50 {
            let pause = pause(attempt, &random).as_secs();
            assert!(
                (whole.div_ceil(2)..=whole).contains(&pause),
                "{attempt}: {pause}"
            );
        }
    }
    let many: std::collections::BTreeSet<u64> =
        (0..50).map(|_| pause(9, &random).as_secs()).collect();
    assert!(
        many.len() > 10,
        "what fails together does not come back together"
    );
}

#[test]
fn attempts_end_at_the_last_one_and_at_the_deadline() {
    let random = seeded(7);
    assert!(next(&delivery(1), &random, NOW).is_some());
    assert!(next(&delivery(ATTEMPTS_MAX - 1), &random, NOW).is_some());
    assert_eq!(next(&delivery(ATTEMPTS_MAX), &random, NOW), None);
    let late = delivery(1).deadline.minus(Duration::from_secs(1));
    assert_eq!(next(&delivery(1), &random, late), None);
}
