//! Versions of secrets (KV version 2) under load: written with check-and-set, deleted, taken back, destroyed.

use super::vault::{Said, Vault};
use super::{Cx, Part};
use crate::Failed;
use serde_json::{Value as Json, json};

/// Versions of one secret; the engine keeps ten.
const VERSIONS_MAX: usize = 8;
/// Secrets that are looked at after each restart, the newest; at the end all are.
pub(super) const RECENT: usize = 4;

/// What became of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Deleted,
    Destroyed,
    Written,
}

/// A change of which nothing is known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pending {
    /// Of the version at this place.
    Fate(usize, Fate),
    Write(String),
}

/// What was acknowledged of a secret.
#[derive(Debug, Clone, Default)]
struct Path {
    name: String,
    versions: Vec<(String, Fate)>,
    pending: Option<Pending>,
}

/// What was acknowledged of all.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    paths: Vec<Path>,
    /// What was acknowledged in the whole run.
    pub(super) writes: u64,
    pub(super) destroyed: u64,
}

impl Part for Secrets {
    async fn round(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let full = |path: &Path| path.versions.len() >= VERSIONS_MAX;
        if self.paths.last().is_none_or(full) {
            self.paths.push(Path {
                name: format!("chaos/{}", self.paths.len()),
                ..Path::default()
            });
        }
        let Some(path) = self.paths.last_mut() else {
            return Ok(());
        };
        let at = cx.below(path.versions.len());
        let fate = path.versions.get(at).map(|(_, fate)| *fate);
        match (cx.below(10), fate) {
            (0, Some(Fate::Written)) => path.change(cx, at, Fate::Deleted).await,
            (1 | 2, Some(Fate::Deleted)) => path.change(cx, at, Fate::Written).await,
            (3, Some(Fate::Written | Fate::Deleted)) => {
                path.change(cx, at, Fate::Destroyed).await?;
                self.destroyed += 1;
                Ok(())
            }
            // Nothing brings a destroyed one back: it is asked for, and looked at with the others.
            (4 | 5, Some(Fate::Destroyed)) => path.change(cx, at, Fate::Destroyed).await,
            (6, _) => path.write_stale(cx).await,
            (_, _) => {
                path.write(cx).await?;
                self.writes += 1;
                Ok(())
            }
        }
    }
}

impl Path {
    async fn write(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let value = cx.word();
        self.pending = Some(Pending::Write(value.clone()));
        let body = json!({ "data": { "v": value }, "options": { "cas": self.versions.len() } });
        let path = format!("secret/data/{}", self.name);
        cx.done("POST", &path, &body).await?;
        self.pending = None;
        self.versions.push((value, Fate::Written));
        Ok(())
    }

    /// A writer that has not seen the newest version.
    async fn write_stale(&self, cx: &mut Cx) -> Result<(), Failed> {
        let cas = self.versions.len() + 1;
        let body = json!({ "data": { "v": "stale" }, "options": { "cas": cas } });
        let path = format!("secret/data/{}", self.name);
        let said = cx.vault.ask("POST", &path, &body).await?;
        let refused = if said.status == 400 {
            Ok(())
        } else {
            Err(said.problem("a write with a stale version"))
        };
        cx.tallies.check(super::CAS, refused);
        Ok(())
    }

    async fn change(&mut self, cx: &mut Cx, at: usize, fate: Fate) -> Result<(), Failed> {
        let was = self.versions.get(at).map(|(_, fate)| *fate);
        self.pending = Some(Pending::Fate(at, fate));
        let verb = match (was, fate) {
            (Some(Fate::Destroyed), _) | (_, Fate::Written) => "undelete",
            (_, Fate::Deleted) => "delete",
            (_, Fate::Destroyed) => "destroy",
        };
        let body = json!({ "versions": [at + 1] });
        let path = format!("secret/{verb}/{}", self.name);
        cx.done("POST", &path, &body).await?;
        self.pending = None;
        if let Some(version) = self.versions.get_mut(at) {
            version.1 = fate;
        }
        Ok(())
    }

