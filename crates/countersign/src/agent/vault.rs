//! The vault as the agent calls it: the HTTP API of HashiCorp Vault below `/v1/`, over TLS, with a token that stays in memory.
//!
//! What the server says in words is repeated nowhere: a status is all that leaves.

use super::AgentError;
use crate::config::Config;
use crate::config::agent::{AgentSection, LoginSection};
use crate::run::believed_authorities;
use bytes::Bytes;
use countersign_agent::{Answer, Failure, Login, Renewed, Request, Verb};
use countersign_base::Duration;
use countersign_net::client::ClientOptions;
use countersign_net::tls::Alpn;
use countersign_net::{
    ClientError, ClientResponse, EgressPolicy, HttpClient, TlsClient, TlsIdentity,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use std::path::Path;
use url::Url;
use zeroize::Zeroizing;

/// The longest file that a workload shows.
const FILE_MAX: u64 = 64 * 1024;

/// Why a call failed: what the schedule makes of it, and what is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallError {
    pub(super) failure: Failure,
    pub(super) said: String,
}

impl CallError {
    pub(super) fn failed(said: impl Into<String>) -> Self {
        Self {
            failure: Failure::Failed,
            said: said.into(),
        }
    }
}

/// Calls of one sign-in: a token is renewed over the certificate that it was got with.
pub(super) struct VaultClient {
    http: HttpClient,
    address: Url,
    tenant: Option<HeaderValue>,
}

/// What is got with a token.
pub(super) struct SignedIn {
    pub(super) client: VaultClient,
    token: HeaderValue,
}

impl VaultClient {
    /// A client that shows the certificate of the sign-in, where that is one. Files are read anew.
    pub(super) fn new(config: &Config, section: &AgentSection) -> Result<Self, AgentError> {
        let roots =
            believed_authorities(config, section.ca.as_deref()).map_err(AgentError::Config)?;
        let identity = match &section.login {
            LoginSection::Certificate {
                certificate, key, ..
            } => {
                let chain = file(&config.dir.join(certificate))?;
                let key = file(&config.dir.join(key))?;
                Some(TlsIdentity::from_pem(&chain, &key)?)
            }
            LoginSection::AppRole { .. } | LoginSection::Token { .. } => None,
        };
        let tls = TlsClient::new(&roots, identity.as_ref(), Alpn::Http1)?;
        // The address comes from the agent's own configuration.
        let host = section.address.host_str().unwrap_or_default();
        let options = ClientOptions {
            timeout: Duration::from_secs(30),
            body_bytes_max: 4 * 1024 * 1024,
            ..ClientOptions::default()
        };
        let egress = EgressPolicy::public_only().allowing(host);
        let tenant = section.tenant.as_ref().map(ToString::to_string);
        Ok(Self {
            http: HttpClient::new(tls, egress, options),
            address: section.address.clone(),
            tenant: tenant.and_then(|name| HeaderValue::from_str(&name).ok()),
        })
    }

    /// Signs in.
    pub(super) async fn login(
        self,
        config: &Config,
        login: &LoginSection,
    ) -> Result<(SignedIn, Login), CallError> {
        let body =
            shown(&config.dir, login).map_err(|error| CallError::failed(error.to_string()))?;
        let path = format!("auth/{}/login", login.mount());
        let answer = self.send(Method::POST, &path, None, body).await?;
        let unread = |error: countersign_agent::AnswerError| CallError::failed(error.to_string());
        let login = Login::parse(&answer.body).map_err(unread)?;
        let mut token = HeaderValue::from_str(login.token.expose())
            .map_err(|_| CallError::failed("the answer holds no token"))?;
        token.set_sensitive(true);
        let signed_in = SignedIn {
            client: self,
            token,
        };
        Ok((signed_in, login))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&HeaderValue>,
        body: Bytes,
    ) -> Result<ClientResponse, CallError> {
        let mut url = self.address.clone();
        url.set_path(&format!("/v1/{path}"));
        let mut headers = HeaderMap::new();
        let fixed = HeaderValue::from_static("true");
        headers.insert(HeaderName::from_static("x-vault-request"), fixed);
        if let Some(tenant) = &self.tenant {
            headers.insert(HeaderName::from_static("x-vault-namespace"), tenant.clone());
        }
        if let Some(token) = token {
            headers.insert(HeaderName::from_static("x-vault-token"), token.clone());
        }
        let answer = self.http.send(method, &url, headers, body).await;
        let answer = answer.map_err(|error| no_answer(&error))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let failure = match answer.status {
            StatusCode::FORBIDDEN => Failure::Refused,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Failure::Away,
            _ => Failure::Failed,
        };
        let said = format!("the vault answered {}", answer.status.as_u16());
        Err(CallError { failure, said })
    }
}

