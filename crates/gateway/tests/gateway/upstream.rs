//! An upstream that remembers what it was sent. It asks for our client certificate.

use bytes::Bytes;
use countersign_base::Conditional;
use countersign_net::{
    ClientCertificates, Connection, Drain, DrainTrigger, Limits, Listener, ServerTls, TlsIdentity,
    Transport, TrustRoots,
};
use countersign_testkit::TestAuthority;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// One request as the upstream saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub target: String,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Result<Bytes, String>,
    pub trailers: Option<HeaderMap>,
    /// The URIs of the client certificate.
    pub peer: Vec<String>,
    /// The port that the connection came from: which connection it was.
    pub port: u16,
}

/// A status and a body by id.
pub type Objects = Arc<Mutex<BTreeMap<String, (u16, String)>>>;

/// The upstream.
pub struct FakeUpstream {
    pub address: SocketAddr,
    /// What it says of `/objects/ID`: a status and a body.
    pub objects: Objects,
    seen: Arc<Mutex<Vec<Seen>>>,
    _trigger: DrainTrigger,
}

impl FakeUpstream {
    /// Starts it on the runtime of the test, with mTLS.
    pub fn start(authority: &TestAuthority) -> Self {
        let roots = TrustRoots::from_pem(authority.certificate_pem().as_bytes()).unwrap();
        let identity = TlsIdentity::from_issued(&authority.server()).unwrap();
        let tls = ServerTls::new(&identity, ClientCertificates::Required(roots)).unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.address();
        let (trigger, drain) = Drain::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&seen);
        let objects = Objects::default();
        let told = Arc::clone(&objects);
        let make = move |connection: &Arc<Connection>| {
            let (connection, seen) = (Arc::clone(connection), Arc::clone(&remembered));
            let objects = Arc::clone(&told);
            service_fn(move |request| {
                let (connection, seen) = (Arc::clone(&connection), Arc::clone(&seen));
                answer(connection, seen, Arc::clone(&objects), request)
            })
        };
        tokio::spawn(countersign_net::serve(
            listener,
            Transport::Tls(tls),
            Limits::default(),
            make,
            drain,
        ));
        Self {
            address,
            objects,
            seen,
            _trigger: trigger,
        }
    }

    /// What it saw since the last call.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The one request it saw since the last call.
    #[track_caller]
    pub fn take_one(&self) -> Seen {
        let mut seen = self.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

async fn answer(
    connection: Arc<Connection>,
    seen: Arc<Mutex<Vec<Seen>>>,
    objects: Objects,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    // A path that asks for it is answered before the body is read.
    let early = head.uri.path().ends_with("/early");
    let status = match head.uri.path().rsplit('/').next() {
        Some("unauthorized") => StatusCode::UNAUTHORIZED,
        _ => StatusCode::OK,
    };
    let collected = if early {
        Ok((Bytes::new(), None))
    } else {
        body.collect()
            .await
            .map(|body| (body.trailers().cloned(), body.to_bytes()))
            .map(|(trailers, body)| (body, trailers))
            .map_err(|error| error.to_string())
    };
    let trailers = collected
        .as_ref()
        .ok()
        .and_then(|(_, trailers)| trailers.clone());
    let body = collected.map(|(body, _)| body);
    let length = body.as_ref().map(Bytes::len).unwrap_or_default();
    let peer = match &connection.peer {
        Conditional::Absent(_) => Vec::new(),
        Conditional::Present(certificate) => certificate.uri_sans().to_vec(),
    };
    seen.lock().unwrap().push(Seen {
        method: head.method.clone(),
        target: head
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        version: head.version,
        headers: head.headers.clone(),
        body,
        trailers,
        peer,
        port: connection.remote.port(),
    });
    if let Some(id) = head.uri.path().strip_prefix("/objects/") {
        let objects = objects.lock().unwrap();
        let (status, body) = objects.get(id).cloned().unwrap_or((404, String::new()));
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let json = "application/json".parse().unwrap();
        response.headers_mut().insert("content-type", json);
        return Ok(response);
    }
    if head.uri.path().ends_with("/echo") {
        return Ok(echoed(&head, &seen));
    }
    let mut response = Response::new(Full::new(Bytes::from(format!("upstream read {length}"))));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("keep-alive", "timeout=5".parse().unwrap());
    response
        .headers_mut()
        .insert("x-from-upstream", "yes".parse().unwrap());
    // What the gateway must not let it say.
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("set-cookie", "own=1; Path=/"),
        ("set-cookie", "__Host-session-demo=planted; Path=/; Secure"),
    ] {
        response.headers_mut().append(name, value.parse().unwrap());
    }
    Ok(response)
}

/// The body of the request as an answer, with fields as the request's `x-answer-...` say.
fn echoed(head: &http::request::Parts, seen: &Mutex<Vec<Seen>>) -> Response<Full<Bytes>> {
    let said = |name: &str| head.headers.get(name).cloned();
    let body = seen.lock().unwrap().last().unwrap().body.clone().unwrap();
    let body = match said("x-answer-times") {
        None => body,
        Some(times) => body.repeat(times.to_str().unwrap().parse().unwrap()).into(),
    };
    let mut response = Response::new(Full::new(body));
    if let Some(status) = said("x-answer-status") {
        *response.status_mut() = StatusCode::from_bytes(status.as_bytes()).unwrap();
    }
    let fields = [
        ("content-type", "x-answer-type"),
        ("content-encoding", "x-answer-encoding"),
    ];
    for (field, source) in fields {
        if let Some(value) = said(source) {
            response.headers_mut().insert(field, value);
        }
    }
    for (field, value) in [
        ("etag", "\"1\""),
        ("content-digest", "sha-256=:AAAA:"),
        ("x-from-upstream", "yes"),
    ] {
        response.headers_mut().insert(field, value.parse().unwrap());
    }
    response
}
