//! A root token by quorum (`sys/generate-root`).
//!
//! Not here: who starts, gives and cancels, and what is recorded of it ([`super`]).

use super::{QuorumError, Quorums, ROOT_TOKEN, Told, shown, step};
use crate::seal::held::Gathered;
use countersign_audit::Code;
use countersign_audit::event::SealOperation;
use countersign_base::{Secret, Tenant};
use countersign_keys::seal::{
    CancelBy, EarlierRoots, Nonce, Otp, Quorum, QuorumHeld, QuorumStep, RootTokenRequest, SealFault,
};
use countersign_vault::token::{self, RootLife, TOKEN_CHARS};

/// How far a root token is.
#[derive(Debug, Clone, Default)]
pub struct RootTokenProgress {
    /// The operation's nonce, where it is told.
    pub nonce: Option<Nonce>,
    /// Whether one is under way.
    pub started: bool,
    /// Shares given so far.
    pub progress: u8,
    /// Shares that are needed.
    pub required: u8,
    /// Whether earlier root tokens end.
    pub ends_earlier: bool,
}

/// What one share more comes to.
pub enum RootTokenAnswer {
    /// The token under its one-time pad.
    Done {
        /// The operation's nonce.
        nonce: Nonce,
        /// The token, combined with the pad.
        encoded: String,
        /// Shares that were needed.
        required: u8,
    },
    /// More are needed.
    More(RootTokenProgress),
}

impl Quorums<'_> {
    /// How far a root token is.
    pub async fn root_token_progress(&self, told: Told) -> RootTokenProgress {
        let required = self.seal.status().t;
        let running = self.seal.running.lock().await;
        root_token_progress(running.root_token.as_ref(), told, required)
    }

    /// Asks for a root token of the default tenant. Without a pad one is made, for the answer.
    ///
    /// # Errors
    /// When one was asked for, or the pad has another length than tokens have.
    pub async fn start_root_token(
        &self,
        pad: Option<Secret<String>>,
        earlier: EarlierRoots,
    ) -> Result<(RootTokenProgress, Option<Secret<String>>), QuorumError> {
        let fabric = &self.vault.fabric;
        let (otp, told) = match pad {
            Some(pad) if pad.expose().len() != TOKEN_CHARS => {
                return Err(SealFault::OtpLength.into());
            }
            Some(pad) => (Otp::parse(pad)?, None),
            None => {
                let otp = Otp::generate(TOKEN_CHARS, fabric.random());
                let told = Secret::new(otp.text().expose().clone());
                (otp, Some(told))
            }
        };
        let mut running = self.seal.running.lock().await;
        let (row, stored) = self.stored().await?;
        let before = running.root_token.as_ref().map(|before| &before.quorum);
        let operation = RootTokenRequest { otp, earlier };
        let quorum = Quorum::start(before, row, operation, fabric.random(), fabric.now())?;
        self.started(&mut running, ROOT_TOKEN).await?;
        let gathered = running.root_token.insert(Gathered {
            quorum,
            stored,
            wrong: 0,
        });
        let progress = root_token_progress(Some(gathered), Told::Nonce, self.seal.status().t);
        Ok((progress, told))
    }

    /// Takes a share.
    ///
    /// # Errors
    /// When it does not count, nothing was asked for, or the token cannot be made.
    pub async fn root_token(
        &self,
        nonce: &str,
        share: &Secret<String>,
    ) -> Result<RootTokenAnswer, QuorumError> {
        let (nonce, share) = shown(nonce, share)?;
        let mut running = self.seal.running.lock().await;
        let Gathered {
            quorum,
            stored,
            wrong,
        } = running.root_token.take().ok_or(QuorumError::NotUnderWay)?;
        let required = quorum.progress().required;
        let keks = self.vault.fabric.secrets().keks();
        match quorum.provide(&nonce, share, &keks, self.vault.fabric.now()) {
            QuorumStep::Held(held) => {
                let encoded = self.made(held, &stored).await?;
                Ok(RootTokenAnswer::Done {
                    nonce,
                    encoded,
                    required,
                })
            }
            QuorumStep::More(quorum) => {
                let gathered = running.root_token.insert(Gathered {
                    quorum,
                    stored,
                    wrong,
                });
                let progress = root_token_progress(Some(gathered), Told::Nonce, required);
                Ok(RootTokenAnswer::More(progress))
            }
            QuorumStep::Refused(quorum, why) => {
                if let Some(wrong) = self.refused(ROOT_TOKEN, why, wrong).await? {
                    running.root_token = Some(Gathered {
                        quorum,
                        stored,
                        wrong,
                    });
                }
                Err(why.into())
            }
        }
    }

    /// The quorum was that of the row that is stored now, the record says so, and only then there is a token.
    async fn made(
        &self,
        held: QuorumHeld<RootTokenRequest>,
        stored: &[u8],
    ) -> Result<String, QuorumError> {
        let (_row, now_stored) = self.stored().await?;
        if now_stored != stored {
            return Err(QuorumError::Superseded);
        }
        self.record(step(ROOT_TOKEN, "authorized")).await?;
        let (permit, tenant) = (held.permit(), Tenant::default_tenant());
        let steps = &self.vault.steps;
        let made = steps.internally(&tenant, |work, cx| {
            token::first_root(RootLife::Endless, work, cx)
        });
        let token = made.await?.client_token;
        if permit.earlier() == EarlierRoots::End {
            let mut after = None;
            loop {
                let ended = steps.internally(&tenant, |work, cx| {
                    token::end_other_roots(&token, after.clone(), work, cx)
                });
                after = ended.await?.after;
                if after.is_none() {
                    break;
                }
            }
        }
        let done = SealOperation {
            reason: (permit.earlier() == EarlierRoots::End).then(|| Code::of("earlier_ended")),
            ..step(ROOT_TOKEN, "done")
        };
        self.record(done).await?;
        Ok(permit.encode(&token)?)
    }

    /// Gives the root token up.
    ///
    /// # Errors
    /// [`QuorumError::Denied`] without nonce or permit; the operation goes on.
    pub async fn cancel_root_token(&self, by: CancelBy<'_>) -> Result<(), QuorumError> {
        let mut running = self.seal.running.lock().await;
        let Some(Gathered {
            quorum,
            stored,
            wrong,
        }) = running.root_token.take()
        else {
            return Ok(());
        };
        match quorum.cancel(by) {
            Ok(_cancelled) => self.cancelled(ROOT_TOKEN, by, &mut running).await,
            Err(quorum) => {
                running.root_token = Some(Gathered {
                    quorum,
                    stored,
                    wrong,
                });
                Err(self.not_cancelled(ROOT_TOKEN).await)
            }
        }
    }
}

fn root_token_progress(
    gathered: Option<&Gathered<RootTokenRequest>>,
    told: Told,
    required: u8,
) -> RootTokenProgress {
    let Some(Gathered { quorum, .. }) = gathered else {
        return RootTokenProgress {
            required,
            ..RootTokenProgress::default()
        };
    };
    let progress = quorum.progress();
    RootTokenProgress {
        nonce: (told == Told::Nonce).then_some(progress.nonce),
        started: true,
        progress: progress.progress,
        required: progress.required,
        ends_earlier: quorum.operation().earlier == EarlierRoots::End,
    }
}
