//! Steps of the vault, run until nothing is missing, and committed.
//!
//! Not here: whether somebody may; see [`super::Vault`].

use super::VaultFailure;
use super::barrier::Barrier;
use super::cache::Writing;
use super::documents::Documents;
use crate::Secrets;
use crate::rotation::Rotation;
use countersign_base::{Clock, Tenant};
use countersign_crypto::mac::MacKey;
use countersign_crypto::random::Random;
use countersign_net::GuardedClient;
use countersign_store::tables::vault_entries::{self, EntryCommit};
use countersign_store::{Store, StoreError};
use countersign_vault::mounts::Mounts;
use countersign_vault::work::{Commit, Unreachable};
use countersign_vault::{Cx, EntryName, Loaded, Need, Stop, Work};
use std::sync::Arc;

/// How often a step asks for more before it is given up.
const LOADS_MAX: usize = 1_000;
/// How often a step runs again because something changed meanwhile.
pub(super) const ATTEMPTS_MAX: usize = 32;

/// What steps run on.
pub(crate) struct Steps {
    store: Store,
    secrets: Arc<Secrets>,
    clock: Clock,
    random: Random,
    barrier: Barrier,
    rotation: Arc<Rotation>,
    documents: Option<Documents>,
}

impl Steps {
    /// Without a way to the outside, nothing is fetched.
    pub(crate) fn new(
        store: Store,
        secrets: Arc<Secrets>,
        clock: Clock,
        random: Random,
        rotation: Arc<Rotation>,
        outside: Option<GuardedClient>,
    ) -> Self {
        let documents = outside.map(|outside| Documents::new(outside, clock.clone()));
        Self {
            store,
            secrets,
            clock,
            random,
            barrier: Barrier::default(),
            rotation,
            documents,
        }
    }

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    pub(super) const fn barrier(&self) -> &Barrier {
        &self.barrier
    }

    pub(super) fn rotation(&self) -> &Rotation {
        &self.rotation
    }

    pub(super) const fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    pub(super) const fn random(&self) -> &Random {
        &self.random
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Mounts what a new tenant has.
    pub(crate) async fn prepare(&self, tenant: &Tenant) -> Result<(), VaultFailure> {
        self.internally(tenant, |work, cx| {
            let first = || cx.random.request_id().to_string();
            match work.read::<Mounts>(&Mounts::entry())? {
                Some(_) => Ok(()),
                None => work.put(&Mounts::entry(), &Mounts::first(first)),
            }
        })
        .await
    }

    /// What a step in this tenant's vault begins with.
    pub(super) fn begin(&self, tenant: &Tenant) -> Loaded {
        self.barrier.at_hand(self, tenant)
    }

    /// Seals what is to be committed. What it writes is not at hand until the [`Writing`] is dropped, which is after the commit.
    pub(super) async fn seal(
        &self,
        tenant: &Tenant,
        commit: Commit,
    ) -> Result<(Writing<'_>, EntryCommit), VaultFailure> {
        self.barrier.seal(self, tenant, commit).await
    }

    /// Runs a step of the program itself, until what it read stands at its commit.
    pub(crate) async fn internally<T>(
        &self,
        tenant: &Tenant,
        step: impl Fn(&mut Work<'_>, &Cx<'_>) -> Result<T, Stop>,
    ) -> Result<T, VaultFailure> {
        for _ in 0..ATTEMPTS_MAX {
            let mut loaded = self.begin(tenant);
            let (done, commit) = self.run(tenant, &mut loaded, &step).await?;
            if commit.changes.is_empty() {
                return Ok(done);
            }
            let (writing, sealed) = self.seal(tenant, commit).await?;
            let committed = self.store.commit_entries(tenant, sealed).await;
            drop(writing);
            match committed {
                Ok(()) => return Ok(done),
                Err(StoreError::Superseded(_) | StoreError::Contended(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(VaultFailure::Unsettled)
    }

    /// Runs a step until nothing is missing.
    pub(super) async fn run<T>(
        &self,
        tenant: &Tenant,
        loaded: &mut Loaded,
        step: impl Fn(&mut Work<'_>, &Cx<'_>) -> Result<T, Stop>,
    ) -> Result<(T, Commit), VaultFailure> {
        let mac = self.mac(tenant);
        for _ in 0..LOADS_MAX {
            let cx = Cx {
                tenant,
                mac: &mac,
                random: &self.random,
                now: self.clock.now(),
            };
            let mut work = Work::new(loaded);
            match step(&mut work, &cx) {
                Ok(done) => return Ok((done, work.finish())),
                Err(Stop::Refused(error)) => return Err(error.into()),
                Err(Stop::Need(need)) => self.load(tenant, need, loaded).await?,
            }
        }
        Err(VaultFailure::Unsettled)
    }

    fn mac(&self, tenant: &Tenant) -> MacKey {
        self.secrets.tenant_mac_key(tenant, "vault")
    }

    async fn load(
        &self,
        tenant: &Tenant,
        need: Need,
        loaded: &mut Loaded,
    ) -> Result<(), VaultFailure> {
        match need {
            Need::Document(url) => {
                let document = match &self.documents {
                    None => Err(Unreachable),
                    Some(documents) => documents.fetch(&url).await,
                };
                loaded.document(url, document);
                Ok(())
            }
            Need::Entries(names) => self.barrier.load(self, tenant, names, loaded).await,
            Need::Names(listing) => {
                let mut connection = self.store.read().await?;
                let after = listing.after.as_ref().map(|after| after.as_str());
                let names = vault_entries::names(
                    &mut connection,
                    tenant,
                    &listing.prefix,
                    after,
                    listing.limit,
                )
                .await?;
                let names = names.iter().map(|name| EntryName::stored(name)).collect();
                loaded.listing(listing, names);
                Ok(())
            }
        }
    }
}
