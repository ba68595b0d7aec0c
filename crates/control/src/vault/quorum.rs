//! What a quorum of operators does to an open vault: new shares, new recovery keys, a root token.
//!
//! The quorum is the authorization: none of this takes a token. Whoever starts an operation is told its nonce, and shares count for that nonce alone. Cancelling takes the nonce, or a
//! token that policies let (CVE-2025-4656, CVE-2025-52894, CVE-2026-5807). Every step is recorded before it is answered; refusals are bounded by their source.
//!
//! Not here: HTTP, and the machines ([`countersign_keys::seal`]).

mod rekey;
mod root_token;

pub use rekey::{RekeyAnswer, RekeyProgress};
pub use root_token::{RootTokenAnswer, RootTokenProgress};

use super::{Vault, VaultFailure, VaultSeal};
use crate::seal::held::{HeldSeal, Running, WRONG_SETS_MAX};
use crate::seal::{OpenedBy, Opening};
use countersign_audit::event::SealOperation;
use countersign_audit::{Code, Count};
use countersign_base::{ParseError, RequestId, Secret, Tenant};
use countersign_keys::seal::{
    CancelAuthority, CancelBy, Nonce, QuorumRefused, Seal, SealFault, SealRow,
};
use countersign_keys::shamir::{Share, ShareRuleError};
use countersign_store::tables::settings::{self, Setting};
use countersign_store::{Durability, StoreError};
use countersign_vault::answer::QuorumOperation;
use countersign_vault::work::EffectResult;
use std::net::IpAddr;

/// Why an operation does not go on.
#[derive(Debug, thiserror::Error)]
pub enum QuorumError {
    /// Cancelling without the nonce, and without a token that may.
    #[error("permission denied")]
    Denied,
    /// The machine refuses.
    #[error(transparent)]
    Fault(#[from] SealFault),
    /// A share, a nonce or a pad is none.
    #[error(transparent)]
    Form(#[from] ParseError),
    /// The root key comes from a file or a passphrase.
    #[error(
        "the root key of this installation comes from a file or a passphrase: nobody holds shares of anything"
    )]
    NoSeal,
    /// Nothing of this kind was started.
    #[error("no operation of this kind is in progress")]
    NotUnderWay,
    /// Shares are those of the seal, or recovery keys, and this is about the other ones.
    #[error(
        "shares of the seal are changed at `sys/rekey`, recovery keys at `sys/rekey-recovery-key`"
    )]
    OtherHolders,
    /// The log takes no record.
    #[error("the operation could not be recorded")]
    Record,
    /// The share does not count.
    #[error(transparent)]
    Refused(#[from] QuorumRefused),
    /// The numbers of shares do not fit.
    #[error(transparent)]
    Rule(#[from] ShareRuleError),
    /// The seal changed since the operation began.
    #[error("the seal was changed meanwhile; start again")]
    Superseded,
    /// The stored seal cannot be read.
    #[error("the stored seal cannot be read")]
    Stored,
    /// The database.
    #[error(transparent)]
    Store(StoreError),
    /// Too many were started.
    #[error("too many operations were started; try again in an hour")]
    TooOften,
    /// The token cannot be made.
    #[error(transparent)]
    Vault(#[from] VaultFailure),
}

impl From<StoreError> for QuorumError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Superseded(_) => Self::Superseded,
            other => Self::Store(other),
        }
    }
}

/// Which holders give themselves new shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holders {
    /// Those of recovery keys.
    RecoveryKeys,
    /// Those of the seal's shares.
    Shares,
}

/// Who asks, for the record.
#[derive(Debug, Clone, Copy)]
pub struct Asking {
    /// From where.
    pub from: IpAddr,
    /// In which request.
    pub request: RequestId,
}

/// Whether an answer may name the nonce: whoever knows it may cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// To whoever started the operation, and to whom policies let.
    Nonce,
    /// To anybody.
    Progress,
}

/// The decision that permitted a call; it is made where the call's effect is carried out, and nowhere else.
struct Permit(());

impl CancelAuthority for Permit {}

const REKEY: Code = Code::of("rekey");
const ROOT_TOKEN: Code = Code::of("generate-root");

/// The operations on one vault's seal, for one request.
pub struct Quorums<'v> {
    vault: &'v Vault,
    seal: &'v HeldSeal,
    asking: Asking,
}

impl Vault {
    /// The operations that a quorum authorizes.
    ///
    /// # Errors
    /// [`QuorumError::NoSeal`] where nothing stands above the root key.
    pub fn quorums(&self, asking: Asking) -> Result<Quorums<'_>, QuorumError> {
        match &self.seal {
            VaultSeal::Held(seal) => Ok(Quorums {
                vault: self,
                seal,
                asking,
            }),
            VaultSeal::OpensByItself => Err(QuorumError::NoSeal),
        }
    }
}

impl Vault {
    /// Records that the seal was opened, and what was refused before: the first thing that a log can say which was sealed too.
    ///
    /// # Errors
    /// When the log does not take it.
    pub async fn record_opening(&self, opening: &Opening) -> Result<(), QuorumError> {
        if opening.by == OpenedBy::Making {
            return Ok(());
        }
        let opened = SealOperation {
            refused: Some(Count::of(opening.refused)),
            seal: Some(Code::of(self.seal.status().kind)),
            ..step(Code::of("unseal"), "done")
        };
        self.record_of_seal(None, opened).await
    }

