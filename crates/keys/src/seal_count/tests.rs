use super::{Counted, Reserved, SealCount, SealCounter, SealLimits};
use proptest::prelude::*;

const LIMITS: SealLimits = SealLimits {
    limit: SealCount {
        messages: 20,
        bytes: 1000,
    },
    block: SealCount {
        messages: 5,
        bytes: 200,
    },
};

/// Seals one message as the caller does it; false when the version is spent.
fn seal(counter: &mut SealCounter, stored: &mut SealCount, bytes: u64) -> bool {
    loop {
        match counter.count(bytes) {
            Counted::Granted => return true,
            Counted::Reserve(block) => {
                *stored = stored.plus(block);
                if counter.reserved(block, *stored) == Reserved::Rotate {
                    return false;
                }
            }
        }
    }
}

#[test]
fn a_version_seals_its_limit_and_no_more() {
    let (mut counter, mut stored) = (SealCounter::new(LIMITS), SealCount::default());
    let sealed = std::iter::repeat_with(|| seal(&mut counter, &mut stored, 1))
        .take_while(|granted| *granted)
        .count();
    assert_eq!(sealed, 20);
    assert!(!seal(&mut counter, &mut stored, 1), "it stays spent");
}

#[test]
fn a_rotation_is_due_before_the_limit() {
    let check = |messages, bytes, due| {
        assert_eq!(
            LIMITS.is_due(SealCount { messages, bytes }),
            due,
            "{messages} {bytes}"
        );
    };
    check(14, 749, false);
    check(15, 0, true);
    check(0, 750, true);
}

#[test]
fn a_message_longer_than_a_block_is_counted_whole() {
    let (mut counter, mut stored) = (SealCounter::new(LIMITS), SealCount::default());
    assert!(seal(&mut counter, &mut stored, 900));
    assert_eq!(stored.bytes, 900);
    assert!(!seal(&mut counter, &mut stored, u64::MAX));
}

#[test]
fn the_default_is_the_limit_of_sp_800_38d() {
    let limits = SealLimits::default();
    assert_eq!(limits.limit.messages, 1 << 32);
    assert!(!limits.is_due(SealCount::default()));
}

proptest! {
    /// Several processes that crash and start again never seal more than the limit, and never more than the stored count says.
    #[test]
    fn the_stored_count_is_never_behind(steps in proptest::collection::vec((0_usize..3, 0_u64..300, any::<bool>()), 1..60)) {
        let mut counters = [(); 3].map(|()| SealCounter::new(LIMITS));
        let (mut stored, mut sealed) = (SealCount::default(), SealCount::default());
        for (process, bytes, crash) in steps {
            if crash {
                counters[process] = SealCounter::new(LIMITS);
            }
            if seal(&mut counters[process], &mut stored, bytes) {
                sealed = sealed.plus(SealCount { messages: 1, bytes });
            }
            prop_assert!(sealed.is_within(stored));
            prop_assert!(sealed.is_within(LIMITS.limit));
        }
    }
}
