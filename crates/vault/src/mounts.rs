//! Where engines stand: the mount table of a tenant, one entry, small enough to be read as a whole.

use crate::entry::EntryName;
use crate::error::VaultError;
use crate::kind::EngineKind;
use crate::path::RequestPath;
use crate::work::{Stop, Work};
use countersign_base::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One engine at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// What stands there.
    pub engine: EngineKind,
    /// Its name for ever: entries are below it, so that a mount that is moved takes them along and one that is made anew finds nothing.
    pub uuid: String,
    /// `accessor`.
    pub accessor: String,
    /// `description`.
    #[serde(default)]
    pub description: String,
    /// `config.default_lease_ttl`; none is the tenant's.
    #[serde(default)]
    pub default_lease_ttl: Option<Duration>,
    /// `config.max_lease_ttl`; none is the tenant's.
    #[serde(default)]
    pub max_lease_ttl: Option<Duration>,
    /// `options`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

impl Mount {
    /// The name of an entry of this mount.
    #[must_use]
    pub fn entry(&self, parts: &[&str]) -> EntryName {
        let all: Vec<&str> = ["mount", &self.uuid]
            .into_iter()
            .chain(parts.iter().copied())
            .collect();
        EntryName::of(&all)
    }
}

/// All mounts, by path: `secret/`, `auth/approle/`. A path ends with a slash and none begins with another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mounts(BTreeMap<String, Mount>);

impl Mounts {
    /// The entry that holds them.
    #[must_use]
    pub fn entry() -> EntryName {
        EntryName::of(&["core", "mounts"])
    }

    /// The mounts of a tenant. Those that are always there (`sys/`, `auth/token/`, `cubbyhole/`) stand in it too.
    ///
    /// # Errors
    /// As [`Work::read`].
    pub fn read(work: &mut Work<'_>) -> Result<Arc<Self>, Stop> {
        Ok(work.shared(&Self::entry())?.unwrap_or_default())
    }

    /// The mounts of a new tenant: `secret/` (KV version 2), `transit/`, and what is always there.
    #[must_use]
    pub fn first(names: impl Fn() -> String) -> Self {
        let mount = |engine: EngineKind, options: &[(&str, &str)]| {
            let uuid = names();
            Mount {
                engine,
                accessor: format!("{}_{}", engine.name(), uuid.get(..8).unwrap_or_default()),
                uuid,
                description: String::new(),
                default_lease_ttl: None,
                max_lease_ttl: None,
                options: options
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
            }
        };
        Self(BTreeMap::from([
            ("auth/token/".to_owned(), mount(EngineKind::Token, &[])),
            ("cubbyhole/".to_owned(), mount(EngineKind::Cubbyhole, &[])),
            (
                "secret/".to_owned(),
                mount(EngineKind::Kv, &[("version", "2")]),
            ),
            ("sys/".to_owned(), mount(EngineKind::System, &[])),
            ("transit/".to_owned(), mount(EngineKind::Transit, &[])),
        ]))
    }

    /// Where a request goes: the mount, its path, and what of the request's path follows.
    ///
    /// # Errors
    /// [`VaultError::NotFound`] when nothing is mounted there.
    pub fn route<'m, 'p>(
        &'m self,
        path: &'p RequestPath,
    ) -> Result<(&'m str, &'m Mount, &'p str), VaultError> {
        // No path begins with another, so at most one fits: the last that is not above the request's.
        let whole = path.as_str();
        let fits = |(at, mount): (&'m String, &'m Mount)| {
            let rest = whole
                .strip_prefix(at.as_str())
                .or_else(|| at.strip_suffix('/').filter(|at| *at == whole).map(|_| ""))?;
            Some((at.as_str(), mount, rest))
        };
        self.0
            .iter()
            .rev()
            .find_map(fits)
            .ok_or(VaultError::NotFound)
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Mount)> {
        self.0.iter().map(|(path, mount)| (path.as_str(), mount))
    }

    /// The one at a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Mount> {
        self.0.get(path)
    }

    /// The same, to change.
    pub fn get_mut(&mut self, path: &str) -> Option<&mut Mount> {
        self.0.get_mut(path)
    }

    /// Adds one.
    ///
    /// # Errors
    /// When its path begins with that of another, or another's with it.
    pub fn add(&mut self, path: String, mount: Mount) -> Result<(), VaultError> {
        let clash = |at: &String| at.starts_with(&path) || path.starts_with(at.as_str());
        if let Some(at) = self.0.keys().find(|at| clash(at)) {
            return Err(VaultError::invalid(format!(
                "path is already in use at {at}"
            )));
        }
        self.0.insert(path, mount);
        Ok(())
    }

    /// Takes one away.
    pub fn remove(&mut self, path: &str) -> Option<Mount> {
        self.0.remove(path)
    }
}
