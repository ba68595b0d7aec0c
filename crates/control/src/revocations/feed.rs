//! What was revoked, in the order in which this node learned it: what services pull.
//!
//! A cursor is a place in this process's order. Another process, and the same one after a restart, answers a strange cursor with everything that is alive.

use countersign_authn::revocation_list::{Cursor, PAGE_BYTES_MAX, RevokedEntry};
use countersign_base::{Bounded, Duration, Tenant, UnixTime};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};

/// Questions that may wait for news at a time; one more is answered at once.
const WAITING_MAX: usize = 1_024;

/// The list.
pub struct Feed {
    boot: u64,
    lines: Mutex<Lines>,
    latest: watch::Sender<u64>,
    waiting: Semaphore,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<Line>,
    latest: u64,
}

struct Line {
    number: u64,
    tenant: Tenant,
    entry: RevokedEntry,
}

/// Part of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What was revoked in the tenant.
    pub entries: Vec<RevokedEntry>,
    /// Where the next page begins.
    pub cursor: Cursor,
    /// Whether there is one already.
    pub more: bool,
}

impl Feed {
    pub(super) fn new(boot: u64) -> Self {
        Self {
            boot,
            lines: Mutex::default(),
            latest: watch::Sender::new(0),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }

    pub(super) fn add(&self, tenant: &Tenant, entry: RevokedEntry) {
        let latest = {
            let mut lines = self.lock();
            lines.latest = lines.latest.saturating_add(1);
            let line = Line {
                number: lines.latest,
                tenant: tenant.clone(),
                entry,
            };
            lines.kept.push_back(line);
            lines.latest
        };
        self.latest.send_replace(latest);
    }

    pub(super) fn forget(&self, now: UnixTime) {
        self.lock().kept.retain(|line| line.entry.expires > now);
    }

    /// What was revoked in a tenant after `cursor`.
    #[must_use]
    pub fn page(&self, tenant: &Tenant, cursor: Option<&Cursor>) -> Page {
        let after = cursor.and_then(|cursor| self.place(cursor)).unwrap_or(0);
        let lines = self.lock();
        let (mut entries, mut bytes, mut reached, mut more) = (Vec::new(), 0_usize, after, false);
        for line in lines.kept.iter().filter(|line| line.number > after) {
            if line.tenant == *tenant {
                bytes = bytes.saturating_add(line.entry.bytes());
                if bytes > PAGE_BYTES_MAX {
                    more = true;
                    break;
                }
                entries.push(line.entry.clone());
            }
            reached = line.number;
        }
        if !more {
            reached = lines.latest;
        }
        Page {
            entries,
            cursor: self.cursor(reached),
            more,
        }
    }

    /// As [`Feed::page`]; if there is nothing, waits for news up to `limit`.
    pub async fn next_page(
        &self,
        tenant: &Tenant,
        cursor: Option<&Cursor>,
        limit: Duration,
    ) -> Page {
        let mut news = self.latest.subscribe();
        let page = self.page(tenant, cursor);
        // A cursor of another process is answered at once: its holder must learn that there is nothing too.
        if !page.entries.is_empty() || cursor.is_none_or(|cursor| self.place(cursor).is_none()) {
            return page;
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return page;
        };
        let arrived = async {
            loop {
                if news.changed().await.is_err() {
                    return;
                }
                if !self.page(tenant, cursor).entries.is_empty() {
                    return;
                }
            }
        };
        // Told in time or not, the answer is what there is.
        let _in_time = tokio::time::timeout(limit, arrived).await;
        self.page(tenant, cursor)
    }

    #[expect(
        clippy::expect_used,
        reason = "16 hexadecimal and at most 20 decimal digits with a dot between them are 37 visible bytes"
    )]
    fn cursor(&self, number: u64) -> Cursor {
        Bounded::parse(&format!("{:016x}.{number}", self.boot)).expect("37 visible bytes")
    }

    /// The place that a cursor of this process stands for.
    fn place(&self, cursor: &Cursor) -> Option<u64> {
        let (boot, number) = cursor.as_str().split_once('.')?;
        (boot == format!("{:016x}", self.boot))
            .then(|| number.parse().ok())
            .flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
