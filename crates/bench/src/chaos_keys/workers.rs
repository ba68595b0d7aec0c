//! Workers: each has one part of the ledger while it works, and gives it back when it ends.

use super::databases::Databases;
use super::people::People;
use super::rotation::Rotation;
use super::secrets::Secrets;
use super::tokens::Families;
use super::transit::Transit;
use super::{Cx, Part, Parts, WORK};
use crate::Failed;
use crate::chaos::Signal;
use crate::chaos::tally::Tallies;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A part whose worker has ended, and when and why it did, if nobody told it to.
pub(super) type Ended<P> = (P, Option<(Instant, Failed)>);

/// Lets a part work.
pub(super) fn start<P: Part>(
    part: P,
    cx: Cx,
    stopped: &watch::Receiver<Signal>,
) -> JoinHandle<Ended<P>> {
    tokio::spawn(drive(part, cx, stopped.clone()))
}

async fn drive<P: Part>(mut part: P, mut cx: Cx, stopped: watch::Receiver<Signal>) -> Ended<P> {
    while *stopped.borrow() == Signal::Go {
        if let Err(error) = part.round(&mut cx).await {
            return (part, Some((Instant::now(), error)));
        }
        cx.tallies.check(WORK, Ok(()));
    }
    (part, None)
}

/// A part that works in this life, or does not.
pub(super) enum At {
    Rest(Option<Box<Databases>>),
    Work(JoinHandle<Ended<Databases>>),
}

/// All of them.
pub(super) struct Workers {
    pub(super) transit: Vec<JoinHandle<Ended<Transit>>>,
    pub(super) secrets: JoinHandle<Ended<Secrets>>,
    pub(super) families: JoinHandle<Ended<Families>>,
    pub(super) databases: At,
    pub(super) people: JoinHandle<Ended<People>>,
    pub(super) rotation: JoinHandle<Ended<Rotation>>,
}

impl Workers {
    /// Waits for all, and takes back what they had.
    pub(super) async fn joined(
        self,
        tallies: &Tallies,
        crash: Option<Instant>,
    ) -> Result<Parts, Failed> {
        let mut transit = Vec::new();
        for worker in self.transit {
            transit.push(ended(worker, tallies, crash).await?);
        }
        Ok(Parts {
            transit,
            secrets: ended(self.secrets, tallies, crash).await?,
            families: ended(self.families, tallies, crash).await?,
            databases: match self.databases {
                At::Rest(databases) => databases.map(|databases| *databases),
                At::Work(worker) => Some(ended(worker, tallies, crash).await?),
            },
            people: ended(self.people, tallies, crash).await?,
            rotation: ended(self.rotation, tallies, crash).await?,
        })
    }
}

async fn ended<P>(
    worker: JoinHandle<Ended<P>>,
    tallies: &Tallies,
    crash: Option<Instant>,
) -> Result<P, Failed> {
    let (part, broke) = tokio::time::timeout(Duration::from_secs(90), worker).await??;
    if let Some((at, error)) = broke
        && crash.is_none_or(|crash| at < crash)
    {
        tallies.check(WORK, Err(error));
    }
    Ok(part)
}