    /// Records that the seal is closed by a call.
    pub(super) async fn record_sealing(&self, asking: Asking) -> Result<(), QuorumError> {
        self.record_of_seal(Some(asking.request), step(Code::of("seal"), "done"))
            .await
    }

    async fn record_of_seal(
        &self,
        request: Option<RequestId>,
        event: SealOperation,
    ) -> Result<(), QuorumError> {
        let tenant = Tenant::default_tenant();
        let recorder = self.fabric.recorder();
        let recorded = recorder.event(&tenant, request, event, Durability::Durable);
        recorded.await.map(drop).map_err(|_| QuorumError::Record)
    }

    /// Cancels for a call that was permitted.
    pub(super) async fn cancel_quorum(
        &self,
        operation: QuorumOperation,
        asking: Asking,
    ) -> EffectResult {
        let permit = Permit(());
        let by = CancelBy::Authority(&permit);
        let cancelled = async {
            let quorums = self.quorums(asking)?;
            match operation {
                QuorumOperation::Rekey => quorums.cancel_rekey(by).await,
                QuorumOperation::RootToken => quorums.cancel_root_token(by).await,
            }
        };
        match cancelled.await {
            Ok(()) => EffectResult::Done,
            Err(error) => EffectResult::Failed(error.to_string()),
        }
    }
}

impl Quorums<'_> {
    /// The row, and the bytes that it stands in.
    async fn stored(&self) -> Result<(SealRow, Vec<u8>), QuorumError> {
        let mut connection = self.vault.fabric.store().read().await?;
        let stored = settings::find(&mut connection, Setting::Seal).await?;
        let stored = stored.ok_or(QuorumError::NoSeal)?;
        let row = serde_json::from_slice(&stored).map_err(|_| QuorumError::Stored)?;
        Ok((row, stored))
    }

    async fn started(&self, running: &mut Running, operation: Code) -> Result<(), QuorumError> {
        if !running.may_start(self.vault.fabric.now()) {
            return Err(QuorumError::TooOften);
        }
        self.record(step(operation, "started")).await
    }

    async fn cancelled(
        &self,
        operation: Code,
        by: CancelBy<'_>,
        running: &mut Running,
    ) -> Result<(), QuorumError> {
        let reason = match by {
            CancelBy::Authority(_) => {
                running.forget_starts();
                Code::of("permitted")
            }
            CancelBy::Nonce(_) => Code::of("nonce"),
        };
        let cancelled = SealOperation {
            reason: Some(reason),
            ..step(operation, "cancelled")
        };
        self.record(cancelled).await
    }

    async fn not_cancelled(&self, operation: Code) -> QuorumError {
        let refused = SealOperation {
            reason: Some(Code::of("without_nonce")),
            ..step(operation, "refused")
        };
        match self.refusal(refused) {
            Ok(()) => QuorumError::Denied,
            Err(error) => error,
        }
    }

    /// Records that a share did not count. How many wrong sets there were with it, if the operation goes on.
    async fn refused(
        &self,
        operation: Code,
        why: QuorumRefused,
        wrong: u8,
    ) -> Result<Option<u8>, QuorumError> {
        let (reason, wrong) = match why {
            QuorumRefused::Conflict => ("conflict", wrong.saturating_add(1)),
            QuorumRefused::Expired => ("expired", wrong),
            QuorumRefused::NonceDiffers => ("nonce_differs", wrong),
            QuorumRefused::WrongShares => ("wrong_shares", wrong.saturating_add(1)),
        };
        let event = |step_: &'static str| SealOperation {
            reason: Some(Code::of(reason)),
            refused: Some(Count::of(u64::from(wrong))),
            ..step(operation.clone(), step_)
        };
        if wrong >= WRONG_SETS_MAX || why == QuorumRefused::Expired {
            self.record(event("failed")).await?;
            return Ok(None);
        }
        self.refusal(event("refused"))?;
        Ok(Some(wrong))
    }

    fn refusal(&self, event: SealOperation) -> Result<(), QuorumError> {
        let tenant = Tenant::default_tenant();
        self.vault
            .fabric
            .recorder()
            .refused(self.asking.from, &tenant, Some(self.asking.request), event)
            .map_err(|_| QuorumError::Record)
    }

    async fn record(&self, event: SealOperation) -> Result<(), QuorumError> {
        self.vault
            .record_of_seal(Some(self.asking.request), event)
            .await
    }
}

/// A share and the nonce that it was given with, as they were shown. A text that is no nonce is one that differs.
fn shown(nonce: &str, share: &Secret<String>) -> Result<(Nonce, Share), QuorumError> {
    let share = Share::parse(share)?;
    let nonce = Nonce::parse(nonce).map_err(|_| QuorumRefused::NonceDiffers)?;
    Ok((nonce, share))
}

const fn step(operation: Code, step: &'static str) -> SealOperation {
    SealOperation::new(operation, Code::of(step))
}

const fn holders_of(row: &SealRow) -> Holders {
    match row.seal() {
        Seal::Auto { .. } => Holders::RecoveryKeys,
        Seal::Shamir(_) => Holders::Shares,
    }
}
