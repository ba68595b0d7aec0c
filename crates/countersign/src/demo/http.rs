//! The exercise's own HTTP client: real TLS sockets, the development authority as the only trust, and nothing shared with the servers.

use bytes::Bytes;
use countersign_base::Duration;
use countersign_net::client::ClientOptions;
use countersign_net::tls::Alpn;
use countersign_net::{EgressPolicy, HttpClient, TlsClient, TlsIdentity, TrustRoots};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use std::fmt;
use url::Url;

/// Why a step of the exercise did not come out as it must.
#[derive(Debug)]
pub(super) struct Failure(String);

impl Failure {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A client, with or without a certificate.
pub(super) struct Client {
    http: HttpClient,
}

/// A whole answer.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Bytes,
}

impl Client {
    pub(super) fn new(ca_pem: &str, identity: Option<&TlsIdentity>) -> Result<Self, Failure> {
        let roots = TrustRoots::from_pem(ca_pem.as_bytes())
            .map_err(|error| Failure::new(error.to_string()))?;
        let tls = TlsClient::new(&roots, identity, Alpn::Http1)
            .map_err(|error| Failure::new(error.to_string()))?;
        Ok(Self {
            http: HttpClient::new(
                tls,
                EgressPolicy::public_only().allowing("localhost"),
                ClientOptions {
                    timeout: Duration::from_secs(30),
                    ..ClientOptions::default()
                },
            ),
        })
    }

    pub(super) async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: String,
    ) -> Result<Response, Failure> {
        let answer = self
            .http
            .send(method.clone(), url, headers, Bytes::from(body))
            .await;
        let answer = answer
            .map_err(|error| Failure::new(format!("{method} {}: {}", url.path(), chain(&error))))?;
        Ok(Response {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
        })
    }

    pub(super) async fn get_json(&self, url: &Url) -> Result<Value, Failure> {
        let response = self
            .send(Method::GET, url, HeaderMap::new(), String::new())
            .await?;
        response.expect(StatusCode::OK)?.json()
    }

    pub(super) async fn post_form(
        &self,
        url: &Url,
        mut headers: HeaderMap,
        form: &[(&str, &str)],
    ) -> Result<Response, Failure> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        self.send(Method::POST, url, headers, body).await
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl Response {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|_| Failure::new(format!("{}: the answer is not JSON", self.status)))
    }

    /// The answer, if its status is `status`.
    pub(super) fn expect(self, status: StatusCode) -> Result<Self, Failure> {
        if self.status == status {
            return Ok(self);
        }
        let mut text = self.text();
        text.truncate(
            text.char_indices()
                .nth(200)
                .map_or(text.len(), |(end, _)| end),
        );
        Err(Failure::new(format!(
            "expected {status}, got {}: {}",
            self.status,
            text.trim()
        )))
    }

    /// The `error` of an OAuth error answer with `status`.
    pub(super) fn refused(&self, status: StatusCode, error: &str) -> Result<(), Failure> {
        let found = self
            .json()
            .ok()
            .and_then(|body| body.get("error").and_then(Value::as_str).map(str::to_owned));
        if self.status == status && found.as_deref() == Some(error) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "expected {status} {error}, got {} {}",
            self.status,
            found.unwrap_or_else(|| "without error".to_owned())
        )))
    }

    pub(super) fn location(&self) -> Option<String> {
        if !self.status.is_redirection() {
            return None;
        }
        self.header(header::LOCATION.as_str())
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    }
}

pub(super) fn value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text)
        .map_err(|_| Failure::new("a header value with characters that none may have"))
}

/// RFC 6749 §2.3.1. The exercise's names and secrets need no escaping.
pub(super) fn basic(client: &str, secret: &str) -> Result<HeaderValue, Failure> {
    let pair = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("{client}:{secret}"),
    );
    value(&format!("Basic {pair}"))
}
