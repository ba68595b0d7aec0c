use super::{CacheKey, CacheLimits, CacheSubject, DataKeyCache, Kept};
use crate::envelope::{Aad, KeyId};
use crate::hierarchy::DataKey;
use countersign_base::{Duration, Tenant, UnixTime};
use countersign_crypto::random::Random;
use proptest::prelude::*;
use std::sync::Arc;

const LIMITS: CacheLimits = CacheLimits {
    age_max: Duration::from_secs(60),
    uses_max: 3,
    bytes_max: 100,
    entries_max: 4,
};

fn at(seconds: i64) -> UnixTime {
    UnixTime(1_800_000_000 + seconds)
}

fn key(number: u8) -> CacheKey {
    let tenant = Tenant::default_tenant();
    let place = Aad::row(&tenant, "data_keys", "wrapped", &[number]);
    CacheKey::new(&tenant, &place, KeyId::from_bytes([number; 8]))
}

fn subject(number: u8) -> CacheSubject {
    CacheSubject::new(&[number])
}

fn load(cache: &mut DataKeyCache, number: u8, now: UnixTime) -> Arc<DataKey> {
    let ticket = cache.ticket();
    let data_key = DataKey::generate(&Random::system());
    match cache.keep(ticket, key(number), Some(subject(number)), data_key, 1, now) {
        Kept::Kept(data_key) => data_key,
        Kept::Stale => panic!("nothing was cleared"),
    }
}

#[test]
fn a_key_is_found_until_it_is_too_old() {
    let mut cache = DataKeyCache::new(LIMITS);
    assert!(cache.take(&key(1), 1, at(0)).is_none());
    let loaded = load(&mut cache, 1, at(0));
    let found = cache.take(&key(1), 1, at(59)).unwrap();
    assert_eq!(found.id(), loaded.id());
    assert!(cache.take(&key(1), 1, at(60)).is_none());
    assert!(cache.is_empty(), "what is too old is gone");
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_younger() {
    let mut cache = DataKeyCache::new(LIMITS);
    let _ = load(&mut cache, 1, at(0));
    assert!(cache.take(&key(1), 1, at(-1)).is_none());
}

#[test]
fn uses_are_bounded() {
    let mut cache = DataKeyCache::new(LIMITS);
    let _ = load(&mut cache, 1, at(0));
    assert!(cache.take(&key(1), 1, at(1)).is_some());
    assert!(cache.take(&key(1), 1, at(1)).is_some());
    assert!(cache.take(&key(1), 1, at(1)).is_none(), "the fourth use");
    assert!(cache.is_empty());
}

#[test]
fn bytes_are_bounded() {
    let mut cache = DataKeyCache::new(LIMITS);
    let _ = load(&mut cache, 1, at(0));
    assert!(cache.take(&key(1), 99, at(1)).is_some());
    assert!(cache.take(&key(1), 1, at(1)).is_none());
    let _ = load(&mut cache, 1, at(0));
    assert!(cache.take(&key(1), u64::MAX, at(1)).is_none());
}

#[test]
fn the_first_loaded_goes_first() {
    let mut cache = DataKeyCache::new(LIMITS);
    for number in 1..=5 {
        let _ = load(&mut cache, number, at(0));
    }
    assert_eq!(cache.len(), 4);
    assert!(cache.take(&key(1), 1, at(0)).is_none());
    assert!(cache.take(&key(5), 1, at(0)).is_some());
}

#[test]
fn a_key_of_another_place_or_tenant_is_not_found() {
    let mut cache = DataKeyCache::new(LIMITS);
    let _ = load(&mut cache, 1, at(0));
    let (tenant, other) = (Tenant::default_tenant(), "other".parse().unwrap());
    let id = KeyId::from_bytes([1; 8]);
    let elsewhere = Aad::row(&tenant, "data_keys", "wrapped", &[2]);
    assert!(
        cache
            .take(&CacheKey::new(&tenant, &elsewhere, id), 1, at(0))
            .is_none()
    );
    let place = Aad::row(&tenant, "data_keys", "wrapped", &[1]);
    assert!(
        cache
            .take(&CacheKey::new(&other, &place, id), 1, at(0))
            .is_none()
    );
    assert!(
        cache
            .take(&CacheKey::new(&tenant, &place, id), 1, at(0))
            .is_some()
    );
}

#[test]
fn an_erased_person_has_no_key_left() {
    let mut cache = DataKeyCache::new(LIMITS);
    let tenant = Tenant::default_tenant();
    let _ = load(&mut cache, 1, at(0));
    let _ = load(&mut cache, 2, at(0));
    let other = "other".parse().unwrap();
    assert_eq!(cache.clear_subject(&other, &subject(1)), 0);
    assert_eq!(cache.clear_subject(&tenant, &subject(1)), 1);
    assert_eq!(cache.clear_subject(&tenant, &subject(1)), 0);
    assert!(cache.take(&key(1), 1, at(0)).is_none());
    assert!(cache.take(&key(2), 1, at(0)).is_some());
    assert_eq!(cache.clear_all(), 1);
    assert!(cache.is_empty());
}

#[test]
fn a_load_that_began_before_an_erasure_brings_nothing_back() {
    let tenant = Tenant::default_tenant();
    let clearings: [fn(&mut DataKeyCache, &Tenant); 2] = [
        |cache, tenant| {
            cache.clear_subject(tenant, &subject(1));
        },
        |cache, _| {
            cache.clear_all();
        },
    ];
    for clear in clearings {
        let mut cache = DataKeyCache::new(LIMITS);
        let ticket = cache.ticket();
        let data_key = DataKey::generate(&Random::system());
        clear(&mut cache, &tenant);
        let kept = cache.keep(ticket, key(1), Some(subject(1)), data_key, 1, at(0));
        assert!(matches!(kept, Kept::Stale));
        assert!(cache.take(&key(1), 1, at(0)).is_none());
    }
}

#[test]
fn what_nobody_asks_for_expires_as_well() {
    let mut cache = DataKeyCache::new(LIMITS);
    let _ = load(&mut cache, 1, at(0));
    let _ = load(&mut cache, 2, at(30));
    cache.expire(at(60));
    assert_eq!(cache.len(), 1);
    cache.expire(at(90));
    assert!(cache.is_empty() && cache.by_order.is_empty() && cache.by_subject.is_empty());
}

proptest! {
    /// Whatever happens, the indexes agree, the bounds hold, and an erased person's keys are not found.
    #[test]
    fn the_indexes_agree(steps in proptest::collection::vec((0_u8..5, 0_u8..6, 0_i64..40), 1..60)) {
        let mut cache = DataKeyCache::new(LIMITS);
        let tenant = Tenant::default_tenant();
        let mut now = at(0);
        for (what, number, later) in steps {
            now = now.plus(Duration::from_secs(later.try_into().unwrap()));
            match what {
                0 | 1 => drop(load(&mut cache, number, now)),
                2 => drop(cache.take(&key(number), 10, now)),
                3 => {
                    cache.clear_subject(&tenant, &subject(number));
                    prop_assert!(cache.take(&key(number), 0, now).is_none());
                }
                _ => cache.expire(now),
            }
            prop_assert!(cache.len() <= LIMITS.entries_max);
            prop_assert_eq!(cache.by_order.len(), cache.len());
            let persons: usize = cache.by_subject.values().map(std::collections::BTreeSet::len).sum();
            prop_assert_eq!(persons, cache.len());
            prop_assert!(cache.by_subject.values().all(|keys| !keys.is_empty()));
        }
    }
}
