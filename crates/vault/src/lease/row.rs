//! The entry of a lease.

use super::HeldThing;
use crate::call::Cx;
use crate::entry::EntryName;
use crate::token::TokenId;
use crate::token::span::Span;
use crate::work::{Stop, Work};
use countersign_base::{Duration, Tenant, UnixTime};
use serde::{Deserialize, Serialize};

/// Bytes of a lease's id that is looked for.
const ID_BYTES_MAX: usize = 850;
/// Tries after which a lease counts as irrevocable. It is still tried, once a day.
pub(super) const TRIES_MAX: u32 = 6;
/// The first pause between two tries; each further one is twice as long.
const PAUSE_SECONDS: u64 = 10;
/// The longest pause before it counts as irrevocable.
const PAUSE_SECONDS_MAX: u64 = 3_600;
/// The pause once it does.
const IRREVOCABLE_PAUSE_SECONDS: u64 = 86_400;
/// How long a try has to report before the next is made. Taking back is written so that it can happen twice.
pub(super) const TRY_SECONDS: u64 = 120;

/// What becomes of a lease that cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failing {
    /// It is forgotten: `revoke-force`.
    Forgotten,
    /// It is kept and tried again.
    Kept,
}

/// A lease that is being taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ended {
    pub(super) failing: Failing,
    pub(super) tries: u32,
    pub(super) try_at: UnixTime,
    pub(super) error: Option<String>,
}

/// The entry of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) tenant: Tenant,
    pub(super) path: String,
    pub(super) token: TokenId,
    pub(super) span: Span,
    pub(super) renewable: bool,
    /// Whether it is known that the thing was made, or was not. Before, a try to take it back may overtake its making.
    pub(super) settled: bool,
    pub(super) held: HeldThing,
    pub(super) ended: Option<Ended>,
}

impl Row {
    /// The name of a lease's entry; none when the id cannot be one.
    pub(super) fn name(id: &str) -> Option<EntryName> {
        let fits = !id.is_empty() && id.len() <= ID_BYTES_MAX && !id.ends_with('/');
        fits.then(|| EntryName::of(&["lease", id]))
    }

    /// The id of the lease of an entry.
    pub(super) fn id(name: &EntryName) -> &str {
        name.as_str().strip_prefix("lease/").unwrap_or_default()
    }

    /// The entry by which a token knows a lease.
    pub(super) fn link(token: &TokenId, id: &str) -> EntryName {
        EntryName::of(&["token", "leases", &token.0, id])
    }

    /// The entry by which an irrevocable lease is counted.
    pub(super) fn irrevocable_name(id: &str) -> EntryName {
        EntryName::of(&["lease-irrevocable", id])
    }

    /// The entry, whether it is being taken back or not; another tenant's is none.
    pub(super) fn read(
        name: &EntryName,
        work: &mut Work<'_>,
        cx: &Cx<'_>,
    ) -> Result<Option<Self>, Stop> {
        let row: Option<Self> = work.read(name)?;
        Ok(row.filter(|row| row.tenant == *cx.tenant))
    }

    /// Writes it, to be looked at again when it ends or is to be tried again.
    pub(super) fn write(&self, name: &EntryName, work: &mut Work<'_>) -> Result<(), Stop> {
        let due = match &self.ended {
            None => self.span.expires(),
            Some(ended) => ended.try_at,
        };
        work.put_until(name, self, Some(due))
    }

    /// Marks it as one that is taken back from now on. One that is tried already is tried at once again, as somebody asks for it.
    pub(super) fn end(&mut self, failing: Failing, now: UnixTime) {
        let before = self.ended.take();
        let failing = match before.as_ref().map(|ended| ended.failing) {
            Some(Failing::Forgotten) => Failing::Forgotten,
            Some(Failing::Kept) | None => failing,
        };
        self.ended = Some(Ended {
            failing,
            tries: before.as_ref().map_or(0, |ended| ended.tries),
            try_at: now,
            error: before.and_then(|ended| ended.error),
        });
    }

    /// Deletes it, and what leads to it.
    pub(super) fn remove(&self, name: &EntryName, work: &mut Work<'_>) {
        let id = Self::id(name);
        work.delete(name);
        work.delete(&Self::link(&self.token, id));
        work.delete(&Self::irrevocable_name(id));
    }
}

impl Ended {
    /// A try begins: the next is made if nothing is heard of this one.
    pub(super) fn begin_try(&mut self, now: UnixTime) {
        self.tries = self.tries.saturating_add(1);
        let pause = self.pause().max(Duration::from_secs(TRY_SECONDS));
        self.try_at = now.plus(pause);
    }

    /// A try failed.
    pub(super) fn fail(&mut self, error: String, now: UnixTime) {
        self.error = Some(error);
        self.try_at = now.plus(self.pause());
    }

    /// Whether it was tried as often as anything is tried soon again.
    pub(super) const fn is_irrevocable(&self) -> bool {
        self.tries >= TRIES_MAX
    }

    fn pause(&self) -> Duration {
        if self.is_irrevocable() {
            return Duration::from_secs(IRREVOCABLE_PAUSE_SECONDS);
        }
        let doubled = 1_u64.checked_shl(self.tries.saturating_sub(1));
        let pause = doubled.and_then(|times| PAUSE_SECONDS.checked_mul(times));
        Duration::from_secs(pause.unwrap_or(PAUSE_SECONDS_MAX).min(PAUSE_SECONDS_MAX))
    }
}
