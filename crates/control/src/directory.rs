//! Tenants and clients in memory: what nearly every request asks for, without a look into the database.
//!
//! A change of this node forgets what it changed; entries age out after a few seconds, so that a change of another node is seen too. What a token is
//! issued for is read again when it is issued, so nothing old is ever acted on there (R42).

use crate::schemas;
use arc_swap::ArcSwap;
use countersign_base::{ClientId, Clock, Duration, Issuer, Tenant, UnixTime};
use countersign_oauth::{ClientRecord, TenantRecord};
use countersign_store::tables::{clients, tenants};
use countersign_store::{Store, StoreError};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

/// How long a client's registration is believed without looking.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// Clients that are kept; past it all are forgotten and read again.
const CLIENTS_MAX: usize = 10_000;

#[derive(Default)]
struct Tenants {
    by_name: BTreeMap<Tenant, Arc<TenantRecord>>,
    by_issuer: BTreeMap<Issuer, Arc<TenantRecord>>,
}

struct Kept {
    record: Option<Arc<ClientRecord>>,
    read: UnixTime,
}

/// The directory.
pub struct Directory {
    store: Store,
    clock: Clock,
    tenants: ArcSwap<Tenants>,
    clients: RwLock<HashMap<(Tenant, ClientId), Kept>>,
}

impl Directory {
    /// An empty directory; [`Directory::reload`] fills it.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            tenants: ArcSwap::default(),
            clients: RwLock::default(),
        }
    }

    /// Reads the tenants again and forgets every client.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn reload(&self) -> Result<(), StoreError> {
        let mut connection = self.store.read().await?;
        let records = tenants::all(&mut connection).await?;
        let mut next = Tenants::default();
        for mut record in records {
            for (kind, error) in record.detail_types.compile(schemas::compile) {
                tracing::error!(event = "schema_unusable", tenant = record.name.as_str(), kind = kind.as_str(), %error);
            }
            let record = Arc::new(record);
            next.by_issuer
                .insert(record.issuer.clone(), Arc::clone(&record));
            next.by_name.insert(record.name.clone(), record);
        }
        self.tenants.store(Arc::new(next));
        self.clients
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        Ok(())
    }

    /// The tenant of this name.
    #[must_use]
    pub fn tenant(&self, name: &Tenant) -> Option<Arc<TenantRecord>> {
        self.tenants.load().by_name.get(name).cloned()
    }

    /// The tenant with this issuer.
    #[must_use]
    pub fn by_issuer(&self, issuer: &Issuer) -> Option<Arc<TenantRecord>> {
        self.tenants.load().by_issuer.get(issuer).cloned()
    }

    /// Every tenant, in the order of their names.
    #[must_use]
    pub fn tenants(&self) -> Vec<Arc<TenantRecord>> {
        self.tenants.load().by_name.values().cloned().collect()
    }

    /// The client of this id. That there is none is remembered too, so that guessing ids costs the database little.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn client(
        &self,
        tenant: &Tenant,
        client: &ClientId,
    ) -> Result<Option<Arc<ClientRecord>>, StoreError> {
        let now = self.clock.now();
        let key = (tenant.clone(), client.clone());
        if let Some(kept) = self
            .clients
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            && now < kept.read.plus(FRESH_FOR)
        {
            return Ok(kept.record.clone());
        }
        let mut connection = self.store.read().await?;
        let record = clients::find_known(&mut connection, tenant, client).await?;
        drop(connection);
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(
            key,
            Kept {
                record: record.clone(),
                read: now,
            },
        );
        Ok(record)
    }

    /// Forgets a client that this node has just changed.
    pub fn client_changed(&self, tenant: &Tenant, client: &ClientId) {
        self.clients
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(tenant.clone(), client.clone()));
    }
}
