//! The Vault-compatible API (`/v1/*`): requests as unmodified clients of Vault send them, to the vault and back.
//!
//! A caller shows a vault token (`X-Vault-Token`, or as a bearer) or one of our own access tokens for [`AUDIENCE`]: one identity plane. A namespace is a tenant.
//! Everything else is the vault's: [`countersign_control::vault`].
//!
//! `sys/health`, `sys/seal-status`, `sys/init` and `sys/leader` say the same to everybody and are answered here, and what a quorum of operators asks for ([`quorum`]). While the
//! root key is away, [`sealed`] answers.

mod answer;
mod arrived;
mod quorum;
pub mod sealed;
mod status;

use crate::access::lookups::LookUps;
use answer::{Refused, bare, refused, said};
use arrived::Arrived;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use countersign_control::Fabric;
use countersign_control::vault::{Vault, VaultFailure};
use std::sync::Arc;
use tokio::sync::Semaphore;
use url::Url;

/// The audience of our own access tokens that the vault takes.
pub const AUDIENCE: &str = "urn:countersign:vault";
/// Large bodies that are read at one time.
const LARGE_BODIES_MAX: usize = 16;

/// What every request shares.
#[derive(Clone)]
pub(crate) struct Door {
    fabric: Arc<Fabric>,
    vault: Arc<Vault>,
    /// `https://localhost:8445`.
    origin: Arc<str>,
    lookups: Arc<LookUps>,
    large_bodies: Arc<Semaphore>,
}

/// The vault's API. `origin` is the address that its listener is reached under; the connection's address is expected as an extension of each request, as
/// `net::from_tower` puts it there.
pub fn router(fabric: Arc<Fabric>, vault: Arc<Vault>, origin: &Url) -> Router {
    let door = Door {
        fabric,
        vault,
        origin: origin.as_str().trim_end_matches('/').into(),
        lookups: Arc::default(),
        large_bodies: Arc::new(Semaphore::new(LARGE_BODIES_MAX)),
    };
    Router::new()
        .route("/v1/{*path}", any(call))
        .with_state(door)
}

async fn call(State(door): State<Door>, request: Request) -> Response {
    let id = door.fabric.random().request_id();
    let seal = door.vault.seal().status();
    if let Some((status, body)) = status::of(&seal, &door.origin, &request, door.fabric.now()) {
        return bare(status, &body);
    }
    if let Some(asked) = quorum::Asked::of(&request) {
        return quorum::answer(&door, asked, request, id).await;
    }
    let answered = async {
        let arrived = Arrived::read(&door, id, request).await?;
        let answer = door
            .vault
            .answer(arrived.tenant, arrived.request, arrived.presented);
        answer.await.map_err(Refused::from)
    };
    match answered.await {
        Ok(answer) => said(answer, id),
        Err(error) => refused(&error, id),
    }
}

impl From<VaultFailure> for Refused {
    fn from(failure: VaultFailure) -> Self {
        match failure {
            VaultFailure::Refused(error) => Self::Vault(error),
            VaultFailure::Record | VaultFailure::Unsettled => Self::Unavailable,
            VaultFailure::Opening(_)
            | VaultFailure::Policies(_)
            | VaultFailure::Rotation(_)
            | VaultFailure::Sealing(_)
            | VaultFailure::Store(_) => {
                tracing::error!(event = "vault_failed", error = %failure);
                Self::Failed
            }
        }
    }
}

#[cfg(test)]
mod tests;
