//! The command line's way to a running process: the admin API, with the administrator's credential and the certificate authority of a data directory.

use super::Ended;
use crate::cli::Target;
use crate::run::system_clock;
use bytes::Bytes;
use countersign_base::RequestId;
use countersign_control::administrator::{AdministratorError, AdministratorKey};
use countersign_crypto::Random;
use countersign_net::client::ClientOptions;
use countersign_net::tls::Alpn;
use countersign_net::{ClientError, EgressPolicy, HttpClient, TlsClient, TlsError, TrustRoots};
use http::{HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use std::error::Error;
use std::path::PathBuf;
use url::Url;

/// Why an administrative verb failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControlError {
    /// The credential.
    #[error(transparent)]
    Administrator(#[from] AdministratorError),
    /// The server answered something that is no answer of the admin API.
    #[error("the answer is not one of the control API (status {0})")]
    Answer(StatusCode),
    /// The certificate to trust.
    #[error("`{}` cannot be read: {cause}", path.display())]
    Authority {
        /// Where it was expected.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// No answer came.
    #[error("`{url}` does not answer")]
    Connection {
        /// Who was asked.
        url: Box<Url>,
        /// Why.
        source: ClientError,
    },
    /// There are no threads or no runtime.
    #[error("no runtime: {0}")]
    Runtime(std::io::Error),
    /// The server refused.
    #[error("{message} ({code}, request {request_id})")]
    Refused {
        /// What it says.
        message: String,
        /// The refusal in one word.
        code: String,
        /// How to find it in the log.
        request_id: RequestId,
        /// Whose fault it is.
        status: StatusCode,
    },
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl ControlError {
    /// Says it, and how the verb ends.
    pub(super) fn say(&self) -> Ended {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        eprintln!("error: {text}");
        match self {
            Self::Refused { status, .. } if *status == StatusCode::BAD_REQUEST => Ended::Usage,
            Self::Administrator(_)
            | Self::Answer(_)
            | Self::Authority { .. }
            | Self::Connection { .. }
            | Self::Refused { .. }
            | Self::Runtime(_)
            | Self::Tls(_) => Ended::Failed,
        }
    }
}

/// What the API says when it refuses.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    message: String,
    request_id: RequestId,
}

/// Posts `body` to `rest` below the target's tenant, and gives back what came of it.
pub(super) fn post(target: &Target, rest: &str, body: &Value) -> Result<Value, ControlError> {
    ask(target, &Method::POST, rest, body)
}

/// Gets `rest` below the target's tenant.
pub(super) fn show(target: &Target, rest: &str) -> Result<Value, ControlError> {
    ask(target, &Method::GET, rest, &Value::Null)
}

fn ask(target: &Target, method: &Method, rest: &str, body: &Value) -> Result<Value, ControlError> {
    let key = AdministratorKey::read(&target.data, system_clock().now())?;
    let client = client(target, &key)?;
    let path = format!("/admin/v1/tenants/{}/{rest}", target.tenant);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ControlError::Runtime)?;
    runtime.block_on(send(&client, &key, method, &path, body))
}

fn client(target: &Target, key: &AdministratorKey) -> Result<HttpClient, ControlError> {
    let path = target.data.join("ca.pem");
    let pem = std::fs::read(&path).map_err(|cause| ControlError::Authority { path, cause })?;
    let tls = TlsClient::new(&TrustRoots::from_pem(&pem)?, None, Alpn::Http1)?;
    // The address comes from a file that only the administrator can write.
    let host = key.control().host_str().unwrap_or_default();
    let egress = EgressPolicy::public_only().allowing(host);
    Ok(HttpClient::new(tls, egress, ClientOptions::default()))
}

async fn send(
    client: &HttpClient,
    key: &AdministratorKey,
    method: &Method,
    path: &str,
    body: &Value,
) -> Result<Value, ControlError> {
    let mut url = key.control().clone();
    url.set_path(path);
    let random = Random::system();
    let mut headers = key.prove(method, path, &random, system_clock().now())?;
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let body = match body {
        Value::Null if *method == Method::GET => Bytes::new(),
        body => Bytes::from(body.to_string()),
    };
    let answer = client.send(method.clone(), &url, headers, body).await;
    let answer = answer.map_err(|source| ControlError::Connection {
        url: Box::new(url),
        source,
    })?;
    let malformed = |_| ControlError::Answer(answer.status);
    if answer.status.is_success() {
        return serde_json::from_slice(&answer.body).map_err(malformed);
    }
    let refusal: Refusal = serde_json::from_slice(&answer.body).map_err(malformed)?;
    Err(ControlError::Refused {
        message: refusal.message,
        code: refusal.error,
        request_id: refusal.request_id,
        status: answer.status,
    })
}
