//! How long tokens and leases live: the one place that counts with their times to live. Pure arithmetic.
//!
//! A span always has an end; what has none is another type ([`super::row::Life::Endless`]), so that no rounding, renewal or zero makes a token that does not expire
//! (CVE-2021-32923).

use crate::mounts::{Mount, Mounts};
use crate::path::RequestPath;
use crate::work::{Stop, Work};
use countersign_base::{Duration, UnixTime};
use serde::{Deserialize, Serialize};

/// What tokens and leases live for by default, and at most, where the mount says nothing: 768 hours, as Vault has it.
const TTL_SECONDS: u64 = 768 * 3_600;

/// The default and the longest time to live of a mount. Neither is less than a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    default: Duration,
    max: Duration,
}

impl Limits {
    /// What a mount says, and the vault's own values where it says nothing.
    #[must_use]
    pub fn of(mount: Option<&Mount>) -> Self {
        let vault = Duration::from_secs(TTL_SECONDS);
        let max = mount.and_then(|mount| given(mount.max_lease_ttl));
        let max = max.unwrap_or(vault);
        let default = mount.and_then(|mount| given(mount.default_lease_ttl));
        Self {
            default: default.unwrap_or(vault).min(max),
            max,
        }
    }

    /// The same, and no more than a role allows.
    #[must_use]
    pub fn narrowed(self, max: Option<Duration>) -> Self {
        let max = given(max).map_or(self.max, |max| max.min(self.max));
        Self {
            default: self.default.min(max),
            max,
        }
    }

    /// What the mount says that a path leads to.
    ///
    /// # Errors
    /// As [`Work::read`].
    pub fn at(path: &str, work: &mut Work<'_>) -> Result<Self, Stop> {
        let mounts = Mounts::read(work)?;
        let path = RequestPath::parse(path);
        let mount = path.as_ref().ok().and_then(|path| mounts.route(path).ok());
        Ok(Self::of(mount.map(|(_, mount, _)| mount)))
    }
}

/// A duration that somebody gave; less than a second is as none, as Vault takes it.
fn given(duration: Option<Duration>) -> Option<Duration> {
    duration.filter(|duration| duration.as_secs() > 0)
}

/// What a new span is to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpanAsked {
    /// How long it lasts first.
    pub ttl: Option<Duration>,
    /// The longest that renewing may stretch it.
    pub max_ttl: Option<Duration>,
    /// The longest that anything may stretch it, a period too.
    pub explicit_max_ttl: Option<Duration>,
    /// It lives on as long as it is renewed within this span.
    pub period: Option<Duration>,
}

/// From when to when something lives, and what renewing it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    created: UnixTime,
    expires: UnixTime,
    /// Nothing stretches it past this. None only where there is a period.
    until: Option<UnixTime>,
    ttl: Duration,
    period: Option<Duration>,
    explicit_max_ttl: Option<Duration>,
    renewed: Option<UnixTime>,
}

/// Why a span is not stretched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRenewed {
    /// It has ended.
    Ended,
    /// It has lasted as long as it may.
    PastMax,
}

impl Span {
    /// A span that begins now.
    #[must_use]
    pub fn begin(asked: &SpanAsked, limits: Limits, now: UnixTime) -> Self {
        let explicit_max_ttl = given(asked.explicit_max_ttl);
        let period = given(asked.period).map(|period| period.min(limits.max));
        let until = if period.is_some() {
            explicit_max_ttl.map(|max| now.plus(max))
        } else {
            let max = given(asked.max_ttl).map_or(limits.max, |max| max.min(limits.max));
            Some(now.plus(explicit_max_ttl.map_or(max, |explicit| explicit.min(max))))
        };
        let ttl = period.or(given(asked.ttl)).unwrap_or(limits.default);
        let expires = bounded(now.plus(ttl), until);
        Self {
            created: now,
            expires,
            until,
            ttl: expires.since(now),
            period,
            explicit_max_ttl,
            renewed: None,
        }
    }

    /// The same, stretched: by its period, else by `increment`, else by what it had first; counted from now, and never past its maximum or that of the mount as it is
    /// now.
    ///
    /// # Errors
    /// When it has ended, or lasted as long as it may.
    pub fn renew(
        &self,
        increment: Option<Duration>,
        limits: Limits,
        now: UnixTime,
    ) -> Result<Self, NotRenewed> {
        if self.has_ended(now) {
            return Err(NotRenewed::Ended);
        }
        let mount_max = self.created.plus(limits.max);
        let until = match (self.until, self.period) {
            (until, Some(_)) => until,
            (until, None) => Some(bounded(mount_max, until)),
        };
        let period = self.period.map(|period| period.min(limits.max));
        let by = period.or(given(increment)).unwrap_or(self.ttl);
        let expires = bounded(now.plus(by), until);
        if expires <= now {
            return Err(NotRenewed::PastMax);
        }
        Ok(Self {
            expires,
            renewed: Some(now),
            ..self.clone()
        })
    }

    /// Whether it is over. In its last second it is not, and at its end it is.
    #[must_use]
    pub fn has_ended(&self, now: UnixTime) -> bool {
        now >= self.expires
    }

    /// When it began.
    #[must_use]
    pub const fn created(&self) -> UnixTime {
        self.created
    }

    /// When it ends.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.expires
    }

    /// How long it lasted first.
    #[must_use]
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Its period, if it has one.
    #[must_use]
    pub const fn period(&self) -> Option<Duration> {
        self.period
    }

    /// Its explicit maximum, if it has one.
    #[must_use]
    pub const fn explicit_max_ttl(&self) -> Option<Duration> {
        self.explicit_max_ttl
    }

    /// When it was renewed last.
    #[must_use]
    pub const fn renewed(&self) -> Option<UnixTime> {
        self.renewed
    }

    /// How much is left.
    #[must_use]
    pub fn left(&self, now: UnixTime) -> Duration {
        self.expires.since(now)
    }
}

fn bounded(time: UnixTime, until: Option<UnixTime>) -> UnixTime {
    until.map_or(time, |until| time.min(until))
}

#[cfg(test)]
mod tests;
