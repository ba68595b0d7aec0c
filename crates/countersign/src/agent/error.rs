//! Why an agent does not begin.

use super::OutputError;
use crate::config::error::ConfigError;
use countersign_net::TlsError;
use std::io;
use std::path::PathBuf;

/// Why an agent does not begin. No secret is part of it.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The configuration, or a template.
    #[error("{0}")]
    Config(ConfigError),
    /// The socket's place.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// What the workload shows can't be read.
    #[error("{0}")]
    Shown(String),
    /// The socket can't listen.
    #[error("`{}` cannot listen: {}", path.display(), cause.kind())]
    Socket {
        /// Where it was to be.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}
