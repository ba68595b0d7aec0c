//! Conditional access at every step: whether policy lets somebody go on with what they proved, from where they are. The decision and its policies are recorded
//! before anything comes of it, and nothing goes on without the evidence.

use super::super::Identity;
use super::super::answer::Failure;
use super::super::call::Call;
use super::super::ticket::Ticket;
use super::second_factor::{self, Pending};
use super::{device, throttle};
use axum::response::Response;
use countersign_authn::Acr;
use countersign_authn::webauthn::Challenge;
use countersign_base::{ClientId, UnixTime, UserId};
use countersign_oauth::authentication::access::{
    Access, Remedy, SignInAttempt, Signals, judge as ask_policy,
};
use countersign_oauth::authorize::PageError;
use countersign_oauth::{AuthenticationMethod, ResolvedUser, Session, UserRecord};
use countersign_policy::Permitted;
use countersign_store::tables::users::Held;
use countersign_store::tables::{authenticators, user_groups, users};
use countersign_store::{Durability, Recorded};
use std::collections::BTreeSet;

/// What somebody claims to have proven.
pub(super) struct Claim<'a> {
    pub(super) user: &'a UserRecord,
    pub(super) client: Option<&'a ClientId>,
    pub(super) methods: &'a BTreeSet<AuthenticationMethod>,
    /// Attempts that failed before this one.
    pub(super) failures: u32,
    pub(super) auth_time: UnixTime,
}

/// What policy said.
pub(in super::super) enum Admission {
    /// They may go on.
    Admitted(Admitted),
    /// They may after this.
    Needs(Remedied),
    /// They may not.
    Refused,
}

/// What it takes.
pub(in super::super) enum Remedied {
    /// To prove once more who they are.
    Again,
    /// A factor that brings them to this class.
    Class(Acr),
}

/// Evidence that policy lets somebody go on, and that it is recorded.
#[must_use]
pub(in super::super) struct Admitted {
    permit: Box<Recorded<Permitted<SignInAttempt>>>,
}

impl Admitted {
    fn attempt(&self) -> &SignInAttempt {
        self.permit.decision().target()
    }

    /// Whether it is about this person on their way to this client.
    pub(in super::super) fn is_of(&self, user: UserId, client: &ClientId) -> bool {
        self.user() == user && self.attempt().client() == Some(client)
    }

    /// Who.
    pub(super) fn user(&self) -> UserId {
        self.attempt().user()
    }

    /// What has to stand of them when something comes of it: the password that they typed is still theirs.
    pub(super) fn held(&self) -> Held {
        let password = &self.attempt().person().user.password;
        match password {
            Some(password) if self.methods().contains(&AuthenticationMethod::Password) => {
                Held::Password(password.clone())
            }
            Some(_) | None => Held::Enabled,
        }
    }

    /// What they used.
    pub(super) fn methods(&self) -> &BTreeSet<AuthenticationMethod> {
        self.attempt().methods()
    }
}

/// Asks policy and records what it says.
pub(super) async fn judge(
    identity: &Identity,
    call: &Call,
    claim: Claim<'_>,
    durability: Durability,
) -> Result<Admission, Failure> {
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    let device = device(identity, call, claim.user.id).await?;
    let mut connection = fabric.store().read().await?;
    let groups = user_groups::of_user(&mut connection, tenant, claim.user.id).await?;
    let factors = authenticators::factors_of(&mut connection, tenant, claim.user.id).await?;
    drop(connection);
    let signals = Signals {
        source: call.source(),
        device,
        failures: claim.failures,
        auth_time: claim.auth_time,
        now: fabric.now(),
    };
    let attempt = SignInAttempt::new(
        ResolvedUser::new(claim.user.clone(), &groups),
        claim.client.cloned(),
        claim.methods.clone(),
        factors,
        signals,
    );
    let access = ask_policy(&fabric.policies(), attempt);
    call.was_recorded();
    match access {
        Access::Permitted(permitted) => {
            fabric.metrics().decided("sign_in", "permitted");
            let permit = fabric.recorder().record(permitted, durability).await?;
            Ok(Admission::Admitted(Admitted {
                permit: Box::new(permit),
            }))
        }
        Access::Denied(denied, remedy) => {
            fabric.metrics().decided("sign_in", "denied");
            let _recorded = fabric.recorder().record_denied(denied)?;
            Ok(match remedy {
                Remedy::None => Admission::Refused,
                Remedy::SignInAgain => Admission::Needs(Remedied::Again),
                Remedy::Reach(acr) => Admission::Needs(Remedied::Class(acr)),
            })
        }
    }
}

/// Asks policy about a session that goes on. Somebody who is disabled or gone is refused.
pub(in super::super) async fn of_session(
    identity: &Identity,
    call: &Call,
    session: &Session,
    client: Option<&ClientId>,
) -> Result<Admission, Failure> {
    let mut connection = identity.fabric.store().read().await?;
    let user = users::find(&mut connection, &call.tenant.name, session.user).await?;
    drop(connection);
    let Some(user) = user.filter(|user| user.enabled) else {
        return Ok(Admission::Refused);
    };
    let claim = Claim {
        user: &user,
        client,
        methods: &session.methods,
        failures: throttle::failures(identity, call, user.username.as_str()),
        auth_time: session.auth_time,
    };
    judge(identity, call, claim, Durability::Queued).await
}

/// Asks a session for the factor that brings it to `wanted`.
pub(in super::super) async fn step_up(
    identity: &Identity,
    call: &Call,
    ticket: Ticket,
    session: &Session,
    wanted: Acr,
) -> Result<Response, Failure> {
    let mut connection = identity.fabric.store().read().await?;
    let user = users::find(&mut connection, &call.tenant.name, session.user).await?;
    drop(connection);
    let user = user.ok_or(PageError::InteractionOver)?;
    let pending = Pending {
        ticket,
        password: second_factor::password_tag(identity, call, &user),
        user: session.user,
        methods: session.methods.clone(),
        auth_time: session.auth_time,
        session: Some(session.id),
        vouched: None,
        wanted,
        failures: 0,
        challenge: Challenge::new(identity.fabric.random().bytes()),
    };
    second_factor::ask(identity, call, pending, None).await
}
