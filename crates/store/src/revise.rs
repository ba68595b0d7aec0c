//! Changing one client's registration by its own word (RFC 7592): of any number of requests that hold the same token, one finds it good.
//!
//! The row is locked before the judge sees it and is written in the same transaction, so that a registration access token is replaced by the update that used it.

use crate::judged::{Judged, Settled, settle};
use crate::tables::clients;
use crate::{Store, StoreError, Transaction};
use countersign_base::{ClientId, Tenant, UnixTime};
use countersign_oauth::ClientRecord;
use futures_util::future::BoxFuture;

impl Store {
    /// Reads a client that nobody else can change meanwhile, lets `judge` decide, and commits its writes with the event.
    ///
    /// # Errors
    /// [`StoreError`] when nothing was committed.
    pub async fn revise_client<P, E, J>(
        &self,
        tenant: &Tenant,
        client: &ClientId,
        now: UnixTime,
        judge: J,
    ) -> Result<Settled<P, E>, StoreError>
    where
        P: Send + 'static,
        E: Send + 'static,
        J: FnOnce(Option<ClientRecord>) -> Judged<P, E> + Send + 'static,
    {
        let unit = Revise {
            tenant: tenant.clone(),
            client: client.clone(),
            now,
            judge: Some(judge),
        };
        let settled = self.run(unit).await?;
        self.outbox_changed();
        Ok(settled)
    }
}

struct Revise<J> {
    tenant: Tenant,
    client: ClientId,
    now: UnixTime,
    judge: Option<J>,
}

impl<P, E, J> crate::engine::Unit for Revise<J>
where
    P: Send + 'static,
    E: Send + 'static,
    J: FnOnce(Option<ClientRecord>) -> Judged<P, E> + Send + 'static,
{
    type Output = Settled<P, E>;

    fn run<'t>(
        &'t mut self,
        tx: &'t mut Transaction,
    ) -> BoxFuture<'t, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            let found = clients::lock(tx, &self.tenant, &self.client).await?;
            let judge = self.judge.take().ok_or(StoreError::Panicked)?;
            settle(tx, &self.tenant, judge(found), self.now).await
        })
    }

    fn may_run_again(&self) -> bool {
        self.judge.is_some()
    }
}
