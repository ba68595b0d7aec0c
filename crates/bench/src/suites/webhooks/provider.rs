//! A provider whose webhooks come in.

use super::place::{Counter, Database, Place};
use crate::Failed;
use crate::load::{Destination, Script, Wanted};
use crate::report::Run;
use crate::running::{Running, measure};
use crate::server::Server;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::hmac::HmacKey;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::Full;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Connections of the provider.
const CONNECTIONS: u32 = 32;
/// How long everything is warmed up before it counts.
const WARM_UP: Duration = Duration::from_millis(500);

/// Receives for a while, and gives how many for a second of CPU time.
pub(super) async fn received(program: &Path, duration: Duration) -> Result<Run, Failed> {
    let place = Place::new(program, &Database::Embedded, Counter::default()).await?;
    let door = Door(place.start().await?);
    let secret = place.secret.strip_prefix("whsec_").ok_or("no secret")?;
    let key = HmacKey::new(HashAlgorithm::Sha2_256, &STANDARD.decode(secret)?);
    let key = Arc::new(key);
    let scripts = (0..CONNECTIONS).map(|line| Webhooks {
        key: Arc::clone(&key),
        line,
        number: 0,
    });
    let (_warm, scripts) = measure(&door, scripts.collect(), WARM_UP.min(duration)).await?;
    let (run, _) = measure(&door, scripts, duration).await?;
    door.0.stop().await?;
    Ok(run)
}

struct Door(Server);

impl Running for Door {
    fn pid(&self) -> Result<u32, Failed> {
        self.0.pid()
    }

    fn destination(&self) -> Result<Destination, Failed> {
        Destination::new(&self.0.addresses.gateway, &self.0.roots()?)
    }

    fn subject(&self) -> String {
        "countersign".to_owned()
    }

    fn issuer(&self) -> String {
        self.0.addresses.identity.clone()
    }
}

/// Webhooks of one connection, each with an id of its own.
struct Webhooks {
    key: Arc<HmacKey>,
    line: u32,
    number: u32,
}

impl Script for Webhooks {
    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        self.number += 1;
        let id = format!("bench-{}-{}", self.line, self.number);
        let body = format!(
            "{{\"number\":{},\"what\":\"{}\"}}",
            self.number,
            "x".repeat(256)
        );
        let timestamp = crate::clients::now().to_string();
        let parts = [
            id.as_bytes(),
            b".",
            timestamp.as_bytes(),
            b".",
            body.as_bytes(),
        ];
        let signature = format!("v1,{}", STANDARD.encode(self.key.tag(&parts)));
        Ok(Request::builder()
            .method(Method::POST)
            .uri("/in")
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(Full::new(Bytes::from(body)))?)
    }

    fn judge(&mut self, status: StatusCode, _headers: &HeaderMap, _body: &[u8]) -> Wanted {
        if status == StatusCode::ACCEPTED {
            Wanted::Yes
        } else {
            Wanted::No
        }
    }
}
