//! A grant: what a subject allowed a client. It is the unit of revocation; every token names its grant.

use crate::particulars::Particulars;
use countersign_authn::trust::IssuerName;
use countersign_base::{Audience, ClientId, GrantId, Scopes, SessionId, Tenant, UnixTime, UserId};
use serde::{Deserialize, Serialize};

/// A grant, as the store keeps it from the moment its code was redeemed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRecord {
    /// Its identifier, the `grant_id` of its tokens.
    pub id: GrantId,
    /// The tenant of everybody involved.
    pub tenant: Tenant,
    /// Who may use it.
    pub client: ClientId,
    /// Who gave it.
    pub user: UserId,
    /// The session it was given in.
    pub session: SessionId,
    /// What was allowed.
    pub scopes: Scopes,
    /// Where: the first is the audience of tokens that name none.
    pub audiences: Vec<Audience>,
    /// Authorization details and single claims that were allowed.
    #[serde(default)]
    pub particulars: Particulars,
    /// When the person last proved who they are.
    pub auth_time: UnixTime,
    /// When it was given.
    pub created: UnixTime,
    /// When it ends by itself.
    pub expires: UnixTime,
    /// When it was revoked.
    pub revoked: Option<UnixTime>,
    /// The foreign issuer whose assertion it came of. Such a grant has no sign-in here: its session is a name and nothing more.
    #[serde(default)]
    pub asserted_by: Option<IssuerName>,
}

/// Why a grant ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationReason {
    /// Its authorization code came twice (R23).
    CodeReused,
    /// An earlier refresh token came back (R38).
    RefreshReused,
    /// Its device code or `auth_req_id` was redeemed twice (DEV-1, CIBA-35).
    PolledReused,
    /// The client gave it back (RFC 7009).
    ClientRevoked,
    /// An administrator ended it.
    AdministratorRevoked,
    /// The person took it back on their account page (R57).
    OwnerRevoked,
}
