//! What a unit changes, as data: a pure `judge` returns a list of these, and the store carries them out in its transaction.

use crate::logout;
use crate::tables::access_tokens::{self, NewAccessToken};
use crate::tables::api_keys::{self, NewApiKey};
use crate::tables::authenticators::{self, AuthenticatorChange};
use crate::tables::browser_sessions::{self, NewBrowserSession, Whose};
use crate::tables::clients::Removed;
use crate::tables::decoupled_requests::NewDecoupled;
use crate::tables::deliveries::{NewDelivery, Queued};
use crate::tables::event_details::EventDetail;
use crate::tables::one_time::NewOneTime;
use crate::tables::revocations::Revoked;
use crate::tables::signing_keys::SigningKeyRecord;
use crate::tables::upstream_sessions::UpstreamSession;
use crate::tables::users::{Held, NewPassword, RenewedPassword};
use crate::tables::{
    PAGE_MAX, audit_outbox, clients, consents, decoupled_requests, deliveries, erasures,
    event_details, exchanges, grants, identity_providers, one_time, refresh_families, revocations,
    sessions, signing_keys, subject_keys, tenants, throttle, upstream_links, upstream_sessions,
    user_groups, users,
};
use crate::webhooks::{self, WebhookWrite};
use crate::{StoreError, Transaction};
use countersign_audit::Record;
use countersign_base::{ClientId, GrantId, GroupName, Kid, SessionId, Tenant, UnixTime, UserId};
use countersign_crypto::mac::Tag;
use countersign_federation::{LinkRecord, ProviderName, ProviderRecord};
use countersign_keys::rotation::SigningKeyState;
use countersign_oauth::decoupled::Answer;
use countersign_oauth::{
    Change, ClientRecord, ConsentRecord, GroupRecord, Session, TenantRecord, UserRecord,
};

