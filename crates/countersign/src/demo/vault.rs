//! A caller of the vault's HTTP API with an identity of its own: an access token of the installation's issuer for the vault, bound to the caller's certificate
//! (RFC 8705). It holds no vault token, and what it may do stands in the configuration's policies.

use super::http::{Client, Failure, Response, basic, value};
use countersign_base::{Clock, Duration, UnixTime};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

/// The vault's audience.
const AUDIENCE: &str = "urn:countersign:vault";
/// How long before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(30);

/// A service, or a team's machine.
pub(super) struct VaultCaller {
    client: Client,
    token_endpoint: Url,
    control: Url,
    name: &'static str,
    secret: String,
    clock: Clock,
    token: Mutex<Option<(String, UnixTime)>>,
}

impl VaultCaller {
    /// A caller with this certificate and this client secret, without a token yet.
    pub(super) fn new(
        client: Client,
        token_endpoint: Url,
        control: Url,
        (name, secret): (&'static str, &str),
        clock: Clock,
    ) -> Self {
        Self {
            client,
            token_endpoint,
            control,
            name,
            secret: secret.to_owned(),
            clock,
            token: Mutex::default(),
        }
    }

    /// Reads what stands at a path, or lets the vault compute it: the member `data` of the answer.
    pub(super) async fn data(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        let answer = self
            .call(method, path, body)
            .await?
            .expect(StatusCode::OK)?;
        let mut answer = answer.json()?;
        Ok(answer.get_mut("data").map(Value::take).unwrap_or_default())
    }

    /// Writes something whose answer is empty.
    pub(super) async fn write(&self, path: &str, body: &Value) -> Result<(), Failure> {
        let answer = self.call(Method::POST, path, body).await?;
        match answer.status {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
            status => Err(Failure::new(format!(
                "the vault, {path}: {status} {}",
                answer.text().trim()
            ))),
        }
    }

    /// Calls, and leaves the answer to the caller to judge.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Response, Failure> {
        let url = self
            .control
            .join(&format!("/v1/{path}"))
            .map_err(|_| Failure::new("a path of the vault"))?;
        let mut headers = HeaderMap::new();
        let token = self.token().await?;
        headers.insert(header::AUTHORIZATION, value(&format!("Bearer {token}"))?);
        headers.insert("x-vault-namespace", value("demo")?);
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.client.send(method, &url, headers, body).await
    }

    /// A token that is good for a while.
    async fn token(&self) -> Result<String, Failure> {
        let mut kept = self.token.lock().await;
        let now = self.clock.now();
        if let Some((token, ends)) = kept.as_ref().filter(|(_, ends)| now.plus(MARGIN) < *ends) {
            let _ = ends;
            return Ok(token.clone());
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, basic(self.name, &self.secret)?);
        let form = [("grant_type", "client_credentials"), ("resource", AUDIENCE)];
        let answer = self
            .client
            .post_form(&self.token_endpoint, headers, &form)
            .await?
            .expect(StatusCode::OK)?
            .json()?;
        let token = answer.get("access_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| Failure::new("no access token for the vault"))?;
        let lives = answer.get("expires_in").and_then(Value::as_u64);
        let ends = now.plus(Duration::from_secs(lives.unwrap_or_default()));
        *kept = Some((token.to_owned(), ends));
        Ok(token.to_owned())
    }
}
