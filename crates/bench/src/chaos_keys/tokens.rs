//! Families of tokens under load: parents with children, what children keep in their cubbyholes, parents that are revoked, children that run out.

use super::vault::Vault;
use super::{Cx, Part};
use crate::Failed;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// Families that live at one time.
const LIVING_MAX: usize = 8;
/// Families that have ended and are looked at after each restart, the newest.
pub(super) const ENDED_MAX: usize = 10;
/// How long a child lives that is to run out.
const SHORT: Duration = Duration::from_secs(3);
/// Clocks of one machine, read in two processes, in whole seconds.
const SLACK: Duration = Duration::from_secs(2);

/// Whether a family lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lives,
    Revoked,
    /// Its parent's revocation is under way.
    Revoking,
}

#[derive(Clone)]
struct Child {
    token: String,
    kept: Option<String>,
    /// When it has surely run out.
    over: Option<Instant>,
}

#[derive(Clone)]
struct Family {
    parent: String,
    children: Vec<Child>,
    fate: Fate,
}

/// What was acknowledged of tokens.
#[derive(Clone, Default)]
pub(super) struct Families {
    all: Vec<Family>,
    /// What was acknowledged in the whole run.
    pub(super) made: u64,
    pub(super) revoked: u64,
}

impl Part for Families {
    async fn round(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let lives = |family: &&mut Family| family.fate == Fate::Lives;
        let living = self.all.iter_mut().filter(lives).count();
        if living == 0 || (living < LIVING_MAX && cx.below(3) == 0) {
            return self.make(cx).await;
        }
        let chosen = cx.below(living);
        let Some(family) = self.all.iter_mut().filter(lives).nth(chosen) else {
            return Ok(());
        };
        if cx.below(4) == 0 {
            family.fate = Fate::Revoking;
            let body = json!({ "token": family.parent });
            cx.done("POST", "auth/token/revoke", &body).await?;
            family.fate = Fate::Revoked;
            self.revoked += 1;
            return Ok(());
        }
        family.bear(cx).await?;
        self.made += 1;
        Ok(())
    }
}

impl Families {
    async fn make(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let body = json!({ "policies": ["chaos"], "ttl": "1h" });
        let said = cx.done("POST", "auth/token/create", &body).await?;
        self.all.push(Family {
            parent: said.text("/auth/client_token").ok_or("no token")?,
            children: Vec::new(),
            fate: Fate::Lives,
        });
        self.made += 1;
        Ok(())
    }

    /// Takes over what came of the revocations that were under way, and looks at every token: those that live answer with what they kept, all others answer nothing.
    /// How many were looked at that live, and how many that do not.
    pub(super) async fn check(&mut self, vault: &mut Vault) -> Result<(u64, u64), Failed> {
        let ended = |family: &Family| family.fate == Fate::Revoked;
        while self.all.iter().filter(|family| ended(family)).count() > ENDED_MAX {
            let Some(at) = self.all.iter().position(ended) else {
                break;
            };
            self.all.remove(at);
        }
        let (mut living, mut dead) = (0, 0);
        for family in &mut self.all {
            if family.fate == Fate::Revoking {
                let stands = stands(vault, &family.parent).await?;
                family.fate = if stands { Fate::Lives } else { Fate::Revoked };
            }
            let lives = family.fate == Fate::Lives;
            if stands(vault, &family.parent).await? != lives {
                return Err(format!("the parent of a family that is {:?}", family.fate).into());
            }
            *if lives { &mut living } else { &mut dead } += 1;
            for child in &family.children {
                if lives && !child.may_be_over() {
                    child.answers(vault).await?;
                    living += 1;
                } else if !lives || child.is_over() {
                    if stands(vault, &child.token).await? {
                        return Err(format!(
                            "a child answers whose family is {:?}, and {}",
                            family.fate,
                            if child.is_over() {
                                "which ran out"
                            } else {
                                "has time"
                            }
                        )
                        .into());
                    }
                    dead += 1;
                }
            }
        }
        Ok((living, dead))
    }

    /// A ledger in which a family that lives was revoked.
    pub(super) fn falsified(&self) -> Self {
        let mut false_one = self.clone();
        for family in &mut false_one.all {
            family.fate = Fate::Revoked;
        }
        false_one
    }

    /// Whether there is one that lives, about which a false ledger can lie.
    pub(super) fn has_living(&self) -> bool {
        self.all.iter().any(|family| family.fate == Fate::Lives)
    }
}

/// Whether a token is one.
pub(super) async fn stands(vault: &mut Vault, token: &str) -> Result<bool, Failed> {
    let path = "auth/token/lookup-self";
    let said = vault.ask_as(token, "GET", path, &Json::Null).await?;
    match said.status {
        200 => Ok(true),
        403 => Ok(false),
        _ => Err(said.problem(path)),
    }
}

impl Child {
    fn is_over(&self) -> bool {
        self.over.is_some_and(|over| Instant::now() >= over)
    }

    fn may_be_over(&self) -> bool {
        self.over
            .is_some_and(|over| Instant::now() + SHORT + SLACK >= over)
    }

    /// It answers, with what it kept.
    async fn answers(&self, vault: &mut Vault) -> Result<(), Failed> {
        if !stands(vault, &self.token).await? {
            return Err("a child does not answer whose family lives".into());
        }
        if let Some(kept) = &self.kept {
            let path = "cubbyhole/kept";
            let said = vault.ask_as(&self.token, "GET", path, &Json::Null).await?;
            if said.text("/data/v").as_ref() != Some(kept) {
                return Err(said.problem("what a child kept is not there"));
            }
        }
        Ok(())
    }
}

impl Family {
    /// One more child, with something that it keeps.
    async fn bear(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let is_short = cx.below(4) == 0;
        let ttl = if is_short { SHORT.as_secs() } else { 1800 };
        let body = json!({ "policies": ["chaos"], "ttl": ttl });
        let made = cx.done_as(&self.parent, "POST", "auth/token/create", &body);
        let said = made.await?;
        let token = said.text("/auth/client_token").ok_or("no token")?;
        self.children.push(Child {
            token: token.clone(),
            kept: None,
            over: is_short.then(|| Instant::now() + SHORT + SLACK),
        });
        if is_short {
            return Ok(());
        }
        let kept = cx.word();
        let body = json!({ "v": kept });
        cx.done_as(&token, "POST", "cubbyhole/kept", &body).await?;
        if let Some(child) = self.children.last_mut() {
            child.kept = Some(kept);
        }
        Ok(())
    }
}
