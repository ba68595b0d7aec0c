//! What a decision of this crate changes. The store writes it in the transaction that the decision was made in.

use crate::exchange::ExchangeRecord;
use crate::grant::{GrantRecord, RevocationReason};
use crate::refresh::RefreshFamily;
use countersign_base::{GrantId, UnixTime};
use std::sync::Arc;

/// One change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A token was exchanged for another.
    Exchanged(Box<ExchangeRecord>),
    /// A new grant.
    GrantCreated(GrantRecord),
    /// A grant ended: it, its refresh families and every access token that names it die at once.
    GrantRevoked {
        /// Which.
        grant: GrantId,
        /// Why.
        reason: RevocationReason,
        /// When.
        at: UnixTime,
    },
    /// A new refresh family.
    FamilyStarted(RefreshFamily),
    /// A refresh family moved to its next generation; written only if the stored generation is still the one before.
    FamilyRotated(RefreshFamily),
}

/// A one-time value as the store found it, inside the transaction that takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken<T> {
    /// It was there and unspent, and is spent by this transaction.
    Fresh(T),
    /// It had been spent before.
    Spent(T),
    /// There is none: never made, swept, or of another kind or tenant.
    Unknown,
}

/// The state that a grant depends on, read again inside the transaction (R42). `None` is "no such row", which refuses like "disabled".
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The client that asks.
    pub client: Option<Arc<crate::client::ClientRecord>>,
    /// The person whose grant it is, with the roles of their groups.
    pub user: Option<crate::user::ResolvedUser>,
    /// The grant.
    pub grant: Option<GrantRecord>,
    /// The session.
    pub session: Option<crate::session::Session>,
    /// The client whose own token is exchanged, as it is registered now.
    pub subject: Option<Arc<crate::client::ClientRecord>>,
    /// Whether the grant of that token was revoked.
    pub client_grant: ClientGrant,
}

/// The grant of a client's own token. It has no row: such a token lives for an hour at most, so what was revoked is known from the list of revocations alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientGrant {
    /// Nobody asked about one, or it is revoked: either way nothing comes of it.
    #[default]
    Ended,
    /// It is not revoked.
    Live,
}