/// One change of what is stored, within one tenant.
#[derive(Clone)]
pub enum Write {
    /// A new access token without content.
    AddAccessToken(Box<NewAccessToken>),
    /// A new API key of a client that is enabled.
    AddApiKey(Box<NewApiKey>),
    /// A new session of a browser at the gateway.
    AddBrowserSession(Box<NewBrowserSession>),
    /// A new client; there must be none of its id.
    AddClient(Box<ClientRecord>),
    /// A new client that registers itself; there must be none of its id, and fewer than so many of its kind.
    AddRegistered(Box<ClientRecord>, u32),
    /// A new request that waits for a person.
    AddDecoupled(NewDecoupled),
    /// A new one-time value.
    AddOneTime(NewOneTime),
    /// A link of an upstream identity to an account; the identity must have none.
    AddLink(Box<LinkRecord>),
    /// A new session, and the keyed hash of its cookie.
    AddSession(Tag, Box<Session>),
    /// A new session by an upstream identity: only while its provider, its link and its person stand.
    AddUpstreamSession(Box<UpstreamSession>),
    /// A new signing key.
    AddSigningKey(Box<SigningKeyRecord>),
    /// A new person; there must be none of their id or username.
    AddUser(Box<UserRecord>),
    /// What a person said of the request of this grant; nobody may have answered it before.
    AnswerDecoupled(GrantId, Box<Answer>),
    /// A factor that somebody proves who they are with.
    Authenticator(AuthenticatorChange),
    /// What the authorization server's protocol decided.
    Apply(Box<Change>),
    /// The failures under this keyed hash are forgotten.
    ClearFailures(Tag),
    /// Something to be delivered elsewhere, once this is committed.
    Deliver(Box<NewDelivery>),
    /// The client of a metadata document, as the document is now: `created` stays as it was, and one that is disabled stays so and takes the write along.
    FollowDocument(Box<ClientRecord>),
    /// The client of a metadata document that had been withdrawn and is there again. One that was disabled otherwise stays so and takes the write along.
    RestoreDocument(Box<ClientRecord>),
    /// The document of a client was withdrawn: the client is disabled until it is there again, and every token it has is dead.
    WithdrawDocument(ClientId),
    /// The sealed query of the event.
    Detail(EventDetail),
    /// The end of an API key.
    EndApiKey(GrantId),
    /// The end of a browser's session at the gateway.
    EndBrowserSession(Tag),
    /// The end of every session of this name at the gateway that its issuer speaks of.
    EndBrowserSessions {
        /// What the configuration calls them.
        name: String,
        /// Which.
        whose: Whose,
        /// Those that began until then.
        said: UnixTime,
    },
    /// The end of a session, with every token that came of it.
    EndSession(SessionId),
    /// Nothing of its own: the unit happens only while this person may sign in and still has what they proved.
    HoldUser(UserId, Held),
    /// A key enters its next state; the first state is the one it must be in.
    MoveSigningKey(Kid, SigningKeyState, SigningKeyState),
    /// The end of a person's key, of their record and of what hangs on it: factors, consents, links, sign-ins, grants and tokens.
    EraseSubject(UserId),
    /// A client, new or replaced.
    PutClient(Box<ClientRecord>),
    /// A consent, new or replaced.
    PutConsent(Box<ConsentRecord>),
    /// A group, new or replaced.
    PutGroup(Box<GroupRecord>),
    /// An identity provider, new or replaced. One that is disabled, or has another issuer than before, takes the sessions that came of it along.
    PutProvider(Box<ProviderRecord>),
    /// A tenant, new or replaced.
    PutTenant(Box<TenantRecord>),
    /// A person, new or replaced.
    PutUser(Box<UserRecord>),
    /// A session with one factor more, and the keyed hash of its new cookie.
    RaiseSession(Tag, Box<Session>),
    /// The end of a client, with every token it has.
    RemoveClient(ClientId),
    /// What a person allowed a client is forgotten, and every live grant that they gave it ends (R57).
    RemoveConsent(UserId, ClientId),
    /// The end of a group.
    RemoveGroup(GroupName),
    /// The end of a person's links to a provider, and of their sessions that came of it.
    RemoveLinks(ProviderName, UserId),
    /// The end of a key.
    RemoveSigningKey(Kid),
    /// The end of a person's record, with every token about them.
    RemoveUser(UserId),
    /// A stronger hash of the password that a person has.
    RenewPassword(Box<RenewedPassword>),
    /// A password that its owner chose, and the end of every session of theirs but the one in which they did.
    SetPassword(Box<NewPassword>),
    /// An API key of this client ends at this time, if it would live longer.
    ShortenApiKey(ClientId, GrantId, UnixTime),
    /// Every token of something, issued until now, is dead. Of a person: their sessions and grants end too.
    Revoke(Revoked),
    /// A change of a webhook's endpoint, its secrets or an event type.
    Webhook(Box<WebhookWrite>),
}

impl From<Change> for Write {
    fn from(change: Change) -> Self {
        Self::Apply(Box::new(change))
    }
}

