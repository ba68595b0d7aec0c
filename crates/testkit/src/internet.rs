//! An internet in the test's process: names that resolve as a test says, hosts that answer over TLS, and a memory of everything that was connected to.
//!
//! Public addresses lead to a listener on loopback; connecting to any other address is remembered and refused, so that a test sees what would have been reached.

use crate::{TestAuthority, system_clock};
use bytes::Bytes;
use countersign_net::tls::Alpn;
use countersign_net::{
    ClientCertificates, Connection, Drain, DrainTrigger, EgressPolicy, GuardedClient, Limits,
    Listener, Network, ServerTls, TlsClient, TlsIdentity, Transport, TrustRoots,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// A request that a host heard.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The name it was addressed by.
    pub host: String,
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub path: String,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// What a host says.
#[derive(Debug, Clone)]
pub struct Said {
    /// The status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Said {
    /// A JSON document.
    ///
    /// # Panics
    /// Never: the header value is a constant.
    #[must_use]
    pub fn json(value: &serde_json::Value) -> Self {
        Self::of("application/json", value.to_string())
    }

    /// A body of some media type.
    #[must_use]
    pub fn of(media_type: &'static str, body: impl Into<Bytes>) -> Self {
        let value = header::HeaderValue::from_static(media_type);
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, value)]),
            body: body.into(),
        }
    }

    /// Nothing but a status.
    #[must_use]
    pub fn status(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// With a header field.
    #[must_use]
    pub fn with(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.headers
            .insert(name, header::HeaderValue::from_static(value));
        self
    }
}

type Answer = dyn Fn(&Heard) -> Said + Send + Sync;

#[derive(Default)]
struct Memory {
    names: BTreeMap<String, Vec<Vec<IpAddr>>>,
    looked_up: BTreeMap<String, usize>,
    dialled: Vec<SocketAddr>,
    heard: Vec<Heard>,
    answers: BTreeMap<String, Arc<Answer>>,
    held: BTreeMap<(String, Method), watch::Receiver<()>>,
    listeners: BTreeMap<IpAddr, SocketAddr>,
    running: Vec<DrainTrigger>,
}

/// A host does not answer while this lives.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "its drop is what counts")] watch::Sender<()>);

/// The internet. Its hosts end with it.
pub struct FakeInternet {
    authority: TestAuthority,
    memory: Arc<Mutex<Memory>>,
    heard: watch::Sender<usize>,
}