    /// Looks at every version, and takes over what came of the change that was under way. How many were looked at.
    async fn check(&mut self, vault: &mut Vault) -> Result<u64, Failed> {
        let path = format!("secret/metadata/{}", self.name);
        let said = vault.ask("GET", &path, &Json::Null).await?;
        let current = match said.status {
            200 => said.number("/data/current_version").ok_or("no version")?,
            404 => 0,
            _ => return Err(said.problem(&path)),
        };
        let current = usize::try_from(current)?;
        let known = self.versions.len();
        match self.pending.take() {
            Some(Pending::Write(value)) if current == known + 1 => {
                self.versions.push((value, Fate::Written));
            }
            Some(Pending::Fate(at, fate)) => {
                let found = self.read(vault, at).await?;
                let version = self.versions.get_mut(at).ok_or("no such version")?;
                if judge(&version.0, fate, &found).is_ok() {
                    version.1 = fate;
                }
            }
            Some(Pending::Write(_)) | None => {}
        }
        if current != self.versions.len() {
            let name = &self.name;
            return Err(format!("{name}: {known} versions acknowledged, {current} there").into());
        }
        for (at, (value, fate)) in self.versions.iter().enumerate() {
            let found = self.read(vault, at).await?;
            judge(value, *fate, &found)
                .map_err(|error| format!("{} version {}: {error}", self.name, at + 1))?;
        }
        Ok(u64::try_from(self.versions.len())?)
    }

    async fn read(&self, vault: &mut Vault, at: usize) -> Result<Said, Failed> {
        let path = format!("secret/data/{}?version={}", self.name, at + 1);
        vault.ask("GET", &path, &Json::Null).await
    }
}

/// Whether a version is what became of it: whole, or not readable at all.
fn judge(value: &str, fate: Fate, said: &Said) -> Result<(), Failed> {
    let read = said.at("/data/data/v").and_then(Json::as_str);
    let is_destroyed = said.at("/data/metadata/destroyed") == Some(&Json::Bool(true));
    let holds = match fate {
        Fate::Written => said.status == 200 && read == Some(value),
        Fate::Deleted => said.status == 404 && read.is_none() && !is_destroyed,
        Fate::Destroyed => said.status == 404 && read.is_none() && is_destroyed,
    };
    if holds {
        Ok(())
    } else {
        Err(format!(
            "it is {fate:?}, and the answer is {} with {}",
            said.status,
            if read.is_some() { "a value" } else { "none" }
        )
        .into())
    }
}

impl Secrets {
    /// Looks at the newest secrets, or at all. How many versions were looked at.
    pub(super) async fn check(&mut self, vault: &mut Vault, newest: usize) -> Result<u64, Failed> {
        let old = self.paths.len().saturating_sub(newest);
        let mut seen = 0;
        for path in self.paths.iter_mut().skip(old) {
            seen += path.check(vault).await?;
        }
        Ok(seen)
    }

    /// A ledger that says of a secret what never was.
    pub(super) fn falsified(&self) -> Self {
        let mut false_one = self.clone();
        if let Some(version) = false_one
            .paths
            .first_mut()
            .and_then(|path| path.versions.first_mut())
        {
            "what nobody wrote".clone_into(&mut version.0);
            version.1 = Fate::Written;
        }
        false_one
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Said, judge};
    use serde_json::{Value as Json, json};

    #[test]
    fn a_version_is_whole_or_not_there() {
        let value = |v: &str| json!({"data": {"data": {"v": v}, "metadata": {"destroyed": false}}});
        let gone = |destroyed: bool| json!({"data": {"data": null, "metadata": {"destroyed": destroyed, "deletion_time": "x"}}});
        for (fate, status, body, expected) in [
            (Fate::Written, 200, value("a"), true),
            (Fate::Written, 200, value("b"), false),
            (Fate::Written, 404, gone(false), false),
            (Fate::Written, 404, Json::Null, false),
            (Fate::Deleted, 404, gone(false), true),
            (Fate::Deleted, 200, value("a"), false),
            (Fate::Deleted, 404, gone(true), false),
            (Fate::Destroyed, 404, gone(true), true),
            (Fate::Destroyed, 404, value("a"), false),
            (Fate::Destroyed, 404, gone(false), false),
            (Fate::Destroyed, 503, Json::Null, false),
        ] {
            let said = Said { status, body };
            let judged = judge("a", fate, &said);
            assert_eq!(judged.is_ok(), expected, "{fate:?} {status} {}", said.body);
        }
    }
}
