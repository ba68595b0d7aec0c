//! The one transaction of a token request (DESIGN §1): the take, the state it depends on, the judgement, what it writes, and the event.
//!
//! The judge is a pure function that the caller hands in; it sees everything as this transaction holds it, and nothing of what it
//! decides is visible, or answered, before the commit. Of any number of requests that present the same one-time value, one finds it
//! fresh. What a transaction takes it spends, whatever the judge says: a code that was presented wrongly is not presented again.

use crate::audit::AuditLog;
use crate::engine::Unit;
use crate::judged::{Judged, Settled, settle};
use crate::record::Recorded;
use crate::tables::assertions::{self, Assertion};
use crate::tables::decoupled_requests::{self, Pollable};
use crate::tables::one_time::{
    self, AuthReqId, AuthorizationCode, DeviceCode, HandleHash, OneTime,
};
use crate::tables::revocations::{self, Revoked};
use crate::tables::{
    clients, grant_assertions, grants, refresh_families, sessions, user_groups, users,
};
use crate::{Store, StoreError, Transaction};
use countersign_authn::Unspent;
use countersign_authn::assertion::GrantAssertion;
use countersign_authn::client::AuthenticatedClient;
use countersign_base::{ClientId, GrantId, SessionId, Tenant, UnixTime, UserId};
use countersign_oauth::decoupled::{Answer, Polled};
use countersign_oauth::token::{PresentedSubject, PresentedToken};
use countersign_oauth::{
    ClientGrant, ClientRecord, CodeRecord, FamilyId, RefreshFamily, Standing, Taken,
};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// What a token request presents to be taken or looked up.
pub enum Presented {
    /// An `auth_req_id`.
    AuthReqId(HandleHash<AuthReqId>),
    /// A client's own token (token exchange): the client and the grant, which has no row, are read again.
    ClientGrant {
        /// The grant.
        grant: GrantId,
        /// The client that the token is about.
        subject: ClientId,
    },
    /// An assertion of a foreign issuer, still to be spent.
    Assertion(Box<Unspent<GrantAssertion>>),
    /// An authorization code.
    Code(HandleHash<AuthorizationCode>),
    /// A device code.
    DeviceCode(HandleHash<DeviceCode>),
    /// A token of a person (token exchange): its grant, and the person and session behind that, are read again.
    Grant(GrantId),
    /// Nothing: the client speaks for itself.
    Nothing,
    /// A refresh token of this family.
    RefreshFamily(FamilyId),
}

impl From<&PresentedToken> for Presented {
    fn from(token: &PresentedToken) -> Self {
        match &token.subject {
            PresentedSubject::Client(subject) => Self::ClientGrant {
                grant: token.grant,
                subject: subject.clone(),
            },
            PresentedSubject::User { .. } => Self::Grant(token.grant),
        }
    }
}

/// What the transaction took.
#[derive(Debug)]
pub enum Loot {
    /// An assertion of a foreign issuer, which this transaction spent or an earlier one had.
    Assertion(Taken<GrantAssertion>),
    /// An authorization code, or what became of it.
    Code(Taken<CodeRecord>),
    /// A request that waits for a person, and what they said.
    Decoupled(Polled),
    /// Nothing was presented that could be taken.
    Nothing,
    /// The refresh family, if there is one.
    RefreshFamily(Option<RefreshFamily>),
}

/// Everything that a judge of a token request sees, as the transaction holds it.
#[derive(Debug)]
pub struct Loaded {
    /// What was presented.
    pub taken: Loot,
    /// The client that asks, the person, the grant and the session.
    pub standing: Standing,
}

/// A client assertion or another one-time credential of the client came a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client's assertion was used before")]
pub struct AssertionReplayed;

impl Store {
    /// The token endpoint's transaction: spends the client's assertion and what the request presents, reads client, person, grant
    /// and session again, lets `judge` decide, and commits its writes with the event in the outbox.
    ///
    /// When this returns, the answer is durable. Dropping the future does not undo the transaction.
    ///
    /// # Errors
    /// [`StoreError`] when nothing was committed. The inner error is a replayed assertion; it too leaves nothing behind.
    pub async fn issue<P, E, J>(
        &self,
        client: Unspent<AuthenticatedClient>,
        presented: Presented,
        now: UnixTime,
        judge: J,
    ) -> Result<Result<Settled<P, E>, AssertionReplayed>, StoreError>
    where
        P: Send + 'static,
        E: Send + 'static,
        J: FnOnce(AuthenticatedClient, Loaded) -> Judged<P, E> + Send + 'static,
    {
        let jtis = client
            .entries()
            .iter()
            .map(|entry| (entry.key, entry.expires))
            .collect();
        // The transaction inserts the entries before the judge, to whom this goes, is called.
        let client = countersign_authn::danger::spent(client);
        let (tenant, id) = (client.tenant().clone(), client.id().clone());
        let (presented, assertion) = Opened::of(presented);
        let request = Request {
            tenant,
            client: id,
            jtis,
            presented,
            assertion,
            now,
        };
        let unit = Issue {
            request,
            judge: Some((client, judge)),
        };
        let settled = self.run(unit).await?;
        self.outbox_changed();
        Ok(settled)
    }

