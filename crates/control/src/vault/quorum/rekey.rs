//! New shares of the seal, or new recovery keys.
//!
//! Not here: who starts, gives and cancels, and what is recorded of it ([`super`]).

use super::{Holders, QuorumError, Quorums, REKEY, Told, holders_of, shown, step};
use crate::seal::held::{Gathered, Rekeying, Running, Verifying};
use countersign_audit::event::SealOperation;
use countersign_audit::{Code, Count};
use countersign_base::{Secret, Tenant};
use countersign_keys::seal::{
    CancelBy, Nonce, Quorum, QuorumHeld, QuorumStep, RekeyOutcome, RekeyRequest, Rekeyed,
    SealFault, SealRow, SealStatus, Verification, VerificationStep,
};
use countersign_keys::shamir::{Share, ShareRule};
use countersign_store::record_event;
use countersign_store::tables::settings::{self, Setting};

/// How far new shares are.
#[derive(Debug, Clone, Default)]
pub struct RekeyProgress {
    /// The operation's nonce, where it is told.
    pub nonce: Option<Nonce>,
    /// Whether one is under way.
    pub started: bool,
    /// How many shares there will be.
    pub rule: Option<ShareRule>,
    /// Shares given so far.
    pub progress: u8,
    /// Shares that are needed.
    pub required: u8,
    /// Whether the new ones have to be shown.
    pub to_be_verified: bool,
    /// Whether they are being shown.
    pub verifying: bool,
}

/// What one share more comes to.
pub enum RekeyAnswer {
    /// New shares.
    Done {
        /// Whose they are: the operation's nonce.
        nonce: Nonce,
        /// For their holders, once.
        shares: Vec<Share>,
        /// Under which nonce they have to be shown before they count.
        verification: Option<Nonce>,
    },
    /// More are needed.
    More(RekeyProgress),
}

