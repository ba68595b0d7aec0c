//! `gateway`: the full path of a request, with a realistic mix of tokens.

use super::setting::Setting;
use super::{Columns, Effort, Measured, Subjects, Suite, limit};
use crate::Failed;
use crate::clients::{Caller, Presented, new_key, now};
use crate::load::drive;
use crate::report::{Row, Run};
use crate::zipf::{Dice, Zipf};
use countersign_crypto::jose::{Jws, sign_jwt};
use countersign_crypto::signing::{DpopProof, SigningKey};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub(super) const SUITE: Suite = Suite {
    name: "gateway",
    about: "Requests through the gateway over 16 kept connections (TLS 1.3, HTTP/1.1) to an upstream on loopback, requests per second of the server's CPU time. \
            `plain`: no token, on a route that is open to anyone; route, policy and a queued audit record. \
            `jwt-es256-mixed`: 10,000 ES256 tokens chosen by Zipf's law, one request in a hundred with a token never seen before; verification, scope, policy and a queued audit record. \
            `dpop`: 6 tokens for each of 16 keys, a fresh proof for each request; `limit` verifies such a proof and does nothing else.",
    measure: |subjects, effort| -> Measured<'_> { Box::pin(measure(subjects, effort)) },
};

const CONNECTIONS: u64 = 16;
const MIX: u32 = 10_000;
/// Tokens of each connection's key. A key of its own, because used proofs are remembered up to a number for each key.
const BOUND: usize = 6;

async fn measure(subjects: &Subjects, effort: Effort) -> Result<Vec<Row>, Failed> {
    let mut columns = Columns::default();
    let setting = Setting::start(&subjects.server).await?;
    let client = setting.with_key("caller").await?;
    let mix = usize::try_from(MIX)?;
    // One in a hundred of what a fast gateway could serve in all runs together.
    let fresh = mix / 2;
    let tokens = setting.tokens(&client, mix + fresh).await?;
    let mixed = Presented::Bearer(mixture(tokens, mix));
    let mut bound = Vec::new();
    for _ in 0..CONNECTIONS {
        let holder = Setting::bound(&client)?;
        let tokens = setting.tokens(&holder, BOUND).await?;
        let prover = holder.proof.ok_or("no key")?;
        bound.push(Presented::Bound(Arc::new(tokens), prover));
    }
    let (nothing, mixed) = (everywhere(&Presented::Nothing), everywhere(&mixed));
    for _ in 0..effort.runs {
        columns.add(
            "plain",
            "countersign",
            "req/cpu-s",
            run(&setting, "/plain", &nothing, effort.duration).await,
        );
        columns.add(
            "jwt-es256-mixed",
            "countersign",
            "req/cpu-s",
            run(&setting, "/orders", &mixed, effort.duration).await,
        );
        columns.add(
            "dpop",
            "countersign",
            "req/cpu-s",
            run(&setting, "/orders", &bound, effort.duration).await,
        );
        columns.add("dpop", "limit", "req/cpu-s", proof(effort.duration / 4));
    }
    setting.server.stop().await?;
    Ok(columns.rows())
}

/// The first `mix` tokens by Zipf's law; one time in a hundred the next of the rest, each only once.
fn mixture(tokens: Vec<String>, mix: usize) -> Arc<dyn Fn(&mut Dice) -> String + Send + Sync> {
    let (zipf, next) = (Zipf::new(MIX), AtomicUsize::new(mix));
    Arc::new(move |dice| {
        let never_seen = (dice.uniform() < 0.01)
            .then(|| tokens.get(next.fetch_add(1, Ordering::Relaxed)))
            .flatten();
        never_seen
            .or_else(|| tokens.get(zipf.rank(dice.uniform())))
            .cloned()
            .unwrap_or_default()
    })
}

/// The same on every connection.
fn everywhere(presented: &Presented) -> Vec<Presented> {
    (0..CONNECTIONS).map(|_| presented.clone()).collect()
}

/// `presented` holds what each connection presents.
async fn run(
    setting: &Setting,
    path: &'static str,
    presented: &[Presented],
    duration: Duration,
) -> Result<Run, Failed> {
    let callers = presented.iter().zip(0..).map(|(presented, seed)| Caller {
        presented: presented.clone(),
        gateway: setting.server.addresses.gateway.clone(),
        path,
        dice: Dice::new(seed),
        random: setting.random.clone(),
    });
    let before = setting.server.cpu()?;
    let (served, _) = drive(&setting.gateway()?, callers.collect(), duration).await?;
    served.run(
        setting.server.cpu()?.saturating_sub(before),
        Some(setting.server.resident_mib()?),
    )
}

fn proof(duration: Duration) -> Result<Run, Failed> {
    let key: SigningKey<DpopProof> = new_key("proof")?;
    let claims = json!({"jti": "0123456789abcdef", "htm": "GET", "htu": "https://localhost:8444/orders", "iat": now(), "ath": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"});
    let (token, verifier) = (sign_jwt(&key, &claims)?, key.verifying_key()?);
    limit(duration, || Ok(Jws::parse(&token)?.verify(&verifier)?))
}
