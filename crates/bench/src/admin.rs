//! The administrator's API, as the crash tests use it: one connection, one call after the other.
//!
//! A call that breaks off was not acknowledged, and nothing is known of it; whatever has a status is an answer.

use crate::Failed;
use crate::load::{Destination, exchange};
use bytes::Bytes;
use countersign_base::UnixTime;
use countersign_control::administrator::AdministratorKey;
use countersign_crypto::random::Random;
use http::{HeaderMap, Method, Request, header};
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use serde_json::Value as Json;
use std::path::Path;
use std::time::Duration;

/// The longest that an answer may take, a debug build on a busy machine included.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) body: Json,
}

impl Said {
    /// Whether it was done.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Something of the answer, by a JSON pointer.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Json> {
        self.body.pointer(pointer)
    }

    /// A text of the answer.
    pub(crate) fn text(&self, pointer: &str) -> Option<String> {
        Some(self.at(pointer)?.as_str()?.to_owned())
    }

    /// A number of the answer.
    pub(crate) fn number(&self, pointer: &str) -> Option<u32> {
        u32::try_from(self.at(pointer)?.as_u64()?).ok()
    }

    /// The answer as a problem, without what it may hold of secrets.
    pub(crate) fn problem(&self, what: &str) -> Failed {
        let errors = ["/errors", "/detail", "/message"];
        let errors = errors.iter().find_map(|place| self.at(place));
        format!(
            "{what}: status {}: {}",
            self.status,
            errors.unwrap_or(&Json::Null)
        )
        .into()
    }
}

/// The administrator, by what `admin.json` holds.
pub(crate) struct Admin {
    destination: Destination,
    sender: SendRequest<Full<Bytes>>,
    key: AdministratorKey,
    random: Random,
}

impl Admin {
    pub(crate) async fn connect(destination: &Destination, data: &Path) -> Result<Self, Failed> {
        Ok(Self {
            destination: destination.clone(),
            sender: destination.connect().await?,
            key: AdministratorKey::read(data, now())?,
            random: Random::system(),
        })
    }

    /// One call; the path is below the tenant's.
    pub(crate) async fn ask(
        &mut self,
        method: &Method,
        rest: &str,
        body: &Json,
    ) -> Result<Said, Failed> {
        let path = format!("/admin/v1/tenants/default/{rest}");
        let proof: HeaderMap = self.key.prove(method, &path, &self.random, now())?;
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut request = Request::builder()
            .method(method)
            .uri(&path)
            .header(header::HOST, self.destination.host())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(text)))?;
        request.headers_mut().extend(proof);
        answered(&mut self.sender, request).await
    }

    /// A call that has to be done.
    pub(crate) async fn must(
        &mut self,
        method: &Method,
        rest: &str,
        body: &Json,
    ) -> Result<Said, Failed> {
        let said = self.ask(method, rest, body).await?;
        if said.is_done() {
            Ok(said)
        } else {
            Err(said.problem(&format!("{method} {rest}")))
        }
    }
}

fn now() -> UnixTime {
    UnixTime(i64::try_from(crate::clients::now()).unwrap_or(i64::MAX))
}

pub(crate) async fn answered(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Said, Failed> {
    let (parts, body) = tokio::time::timeout(PATIENCE, exchange(sender, request)).await??;
    Ok(Said {
        status: parts.status.as_u16(),
        body: serde_json::from_slice(&body).unwrap_or(Json::Null),
    })
}
