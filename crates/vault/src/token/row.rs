//! The entry of a token, and whether it stands: neither it nor a token above it has ended.

use super::span::Span;
use super::{Held, TokenId};
use crate::call::Cx;
use crate::entry::EntryName;
use crate::kind::EngineKind;
use crate::work::{Stop, Work};
use countersign_base::{AddressBlock, Duration, Tenant, UnixTime};
use countersign_crypto::x509::CertificateThumbprint;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many tokens may stand above one. Each use of a token looks at all above it.
pub(super) const DEPTH_MAX: u8 = 16;

/// How long a token lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Life {
    /// Until it is revoked; root tokens alone, made at the first start or by a quorum.
    Endless(UnixTime),
    /// For a time.
    Span(Span),
}

/// What ends with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// The token and its leases; its children become orphans.
    Alone,
    /// Its children too, and theirs.
    Tree,
}

/// A token that has ended, and of which not everything is taken down yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ended {
    /// What ends with it.
    pub(crate) what: Ending,
    /// From when on it is taken down.
    pub(crate) at: UnixTime,
}

/// The role of an auth method that signed somebody in: it is asked again when the token is renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeBy {
    engine: EngineKind,
    role: String,
}

impl MadeBy {
    /// A sign-in by the role of that entry.
    #[must_use]
    pub fn new(engine: EngineKind, role: &EntryName) -> Self {
        let role = role.as_str().to_owned();
        Self { engine, role }
    }

    /// What signed in.
    #[must_use]
    pub const fn engine(&self) -> EngineKind {
        self.engine
    }

    /// The entry of the role.
    #[must_use]
    pub fn role(&self) -> EntryName {
        EntryName::stored(&self.role)
    }
}

/// The entry of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) tenant: Tenant,
    pub(crate) accessor: String,
    pub(crate) parent: Option<TokenId>,
    /// How many tokens stand above it.
    pub(crate) depth: u8,
    pub(crate) policies: BTreeSet<String>,
    pub(crate) display_name: String,
    pub(crate) entity: String,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) path: String,
    pub(crate) role: Option<String>,
    pub(crate) life: Life,
    /// None is without a limit.
    pub(crate) uses_left: Option<u32>,
    pub(crate) renewable: bool,
    /// None where no sign-in made it.
    pub(crate) made_by: Option<MadeBy>,
    pub(crate) certificate: Option<CertificateThumbprint>,
    pub(crate) bound_cidrs: BTreeSet<AddressBlock>,
    pub(crate) ended: Option<Ended>,
}

impl Row {
    /// The root token of a trial.
    #[cfg(test)]
    pub(crate) fn endless_root(cx: &Cx<'_>) -> Self {
        Self {
            tenant: cx.tenant.clone(),
            accessor: "root".to_owned(),
            parent: None,
            depth: 0,
            policies: BTreeSet::from(["root".to_owned()]),
            display_name: "root".to_owned(),
            entity: String::new(),
            metadata: BTreeMap::new(),
            path: "auth/token/root".to_owned(),
            role: None,
            life: Life::Endless(cx.now),
            uses_left: None,
            renewable: false,
            made_by: None,
            certificate: None,
            bound_cidrs: BTreeSet::new(),
            ended: None,
        }
    }

    /// The name of a token's entry.
    pub(crate) fn name(id: &TokenId) -> EntryName {
        EntryName::of(&["token", "id", &id.0])
    }

    /// The entry that leads from an accessor to its token.
    pub(super) fn accessor_name(accessor: &str) -> EntryName {
        EntryName::of(&["token", "accessor", accessor])
    }

    /// The entry by which a parent knows a child.
    pub(super) fn child_name(parent: &TokenId, child: &TokenId) -> EntryName {
        EntryName::of(&["token", "child", &parent.0, &child.0])
    }

    /// The entry, whether it has ended or not; another tenant's is none.
    pub(crate) fn read(
        id: &TokenId,
        work: &mut Work<'_>,
        cx: &Cx<'_>,
    ) -> Result<Option<Self>, Stop> {
        Ok(Self::look(id, work, cx)?.map(Arc::unwrap_or_clone))
    }

