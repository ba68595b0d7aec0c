//! The record of one exchange: an edge of a grant's exchange graph, from the token that was shown to the token that was made.
//!
//! It holds names of tokens, never tokens, and people by id alone.

use crate::token::TokenType;
use countersign_base::{Audience, Bounded, ClientId, GrantId, Scopes, Tenant, UnixTime};
use serde::{Deserialize, Serialize};

/// One exchange, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeRecord {
    /// The tenant of everybody involved.
    pub tenant: Tenant,
    /// The grant that both tokens belong to.
    pub grant: GrantId,
    /// The token that was shown: its `jti`, or what names one that has none.
    pub parent: Bounded<256>,
    /// Its type.
    pub parent_type: TokenType,
    /// The `jti` of the token that was made.
    pub child: Bounded<256>,
    /// Its type.
    pub child_type: TokenType,
    /// The client that asked.
    pub client: ClientId,
    /// Whom the token is for.
    pub audience: Audience,
    /// Its scopes.
    pub scopes: Scopes,
    /// Who acts in it, the one who acts now first.
    pub actors: Vec<Bounded<255>>,
    /// When it was made.
    pub at: UnixTime,
    /// When it expires.
    pub expires: UnixTime,
    /// Until when the record is kept: as long as its grant.
    pub kept_until: UnixTime,
}
