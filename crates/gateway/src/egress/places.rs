//! How many tunnels and requests one workload has under way.

use super::answer::EgressRefusal;
use countersign_base::{ClientId, Tenant};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

type Key = (Tenant, ClientId);

/// One truth of the process. Few begin and end in a second, so one lock holds them.
#[derive(Default)]
pub(super) struct Places(Mutex<HashMap<Key, usize>>);

/// One place of a workload, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    key: Key,
}

impl Places {
    /// A place, if the workload has fewer than `max`.
    pub(super) fn take(
        self: &Arc<Self>,
        tenant: &Tenant,
        client: &ClientId,
        max: usize,
    ) -> Result<Place, EgressRefusal> {
        let key = (tenant.clone(), client.clone());
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(key.clone()).or_default();
        if *count >= max {
            return Err(EgressRefusal::Busy);
        }
        *count += 1;
        Ok(Place {
            places: Arc::clone(self),
            key,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = taken.get_mut(&self.key).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        // Who has none is forgotten.
        if left == Some(0) {
            taken.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_has_so_many_places_and_gets_them_back() {
        let places = Arc::<Places>::default();
        let (tenant, billing, other): (_, ClientId, ClientId) = (
            Tenant::default_tenant(),
            "billing".parse().unwrap(),
            "other".parse().unwrap(),
        );
        let first = places.take(&tenant, &billing, 2).unwrap();
        let _second = places.take(&tenant, &billing, 2).unwrap();
        assert!(matches!(
            places.take(&tenant, &billing, 2),
            Err(EgressRefusal::Busy)
        ));
        assert!(places.take(&tenant, &other, 2).is_ok());
        drop(first);
        assert!(places.take(&tenant, &billing, 2).is_ok());
        assert_eq!(places.0.lock().unwrap().len(), 1, "who left is forgotten");
    }
}
