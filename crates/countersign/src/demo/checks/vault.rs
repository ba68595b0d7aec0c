//! 10. Secrets from the vault: rotated while the services run, without a restart; cardholder metadata under envelope encryption; a customer erased.
//!
//! What the vault needs is set up here as a platform team would, over its HTTP API, by a machine that may write it and read none of it.

use super::cards::{self, Holder};
use super::{Holds, Play, erasure, hold};
use crate::demo::http::Failure;
use crate::demo::portal::call;
use crate::demo::report::{Check, Evidence};
use crate::demo::stage::Stage;
use countersign_base::Secret;
use futures_util::future::{join_all, try_join};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Connection as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How often the password is changed.
const ROTATIONS: u64 = 3;
/// Customers who ask at the same time.
const CALLERS: usize = 3;
/// Requests that are answered after each change before the next, at least.
const ANSWERED_BETWEEN: u64 = 50;
/// How long a customer rests between two requests.
const REST: Duration = Duration::from_millis(5);
/// How long the service may take until it has signed in with a new password.
const PATIENCE: Duration = Duration::from_secs(60);

pub(in crate::demo) async fn check(stage: &Stage, play: &mut Play) -> Check {
    let mut evidence = Evidence::default();
    let result = steps(stage, play, &mut evidence).await;
    Check::of(
        "10",
        "Secrets from the vault: rotated under load, cards as ciphertext, a customer erased",
        evidence,
        result,
    )
}

async fn steps(stage: &Stage, play: &mut Play, evidence: &mut Evidence) -> Result<(), Failure> {
    set_up(stage).await?;
    let alice = Holder::new(stage, play, "alice", stage.password("alice")).await?;
    own_secrets_alone(stage, evidence).await?;
    rotated(stage, &alice, evidence).await?;
    cards::sealed(stage, &alice, evidence).await?;
    erasure::erased(stage, play, &alice, evidence).await
}

/// Gives the vault a database, a role whose password it changes, and a key that wraps keys; then billing makes its tables.
pub(in crate::demo) async fn set_up(stage: &Stage) -> Result<(), Failure> {
    stage.ledger.prepare().await?;
    let role = json!({
        "db_name": "main",
        "username": stage.ledger.role(),
        "rotation_period": "24h",
    });
    for (path, body) in [
        ("sys/mounts/database", json!({ "type": "database" })),
        ("database/config/main", stage.ledger.connection()),
        ("database/static-roles/billing", role),
        ("transit/keys/cards", json!({ "type": "aes256-gcm96" })),
    ] {
        stage.platform.write(path, &body).await?;
    }
    stage.connections.prepare().await
}

/// Billing reads its password and not the connection's, the platform sets both up and reads neither.
async fn own_secrets_alone(stage: &Stage, evidence: &mut Evidence) -> Result<(), Failure> {
    let (own, others) = ("database/static-creds/billing", "database/config/main");
    for (who, caller, path, status) in [
        (
            "billing, its own password",
            &*stage.billing_at_vault,
            own,
            StatusCode::OK,
        ),
        (
            "billing, the connection",
            &*stage.billing_at_vault,
            others,
            StatusCode::FORBIDDEN,
        ),
        (
            "the platform, billing's password",
            &stage.platform,
            own,
            StatusCode::FORBIDDEN,
        ),
    ] {
        let answer = caller.call(Method::GET, path, &Value::Null).await?;
        hold(
            &format!(
                "{who}: the vault answers {status}, and not {}",
                answer.status
            ),
            Holds::from(answer.status == status),
        )?;
    }
    evidence.say("the vault gives billing its own password and refuses it the connection's; it refuses the platform, which set both up, billing's");
    Ok(())
}

/// What customers saw while the password was changed.
#[derive(Default)]
struct Seen {
    answered: AtomicU64,
    over: AtomicBool,
}

