//! What a unit changes, as data: a pure `judge` returns a list of these, and the store carries them out in its transaction.

use crate::tables::clients::Removed;
use crate::tables::decoupled_requests::NewDecoupled;
use crate::tables::event_details::EventDetail;
use crate::tables::one_time::NewOneTime;
use crate::tables::revocations::Revoked;
use crate::tables::signing_keys::SigningKeyRecord;
use crate::tables::{
    audit_outbox, clients, consents, decoupled_requests, event_details, grants, one_time,
    refresh_families, revocations, sessions, signing_keys, tenants, user_groups, users,
};
use crate::{StoreError, Transaction};
use countersign_audit::Record;
use countersign_base::{ClientId, GrantId, GroupName, Kid, SessionId, Tenant, UnixTime, UserId};
use countersign_crypto::mac::Tag;
use countersign_keys::rotation::SigningKeyState;
use countersign_oauth::decoupled::Answer;
use countersign_oauth::{
    Change, ClientRecord, ConsentRecord, GroupRecord, Session, TenantRecord, UserRecord,
};

/// One change of what is stored, within one tenant.
#[derive(Clone)]
pub enum Write {
    /// A new client; there must be none of its id.
    AddClient(Box<ClientRecord>),
    /// A new request that waits for a person.
    AddDecoupled(NewDecoupled),
    /// A new one-time value.
    AddOneTime(NewOneTime),
    /// A new session, and the keyed hash of its cookie.
    AddSession(Tag, Box<Session>),
    /// A new signing key.
    AddSigningKey(Box<SigningKeyRecord>),
    /// A new person; there must be none of their id or username.
    AddUser(Box<UserRecord>),
    /// What a person said of the request of this grant; nobody may have answered it before.
    AnswerDecoupled(GrantId, Box<Answer>),
    /// What the authorization server's protocol decided.
    Apply(Box<Change>),
    /// The sealed query of the event.
    Detail(EventDetail),
    /// The end of a session, with every token that came of it.
    EndSession(SessionId),
    /// A key enters its next state; the first state is the one it must be in.
    MoveSigningKey(Kid, SigningKeyState, SigningKeyState),
    /// A client, new or replaced.
    PutClient(Box<ClientRecord>),
    /// A consent, new or replaced.
    PutConsent(Box<ConsentRecord>),
    /// A group, new or replaced.
    PutGroup(Box<GroupRecord>),
    /// A tenant, new or replaced.
    PutTenant(Box<TenantRecord>),
    /// A person, new or replaced.
    PutUser(Box<UserRecord>),
    /// The end of a client, with every token it has.
    RemoveClient(ClientId),
    /// The end of a group.
    RemoveGroup(GroupName),
    /// The end of a key.
    RemoveSigningKey(Kid),
    /// The end of a person's record, with every token about them.
    RemoveUser(UserId),
    /// Every token of something, issued until now, is dead.
    Revoke(Revoked),
}

impl From<Change> for Write {
    fn from(change: Change) -> Self {
        Self::Apply(Box::new(change))
    }
}

/// Carries out the writes in their order.
pub(crate) async fn apply(
    tx: &mut Transaction,
    tenant: &Tenant,
    writes: &[Write],
    now: UnixTime,
) -> Result<(), StoreError> {
    for write in writes {
        match write {
            Write::AddClient(record) => clients::add(tx, tenant, record, now).await?,
            Write::AddDecoupled(new) => decoupled_requests::add(tx, tenant, new).await?,
            Write::AddOneTime(new) => one_time::add(tx, tenant, new).await?,
            Write::AddSession(handle, session) => {
                sessions::add(tx, tenant, handle, session).await?
            }
            Write::AddSigningKey(row) => signing_keys::add(tx, tenant, row).await?,
            Write::AddUser(record) => users::add(tx, tenant, record, now).await?,
            Write::AnswerDecoupled(grant, answer) => {
                decoupled_requests::answer(tx, tenant, *grant, answer, now).await?;
            }
            Write::Apply(change) => self::change(tx, tenant, change).await?,
            Write::Detail(detail) => {
                event_details::add_all(tx, &[(tenant.clone(), detail.clone())]).await?;
            }
            Write::EndSession(session) => {
                sessions::end(tx, tenant, *session, now).await?;
                revocations::add(tx, tenant, &Revoked::Session(*session), now).await?;
            }
            Write::MoveSigningKey(kid, from, to) => {
                if signing_keys::advance(tx, tenant, kid, *from, *to, now).await? == Removed::Absent
                {
                    return Err(StoreError::Superseded("signing_keys"));
                }
            }
            Write::PutClient(record) => clients::put(tx, tenant, record, now).await?,
            Write::PutConsent(record) => consents::put(tx, tenant, record).await?,
            Write::PutGroup(record) => user_groups::put(tx, tenant, record, now).await?,
            Write::PutTenant(record) => tenants::put(tx, record, now).await?,
            Write::PutUser(record) => users::put(tx, tenant, record, now).await?,
            Write::RemoveClient(client) => {
                let _met: Removed = clients::remove(tx, tenant, client).await?;
                revocations::add(tx, tenant, &Revoked::Client(client.clone()), now).await?;
            }
            Write::RemoveGroup(group) => {
                let _met: Removed = user_groups::remove(tx, tenant, group).await?;
            }
            Write::RemoveSigningKey(kid) => {
                let _met: Removed = signing_keys::remove(tx, tenant, kid).await?;
            }
            Write::RemoveUser(user) => {
                let _met: Removed = users::remove(tx, tenant, *user).await?;
                revocations::add(tx, tenant, &Revoked::User(*user), now).await?;
            }
            Write::Revoke(revoked) => revocations::add(tx, tenant, revoked, now).await?,
        }
    }
    Ok(())
}

/// Puts the event beside the unit's changes: it goes into the outbox before their commit, together with those of the units that share it.
pub(crate) fn record_event(tx: &mut Transaction, tenant: &Tenant, event: &Record) {
    tx.add_to_outbox(audit_outbox::Added {
        tenant: tenant.clone(),
        event: event.id,
        record: event.encode().into_bytes(),
    });
}

async fn change(tx: &mut Transaction, tenant: &Tenant, change: &Change) -> Result<(), StoreError> {
    match change {
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