    /// The token endpoint for a client that presents nothing and has spent nothing: there is no state that a transaction would have to hold together with the
    /// event. The client is judged by its record as it is committed now, and the event goes to `log` at once.
    ///
    /// What the judge writes all the same, the row of a token without content, is committed with its event as by [`Store::issue`]. Should the client be disabled
    /// between the reading and the answer, its token is dead: the end of a client covers the seconds after it ([`CLIENT_READ_BEFORE`](crate::tables::revocations::CLIENT_READ_BEFORE)).
    ///
    /// # Errors
    /// [`StoreError`] when nothing was recorded.
    pub async fn issue_to_client<P, E, J>(
        &self,
        client: AuthenticatedClient,
        log: &AuditLog,
        now: UnixTime,
        judge: J,
    ) -> Result<Settled<P, E>, StoreError>
    where
        P: Send + 'static,
        E: Send + 'static,
        J: FnOnce(AuthenticatedClient, Loaded) -> Judged<P, E> + Send + 'static,
    {
        let tenant = client.tenant().clone();
        let mut connection = self.read().await?;
        let record = clients::find_known(&mut connection, &tenant, client.id()).await?;
        drop(connection);
        let loaded = Loaded {
            taken: Loot::Nothing,
            standing: Standing {
                client: record,
                ..Standing::default()
            },
        };
        let judged = judge(client, loaded);
        if judged.writes_something() {
            let settled = self
                .write(move |tx| Box::pin(async move { settle(tx, &tenant, judged, now).await }));
            let settled = Box::pin(settled).await?;
            self.outbox_changed();
            return Ok(settled);
        }
        let (outcome, event) = match judged {
            Judged::Commit { permit, event, .. } => (Ok(permit), event),
            Judged::CommitRefusal { error, event, .. } => (Err(error), event),
            Judged::Refuse { error } => return Ok(Settled::RefusedUnrecorded(error)),
        };
        let receipt = log.append_durable(event).await?;
        Ok(match outcome {
            Ok(permit) => Settled::Permitted(Recorded::new(permit, receipt)),
            Err(error) => Settled::Refused(Recorded::new(error, receipt)),
        })
    }

    /// Takes a one-time value of kind `K`, lets `judge` decide, and commits its writes with the event in the outbox.
    ///
    /// # Errors
    /// [`StoreError`] when nothing was committed; the value is as it was.
    pub async fn spend<K, P, E, J>(
        &self,
        tenant: &Tenant,
        handle: HandleHash<K>,
        now: UnixTime,
        judge: J,
    ) -> Result<Settled<P, E>, StoreError>
    where
        K: OneTime,
        P: Send + 'static,
        E: Send + 'static,
        J: FnOnce(Taken<K::Record>) -> Judged<P, E> + Send + 'static,
    {
        let settled = self
            .run(Spend {
                tenant: tenant.clone(),
                handle,
                now,
                judge: Some(judge),
            })
            .await?;
        self.outbox_changed();
        Ok(settled)
    }

    /// Spends the one-time values of a client's credential at an endpoint that takes nothing else (introspection, revocation, PAR).
    ///
    /// # Errors
    /// [`StoreError`] when the database failed. The inner error is a replay.
    pub async fn spend_assertion(
        &self,
        client: Unspent<AuthenticatedClient>,
    ) -> Result<Result<AuthenticatedClient, AssertionReplayed>, StoreError> {
        let jtis: Vec<_> = client
            .entries()
            .iter()
            .map(|entry| (entry.key, entry.expires))
            .collect();
        // Handed out below only after the transaction that inserted its entries was committed.
        let client = countersign_authn::danger::spent(client);
        if jtis.is_empty() {
            return Ok(Ok(client));
        }
        let (tenant, id) = (client.tenant().clone(), client.id().clone());
        let spent = self
            .write(move |tx| Box::pin(async move { spend_jtis(tx, &tenant, &id, &jtis).await }))
            .await?;
        Ok(spent.map(|()| client))
    }
}

async fn spend_jtis(
    tx: &mut Transaction,
    tenant: &Tenant,
    client: &ClientId,
    jtis: &[([u8; 32], UnixTime)],
) -> Result<Result<(), AssertionReplayed>, StoreError> {
    for (jti, expires) in jtis {
        match assertions::spend(tx, tenant, client, jti, *expires).await? {
            Assertion::Fresh => {}
            Assertion::Replayed => return Ok(Err(AssertionReplayed)),
        }
    }
    Ok(Ok(()))
}

