//! The seal of an open installation: its row's status, and the operations that wait for a quorum.
//!
//! Operations live in this process alone, as the shares that are given for them do: another node knows nothing of them, and the end of the process is theirs. What they end in
//! replaces the stored row only if it is the one they began with.
//!
//! Not here: carrying an operation out ([`crate::vault::quorum`]).

use countersign_base::{Duration, UnixTime};
use countersign_keys::seal::{
    QUORUM_AGE_MAX, Quorum, RekeyRequest, RekeyVerification, RootTokenRequest, SealStatus,
};
use countersign_keys::shamir::ShareRule;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Operations that may be started within [`STARTS_WINDOW`]. Starting takes no credential, and each start is recorded.
const STARTS_MAX: usize = 32;
/// The span in which starts are counted.
const STARTS_WINDOW: Duration = Duration::from_secs(3600);
/// Wrong sets of shares, after which an operation ends.
pub(crate) const WRONG_SETS_MAX: u8 = 5;

/// The seal of a process that has the root key.
pub struct HeldSeal {
    status: Mutex<SealStatus>,
    pub(crate) running: tokio::sync::Mutex<Running>,
    close: Notify,
}

impl HeldSeal {
    /// A seal that was just opened.
    #[must_use]
    pub fn new(status: SealStatus) -> Self {
        Self {
            status: Mutex::new(status),
            running: tokio::sync::Mutex::default(),
            close: Notify::new(),
        }
    }

    /// What `sys/seal-status` says.
    #[must_use]
    pub fn status(&self) -> SealStatus {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether a source opens it without a person: closing it would keep nobody out.
    #[must_use]
    pub fn opens_by_itself(&self) -> bool {
        self.status().recovery_seal
    }

    pub(crate) fn is_now(&self, status: SealStatus) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// Somebody who may closes it: the process ends what it runs and waits for shares.
    pub(crate) fn close(&self) {
        self.close.notify_one();
    }

    /// Waits until somebody closes it.
    pub async fn closed(&self) {
        self.close.notified().await;
    }
}

/// Operations that are under way.
#[derive(Default)]
pub(crate) struct Running {
    pub(crate) rekey: Rekeying,
    pub(crate) root_token: Option<Gathered<RootTokenRequest>>,
    starts: Vec<UnixTime>,
}

/// An operation and what it began with.
pub(crate) struct Gathered<O: countersign_keys::seal::Operation> {
    pub(crate) quorum: Quorum<O>,
    /// The row as it was stored: the operation counts for this one alone.
    pub(crate) stored: Vec<u8>,
    /// Wrong sets so far.
    pub(crate) wrong: u8,
}

/// New shares that have to be shown before they count.
pub(crate) struct Verifying {
    pub(crate) verification: RekeyVerification,
    pub(crate) rule: ShareRule,
    pub(crate) stored: Vec<u8>,
    pub(crate) began: UnixTime,
    pub(crate) wrong: u8,
}

impl Verifying {
    /// Whether it waited too long.
    pub(crate) fn has_expired(&self, now: UnixTime) -> bool {
        now.since(self.began) > QUORUM_AGE_MAX
    }
}

/// How far new shares are.
#[derive(Default)]
pub(crate) enum Rekeying {
    /// Holders of the shares that count agree.
    Gathering(Box<Gathered<RekeyRequest>>),
    /// Nobody asked for any.
    #[default]
    Idle,
    /// The new ones are shown.
    Verifying(Box<Verifying>),
}

impl Running {
    /// Counts a start; `false` when there were too many.
    pub(crate) fn may_start(&mut self, now: UnixTime) -> bool {
        self.starts
            .retain(|start| now.since(*start) <= STARTS_WINDOW);
        let may = self.starts.len() < STARTS_MAX;
        if may {
            self.starts.push(now);
        }
        may
    }

    /// Forgets how many were started: somebody who may took the last one away.
    pub(crate) fn forget_starts(&mut self) {
        self.starts.clear();
    }
}
