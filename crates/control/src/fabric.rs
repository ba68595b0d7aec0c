//! Everything that answers requests share, built once in the order in which each part needs the ones before it.
//!
//! store, key hierarchy, authority, audit log, what the configuration declares, signing keys, snapshots, background jobs. A start that fails leaves nothing running; what it made durable is taken up by the next.

mod opened;

use crate::authority::{Authority, AuthorityError};
use crate::browser_sessions::BrowserSessions;
use crate::client_keys::ClientKeys;
use crate::directory::Directory;
use crate::erasure;
use crate::foreign_keys::{ForeignKeys, ForeignOrigin};
use crate::jobs::Jobs;
use crate::keyring::{KeyRing, KeyRingError, KeyRingOptions};
use crate::metrics::Metrics;
use crate::passwords::PasswordPool;
use crate::reconcile::{Declared, ReconcileError, Reconciler};
use crate::revocations::RevocationTable;
use crate::root::RootSource;
use crate::rotation::{HierarchyOptions, Rotation};
use crate::secrets::{Secrets, SecretsError};
use crate::subjects::EpochsError;
use crate::traces::{TraceOptions, Traces};
use crate::upstream::{UpstreamOptions, Upstreams};
use crate::webhooks::WebhookRules;
use arc_swap::ArcSwap;
use countersign_audit::event::{ConfigurationApplied, Started, Stopped, Verdict};
use countersign_audit::{Code, Count, Digest, Event, Origin, Record, Text};
use countersign_authn::dpop::{NonceUse, Nonces};
use countersign_authn::replay::ReplayLimits;
use countersign_base::{Clock, Duration, Tenant, UnixTime};
use countersign_crypto::password::Cost;
use countersign_crypto::random::Random;
use countersign_net::{GuardedClient, TlsError};
use countersign_policy::PolicySet;
use countersign_store::audit::{AuditLog, AuditTask, AuditUnavailable};
use countersign_store::{
    Details, EraseError, Recorder, ReplayMemory, Store, StoreError, StoreOptions,
};
use opened::{Opened, open, traces};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A node that could not read revocations for longer than this denies.
pub const REVOCATION_STALENESS_MAX: Duration = Duration::from_secs(30);

/// What a person sees while the first keys are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The audit log is open and checked.
    LogOpened,
    /// A signing key is made for a tenant.
    MakingKey(Tenant),
    /// What the configuration declares is in the store.
    Reconciled(u64),
    /// The database is open.
    StoreOpened,
}

/// What a fabric is started with.
pub struct FabricOptions {
    /// The data directory.
    pub data: PathBuf,
    /// The database.
    pub store: StoreOptions,
    /// Where the time comes from.
    pub clock: Clock,
    /// Where randomness comes from.
    pub random: Random,
    /// Where the root key comes from.
    pub root: RootSource,
    /// The audit log's name.
    pub origin: Origin,
    /// How keys are made and changed.
    pub keys: KeyRingOptions,
    /// How keys that encrypt are changed.
    pub hierarchy: HierarchyOptions,
    /// What decides.
    pub policies: PolicySet,
    /// What stretching the root passphrase costs, when it is first used.
    pub passphrase_cost: Cost,
    /// What hashing a password costs.
    pub password_cost: Cost,
    /// Threads that hash passwords.
    pub password_threads: usize,
    /// What the configuration declares.
    pub declared: Declared,
    /// Digest of the configuration, for the record.
    pub configuration: [u8; 32],
    /// How long the sealed queries behind decisions are kept.
    pub details_for: Duration,
    /// Identity providers that are not ours.
    pub upstreams: Vec<UpstreamOptions>,
    /// Foreign issuers and where their keys come from.
    pub foreign: Vec<ForeignOrigin>,
    /// The client with which everything is fetched that somebody else named.
    pub outside: GuardedClient,
    /// When DPoP proofs must carry a nonce.
    pub nonces: NonceUse,
    /// Where traces go, if anywhere.
    pub traces: TraceOptions,
    /// Who hears of progress.
    pub progress: Box<dyn Fn(Progress) + Send + Sync>,
}

