//! The receivers of the crash test, in a process of their own that is killed as well: partners' endpoints and the internal service behind the gateway.
//!
//! Each delivery is judged (its signature, by the secret that the directory holds for its path), written to the journal, and then answered; some are refused, and
//! some are taken in and never answered, so that they come again.

use super::journal::{Done, Journal, Taken};
use super::{ORDERED, SERVICE};
use crate::Failed;
use crate::tls_receiver::{self, Receive, Reply};
use crate::zipf::Dice;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::hmac::{HmacKey, TagJudged};
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The file of what was taken in.
pub(super) const JOURNAL: &str = "taken.jsonl";
/// The file of secrets by path, `whsec_` and base64.
pub(super) const SECRETS: &str = "secrets.json";
/// Of so many deliveries one is refused, and one is taken in and not answered.
const ONE_OF: u64 = 20;
/// The same where order is kept: all that comes after it waits with it.
const ONE_OF_ORDERED: u64 = 200;
/// How far a timestamp may be from now.
const TOLERANCE: u64 = 300;

/// What a message of the crash test says.
#[derive(Deserialize)]
struct Said {
    key: String,
    number: u64,
}

/// How it comes: as `data` of what an endpoint gets, and as the provider wrote it to the service.
#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Endpoint { data: Said },
    Service(Said),
}

#[derive(Clone)]
struct Receiver {
    journal: Journal,
    secrets: PathBuf,
    dice: Arc<Mutex<Dice>>,
}

/// Serves on this address, prints where once it listens, and ends when its standard input does.
///
/// # Errors
/// When the address cannot be had.
pub async fn serve(address: SocketAddr, directory: &Path) -> Result<(), Failed> {
    let receiver = Receiver {
        journal: Journal::open(&directory.join(JOURNAL))?,
        secrets: directory.join(SECRETS),
        dice: Arc::new(Mutex::new(Dice::new(crate::clients::now()))),
    };
    let bound = tls_receiver::start(address, directory, receiver).await?;
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{bound}")?;
        out.flush()?;
    }
    // Whoever started it holds the other end of standard input: when that process is gone, so is this one.
    let ended = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    tokio::task::spawn_blocking(ended).await??;
    Ok(())
}

impl Receive for Receiver {
    async fn receive(&self, head: &Parts, body: Bytes) -> Reply {
        let one_of = if head.uri.path() == ORDERED {
            ONE_OF_ORDERED
        } else {
            ONE_OF
        };
        let chance = {
            let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
            dice.next() % one_of
        };
        if chance == 0 {
            return Reply::Status(StatusCode::SERVICE_UNAVAILABLE);
        }
        let done = match (self.judged(head, &body), chance) {
            (Err(_), _) => Done::Forged,
            (Ok(()), 1) => Done::Unheard,
            (Ok(()), _) => Done::Accepted,
        };
        let said = match serde_json::from_slice(&body) {
            Ok(Body::Endpoint { data } | Body::Service(data)) => Some(data),
            Err(_) => None,
        };
        let taken = Taken {
            place: head.uri.path().to_owned(),
            id: field(head, "webhook-id").unwrap_or_default().to_owned(),
            key: said.as_ref().map_or(String::new(), |said| said.key.clone()),
            number: said.map_or(0, |said| said.number),
            done,
        };
        if self.journal.write(&taken).is_err() {
            return Reply::Status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        match done {
            Done::Accepted => Reply::Status(StatusCode::OK),
            Done::Forged => Reply::Status(StatusCode::UNAUTHORIZED),
            Done::Unheard => Reply::Nothing,
        }
    }
}

impl Receiver {
    /// Whether a delivery is signed by the secret of its path (Standard Webhooks, `v1`); to the service, whether it names its id as the key that nothing is done twice by.
    fn judged(&self, head: &Parts, body: &[u8]) -> Result<(), Failed> {
        if head.uri.path() == SERVICE {
            let id = field(head, "webhook-id").ok_or("no id")?;
            let key = field(head, "idempotency-key").ok_or("no key")?;
            let named = key == format!("\"{id}\"");
            return named.then_some(()).ok_or_else(|| "another key".into());
        }
        let secrets = std::fs::read_to_string(&self.secrets)?;
        let secrets: BTreeMap<String, String> = serde_json::from_str(&secrets)?;
        let secret = secrets.get(head.uri.path()).ok_or("no such receiver")?;
        let secret = STANDARD.decode(secret.strip_prefix("whsec_").ok_or("no secret")?)?;
        let id = field(head, "webhook-id").ok_or("no id")?;
        let timestamp = field(head, "webhook-timestamp").ok_or("no timestamp")?;
        if timestamp.parse::<u64>()?.abs_diff(crate::clients::now()) > TOLERANCE {
            return Err("too old".into());
        }
        let key = HmacKey::new(HashAlgorithm::Sha2_256, &secret);
        let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        let signatures = field(head, "webhook-signature").ok_or("no signature")?;
        for signature in signatures.split(' ') {
            let Some(tag) = signature.strip_prefix("v1,") else {
                continue;
            };
            if key.verify(&parts, &STANDARD.decode(tag)?) == TagJudged::Holds {
                return Ok(());
            }
        }
        Err("no signature matches".into())
    }
}

fn field<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}
