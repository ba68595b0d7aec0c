//! `/account/change`: what a button on the account pages does. The whole change stands in its sealed ticket.

use super::{
    Change, ask_again, factors, has_primary_factor, owner, password, permit, primary_factor, proof,
    show_after,
};
use crate::identity::Identity;
use crate::identity::answer::{Failure, see_other};
use crate::identity::call::Call;
use crate::identity::own_page::{self, Entry, OwnPage, Pressed};
use crate::identity::ticket::Step;
use crate::identity::upstream;
use crate::identity::{cookies, record};
use crate::pages::account::Note;
use axum::response::Response;
use countersign_audit::event::{
    Actor, Consent, ConsentAnswer, GrantRevoked, SignOut, UpstreamLink, Verdict,
};
use countersign_audit::{Code, Event, Text};
use countersign_base::{ClientId, GrantId, SessionId};
use countersign_federation::linking::{LinkRefusal, SessionProof};
use countersign_federation::login::{Freshness, LoginPurpose};
use countersign_federation::{LinkingRule, ProviderName};
use countersign_oauth::authorize::PageError;
use countersign_oauth::{Change as Written, RevocationReason, Session};
use countersign_store::tables::{grants, sessions};
use countersign_store::{Durability, Write};
use std::sync::Arc;

/// Sessions, and grants of one application, that one change ends.
const ENDED_MAX: u16 = 500;

/// A button was pressed.
pub(in crate::identity) async fn change(
    identity: Arc<Identity>,
    mut call: Call,
) -> Result<Response, Failure> {
    let Pressed {
        form,
        session,
        change,
    } = own_page::pressed::<Change>(&identity, &mut call, Step::Account).await?;
    let freshness = change.freshness();
    if freshness.is_missing(&call, &session, identity.fabric.now()) {
        return ask_again(&identity, &call, &session, change.page());
    }
    let page = OwnPage::Account(change.page());
    if let Entry::Asked(asked) = own_page::enter(&identity, &call, &page, &session, None).await? {
        return Ok(asked);
    }
    let owner = owner(&identity, &call, &session).await?;
    if change.adds_a_factor()
        && has_primary_factor(&identity, &call, &owner).await?
        && proof(&session) != SessionProof::Primary
    {
        return ask_again(&identity, &call, &session, change.page());
    }
    let _permitted = permit(
        &identity,
        &call,
        &owner,
        change.operation(),
        Durability::Durable,
    )
    .await?;
    let page = change.page();
    let note = match change {
        Change::AddPasskey(challenge) => {
            factors::add_passkey(&identity, &call, &session, &challenge, &form).await?
        }
        Change::ConfirmApp(sealed) => {
            return factors::confirm_app(&identity, &call, &session, sealed, &form).await;
        }
        Change::EndEverySession => return end_every_session(&identity, &call, &session).await,
        Change::EndSession(ended) => end_session(&identity, &call, &session, ended).await?,
        Change::Link(provider) => return link(&identity, &call, &session, &provider).await,
        Change::NewRecoveryCodes => {
            return factors::new_recovery_codes(&identity, &call, &session).await;
        }
        Change::RemoveAccess(client) => remove_access(&identity, &call, &session, client).await?,
        Change::RemoveApp => factors::remove_app(&identity, &call, &session).await?,
        Change::RemovePasskey(id) => {
            factors::remove_passkey(&identity, &call, &session, id).await?
        }
        Change::RenamePasskey(id) => {
            factors::rename_passkey(&identity, &call, &session, id, &form).await?
        }
        Change::SetPassword => {
            return password::set(&identity, &call, &session, &owner, &form).await;
        }
        Change::Unlink(provider) => unlink(&identity, &call, &session, provider).await?,
    };
    show_after(&identity, &call, &session, page, Some(note)).await
}

/// Writes, with the event that reports it; what was revoked is denied by this node from now on.
pub(super) async fn write(
    identity: &Identity,
    call: &Call,
    writes: Vec<Write>,
    event: impl Into<Event>,
) -> Result<(), Failure> {
    let fabric = &identity.fabric;
    let (tenant, now) = (&call.tenant.name, fabric.now());
    let event = fabric.recorder().about_event(tenant, Some(call.id), event);
    let _receipt = fabric.store().change(tenant, writes, event, now).await?;
    fabric.revocations().refresh(fabric.store(), now).await?;
    Ok(())
}

async fn end_session(
    identity: &Identity,
    call: &Call,
    session: &Session,
    ended: SessionId,
) -> Result<Note, Failure> {
    let mut connection = identity.fabric.store().read().await?;
    let theirs = sessions::find(&mut connection, &call.tenant.name, ended)
        .await?
        .is_some_and(|found| found.user == session.user);
    drop(connection);
    if !theirs {
        return Err(PageError::InteractionOver.into());
    }
    let event = SignOut {
        reason: Code::of("owner"),
        session: ended,
        user: session.user,
    };
    write(identity, call, vec![Write::EndSession(ended)], event).await?;
    Ok(Note::Done("The session is ended."))
}

