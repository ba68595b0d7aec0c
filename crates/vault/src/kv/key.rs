//! One secret: its history, its settings, and where the values of its versions are.

use super::config::Settings;
use crate::EntryName;
use crate::call::Call;
use crate::error::VaultError;
use crate::timestamp;
use crate::work::{Stop, Work};
use countersign_base::UnixTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// The largest value, as JSON, that stands beside the history.
pub(super) const BESIDE_BYTES_MAX: usize = 8 * 1024;

/// A value: what `data` holds.
pub(super) type Value = Map<String, Json>;

/// The entry of a secret.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    pub(super) created: UnixTime,
    pub(super) updated: UnixTime,
    /// The number of the latest version; 0 before there is one.
    pub(super) current: u64,
    /// The oldest version that is kept; 0 as long as all are.
    pub(super) oldest: u64,
    #[serde(default)]
    pub(super) settings: Settings,
    #[serde(default)]
    pub(super) custom: BTreeMap<String, String>,
    pub(super) versions: BTreeMap<u64, Version>,
    /// The value of the current version, if it is small; else it is an entry, as those of other versions are.
    pub(super) beside: Option<Value>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Version {
    pub(super) created: UnixTime,
    /// When it was deleted, or will be.
    pub(super) deletion: Option<UnixTime>,
    pub(super) destroyed: bool,
}

impl Version {
    /// Whether its value can be read.
    pub(super) fn stands(&self, now: UnixTime) -> bool {
        !self.destroyed && self.deletion.is_none_or(|deletion| deletion > now)
    }

    fn members(&self) -> Map<String, Json> {
        let deletion = self.deletion.map(timestamp::text).unwrap_or_default();
        Map::from_iter([
            (
                "created_time".to_owned(),
                timestamp::text(self.created).into(),
            ),
            ("deletion_time".to_owned(), deletion.into()),
            ("destroyed".to_owned(), self.destroyed.into()),
        ])
    }
}

impl Key {
    /// A secret without a version.
    pub(super) const fn new(now: UnixTime, settings: Settings) -> Self {
        Self {
            created: now,
            updated: now,
            current: 0,
            oldest: 0,
            settings,
            custom: BTreeMap::new(),
            versions: BTreeMap::new(),
            beside: None,
        }
    }

    pub(super) fn entry(call: &Call, path: &str) -> EntryName {
        call.entry(&["kv", "meta", path])
    }

    fn value_entry(call: &Call, path: &str, version: u64) -> EntryName {
        call.entry(&["kv", "data", path, &version.to_string()])
    }

    pub(super) fn read(call: &Call, path: &str, work: &mut Work<'_>) -> Result<Option<Self>, Stop> {
        work.read(&Self::entry(call, path))
    }

    pub(super) fn write(&self, call: &Call, path: &str, work: &mut Work<'_>) -> Result<(), Stop> {
        work.put(&Self::entry(call, path), self)
    }

    /// The value of a version that was neither destroyed nor dropped.
    pub(super) fn value(
        &self,
        version: u64,
        call: &Call,
        path: &str,
        work: &mut Work<'_>,
    ) -> Result<Value, Stop> {
        match &self.beside {
            Some(value) if version == self.current => Ok(value.clone()),
            _ => Ok(work
                .read(&Self::value_entry(call, path, version))?
                .ok_or(VaultError::Corrupt)?),
        }
    }

    /// Adds a version: the value that stood beside the history moves to an entry of its own, and versions past those that are kept go.
    pub(super) fn add(
        &mut self,
        value: Value,
        mount: &Settings,
        call: &Call,
        path: &str,
        work: &mut Work<'_>,
        now: UnixTime,
    ) -> Result<(), Stop> {
        if let Some(before) = self.beside.take() {
            work.put(&Self::value_entry(call, path, self.current), &before)?;
        }
        self.current = self.current.checked_add(1).ok_or(VaultError::Corrupt)?;
        self.updated = now;
        let version = Version {
            created: now,
            deletion: self
                .settings
                .delete_after(mount)
                .map(|after| now.plus(after)),
            destroyed: false,
        };
        self.versions.insert(self.current, version);
        let bytes = serde_json::to_vec(&value).map_err(|_| VaultError::Corrupt)?;
        if bytes.len() <= BESIDE_BYTES_MAX {
            self.beside = Some(value);
        } else {
            work.put(&Self::value_entry(call, path, self.current), &value)?;
        }
        while self.versions.len() > self.settings.versions_kept(mount) {
            let Some((dropped, _)) = self.versions.pop_first() else {
                break;
            };
            work.delete(&Self::value_entry(call, path, dropped));
            self.oldest = self.versions.keys().next().copied().unwrap_or_default();
        }
        Ok(())
    }

    /// Destroys a version's value for good.
    pub(super) fn destroy(&mut self, version: u64, call: &Call, path: &str, work: &mut Work<'_>) {
        let Some(known) = self.versions.get_mut(&version) else {
            return;
        };
        known.destroyed = true;
        if version == self.current {
            self.beside = None;
        }
        work.delete(&Self::value_entry(call, path, version));
    }

    /// Takes all of it away.
    pub(super) fn remove(&self, call: &Call, path: &str, work: &mut Work<'_>) {
        for version in self.versions.keys() {
            work.delete(&Self::value_entry(call, path, *version));
        }
        work.delete(&Self::entry(call, path));
    }

    fn custom_json(&self) -> Json {
        if self.custom.is_empty() {
            Json::Null
        } else {
            json!(self.custom)
        }
    }

    /// What is said of one version.
    pub(super) fn version_json(&self, number: u64, version: &Version) -> Json {
        let mut members = version.members();
        members.insert("custom_metadata".to_owned(), self.custom_json());
        members.insert("version".to_owned(), number.into());
        Json::Object(members)
    }

    /// What is said of the secret.
    pub(super) fn to_json(&self) -> Json {
        let versions: Map<String, Json> = self
            .versions
            .iter()
            .map(|(number, version)| (number.to_string(), Json::Object(version.members())))
            .collect();
        let mut all = self.settings.to_json();
        if let Json::Object(members) = &mut all {
            members.extend([
                (
                    "created_time".to_owned(),
                    timestamp::text(self.created).into(),
                ),
                ("current_version".to_owned(), self.current.into()),
                ("custom_metadata".to_owned(), self.custom_json()),
                ("oldest_version".to_owned(), self.oldest.into()),
                (
                    "updated_time".to_owned(),
                    timestamp::text(self.updated).into(),
                ),
                ("versions".to_owned(), Json::Object(versions)),
            ]);
        }
        all
    }
}
