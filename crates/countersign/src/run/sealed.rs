//! The process while its root key is away: every door is open and says that it is sealed; the control door takes shares.
//!
//! Not here: their certificate ([`super::sealed_door`]), which is not the installation's, whose key is sealed too.

use super::sealed_door::certificate;
use super::{Options, RunError, local, seal_source, sockets, store_url};
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

/// How long until a source that was away is asked again.
const ASKED_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_secs(15);
/// How long answers under way may take once the seal is open.
const DRAIN: Duration = Duration::from_secs(5);

/// A process whose root key is away.
pub struct SealedProcess {
    seal: Arc<ClosedSeal>,
    control: SocketAddr,
    ca: PathBuf,
    drain: DrainTrigger,
    again: Again,
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

/// A start under a seal.
pub enum SealedStart {
    /// It waits for shares, or for its source.
    Closed(Box<SealedProcess>),
    /// Its source opened it.
    Open(Box<Unsealed>),
}

/// Asks the source of the unseal key, or opens the doors.
///
/// # Errors
/// When an address is in use, the database cannot be opened, or its seal is another than the configuration's.
pub async fn sealed(options: &Options) -> Result<SealedStart, RunError> {
    let url = store_url(options)?;
    countersign_control::root::make_private_directory(&options.data).map_err(|cause| {
        RunError::Bind {
            surface: "data",
            address: options.config.listeners.control,
            cause,
        }
    })?;
    let store = StoreOptions::new(url);
    let seal = ClosedSeal::open(
        &store,
        seal_source::way(options)?,
        seal_source::former(options)?,
        options.clock.clone(),
        options.random.clone(),
    );
    let seal = Arc::new(seal.await?);
    let asks_again = asks_again(&seal).await;
    if seal.is_open() {
        let (root, opening) = seal.opened().await;
        let status = seal.status();
        seal.close().await;
        return Ok(SealedStart::Open(Box::new(Unsealed {
            root,
            status,
            opening,
            config: options.config.clone(),
        })));
    }
    let closed = doors(options, seal, asks_again)?;
    Ok(SealedStart::Closed(Box::new(closed)))
}

/// Whether the source is to be asked again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// What is wrong may pass.
    AsksAgain,
    /// Asking again does not help, or does harm: a token locks after a few wrong PINs.
    Waits,
}

/// Asks the source, if there is one; what is wrong stands in the log.
async fn asks_again(seal: &ClosedSeal) -> Again {
    match seal.open_by_source().await {
        Ok(()) => Again::Waits,
        Err(error) => {
            tracing::error!(event = "seal_not_opened", reason = error.reason());
            // The log has no free text, and which key or token is missing is what somebody has to know now.
            eprintln!("  the seal does not open: {error}");
            match error {
                SealError::Source(error) if error.may_pass() => Again::AsksAgain,
                _ => Again::Waits,
            }
        }
    }
}

fn doors(
    options: &Options,
    seal: Arc<ClosedSeal>,
    again: Again,
) -> Result<SealedProcess, RunError> {
    let mut config = options.config.clone();
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
        again,
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
        let (root, opening) = self.opened().await;
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

    async fn opened(&self) -> (Arc<RootKey>, Opening) {
        let mut again = self.again;
        loop {
            let waits = async {
                match again {
                    Again::AsksAgain => tokio::time::sleep(ASKED_AGAIN_AFTER).await,
                    Again::Waits => std::future::pending().await,
                }
            };
            tokio::select! {
                opened = self.seal.opened() => return opened,
                () = waits => again = asks_again(&self.seal).await,
            }
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