/// Ends the others first and the asking one last, so that who is interrupted can ask again.
async fn end_every_session(
    identity: &Identity,
    call: &Call,
    session: &Session,
) -> Result<Response, Failure> {
    loop {
        let now = identity.fabric.now();
        let mut connection = identity.fabric.store().read().await?;
        let found = sessions::of_user(
            &mut connection,
            &call.tenant.name,
            session.user,
            ENDED_MAX,
            now,
        )
        .await?;
        drop(connection);
        let others: Vec<SessionId> = found
            .iter()
            .map(|found| found.id)
            .filter(|id| *id != session.id)
            .collect();
        let last = others.is_empty();
        let ended = if last { vec![session.id] } else { others };
        let writes = ended.iter().map(|id| Write::EndSession(*id)).collect();
        let event = SignOut {
            reason: Code::of("everywhere"),
            session: session.id,
            user: session.user,
        };
        write(identity, call, writes, event).await?;
        if last {
            break;
        }
    }
    let mut response = see_other(&call.path_of("/logout"))?;
    cookies::clear_session(&mut response, &call.tenant.name)?;
    Ok(response)
}

/// Forgets the consent and revokes every grant: refresh tokens and access tokens of it are dead at once (R57).
async fn remove_access(
    identity: &Identity,
    call: &Call,
    session: &Session,
    client: ClientId,
) -> Result<Note, Failure> {
    let (user, now) = (session.user, identity.fabric.now());
    let mut connection = identity.fabric.store().read().await?;
    let found = grants::of_user(&mut connection, &call.tenant.name, user, ENDED_MAX, now).await?;
    drop(connection);
    let mut ended = found
        .into_iter()
        .filter(|grant| grant.client == client)
        .map(|grant| grant.id);
    let first = ended.next();
    for grant in ended {
        let revoked = Write::from(Written::GrantRevoked {
            grant,
            reason: RevocationReason::OwnerRevoked,
            at: now,
        });
        write(identity, call, vec![revoked], revocation(grant, session)).await?;
    }
    let mut writes = vec![Write::RemoveConsent(user, client.clone())];
    match first {
        Some(grant) => {
            writes.push(Write::from(Written::GrantRevoked {
                grant,
                reason: RevocationReason::OwnerRevoked,
                at: now,
            }));
            write(identity, call, writes, revocation(grant, session)).await?;
        }
        None => {
            let event = Consent {
                answer: ConsentAnswer::Denied,
                client: client.clone(),
                grant: None,
                scopes: Text::of(""),
                user,
            };
            write(identity, call, writes, event).await?;
        }
    }
    Ok(Note::Done("The application has no access any more."))
}

fn revocation(grant: GrantId, session: &Session) -> GrantRevoked {
    GrantRevoked {
        by: Actor::User(session.user),
        grant,
        reason: Code::of("owner"),
    }
}

/// Sends the person to the provider that they want to link.
async fn link(
    identity: &Identity,
    call: &Call,
    session: &Session,
    provider: &ProviderName,
) -> Result<Response, Failure> {
    if let Err(refusal) = primary_factor(session, identity.fabric.now()) {
        return Err(refused(identity, call, session, provider, refusal));
    }
    let Some(upstream) = upstream::find(identity, call, provider.as_str())
        .filter(|upstream| upstream.record().linking != LinkingRule::None)
    else {
        return Err(refused(
            identity,
            call,
            session,
            provider,
            LinkRefusal::NotAllowed,
        ));
    };
    let purpose = LoginPurpose::Link {
        user: session.user,
        session: session.id,
    };
    // A provider that remembers somebody else on this device must not link their account.
    let url = upstream::depart(identity, call, &upstream, purpose, Freshness::Now, None).await?;
    Ok(upstream::onward(call, upstream.record(), &url))
}

fn refused(
    identity: &Identity,
    call: &Call,
    session: &Session,
    provider: &ProviderName,
    refusal: LinkRefusal,
) -> Failure {
    let event = UpstreamLink {
        change: Code::of("linked"),
        decision: Verdict::Denied,
        provider: Text::of(provider.as_str()),
        reason: Some(Code::of(refusal.as_str())),
        user: session.user,
    };
    if let Err(failure) = record::refused(identity, call, event) {
        return failure;
    }
    match refusal {
        LinkRefusal::NoPrimaryFactor => PageError::PrimaryFactorNeeded,
        LinkRefusal::BelongsToAnother | LinkRefusal::NoLink | LinkRefusal::NotAllowed => {
            PageError::InteractionOver
        }
    }
    .into()
}

/// Ends the links to a provider, and the sessions that came of it.
async fn unlink(
    identity: &Identity,
    call: &Call,
    session: &Session,
    provider: ProviderName,
) -> Result<Note, Failure> {
    if let Err(refusal) = primary_factor(session, identity.fabric.now()) {
        return Err(refused(identity, call, session, &provider, refusal));
    }
    let event = UpstreamLink {
        change: Code::of("ended"),
        decision: Verdict::Allowed,
        provider: Text::of(provider.as_str()),
        reason: None,
        user: session.user,
    };
    let writes = vec![Write::RemoveLinks(provider, session.user)];
    write(identity, call, writes, event).await?;
    Ok(Note::Done("The account is not linked any more."))
}
