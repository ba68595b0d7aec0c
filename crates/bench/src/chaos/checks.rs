//! What must hold after each restart, and of the log at the end.

use super::ledger::{Ledger, Standing, lock};
use super::session::Session;
use super::workers::{redeem, redemption, rotate};
use crate::Failed;
use crate::load::Destination;
use crate::server::Server;
use countersign_audit::tile::bundle_entries;
use countersign_audit::{Event, Record};
use http::StatusCode;
use std::path::Path;

/// Every check. One that never ran fails the crash test.
pub(crate) const NAMES: &[&str] = &[
    "an accepted proof and request are refused after the restart",
    "an acknowledged code is redeemed after the restart",
    "an acknowledged refresh token works after the restart",
    "a redeemed code is refused",
    "an answer leaves after the sync of what it promises",
    "every acknowledged token has its record",
    "of many parallel redemptions one succeeds",
    "the audit log verifies after a clean end",
    "the audit log verifies as the crash left it",
    "the person is still signed in",
];

/// Parallel redemptions of one code.
const PARALLEL: usize = 50;

/// Everything that was acknowledged before the crash.
pub(crate) async fn after_restart(server: &Server, ledger: &Ledger) -> Result<(), Failed> {
    let destination = Destination::new(&server.addresses.identity, &server.roots()?)?;
    let mut session = Session::connect(&destination, ledger).await?;
    let accepted = std::mem::take(&mut *lock(&ledger.accepted));
    for sent in &accepted {
        let answer = session.replay("/token", sent).await?;
        let refused = if answer.status.is_success() {
            Err("it was accepted again".into())
        } else {
            Ok(())
        };
        ledger.check(
            "an accepted proof and request are refused after the restart",
            refused,
        );
    }
    let mut codes = ledger.take_codes();
    let shared = codes.pop();
    for code in codes {
        let again = redemption(&code);
        let mut prover = code.prover.clone();
        let redeemed = redeem(&mut session, ledger, code).await;
        ledger.check(
            "an acknowledged code is redeemed after the restart",
            redeemed.map(drop),
        );
        let (answer, _) = session.post("/token", &again, None, &mut prover).await?;
        let refused = answer.status == StatusCode::BAD_REQUEST
            && answer.text("error").as_deref() == Some("invalid_grant");
        ledger.check(
            "a redeemed code is refused",
            if refused {
                Ok(())
            } else {
                Err(answer.problem())
            },
        );
    }
    if let Some(code) = shared {
        ledger.check(
            "of many parallel redemptions one succeeds",
            parallel(&destination, ledger, &redemption(&code), &code.prover).await,
        );
    }
    let mut families = std::mem::take(&mut *lock(&ledger.families));
    families.retain(|family| family.standing == Standing::Acknowledged);
    for family in &mut families {
        ledger.check(
            "an acknowledged refresh token works after the restart",
            rotate(&mut session, ledger, family).await,
        );
    }
    *lock(&ledger.families) = families;
    let known = lock(&ledger.cookies).clone();
    ledger.check(
        "the person is still signed in",
        still_signed_in(&mut session, ledger, &known).await,
    );
    Ok(())
}

/// A new code with the cookies of before: signing in again would have set a new session cookie.
async fn still_signed_in(
    session: &mut Session<'_>,
    ledger: &Ledger,
    known: &std::collections::BTreeMap<String, String>,
) -> Result<(), Failed> {
    let code = session.code().await?;
    lock(&ledger.codes).push(code);
    let now = lock(&ledger.cookies).clone();
    let changed = known
        .iter()
        .find(|(name, value)| name.contains("session") && now.get(*name) != Some(value));
    match changed {
        Some((name, _)) => Err(format!("the cookie {name} changed: the session was lost").into()),
        None => Ok(()),
    }
}

/// Sends one redemption over many connections at the same moment.
async fn parallel(
    destination: &Destination,
    ledger: &Ledger,
    form: &str,
    prover: &crate::clients::Prover,
) -> Result<(), Failed> {
    let mut sessions = Vec::new();
    for _ in 0..PARALLEL {
        sessions.push(Session::connect(destination, ledger).await?);
    }
    let attempts = sessions.iter_mut().map(|session| {
        let mut prover = prover.clone();
        async move {
            session
                .post("/token", form, None, &mut prover)
                .await
                .map(|(answer, _)| answer.status.is_success())
        }
    });
    let mut succeeded = 0;
    for result in futures_util::future::join_all(attempts).await {
        succeeded += usize::from(result?);
    }
    if succeeded == 1 {
        ledger.token_arrived();
        return Ok(());
    }
    Err(format!("{succeeded} of {PARALLEL} succeeded").into())
}

/// Counts the records of issued tokens in the log's entry bundles.
pub(crate) fn records(data: &Path, ledger: &Ledger) -> Result<(), Failed> {
    let mut tokens = 0_u64;
    let mut queue = vec![data.join("audit")];
    while let Some(path) = queue.pop() {
        for entry in std::fs::read_dir(&path)? {
            let path = entry?.path();
            if path.is_dir() {
                queue.push(path);
            } else if let Some(width) = bundle_width(&path) {
                let bytes = std::fs::read(&path)?;
                for entry in bundle_entries(&bytes, width).ok_or("a bundle does not read")? {
                    tokens += u64::from(
                        matches!(Record::decode(entry)?.event, Event::Token(token) if token.decision == countersign_audit::event::Verdict::Allowed),
                    );
                }
            }
        }
    }
    let acknowledged = ledger.tokens();
    if tokens >= acknowledged {
        Ok(())
    } else {
        Err(format!("{acknowledged} answers arrived, the log has {tokens}").into())
    }
}

/// How many entries the bundle at `path` has; `None` for other files, and for a partial bundle that a full one replaced.
fn bundle_width(path: &Path) -> Option<usize> {
    let text = path.to_string_lossy();
    let (_, inside) = text.split_once("/tile/entries/")?;
    match inside.split_once(".p/") {
        None => Some(256),
        Some((full, width)) => {
            let (root, _) = text.split_once(".p/")?;
            let newest = std::fs::read_dir(path.parent()?)
                .ok()?
                .flatten()
                .filter_map(|entry| entry.file_name().to_string_lossy().parse::<usize>().ok())
                .max();
            let width = width.parse().ok()?;
            (!Path::new(root).is_file() && newest == Some(width) && !full.is_empty())
                .then_some(width)
        }
    }
}