struct Spend<K, J> {
    tenant: Tenant,
    handle: HandleHash<K>,
    now: UnixTime,
    judge: Option<J>,
}

impl<K, P, E, J> Unit for Spend<K, J>
where
    K: OneTime,
    P: Send + 'static,
    E: Send + 'static,
    J: FnOnce(Taken<K::Record>) -> Judged<P, E> + Send + 'static,
{
    type Output = Settled<P, E>;

    fn run<'t>(
        &'t mut self,
        tx: &'t mut Transaction,
    ) -> BoxFuture<'t, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            let taken = one_time::take(tx, &self.tenant, &self.handle, self.now).await?;
            let judge = self.judge.take().ok_or(StoreError::Panicked)?;
            settle(tx, &self.tenant, judge(taken), self.now).await
        })
    }

    fn may_run_again(&self) -> bool {
        self.judge.is_some()
    }
}

struct Issue<J> {
    request: Request,
    judge: Option<(AuthenticatedClient, J)>,
}

/// What a token request takes and depends on.
struct Request {
    tenant: Tenant,
    client: ClientId,
    jtis: Vec<([u8; 32], UnixTime)>,
    presented: Presented,
    assertion: Option<Opened>,
    now: UnixTime,
}

/// An assertion of a foreign issuer beside its one-time values. The judge gets it only from [`Opened::take`], which has inserted them.
struct Opened {
    assertion: GrantAssertion,
    jtis: Vec<([u8; 32], UnixTime)>,
}

impl Opened {
    fn of(presented: Presented) -> (Presented, Option<Self>) {
        match presented {
            Presented::Assertion(unspent) => {
                let jtis = unspent
                    .entries()
                    .iter()
                    .map(|entry| (entry.key, entry.expires))
                    .collect();
                let assertion = countersign_authn::danger::spent(*unspent);
                (Presented::Nothing, Some(Self { assertion, jtis }))
            }
            other => (other, None),
        }
    }

    async fn take(
        &self,
        tx: &mut Transaction,
        tenant: &Tenant,
    ) -> Result<(Loot, Dependants), StoreError> {
        let mut replayed = false;
        for (jti, expires) in &self.jtis {
            match grant_assertions::spend(tx, tenant, jti, *expires).await? {
                Assertion::Fresh => {}
                Assertion::Replayed => replayed = true,
            }
        }
        let assertion = self.assertion.clone();
        let taken = if replayed {
            Taken::Spent(assertion)
        } else {
            Taken::Fresh(assertion)
        };
        // Their roles and groups are read again, and held, by whoever resolves the dependants.
        let person = users::find_by_name(tx, tenant, &self.assertion.user).await?;
        let dependants = Dependants {
            grant: None,
            session: None,
            user: person.map(|person| person.id),
        };
        Ok((Loot::Assertion(taken), dependants))
    }
}

impl<P, E, J> Unit for Issue<J>
where
    P: Send + 'static,
    E: Send + 'static,
    J: FnOnce(AuthenticatedClient, Loaded) -> Judged<P, E> + Send + 'static,
{
    type Output = Result<Settled<P, E>, AssertionReplayed>;

    fn run<'t>(
        &'t mut self,
        tx: &'t mut Transaction,
    ) -> BoxFuture<'t, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            let Request {
                tenant,
                client,
                jtis,
                now,
                ..
            } = &self.request;
            if let Err(replayed) = spend_jtis(tx, tenant, client, jtis).await? {
                return Ok(Err(replayed));
            }
            let loaded = self.request.load(tx).await?;
            let (client, judge) = self.judge.take().ok_or(StoreError::Panicked)?;
            let judged = judge(client, loaded);
            let begun = judged.begun_grant();
            self.request.remember(tx, begun).await?;
            settle(tx, tenant, judged, *now).await.map(Ok)
        })
    }

    fn may_run_again(&self) -> bool {
        self.judge.is_some()
    }
}

/// Whose state a presented value depends on.
struct Dependants {
    grant: Option<GrantId>,
    session: Option<SessionId>,
    user: Option<UserId>,
}

