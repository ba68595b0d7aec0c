//! Which deliveries an endpoint's page lists, page by page.

use super::permit::Seen;
use crate::identity::Identity;
use crate::identity::answer::Failure;
use crate::identity::call::Call;
use countersign_base::{ParseError, UnixTime};
use countersign_store::tables::{PAGE_MAX, webhook_deliveries};
use countersign_store::webhooks::{DeliveryState, ListedWebhook};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Deliveries of one page.
const SHOWN_MAX: u16 = 25;

/// Which deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::identity) enum Which {
    /// All of them, the newest first.
    #[default]
    All,
    /// Those that were given up, the newest first.
    Dead,
    /// Those that arrived, the newest first.
    Delivered,
    /// Those that wait, what is due first at the front.
    Waiting,
}

impl Which {
    /// In the order in which the page offers them.
    pub(super) const EVERY: [Self; 4] = [Self::All, Self::Waiting, Self::Delivered, Self::Dead];

    /// As addresses have it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Dead => "dead",
            Self::Delivered => "delivered",
            Self::Waiting => "waiting",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|which| which.as_str() == name)
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Dead => "Given up",
            Self::Delivered => "Delivered",
            Self::Waiting => "Waiting",
        }
    }
}

/// After which delivery a page begins: `SECONDS.SEQUENCE`, or `-.SEQUENCE` behind what has no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::identity) struct Place {
    time: Option<UnixTime>,
    sequence: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            None => write!(f, "-.{}", self.sequence),
            Some(time) => write!(f, "{}.{}", time.0, self.sequence),
        }
    }
}

impl FromStr for Place {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let expected = || ParseError::expected("a place of a list");
        let (time, sequence) = text.split_once('.').ok_or_else(expected)?;
        let time = match time {
            "-" => None,
            time => Some(UnixTime(time.parse().map_err(|_| expected())?)),
        };
        let sequence = sequence.parse().map_err(|_| expected())?;
        Ok(Self { time, sequence })
    }
}

impl Place {
    const fn of(which: Which, row: &ListedWebhook) -> Self {
        let time = match which {
            Which::All | Which::Dead | Which::Delivered => Some(row.created),
            Which::Waiting => row.due,
        };
        Self {
            time,
            sequence: row.sequence,
        }
    }
}

/// A page of deliveries, and where the next begins, if there is one.
pub(super) struct Listed {
    pub(super) rows: Vec<ListedWebhook>,
    pub(super) next: Option<Place>,
}

/// A page of what went or goes to an endpoint.
pub(super) async fn listed(
    identity: &Identity,
    call: &Call,
    seen: &Seen,
    which: Which,
    after: Option<Place>,
) -> Result<Listed, Failure> {
    let (tenant, endpoint) = (&call.tenant.name, seen.endpoint().id);
    let mut connection = identity.fabric.store().read().await?;
    let one_more = SHOWN_MAX.saturating_add(1);
    let timed = after.and_then(|place| Some((place.time?, place.sequence)));
    let rows = match which {
        Which::All => {
            webhook_deliveries::of_endpoint(&mut connection, tenant, endpoint, timed, one_more)
                .await?
        }
        Which::Dead => {
            let after = after.map(|place| place.sequence);
            webhook_deliveries::dead_of_endpoint(&mut connection, tenant, endpoint, after, one_more)
                .await?
        }
        Which::Delivered => {
            let all =
                webhook_deliveries::of_endpoint(&mut connection, tenant, endpoint, timed, PAGE_MAX)
                    .await?;
            return Ok(delivered(all));
        }
        Which::Waiting => {
            let after = after.map(|place| (place.time, place.sequence));
            webhook_deliveries::waiting_for_endpoint(
                &mut connection,
                tenant,
                endpoint,
                after,
                one_more,
            )
            .await?
        }
    };
    Ok(cut(which, rows))
}

/// The rows that a page shows, of one more than it may.
fn cut(which: Which, mut rows: Vec<ListedWebhook>) -> Listed {
    let is_more = rows.len() > usize::from(SHOWN_MAX);
    rows.truncate(usize::from(SHOWN_MAX));
    let next = rows.last().filter(|_| is_more);
    Listed {
        next: next.map(|last| Place::of(which, last)),
        rows,
    }
}

/// Those that arrived, of a stretch of all of them: whatever else there is, a page costs no longer look than that. The next begins where this one ended.
fn delivered(all: Vec<ListedWebhook>) -> Listed {
    let looked_at = all.len();
    let end = all.last().map(|last| Place::of(Which::Delivered, last));
    let is_delivered = |row: &ListedWebhook| row.state == DeliveryState::Delivered;
    let rows: Vec<ListedWebhook> = all.into_iter().filter(is_delivered).collect();
    if rows.len() > usize::from(SHOWN_MAX) {
        return cut(Which::Delivered, rows);
    }
    let next = end.filter(|_| looked_at >= usize::from(PAGE_MAX));
    Listed { rows, next }
}

#[cfg(test)]
mod tests;
