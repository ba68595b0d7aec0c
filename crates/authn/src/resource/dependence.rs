//! What ends a token before its time: the end of its grant or sign-in, of its client, tenant or person, or of one who acts in it.
//!
//! Not here: the table of what was revoked.

use crate::access_token::VerifiedToken;
use crate::refusal::Reason;
use crate::revocation::{Freshness, RevocationId, Revocations};
use crate::subject::{Actor, SubjectId};
use countersign_base::{ClientId, GrantId, SessionId, Tenant, UnixTime, UserId};

pub(crate) fn check_revocations(
    token: &VerifiedToken,
    revocations: &dyn Revocations,
    now: UnixTime,
) -> Result<(), Reason> {
    match revocations.freshness(now) {
        Freshness::Current => {}
        Freshness::Stale => return Err(Reason::RevocationsStale),
    }
    let claims = token.claims();
    let of_others = token.other().is_some();
    let dependence = Dependence {
        tenant: token.tenant(),
        client: Some(&claims.client_id),
        grant: claims.grant_id,
        session: claims.sid,
        subject: &claims.sub,
        // Actors of another issuer are none of ours.
        actors: if of_others { &[] } else { claims.act.actors() },
        issued: claims.iat,
    };
    if dependence.is_revoked(revocations) {
        Err(Reason::Revoked)
    } else {
        Ok(())
    }
}

/// Everything whose end ends a token.
pub(crate) struct Dependence<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) client: Option<&'a ClientId>,
    pub(crate) grant: Option<GrantId>,
    pub(crate) session: Option<SessionId>,
    pub(crate) subject: &'a SubjectId,
    pub(crate) actors: &'a [Actor],
    pub(crate) issued: UnixTime,
}

impl Dependence<'_> {
    /// A grant and a session never come back, so their tokens are dead whenever they were issued: clocks of nodes may differ. People, clients and tenants
    /// may be enabled again, so what counts there is when a token was issued.
    pub(crate) fn is_revoked(&self, revocations: &dyn Revocations) -> bool {
        let ended = [
            self.grant.map(RevocationId::Grant),
            self.session.map(RevocationId::Session),
        ];
        let ids = [
            Some(RevocationId::Tenant(self.tenant)),
            self.client
                .map(|client| RevocationId::Client(self.tenant, client)),
        ];
        let revoked = |id: RevocationId<'_>| {
            revocations
                .not_before(id)
                .is_some_and(|not_before| self.issued <= not_before)
        };
        let named = |sub: &str| {
            let (user, client) = (sub.parse::<UserId>(), sub.parse::<ClientId>());
            user.is_ok_and(|user| revoked(RevocationId::User(user)))
                || client.is_ok_and(|client| revoked(RevocationId::Client(self.tenant, &client)))
        };
        let subject = match self.subject {
            SubjectId::User(user) => revoked(RevocationId::User(*user)),
            SubjectId::Client(client) => revoked(RevocationId::Client(self.tenant, client)),
            // A client's own token that another client exchanged.
            SubjectId::External(name) => named(name.as_str()),
            // Nobody of ours, so nobody here can have ended them.
            SubjectId::Foreign(_) => false,
        };
        subject
            || ended
                .into_iter()
                .flatten()
                .any(|id| revocations.not_before(id).is_some())
            || ids.into_iter().flatten().any(revoked)
            || self.actors.iter().any(|actor| named(actor.sub.as_str()))
    }
}
