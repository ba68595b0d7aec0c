//! Authorization codes (RFC 6749 §4.1.2): what a code stands for. The code itself is a random handle of which the store keeps a keyed hash.

use crate::authentication::AuthenticationMethod;
use crate::particulars::Particulars;
use crate::pkce::CodeChallenge;
use crate::redirect::RedirectTarget;
use countersign_base::{
    Audience, Bounded, ClientId, GrantId, Scopes, SessionId, Tenant, UnixTime, UserId,
};
use countersign_crypto::jose::JwkThumbprint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What an authorization code stands for.
///
/// The store keeps the row after the first use, marked as spent, for at least the life of what came of it, so that a second use is seen for what it is (R23).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRecord {
    /// The tenant of everybody involved.
    pub tenant: Tenant,
    /// Who may redeem it.
    pub client: ClientId,
    /// Who signed in.
    pub user: UserId,
    /// The session they signed in with.
    pub session: SessionId,
    /// The grant that its redemption begins.
    pub grant: GrantId,
    /// Where it was sent; the token request repeats it (R24).
    pub redirect_uri: RedirectTarget,
    /// Whether the authorization request named the redirect URI, so that the token request has to (RFC 6749 §4.1.3).
    pub redirect_uri_sent: bool,
    /// What the verifier must hash to (RFC 7636 §4.6).
    pub challenge: CodeChallenge,
    /// Echoed in the ID token, byte for byte.
    pub nonce: Option<Bounded<512>>,
    /// What was allowed.
    pub scopes: Scopes,
    /// Where: the first is the audience of tokens that name none.
    pub audiences: Vec<Audience>,
    /// The DPoP key that must redeem it (RFC 9449 §10).
    pub dpop_jkt: Option<JwkThumbprint>,
    /// Authorization details and single claims that were allowed.
    #[serde(default)]
    pub particulars: Particulars,
    /// When the person proved who they are.
    pub auth_time: UnixTime,
    /// By which methods, when the code was made.
    #[serde(default)]
    pub methods: BTreeSet<AuthenticationMethod>,
    /// When it was made.
    pub issued: UnixTime,
    /// When it is too late to redeem it (R22).
    pub expires: UnixTime,
}