/// Carries out the writes in their order.
#[expect(clippy::too_many_lines, reason = "one exhaustive match")]
pub(crate) async fn apply(
    tx: &mut Transaction,
    tenant: &Tenant,
    writes: &[Write],
    now: UnixTime,
) -> Result<(), StoreError> {
    for write in writes {
        match write {
            Write::AddAccessToken(new) => access_tokens::add(tx, tenant, new).await?,
            Write::AddApiKey(new) => api_keys::add(tx, tenant, new, now).await?,
            Write::AddBrowserSession(new) => browser_sessions::add(tx, tenant, new, now).await?,
            Write::AddClient(record) => clients::add(tx, tenant, record, now).await?,
            Write::AddRegistered(record, max) => {
                clients::add_registered(tx, tenant, record, *max, now).await?;
            }
            Write::AddDecoupled(new) => decoupled_requests::add(tx, tenant, new).await?,
            Write::AddOneTime(new) => one_time::add(tx, tenant, new).await?,
            Write::AddLink(link) => upstream_links::add(tx, tenant, link).await?,
            Write::AddSession(handle, session) => {
                sessions::add(tx, tenant, handle, session).await?
            }
            Write::AddUpstreamSession(new) => upstream_sessions::add(tx, tenant, new).await?,
            Write::AddSigningKey(row) => signing_keys::add(tx, tenant, row).await?,
            Write::AddUser(record) => users::add(tx, tenant, record, now).await?,
            Write::AnswerDecoupled(grant, answer) => {
                decoupled_requests::answer(tx, tenant, *grant, answer, now).await?;
            }
            Write::Authenticator(change) => authenticators::apply(tx, tenant, change, now).await?,
            Write::Apply(change) => self::change(tx, tenant, change).await?,
            Write::ClearFailures(source) => throttle::clear(tx, tenant, source).await?,
            Write::Deliver(new) => {
                let _queued: Queued = deliveries::add(tx, tenant, new, now).await?;
            }
            Write::Detail(detail) => {
                event_details::add_all(tx, &[(tenant.clone(), detail.clone())]).await?;
            }
            Write::FollowDocument(record) => follow_document(tx, tenant, record, now).await?,
            Write::RestoreDocument(record) => restore_document(tx, tenant, record, now).await?,
            Write::WithdrawDocument(client) => withdraw_document(tx, tenant, client, now).await?,
            Write::EndApiKey(key) => api_keys::end(tx, tenant, *key, now).await?,
            Write::EndBrowserSession(handle) => {
                browser_sessions::end(tx, tenant, handle).await?;
            }
            Write::EndBrowserSessions { name, whose, said } => {
                browser_sessions::end_of(tx, tenant, name, whose, *said).await?;
            }
            Write::EndSession(session) => end_session(tx, tenant, *session, now).await?,
            Write::HoldUser(user, held) => users::hold_as(tx, tenant, *user, held).await?,
            Write::MoveSigningKey(kid, from, to) => {
                move_signing_key(tx, tenant, kid, (*from, *to), now).await?;
            }
            Write::EraseSubject(user) => erase_subject(tx, tenant, *user, now).await?,
            Write::PutClient(record) => clients::put(tx, tenant, record, now).await?,
            Write::PutConsent(record) => consents::put(tx, tenant, record).await?,
            Write::PutGroup(record) => user_groups::put(tx, tenant, record, now).await?,
            Write::PutProvider(record) => put_provider(tx, tenant, record, now).await?,
            Write::PutTenant(record) => tenants::put(tx, record, now).await?,
            Write::PutUser(record) => users::put(tx, tenant, record, now).await?,
            Write::RaiseSession(handle, session) => {
                sessions::raise(tx, tenant, handle, session).await?
            }
            Write::RemoveClient(client) => remove_client(tx, tenant, client, now).await?,
            Write::RemoveConsent(user, client) => {
                remove_consent(tx, tenant, *user, client, now).await?;
            }
            Write::RemoveGroup(group) => {
                let _met: Removed = user_groups::remove(tx, tenant, group).await?;
            }
            Write::RemoveLinks(provider, user) => {
                remove_links(tx, tenant, provider, *user, now).await?;
            }
            Write::RemoveSigningKey(kid) => {
                let _met: Removed = signing_keys::remove(tx, tenant, kid).await?;
            }
            Write::RemoveUser(user) => remove_user(tx, tenant, *user, now).await?,
            Write::RenewPassword(renewed) => {
                users::renew_password(tx, tenant, renewed, now).await?;
            }
            Write::SetPassword(new) => set_password(tx, tenant, new, now).await?,
            Write::ShortenApiKey(client, key, at) => {
                api_keys::shorten(tx, tenant, client, *key, *at).await?;
            }
            Write::Revoke(Revoked::User(user)) => end_user(tx, tenant, *user, now).await?,
            Write::Revoke(revoked) => revocations::add(tx, tenant, revoked, now).await?,
            Write::Webhook(write) => webhooks::apply(tx, tenant, write, now).await?,
        }
    }
    Ok(())
}

