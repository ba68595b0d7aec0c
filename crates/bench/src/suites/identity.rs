//! `identity`: client credentials, each answer one signed token behind one durable record.

use super::setting::Setting;
use super::{Columns, Effort, Measured, Subjects, Suite, limit};
use crate::clients::{TokenClient, new_key, now};
use crate::load::drive;
use crate::peers::{OIDC_PROVIDER, Peer};
use crate::report::{Row, Run};
use crate::{Failed, server::Server};
use countersign_crypto::jose::{Jws, sign_jwt};
use countersign_crypto::signing::{AccessToken, ClientAssertion, SigningKey};
use serde_json::json;
use std::time::Duration;

pub(super) const SUITE: Suite = Suite {
    name: "identity",
    about: "Token requests for client credentials over 16 kept connections (TLS 1.3, HTTP/1.1), requests per second of the server's CPU time. `limit` is the cryptography alone: \
            one ES256 signature of a token of the same claims, and for `cc-private-key-jwt` one ES256 verification of the assertion before it. Ours decides by policy and \
            writes each answer's event durably before it leaves; oidc-provider keeps everything in memory and records nothing.",
    measure: |subjects, effort| -> Measured<'_> { Box::pin(measure(subjects, effort)) },
};

const CONNECTIONS: usize = 16;

async fn measure(subjects: &Subjects, effort: Effort) -> Result<Vec<Row>, Failed> {
    let mut columns = Columns::default();
    let setting = Setting::start(&subjects.server).await?;
    let (secret, key) = (
        setting.with_secret("with-secret").await?,
        setting.with_key("with-key").await?,
    );
    for client in [&secret, &key] {
        // Connections, caches and code are warm before the first run counts.
        run(&setting, client, Duration::from_secs(1)).await?;
    }
    let peer = Peer::oidc_provider(&subjects.peers, now()).await;
    let peer = peer.map_err(|problem| problem.to_string());
    let named = match &peer {
        Ok(peer) => peer.subject(),
        Err(_) => OIDC_PROVIDER.to_owned(),
    };
    if let Ok(peer) = &peer {
        for client in [peer.with_secret(), peer.with_key()] {
            run_peer(peer, &client, Duration::from_secs(1)).await?;
        }
    }
    for _ in 0..effort.runs {
        columns.add(
            "cc-secret-es256",
            "countersign",
            "req/cpu-s",
            run(&setting, &secret, effort.duration).await,
        );
        for (case, of) in PEER_CASES {
            let run = match &peer {
                Ok(peer) => run_peer(peer, &of(peer), effort.duration).await,
                Err(problem) => Err(problem.clone().into()),
            };
            columns.add(case, &named, "req/cpu-s", run);
        }
        columns.add(
            "cc-secret-es256",
            "limit",
            "req/cpu-s",
            signature(effort.duration / 4),
        );
        columns.add(
            "cc-private-key-jwt",
            "countersign",
            "req/cpu-s",
            run(&setting, &key, effort.duration).await,
        );
        columns.add(
            "cc-private-key-jwt",
            "limit",
            "req/cpu-s",
            assertion(effort.duration / 4),
        );
    }
    setting.server.stop().await?;
    Ok(columns.rows())
}

async fn run(setting: &Setting, client: &TokenClient, duration: Duration) -> Result<Run, Failed> {
    let server: &Server = &setting.server;
    let before = server.cpu()?;
    let (served, _) = drive(
        &setting.identity()?,
        vec![client.clone(); CONNECTIONS],
        duration,
    )
    .await?;
    served.run(
        server.cpu()?.saturating_sub(before),
        Some(server.resident_mib()?),
    )
}

type PeerClient = fn(&Peer) -> TokenClient;

/// Cases that the peer has too, each with the client that asks.
const PEER_CASES: [(&str, PeerClient); 2] = [
    ("cc-secret-es256", Peer::with_secret),
    ("cc-private-key-jwt", Peer::with_key),
];

async fn run_peer(peer: &Peer, client: &TokenClient, duration: Duration) -> Result<Run, Failed> {
    let before = peer.cpu()?;
    let (served, _) = drive(
        &peer.destination()?,
        vec![client.clone(); CONNECTIONS],
        duration,
    )
    .await?;
    served.run(
        peer.cpu()?.saturating_sub(before),
        Some(peer.resident_mib()?),
    )
}

fn claims() -> serde_json::Value {
    json!({
        "iss": "https://localhost:8443", "sub": "with-secret", "aud": "https://orders.example", "exp": now() + 300, "iat": now(),
        "jti": "0123456789abcdef0123456789abcdef", "client_id": "with-secret", "scope": "orders:read", "grant_id": "0123456789abcdef",
    })
}

fn signature(duration: Duration) -> Result<Run, Failed> {
    let key: SigningKey<AccessToken> = new_key("limit")?;
    let claims = claims();
    limit(duration, || Ok(sign_jwt(&key, &claims)?))
}

fn assertion(duration: Duration) -> Result<Run, Failed> {
    let key: SigningKey<AccessToken> = new_key("limit")?;
    let client: SigningKey<ClientAssertion> = new_key("client")?;
    let (claims, token, verifier) = (
        claims(),
        sign_jwt(&client, &claims())?,
        client.verifying_key()?,
    );
    limit(duration, || {
        let _verified = Jws::parse(&token)?.verify(&verifier)?;
        Ok(sign_jwt(&key, &claims)?)
    })
}
