//! Group commit on SQLite: one thread owns the only connection that writes.
//!
//! It opens one transaction (`BEGIN IMMEDIATE`), runs every unit that is waiting, each that changes something in a savepoint of its own, writes the
//! events that they left, commits once, and only then answers. A unit that fails is rolled back to its savepoint alone. If SQLite rolls the transaction
//! back by itself (a full disk, an input or output error) or the commit fails, every member of the group gets an error.

use super::Transaction;
use super::connection::Savepoint;
use super::unit::{Queued, Ran, Unit, Waiting};
use crate::StoreError;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Units that may wait; one more is refused.
pub(crate) const QUEUE_MAX: usize = 4096;
/// Units that share one commit.
const GROUP_MAX: usize = 256;

enum Message {
    Close(oneshot::Sender<()>),
    Unit(Box<dyn Queued>),
}

/// The way to the writer.
#[derive(Clone)]
pub(crate) struct GroupCommit {
    queue: mpsc::Sender<Message>,
}

impl GroupCommit {
    /// Starts the writer on a thread of its own: it waits for the disk. It ends when it is closed or the last handle is gone.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(tx: Transaction) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let runtime = Handle::current();
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || runtime.block_on(Writer { tx, waiting }.work()))
            .map_err(StoreError::Thread)?;
        Ok(Self { queue })
    }

    /// Sends the unit, at once, and waits until it is durable. Dropping the returned future does not undo the unit.
    pub(crate) fn run<U: Unit>(
        &self,
        unit: U,
    ) -> impl Future<Output = Result<U::Output, StoreError>> + Send + use<U> {
        let (waiting, answer) = Waiting::new(unit);
        let sent = self
            .queue
            .try_send(Message::Unit(Box::new(waiting)))
            .map_err(drop_message);
        async move {
            match sent {
                Ok(()) => answer.await.unwrap_or(Err(StoreError::Closed)),
                Err(error) => Err(error),
            }
        }
    }

    /// Lets what is queued finish, then closes the database.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            drop(closed.await);
        }
    }
}

fn drop_message(refused: mpsc::error::TrySendError<Message>) -> StoreError {
    match refused {
        mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        mpsc::error::TrySendError::Full(_) => StoreError::Overloaded(QUEUE_MAX),
    }
}

struct Writer {
    tx: Transaction,
    waiting: mpsc::Receiver<Message>,
}

impl Writer {
    async fn work(mut self) {
        let mut closing = None;
        while closing.is_none() {
            match self.waiting.recv().await {
                Some(Message::Unit(first)) => closing = self.group(first).await,
                Some(Message::Close(done)) => closing = Some(done),
                None => break,
            }
        }
        self.waiting.close();
        if let Err(error) = self.tx.close_sqlite() {
            tracing::warn!(%error, "closing the database failed; its write-ahead log is folded in at the next start");
        }
        if let Some(done) = closing {
            let _nobody_waits = done.send(());
        }
    }

    /// Runs one group, beginning with `first`, and answers its members. Returns whoever asked to close meanwhile.
    async fn group(&mut self, first: Box<dyn Queued>) -> Option<oneshot::Sender<()>> {
        let mut members = Vec::new();
        let mut closing = None;
        let mut broken = self
            .tx
            .control("BEGIN IMMEDIATE; SAVEPOINT unit")
            .await
            .map_err(|error| error.to_string());
        let mut next = Some(first);
        while let Some(mut member) = next.take() {
            if broken.is_ok() {
                broken = self
                    .member(member.as_mut(), members.len())
                    .await
                    .map_err(|error| error.to_string());
            }
            members.push(member);
            if members.len() < GROUP_MAX && broken.is_ok() {
                match self.waiting.try_recv() {
                    Ok(Message::Unit(unit)) => next = Some(unit),
                    Ok(Message::Close(done)) => closing = Some(done),
                    Err(
                        mpsc::error::TryRecvError::Disconnected | mpsc::error::TryRecvError::Empty,
                    ) => {}
                }
            }
        }
        let committed = self.finish(broken).await;
        for member in members {
            member.settle(committed.clone());
        }
        closing
    }

    /// Runs one unit. The savepoint that was opened with the transaction is the first one's; every other opens its own before it changes something. An error
    /// here means that the transaction itself is gone.
    async fn member(&mut self, member: &mut dyn Queued, before: usize) -> Result<(), StoreError> {
        self.tx.set_savepoint(if before == 0 {
            Savepoint::Own
        } else {
            Savepoint::Earlier
        });
        let events = self.tx.events();
        match member.run(&mut self.tx).await {
            Ran::Failed => {
                self.tx.forget_events_after(events);
                match self.tx.savepoint() {
                    // Rolling back to a savepoint leaves it open.
                    Savepoint::Own => self.tx.control("ROLLBACK TO unit").await?,
                    // It changed nothing; but a read that failed may have taken the transaction with it.
                    Savepoint::Earlier if self.tx.has_failed() => {
                        self.tx.begin_savepoint().await?;
                    }
                    Savepoint::Earlier => {}
                }
                self.tx.forget_failure();
                Ok(())
            }
            Ran::Succeeded => Ok(()),
        }
    }

    async fn finish(&mut self, broken: Result<(), String>) -> Result<(), String> {
        let result = match broken {
            Ok(()) => self.commit().await,
            Err(reason) => Err(reason),
        };
        if result.is_err() {
            self.tx.forget_events_after(0);
            // Fails when SQLite has rolled back by itself, which is just as well.
            drop(self.tx.control("ROLLBACK").await);
            self.tx.forget_failure();
        }
        result
    }

    async fn commit(&mut self) -> Result<(), String> {
        // The savepoint that is open holds the events too: what counts now is the transaction.
        self.tx.set_savepoint(Savepoint::Own);
        self.tx
            .write_events()
            .await
            .map_err(|error| error.to_string())?;
        self.tx
            .control("RELEASE unit; COMMIT")
            .await
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
