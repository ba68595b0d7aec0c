//! The process while its root key is away: every door is open and says that it is sealed; the control door takes shares.
//!
//! Not here: their certificate ([`super::sealed_door`]), which is not the installation's, whose key is sealed too.

use super::sealed_door::certificate;
use super::{Options, RunError, local, sockets, store_url};
use crate::config::Config;
use countersign_api::vault::sealed;
use countersign_base::Duration;
use countersign_control::seal::{ClosedSeal, Opening, SealError};
use countersign_keys::RootKey;
use countersign_keys::seal::SealStatus;
use countersign_net::{Drain, DrainTrigger, Listener, Transport};
use countersign_store::StoreOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How long answers under way may take once the seal is open.
const DRAIN: Duration = Duration::from_secs(5);

/// A process whose root key is away.
pub struct SealedProcess {
    seal: Arc<ClosedSeal>,
    control: SocketAddr,
    ca: PathBuf,
    drain: DrainTrigger,
    config: Config,
}

/// What comes of shares: the root key, the seal it came from, and the configuration with the addresses that were bound.
pub struct Unsealed {
    /// The root key.
    pub root: Arc<RootKey>,
    /// The seal.
    pub status: SealStatus,
    /// How it came to be open.
    pub opening: Opening,
    /// The configuration; ports that were free ones are those that were taken.
    pub config: Config,
}

/// Opens the doors.
///
/// # Errors
/// When an address is in use, or the database cannot be opened.
pub async fn sealed(options: &Options) -> Result<SealedProcess, RunError> {
    let mut config = options.config.clone();
    let url = store_url(options)?;
    countersign_control::root::make_private_directory(&options.data).map_err(|cause| {
        RunError::Bind {
            surface: "data",
            address: config.listeners.control,
            cause,
        }
    })?;
    let store = StoreOptions::new(url);
    let seal = ClosedSeal::open(&store, options.clock.clone(), options.random.clone()).await?;
    let seal = Arc::new(seal);
    let (tls, ca) = certificate(options, &config.listeners.names)?;
    let (trigger, drain) = Drain::new();
    let limits = config.listeners.limits();
    let listeners = &mut config.listeners;
    for (surface, address) in [
        ("identity", &mut listeners.identity),
        ("identity_mtls", &mut listeners.identity_mtls),
        ("gateway", &mut listeners.gateway),
    ] {
        let listener = bind(surface, address)?;
        let transport = Transport::Tls(tls.clone());
        super::spawn(
            listener,
            transport,
            sealed::closed(),
            limits.clone(),
            &drain,
        );
    }
    let telemetry = bind("telemetry", &mut listeners.telemetry)?;
    let closed = sealed::closed();
    super::spawn(
        telemetry,
        Transport::Plaintext,
        closed,
        limits.clone(),
        &drain,
    );
    if let Some(proxy) = &mut config.egress.proxy {
        let listener = bind("egress", &mut proxy.listen)?;
        let closed = sealed::closed();
        super::spawn(
            listener,
            Transport::Plaintext,
            closed,
            limits.clone(),
            &drain,
        );
    }
    let control = bind("control", &mut config.listeners.control)?;
    let at = control.address();
    let door = sealed::router(Arc::clone(&seal), &local(at), options.clock.clone());
    super::spawn(control, Transport::Tls(tls), door, limits, &drain);
    Ok(SealedProcess {
        seal,
        control: at,
        ca,
        drain: trigger,
        config,
    })
}

/// Binds an address, and keeps the port that was taken.
fn bind(surface: &'static str, address: &mut SocketAddr) -> Result<Listener, RunError> {
    let listener = sockets::one(surface, *address)?;
    *address = listener.address();
    Ok(listener)
}

impl SealedProcess {
    /// Where shares are taken.
    #[must_use]
    pub const fn control(&self) -> SocketAddr {
        self.control
    }

    /// The authority behind the certificate of the closed doors.
    #[must_use]
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// Whether there is a seal to open, or one to make.
    #[must_use]
    pub fn status(&self) -> SealStatus {
        self.seal.status()
    }

    /// Waits for the shares, then closes the doors and the database, so that the fabric can open them.
    pub async fn unsealed(self) -> Unsealed {
        let (root, opening) = self.seal.opened().await;
        let status = self.seal.status();
        let _drained = self.drain.drain(DRAIN).await;
        self.seal.close().await;
        Unsealed {
            root,
            status,
            opening,
            config: self.config,
        }
    }

    /// Closes the doors without a root key.
    pub async fn stop(self) {
        let _drained = self.drain.drain(DRAIN).await;
        self.seal.close().await;
    }
}

impl From<SealError> for RunError {
    fn from(error: SealError) -> Self {
        Self::Seal(Box::new(error))
    }
}
