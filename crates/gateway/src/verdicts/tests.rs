use super::*;

#[test]
fn what_is_asked_for_stays_and_the_rest_goes() {
    let cache = Cache::new(SHARDS * 2 * 4);
    cache.insert(0_u64, "kept");
    for key in 1..10_000 {
        cache.insert(key, "flood");
        assert_eq!(cache.get(&0), Some("kept"), "after {key}");
    }
    assert!(cache.len() <= SHARDS * 2 * 4, "{}", cache.len());
    assert_eq!(cache.get(&1), None);
}

#[test]
fn a_removed_entry_is_gone_from_both_generations() {
    let cache = Cache::new(SHARDS * 2);
    cache.insert(7_u64, "a");
    cache.remove(&7);
    assert_eq!(cache.get(&7), None);
    cache.insert(7, "b");
    assert_eq!(cache.get(&7), Some("b"));
}

#[test]
fn nothing_is_kept_where_nothing_may_be_and_what_was_kept_goes() {
    let cache = Cache::new(SHARDS * 2);
    cache.insert(7_u64, "a");
    cache.keep_at_most(0);
    assert_eq!((cache.get(&7), cache.len()), (None, 0));
    cache.insert(7, "b");
    assert_eq!((cache.get(&7), cache.len()), (None, 0));
    // The smallest number that is not 0 keeps something.
    cache.keep_at_most(1);
    cache.insert(7, "c");
    assert_eq!(cache.get(&7), Some("c"));
}

#[test]
fn only_what_the_token_itself_decides_is_kept_as_refused() {
    assert!(is_lasting(Reason::SignatureInvalid));
    for passing in [
        Reason::KeysUnavailable,
        Reason::KeyUnknown,
        Reason::TokenExpired,
        Reason::NotYetValid,
        Reason::Revoked,
        Reason::ProofMissing,
        Reason::AudienceMismatch,
    ] {
        assert!(!is_lasting(passing), "{passing}");
    }
}
