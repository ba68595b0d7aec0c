//! A decoupled request in front of a person who is signed in.
//!
//! Remembered consent never answers it: the person in front of this page may be another than the one in front of the device (RFC 8628 §5.4), so every request is
//! asked about. What they may allow is decided by policy first, so that nobody allows what would be denied at the token endpoint (A33, DEV-2).

use super::{Allowance, Answer, DecoupledRequest};
use crate::authentication::Authentication;
use crate::binding::Binding;
use crate::client::ClientRecord;
use crate::issuance::{Issuance, Parts, TokenSubject, UserSubject};
use crate::session::Session;
use crate::tenant::TenantRecord;
use crate::user::ResolvedUser;
use countersign_base::{Audience, UnixTime};
use countersign_crypto::jose::JwkThumbprint;
use countersign_crypto::x509::CertificateThumbprint;
use countersign_policy::Permitted;

/// Why a request is not put to this person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuestionRefused {
    /// Somebody answered it, or it was redeemed.
    #[error("answered before")]
    Answered,
    /// The client is disabled, or no longer registered for what it asked.
    #[error("the client may no longer ask for it")]
    Client,
    /// Too late.
    #[error("expired")]
    Expired,
    /// It is for somebody else, the session is another tenant's or over, or the person is disabled.
    #[error("not for this person")]
    Person,
    /// The policy permits it for other questions than this.
    #[error("the permit is for another request")]
    Permit,
}

/// A request that this person may be asked about.
#[derive(Debug)]
pub struct Question {
    request: DecoupledRequest,
    session: Session,
}

impl Question {
    /// Puts a request to the person of a session.
    ///
    /// # Errors
    /// It is not theirs to answer, or no longer.
    pub fn ask(
        request: DecoupledRequest,
        answered: Option<&Answer>,
        client: &ClientRecord,
        tenant: &TenantRecord,
        session: &Session,
        now: UnixTime,
    ) -> Result<Self, QuestionRefused> {
        if answered.is_some() {
            return Err(QuestionRefused::Answered);
        }
        if now >= request.expires {
            return Err(QuestionRefused::Expired);
        }
        if !still_registered(&request, client, tenant) {
            return Err(QuestionRefused::Client);
        }
        let theirs = request.user.is_none_or(|user| user == session.user);
        if !theirs || session.tenant != request.tenant || !session.is_live(now) {
            return Err(QuestionRefused::Person);
        }
        Ok(Self {
            request,
            session: session.clone(),
        })
    }

    /// What is asked.
    #[must_use]
    pub const fn request(&self) -> &DecoupledRequest {
        &self.request
    }

    /// Who is asked.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// What an "Allow" would come to, once for each way in which the client may prove a key: a policy that permits none of them denies the request.
    #[must_use]
    pub fn issuances(
        &self,
        client: &ClientRecord,
        person: &ResolvedUser,
        tenant: &TenantRecord,
        now: UnixTime,
    ) -> Vec<Issuance> {
        let Some(audience) = self.request.audiences.first() else {
            return Vec::new();
        };
        let bindings = match self.request.dpop_jkt {
            Some(proven) => vec![Binding::Dpop(proven)],
            None => vec![
                Binding::Bearer,
                Binding::Dpop(JwkThumbprint::from_bytes([0; 32])),
                Binding::Certificate(CertificateThumbprint::from_bytes([0; 32])),
            ],
        };
        let subject = UserSubject::new(
            person,
            self.session.id,
            Authentication::of(&self.session.methods, self.session.auth_time),
            audience,
            tenant,
        );
        let issuance = |binding| {
            let parts = Parts {
                tenant,
                client,
                grant_type: self.request.flow.grant_type(),
                grant: self.request.grant,
                subject: TokenSubject::User(subject.clone()),
                scopes: self.request.scopes.clone(),
                audience: audience.clone(),
                binding,
                not_after: self.request.expires,
                details: self.request.particulars.authorization_details.clone(),
                token_id: [0; 16],
            };
            Issuance::access_token(parts, now)
        };
        bindings.into_iter().map(issuance).collect()
    }

    /// The person said yes to what policy permits.
    ///
    /// # Errors
    /// The permit is for another request or another person.
    pub fn allow(self, permit: &Permitted<Issuance>) -> Result<Answer, QuestionRefused> {
        let permitted = permit.target();
        let theirs = match permitted.subject() {
            TokenSubject::User(user) => user.id == self.session.user,
            TokenSubject::Client(_) => false,
        };
        if !theirs || permitted.grant() != self.request.grant {
            return Err(QuestionRefused::Permit);
        }
        Ok(Answer::Allowed(Allowance {
            user: self.session.user,
            session: self.session.id,
            auth_time: self.session.auth_time,
            methods: self.session.methods.clone(),
        }))
    }

    /// The person said no.
    #[must_use]
    pub const fn deny(&self) -> Answer {
        Answer::Denied(self.session.user)
    }
}

/// Whether the client may still ask for all of it: registrations change while requests wait.
pub(crate) fn still_registered(
    request: &DecoupledRequest,
    client: &ClientRecord,
    tenant: &TenantRecord,
) -> bool {
    let own = tenant.own_audience();
    let permitted =
        |audience: &Audience| client.audiences.contains(audience) || own.as_ref() == Some(audience);
    client.enabled
        && client.id == request.client
        && client.tenant == request.tenant
        && client.grants.contains(&request.flow.grant_type())
        && request.scopes.is_subset(&client.scopes)
        && request.audiences.iter().all(permitted)
        && tenant
            .detail_types
            .check(&request.particulars.authorization_details, client)
            .is_ok()
}

#[cfg(test)]
mod tests;
