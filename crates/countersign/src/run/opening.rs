//! A root key that came from a seal, and the vault over it.
//!
//! Not here: how the seal was opened ([`super::sealed`]).

use super::{Options, RunError};
use countersign_control::Fabric;
use countersign_control::seal::Opening;
use countersign_control::seal::held::HeldSeal;
use countersign_control::vault::{Vault, VaultSeal};
use countersign_keys::RootKey;
use countersign_keys::seal::SealStatus;
use std::sync::Arc;

/// A root key that came from a seal.
pub struct OpenedRoot {
    /// The root key.
    pub root: Arc<RootKey>,
    /// What `sys/seal-status` says.
    pub status: SealStatus,
    /// How the seal came to be open.
    pub opening: Opening,
}

/// What stands above the root key, and how it came to be open.
pub(super) fn vault_seal(options: &Options) -> (VaultSeal, Option<Opening>) {
    match &options.unsealed {
        None => (VaultSeal::OpensByItself, None),
        Some(opened) => {
            let seal = VaultSeal::Held(Arc::new(HeldSeal::new(opened.status.clone())));
            (seal, Some(opened.opening.clone()))
        }
    }
}

/// The vault; what opened its seal is recorded before anything is answered.
pub(super) async fn open_vault(
    fabric: &Arc<Fabric>,
    (seal, opening): (VaultSeal, Option<Opening>),
) -> Result<Arc<Vault>, RunError> {
    let vault = Vault::start(fabric, seal).await?;
    if let Some(opening) = opening {
        let recorded = vault.record_opening(&opening).await;
        recorded.map_err(|error| RunError::Quorum(Box::new(error)))?;
    }
    Ok(vault)
}
