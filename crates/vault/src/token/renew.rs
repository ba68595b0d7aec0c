//! A token that is about to be renewed: it stands, may be renewed, and is named by somebody who holds what it is bound to.
//!
//! What its sign-in says of it now is asked by [`crate::renewal`].

use super::handle::{self, Named};
use super::role::Role;
use super::row::{self, Life, MadeBy, Row};
use super::span::{Limits, NotRenewed, Span};
use super::{TokenId, auth};
use crate::VaultError;
use crate::answer::Auth;
use crate::call::{Call, Cx};
use crate::work::{Stop, Work};
use countersign_base::{Duration, Secret};
use std::collections::BTreeSet;

/// How far a role lets its tokens live on; without a role nothing narrows it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stretch {
    /// The longest since the token was made; of periodic tokens the longest until the next renewal.
    pub(crate) max_ttl: Option<Duration>,
    /// The same of periodic tokens.
    pub(crate) period: Option<Duration>,
}

/// A token of which nothing of its own speaks against renewing it. Only [`Renewing::of`] makes one.
#[must_use]
pub(crate) struct Renewing {
    id: TokenId,
    shown: Secret<String>,
    row: Row,
    span: Span,
    increment: Option<Duration>,
}

impl Renewing {
    /// The token that a call names.
    ///
    /// # Errors
    /// [`VaultError::Denied`] when nobody knows it, it has ended, or it is bound to a certificate that is not the caller's; [`VaultError::Invalid`] when it is none to renew.
    pub(crate) fn of(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Self, Stop> {
        let increment = call.body.duration("increment")?;
        let Named { id, shown } = handle::subject(call, work, cx)?.ok_or(VaultError::Denied)?;
        let row = row::standing(&id, work, cx)?.ok_or(VaultError::Denied)?;
        // Whoever renews a token that was made with a certificate holds that one, and not just any other that would be let in (CVE-2026-39388).
        if let Some(bound) = &row.certificate {
            let shown = call.peer.as_ref().map(|peer| peer.thumbprint());
            if shown.as_ref() != Some(bound) {
                return Err(VaultError::Denied.into());
            }
        }
        let Life::Span(span) = &row.life else {
            return Err(VaultError::invalid("lease is not renewable").into());
        };
        if !row.renewable {
            return Err(VaultError::invalid("lease is not renewable").into());
        }
        if let Some(role) = &row.role
            && Role::read(role, work)?.is_none()
        {
            let gone = "the token role of this token is gone, not renewing";
            return Err(VaultError::invalid(gone).into());
        }
        Ok(Self {
            span: span.clone(),
            id,
            shown,
            row,
            increment,
        })
    }

    /// The sign-in that made it, if one did.
    pub(crate) const fn made_by(&self) -> Option<&MadeBy> {
        self.row.made_by.as_ref()
    }

    /// Its policies.
    pub(crate) const fn policies(&self) -> &BTreeSet<String> {
        &self.row.policies
    }

    /// The token, written with its new end.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] when it has lasted as long as it may.
    pub(crate) fn stretched(
        self,
        stretch: Stretch,
        work: &mut Work<'_>,
        cx: &Cx<'_>,
    ) -> Result<Auth, Stop> {
        let mut row = self.row;
        let max = match self.span.period() {
            Some(_) => stretch.period,
            None => stretch.max_ttl,
        };
        let limits = Limits::at(&row.path, work)?.narrowed(max);
        let span =
            self.span
                .renew(self.increment, limits, cx.now)
                .map_err(|error| match error {
                    NotRenewed::Ended => VaultError::Denied,
                    NotRenewed::PastMax => VaultError::invalid("past the max TTL, cannot renew"),
                })?;
        row.life = Life::Span(span);
        row.write(&self.id, work)?;
        Ok(auth(&row, self.shown, cx))
    }
}
