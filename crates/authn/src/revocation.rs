//! What was revoked, as plain lookups: exact ids with a not-before, never a filter that may err.

use countersign_base::{ClientId, GrantId, SessionId, Tenant, UnixTime, UserId};

/// What a revocation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RevocationId<'a> {
    /// Every token of a client.
    Client(&'a Tenant, &'a ClientId),
    /// Every token of a grant.
    Grant(GrantId),
    /// Every token of a sign-in.
    Session(SessionId),
    /// Every token of a tenant.
    Tenant(&'a Tenant),
    /// Every token of a person.
    User(UserId),
}

/// Whether a table of revocations can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It holds what the source of truth held a moment ago.
    Current,
    /// It was cut off for longer than is tolerable: nothing may be accepted.
    Stale,
}

/// The revocations that a node knows.
pub trait Revocations: Send + Sync {
    /// Tokens issued at this time or earlier are revoked.
    fn not_before(&self, id: RevocationId<'_>) -> Option<UnixTime>;

    /// Whether the answers of [`Revocations::not_before`] can be relied on.
    fn freshness(&self, now: UnixTime) -> Freshness;
}
