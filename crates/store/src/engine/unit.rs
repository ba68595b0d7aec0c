//! A unit of work: what happens in the database together or not at all.
//!
//! Units are owned, so they outlive the request that sent them, and they do no network, Argon2 or signing work: on SQLite
//! every other unit waits behind them.

use super::Transaction;
use crate::StoreError;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use tokio::sync::oneshot;

/// Work that runs in one transaction, or in one savepoint of a shared one.
pub(crate) trait Unit: Send + 'static {
    /// What it finds out.
    type Output: Send + 'static;

    /// Runs the statements. An error undoes them all.
    fn run<'t>(
        &'t mut self,
        tx: &'t mut Transaction,
    ) -> BoxFuture<'t, Result<Self::Output, StoreError>>;

    /// Whether [`Unit::run`] may be called once more after a transient failure.
    fn may_run_again(&self) -> bool;
}

/// A unit made of a closure that can run once.
pub(crate) struct Once<F>(Option<F>);

impl<F> Once<F> {
    pub(crate) const fn new(work: F) -> Self {
        Self(Some(work))
    }
}

impl<F, R> Unit for Once<F>
where
    F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<R, StoreError>> + Send + 'static,
    R: Send + 'static,
{
    type Output = R;

    fn run<'t>(&'t mut self, tx: &'t mut Transaction) -> BoxFuture<'t, Result<R, StoreError>> {
        match self.0.take() {
            Some(work) => work(tx),
            None => Box::pin(async { Err(StoreError::Panicked) }),
        }
    }

    fn may_run_again(&self) -> bool {
        self.0.is_some()
    }
}

/// Runs a unit so that neither an error it swallowed nor a panic can leave half of it behind: both come out as an error.
pub(crate) async fn run_guarded<U: Unit>(
    unit: &mut U,
    tx: &mut Transaction,
) -> Result<U::Output, StoreError> {
    let result = AssertUnwindSafe(unit.run(tx))
        .catch_unwind()
        .await
        .unwrap_or(Err(StoreError::Panicked));
    match result {
        Ok(_) if tx.has_failed() => Err(StoreError::NotCommitted(
            "a statement of the unit failed".to_owned(),
        )),
        other => other,
    }
}

/// A unit with the sender that waits for it, its type hidden so that different units share a queue.
pub(crate) trait Queued: Send {
    /// Runs the unit; `true` if its changes are to be kept. The answer is held back until [`Queued::settle`].
    fn run<'t>(&'t mut self, tx: &'t mut Transaction) -> BoxFuture<'t, Ran>;

    /// Sends the answer: the unit's own result if the transaction was committed, else an error that says why not.
    fn settle(self: Box<Self>, committed: Result<(), String>);
}

/// How a queued unit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ran {
    Failed,
    Succeeded,
}

pub(crate) struct Waiting<U: Unit> {
    unit: U,
    result: Option<Result<U::Output, StoreError>>,
    answer: oneshot::Sender<Result<U::Output, StoreError>>,
}

impl<U: Unit> Waiting<U> {
    pub(crate) fn new(unit: U) -> (Self, oneshot::Receiver<Result<U::Output, StoreError>>) {
        let (answer, receiver) = oneshot::channel();
        (
            Self {
                unit,
                result: None,
                answer,
            },
            receiver,
        )
    }
}

impl<U: Unit> Queued for Waiting<U> {
    fn run<'t>(&'t mut self, tx: &'t mut Transaction) -> BoxFuture<'t, Ran> {
        Box::pin(async move {
            let result = run_guarded(&mut self.unit, tx).await;
            let ran = if result.is_ok() {
                Ran::Succeeded
            } else {
                Ran::Failed
            };
            self.result = Some(result);
            ran
        })
    }

    fn settle(self: Box<Self>, committed: Result<(), String>) {
        let answer = match (self.result, committed) {
            (Some(Err(error)), _) => Err(error),
            (_, Err(reason)) => Err(StoreError::NotCommitted(reason)),
            (Some(Ok(output)), Ok(())) => Ok(output),
            (None, Ok(())) => Err(StoreError::NotCommitted("the unit never ran".to_owned())),
        };
        // The requester may be gone; what the unit did stands all the same.
        drop(self.answer.send(answer));
    }
}