/// Why the fabric did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The audit log took no record.
    #[error(transparent)]
    Audit(#[from] AuditUnavailable),
    /// The authority or the log's key.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The data directory cannot be used.
    #[error("the data directory `{}` cannot be used: {cause}", path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The epoch key.
    #[error(transparent)]
    Epochs(#[from] EpochsError),
    /// Somebody who was erased is not gone from everywhere.
    #[error("an erasure cannot be completed: {0}")]
    Erase(#[from] EraseError),
    /// A signing key.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// The audit log cannot be opened.
    #[error(transparent)]
    Log(#[from] countersign_store::audit::OpenError),
    /// What is declared cannot be stored.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    /// The key hierarchy.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate authority of the collector of traces.
    #[error("traces cannot be sent: {0}")]
    Traces(TlsError),
}

/// The running fabric.
pub struct Fabric {
    data: PathBuf,
    clock: Clock,
    random: Random,
    store: Store,
    secrets: Arc<Secrets>,
    authority: Authority,
    audit: AuditLog,
    recorder: Recorder,
    details: Details,
    keys: KeyRing,
    rotation: Arc<Rotation>,
    policies: ArcSwap<PolicySet>,
    directory: Directory,
    replay: ReplayMemory,
    revocations: RevocationTable,
    nonces: Nonces,
    foreign: ForeignKeys,
    upstreams: Upstreams,
    browser_sessions: BrowserSessions,
    webhook_rules: ArcSwap<WebhookRules>,
    outside: GuardedClient,
    client_keys: ClientKeys,
    passwords: PasswordPool,
    metrics: Metrics,
    traces: Traces,
    running: Mutex<Option<(Jobs, AuditTask)>>,
}

impl Fabric {
    /// Starts everything, in a runtime that outlives it.
    ///
    /// # Errors
    /// When a part does not start; nothing runs then.
    #[expect(clippy::too_many_lines, reason = "one field after the other")]
    pub async fn start(options: FabricOptions) -> Result<Arc<Self>, StartError> {
        let Opened {
            store,
            secrets,
            authority,
            audit,
            details,
            task,
        } = open(&options).await?;
        let (clock, random) = (options.clock.clone(), options.random.clone());
        let now = clock.now();
        let (boot, metrics) = (random.bytes(), Metrics::new());
        let traces = traces(options.traces, &authority, &clock, &random, &metrics)?;
        let recorder = Recorder::new(
            audit.clone(),
            clock.clone(),
            random.clone(),
            Some(details.clone()),
        );
        let fabric = Self {
            browser_sessions: BrowserSessions::new(
                store.clone(),
                Arc::clone(&secrets),
                clock.clone(),
                random.clone(),
                recorder.clone(),
            ),
            data: options.data,
            keys: KeyRing::new(
                store.clone(),
                Arc::clone(&secrets),
                clock.clone(),
                options.keys,
            ),
            rotation: Arc::new(Rotation::new(
                store.clone(),
                Arc::clone(&secrets),
                clock.clone(),
                options.hierarchy,
            )),
            recorder,
            directory: Directory::new(store.clone(), clock.clone()),
            nonces: Nonces::new(secrets.mac_key("dpop-nonce"), boot, now, options.nonces),
            passwords: PasswordPool::start(
                options.password_threads,
                options.password_cost,
                &random,
            ),
            policies: ArcSwap::from_pointee(options.policies),
            replay: ReplayMemory::new(ReplayLimits::default()),
            revocations: RevocationTable::new(
                REVOCATION_STALENESS_MAX,
                u64::from_be_bytes(random.bytes()),
            ),
            upstreams: Upstreams::default(),
            webhook_rules: ArcSwap::from_pointee(WebhookRules::default()),
            foreign: ForeignKeys::new(clock.clone(), options.foreign),
            client_keys: ClientKeys::new(options.outside.clone(), clock.clone()),
            outside: options.outside,
            metrics,
            traces,
            running: Mutex::new(None),
            clock,
            random,
            store,
            secrets,
            authority,
            audit,
            details,
        };
        let fabric = Arc::new(fabric);
        fabric.replace_upstreams(options.upstreams);
        fabric
            .fill(options.declared, options.configuration, &*options.progress)
            .await?;
        let jobs = Jobs::start(&fabric);
        *fabric
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((jobs, task));
        Ok(fabric)
    }

    async fn fill(
        &self,
        declared: Declared,
        configuration: [u8; 32],
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), StartError> {
        // Whom a database from before their erasure brought back goes again, before anybody can ask.
        let _again = erasure::erase_again(self).await?;
        let changes = self.reconcile(declared, configuration).await?;
        progress(Progress::Reconciled(changes));
        let tenants: Vec<Tenant> = self
            .directory
            .tenants()
            .iter()
            .map(|tenant| tenant.name.clone())
            .collect();
        self.keys
            .advance(&tenants, |tenant| {
                progress(Progress::MakingKey(tenant.clone()))
            })
            .await?;
        self.revocations.refresh(&self.store, self.now()).await?;
        let version = Text::of(env!("CARGO_PKG_VERSION"));
        let started = Started {
            configuration: Some(Digest::from_bytes(configuration)),
            version,
        };
        self.audit
            .append_durable(self.event(started.into()))
            .await?;
        Ok(())
    }

    /// Brings the store to what a configuration declares, and the snapshots with it.
    ///
    /// # Errors
    /// When the store fails or a password cannot be hashed.
    pub async fn reconcile(
        &self,
        declared: Declared,
        configuration: [u8; 32],
    ) -> Result<u64, ReconcileError> {
        let (store, secrets, passwords, clock) =
            (&self.store, &*self.secrets, &self.passwords, &self.clock);
        let changes = Reconciler {
            store,
            secrets,
            passwords,
            clock,
        }
        .run(declared)
        .await?;
        if changes > 0 {
            let applied = ConfigurationApplied {
                changes: Count::of(changes),
                configuration: Digest::from_bytes(configuration),
                decision: Verdict::Allowed,
                reason: None,
            };
            let record = self.event(applied.into());
            self.store
                .change(&Tenant::default_tenant(), Vec::new(), record, self.now())
                .await?;
        }
        self.directory.reload().await?;
        Ok(changes)
    }

    /// Takes another declaration up while everything runs: the store, the snapshots, keys for tenants that are new, and what it revoked.
    ///
    /// # Errors
    /// When the store fails, a password cannot be hashed or a key cannot be made. What was changed before stays; the next attempt goes on from there.
    pub async fn apply(
        &self,
        declared: Declared,
        configuration: [u8; 32],
    ) -> Result<u64, StartError> {
        let changes = self.reconcile(declared, configuration).await?;
        let tenants: Vec<Tenant> = self
            .directory
            .tenants()
            .iter()
            .map(|tenant| tenant.name.clone())
            .collect();
        self.keys.advance(&tenants, |_| {}).await?;
        // Whom the declaration disabled is denied from now on, not from the next look at the table on.
        self.revocations.refresh(&self.store, self.now()).await?;
        Ok(changes)
    }

    pub(crate) fn event(&self, event: Event) -> Record {
        let (id, time) = (self.random.event_id(), self.clock.millis());
        Record {
            id,
            time,
            tenant: Tenant::default_tenant(),
            request: None,
            event,
        }
    }

    /// Ends the background jobs, closes the log after its last record, and closes the store. Call it once every listener has drained.
    pub async fn stop(&self, reason: Code) {
        let running = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some((jobs, task)) = running else { return };
        jobs.stop().await;
        self.traces.stop().await;
        if self
            .audit
            .append_durable(self.event(Stopped { reason }.into()))
            .await
            .is_err()
            || task.close().await.is_err()
        {
            tracing::error!(event = "audit_log_not_closed");
        }
        self.store.close().await;
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The clock.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// The source of randomness.
    #[must_use]
    pub const fn random(&self) -> &Random {
        &self.random
    }

    /// The database.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The open key hierarchy.
    #[must_use]
    pub const fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    /// The rotation of keys that encrypt.
    #[must_use]
    pub const fn rotation(&self) -> &Arc<Rotation> {
        &self.rotation
    }

    /// The certificate authority of our own listeners.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The audit log.
    #[must_use]
    pub const fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// What makes a decision evidence.
    #[must_use]
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The sealed queries behind decisions.
    #[must_use]
    pub const fn details(&self) -> &Details {
        &self.details
    }

    /// The signing keys.
    #[must_use]
    pub const fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The policies of this moment.
    #[must_use]
    pub fn policies(&self) -> Arc<PolicySet> {
        self.policies.load_full()
    }

    /// Lets other policies decide from now on.
    pub fn replace_policies(&self, policies: PolicySet) {
        self.policies.store(Arc::new(policies));
    }

    /// Tenants and clients.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The memory of used proofs.
    #[must_use]
    pub const fn replay(&self) -> &ReplayMemory {
        &self.replay
    }

    /// What is revoked.
    #[must_use]
    pub const fn revocations(&self) -> &RevocationTable {
        &self.revocations
    }

    /// The DPoP nonces of this process.
    #[must_use]
    pub const fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    /// Keys of issuers that are not ours.
    #[must_use]
    pub const fn foreign_keys(&self) -> &ForeignKeys {
        &self.foreign
    }

    /// Identity providers that are not ours.
    #[must_use]
    pub const fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    /// Sessions of browsers at the gateway.
    #[must_use]
    pub const fn browser_sessions(&self) -> &BrowserSessions {
        &self.browser_sessions
    }

    /// What the installation says of its webhooks at this moment.
    #[must_use]
    pub fn webhook_rules(&self) -> Arc<WebhookRules> {
        self.webhook_rules.load_full()
    }

    /// Holds webhooks to these rules from now on.
    pub fn replace_webhook_rules(&self, rules: WebhookRules) {
        self.webhook_rules.store(Arc::new(rules));
    }

    /// Speaks with these identity providers from now on.
    pub fn replace_upstreams(&self, providers: Vec<UpstreamOptions>) {
        self.upstreams.replace(providers, &self.clock, &self.random);
    }

    /// The way to everything that somebody else named.
    #[must_use]
    pub const fn outside(&self) -> &GuardedClient {
        &self.outside
    }

    /// Keys of clients that registered their address.
    #[must_use]
    pub const fn client_keys(&self) -> &ClientKeys {
        &self.client_keys
    }

    /// The pool that hashes passwords.
    #[must_use]
    pub const fn passwords(&self) -> &PasswordPool {
        &self.passwords
    }

    /// The spans of requests.
    #[must_use]
    pub const fn traces(&self) -> &Traces {
        &self.traces
    }

    /// What is measured.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