/// A call that lasts too long is about what was asked for; everything else is about the server.
fn no_answer(error: &ClientError) -> CallError {
    let failure = match error {
        ClientError::BodyTooLarge | ClientError::Timeout => Failure::Failed,
        ClientError::Connect(_)
        | ClientError::Egress(_)
        | ClientError::Http(_)
        | ClientError::Url => Failure::Away,
    };
    CallError {
        failure,
        said: error.to_string(),
    }
}

impl SignedIn {
    /// Asks for a secret.
    pub(super) async fn fetch(&self, request: &Request) -> Result<Answer, CallError> {
        let (method, body) = match request.verb() {
            Verb::Issue => (
                Method::POST,
                Bytes::from(json!(request.parameters()).to_string()),
            ),
            Verb::Secret => (Method::GET, Bytes::new()),
        };
        let answer = self.call(method, request.path(), body).await?;
        let body = Zeroizing::new(answer.body.to_vec());
        Answer::parse(&body).map_err(|error| CallError::failed(error.to_string()))
    }

    /// Renews a lease.
    pub(super) async fn renew(&self, lease: &str) -> Result<Renewed, CallError> {
        let body = Bytes::from(json!({ "lease_id": lease }).to_string());
        let answer = self.call(Method::PUT, "sys/leases/renew", body).await?;
        Renewed::of_lease(&answer.body).map_err(|error| CallError::failed(error.to_string()))
    }

    /// Renews the token.
    pub(super) async fn renew_token(&self) -> Result<Option<Duration>, CallError> {
        let body = Bytes::from_static(b"{}");
        let answer = self
            .call(Method::POST, "auth/token/renew-self", body)
            .await?;
        let renewed = Login::parse(&answer.body);
        let renewed = renewed.map_err(|error| CallError::failed(error.to_string()))?;
        Ok(renewed.span)
    }

    /// Whether the token stands.
    pub(super) async fn look_up(&self) -> Result<(), CallError> {
        let path = "auth/token/lookup-self";
        self.call(Method::GET, path, Bytes::new()).await.map(drop)
    }

    /// Ends the token, and all that hangs on it.
    pub(super) async fn revoke(&self) -> Result<(), CallError> {
        let (path, body) = ("auth/token/revoke-self", Bytes::from_static(b"{}"));
        self.call(Method::POST, path, body).await.map(drop)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<ClientResponse, CallError> {
        self.client
            .send(method, path, Some(&self.token), body)
            .await
    }
}

/// What a workload shows at its sign-in.
fn shown(dir: &Path, login: &LoginSection) -> Result<Bytes, AgentError> {
    let body = match login {
        LoginSection::AppRole {
            role_id, secret_id, ..
        } => {
            let secret = secret_id.read(dir).map_err(AgentError::Shown)?;
            json!({ "role_id": role_id, "secret_id": secret.expose() })
        }
        LoginSection::Certificate { role, .. } => match role {
            Some(role) => json!({ "name": role }),
            None => Value::Object(serde_json::Map::new()),
        },
        LoginSection::Token {
            role, file: path, ..
        } => {
            let path = dir.join(path);
            let bytes = file(&path)?;
            let text = std::str::from_utf8(&bytes).map(str::trim);
            let text =
                text.map_err(|_| AgentError::Shown(format!("`{}` is no text", path.display())))?;
            json!({ "role": role, "jwt": text })
        }
    };
    Ok(Bytes::from(body.to_string()))
}

/// A file that a workload shows.
fn file(path: &Path) -> Result<Zeroizing<Vec<u8>>, AgentError> {
    let unread = |error: std::io::Error| {
        AgentError::Shown(format!(
            "`{}` cannot be read: {}",
            path.display(),
            error.kind()
        ))
    };
    let length = std::fs::metadata(path).map_err(unread)?.len();
    if length > FILE_MAX {
        return Err(AgentError::Shown(format!(
            "`{}` is larger than 64 KiB",
            path.display()
        )));
    }
    std::fs::read(path).map(Zeroizing::new).map_err(unread)
}
