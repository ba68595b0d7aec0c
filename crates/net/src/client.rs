//! The HTTP client of the control plane: key sets of foreign issuers, and the command line's calls of the control API.
//!
//! Whole answers of bounded size, HTTP/1.1, no redirects, no cookies, no proxy; every destination passes the egress guard. The gateway's
//! upstreams have their own pools and do not come here.

use crate::egress::{EgressError, EgressPolicy, without_brackets};
use crate::tls::TlsClient;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use url::{Host, Url};

/// Idle connections kept for one destination.
const IDLE_MAX: usize = 8;
/// Destinations with idle connections; past it the idle ones of all are dropped.
const DESTINATIONS_MAX: usize = 64;

/// The client's limits. `Default` is what fetching a key set needs.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Time for resolving, connecting and the TLS handshake.
    pub connect_timeout: Duration,
    /// Time for one whole exchange.
    pub timeout: Duration,
    /// Bytes of an answer's body.
    pub body_bytes_max: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            body_bytes_max: 1024 * 1024,
        }
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct ClientResponse {
    /// Its status; redirects come back as they are.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The answer's body is larger than allowed.
    #[error("the answer is larger than allowed")]
    BodyTooLarge,
    /// The connection could not be made.
    #[error("can't connect")]
    Connect(#[source] io::Error),
    /// The egress guard refused the destination.
    #[error(transparent)]
    Egress(EgressError),
    /// The exchange broke off.
    #[error("the exchange broke off")]
    Http(#[source] hyper::Error),
    /// The exchange took too long.
    #[error("no answer in time")]
    Timeout,
    /// The URL has no host, or a scheme other than `http` and `https`.
    #[error("expected an `http` or `https` URL with a host")]
    Url,
}

/// An HTTP client. Its idle connections belong to the runtime that opened them: one client a runtime.
pub struct HttpClient {
    tls: TlsClient,
    egress: EgressPolicy,
    options: ClientOptions,
    idle: Mutex<HashMap<Destination, Vec<SendRequest<Full<Bytes>>>>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Destination {
    https: Encryption,
    host: String,
    port: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Encryption {
    None,
    Tls,
}

impl HttpClient {
    /// A client that trusts what `tls` trusts and reaches what `egress` allows.
    #[must_use]
    pub fn new(tls: TlsClient, egress: EgressPolicy, options: ClientOptions) -> Self {
        Self {
            tls,
            egress,
            options,
            idle: Mutex::default(),
        }
    }

    /// Fetches `url`.
    ///
    /// # Errors
    /// See [`ClientError`]; a status that is not a success is an answer, no error.
    pub async fn get(&self, url: &Url) -> Result<ClientResponse, ClientError> {
        self.send(Method::GET, url, HeaderMap::new(), Bytes::new())
            .await
    }

    /// Sends one request; `Host` and `Content-Length` are set here.
    ///
    /// # Errors
    /// See [`ClientError`]; a status that is not a success is an answer, no error.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<ClientResponse, ClientError> {
        let destination = Destination::of(url)?;
        let request = request(method, url, headers, body)?;
        match tokio::time::timeout(self.options.timeout, self.exchange(destination, request)).await
        {
            Ok(result) => result,
            Err(_elapsed) => Err(ClientError::Timeout),
        }
    }

    async fn exchange(
        &self,
        destination: Destination,
        request: Request<Full<Bytes>>,
    ) -> Result<ClientResponse, ClientError> {
        let mut request = request;
        // A kept connection may have been closed meanwhile. hyper hands the request back if it has sent nothing of it.
        while let Some(mut sender) = self.take_idle(&destination) {
            match sender.try_send_request(request).await {
                Ok(response) => return self.finish(destination, sender, response).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(ClientError::Http(error.into_error())),
                },
            }
        }
        let connecting =
            tokio::time::timeout(self.options.connect_timeout, self.connect(&destination));
        let mut sender = connecting
            .await
            .map_err(|_elapsed| ClientError::Timeout)??;
        let response = sender
            .send_request(request)
            .await
            .map_err(ClientError::Http)?;
        self.finish(destination, sender, response).await
    }

    async fn finish(
        &self,
        destination: Destination,
        sender: SendRequest<Full<Bytes>>,
        response: http::Response<hyper::body::Incoming>,
    ) -> Result<ClientResponse, ClientError> {
        let (head, body) = response.into_parts();
        let collected = Limited::new(body, self.options.body_bytes_max)
            .collect()
            .await;
        let body = collected.map_err(body_error)?.to_bytes();
        self.keep(destination, sender);
        Ok(ClientResponse {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    async fn connect(
        &self,
        destination: &Destination,
    ) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let judged = self
            .egress
            .resolve(&destination.host, destination.port)
            .await
            .map_err(ClientError::Egress)?;
        let stream = self
            .egress
            .connect(&judged)
            .await
            .map_err(ClientError::Connect)?;
        match destination.https {
            Encryption::None => handshake(TokioIo::new(stream)).await,
            Encryption::Tls => {
                let name = without_brackets(&destination.host).to_owned();
                let name = ServerName::try_from(name).map_err(|_| ClientError::Url)?;
                let stream = self
                    .tls
                    .connector()
                    .connect(name, stream)
                    .await
                    .map_err(ClientError::Connect)?;
                handshake(TokioIo::new(stream)).await
            }
        }
    }

    fn take_idle(&self, destination: &Destination) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = idle.get_mut(destination)?;
        while let Some(sender) = senders.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, destination: Destination, sender: SendRequest<Full<Bytes>>) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= DESTINATIONS_MAX && !idle.contains_key(&destination) {
            idle.clear();
        }
        let senders = idle.entry(destination).or_default();
        if senders.len() < IDLE_MAX {
            senders.push(sender);
        }
    }
}

impl Destination {
    fn of(url: &Url) -> Result<Self, ClientError> {
        let https = match url.scheme() {
            "https" => Encryption::Tls,
            "http" => Encryption::None,
            _ => return Err(ClientError::Url),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => format!("[{address}]"),
            None => return Err(ClientError::Url),
        };
        Ok(Self {
            https,
            host,
            port: url.port_or_known_default().ok_or(ClientError::Url)?,
        })
    }
}

pub(crate) fn request(
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, ClientError> {
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().map_err(|_| ClientError::Url)?;
    *request.headers_mut() = headers;
    let host = HeaderValue::from_str(authority).map_err(|_| ClientError::Url)?;
    request.headers_mut().insert(header::HOST, host);
    Ok(request)
}

pub(crate) async fn handshake<I>(io: TokioIo<I>) -> Result<SendRequest<Full<Bytes>>, ClientError>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(io).await.map_err(ClientError::Http)?;
    tokio::spawn(async move {
        // Errors reach whoever waits for an answer; an idle connection that ends is no event.
        let _ = connection.await;
    });
    Ok(sender)
}

pub(crate) fn body_error(error: Box<dyn std::error::Error + Send + Sync>) -> ClientError {
    if error.downcast_ref::<LengthLimitError>().is_some() {
        return ClientError::BodyTooLarge;
    }
    match error.downcast::<hyper::Error>() {
        Ok(error) => ClientError::Http(*error),
        Err(_) => ClientError::BodyTooLarge,
    }
}
