//! The vault at work: what a step asks for is loaded, what it read and wrote is committed, what it asks to happen outside is carried out.
//!
//! ```text
//! answer: identify -> decide -> perform -> commit with the record of the decision -> effect -> resume -> ... -> answer
//! ```
//!
//! Steps are pure ([`countersign_vault`]). A step that meets an entry which changed meanwhile runs again on what is there now. Nobody is answered before the
//! record of the decision stands: in the transaction of what the call changed, or in the queue of the log where it changed nothing.
//!
//! Not here: how entries are sealed ([`barrier`]), whose rules decide ([`policies`]), what comes due ([`due`]), HTTP.

mod acme;
mod barrier;
mod cache;
mod data_keys;
mod documents;
mod due;
mod policies;
pub mod quorum;
mod steps;
mod turns;

use crate::Fabric;
use crate::rotation::RotationError;
use crate::seal::held::HeldSeal;
use crate::vault_sql::Databases;
use countersign_audit::Code;
use countersign_base::{Duration, Secret, Tenant};
use countersign_keys::OpenError;
use countersign_keys::envelope::SealError;
use countersign_keys::seal::SealStatus;
use countersign_policy::{Permitted, PolicyError, decide};
use countersign_store::{Durability, Recorded, StoreError};
use countersign_vault::answer::Effect;
use countersign_vault::caller::{self, Presented, Request};
use countersign_vault::cost::Cost;
use countersign_vault::engine;
use countersign_vault::kind::EngineKind;
use countersign_vault::token::{self, RootLife};
use countersign_vault::work::EffectResult;
use countersign_vault::{Answer, Asked, Cx, Operation, Outcome, VaultError, Work};
use policies::Policies;
use quorum::Asking;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use steps::ATTEMPTS_MAX;
pub(crate) use steps::Steps;
use turns::{Turns, at_length};

/// Effects of one call.
const EFFECTS_MAX: usize = 16;

/// The running vault.
pub struct Vault {
    fabric: Arc<Fabric>,
    steps: Steps,
    policies: Policies,
    databases: Databases,
    turns: Turns,
    seal: VaultSeal,
}

/// What stands above the root key of a running vault.
#[derive(Clone)]
pub enum VaultSeal {
    /// A file or a passphrase: whoever can start the process opens it.
    OpensByItself,
    /// A seal: operators hold its shares, or a source opens it.
    Held(Arc<HeldSeal>),
}

impl VaultSeal {
    /// Whether whoever can start the process opens it.
    #[must_use]
    pub fn opens_by_itself(&self) -> bool {
        match self {
            Self::OpensByItself => true,
            Self::Held(held) => held.opens_by_itself(),
        }
    }