/// The password is changed again and again, while customers read their cards through the gateway without a pause.
async fn rotated(stage: &Stage, alice: &Holder, evidence: &mut Evidence) -> Result<(), Failure> {
    let seen = Seen::default();
    let (signed_in_before, _) = stage.connections.signed_in();
    let callers = async {
        let callers = (0..CALLERS).map(|_| customer(stage, alice, &seen));
        let all: Result<Vec<()>, Failure> = join_all(callers).await.into_iter().collect();
        all
    };
    let rotations = async {
        let rotated = rotations(stage, &seen).await;
        seen.over.store(true, Ordering::SeqCst);
        rotated
    };
    let (_, old) = try_join(callers, rotations).await?;
    let answered = seen.answered.load(Ordering::SeqCst);
    let (signed_in, _) = stage.connections.signed_in();
    evidence.say(format!(
        "{answered} requests of {CALLERS} customers were answered 200 and none otherwise, while the vault changed billing's password {ROTATIONS} times"
    ));
    evidence.say(format!(
        "billing signed in {} times meanwhile to {}, and was not restarted",
        signed_in.saturating_sub(signed_in_before),
        stage.ledger.name(),
    ));
    refused_afterwards(stage, &old, evidence).await
}

/// One customer. The first answer that is not what it has to be ends the check.
async fn customer(stage: &Stage, alice: &Holder, seen: &Seen) -> Result<(), Failure> {
    let url = cards::at_gateway(stage, &alice.session.sub)?;
    let (proofs, token) = (&alice.session.proofs, &alice.session.tokens.access);
    while !seen.over.load(Ordering::SeqCst) {
        let answer = call(&stage.client, proofs, Method::GET, &url, token).await?;
        super::expect(
            "a customer's cards, while the password is changed",
            &answer,
            StatusCode::OK,
        )?;
        alice.has_shown(&answer)?;
        seen.answered.fetch_add(1, Ordering::SeqCst);
        sleep(REST).await;
    }
    Ok(())
}

/// Changes the password, and waits until the service has signed in with the new one and answered; the passwords that were.
async fn rotations(stage: &Stage, seen: &Seen) -> Result<Vec<Secret<String>>, Failure> {
    let mut old = Vec::new();
    for rotation in 1..=ROTATIONS {
        old.push(password(stage).await?);
        let (_, passwords) = stage.connections.signed_in();
        let before = seen.answered.load(Ordering::SeqCst);
        let path = "database/rotate-role/billing";
        stage.platform.write(path, &Value::Null).await?;
        let taken_up = async {
            loop {
                let (_, now) = stage.connections.signed_in();
                let answered = seen.answered.load(Ordering::SeqCst).saturating_sub(before);
                if now > passwords && answered >= ANSWERED_BETWEEN {
                    break;
                }
                sleep(REST).await;
            }
        };
        timeout(PATIENCE, taken_up).await.map_err(|_| {
            Failure::new(format!("billing does not go on after rotation {rotation}"))
        })?;
    }
    Ok(old)
}

/// The password that holds, as billing reads it.
async fn password(stage: &Stage) -> Result<Secret<String>, Failure> {
    let path = "database/static-creds/billing";
    let data = stage.billing_at_vault.data(Method::GET, path, &Value::Null);
    let data = data.await?;
    let password = data.get("password").and_then(Value::as_str);
    let password = password.ok_or_else(|| Failure::new("the vault has no password for billing"))?;
    Ok(Secret::new(password.to_owned()))
}

/// Each password that was is refused by the database; the one that is, is not.
async fn refused_afterwards(
    stage: &Stage,
    old: &[Secret<String>],
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    for password in old {
        let code = match stage.ledger.options(password).connect().await {
            Ok(_) => None,
            Err(error) => error
                .as_database_error()
                .and_then(|error| error.code())
                .map(std::borrow::Cow::into_owned),
        };
        hold(
            "the database refuses a password that was changed",
            Holds::from(code.as_deref() == Some("28P01")),
        )?;
    }
    let now = password(stage).await?;
    let connection = stage.ledger.options(&now).connect().await;
    let connection =
        connection.map_err(|error| Failure::new(format!("the password of now: {error}")))?;
    // It was signed in, which is all that was asked.
    let _ended = connection.close().await;
    let written = stage.ledger.written().await?;
    let clear = old
        .iter()
        .chain([&now])
        .find(|password| written.holds(password.expose()).is_some());
    hold(
        "no password lies in the database's files",
        Holds::from(clear.is_none()),
    )?;
    evidence.say(format!(
        "refused by the database afterwards (SQLSTATE 28P01): all {} passwords that were; it keeps verifiers and none of them in the clear",
        old.len()
    ));
    Ok(())
}