    /// The same, to be looked at alone.
    fn look(id: &TokenId, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Option<Arc<Self>>, Stop> {
        let row: Option<Arc<Self>> = work.shared(&Self::name(id))?;
        Ok(row.filter(|row| row.tenant == *cx.tenant))
    }

    /// Writes it, to be looked at again when it ends or, once it has, when it is to be taken down.
    pub(crate) fn write(&self, id: &TokenId, work: &mut Work<'_>) -> Result<(), Stop> {
        let expires = match &self.life {
            Life::Endless(_) => None,
            Life::Span(span) => Some(span.expires()),
        };
        let due = self.ended.map(|ended| ended.at).or(expires);
        work.put_until(&Self::name(id), self, due)
    }

    /// Whether it itself has not ended; those above it are not asked.
    pub(crate) fn lives(&self, now: UnixTime) -> bool {
        self.ended.is_none() && !self.has_expired(now)
    }

    /// Whether its time is over.
    pub(crate) fn has_expired(&self, now: UnixTime) -> bool {
        match &self.life {
            Life::Endless(_) => false,
            Life::Span(span) => span.has_ended(now),
        }
    }

    /// When it was made.
    pub(crate) const fn created(&self) -> UnixTime {
        match &self.life {
            Life::Endless(created) => *created,
            Life::Span(span) => span.created(),
        }
    }

    /// How much of its time is left; zero where it has no end.
    pub(crate) fn left(&self, now: UnixTime) -> Duration {
        match &self.life {
            Life::Endless(_) => Duration::ZERO,
            Life::Span(span) => span.left(now),
        }
    }

    /// Whether it may do everything.
    pub(crate) fn is_root(&self) -> bool {
        self.policies.contains("root")
    }

    /// Marks it as ended. What an earlier mark said ends with it still does.
    pub(crate) fn end(&mut self, what: Ending, at: UnixTime) {
        let what = self.ended.map_or(what, |ended| ended.what);
        self.ended = Some(Ended { what, at });
    }

    /// What a call knows of it.
    pub(super) fn held(self, id: TokenId) -> Held {
        let expires = match &self.life {
            Life::Endless(_) => None,
            Life::Span(span) => Some(span.expires()),
        };
        Held {
            id,
            accessor: self.accessor,
            policies: self.policies,
            display_name: self.display_name,
            entity: self.entity,
            metadata: self.metadata,
            expires,
            bound_cidrs: self.bound_cidrs,
        }
    }
}

/// Ends a token because somebody asks for it. Children of a token that no longer stands have ended with it or with one above it, and are not let live by ending it alone.
///
/// # Errors
/// As [`Work::read`].
pub(crate) fn end(
    id: &TokenId,
    mut row: Row,
    what: Ending,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<(), Stop> {
    let what = match what {
        Ending::Alone if standing(id, work, cx)?.is_none() => Ending::Tree,
        what => what,
    };
    row.end(what, cx.now);
    row.write(id, work)
}

/// The entry of a token by which a call is under way: one that can be used, or one whose last use that call is.
///
/// # Errors
/// As [`Work::read`].
pub(crate) fn under_way(
    id: &TokenId,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Option<Row>, Stop> {
    let row = Row::read(id, work, cx)?;
    // One that was revoked has ended at once, also where the clock that wrote it is ahead of this one.
    let last =
        |row: &Row| row.uses_left == Some(0) && row.ended.is_some_and(|ended| ended.at > cx.now);
    match row {
        Some(row) if last(&row) && !row.has_expired(cx.now) => below_standing(row, work, cx),
        Some(_) | None => standing(id, work, cx),
    }
}

/// The entry of a token that can be used: neither it nor any token above it has ended. So the end of a token, one commit, is the end of all below it.
///
/// # Errors
/// As [`Work::read`].
pub(crate) fn standing(
    id: &TokenId,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Option<Row>, Stop> {
    match Row::read(id, work, cx)? {
        Some(row) if row.lives(cx.now) => below_standing(row, work, cx),
        Some(_) | None => Ok(None),
    }
}

/// The entry, unless a token above it has ended.
fn below_standing(row: Row, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Option<Row>, Stop> {
    let mut above = row.parent.clone();
    for _ in 0..=DEPTH_MAX {
        let Some(parent) = above else {
            return Ok(Some(row));
        };
        let Some(parent) = Row::look(&parent, work, cx)? else {
            return Ok(None);
        };
        // Below a token that ended alone everything is an orphan, also where that is not written down yet.
        if parent
            .ended
            .is_some_and(|ended| ended.what == Ending::Alone)
        {
            return Ok(Some(row));
        }
        if !parent.lives(cx.now) {
            return Ok(None);
        }
        above = parent.parent.clone();
    }
    Ok(None)
}
