//! Keys that encrypt, rotated under load: the key-encryption key of the installation, whose older versions are sealed over in the background and destroyed; beside it the data key of the vault and the
//! root key.
//!
//! That everything stays readable is what the other parts look at. Here: a version that was acknowledged is there after each restart, nothing that was sealed does not
//! open, and at the end one version is left.

use super::vault::{Admin, Said};
use super::{Cx, Part};
use crate::Failed;
use http::Method;
use serde_json::Value as Json;
use std::time::{Duration, Instant};

/// Within this, older versions are gone after the last crash: a minute for late writers, and what the rewrap takes.
pub(super) const BOUND: Duration = Duration::from_secs(150);
/// Rotations of one run: each walks everything that is sealed.
const ROTATIONS_MAX: u32 = 12;

/// What was acknowledged of the key-encryption key.
#[derive(Clone)]
pub(super) struct Rotation {
    version: u32,
    /// Whether a rotation is under way of which nothing is known.
    pending: bool,
    /// What was acknowledged in the whole run.
    pub(super) rotations: u32,
    /// The same of the data key of the vault.
    pub(super) of_data: u32,
    /// The same of the root key.
    pub(super) of_root: u32,
}

/// Where the key stands, as the administrator is told.
struct Standing {
    versions: Vec<u32>,
    is_idle: bool,
    unreadable: u64,
}

impl Part for Rotation {
    async fn round(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let pause = 200 + cx.below(1500);
        tokio::time::sleep(Duration::from_millis(u64::try_from(pause)?)).await;
        match cx.below(6) {
            0 => beside(cx, "keys/data/rotate", &mut self.of_data).await,
            1 => beside(cx, "keys/root/rotate", &mut self.of_root).await,
            2 | 3 => self.key_encryption(cx).await,
            _ => Ok(()),
        }
    }
}

/// Rotates a key of which nothing has to be known afterwards but that everything opens: the data key of the vault, the root key.
async fn beside(cx: &mut Cx, path: &'static str, rotations: &mut u32) -> Result<(), Failed> {
    if *rotations >= ROTATIONS_MAX {
        return Ok(());
    }
    let said = cx.admin.ask(&Method::POST, path, &Json::Null).await?;
    if said.is_done() {
        *rotations += 1;
        return Ok(());
    }
    match said.status {
        // As of the key-encryption key.
        400 | 409 => Ok(()),
        _ => Err(cx.refused(&said, path)),
    }
}

impl Rotation {
    async fn key_encryption(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        if self.rotations >= ROTATIONS_MAX {
            return Ok(());
        }
        self.pending = true;
        let path = "keys/key-encryption/rotate";
        let said = cx.admin.ask(&Method::POST, path, &Json::Null).await?;
        if said.is_done() {
            self.version = said.number("/version").ok_or("no version")?;
            self.pending = false;
            self.rotations += 1;
            return Ok(());
        }
        // So many may be there at a time, until older ones are destroyed.
        if matches!(said.status, 400 | 409) {
            self.pending = false;
            return Ok(());
        }
        Err(cx.refused(&said, path))
    }

    pub(super) async fn prepare(admin: &mut Admin) -> Result<Self, Failed> {
        let standing = standing(admin).await?;
        let version = standing.versions.last().copied().ok_or("no version")?;
        Ok(Self {
            version,
            pending: false,
            rotations: 0,
            of_data: 0,
            of_root: 0,
        })
    }

    /// Whether the newest version is the one that was acknowledged, but for a rotation that was under way, and everything opens.
    pub(super) async fn check(&mut self, admin: &mut Admin) -> Result<u64, Failed> {
        let found = standing(admin).await?;
        self.version = self.judge(&found)?;
        self.pending = false;
        Ok(u64::from(self.version))
    }

    fn judge(&self, found: &Standing) -> Result<u32, Failed> {
        let newest = found.versions.last().copied().unwrap_or(0);
        let is_known = newest == self.version || (self.pending && newest == self.version + 1);
        if !is_known {
            let known = self.version;
            return Err(format!("version {known} was acknowledged, {newest} is the newest").into());
        }
        if found.unreadable > 0 {
            return Err(format!("{} rows do not open", found.unreadable).into());
        }
        Ok(newest)
    }

    /// Waits until the newest version is the only one, at the longest for [`BOUND`].
    pub(super) async fn settled(&self, admin: &mut Admin) -> Result<(), Failed> {
        let until = Instant::now() + BOUND;
        loop {
            let found = standing(admin).await?;
            if found.is_idle && found.versions == [self.version] {
                return Ok(());
            }
            if Instant::now() >= until {
                let versions = &found.versions;
                return Err(format!(
                    "after {} s the versions are {versions:?}, and the rewrap {}",
                    BOUND.as_secs(),
                    if found.is_idle { "rests" } else { "goes on" }
                )
                .into());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// A ledger with a version that never was.
    pub(super) fn falsified(&self) -> Self {
        Self {
            version: self.version + 1,
            pending: false,
            rotations: self.rotations,
            of_data: self.of_data,
            of_root: self.of_root,
        }
    }
}

async fn standing(admin: &mut Admin) -> Result<Standing, Failed> {
    let path = "keys/status";
    let said = admin.ask(&Method::GET, path, &Json::Null).await?;
    told(&said).ok_or_else(|| said.problem(path))
}

fn told(said: &Said) -> Option<Standing> {
    let key = said.at("/key_encryption").filter(|_| said.is_done())?;
    let versions = key.get("versions")?.as_array()?.iter();
    let version = |one: &Json| u32::try_from(one.get("version")?.as_u64()?).ok();
    let unreadable = key.pointer("/rewrap/unreadable").and_then(Json::as_u64);
    Some(Standing {
        versions: versions.map(version).collect::<Option<_>>()?,
        is_idle: key.get("state")? == "idle",
        unreadable: unreadable.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::{Rotation, Said, Standing, told};
    use serde_json::json;

    #[test]
    fn a_version_that_was_acknowledged_is_the_newest_and_everything_opens() {
        for (pending, versions, unreadable, expected) in [
            (false, vec![3], 0, true),
            (false, vec![1, 2, 3], 0, true),
            (false, vec![1, 2], 0, false),
            (false, vec![3, 4], 0, false),
            (false, vec![], 0, false),
            (true, vec![3], 0, true),
            (true, vec![3, 4], 0, true),
            (true, vec![4, 5], 0, false),
            (false, vec![3], 1, false),
        ] {
            let known = Rotation {
                version: 3,
                pending,
                rotations: 0,
                of_data: 0,
                of_root: 0,
            };
            let found = Standing {
                versions: versions.clone(),
                is_idle: true,
                unreadable,
            };
            let judged = known.judge(&found);
            assert_eq!(judged.is_ok(), expected, "{pending} {versions:?}");
        }
    }

    #[test]
    fn an_answer_that_is_no_status_is_told_as_none() {
        let body = json!({"key_encryption": {"state": "rewrapping", "versions": [{"version": 1}, {"version": 2}], "rewrap": {"unreadable": 4}}});
        let standing = told(&Said { status: 200, body }).unwrap();
        assert_eq!((standing.versions, standing.is_idle), (vec![1, 2], false));
        assert_eq!(standing.unreadable, 4);
        for (status, body) in [(503, json!({})), (200, json!({"key_encryption": {}}))] {
            assert!(told(&Said { status, body }).is_none());
        }
    }
}
