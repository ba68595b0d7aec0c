//! What an identity that a provider vouches for comes to here: a session of the account that has its link, an account of its own, or a new link (A53, A59).

use super::Refused;
use crate::identity::Identity;
use crate::identity::answer::{Failure, see_other};
use crate::identity::call::Call;
use crate::identity::sign_in::session::{NotBegun, Vouched};
use crate::identity::sign_in::{self, Proven};
use crate::identity::ticket::{self, Step, Ticket};
use crate::identity::{account, cookies};
use axum::response::Response;
use countersign_audit::event::{Actor, UpstreamLink, UserAdded, Verdict};
use countersign_audit::{Code, Text};
use countersign_base::{SessionId, UserId, Username};
use countersign_federation::linking::{self, LinkRefusal};
use countersign_federation::{
    LinkOrigin, LinkRecord, LoginPurpose, ProviderRecord, SignIn, UpstreamIdentity,
};
use countersign_oauth::UserRecord;
use countersign_oauth::authentication::AuthenticationMethod;
use countersign_oauth::authorize::PageError;
use countersign_oauth::client::Origin;
use countersign_store::tables::{upstream_links, users};
use countersign_store::{StoreError, Write};
use std::collections::{BTreeMap, BTreeSet};

/// Somebody whom a provider vouches for, and what they came for.
pub(super) struct Arrived {
    pub(super) identity: UpstreamIdentity,
    pub(super) purpose: LoginPurpose,
}

/// Lets them in, or says why not.
pub(super) async fn receive(
    identity: &Identity,
    call: &Call,
    provider: &ProviderRecord,
    arrived: Arrived,
) -> Result<Response, Refused> {
    let Arrived {
        identity: vouched,
        purpose,
    } = arrived;
    let found = find_link(identity, call, &vouched).await?;
    match purpose {
        LoginPurpose::SignIn { ticket } => {
            match linking::sign_in(provider, &vouched, found.as_ref()) {
                SignIn::Known(user) => begin_session(identity, call, &vouched, user, &ticket).await,
                SignIn::Create(username) => {
                    create(identity, call, &vouched, username, &ticket).await
                }
                SignIn::Refused(refusal) => {
                    Err(Refused::new(PageError::UpstreamNobody, refusal.as_str()))
                }
            }
        }
        LoginPurpose::Link { user, session } => {
            link(
                identity,
                call,
                provider,
                &vouched,
                found.as_ref(),
                (user, session),
            )
            .await
        }
    }
}

async fn find_link(
    identity: &Identity,
    call: &Call,
    vouched: &UpstreamIdentity,
) -> Result<Option<LinkRecord>, Refused> {
    let mut connection = identity.fabric.store().read().await?;
    let link = upstream_links::find(
        &mut connection,
        &call.tenant.name,
        vouched.provider(),
        vouched.issuer(),
        vouched.subject(),
    );
    Ok(link.await?)
}

/// A session of the account, or what policy asks for beyond the provider's word.
async fn begin_session(
    identity: &Identity,
    call: &Call,
    vouched: &UpstreamIdentity,
    user: UserId,
    ticket: &str,
) -> Result<Response, Refused> {
    let found = {
        let mut connection = identity.fabric.store().read().await?;
        users::find(&mut connection, &call.tenant.name, user).await?
    };
    let disabled = || Refused::new(PageError::UpstreamNobody, "user_disabled").about(user);
    let record = found.filter(|user| user.enabled).ok_or_else(disabled)?;
    let ticket: Ticket = ticket::open(identity, call, Step::Resume, Some(ticket))
        .map_err(|error| Refused::from(Failure::from(error)).about(user))?;
    let proven = Proven {
        user: record,
        method: AuthenticationMethod::Federated,
        failures: 0,
        guess: None,
        writes: Vec::new(),
        vouched: Some(Vouched::new(vouched, identity.fabric.now())),
    };
    match sign_in::go_on(identity, call, ticket, proven).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(NotBegun::Ended("users"))) => Err(disabled()),
        Ok(Err(NotBegun::Ended(_) | NotBegun::FactorUsed)) => {
            let refused = Refused::new(PageError::UpstreamFailed, "upstream_ended_meanwhile");
            Err(refused.about(user))
        }
        Err(failure) => Err(Refused::from(failure).about(user)),
    }
}