impl FakeInternet {
    /// An internet without hosts. Its certificates are valid now by the machine's own clock, which TLS goes by.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            authority: TestAuthority::new(system_clock().now()),
            memory: Arc::default(),
            heard: watch::Sender::new(0),
        })
    }

    /// The certificate authority of its hosts, in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        self.authority.certificate_pem()
    }

    /// How to reach it.
    #[must_use]
    pub fn network(self: &Arc<Self>) -> Network {
        let (resolver, dialler) = (Arc::clone(self), Arc::clone(self));
        Network::new(
            move |host, port| {
                let found = resolver.look_up(&host, port);
                Box::pin(async move { found })
            },
            move |address| {
                let target = dialler.dial(address);
                Box::pin(async move {
                    match target {
                        Some(target) => TcpStream::connect(target).await,
                        None => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                    }
                })
            },
        )
    }

    /// A guarded client for it, which may reach public addresses alone.
    ///
    /// # Panics
    /// When the authority cannot be trusted.
    #[must_use]
    pub fn client(self: &Arc<Self>) -> GuardedClient {
        self.client_with(EgressPolicy::public_only())
    }

    /// A guarded client for it with this policy.
    ///
    /// # Panics
    /// When the authority cannot be trusted.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a test without its setting has nothing to test"
    )]
    pub fn client_with(self: &Arc<Self>, policy: EgressPolicy) -> GuardedClient {
        let tls = TrustRoots::from_pem(self.authority.certificate_pem().as_bytes())
            .and_then(|roots| TlsClient::new(&roots, None, Alpn::Http1))
            .expect("a TLS client");
        GuardedClient::new(tls, policy.over(self.network()))
    }

    /// A host with a public address of its own that answers so. Naming it again changes its answer.
    ///
    /// # Panics
    /// When loopback has no free port.
    #[expect(
        clippy::expect_used,
        reason = "a test without its setting has nothing to test"
    )]
    pub fn host(
        self: &Arc<Self>,
        name: &str,
        answer: impl Fn(&Heard) -> Said + Send + Sync + 'static,
    ) {
        let issued = self.authority.server_for(&[name]);
        let identity = TlsIdentity::from_issued(&issued).expect("an identity");
        let tls = ServerTls::new(&identity, ClientCertificates::None).expect("server TLS");
        self.host_over(name, answer, Transport::Tls(tls));
    }

    /// The same without TLS.
    ///
    /// # Panics
    /// When loopback has no free port.
    pub fn plain_host(
        self: &Arc<Self>,
        name: &str,
        answer: impl Fn(&Heard) -> Said + Send + Sync + 'static,
    ) {
        self.host_over(name, answer, Transport::Plaintext);
    }

    #[expect(
        clippy::expect_used,
        reason = "a test without its setting has nothing to test"
    )]
    fn host_over(
        self: &Arc<Self>,
        name: &str,
        answer: impl Fn(&Heard) -> Said + Send + Sync + 'static,
        transport: Transport,
    ) {
        let mut memory = self.lock();
        let known = memory
            .answers
            .insert(name.to_owned(), Arc::new(answer))
            .is_some();
        if known {
            return;
        }
        let number = u8::try_from(memory.listeners.len() + 1).expect("few hosts");
        // A block of the public internet that no test reaches: connections end on loopback.
        let public = IpAddr::from([203, 0, 114, number]);
        memory
            .names
            .entry(name.to_owned())
            .or_insert_with(|| vec![vec![public]]);
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a port");
        memory.listeners.insert(public, listener.address());
        let (trigger, drain) = Drain::new();
        memory.running.push(trigger);
        drop(memory);
        let (internet, name) = (Arc::clone(self), name.to_owned());
        let make = move |_: &Arc<Connection>| {
            let (internet, name) = (Arc::clone(&internet), name.clone());
            service_fn(move |request| {
                let (internet, name) = (Arc::clone(&internet), name.clone());
                async move { internet.hear(name, request).await }
            })
        };
        let limits = Limits::default();
        tokio::spawn(countersign_net::serve(
            listener, transport, limits, make, drain,
        ));
    }

    /// A host hears requests of this method and does not answer them, for as long as what is returned lives.
    #[must_use]
    pub fn hold(&self, name: &str, method: Method) -> Held {
        let (sender, receiver) = watch::channel(());
        self.lock().held.insert((name.to_owned(), method), receiver);
        Held(sender)
    }

    /// The public address of a host.
    ///
    /// # Panics
    /// When there is none of this name.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a test without its setting has nothing to test"
    )]
    pub fn address_of(&self, name: &str) -> IpAddr {
        let memory = self.lock();
        let answers = memory.names.get(name).expect("a host");
        *answers
            .first()
            .and_then(|addresses| addresses.first())
            .expect("an address")
    }

    /// Lets a name resolve to these addresses: the first list at the first look, the next at the next, the last for ever.
    pub fn resolves(&self, name: &str, answers: &[&[&str]]) {
        let parsed = |text: &&str| text.parse::<IpAddr>().ok();
        let answers = answers
            .iter()
            .map(|addresses| addresses.iter().filter_map(parsed).collect())
            .collect();
        self.lock().names.insert(name.to_owned(), answers);
    }

    /// Every address that somebody tried to connect to.
    #[must_use]
    pub fn dialled(&self) -> Vec<SocketAddr> {
        self.lock().dialled.clone()
    }

    /// How often a name was looked up.
    #[must_use]
    pub fn looked_up(&self, name: &str) -> usize {
        self.lock().looked_up.get(name).copied().unwrap_or_default()
    }

    /// Everything that its hosts heard.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.lock().heard.clone()
    }

    /// Waits until its hosts heard so many requests, and gives them all.
    ///
    /// # Panics
    /// When they do not come within ten seconds.
    #[expect(clippy::expect_used, reason = "what never arrives fails the test")]
    pub async fn wait_for(&self, requests: usize) -> Vec<Heard> {
        let mut heard = self.heard.subscribe();
        let enough = heard.wait_for(|count| *count >= requests);
        let waited = tokio::time::timeout(std::time::Duration::from_secs(10), enough).await;
        drop(waited.expect("the requests in time"));
        self.heard()
    }

    fn look_up(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let mut memory = self.lock();
        let looks = memory.looked_up.entry(host.to_owned()).or_default();
        let look = *looks;
        *looks += 1;
        let answers = memory
            .names
            .get(host)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let answer = answers.get(look).or_else(|| answers.last());
        let with_port = |address: &IpAddr| SocketAddr::new(*address, port);
        Ok(answer.map_or_else(Vec::new, |addresses| {
            addresses.iter().map(with_port).collect()
        }))
    }

    fn dial(&self, address: SocketAddr) -> Option<SocketAddr> {
        let mut memory = self.lock();
        memory.dialled.push(address);
        memory.listeners.get(&address.ip()).copied()
    }

    async fn hear(
        &self,
        host: String,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => Bytes::new(),
        };
        let path = parts
            .uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        let heard = Heard {
            host,
            method: parts.method,
            path,
            headers: parts.headers,
            body,
        };
        let answer = self.lock().answers.get(&heard.host).cloned();
        let said = answer.map_or_else(
            || Said::status(StatusCode::NOT_FOUND),
            |answer| answer(&heard),
        );
        let place = (heard.host.clone(), heard.method.clone());
        let held = self.lock().held.get(&place).cloned();
        self.lock().heard.push(heard);
        self.heard.send_modify(|count| *count += 1);
        if let Some(mut held) = held {
            // Ends in an error once nobody holds it any more.
            while held.changed().await.is_ok() {}
        }
        let mut response = Response::new(Full::new(said.body));
        *response.status_mut() = said.status;
        *response.headers_mut() = said.headers;
        Ok(response)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
