//! The practice exercise (`examples/exercise/`), played for real: servers of this process on loopback, a client over TLS sockets, every check with what must be
//! refused beside what must be allowed.
//!
//! Nothing here knows how a server works: the client reads metadata, follows pages, signs proofs and looks at answers. What it asks of the process itself is
//! the certificate authority, the clock that it turns ahead, and the directory of the audit log.

mod admin;
mod billing;
mod browser;
mod checks;
mod database;
mod dpop;
mod http;
mod ledger;
mod portal;
pub(crate) mod report;
mod services;
mod stage;
mod vault;

pub(crate) use stage::{Stage, StageError};

use report::{Check, Checklist};

/// Plays every check on a stage that stands.
pub(crate) async fn play(stage: &Stage, heard: impl Fn(&Check)) -> Checklist {
    let mut play = checks::Play::default();
    let mut list = Vec::new();
    let mut add = |check: Check| {
        heard(&check);
        list.push(check);
    };
    add(checks::sign_in::check(stage, &mut play).await);
    add(checks::refresh::check(stage, &mut play).await);
    add(checks::gateway::check(stage, &mut play).await);
    add(checks::stolen::check(stage, &mut play).await);
    add(checks::exchange::check(stage, &mut play).await);
    add(checks::billing::check(stage, &mut play).await);
    add(checks::orders::check(stage, &mut play).await);
    add(checks::webhooks::check(stage, &mut play).await);
    add(Check::not_yet("9", "The event bus"));
    add(checks::vault::check(stage, &mut play).await);
    add(checks::log::check(stage, &mut play).await);
    add(Check::not_yet(
        "11.alerts",
        "Alerts for what was refused above",
    ));
    for check in &mut list {
        check.resolve(&play.decisions);
    }
    Checklist { checks: list }
}

#[cfg(test)]
mod tests;