/// An account that nobody had before: no password, no roles, no groups.
async fn create(
    identity: &Identity,
    call: &Call,
    vouched: &UpstreamIdentity,
    username: Username,
    ticket: &str,
) -> Result<Response, Refused> {
    let fabric = &identity.fabric;
    let (tenant, now) = (&call.tenant.name, fabric.now());
    let taken = {
        let mut connection = fabric.store().read().await?;
        users::find_by_name(&mut connection, tenant, &username).await?
    };
    if let Some(owner) = taken {
        // Its owner may link the identity; nobody else gets near the account by a name.
        let refused = Refused::new(PageError::UpstreamNameTaken, "username_taken");
        return Err(refused.about(owner.id));
    }
    let record = UserRecord {
        id: fabric.random().user_id(),
        tenant: tenant.clone(),
        username,
        password: None,
        roles: BTreeSet::new(),
        groups: BTreeSet::new(),
        attributes: BTreeMap::new(),
        profile: countersign_oauth::profile::Profile::default(),
        enabled: true,
        origin: Origin::Script,
        created: now,
    };
    let user = record.id;
    let link = LinkRecord::new(tenant.clone(), vouched, user, LinkOrigin::FirstSignIn, now);
    let added = UserAdded {
        by: Actor::User(user),
        user,
    };
    let event = fabric.recorder().about_event(tenant, Some(call.id), added);
    let writes = vec![
        Write::AddUser(Box::new(record)),
        Write::AddLink(Box::new(link)),
    ];
    match fabric.store().change(tenant, writes, event, now).await {
        Ok(_receipt) => begin_session(identity, call, vouched, user, ticket).await,
        Err(StoreError::Conflict(..)) => {
            Err(Refused::new(PageError::UpstreamNameTaken, "username_taken"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Links the identity to the account of the person who asked for it, if they still are who they were, by their primary factor, a moment ago.
async fn link(
    identity: &Identity,
    call: &Call,
    provider: &ProviderRecord,
    vouched: &UpstreamIdentity,
    found: Option<&LinkRecord>,
    (user, session): (UserId, SessionId),
) -> Result<Response, Refused> {
    let fabric = &identity.fabric;
    let (tenant, now) = (&call.tenant.name, fabric.now());
    let current = cookies::session(identity, call)
        .await
        .map_err(|_| Refused::new(PageError::Unavailable, "unavailable"))?
        .filter(|current| current.id == session && current.user == user)
        .ok_or_else(|| Refused::new(PageError::InteractionOver, "session_ended").about(user))?;
    let refused = |refusal: LinkRefusal| {
        let page = match refusal {
            LinkRefusal::BelongsToAnother => PageError::UpstreamNameTaken,
            LinkRefusal::NoLink | LinkRefusal::NotAllowed => PageError::UpstreamFailed,
            LinkRefusal::NoPrimaryFactor => PageError::InteractionOver,
        };
        Refused::new(page, refusal.as_str()).about(user)
    };
    let proven = account::primary_factor(&current, now).map_err(refused)?;
    let record = linking::link(provider, vouched, found, proven, now).map_err(refused)?;
    if found.is_none() {
        let event = UpstreamLink {
            change: Code::of("linked"),
            decision: Verdict::Allowed,
            provider: Text::of(provider.name.as_str()),
            reason: None,
            user,
        };
        let event = fabric.recorder().about_event(tenant, Some(call.id), event);
        let writes = vec![Write::AddLink(Box::new(record))];
        match fabric.store().change(tenant, writes, event, now).await {
            Ok(_receipt) => {}
            Err(StoreError::Conflict(..)) => return Err(refused(LinkRefusal::BelongsToAnother)),
            Err(error) => return Err(error.into()),
        }
    }
    call.was_recorded();
    see_other(&call.path_of("/account/providers"))
        .map_err(|_| Refused::new(PageError::Unavailable, "unavailable"))
}