/// Ends a session with every token that came of it, and tells the clients that want to hear.
async fn end_session(
    tx: &mut Transaction,
    tenant: &Tenant,
    session: SessionId,
    now: UnixTime,
) -> Result<(), StoreError> {
    logout::of_session(tx, tenant, session, now).await?;
    sessions::end(tx, tenant, session, now).await?;
    revocations::add(tx, tenant, &Revoked::Session(session), now).await
}

async fn set_password(
    tx: &mut Transaction,
    tenant: &Tenant,
    new: &NewPassword,
    now: UnixTime,
) -> Result<(), StoreError> {
    users::set_password(tx, tenant, new, now).await?;
    loop {
        let others = sessions::others_of_user(tx, tenant, new.user, new.session, PAGE_MAX).await?;
        if others.is_empty() {
            return Ok(());
        }
        for session in others {
            // Their clients are told in transactions of their own: there may be many.
            logout::of_session_later(tx, tenant, session, now).await?;
            sessions::end(tx, tenant, session, now).await?;
            revocations::add(tx, tenant, &Revoked::Session(session), now).await?;
        }
    }
}

async fn follow_document(
    tx: &mut Transaction,
    tenant: &Tenant,
    record: &ClientRecord,
    now: UnixTime,
) -> Result<(), StoreError> {
    match clients::lock(tx, tenant, &record.id).await? {
        None => clients::put(tx, tenant, record, now).await,
        Some(found) if found.enabled => put_document(tx, tenant, &found, record, now).await,
        Some(_) => Err(StoreError::Superseded("clients")),
    }
}

async fn restore_document(
    tx: &mut Transaction,
    tenant: &Tenant,
    record: &ClientRecord,
    now: UnixTime,
) -> Result<(), StoreError> {
    match clients::lock(tx, tenant, &record.id).await? {
        Some(found) if found.enabled || found.registration.document_withdrawn.is_some() => {
            put_document(tx, tenant, &found, record, now).await
        }
        Some(_) | None => Err(StoreError::Superseded("clients")),
    }
}

async fn put_document(
    tx: &mut Transaction,
    tenant: &Tenant,
    found: &ClientRecord,
    record: &ClientRecord,
    now: UnixTime,
) -> Result<(), StoreError> {
    let record = ClientRecord {
        created: found.created,
        ..record.clone()
    };
    clients::put(tx, tenant, &record, now).await
}

async fn withdraw_document(
    tx: &mut Transaction,
    tenant: &Tenant,
    client: &ClientId,
    now: UnixTime,
) -> Result<(), StoreError> {
    let Some(mut found) = clients::lock(tx, tenant, client).await? else {
        return Err(StoreError::Superseded("clients"));
    };
    // Whoever was quicker, another node or an administrator, has ended it already.
    if !found.enabled {
        return Err(StoreError::Superseded("clients"));
    }
    found.enabled = false;
    found.registration.document_withdrawn = Some(now);
    clients::put(tx, tenant, &found, now).await?;
    revocations::add(tx, tenant, &Revoked::Client(client.clone()), now).await
}

async fn put_provider(
    tx: &mut Transaction,
    tenant: &Tenant,
    record: &ProviderRecord,
    now: UnixTime,
) -> Result<(), StoreError> {
    let before = identity_providers::hold(tx, tenant, &record.name).await?;
    identity_providers::put(tx, tenant, record, now).await?;
    let moved = before.is_some_and(|before| before.issuer != record.issuer);
    if moved || !record.is_enabled() {
        upstream_sessions::end_of_provider(tx, tenant, &record.name, now).await?;
    }
    Ok(())
}

async fn move_signing_key(
    tx: &mut Transaction,
    tenant: &Tenant,
    kid: &Kid,
    (from, to): (SigningKeyState, SigningKeyState),
    now: UnixTime,
) -> Result<(), StoreError> {
    match signing_keys::advance(tx, tenant, kid, from, to, now).await? {
        Removed::Absent => Err(StoreError::Superseded("signing_keys")),
        Removed::Done => Ok(()),
    }
}

