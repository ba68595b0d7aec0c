//! The load: sign-ins, redemptions, refreshes and client credentials, each noting what was acknowledged.

use super::Signal;
use super::ledger::{Family, IssuedCode, Ledger, Standing, lock};
use super::session::Session;
use crate::Failed;
use crate::clients::{AUDIENCE, Credential, REDIRECT_FORM, SCOPE, escape};
use crate::load::Destination;
use base64::Engine as _;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Accepted requests that are kept for replay at one time.
const ACCEPTED_MAX: usize = 20;
/// Families that are kept alive at one time.
const FAMILIES_MAX: usize = 12;

/// Starts every worker; each ends when its connection breaks or it is told to.
pub(crate) fn start(
    destination: &Destination,
    ledger: &Arc<Ledger>,
    signal: &watch::Receiver<Signal>,
) -> Vec<JoinHandle<()>> {
    let work = [
        Work::Codes,
        Work::Codes,
        Work::Refreshes,
        Work::Refreshes,
        Work::Credentials,
        Work::Credentials,
    ];
    work.into_iter()
        .map(|work| {
            tokio::spawn(worker(
                work,
                destination.clone(),
                Arc::clone(ledger),
                signal.clone(),
            ))
        })
        .collect()
}

#[derive(Debug, Clone, Copy)]
enum Work {
    Codes,
    Credentials,
    Refreshes,
}

async fn worker(
    work: Work,
    destination: Destination,
    ledger: Arc<Ledger>,
    signal: watch::Receiver<Signal>,
) {
    let Ok(mut session) = Session::connect(&destination, &ledger).await else {
        return;
    };
    while *signal.borrow() == Signal::Go {
        let done = match work {
            Work::Codes => codes(&mut session, &ledger).await,
            Work::Credentials => credentials(&mut session, &ledger).await,
            Work::Refreshes => refresh(&mut session, &ledger).await,
        };
        // A broken connection is the crash that this is about; the checks afterwards judge.
        if done.is_err() {
            return;
        }
    }
}

/// A code that is left for after the crash, or redeemed for a family.
async fn codes(session: &mut Session<'_>, ledger: &Ledger) -> Result<(), Failed> {
    let code = session.code().await?;
    if lock(&ledger.families).len() < FAMILIES_MAX {
        let family = redeem(session, ledger, code).await?;
        lock(&ledger.families).push(family);
    } else {
        lock(&ledger.codes).push(code);
    }
    Ok(())
}

/// Redeems a code and notes that the answer arrived.
pub(crate) async fn redeem(
    session: &mut Session<'_>,
    ledger: &Ledger,
    mut code: IssuedCode,
) -> Result<Family, Failed> {
    let (answer, _) = session
        .post("/token", &redemption(&code), None, &mut code.prover)
        .await?;
    let current = answer
        .text("refresh_token")
        .ok_or_else(|| answer.problem())?;
    ledger.token_arrived();
    Ok(Family {
        current,
        prover: code.prover,
        standing: Standing::Acknowledged,
    })
}

/// The form that redeems a code.
pub(crate) fn redemption(code: &IssuedCode) -> String {
    format!(
        "grant_type=authorization_code&client_id=phone&code={}&redirect_uri={REDIRECT_FORM}&code_verifier={}",
        escape(&code.code),
        escape(&code.verifier)
    )
}

/// Takes a family, refreshes it, and puts it back with what was acknowledged last.
async fn refresh(session: &mut Session<'_>, ledger: &Ledger) -> Result<(), Failed> {
    let Some(mut family) = lock(&ledger.families).pop() else {
        tokio::task::yield_now().await;
        return credentials(session, ledger).await;
    };
    let result = rotate(session, ledger, &mut family).await;
    lock(&ledger.families).insert(0, family);
    result
}

/// One refresh. The token in `family` changes only when the answer arrived.
pub(crate) async fn rotate(
    session: &mut Session<'_>,
    ledger: &Ledger,
    family: &mut Family,
) -> Result<(), Failed> {
    let form = format!(
        "grant_type=refresh_token&client_id=phone&refresh_token={}",
        escape(&family.current)
    );
    family.standing = Standing::InFlight;
    let (answer, _) = session
        .post("/token", &form, None, &mut family.prover)
        .await?;
    family.current = answer
        .text("refresh_token")
        .ok_or_else(|| answer.problem())?;
    family.standing = Standing::Acknowledged;
    ledger.token_arrived();
    Ok(())
}

/// A token of the client's own; some accepted requests are kept to be replayed after the crash.
pub(crate) async fn credentials(session: &mut Session<'_>, ledger: &Ledger) -> Result<(), Failed> {
    let Credential::Secret(secret) = &ledger.batch.credential else {
        return Err("the batch client has a secret".into());
    };
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("batch:{secret}"));
    let form = format!(
        "grant_type=client_credentials&scope={}&resource={}",
        escape(SCOPE),
        escape(AUDIENCE)
    );
    let mut prover = ledger.batch.proof.clone().ok_or("no key")?;
    let (answer, sent) = session
        .post("/token", &form, Some(&format!("Basic {pair}")), &mut prover)
        .await?;
    if answer.text("access_token").is_none() {
        return Err(answer.problem());
    }
    ledger.token_arrived();
    let mut accepted = lock(&ledger.accepted);
    accepted.push(sent);
    if accepted.len() > ACCEPTED_MAX {
        accepted.remove(0);
    }
    Ok(())
}
