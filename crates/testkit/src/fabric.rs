//! A whole fabric in a temporary directory, for the tests of whatever answers requests on it.

use crate::{FakeClock, FakeInternet};
use countersign_authn::dpop::NonceUse;
use countersign_base::{Duration, Tenant};
use countersign_control::{
    Declared, Fabric, FabricOptions, KeyRingOptions, RootSource, StartError, TraceOptions,
};
use countersign_crypto::jose::Algorithm;
use countersign_crypto::password::Cost;
use countersign_crypto::random::Random;
use countersign_keys::rotation::RotationPolicy;
use countersign_policy::{PolicySet, defaults};
use countersign_store::{StoreOptions, StoreUrl};
use std::sync::Arc;
use tempfile::TempDir;

/// A running fabric with an embedded store. Its directory goes when this is dropped.
pub struct TestFabric {
    /// The fabric.
    pub fabric: Arc<Fabric>,
    /// The clock it lives by.
    pub clock: FakeClock,
    /// The internet as it sees it.
    pub internet: Arc<FakeInternet>,
    /// Its data directory.
    pub data: TempDir,
}

impl TestFabric {
    /// Starts a fabric with the default policies that holds what is declared.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(declared: Declared) -> Result<Self, StartError> {
        Self::with_policies(declared, &defaults::POLICIES).await
    }

    /// As [`TestFabric::start`], with other policies.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn with_policies(
        declared: Declared,
        policies: &[(&str, &str)],
    ) -> Result<Self, StartError> {
        Self::with_traces(declared, policies, TraceOptions::default()).await
    }

    /// As [`TestFabric::with_policies`], with traces.
    ///
    /// # Errors
    /// When it does not start.
    ///
    /// # Panics
    /// When the policies do not hold, or there is no temporary directory.
    #[expect(
        clippy::expect_used,
        reason = "a test without its setting has nothing to test"
    )]
    pub async fn with_traces(
        declared: Declared,
        policies: &[(&str, &str)],
        traces: TraceOptions,
    ) -> Result<Self, StartError> {
        let data = tempfile::tempdir().expect("a temporary directory");
        Self::launch(data, FakeClock::default(), declared, policies, traces).await
    }

    /// Starts again on the directory that [`TestFabric::stop`] left, by the same clock.
    ///
    /// # Errors
    /// When it does not start.
    ///
    /// # Panics
    /// When the policies do not hold.
    pub async fn resume(
        data: TempDir,
        clock: FakeClock,
        declared: Declared,
        policies: &[(&str, &str)],
    ) -> Result<Self, StartError> {
        Self::launch(data, clock, declared, policies, TraceOptions::default()).await
    }

    #[expect(
        clippy::expect_used,
        reason = "a test without its setting has nothing to test"
    )]
    async fn launch(
        data: TempDir,
        clock: FakeClock,
        declared: Declared,
        policies: &[(&str, &str)],
        traces: TraceOptions,
    ) -> Result<Self, StartError> {
        let hour = Duration::from_secs(3600);
        let rotation = RotationPolicy::new(hour, hour * 24 * 30, hour * 24, hour);
        let internet = FakeInternet::new();
        let options = FabricOptions {
            data: data.path().to_owned(),
            store: StoreOptions::new(StoreUrl::Sqlite(data.path().join("state.db"))),
            clock: clock.clock(),
            random: Random::system(),
            root: RootSource::File,
            origin: "countersign.test/log".parse().expect("an origin"),
            keys: KeyRingOptions {
                policy: rotation.expect("a rotation policy"),
                algorithms: vec![Algorithm::Es256],
            },
            hierarchy: countersign_control::HierarchyOptions::default(),
            policies: PolicySet::load(defaults::SCHEMA, policies).expect("the policies"),
            passphrase_cost: Cost::for_tests(),
            password_cost: Cost::for_tests(),
            password_threads: 1,
            declared,
            configuration: [0; 32],
            details_for: hour,
            foreign: Vec::new(),
            upstreams: Vec::new(),
            outside: internet.client(),
            nonces: NonceUse::AfterStart,
            traces,
            progress: Box::new(|_| {}),
        };
        Ok(Self {
            fabric: Fabric::start(options).await?,
            clock,
            internet,
            data,
        })
    }

    /// Stops it, so that everything recorded is in the log's files.
    pub async fn stop(self) -> TempDir {
        self.fabric.stop(countersign_audit::Code::of("test")).await;
        self.data
    }
}

/// The name of a tenant.
///
/// # Panics
/// When it is none.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "a test without its setting has nothing to test"
)]
pub fn tenant(name: &str) -> Tenant {
    name.parse().expect("a tenant's name")
}