async fn remove_user(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    now: UnixTime,
) -> Result<(), StoreError> {
    let _met: Removed = users::remove(tx, tenant, user).await?;
    end_user(tx, tenant, user, now).await
}

async fn erase_subject(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    now: UnixTime,
) -> Result<(), StoreError> {
    // The person's row first, as everywhere, so that nodes wait for each other instead of deadlocking.
    let _held = users::hold(tx, tenant, user).await?;
    for link in upstream_links::of_user(tx, tenant, user).await? {
        remove_links(tx, tenant, &link.provider, user, now).await?;
    }
    remove_user(tx, tenant, user, now).await?;
    subject_keys::erase(tx, tenant, user, now).await?;
    erasures::add(tx, tenant, user, now).await
}

async fn remove_client(
    tx: &mut Transaction,
    tenant: &Tenant,
    client: &ClientId,
    now: UnixTime,
) -> Result<(), StoreError> {
    let _met: Removed = clients::remove(tx, tenant, client).await?;
    revocations::add(tx, tenant, &Revoked::Client(client.clone()), now).await
}

async fn remove_links(
    tx: &mut Transaction,
    tenant: &Tenant,
    provider: &ProviderName,
    user: UserId,
    now: UnixTime,
) -> Result<(), StoreError> {
    let _met: Removed = upstream_links::remove(tx, tenant, provider, user).await?;
    upstream_sessions::end_of_user(tx, tenant, provider, user, now).await
}

/// Ends everything a person has: sessions, grants with their refresh tokens, and every token about them. Each grant is revoked by its own id, so that a token
/// which another node made in the same second, or whose `sub` is a pseudonym, dies too.
async fn end_user(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    now: UnixTime,
) -> Result<(), StoreError> {
    revocations::add(tx, tenant, &Revoked::User(user), now).await?;
    sessions::end_of_user(tx, tenant, user, now).await?;
    // Whoever is told is found by the sessions that have just ended.
    logout::of_user(tx, tenant, user, now).await?;
    loop {
        let live = grants::of_user(tx, tenant, user, PAGE_MAX, now).await?;
        if live.is_empty() {
            return Ok(());
        }
        for grant in live {
            grants::revoke(tx, tenant, grant.id, now).await?;
            revocations::add(tx, tenant, &Revoked::Grant(grant.id), now).await?;
        }
    }
}

/// Puts the event beside the unit's changes: it goes into the outbox before their commit, together with those of the units that share it.
pub fn record_event(tx: &mut Transaction, tenant: &Tenant, event: &Record) {
    tx.add_to_outbox(audit_outbox::Added {
        tenant: tenant.clone(),
        event: event.id,
        record: event.encode().into_bytes(),
    });
}

/// Forgets the consent and ends every live grant that came of it.
async fn remove_consent(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    client: &ClientId,
    now: UnixTime,
) -> Result<(), StoreError> {
    let _met: Removed = consents::remove(tx, tenant, user, client).await?;
    for grant in grants::of_user_and_client(tx, tenant, user, client, now).await? {
        grants::revoke(tx, tenant, grant, now).await?;
        revocations::add(tx, tenant, &Revoked::Grant(grant), now).await?;
    }
    Ok(())
}

async fn change(tx: &mut Transaction, tenant: &Tenant, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Exchanged(record) => exchanges::add(tx, tenant, record).await,
        Change::FamilyRotated(family) => refresh_families::rotate(tx, tenant, family).await,
        Change::FamilyStarted(family) => refresh_families::add(tx, tenant, family).await,
        Change::GrantCreated(grant) => grants::put(tx, tenant, grant).await,
        Change::GrantRevoked {
            grant,
            reason: _,
            at,
        } => {
            grants::revoke(tx, tenant, *grant, *at).await?;
            revocations::add(tx, tenant, &Revoked::Grant(*grant), *at).await
        }
    }
}
