//! What a person allowed, whichever way they were asked: what codes, device codes and `auth_req_id`s come to at the token endpoint.

use crate::authentication::AuthenticationMethod;
use crate::code::CodeRecord;
use crate::decoupled::{Allowance, DecoupledRequest};
use crate::particulars::Particulars;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_base::{Audience, Bounded, GrantId, Scopes, SessionId, Tenant, UnixTime, UserId};
use std::collections::BTreeSet;

/// An approval that is being redeemed.
pub(super) struct Approval {
    pub(super) tenant: Tenant,
    pub(super) user: UserId,
    pub(super) session: SessionId,
    pub(super) grant: GrantId,
    pub(super) nonce: Option<Bounded<512>>,
    pub(super) scopes: Scopes,
    pub(super) audiences: Vec<Audience>,
    pub(super) particulars: Particulars,
    /// Those of the authorization details that the token request did not leave out.
    pub(super) details: AuthorizationDetails,
    pub(super) auth_time: UnixTime,
    pub(super) methods: BTreeSet<AuthenticationMethod>,
}

impl From<CodeRecord> for Approval {
    fn from(code: CodeRecord) -> Self {
        Self {
            tenant: code.tenant,
            user: code.user,
            session: code.session,
            grant: code.grant,
            nonce: code.nonce,
            scopes: code.scopes,
            audiences: code.audiences,
            details: code.particulars.authorization_details.clone(),
            particulars: code.particulars,
            auth_time: code.auth_time,
            methods: code.methods,
        }
    }
}

impl From<(DecoupledRequest, Allowance)> for Approval {
    fn from((request, allowance): (DecoupledRequest, Allowance)) -> Self {
        Self {
            tenant: request.tenant,
            user: allowance.user,
            session: allowance.session,
            grant: request.grant,
            nonce: None,
            scopes: request.scopes,
            audiences: request.audiences,
            details: request.particulars.authorization_details.clone(),
            particulars: request.particulars,
            auth_time: allowance.auth_time,
            methods: allowance.methods,
        }
    }
}