impl Quorums<'_> {
    /// How far new shares are.
    pub async fn rekey_progress(&self, told: Told) -> RekeyProgress {
        let required = self.seal.status().t;
        self.seal
            .running
            .lock()
            .await
            .rekey
            .progress(told, required)
    }

    /// Asks for new shares.
    ///
    /// # Errors
    /// When some were asked for, the numbers do not fit, or others hold the shares.
    pub async fn start_rekey(
        &self,
        holders: Holders,
        (shares, threshold): (u8, u8),
        verification: Verification,
    ) -> Result<RekeyProgress, QuorumError> {
        let rule = ShareRule::new(shares, threshold)?;
        let now = self.vault.fabric.now();
        let mut running = self.seal.running.lock().await;
        let (row, stored) = self.stored().await?;
        if holders != holders_of(&row) {
            return Err(QuorumError::OtherHolders);
        }
        let before = match &running.rekey {
            Rekeying::Gathering(gathered) => Some(&gathered.quorum),
            Rekeying::Verifying(verifying) if !verifying.has_expired(now) => {
                return Err(SealFault::UnderWay.into());
            }
            Rekeying::Idle | Rekeying::Verifying(_) => None,
        };
        let operation = RekeyRequest { rule, verification };
        let random = self.vault.fabric.random();
        let quorum = Quorum::start(before, row, operation, random, now)?;
        self.started(&mut running, REKEY).await?;
        running.rekey = Rekeying::Gathering(Box::new(Gathered {
            quorum,
            stored,
            wrong: 0,
        }));
        let required = self.seal.status().t;
        Ok(running.rekey.progress(Told::Nonce, required))
    }

    /// Takes a share that counts today.
    ///
    /// # Errors
    /// When it does not count, or nothing was asked for.
    pub async fn rekey(
        &self,
        nonce: &str,
        share: &Secret<String>,
    ) -> Result<RekeyAnswer, QuorumError> {
        let (nonce, share) = shown(nonce, share)?;
        let mut running = self.seal.running.lock().await;
        let Gathered {
            quorum,
            stored,
            wrong,
        } = match std::mem::take(&mut running.rekey) {
            Rekeying::Gathering(gathered) => *gathered,
            other => {
                running.rekey = other;
                return Err(QuorumError::NotUnderWay);
            }
        };
        let keks = self.vault.fabric.secrets().keks();
        let required = quorum.progress().required;
        match quorum.provide(&nonce, share, &keks, self.vault.fabric.now()) {
            QuorumStep::Held(held) => self.rekeyed(held, stored, nonce, &mut running).await,
            QuorumStep::More(quorum) => {
                running.rekey = Rekeying::Gathering(Box::new(Gathered {
                    quorum,
                    stored,
                    wrong,
                }));
                let progress = running.rekey.progress(Told::Nonce, required);
                Ok(RekeyAnswer::More(progress))
            }
            QuorumStep::Refused(quorum, why) => {
                if let Some(wrong) = self.refused(REKEY, why, wrong).await? {
                    running.rekey = Rekeying::Gathering(Box::new(Gathered {
                        quorum,
                        stored,
                        wrong,
                    }));
                }
                Err(why.into())
            }
        }
    }

    async fn rekeyed(
        &self,
        held: QuorumHeld<RekeyRequest>,
        stored: Vec<u8>,
        nonce: Nonce,
        running: &mut Running,
    ) -> Result<RekeyAnswer, QuorumError> {
        let fabric = &self.vault.fabric;
        let keks = fabric.secrets().keks();
        let rule = held.operation().rule;
        match held.rekey(&keks, fabric.random(), fabric.now())? {
            RekeyOutcome::Done(Rekeyed { row, shares }) => {
                self.replace(stored, &row).await?;
                Ok(RekeyAnswer::Done {
                    nonce,
                    shares,
                    verification: None,
                })
            }
            RekeyOutcome::ToVerify(verification, shares) => {
                self.record(step(REKEY, "verifying")).await?;
                let told = verification.nonce().clone();
                running.rekey = Rekeying::Verifying(Box::new(Verifying {
                    verification,
                    rule,
                    stored,
                    began: fabric.now(),
                    wrong: 0,
                }));
                Ok(RekeyAnswer::Done {
                    nonce,
                    shares,
                    verification: Some(told),
                })
            }
        }
    }

    /// Takes one of the new shares.
    ///
    /// # Errors
    /// When it does not count, or none has to be shown.
    pub async fn verify_rekey(
        &self,
        nonce: &str,
        share: &Secret<String>,
    ) -> Result<RekeyAnswer, QuorumError> {
        let (nonce, share) = shown(nonce, share)?;
        let mut running = self.seal.running.lock().await;
        let Verifying {
            verification,
            rule,
            stored,
            began,
            wrong,
        } = running.take_verifying()?;
        let keks = self.vault.fabric.secrets().keks();
        let with = |verification, wrong| {
            Rekeying::Verifying(Box::new(Verifying {
                verification,
                rule,
                stored: stored.clone(),
                began,
                wrong,
            }))
        };
        match verification.provide(&nonce, share, &keks, self.vault.fabric.now()) {
            VerificationStep::More(verification) => {
                running.rekey = with(verification, wrong);
                let progress = running.rekey.progress(Told::Nonce, rule.threshold());
                Ok(RekeyAnswer::More(progress))
            }
            VerificationStep::Refused(verification, why) => {
                if let Some(wrong) = self.refused(REKEY, why, wrong).await? {
                    running.rekey = with(verification, wrong);
                }
                Err(why.into())
            }
            VerificationStep::Verified(row) => {
                self.replace(stored, &row).await?;
                Ok(RekeyAnswer::Done {
                    nonce,
                    shares: Vec::new(),
                    verification: None,
                })
            }
        }
    }

    /// Drops new shares that were shown so far; they have to be shown under another nonce.
    ///
    /// # Errors
    /// When the nonce is another one, or none has to be shown.
    pub async fn restart_verification(
        &self,
        by: CancelBy<'_>,
    ) -> Result<RekeyProgress, QuorumError> {
        let mut running = self.seal.running.lock().await;
        let verifying = running.take_verifying()?;
        let random = self.vault.fabric.random();
        let (verification, restarted) = match verifying.verification.restart(by, random) {
            Ok(verification) => (verification, true),
            Err(verification) => (verification, false),
        };
        let required = verifying.rule.threshold();
        running.rekey = Rekeying::Verifying(Box::new(Verifying {
            verification,
            ..verifying
        }));
        if restarted {
            Ok(running.rekey.progress(Told::Nonce, required))
        } else {
            Err(self.not_cancelled(REKEY).await)
        }
    }

    /// Gives new shares up; those that count go on counting.
    ///
    /// # Errors
    /// [`QuorumError::Denied`] without nonce or permit; the operation goes on.
    pub async fn cancel_rekey(&self, by: CancelBy<'_>) -> Result<(), QuorumError> {
        let mut running = self.seal.running.lock().await;
        let cancelled = match std::mem::take(&mut running.rekey) {
            Rekeying::Gathering(gathered) => {
                let Gathered {
                    quorum,
                    stored,
                    wrong,
                } = *gathered;
                quorum.cancel(by).map_err(|quorum| {
                    Rekeying::Gathering(Box::new(Gathered {
                        quorum,
                        stored,
                        wrong,
                    }))
                })
            }
            Rekeying::Idle => return Ok(()),
            Rekeying::Verifying(verifying) => {
                let verifying = *verifying;
                verifying.verification.cancel(by).map_err(|verification| {
                    Rekeying::Verifying(Box::new(Verifying {
                        verification,
                        ..verifying
                    }))
                })
            }
        };
        match cancelled {
            Ok(_cancelled) => self.cancelled(REKEY, by, &mut running).await,
            Err(goes_on) => {
                running.rekey = goes_on;
                Err(self.not_cancelled(REKEY).await)
            }
        }
    }

    /// Stores a row in the place of the one that the operation began with, with the record that says so.
    async fn replace(&self, before: Vec<u8>, row: &SealRow) -> Result<(), QuorumError> {
        let fabric = &self.vault.fabric;
        let value = serde_json::to_vec(row).map_err(|_| QuorumError::Stored)?;
        let tenant = Tenant::default_tenant();
        let done = SealOperation {
            generation: Some(Count::of(row.generation())),
            seal: Some(Code::of(row.seal().name())),
            ..step(REKEY, "done")
        };
        let record = fabric
            .recorder()
            .about_event(&tenant, Some(self.asking.request), done);
        let replaced = fabric.store().write(move |tx| {
            Box::pin(async move {
                settings::replace(tx, Setting::Seal, before, value).await?;
                record_event(tx, &tenant, &record);
                Ok(())
            })
        });
        replaced.await?;
        fabric.audit().outbox_changed();
        self.seal.is_now(SealStatus::unsealed(row));
        Ok(())
    }
}

