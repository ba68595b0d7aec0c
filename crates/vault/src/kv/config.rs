//! The settings of a mount, and those that a secret may have of its own.

use super::duration_text;
use crate::EntryName;
use crate::answer::Answer;
use crate::body::Body;
use crate::call::{Call, Operation};
use crate::error::VaultError;
use crate::work::{Stop, Work};
use countersign_base::Duration;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

/// Versions kept where nothing says otherwise.
const VERSIONS_DEFAULT: u32 = 10;
/// The most versions of one secret that can be asked for: its whole history is one entry.
const VERSIONS_MAX: u32 = 1_000;

/// Settings; of the mount, or of one secret, where what is not set is the mount's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// `max_versions`; 0 is not set.
    #[serde(default)]
    max_versions: u32,
    /// `cas_required`.
    #[serde(default)]
    cas_required: bool,
    /// `delete_version_after`, in seconds; 0 is not set.
    #[serde(default)]
    delete_version_after: u64,
}

impl Settings {
    pub(super) fn entry(call: &Call) -> EntryName {
        call.entry(&["kv", "config"])
    }

    pub(super) fn of_mount(call: &Call, work: &mut Work<'_>) -> Result<Self, Stop> {
        Ok(work.read(&Self::entry(call))?.unwrap_or_default())
    }

    /// Takes what the body sets.
    pub(super) fn set(&mut self, body: &Body) -> Result<(), VaultError> {
        if let Some(most) = body.count("max_versions")? {
            if most > VERSIONS_MAX {
                return Err(VaultError::invalid(
                    "`max_versions` must be at most 1000: the history of a secret is read as a whole",
                ));
            }
            self.max_versions = most;
        }
        if let Some(required) = body.truth("cas_required")? {
            self.cas_required = required;
        }
        if let Some(after) = body.duration("delete_version_after")? {
            self.delete_version_after = after.as_secs();
        }
        Ok(())
    }

    /// How many versions of a secret with these settings are kept.
    pub(super) fn versions_kept(&self, mount: &Self) -> usize {
        let kept = [self.max_versions, mount.max_versions, VERSIONS_DEFAULT]
            .into_iter()
            .find(|kept| *kept > 0);
        kept.and_then(|kept| usize::try_from(kept).ok())
            .unwrap_or(1)
    }

    /// Whether a writing has to say which version it replaces.
    pub(super) const fn cas_required(&self, mount: &Self) -> bool {
        self.cas_required || mount.cas_required
    }

    /// After how long a version deletes itself: the shorter of both.
    pub(super) fn delete_after(&self, mount: &Self) -> Option<Duration> {
        [self.delete_version_after, mount.delete_version_after]
            .into_iter()
            .filter(|seconds| *seconds > 0)
            .min()
            .map(Duration::from_secs)
    }

    /// The three members, as answers hold them.
    pub(super) fn to_json(&self) -> Json {
        json!({
            "max_versions": self.max_versions,
            "cas_required": self.cas_required,
            "delete_version_after": duration_text(Duration::from_secs(self.delete_version_after)),
        })
    }
}

/// `config`.
pub(super) fn run(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    let mut settings = Settings::of_mount(call, work)?;
    match call.operation {
        Operation::Read => Ok(Answer::data(settings.to_json())),
        Operation::Create | Operation::Update => {
            settings.set(&call.body)?;
            work.put(&Settings::entry(call), &settings)?;
            Ok(Answer::nothing())
        }
        Operation::Delete | Operation::List | Operation::Patch => {
            Err(VaultError::Unsupported.into())
        }
    }
}
