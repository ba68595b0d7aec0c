//! The vault's API and the administrator's, as clients of the crash test use them: one connection, one call after the other.
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
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) body: Json,
}

impl Said {
    /// Whether it was done.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Something of the answer, by a JSON pointer.
    pub(super) fn at(&self, pointer: &str) -> Option<&Json> {
        self.body.pointer(pointer)
    }

    /// A text of the answer.
    pub(super) fn text(&self, pointer: &str) -> Option<String> {
        Some(self.at(pointer)?.as_str()?.to_owned())
    }

    /// A number of the answer.
    pub(super) fn number(&self, pointer: &str) -> Option<u32> {
        u32::try_from(self.at(pointer)?.as_u64()?).ok()
    }

    /// The answer as a problem, without what it may hold of secrets.
    pub(super) fn problem(&self, what: &str) -> Failed {
        let errors = self.at("/errors").or_else(|| self.at("/detail"));
        format!(
            "{what}: status {}: {}",
            self.status,
            errors.unwrap_or(&Json::Null)
        )
        .into()
    }
}

/// A client of the vault.
pub(super) struct Vault {
    destination: Destination,
    sender: SendRequest<Full<Bytes>>,
    token: String,
}

impl Vault {
    pub(super) async fn connect(destination: &Destination, token: &str) -> Result<Self, Failed> {
        Ok(Self {
            destination: destination.clone(),
            sender: destination.connect().await?,
            token: token.to_owned(),
        })
    }

    /// One call with the client's own token. `LIST` is a method as any other here.
    pub(super) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: &Json,
    ) -> Result<Said, Failed> {
        let token = self.token.clone();
        self.ask_as(&token, method, path, body).await
    }

    /// One call with another token.
    pub(super) async fn ask_as(
        &mut self,
        token: &str,
        method: &str,
        path: &str,
        body: &Json,
    ) -> Result<Said, Failed> {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes())?)
            .uri(format!("/v1/{path}"))
            .header(header::HOST, self.destination.host())
            .header("x-vault-token", token)
            .body(Full::new(Bytes::from(text)))?;
        answered(&mut self.sender, request).await
    }

    /// A call that has to be done.
    pub(super) async fn must(
        &mut self,
        method: &str,
        path: &str,
        body: &Json,
    ) -> Result<Said, Failed> {
        let said = self.ask(method, path, body).await?;
        if said.is_done() {
            Ok(said)
        } else {
            Err(said.problem(&format!("{method} {path}")))
        }
    }
}

/// The administrator, by what `admin.json` holds.
pub(super) struct Admin {
    destination: Destination,
    sender: SendRequest<Full<Bytes>>,
    key: AdministratorKey,
    random: Random,
}

impl Admin {
    pub(super) async fn connect(destination: &Destination, data: &Path) -> Result<Self, Failed> {
        Ok(Self {
            destination: destination.clone(),
            sender: destination.connect().await?,
            key: AdministratorKey::read(data, now())?,
            random: Random::system(),
        })
    }

    /// One call; the path is below the tenant's.
    pub(super) async fn ask(
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
}

fn now() -> UnixTime {
    UnixTime(i64::try_from(crate::clients::now()).unwrap_or(i64::MAX))
}

async fn answered(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Said, Failed> {
    let (parts, body) = tokio::time::timeout(PATIENCE, exchange(sender, request)).await??;
    Ok(Said {
        status: parts.status.as_u16(),
        body: serde_json::from_slice(&body).unwrap_or(Json::Null),
    })
}