impl Running {
    fn take_verifying(&mut self) -> Result<Verifying, QuorumError> {
        match std::mem::take(&mut self.rekey) {
            Rekeying::Verifying(verifying) => Ok(*verifying),
            other => {
                self.rekey = other;
                Err(QuorumError::NotUnderWay)
            }
        }
    }
}

impl Rekeying {
    fn progress(&self, told: Told, required: u8) -> RekeyProgress {
        let nonce = |nonce: &Nonce| (told == Told::Nonce).then(|| nonce.clone());
        match self {
            Self::Gathering(gathered) => {
                let (progress, operation) =
                    (gathered.quorum.progress(), gathered.quorum.operation());
                RekeyProgress {
                    nonce: nonce(&progress.nonce),
                    started: true,
                    rule: Some(operation.rule),
                    progress: progress.progress,
                    required: progress.required,
                    to_be_verified: operation.verification == Verification::Required,
                    verifying: false,
                }
            }
            Self::Idle => RekeyProgress {
                required,
                ..RekeyProgress::default()
            },
            Self::Verifying(verifying) => {
                let (progress, required) = verifying.verification.progress();
                RekeyProgress {
                    nonce: nonce(verifying.verification.nonce()),
                    started: true,
                    rule: Some(verifying.rule),
                    progress,
                    required,
                    to_be_verified: true,
                    verifying: true,
                }
            }
        }
    }
}