    /// What `sys/seal-status` says of it.
    #[must_use]
    pub fn status(&self) -> SealStatus {
        match self {
            Self::OpensByItself => SealStatus {
                kind: "static",
                initialized: true,
                sealed: false,
                t: 1,
                n: 1,
                ..SealStatus::uninitialized()
            },
            Self::Held(held) => held.status(),
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum VaultFailure {
    /// A stored value does not open.
    #[error("an entry of the vault does not open: {0}")]
    Opening(#[from] OpenError),
    /// The translated policies are refused.
    #[error("the policies of the vault cannot be used: {0}")]
    Policies(#[from] PolicyError),
    /// The audit log takes no record.
    #[error("the decision could not be recorded")]
    Record,
    /// It is refused.
    #[error(transparent)]
    Refused(#[from] VaultError),
    /// The key of the entries could not be replaced.
    #[error("the key of the vault was not replaced: {0}")]
    Rotation(#[from] RotationError),
    /// A value cannot be sealed.
    #[error("an entry of the vault cannot be sealed: {0}")]
    Sealing(#[from] SealError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A step asks for ever more, or is overtaken again and again.
    #[error("the vault is busy; try again")]
    Unsettled,
}

/// The door that records name.
const SURFACE: Code = Code::of("vault");

impl Vault {
    /// Opens the vault of every tenant, and mounts what a new one has. Entries whose time has come are looked at from now on.
    ///
    /// # Errors
    /// When the database fails, or a stored key does not open.
    pub async fn start(fabric: &Arc<Fabric>, seal: VaultSeal) -> Result<Arc<Self>, VaultFailure> {
        let vault = Arc::new(Self {
            fabric: Arc::clone(fabric),
            steps: Steps::new(
                fabric.store().clone(),
                Arc::clone(fabric.secrets()),
                fabric.clock().clone(),
                fabric.random().clone(),
                Arc::clone(fabric.rotation()),
                Some(fabric.outside().clone()),
            ),
            policies: Policies::default(),
            databases: Databases::default(),
            turns: Turns::default(),
            seal,
        });
        for tenant in fabric.directory().tenants() {
            vault.steps.prepare(&tenant.name).await?;
        }
        tokio::spawn(due::keep(Arc::downgrade(&vault)));
        tokio::spawn(data_keys::keep(Arc::downgrade(&vault)));
        Ok(vault)
    }

    /// The token of scripts on this machine: a root token of the default tenant. Where operators hold shares there is none.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn local_token(
        &self,
        lives: Duration,
    ) -> Result<Option<Secret<String>>, VaultFailure> {
        if !self.seal.opens_by_itself() {
            return Ok(None);
        }
        let token = self.root_token(&Tenant::default_tenant(), lives).await?;
        Ok(Some(token))
    }

    /// Whether a token stands, without taking one of its uses: before more than a little is read of what its holder sends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stands(
        &self,
        tenant: &Tenant,
        shown: &Secret<String>,
    ) -> Result<bool, VaultFailure> {
        let found = self
            .steps
            .run(tenant, &mut self.steps.begin(tenant), |work, cx| {
                token::take_use(shown, work, cx)
            })
            .await;
        match found {
            Ok((held, _uncommitted)) => Ok(held.is_some()),
            Err(VaultFailure::Refused(_)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// What stands above its root key.
    #[must_use]
    pub const fn seal(&self) -> &VaultSeal {
        &self.seal
    }

    /// A root token for whoever starts the process, or was let in by a quorum.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn root_token(
        &self,
        tenant: &Tenant,
        lives: Duration,
    ) -> Result<Secret<String>, VaultFailure> {
        let made = self.steps.internally(tenant, |work, cx| {
            token::first_root(RootLife::Lasts(lives), work, cx)
        });
        Ok(made.await?.client_token)
    }

    /// Answers a call in a tenant's vault. A call that has begun runs to its end, also if whoever waits for the answer goes away: what happens outside is followed by
    /// what says so.
    ///
    /// # Errors
    /// Why it is refused, or cannot be answered. What was refused is recorded.
    pub async fn answer(
        self: &Arc<Self>,
        tenant: Tenant,
        request: Request,
        presented: Presented,
    ) -> Result<Answer, VaultFailure> {
        let vault = Arc::clone(self);
        let call = async move { vault.call(&tenant, &request, &presented).await };
        tokio::spawn(call)
            .await
            .unwrap_or(Err(VaultFailure::Unsettled))
    }

    async fn call(
        &self,
        tenant: &Tenant,
        request: &Request,
        presented: &Presented,
    ) -> Result<Answer, VaultFailure> {
        let asking = Asking {
            from: source_of(request),
            request: request.request,
        };
        let permitted = self.permit(tenant, request, presented).await?;
        let cost = permitted.target().call().cost();
        let turn = match cost {
            Cost::Large => match self.turns.take().await {
                Ok(turn) => Some(turn),
                Err(busy) => {
                    let _recorded = self.record(permitted).await?;
                    return Err(busy);
                }
            },
            Cost::Small => None,
        };
        let mut outcome = self.perform(tenant, permitted, cost).await?;
        drop(turn);
        for _ in 0..EFFECTS_MAX {
            let then = match outcome {
                Outcome::Done(answer) => return Ok(*answer),
                Outcome::Then(then) => *then,
            };
            let result = self.carry_out(tenant, then.effect, asking).await;
            outcome = self
                .steps
                .internally(tenant, |work, cx| {
                    engine::resume(&then.next, &result, work, cx)
                })
                .await?;
        }
        Err(VaultFailure::Unsettled)
    }

    /// Who asks, and whether they may.
    async fn permit(
        &self,
        tenant: &Tenant,
        request: &Request,
        presented: &Presented,
    ) -> Result<Permitted<Asked>, VaultFailure> {
        let identify =
            |work: &mut Work<'_>, cx: &Cx<'_>| caller::identify(request, presented, work, cx);
        let asked = match self.steps.internally(tenant, identify).await {
            Ok(asked) => asked,
            Err(failure) => {
                self.refused(tenant, request)?;
                return Err(failure);
            }
        };
        let policies = self.policies.of(self, tenant).await?;
        let again = (asked.call().operation == Operation::Create
            && asked.call().mount.engine == EngineKind::Transit)
            .then(|| asked.again_as(Operation::Update));
        let denied = match decide(&policies, asked) {
            Ok(permitted) => return Ok(self.permitted(permitted)),
            Err(denied) => denied,
        };
        // Who may not make the key may still use one, and is told that there is none.
        if let Some(asked) = again
            && let Ok(permitted) = decide(&policies, asked)
        {
            return Ok(self.permitted(permitted));
        }
        self.fabric.metrics().decided("vault", "denied");
        // The answer is the same whether or not the denial could be recorded: no.
        let _ = self.fabric.recorder().record_denied(denied);
        Err(VaultError::Denied.into())
    }

    fn permitted(&self, permitted: Permitted<Asked>) -> Permitted<Asked> {
        self.fabric.metrics().decided("vault", "permitted");
        permitted
    }

    /// A request of somebody whom nobody knows, or for a place where nothing is.
    fn refused(&self, tenant: &Tenant, request: &Request) -> Result<(), VaultFailure> {
        use countersign_audit::event::{Decision, Verdict};
        self.fabric.metrics().decided("vault", "refused");
        let event = Decision::new(SURFACE, Verdict::Denied, Code::of("vault_token_unknown"));
        self.fabric
            .recorder()
            .refused(source_of(request), tenant, Some(request.request), event)
            .map_err(|_| VaultFailure::Record)
    }

    /// Carries a permitted call out. What it changes is committed together with the record that it was permitted.
    async fn perform(
        &self,
        tenant: &Tenant,
        mut permitted: Permitted<Asked>,
        cost: Cost,
    ) -> Result<Outcome, VaultFailure> {
        for _ in 0..ATTEMPTS_MAX {
            let mut loaded = self.steps.begin(tenant);
            let step = |work: &mut Work<'_>, cx: &Cx<'_>| match cost {
                Cost::Large => at_length(|| engine::perform(&permitted, work, cx)),
                Cost::Small => engine::perform(&permitted, work, cx),
            };
            let (outcome, commit) = match self.steps.run(tenant, &mut loaded, step).await {
                Ok(done) => done,
                Err(failure) => {
                    let _recorded = self.record(permitted).await?;
                    return Err(failure);
                }
            };
            if commit.changes.is_empty() {
                let _recorded: Recorded<Permitted<Asked>> = self.record(permitted).await?;
                return Ok(outcome);
            }
            let (writing, sealed) = self.steps.seal(tenant, commit).await?;
            let committed = self.fabric.store().commit_permitted(
                self.fabric.recorder(),
                tenant,
                permitted,
                sealed,
            );
            let committed = committed.await;
            drop(writing);
            match committed {
                Ok(_recorded) => return Ok(outcome),
                Err((StoreError::Superseded(_) | StoreError::Contended(_), back)) => {
                    permitted = back;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        Err(VaultFailure::Unsettled)
    }

    async fn record(
        &self,
        permitted: Permitted<Asked>,
    ) -> Result<Recorded<Permitted<Asked>>, VaultFailure> {
        self.fabric
            .recorder()
            .record(permitted, Durability::Queued)
            .await
            .map_err(|_| VaultFailure::Record)
    }

    /// Lets something happen outside.
    async fn carry_out(&self, tenant: &Tenant, effect: Effect, asking: Asking) -> EffectResult {
        match effect {
            Effect::DataKey => match self.fabric.rotation().data_key(tenant).await {
                Ok(status) => EffectResult::DataKey(status),
                Err(error) => EffectResult::Failed(error.to_string()),
            },
            Effect::RotateDataKey => match self.rotate_data_key(tenant).await {
                Ok(()) => EffectResult::Done,
                Err(error) => {
                    tracing::warn!(event = "data_key_not_rotated", %tenant, %error);
                    EffectResult::Failed(error.to_string())
                }
            },
            Effect::HttpChallenge(challenge) => acme::look(self.fabric.outside(), &challenge).await,
            Effect::CancelQuorum(which) => self.cancel_quorum(which, asking).await,
            Effect::Seal => match &self.seal {
                VaultSeal::Held(held) if !held.opens_by_itself() => {
                    if self.record_sealing(asking).await.is_err() {
                        tracing::error!(event = "sealing_not_recorded");
                    }
                    // It closes even if nobody will read of it: that the doors shut is what was asked for.
                    held.close();
                    EffectResult::Done
                }
                VaultSeal::Held(_) | VaultSeal::OpensByItself => {
                    EffectResult::Failed("it opens by itself".to_owned())
                }
            },
            Effect::Sql(sql) => self.databases.run(&sql).await,
        }
    }
}

/// Where a request comes from, as what bounds its refusals.
fn source_of(request: &Request) -> IpAddr {
    request.from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

#[cfg(test)]
mod tests;
