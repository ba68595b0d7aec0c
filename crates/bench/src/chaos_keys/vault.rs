//! The vault's API, as clients of the crash test use it: one connection, one call after the other.

use crate::Failed;
use crate::admin::answered;
pub(super) use crate::admin::{Admin, Said};
use crate::load::Destination;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use serde_json::Value as Json;

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