impl Request {
    /// Locks and reads in one order everywhere (code, client, person, session, grant, family), so that transactions on PostgreSQL
    /// wait for each other instead of deadlocking.
    async fn load(&self, tx: &mut Transaction) -> Result<Loaded, StoreError> {
        let tenant = &self.tenant;
        let (mut taken, dependants) = self.take(tx).await?;
        let client = clients::hold(tx, tenant, &self.client).await?;
        let user = match dependants.user {
            Some(user) => user_groups::resolve(tx, tenant, user).await?,
            None => None,
        };
        let session = match dependants.session {
            Some(session) => sessions::hold(tx, tenant, session).await?,
            None => None,
        };
        let grant = match dependants.grant {
            Some(grant) => grants::lock(tx, tenant, grant).await?,
            None => None,
        };
        if let Presented::RefreshFamily(family) = self.presented {
            taken = Loot::RefreshFamily(refresh_families::lock(tx, tenant, family).await?);
        }
        let (subject, client_grant) = self.client_grant(tx).await?;
        Ok(Loaded {
            taken,
            standing: Standing {
                client,
                user,
                grant,
                session,
                subject,
                client_grant,
            },
        })
    }

    /// A code is remembered as spent for as long as anything that came of it can live, so that its second use ends all of it (R23).
    async fn remember(
        &self,
        tx: &mut Transaction,
        begun: Option<UnixTime>,
    ) -> Result<(), StoreError> {
        match (&self.presented, begun) {
            (Presented::Code(handle), Some(ends)) => {
                one_time::keep(tx, &self.tenant, handle, ends).await
            }
            (_, _) => Ok(()),
        }
    }

    /// The client whose own token is shown, and whether the grant of that token is alive.
    async fn client_grant(
        &self,
        tx: &mut Transaction,
    ) -> Result<(Option<Arc<ClientRecord>>, ClientGrant), StoreError> {
        let Presented::ClientGrant { grant, subject } = &self.presented else {
            return Ok((None, ClientGrant::Ended));
        };
        let record = clients::hold(tx, &self.tenant, subject).await?;
        let revoked = Revoked::Grant(*grant);
        let state = if revocations::is_revoked(tx, &self.tenant, &revoked).await? {
            ClientGrant::Ended
        } else {
            ClientGrant::Live
        };
        Ok((record, state))
    }

    async fn take(&self, tx: &mut Transaction) -> Result<(Loot, Dependants), StoreError> {
        let nobody = Dependants {
            grant: None,
            session: None,
            user: None,
        };
        if let Some(assertion) = &self.assertion {
            return assertion.take(tx, &self.tenant).await;
        }
        match &self.presented {
            Presented::Code(handle) => {
                let taken = one_time::take(tx, &self.tenant, handle, self.now).await?;
                let dependants = match &taken {
                    Taken::Fresh(code) | Taken::Spent(code) => Dependants {
                        grant: Some(code.grant),
                        session: Some(code.session),
                        user: Some(code.user),
                    },
                    Taken::Unknown => nobody,
                };
                Ok((Loot::Code(taken), dependants))
            }
            Presented::AuthReqId(handle) => self.poll(tx, handle).await,
            Presented::DeviceCode(handle) => self.poll(tx, handle).await,
            Presented::Grant(grant) => {
                // Read without a lock only to learn whose it is; neither person nor session of a grant ever changes.
                let found = grants::find(tx, &self.tenant, *grant).await?;
                let dependants = found.map_or(nobody, |found| Dependants {
                    grant: Some(found.id),
                    session: Some(found.session),
                    user: Some(found.user),
                });
                Ok((Loot::Nothing, dependants))
            }
            Presented::Assertion(_) | Presented::ClientGrant { .. } | Presented::Nothing => {
                Ok((Loot::Nothing, nobody))
            }
            Presented::RefreshFamily(family) => {
                // Read without a lock only to learn whose it is; none of these columns ever changes.
                let found = refresh_families::find(tx, &self.tenant, *family).await?;
                let dependants = found.map_or(nobody, |family| Dependants {
                    grant: Some(family.grant),
                    session: Some(family.session),
                    user: Some(family.user),
                });
                Ok((Loot::RefreshFamily(None), dependants))
            }
        }
    }
}

impl Request {
    async fn poll<K: Pollable>(
        &self,
        tx: &mut Transaction,
        handle: &HandleHash<K>,
    ) -> Result<(Loot, Dependants), StoreError> {
        let polled =
            decoupled_requests::take(tx, &self.tenant, handle, &self.client, self.now).await?;
        let dependants = match &polled {
            Polled::Answered(request, Answer::Allowed(allowance)) => Dependants {
                grant: Some(request.grant),
                session: Some(allowance.session),
                user: Some(allowance.user),
            },
            Polled::Answered(request, Answer::Denied(_)) | Polled::Spent(request) => Dependants {
                grant: Some(request.grant),
                session: None,
                user: request.user,
            },
            Polled::Expired(_) | Polled::Unknown | Polled::Waiting(_) => Dependants {
                grant: None,
                session: None,
                user: None,
            },
        };
        Ok((Loot::Decoupled(polled), dependants))
    }
}
