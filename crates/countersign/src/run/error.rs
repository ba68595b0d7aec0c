//! Why a process does not start.

use crate::config::error::ConfigError;
use countersign_control::administrator::AdministratorError;
use countersign_control::fabric::StartError;
use countersign_control::root::RootError;
use countersign_control::seal::SealError;
use countersign_control::vault::VaultFailure;
use countersign_control::vault::quorum::QuorumError;
use countersign_crypto::x509::X509Error;
use countersign_net::TlsError;
use std::io;
use std::net::SocketAddr;

/// Why the process did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A listener's address.
    #[error("`{surface}` cannot listen on {address}: {cause}")]
    Bind {
        /// Which listener.
        surface: &'static str,
        /// Its address.
        address: SocketAddr,
        /// What the operating system said.
        cause: io::Error,
    },
    /// An address that no URL can be made of.
    #[error("the control API has no address")]
    Address,
    /// The administrator's credential.
    #[error(transparent)]
    Administrator(#[from] AdministratorError),
    /// A certificate cannot be made.
    #[error(transparent)]
    Certificate(#[from] X509Error),
    /// The configuration.
    #[error("the configuration is refused:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<ConfigError>),
    /// The fabric.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The opening of the seal could not be recorded.
    #[error("the seal: {0}")]
    Quorum(Box<QuorumError>),
    /// The seal.
    #[error("the seal: {0}")]
    Seal(Box<SealError>),
    /// The certificate of the closed doors.
    #[error("the certificate of the closed doors: {cause}")]
    SealedDoor {
        /// What its file says.
        cause: RootError,
    },
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultFailure),
    /// The gateway's threads.
    #[error("the gateway cannot start: {0}")]
    Threads(io::Error),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}
